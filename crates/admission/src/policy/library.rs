//! The policies, exceptions and parameters that there are, fed by what is applied and deleted; a [`PolicySet`] of those that are in force.
//!
//! Each resource is compiled when it is applied, by itself: one that is wrong has its problems, and changes nothing for the others. A snapshot shares what
//! was compiled, so that making one costs little more than filing it.
//!
//! | an edit that is wrong | leaves in force |
//! |---|---|
//! | of a policy or a binding | what was in force before, until it is mended or deleted |
//! | of an exception | nothing: what was granted may be just what the edit was to take back |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use portcullis_api::admission_policy::{self, AdmissionPolicy, ParamKind};
use portcullis_api::policy_exception::{self, PolicyException};
use portcullis_api::validating_admission_policy::{BINDING_KIND, POLICY_KIND, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use portcullis_api::yaml::PolicyResource;
use serde::Serialize;
use serde_json::Value;

use super::applied::read;
use super::compile::{Problem, bound_name, compile, compile_bound};
use super::exception::Exception;
use super::params::ParamStore;
use super::{Policy, PolicySet};

mod entry;
mod held;
#[cfg(test)]
mod tests;

pub use entry::{Entry, PolicyKey};
use held::{Held, Kinds, Objects, Ready};

/// What expressions call the namespace.
const NAMESPACE_OBJECT: &str = "namespaceObject";

/// Whose exceptions count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// All: whoever gives the files answers for them.
    Everywhere,
    /// Those of these namespaces.
    Namespaces(BTreeSet<String>),
}

/// What became of an exception.
#[derive(Debug)]
struct Granted {
    generation: Option<i64>,
    result: Result<Arc<Exception>, Vec<Problem>>,
}

/// Everything that was applied.
#[derive(Debug)]
pub struct Library {
    trust: Trust,
    policies: BTreeMap<String, Held>,
    validating: BTreeMap<String, Result<ValidatingAdmissionPolicy, Vec<Problem>>>,
    /// Those that can be read.
    bindings: BTreeMap<String, ValidatingAdmissionPolicyBinding>,
    /// All bindings with their policies, by the binding's name.
    bound: BTreeMap<String, Held>,
    exceptions: BTreeMap<(String, String), Granted>,
    params: Kinds,
}

impl Library {
    /// Nothing is in it yet.
    pub fn new(trust: Trust) -> Self {
        Self {
            trust,
            policies: BTreeMap::new(),
            validating: BTreeMap::new(),
            bindings: BTreeMap::new(),
            bound: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            params: BTreeMap::new(),
        }
    }

    /// What files hold. Their exceptions are trusted, and the parameters that they do not hold cannot be had.
    pub fn of_files(resources: impl IntoIterator<Item = PolicyResource>, now: Timestamp) -> Self {
        let mut library = Self::new(Trust::Everywhere);
        for resource in resources {
            library.apply(resource, now);
        }
        for kind in library.param_kinds() {
            let missing = || Objects::Unavailable(format!("there is no {} of {} among the files", kind.kind, kind.api_version));
            library.params.entry(kind.clone()).or_insert_with(missing);
        }
        library
    }

    /// Takes in a resource, new or changed.
    pub fn apply(&mut self, resource: PolicyResource, now: Timestamp) {
        match resource {
            PolicyResource::Policy(policy) => self.apply_policy(&policy),
            PolicyResource::Validating(policy) => {
                let name = policy.metadata.name.clone().unwrap_or_default();
                self.validating.insert(name.clone(), Ok(*policy));
                self.bind_all(|binding| binding.spec.policy_name == name);
            }
            PolicyResource::Binding(binding) => {
                let name = binding.metadata.name.clone().unwrap_or_default();
                self.bindings.insert(name.clone(), *binding);
                self.bind_all(|binding| binding.metadata.name.as_ref() == Some(&name));
            }
            PolicyResource::Exception(exception) => self.apply_exception(&exception, now),
            PolicyResource::Parameter(object) => self.apply_parameter(object),
        }
    }

