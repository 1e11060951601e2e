//! What is wrong with an exception, as far as the types cannot say.

use super::{Check, FieldPath, FieldProblem, names};
use crate::policy_exception::{ExceptionSubjects, LONGEST, PolicyException};

/// Everything that is wrong with an exception; nothing where it is valid. How long it may hold is counted from its creation, where that is known.
#[must_use]
pub fn policy_exception(exception: &PolicyException) -> Vec<FieldProblem> {
    let mut check = Check::default();
    let at = FieldPath::default().field("spec");
    let spec = &exception.spec;
    check.object_name(exception.metadata.name.as_deref());
    for (name, values) in [("controls", &spec.controls), ("namespaces", &spec.namespaces)] {
        if values.is_empty() {
            check.problem(at.field(name), "empty, so it allows nothing: list some");
        }
    }
    for (index, namespace) in spec.namespaces.iter().enumerate() {
        check.named(at.field("namespaces").entry(index), Some(namespace), names::label);
    }
    for (index, control) in spec.controls.iter().enumerate() {
        if control.contains('*') || control.is_empty() {
            check.problem(at.field("controls").entry(index), "no name of a control: list each by itself, without `*`");
        }
    }
    check.subjects(&at.field("subjects"), &spec.subjects);
    if spec.reason.trim().is_empty() {
        check.problem(at.field("reason"), "empty: say why it is needed");
    }
    if let Some(created) = &exception.metadata.creation_timestamp
        && spec.expires.duration_since(created.0).unsigned_abs() > LONGEST
        && spec.expires > created.0
    {
        check.problem(at.field("expires"), "more than 366 days after it was made: choose an earlier day, and make a new one then");
    }
    check.problems
}

impl Check {
    fn subjects(&mut self, at: &FieldPath, subjects: &ExceptionSubjects) {
        let ExceptionSubjects { kinds, names, containers, images } = subjects;
        if [kinds, names, containers, images].iter().all(|list| list.is_empty()) {
            self.problem(at.clone(), "empty, so it would hold for everything in the namespaces: list kinds, names, containers or images");
        }
        for (name, patterns) in [("kinds", kinds), ("names", names), ("containers", containers), ("images", images)] {
            for (index, pattern) in patterns.iter().enumerate() {
                if pattern.is_empty() || (pattern.bytes().all(|byte| byte == b'*')) {
                    self.problem(
                        at.field(name).entry(index),
                        "matches everything or nothing: write a part of the text, or leave the list out",
                    );
                }
            }
        }
    }
}
