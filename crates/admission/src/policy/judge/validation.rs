//! The validations of a policy and its audit annotations, for one request and one parameter.

use portcullis_cel::{Bindings, Budget, Value as CelValue};
use serde_json::Value;

use super::{Asking, parts, status_reason};
use crate::field::FieldPath;
use crate::policy::expression::Control;
use crate::policy::outcome::{Findings, PolicyFinding};
use crate::policy::report::cut;
use crate::policy::subject::Part;

/// Kubernetes' limit for a message that an expression makes, in bytes.
const MAX_MESSAGE: usize = 5 * 1024;
/// Kubernetes' limit for an audit annotation, in bytes.
const MAX_ANNOTATION: usize = 10 * 1024;
/// One control is told with at most so many different messages; what follows is told with the last of them.
const MAX_MESSAGES: usize = 32;

impl<'a> Asking<'a, '_, '_> {
    pub(super) fn judge_validations(&mut self, bindings: &mut Bindings<'a>, budget: &mut Budget) {
        for control in &self.policy.expressions.validations {
            self.judge_control(control, bindings, budget);
        }
    }

    fn judge_control(&mut self, control: &'a Control, bindings: &mut Bindings<'a>, budget: &mut Budget) {
        // Messages with what each is said of; and why a part could not be judged, which hides nothing that is wrong with others.
        let mut said: Vec<(String, Findings)> = Vec::new();
        let mut failed = None;
        for part in parts(self.subject, control.each) {
            if let (Some(each), Some(part)) = (control.each, &part) {
                bindings.bind(each.identifier(), part.value);
            }
            match control.program.evaluate(bindings, budget) {
                Ok(CelValue::Bool(true)) => {}
                Ok(CelValue::Bool(false)) => self.judge_finding(control, part.as_ref(), bindings, budget, &mut said),
                Ok(_) => failed = failed.or_else(|| Some(format!("{} is no boolean", control.name))),
                Err(error) => failed = failed.or_else(|| Some(format!("{}: {error}", control.name))),
            }
        }
        if let Some(why) = failed {
            self.fail(&why);
        }
        for (message, findings) in said {
            self.violated(&control.name, status_reason(control.reason), message, findings, None);
        }
    }

    fn judge_finding(
        &mut self,
        control: &'a Control,
        part: Option<&Part<'a>>,
        bindings: &Bindings<'a>,
        budget: &mut Budget,
        said: &mut Vec<(String, Findings)>,
    ) {
        let path = self.path(control, part);
        let container = path.as_ref().and_then(|path| self.subject.container_at(path));
        if self.is_waived(&control.name, container, path.as_ref()) {
            return;
        }
        let message = message(control, bindings, budget);
        let same = said.iter().position(|(known, _)| *known == message);
        if same.is_none() && said.len() < MAX_MESSAGES {
            said.push((message, Findings::default()));
        }
        let place = same.unwrap_or_else(|| said.len().saturating_sub(1));
        let Some(((_, findings), path)) = said.get_mut(place).zip(path) else { return };
        findings.add(|| PolicyFinding {
            value: self.value(control, part).cloned(),
            path,
            allowed: control.allowed.clone().map(Into::into),
            change: control.change.clone(),
        });
    }

    /// Where what is judged is, if the policy says or it is a part of the pod.
    fn path(&self, control: &Control, part: Option<&Part<'_>>) -> Option<FieldPath> {
        match part {
            Some(part) => Some(control.field.iter().fold(part.path.clone(), |path, field| path.field(field.clone()))),
            None => (!control.field.is_empty()).then(|| self.subject.path(&control.field)),
        }
    }

    fn value(&self, control: &Control, part: Option<&Part<'a>>) -> Option<&Value> {
        let root = part.map_or_else(|| self.subject.object.as_deref(), |part| Some(part.value))?;
        if control.field.is_empty() {
            // A whole container says too much.
            return None;
        }
        control.field.iter().try_fold(root, |value, field| value.get(field))
    }

    pub(super) fn note_annotations(&mut self, bindings: &Bindings<'a>, budget: &mut Budget) {
        for (key, program) in &self.policy.expressions.annotations {
            match program.evaluate(bindings, budget) {
                Ok(CelValue::String(text)) if !text.trim().is_empty() => {
                    let value = cut(text.trim(), MAX_ANNOTATION);
                    self.outcome.annotations.push((self.policy.name.clone(), key.clone(), value));
                }
                Ok(CelValue::String(_) | CelValue::Null) => {}
                Ok(_) => _ = self.fail(&format!("the audit annotation {key:?} is no text")),
                Err(error) => _ = self.fail(&format!("the audit annotation {key:?}: {error}")),
            }
        }
    }
}

/// What is said: the expression's text where it is one line and not too long, else what is written.
fn message<'a>(control: &'a Control, bindings: &Bindings<'a>, budget: &mut Budget) -> String {
    let made = control.message_program.as_ref().and_then(|program| program.evaluate(bindings, budget).ok());
    if let Some(CelValue::String(text)) = made {
        let text = text.trim();
        if !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n') {
            return text.to_owned();
        }
    }
    control.message.clone()
}
