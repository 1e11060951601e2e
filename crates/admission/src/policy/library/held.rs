//! What is held of one policy: its newest generation, and the one before where the newest cannot be in force.
//!
//! An edit with a mistake must not turn a policy off. So what was in force stays until a newer generation can take its place, or the policy is deleted. What
//! stays is in memory only: a program that starts anew knows the newest generation alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_api::admission_policy::ParamKind;
use serde_json::Value;

use super::{Policy, Problem};

/// The objects of one kind.
#[derive(Debug)]
pub(super) enum Objects {
    Known { objects: Vec<Arc<Value>>, cluster_scoped: bool },
    Unavailable(String),
}

/// What is known of each kind of parameters.
pub(super) type Kinds = BTreeMap<ParamKind, Objects>;

/// A generation that compiled.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) policy: Arc<Policy>,
    /// The kind of its parameters.
    pub(super) params: Option<ParamKind>,
    /// Whether its expressions name the namespace.
    pub(super) names_namespace: bool,
}

impl Ready {
    /// Why its parameters cannot be had; `None` where they can, or where it has none.
    fn missing(&self, kinds: &Kinds) -> Option<Problem> {
        let message = match kinds.get(self.params.as_ref()?) {
            Some(Objects::Known { .. }) => return None,
            Some(Objects::Unavailable(why)) => format!("the parameters cannot be had: {why}"),
            None => "the parameters are not known yet".to_owned(),
        };
        Some(Problem { field: "spec.paramKind".to_owned(), message })
    }
}

/// A policy.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) generation: Option<i64>,
    newest: Result<Ready, Vec<Problem>>,
    /// What is in force while the newest cannot be.
    before: Option<Ready>,
}

impl Held {
    /// A generation that takes the place of what was held before.
    pub(super) fn after(old: Option<Self>, generation: Option<i64>, newest: Result<Ready, Vec<Problem>>, kinds: &Kinds) -> Self {
        let mut held = Self { generation, newest, before: old.and_then(|old| old.into_last_good(kinds)) };
        held.settle(kinds);
        held
    }

    /// Forgets what was in force before once the newest is.
    pub(super) fn settle(&mut self, kinds: &Kinds) {
        if self.newest.as_ref().is_ok_and(|newest| newest.missing(kinds).is_none()) {
            self.before = None;
        }
    }

    /// Forgets what was compiled under this name: what it was made of is gone.
    pub(super) fn forget(&mut self, name: &str) {
        self.before.take_if(|before| before.policy.name == name);
        if self.newest.as_ref().is_ok_and(|newest| newest.policy.name == name) {
            self.newest = Err(Vec::new());
        }
    }

    pub(super) fn in_force(&self, kinds: &Kinds) -> Option<&Ready> {
        self.known().find(|ready| ready.missing(kinds).is_none())
    }

    /// Whether what is in force is not the newest.
    pub(super) fn is_kept(&self, kinds: &Kinds) -> bool {
        !self.problems(kinds).is_empty() && self.in_force(kinds).is_some()
    }

    /// Why the newest is not in force.
    pub(super) fn problems(&self, kinds: &Kinds) -> Vec<Problem> {
        match &self.newest {
            Ok(newest) => newest.missing(kinds).into_iter().collect(),
            Err(problems) => problems.clone(),
        }
    }

    /// What compiled, the newest first.
    pub(super) fn known(&self) -> impl Iterator<Item = &Ready> {
        self.newest.as_ref().ok().into_iter().chain(&self.before)
    }

    fn into_last_good(self, kinds: &Kinds) -> Option<Ready> {
        match (self.newest, self.before) {
            (Ok(newest), Some(before)) if newest.missing(kinds).is_some() => Some(before),
            (Ok(newest), _) => Some(newest),
            (Err(_), before) => before,
        }
    }
}
