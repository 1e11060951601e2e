//! The Pod Security Standard of a policy, with exceptions for single findings.

use super::Asking;
use crate::checks::evaluate;
use crate::decide::{IGNORED_POD_SUBRESOURCES, is_significant, object_of};
use crate::policy::outcome::PolicyFinding;
use crate::review::{Operation, StatusReason};
use crate::standard::Standard;
use crate::violation::{Finding, Violation};

impl Asking<'_, '_, '_> {
    /// Judges the pod, unless there is none, or an update leaves it as it was.
    pub(super) fn judge_security(&mut self, standard: Standard) {
        let request = self.subject.request;
        let Some(workload) = self.subject.workload else { return };
        if workload.is_pod() && IGNORED_POD_SUBRESOURCES.contains(&request.sub_resource.as_str()) {
            return;
        }
        let object = match object_of(request, workload) {
            Ok(object) => object,
            Err(why) => {
                self.fail(&why);
                return;
            }
        };
        let pod = match workload.read_pod(object) {
            Ok(pod) => pod,
            Err(malformed) => {
                self.fail(&malformed.to_string());
                return;
            }
        };
        if request.operation == Operation::Update && !is_significant(workload, request.old_object.as_ref(), object, &pod) {
            return;
        }
        for violation in evaluate(standard, &pod) {
            self.judge_violation(standard, violation);
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