    /// Takes in a resource as the API server gives it. One that cannot be read has that as its problem.
    pub fn apply_object(&mut self, object: &Value, now: Timestamp) {
        let metadata = |field: &str| object.get("metadata")?.get(field)?.as_str().map(str::to_owned);
        let name = metadata("name").unwrap_or_default();
        match object.get("kind").and_then(Value::as_str).unwrap_or_default() {
            admission_policy::KIND => match read::<AdmissionPolicy>(object) {
                Ok(policy) => self.apply_policy(&policy),
                Err(problems) => hold(&mut self.policies, name, generation_of(object), Err(problems), &self.params),
            },
            policy_exception::KIND => match read::<PolicyException>(object) {
                Ok(exception) => self.apply_exception(&exception, now),
                Err(problems) => {
                    let key = (metadata("namespace").unwrap_or_default(), name);
                    self.exceptions.insert(key, Granted { generation: generation_of(object), result: Err(problems) });
                }
            },
            POLICY_KIND => match read::<ValidatingAdmissionPolicy>(object) {
                Ok(policy) => self.apply(PolicyResource::Validating(Box::new(policy)), now),
                Err(problems) => {
                    self.validating.insert(name.clone(), Err(problems));
                    self.bind_all(|binding| binding.spec.policy_name == name);
                }
            },
            BINDING_KIND => match read::<ValidatingAdmissionPolicyBinding>(object) {
                Ok(binding) => self.apply(PolicyResource::Binding(Box::new(binding)), now),
                Err(problems) => {
                    self.bindings.remove(&name);
                    hold(&mut self.bound, name, generation_of(object), Err(problems), &self.params);
                }
            },
            _ => self.apply_parameter(object.clone()),
        }
    }

    /// Forgets a resource.
    pub fn delete(&mut self, key: &PolicyKey) {
        match key {
            PolicyKey::Policy(name) => _ = self.policies.remove(name),
            PolicyKey::Validating(name) => {
                self.validating.remove(name);
                self.bound.iter_mut().for_each(|(binding, held)| held.forget(&bound_name(name, binding)));
                self.bind_all(|binding| binding.spec.policy_name == *name);
            }
            PolicyKey::Binding(name) => {
                self.bindings.remove(name);
                self.bound.remove(name);
            }
            PolicyKey::Exception(namespace, name) => _ = self.exceptions.remove(&(namespace.clone(), name.clone())),
        }
    }

    /// The names of everything of one kind, to find out what is gone.
    pub fn keys(&self) -> Vec<PolicyKey> {
        let policies = self.policies.keys().cloned().map(PolicyKey::Policy);
        let validating = self.validating.keys().cloned().map(PolicyKey::Validating);
        let bindings = self.bound.keys().cloned().map(PolicyKey::Binding);
        let exceptions = self.exceptions.keys().cloned().map(|(namespace, name)| PolicyKey::Exception(namespace, name));
        policies.chain(validating).chain(bindings).chain(exceptions).collect()
    }

    /// The kinds of objects that policies have as parameters: those that have to be followed.
    pub fn param_kinds(&self) -> BTreeSet<ParamKind> {
        self.held().flat_map(Held::known).filter_map(|ready| ready.params.clone()).collect()
    }

    /// Tells all objects of a kind that is followed.
    pub fn set_parameters(&mut self, kind: ParamKind, objects: Vec<Arc<Value>>, cluster_scoped: bool) {
        self.params.insert(kind, Objects::Known { objects, cluster_scoped });
        self.policies.values_mut().chain(self.bound.values_mut()).for_each(|held| held.settle(&self.params));
    }

    /// Tells that the objects of a kind cannot be had: policies that need them are not in force.
    pub fn set_unavailable(&mut self, kind: ParamKind, why: String) {
        self.params.insert(kind, Objects::Unavailable(why));
    }

    /// Whether a policy in force asks for the namespace of a request: by a selector, or in an expression.
    pub fn needs_namespaces(&self) -> bool {
        self.in_force().any(|ready| ready.names_namespace || ready.policy.constraints.iter().any(|of| !of.namespaces.is_empty()))
    }

    /// Those that are in force.
    pub fn snapshot(&self) -> PolicySet {
        let mut store = ParamStore::default();
        for (kind, objects) in &self.params {
            let Objects::Known { objects, cluster_scoped } = objects else { continue };
            store.set_known(kind.clone());
            if *cluster_scoped {
                store.set_cluster_scoped(kind.clone());
            }
            objects.iter().for_each(|object| store.insert(object));
        }
        let policies = self.in_force().map(|ready| Arc::clone(&ready.policy));
        let exceptions = self.exceptions.values().filter_map(|exception| exception.result.as_ref().ok().cloned());
        PolicySet::new(policies.collect(), exceptions.collect(), Arc::new(store))
    }

