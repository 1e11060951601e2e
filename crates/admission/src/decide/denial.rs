//! What a denied request is answered with.
//!
//! The message starts with the exact sentence of Pod Security Admission, so that people find it and tools match it; then one line a field: its path,
//! its value, what is allowed and what to change. The same fields are the `causes` of the Status, for programs.

use std::fmt::Write;

use crate::policy::PolicyViolation;
use crate::review::{AdmissionRequest, Status, StatusCause, StatusDetails, StatusReason};
use crate::standard::Standard;
use crate::violation::{Finding, Violation, summarise};
use crate::workload::Workload;

/// A message lists at most this many fields, so that it stays readable; the sentence before them always names every violation.
pub const MAX_FINDINGS_IN_MESSAGE: usize = 32;

/// A Status has at most this many causes, so that a hostile object cannot make an answer much larger than itself.
const MAX_CAUSES: usize = 256;

/// Why a request was denied.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// What the client is told.
    pub status: Status,
    /// The standard that was violated; `None` where the object could not be judged.
    pub standard: Option<Standard>,
    /// How.
    pub violations: Vec<Violation>,
    /// The policies that are violated, beside.
    pub policies: Vec<PolicyViolation>,
}

impl From<Status> for Denial {
    /// A denial for another reason than that a standard or a policy is violated.
    fn from(status: Status) -> Self {
        Self { status, standard: None, violations: Vec::new(), policies: Vec::new() }
    }
}

impl Denial {
    pub(super) fn violates(request: &AdmissionRequest, workload: &Workload, standard: Standard, violations: Vec<Violation>) -> Self {
        let resource = workload.qualified_resource();
        let name = request.object_name();
        let mut message = format!("{resource} {name:?} is forbidden: violates PodSecurity \"{standard}\": {}", summarise(&violations));
        append_findings(&mut message, &violations);
        let causes = violations.iter().flat_map(|violation| &violation.findings).take(MAX_CAUSES).map(cause).collect();
        let details = StatusDetails { name: name.to_owned(), group: workload.group.to_owned(), kind: workload.resource.to_owned(), causes };
        let status = Status::failure(StatusReason::Forbidden, message, Some(details));
        Self { status, standard: Some(standard), violations, policies: Vec::new() }
    }
}

fn append_findings(message: &mut String, violations: &[Violation]) {
    let findings = || violations.iter().flat_map(|violation| &violation.findings);
    for finding in findings().take(MAX_FINDINGS_IN_MESSAGE) {
        // Writing to a string does not fail.
        let _ = write!(message, "\n  {finding}");
    }
    let more = findings().count().saturating_sub(MAX_FINDINGS_IN_MESSAGE);
    if more > 0 {
        let _ = write!(message, "\n  and {more} more fields");
    }
}

fn cause(finding: &Finding) -> StatusCause {
    StatusCause {
        reason: if finding.value.is_some() { "FieldValueForbidden" } else { "FieldValueRequired" },
        message: finding.to_string(),
        field: finding.path.to_string(),
    }
}
