//! What policies have to say about one request.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use portcullis_api::admission_policy::Action;
use serde_json::Value;

use crate::field::FieldPath;
use crate::review::StatusReason;
use crate::standard::Standard;

/// What policies have to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicyOutcome {
    /// What is violated, in the order of the policies' names.
    pub violations: Vec<PolicyViolation>,
    /// What would be violated, had nobody made an exception.
    pub waivers: Vec<Waiver>,
    /// Exceptions that would hold, had they not ended: `NAMESPACE/NAME`, and when they did.
    pub expired: BTreeMap<String, Timestamp>,
    /// What policies want noted: policy, key, value.
    pub annotations: Vec<(String, String, String)>,
    /// What became of each policy that was asked, for metrics.
    pub effects: BTreeMap<Effect, usize>,
    /// How many requests could not be judged by a policy that lets that pass.
    pub ignored_failures: usize,
}

/// What became of a policy that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing violates it.
    Allow,
    /// What violates it is noted.
    Audit,
    /// What violates it is answered with a warning.
    Warn,
    /// What violates it is denied.
    Deny,
    /// It could not be asked, and lets that pass.
    Ignore,
}

/// One control that is violated.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyViolation {
    /// The policy.
    pub policy: String,
    /// The control: a check's id, a validation's name, `error` where it could not be judged.
    pub control: String,
    /// The standard that the check is of.
    pub standard: Option<Standard>,
    /// What is wrong, in one line.
    pub message: String,
    /// The HTTP status of a denial.
    pub reason: StatusReason,
    /// What becomes of it.
    pub actions: BTreeSet<Action>,
    /// Whether it is a template's, which passes with a warning, and whose pods are denied.
    pub denies_pods: bool,
    /// The fields that are at fault, where they are known; [`MAX_FINDINGS`] at most.
    pub findings: Vec<PolicyFinding>,
    /// How many fields are at fault beside.
    pub more_findings: usize,
}

impl PolicyViolation {
    /// Whether it is refused.
    pub fn denies(&self) -> bool {
        self.actions.contains(&Action::Deny)
    }
}

/// So many fields of one violation are told: an object with thousands, judged by hundreds of policies, must not fill the memory.
pub const MAX_FINDINGS: usize = 256;

/// The name of the control where a policy could not be judged.
pub(crate) const ERROR: &str = "error";

/// One field that is at fault.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyFinding {
    /// Where it is, in the author's object.
    pub path: FieldPath,
    /// Its value, if it has one.
    pub value: Option<Value>,
    /// What it may be.
    pub allowed: Option<Cow<'static, str>>,
    /// What to do so that it passes.
    pub change: Option<String>,
}

/// The fields that are at fault, as many as are told.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) told: Vec<PolicyFinding>,
    pub(crate) more: usize,
}

impl Findings {
    pub(crate) fn add(&mut self, finding: impl FnOnce() -> PolicyFinding) {
        if self.told.len() < MAX_FINDINGS {
            self.told.push(finding());
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.told.len().saturating_add(self.more)
    }
}

/// One finding for which an exception was used.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Waiver {
    /// `NAMESPACE/NAME`.
    pub exception: String,
    /// Why it is needed.
    pub reason: String,
    /// The policy.
    pub policy: String,
    /// The control.
    pub control: String,
    /// The field; empty for the object as a whole.
    pub field: String,
}
