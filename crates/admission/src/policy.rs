//! Policies: which requests each is for, what it says of them, and what is said in the answer.
//!
//! ```text
//!  AdmissionPolicy ─┐                     ┌─ what cannot be: every Problem, for the status; the others are not affected
//!  ValidatingAdm… + ├─► Library ─► compile┤
//!  its Binding     ─┘   (library)         └─► Policy ─┐
//!  PolicyException ────────────────────────► Exception ├─► PolicySet, immutable ──┐
//!  parameters ─────────────────────────────────────────┘   (set: by resource)     ▼
//!                                                    request ─► judge ─► PolicyOutcome ─► Decision
//!                                                                (judge)   (outcome)       (report)
//! ```
//!
//! What is looked at, in this order, as in Kubernetes: rules, selectors, parameters, match conditions; then the Pod Security Standard, the validations
//! and the audit annotations. A policy that is for another resource or operation is not touched by a request. Objects that are being deleted are
//! judged like others.
//!
//! A policy that matches the making of pods is asked about the pod that a workload would make, too, as if its author made it: see [`subject`].
//!
//! # What cannot be judged
//!
//! | what | answer |
//! |---|---|
//! | an expression that fails or costs too much, a parameter that is not there, a namespace that is not known | `failurePolicy`: `Fail` violates the policy, `Ignore` passes |
//! | the same in a match condition, while another is false | the policy is not for the request |
//! | an expression that fails on the pod of a template | a warning at most: the pod is judged when it is made |
//! | a message or its expression that cannot be had | the next best text |
//! | an exception that is expired or not valid, or of a namespace that is not trusted | allows nothing |
//! | a policy that does not compile | is refused when it is applied ([`applied`]); past that, is not in force, and says so; what was in force under its name before stays |
//!
//! What violates a policy has the policy's actions and never more: one that only warns does not deny where it fails.

pub(crate) mod applied;
pub(crate) mod compile;
mod coverage;
mod exception;
mod export;
mod expression;
mod glob;
mod judge;
mod library;
mod outcome;
mod params;
pub(crate) mod report;
mod rules;
mod selector;
mod set;
mod subject;

pub use compile::{Problem, compile};
pub use coverage::{Coverage, Deeds};
pub use exception::Exception;
pub use export::{Loss, export};
pub use judge::{OWN_GROUPS, Surroundings};
pub use library::{Entry, Library, PolicyKey, Trust};
pub use outcome::{Effect, MAX_FINDINGS, PolicyFinding, PolicyOutcome, PolicyViolation, Waiver};
pub use set::PolicySet;

use std::collections::BTreeSet;

use portcullis_api::admission_policy::{Action, FailurePolicy, TemplateAction};

use crate::checks::Demand;
use crate::standard::Standard;
use expression::Expressions;
use params::Params;
use rules::Rules;
use selector::Selector;

/// A policy that is ready to be asked.
#[derive(Debug)]
pub struct Policy {
    /// Its name; for one of Kubernetes, `POLICY/BINDING`.
    name: String,
    standard: Option<Standard>,
    /// What the standard demands.
    demands: Vec<Demand>,
    /// All have to match: a policy's own, and its binding's.
    constraints: Vec<Constraints>,
    params: Params,
    expressions: Expressions,
    failure: FailurePolicy,
    actions: BTreeSet<Action>,
    /// `None` where pods in workloads are not its business.
    templates: Option<TemplateAction>,
}

/// Which requests are meant.
#[derive(Debug, Default)]
struct Constraints {
    rules: Rules,
    namespaces: Selector,
    objects: Selector,
}

impl Policy {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What becomes of what violates it.
    pub fn actions(&self) -> &BTreeSet<Action> {
        &self.actions
    }

    /// The names of its controls, in order: ids of Pod Security checks, then validations.
    pub fn controls(&self) -> Vec<&str> {
        let checks = self.demands.iter().map(|demand| demand.check.id);
        checks.chain(self.expressions.controls()).collect()
    }
}
