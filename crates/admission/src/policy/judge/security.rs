//! The Pod Security Standard of a policy, with exceptions for single findings.

use super::Asking;
use crate::checks::JudgedPod;
use crate::decide::{IGNORED_POD_SUBRESOURCES, is_significant, object_of};
use crate::policy::outcome::PolicyFinding;
use crate::policy::subject::Subject;
use crate::review::{Operation, StatusReason};
use crate::standard::Standard;
use crate::violation::{Finding, Violation};

/// The pod of a subject, read once for all policies.
#[derive(Debug)]
pub(super) enum Readable<'a> {
    /// There is none, or an update leaves it as it was.
    Nothing,
    /// To be judged.
    Pod(Box<JudgedPod<'a>>),
    /// It cannot be read.
    Failed(String),
}

impl<'a> Readable<'a> {
    fn of(subject: &'a Subject<'_>) -> Self {
        let request = subject.request;
        let Some(workload) = subject.workload else { return Self::Nothing };
        if workload.is_pod() && IGNORED_POD_SUBRESOURCES.contains(&request.sub_resource.as_str()) {
            return Self::Nothing;
        }
        let object = match object_of(request, workload) {
            Ok(object) => object,
            Err(why) => return Self::Failed(why),
        };
        match workload.read_pod(object) {
            Ok(pod) if request.operation == Operation::Update && !is_significant(workload, request.old_object.as_ref(), object, &pod) => {
                Self::Nothing
            }
            Ok(pod) => Self::Pod(Box::new(JudgedPod::new(pod))),
            Err(malformed) => Self::Failed(malformed.to_string()),
        }
    }
}

impl Asking<'_, '_, '_> {
    /// Judges the pod, unless there is none, or an update leaves it as it was.
    pub(super) fn judge_security(&mut self, standard: Standard) {
        match self.pod.get_or_init(|| Readable::of(self.subject)) {
            Readable::Nothing => {}
            Readable::Failed(why) => _ = self.fail(why),
            Readable::Pod(pod) => {
                for violation in self.policy.demands.iter().filter_map(|demand| pod.violation(demand)) {
                    self.judge_violation(standard, violation.clone());
                }
            }
        }
    }

    fn judge_violation(&mut self, standard: Standard, violation: Violation) {
        let text = violation.to_string();
        let found = violation.findings.len();
        let check = violation.check;
        let findings: Vec<PolicyFinding> = violation
            .findings
            .into_iter()
            .filter(|finding| !self.is_waived(check, self.subject.container_at(&finding.path), Some(&finding.path)))
            .map(PolicyFinding::from)
            .collect();
        let nobody_at_fault = found == 0 && !self.is_waived(check, None, None);
        if findings.is_empty() && !nobody_at_fault {
            return;
        }
        // The sentence of Pod Security Admission names everybody; where an exception holds for some, only what is wrong is said.
        let message = if findings.len() == found { text } else { violation.reason.into_owned() };
        self.violated(check, StatusReason::Forbidden, message, findings, Some(standard));
    }
}

impl From<Finding> for PolicyFinding {
    fn from(finding: Finding) -> Self {
        let change = Some(finding.change.to_string());
        Self { path: finding.path, value: finding.value, allowed: Some(finding.allowed), change }
    }
}
