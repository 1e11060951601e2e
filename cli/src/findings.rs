//! What a judgement of many objects comes to: whatever they come from, and whatever the report looks like.

use portcullis_admission::policy::{PolicyViolation, Waiver};
use portcullis_admission::review::StatusReason;
use portcullis_admission::{Standard, Violation};
use serde_json::Value;

use crate::Status;
use crate::document::Lines;
use crate::judge::Judge;

/// Everything that was judged, and everything that could not be.
#[derive(Debug)]
pub struct Findings {
    /// Where the objects are from.
    pub origin: Origin,
    /// By what, in words: a standard, policies.
    pub judged_by: String,
    /// By which standard, if all by one.
    pub standard: Option<Standard>,
    /// The workloads and whatever else a policy is for, in the order in which they were read.
    pub workloads: Vec<Judged>,
    /// What could not be judged.
    pub errors: Vec<CheckError>,
    /// How many objects nothing is for.
    pub others: usize,
}

/// Where objects are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Files: `portcullis check`.
    Files,
    /// An API server: `portcullis scan`.
    Cluster,
}

impl Origin {
    /// The command that judges them.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Files => "check",
            Self::Cluster => "scan",
        }
    }
}

/// An object and its verdict.
#[derive(Debug)]
pub struct Judged {
    /// The file, or the path at the API server.
    pub source: String,
    /// Which object it is.
    pub identity: Identity,
    /// The line on which it starts, if known.
    pub line: Option<u64>,
    /// The standard that it was judged by, if by one.
    pub standard: Option<Standard>,
    /// How it violates the standard.
    pub violations: Vec<LocatedViolation>,
    /// How it violates policies.
    pub policies: Vec<LocatedPolicyViolation>,
    /// Which exceptions were used.
    pub waivers: Vec<Waiver>,
}

impl Judged {
    /// Whether it, or the pods that it makes, would be denied.
    pub fn violates(&self) -> bool {
        !self.violations.is_empty() || self.policies.iter().any(|located| located.violation.denies() || located.violation.denies_pods)
    }
}

/// What an object calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; empty if unset.
    pub namespace: String,
    /// `metadata.name`, or `metadata.generateName`; empty if unset.
    pub name: String,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        if self.namespace.is_empty() { write!(f, "{} {name}", self.kind) } else { write!(f, "{} {}/{name}", self.kind, self.namespace) }
    }
}

/// A violation, and the line of each of its findings, if known.
#[derive(Debug)]
pub struct LocatedViolation {
    /// What is wrong.
    pub violation: Violation,
    /// One for each finding.
    pub lines: Vec<Option<u64>>,
}

/// A violation of a policy, and the line of each of its findings, if known.
#[derive(Debug)]
pub struct LocatedPolicyViolation {
    /// What is wrong.
    pub violation: PolicyViolation,
    /// One for each finding.
    pub lines: Vec<Option<u64>>,
}

impl LocatedPolicyViolation {
    /// Policy and control, as `portcullis explain` takes them.
    pub fn id(&self) -> String {
        format!("{}:{}", self.violation.policy, self.violation.control)
    }

    /// Whether it is no violation, but a policy that could not be evaluated. A validation may be called `error`, but none has this reason.
    pub fn is_error(&self) -> bool {
        self.violation.reason == StatusReason::InternalError
    }

    /// What becomes of it, in a word.
    pub fn effect(&self) -> &'static str {
        use portcullis_api::admission_policy::Action;
        match () {
            () if self.violation.denies() => "deny",
            () if self.violation.denies_pods => "deny the pods",
            () if self.violation.actions.contains(&Action::Warn) => "warn",
            () => "audit",
        }
    }
}

/// Something that could not be judged.
#[derive(Debug)]
pub struct CheckError {
    /// The file, or the path at the API server.
    pub source: String,
    /// The line, if known.
    pub line: Option<u64>,
    /// Why.
    pub message: String,
}

impl Findings {
    /// Nothing yet, by `judge`.
    pub(crate) fn new(origin: Origin, judge: &Judge) -> Self {
        let judged_by = judge.to_string();
        Self { origin, judged_by, standard: judge.standard(), workloads: Vec::new(), errors: Vec::new(), others: 0 }
    }

    /// How many objects would be denied, or their pods.
    pub fn violating(&self) -> usize {
        self.workloads.iter().filter(|judged| judged.violates()).count()
    }

    /// What the shell is told.
    pub fn status(&self) -> Status {
        let is_unjudged = |judged: &Judged| judged.policies.iter().any(LocatedPolicyViolation::is_error);
        if !self.errors.is_empty() || self.workloads.iter().any(is_unjudged) {
            Status::Failed
        } else if self.violating() > 0 {
            Status::Violated
        } else {
            Status::Passed
        }
    }
}

impl Identity {
    /// What `object` calls itself; the kind of an element of a typed list may be left to the list.
    pub(crate) fn of(object: &Value, list: Option<&Self>) -> Option<Self> {
        let text = |field: &str| object.get(field).and_then(Value::as_str).map(str::to_owned);
        let metadata = |field: &str| object.get("metadata")?.get(field)?.as_str().map(str::to_owned);
        let inherited_kind = || list.and_then(|list| list.kind.strip_suffix("List")).filter(|kind| !kind.is_empty()).map(str::to_owned);
        let api_version = text("apiVersion").or_else(|| list.map(|list| list.api_version.clone()));
        Some(Self {
            kind: text("kind").or_else(inherited_kind)?,
            api_version: api_version?,
            namespace: metadata("namespace").unwrap_or_default(),
            name: metadata("name").or_else(|| metadata("generateName")).unwrap_or_default(),
        })
    }
}

pub(crate) fn locate(violation: Violation, lines: &Lines) -> LocatedViolation {
    let lines = violation.findings.iter().map(|finding| lines.of(&finding.path)).collect();
    LocatedViolation { violation, lines }
}

pub(crate) fn locate_policy(violation: PolicyViolation, lines: &Lines) -> LocatedPolicyViolation {
    let lines = violation.findings.iter().map(|finding| lines.of(&finding.path)).collect();
    LocatedPolicyViolation { violation, lines }
}
