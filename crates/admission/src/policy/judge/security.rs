//! The Pod Security Standard of a policy, with exceptions for single findings.

use super::Asking;
use crate::checks::JudgedPod;
use crate::decide::{IGNORED_POD_SUBRESOURCES, is_significant, object_of};
use crate::policy::outcome::{Findings, PolicyFinding};
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
                    self.judge_violation(standard, violation);
                }
            }
        }
    }

    fn judge_violation(&mut self, standard: Standard, violation: &Violation) {
        let (check, found) = (violation.check, violation.findings.len());
        let mut findings = Findings::default();
        for finding in &violation.findings {
            if !self.is_waived(check, self.subject.container_at(&finding.path), Some(&finding.path)) {
                findings.add(|| PolicyFinding::from(finding));
            }
        }
        let nobody_at_fault = found == 0 && !self.is_waived(check, None, None);
        if findings.len() == 0 && !nobody_at_fault {
            return;
        }
        // The sentence of Pod Security Admission names everybody; where an exception holds for some, only what is wrong is said.
        let message = if findings.len() == found { violation.to_string() } else { violation.reason.to_string() };
        self.violated(check, StatusReason::Forbidden, message, findings, Some(standard));
    }
}

impl From<&Finding> for PolicyFinding {
    fn from(finding: &Finding) -> Self {
        let Finding { path, value, allowed, change } = finding.clone();
        Self { path, value, allowed: Some(allowed), change: Some(change.to_string()) }
    }
}
