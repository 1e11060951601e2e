//! All policies that are in force at one moment, immutable, filed under what they are for.
//!
//! A request asks for its resource and operation, and gets the policies that may be for it: all others cost nothing, however many there are. The file
//! knows groups, resources and operations; versions, subresources, names and scopes are left to the policy's own rules.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_api::admission_policy::OperationName;

use super::Policy;
use super::exception::Exception;
use super::params::ParamStore;
use super::rules::{Deed, is_meant};
use crate::review::Operation;

/// Every operation, in the order of a [`Shelf`].
const OPERATIONS: [Operation; 4] = [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect];

/// The policies for one resource, by operation.
type Shelf = [Vec<usize>; OPERATIONS.len()];

/// The policies that are in force.
#[derive(Debug, Default)]
pub struct PolicySet {
    policies: Vec<Arc<Policy>>,
    exceptions: Vec<Arc<Exception>>,
    params: Arc<ParamStore>,
    /// By group, then by resource; `*` for those that are for all.
    index: HashMap<String, HashMap<String, Shelf>>,
}

impl PolicySet {
    /// Policies in the order of their names.
    pub(super) fn new(mut policies: Vec<Arc<Policy>>, exceptions: Vec<Arc<Exception>>, params: Arc<ParamStore>) -> Self {
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        let mut index: HashMap<String, HashMap<String, Shelf>> = HashMap::new();
        for (number, policy) in policies.iter().enumerate() {
            // A binding narrows down what its policy is for, so the policy's own rules suffice.
            for rule in policy.constraints.first().into_iter().flat_map(|constraints| constraints.rules.included()) {
                for group in &rule.api_groups {
                    let resources = index.entry(group.clone()).or_default();
                    for resource in &rule.resources {
                        let resource = resource.split('/').next().unwrap_or_default();
                        let shelf = resources.entry(resource.to_owned()).or_default();
                        file(shelf, &rule.operations, number);
                    }
                }
            }
        }
        Self { policies, exceptions, params, index }
    }

    /// How many policies are in force.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The policies, in the order of their names.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter().map(AsRef::as_ref)
    }

    /// The policies that may be for one of the deeds, in the order of their names, each once.
    pub(super) fn candidates<'r>(&self, deeds: impl IntoIterator<Item = Deed<'r>>) -> Vec<&Policy> {
        let mut numbers: Vec<usize> = deeds.into_iter().flat_map(|deed| self.filed(deed)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| self.policies.get(number)).map(AsRef::as_ref).collect()
    }

    /// Whether a policy of this kind may be for one of the deeds.
    pub(super) fn has_candidate<'r>(&self, deeds: impl IntoIterator<Item = Deed<'r>>, is_meant: impl Fn(&Policy) -> bool) -> bool {
        let mut numbers = deeds.into_iter().flat_map(|deed| self.filed(deed));
        numbers.any(|number| self.policies.get(number).is_some_and(|policy| is_meant(policy)))
    }

    /// The numbers of the policies that may be for a deed, in no order, some more than once.
    fn filed(&self, deed: Deed<'_>) -> impl Iterator<Item = usize> {
        let groups = [deed.group, "*"].into_iter().filter_map(|group| self.index.get(group));
        let shelves = groups.flat_map(move |resources| [deed.resource, "*"].into_iter().filter_map(|resource| resources.get(resource)));
        shelves.flat_map(move |shelf| of_operation(shelf, deed.operation))
    }

    pub(super) fn exceptions(&self) -> &[Arc<Exception>] {
        &self.exceptions
    }

    pub(super) fn params(&self) -> &ParamStore {
        &self.params
    }
}

fn file(shelf: &mut Shelf, operations: &[OperationName], number: usize) {
    for (place, operation) in shelf.iter_mut().zip(OPERATIONS) {
        if operations.iter().any(|listed| is_meant(*listed, operation)) && place.last() != Some(&number) {
            place.push(number);
        }
    }
}

fn of_operation(shelf: &Shelf, operation: Operation) -> impl Iterator<Item = usize> {
    // One that is not known yet is judged as a creation.
    let operation = if operation == Operation::Other { Operation::Create } else { operation };
    shelf.iter().zip(OPERATIONS).filter(move |(_, filed)| *filed == operation).flat_map(|(numbers, _)| numbers).copied()
}
