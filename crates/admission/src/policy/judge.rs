//! One request, asked of every policy that may be for it.

use std::cell::OnceCell;
use std::time::Instant;

use jiff::Timestamp;
use portcullis_api::GROUP;
use portcullis_api::admission_policy::{Action, Each, TemplateAction, ValidationReason};
use portcullis_cel::{Bindings, Budget, EXPRESSION_UNITS, MATCH_CONDITIONS_UNITS, POLICY_UNITS, Value as CelValue};
use serde_json::Value;

use super::applied::is_applied;
use super::exception::{Asked, Faulty};
use super::outcome::{ERROR, Effect, Findings, PolicyOutcome, PolicyViolation, Waiver};
use super::params::Found;
use super::rules::Deed;
use super::selector::Labels;
use super::subject::Subject;
use super::{Policy, PolicySet};
use crate::decide::is_namespace;
use crate::field::FieldPath;
use crate::review::{AdmissionRequest, Operation, StatusReason};
use crate::workload::Workload;

mod security;
mod validation;

use security::Readable;

/// The API groups whose objects are not judged, or a policy could keep people from mending policies.
pub const OWN_GROUPS: [&str; 2] = [GROUP, "admissionregistration.k8s.io"];

/// What a policy may look at beside the request.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The object of the request's namespace; why it is not known, where it should be.
    pub namespace: Result<Option<&'a Value>, &'a str>,
    /// The time.
    pub now: Timestamp,
    /// When the answer has to be there.
    pub deadline: Option<Instant>,
}

impl PolicySet {
    /// Whether any policy may be for a request with this head: whether its namespace is worth looking up, and its objects are worth opening.
    pub fn may_concern(&self, head: &AdmissionRequest) -> bool {
        self.may_ask(head, Subject::may_change_template, |_| true)
    }

    /// Whether any policy may be for the request.
    pub fn concerns(&self, request: &AdmissionRequest) -> bool {
        self.may_ask(request, Subject::changes_template, |_| true)
    }

    /// Whether any policy that may be for the request has expressions, or it brings one: whether answering may take long.
    pub fn evaluates(&self, request: &AdmissionRequest) -> bool {
        is_applied(request) || self.may_ask(request, Subject::changes_template, |policy| !policy.expressions.is_empty())
    }

    /// Whether a policy of this kind may be for the request, or for the pod of the template that it changes.
    fn may_ask(
        &self,
        request: &AdmissionRequest,
        template: impl FnOnce(&AdmissionRequest) -> Option<&'static Workload>,
        is_meant: impl Fn(&Policy) -> bool,
    ) -> bool {
        if self.is_empty() || is_own(request) {
            return false;
        }
        let pod = template(request).map(|_| Subject::pod_deed(request));
        self.has_candidate(deeds(request).chain(pod), is_meant)
    }

    /// Asks every policy that is for the request.
    pub fn judge(&self, request: &AdmissionRequest, surroundings: &Surroundings<'_>) -> PolicyOutcome {
        let mut outcome = PolicyOutcome::default();
        if self.is_empty() || is_own(request) {
            return outcome;
        }
        let mut asked: Vec<&str> = Vec::new();
        let candidates = self.candidates(deeds(request));
        if !candidates.is_empty() {
            let (subject, pod) = (Subject::direct(request), OnceCell::new());
            for policy in candidates {
                if policy.constraints.iter().all(|constraints| constraints.rules.match_request(request)) {
                    asked.push(&policy.name);
                    Asking { set: self, policy, subject: &subject, surroundings, pod: &pod, outcome: &mut outcome }.ask();
                }
            }
        }
        if let Some(workload) = Subject::changes_template(request) {
            self.judge_template(request, workload, &asked, surroundings, &mut outcome);
        }
        outcome
    }

    /// Asks the policies for pods about the pod that a workload would make, but for those that are for the workload itself.
    fn judge_template(
        &self,
        request: &AdmissionRequest,
        workload: &'static Workload,
        asked: &[&str],
        surroundings: &Surroundings<'_>,
        outcome: &mut PolicyOutcome,
    ) {
        let deed = Subject::pod_deed(request);
        let is_meant = |policy: &&Policy| {
            policy.templates.is_some()
                && !asked.contains(&policy.name.as_str())
                && policy.constraints.iter().all(|constraints| constraints.rules.matches(&deed))
        };
        let policies: Vec<&Policy> = self.candidates([deed]).into_iter().filter(is_meant).collect();
        if policies.is_empty() {
            return;
        }
        let Some(subject) = Subject::template(request, workload) else { return };
        let pod = OnceCell::new();
        for policy in policies {
            Asking { set: self, policy, subject: &subject, surroundings, pod: &pod, outcome }.ask();
        }
    }
}