    /// How every resource fares.
    pub fn entries(&self) -> Vec<Entry> {
        let of_policy = |key: PolicyKey, held: &Held| Entry {
            key,
            generation: held.generation,
            problems: held.problems(&self.params),
            kept: held.is_kept(&self.params),
            expires: None,
        };
        let mut entries: Vec<Entry> = self.policies.iter().map(|(name, held)| of_policy(PolicyKey::Policy(name.clone()), held)).collect();
        entries.extend(self.bound.iter().map(|(name, held)| of_policy(PolicyKey::Binding(name.clone()), held)));
        for (name, problems) in self.validating.iter().filter_map(|(name, policy)| Some((name, policy.as_ref().err()?))) {
            let key = PolicyKey::Validating(name.clone());
            entries.push(Entry { key, generation: None, problems: problems.clone(), kept: false, expires: None });
        }
        entries.extend(self.exceptions.iter().map(|((namespace, name), exception)| Entry {
            key: PolicyKey::Exception(namespace.clone(), name.clone()),
            generation: exception.generation,
            problems: exception.result.as_ref().err().cloned().unwrap_or_default(),
            kept: false,
            expires: exception.result.as_ref().ok().map(|exception| exception.expires()),
        }));
        entries
    }

    fn held(&self) -> impl Iterator<Item = &Held> {
        self.policies.values().chain(self.bound.values())
    }

    fn in_force(&self) -> impl Iterator<Item = &Ready> {
        self.held().filter_map(|held| held.in_force(&self.params))
    }

    fn apply_policy(&mut self, policy: &AdmissionPolicy) {
        let name = policy.metadata.name.clone().unwrap_or_default();
        let params = policy.spec.param_kind.clone().filter(|_| policy.spec.param_ref.is_some());
        let newest = compile(policy).map(|compiled| ready(compiled, params, &policy.spec));
        hold(&mut self.policies, name, policy.metadata.generation, newest, &self.params);
    }

    fn apply_exception(&mut self, exception: &PolicyException, now: Timestamp) {
        let namespace = exception.metadata.namespace.clone().unwrap_or_default();
        let mut result = Exception::compile(exception, now).map(Arc::new);
        if let Trust::Namespaces(trusted) = &self.trust
            && !trusted.contains(&namespace)
        {
            let message = "exceptions of this namespace do not count: make it where the webhook was told to look";
            result = Err(vec![Problem { field: "metadata.namespace".to_owned(), message: message.to_owned() }]);
        }
        let granted = Granted { generation: exception.metadata.generation, result };
        self.exceptions.insert((namespace, exception.metadata.name.clone().unwrap_or_default()), granted);
    }

    fn apply_parameter(&mut self, object: Value) {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = ParamKind { api_version: text("apiVersion"), kind: text("kind") };
        let namespaced = object.get("metadata").and_then(|metadata| metadata.get("namespace")).is_some();
        match self.params.entry(kind).or_insert(Objects::Known { objects: Vec::new(), cluster_scoped: !namespaced }) {
            Objects::Known { objects, .. } => objects.push(Arc::new(object)),
            unavailable @ Objects::Unavailable(_) => {
                *unavailable = Objects::Known { objects: vec![Arc::new(object)], cluster_scoped: !namespaced }
            }
        }
    }

    /// Compiles the bindings that are meant, with their policies.
    fn bind_all(&mut self, is_meant: impl Fn(&ValidatingAdmissionPolicyBinding) -> bool) {
        for (name, binding) in self.bindings.iter().filter(|(_, binding)| is_meant(binding)) {
            let newest = match self.validating.get(&binding.spec.policy_name) {
                Some(Ok(policy)) => compile_bound(policy, binding).map(|compiled| {
                    let params = policy.spec.param_kind.clone().filter(|_| binding.spec.param_ref.is_some());
                    ready(compiled, params, &policy.spec)
                }),
                Some(Err(problems)) => Err(problems.clone()),
                None => {
                    let message = format!("there is no policy {:?}", binding.spec.policy_name);
                    Err(vec![Problem { field: "spec.policyName".to_owned(), message }])
                }
            };
            hold(&mut self.bound, name.clone(), binding.metadata.generation, newest, &self.params);
        }
    }

    /// The name under which exceptions and messages know what a binding puts in force.
    pub fn name_of_bound(policy: &str, binding: &str) -> String {
        bound_name(policy, binding)
    }
}

/// Takes in a generation of a policy. `newest` says what it compiled to, or why it did not.
fn hold(policies: &mut BTreeMap<String, Held>, name: String, generation: Option<i64>, newest: Result<Ready, Vec<Problem>>, kinds: &Kinds) {
    let held = Held::after(policies.remove(&name), generation, newest, kinds);
    policies.insert(name, held);
}

fn ready(policy: Policy, params: Option<ParamKind>, spec: &impl Serialize) -> Ready {
    // Where the name stands in a text of the policy's, the namespace is looked up for nothing.
    let names_namespace = serde_json::to_string(spec).is_ok_and(|text| text.contains(NAMESPACE_OBJECT));
    Ready { policy: Arc::new(policy), params, names_namespace }
}

fn generation_of(object: &Value) -> Option<i64> {
    object.get("metadata")?.get("generation")?.as_i64()
}