fn deeds(request: &AdmissionRequest) -> impl Iterator<Item = Deed<'_>> {
    std::iter::once(Deed::of(request)).chain(Deed::as_asked(request))
}

fn is_own(request: &AdmissionRequest) -> bool {
    OWN_GROUPS.contains(&request.resource.group.as_str())
}

/// One policy, asked about one subject whose resource and operation its rules match.
struct Asking<'a, 'r, 'o> {
    set: &'a PolicySet,
    policy: &'a Policy,
    subject: &'a Subject<'r>,
    surroundings: &'a Surroundings<'a>,
    pod: &'o OnceCell<Readable<'a>>,
    outcome: &'o mut PolicyOutcome,
}

impl<'a> Asking<'a, '_, '_> {
    fn ask(&mut self) {
        let (before, failures) = (self.outcome.violations.len(), self.outcome.ignored_failures);
        if !self.answer() {
            return;
        }
        let violations = self.outcome.violations.get(before..).unwrap_or_default();
        let has = |action| violations.iter().any(|violation| violation.actions.contains(&action));
        let effect = match () {
            () if has(Action::Deny) => Effect::Deny,
            () if has(Action::Warn) => Effect::Warn,
            () if has(Action::Audit) => Effect::Audit,
            () if self.outcome.ignored_failures > failures => Effect::Ignore,
            () => Effect::Allow,
        };
        let count = self.outcome.effects.entry(effect).or_default();
        *count = count.saturating_add(1);
    }

    /// Whether the policy was for the subject.
    fn answer(&mut self) -> bool {
        match self.selectors_match() {
            Ok(true) => {}
            Ok(false) => return false,
            Err(why) => return self.fail(&why),
        }
        let params = match self.set.params().find(&self.policy.params, &self.subject.request.namespace) {
            Found::Some(params) => params,
            Found::Allowed => return false,
            Found::Missing(why) => return self.fail(&why),
        };
        let (mut judged, mut judged_security) = (false, false);
        for param in params {
            let mut bindings = if self.policy.expressions.is_empty() { Bindings::new() } else { self.bindings(param) };
            match self.conditions_hold(&bindings) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => {
                    judged = self.fail(&why);
                    continue;
                }
            }
            // The standard has no parameters: once is enough.
            if let Some(standard) = self.policy.standard.filter(|_| !judged_security) {
                self.judge_security(standard);
                judged_security = true;
            }
            judged = true;
            let mut budget = self.budget(POLICY_UNITS);
            self.judge_validations(&mut bindings, &mut budget);
            self.note_annotations(&bindings, &mut budget);
        }
        judged
    }

    fn selectors_match(&self) -> Result<bool, String> {
        let labels = |object: Option<&'a Value>| object.and_then(labels_of);
        let (new, old) = (self.subject.object.as_deref(), self.subject.old_object);
        for constraints in &self.policy.constraints {
            let selector = &constraints.objects;
            let matches = |object: Option<&'a Value>| object.is_some_and(has_metadata) && selector.matches(labels(object));
            if !selector.is_empty() && !matches(new) && !matches(old) {
                return Ok(false);
            }
        }
        for constraints in &self.policy.constraints {
            if !constraints.namespaces.is_empty() && !self.in_namespace(&constraints.namespaces)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn in_namespace(&self, selector: &super::selector::Selector) -> Result<bool, String> {
        let request = self.subject.request;
        if request.resource.group.is_empty() && request.resource.resource == "namespaces" && request.sub_resource.is_empty() {
            let own = if request.operation == Operation::Delete { self.subject.old_object } else { self.subject.object.as_deref() };
            return Ok(selector.matches(own.and_then(labels_of)));
        }
        if request.namespace.is_empty() {
            // What is in no namespace is not left out by a selector of namespaces.
            return Ok(true);
        }
        match self.surroundings.namespace {
            Ok(Some(namespace)) => Ok(selector.matches(labels_of(namespace))),
            Ok(None) => Err(format!("the namespace {:?} is not known", request.namespace)),
            Err(why) => Err(format!("the namespace {:?} is not known: {why}", request.namespace)),
        }
    }

    fn bindings(&self, params: Option<&'a Value>) -> Bindings<'a> {
        let mut bindings = Bindings::new();
        if let Some(object) = self.subject.object.as_deref() {
            bindings.bind("object", object);
        }
        if let Some(old_object) = self.subject.old_object {
            bindings.bind("oldObject", old_object);
        }
        bindings.bind("request", self.subject.as_cel());
        if let Some(params) = params {
            bindings.bind("params", params);
        }
        // A namespace is in none, though the API server gives requests about it its name as their namespace.
        if let Ok(Some(namespace)) = self.surroundings.namespace
            && !is_namespace(self.subject.request)
        {
            bindings.bind("namespaceObject", namespace);
        }
        for (name, program) in &self.policy.expressions.variables {
            bindings.variable(name, program);
        }
        bindings
    }

    fn budget(&self, units: u64) -> Budget {
        let budget = Budget::of(EXPRESSION_UNITS, units);
        self.surroundings.deadline.map_or(budget.clone(), |deadline| budget.with_deadline(deadline))
    }

    /// Whether all conditions are true. One that is false settles it, whatever the others are.
    fn conditions_hold(&self, bindings: &Bindings<'a>) -> Result<bool, String> {
        let mut budget = self.budget(MATCH_CONDITIONS_UNITS);
        let mut failed = None;
        for (name, program) in &self.policy.expressions.conditions {
            match program.evaluate(bindings, &mut budget) {
                Ok(CelValue::Bool(true)) => {}
                Ok(CelValue::Bool(false)) => return Ok(false),
                Ok(_) => failed = failed.or(Some(format!("the match condition {name:?} is no boolean"))),
                Err(error) => failed = failed.or(Some(format!("the match condition {name:?} failed: {error}"))),
            }
        }
        failed.map_or(Ok(true), Err)
    }

    /// The policy could not be asked. Always true: it was for the subject.
    ///
    /// Of a template, that is only told: it lacks what a pod has when it is made, and the pod itself is judged then.
    fn fail(&mut self, why: &str) -> bool {
        if self.policy.fails_closed() {
            self.violated(ERROR, StatusReason::InternalError, format!("cannot be judged: {why}"), Findings::default(), None);
        } else {
            self.outcome.ignored_failures = self.outcome.ignored_failures.saturating_add(1);
        }
        true
    }

    fn violated(
        &mut self,
        control: &str,
        reason: StatusReason,
        message: String,
        findings: Findings,
        standard: Option<crate::standard::Standard>,
    ) {
        let mut actions = self.policy.actions.clone();
        let only_warns = self.subject.is_template && (self.policy.templates == Some(TemplateAction::Warn) || control == ERROR);
        let denies_pods = only_warns && actions.remove(&Action::Deny);
        if denies_pods {
            actions.insert(Action::Warn);
        }
        let (policy, control) = (self.policy.name.clone(), control.to_owned());
        let Findings { told: findings, more: more_findings } = findings;
        let violation = PolicyViolation { policy, control, standard, message, reason, actions, denies_pods, findings, more_findings };
        self.outcome.violations.push(violation);
    }

    /// Whether an exception is for this very finding; its use is noted.
    fn is_waived(&mut self, control: &str, container: Option<Faulty<'_>>, path: Option<&FieldPath>) -> bool {
        let request = self.subject.request;
        let asked = Asked {
            policy: &self.policy.name,
            control,
            namespace: &request.namespace,
            kind: &request.kind.kind,
            name: request.object_name(),
            container,
        };
        for exception in self.set.exceptions().iter().filter(|exception| exception.covers(&asked)) {
            if exception.is_expired(self.surroundings.now) {
                self.outcome.expired.insert(exception.name().to_owned(), exception.expires());
                continue;
            }
            self.outcome.waivers.push(Waiver {
                exception: exception.name().to_owned(),
                reason: exception.reason().to_owned(),
                policy: self.policy.name.clone(),
                control: control.to_owned(),
                field: path.map(ToString::to_string).unwrap_or_default(),
            });
            return true;
        }
        false
    }
}

fn has_metadata(object: &Value) -> bool {
    object.get("metadata").is_some_and(Value::is_object)
}

fn labels_of(object: &Value) -> Option<&Labels> {
    object.get("metadata")?.get("labels")?.as_object()
}

const fn status_reason(reason: ValidationReason) -> StatusReason {
    match reason {
        ValidationReason::Unauthorized => StatusReason::Unauthorized,
        ValidationReason::Forbidden => StatusReason::Forbidden,
        ValidationReason::Invalid => StatusReason::Invalid,
        ValidationReason::RequestEntityTooLarge => StatusReason::RequestEntityTooLarge,
    }
}

/// The parts for which an expression is evaluated; `None` is the object as a whole.
fn parts<'s>(subject: &'s Subject<'_>, each: Option<Each>) -> Vec<Option<super::subject::Part<'s>>> {
    match each {
        None => vec![None],
        Some(Each::Container) => subject.containers().into_iter().map(Some).collect(),
        Some(Each::Volume) => subject.volumes().into_iter().map(Some).collect(),
    }
}
