//! The policies, exceptions and parameters that there are, fed by what is applied and deleted; a [`PolicySet`] of those that are in force.
//!
//! Each resource is compiled when it is applied, by itself: one that is wrong has its problems, and changes nothing for the others. A snapshot shares what
//! was compiled, so that making one costs little more than filing it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use portcullis_api::admission_policy::{self, AdmissionPolicy, ParamKind, ParamRef};
use portcullis_api::policy_exception::{self, PolicyException};
use portcullis_api::validating_admission_policy::{BINDING_KIND, POLICY_KIND, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use portcullis_api::yaml::PolicyResource;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compile::{Problem, bound_name, compile, compile_bound};
use super::exception::Exception;
use super::params::ParamStore;
use super::{Policy, PolicySet};

/// Whose exceptions count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// All: whoever gives the files answers for them.
    Everywhere,
    /// Those of these namespaces.
    Namespaces(BTreeSet<String>),
}

/// Names a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyKey {
    /// A policy of ours.
    Policy(String),
    /// A policy of Kubernetes.
    Validating(String),
    /// A binding of Kubernetes.
    Binding(String),
    /// An exception: namespace and name.
    Exception(String, String),
}

/// How a resource fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub key: PolicyKey,
    /// The generation that this is about.
    pub generation: Option<i64>,
    /// Why it is not in force; nothing where it is.
    pub problems: Vec<Problem>,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
}

/// What became of a resource.
#[derive(Debug)]
struct Compiled<T> {
    generation: Option<i64>,
    result: Result<Arc<T>, Vec<Problem>>,
    /// The kind of its parameters.
    params: Option<(ParamKind, ParamRef)>,
}

/// The objects of one kind.
#[derive(Debug)]
enum Objects {
    Known { objects: Vec<Arc<Value>>, cluster_scoped: bool },
    Unavailable(String),
}

/// Everything that was applied.
#[derive(Debug)]
pub struct Library {
    trust: Trust,
    policies: BTreeMap<String, Compiled<Policy>>,
    validating: BTreeMap<String, Result<ValidatingAdmissionPolicy, Vec<Problem>>>,
    bindings: BTreeMap<String, Result<ValidatingAdmissionPolicyBinding, Vec<Problem>>>,
    /// By the binding's name.
    bound: BTreeMap<String, Compiled<Policy>>,
    exceptions: BTreeMap<(String, String), Compiled<Exception>>,
    params: BTreeMap<ParamKind, Objects>,
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
                self.bindings.insert(name.clone(), Ok(*binding));
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
                Err(problems) => _ = self.policies.insert(name, unreadable(object, problems)),
            },
            policy_exception::KIND => match read::<PolicyException>(object) {
                Ok(exception) => self.apply_exception(&exception, now),
                Err(problems) => {
                    let key = (metadata("namespace").unwrap_or_default(), name);
                    self.exceptions.insert(key, unreadable(object, problems));
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
                    self.bound.remove(&name);
                    self.bindings.insert(name, Err(problems));
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
        let bindings = self.bindings.keys().cloned().map(PolicyKey::Binding);
        let exceptions = self.exceptions.keys().cloned().map(|(namespace, name)| PolicyKey::Exception(namespace, name));
        policies.chain(validating).chain(bindings).chain(exceptions).collect()
    }

    /// The kinds of objects that policies have as parameters: those that have to be followed.
    pub fn param_kinds(&self) -> BTreeSet<ParamKind> {
        self.policies
            .values()
            .chain(self.bound.values())
            .filter_map(|policy| policy.params.as_ref())
            .map(|(kind, _)| kind.clone())
            .collect()
    }

    /// Tells all objects of a kind that is followed.
    pub fn set_parameters(&mut self, kind: ParamKind, objects: Vec<Arc<Value>>, cluster_scoped: bool) {
        self.params.insert(kind, Objects::Known { objects, cluster_scoped });
    }

    /// Tells that the objects of a kind cannot be had: policies that need them are not in force.
    pub fn set_unavailable(&mut self, kind: ParamKind, why: String) {
        self.params.insert(kind, Objects::Unavailable(why));
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
        let compiled = self.policies.values().chain(self.bound.values());
        let policies = compiled.filter(|policy| self.missing(policy).is_none()).filter_map(|policy| policy.result.as_ref().ok().cloned());
        let exceptions = self.exceptions.values().filter_map(|exception| exception.result.as_ref().ok().cloned());
        PolicySet::new(policies.collect(), exceptions.collect(), Arc::new(store))
    }

    /// How every resource fares.
    pub fn entries(&self) -> Vec<Entry> {
        let of_policy = |key: PolicyKey, compiled: &Compiled<Policy>| Entry {
            key,
            generation: compiled.generation,
            problems: compiled.result.as_ref().err().cloned().unwrap_or_default().into_iter().chain(self.missing(compiled)).collect(),
            expires: None,
        };
        let mut entries: Vec<Entry> =
            self.policies.iter().map(|(name, compiled)| of_policy(PolicyKey::Policy(name.clone()), compiled)).collect();
        entries.extend(self.bound.iter().map(|(name, compiled)| of_policy(PolicyKey::Binding(name.clone()), compiled)));
        for (name, problems) in self.validating.iter().filter_map(|(name, policy)| Some((name, policy.as_ref().err()?))) {
            entries.push(Entry { key: PolicyKey::Validating(name.clone()), generation: None, problems: problems.clone(), expires: None });
        }
        for (name, problems) in self.bindings.iter().filter_map(|(name, binding)| Some((name, binding.as_ref().err()?))) {
            entries.push(Entry { key: PolicyKey::Binding(name.clone()), generation: None, problems: problems.clone(), expires: None });
        }
        entries.extend(self.exceptions.iter().map(|((namespace, name), exception)| Entry {
            key: PolicyKey::Exception(namespace.clone(), name.clone()),
            generation: exception.generation,
            problems: exception.result.as_ref().err().cloned().unwrap_or_default(),
            expires: exception.result.as_ref().ok().map(|exception| exception.expires()),
        }));
        entries
    }

    /// Why the parameters of a policy cannot be had.
    fn missing(&self, policy: &Compiled<Policy>) -> Option<Problem> {
        let (kind, _) = policy.params.as_ref().filter(|_| policy.result.is_ok())?;
        let message = match self.params.get(kind) {
            Some(Objects::Known { .. }) => return None,
            Some(Objects::Unavailable(why)) => format!("the parameters cannot be had: {why}"),
            None => "the parameters are not known yet".to_owned(),
        };
        Some(Problem { field: "spec.paramKind".to_owned(), message })
    }

    fn apply_policy(&mut self, policy: &AdmissionPolicy) {
        let name = policy.metadata.name.clone().unwrap_or_default();
        let params = policy.spec.param_kind.clone().zip(policy.spec.param_ref.clone());
        let compiled = Compiled { generation: policy.metadata.generation, result: compile(policy).map(Arc::new), params };
        self.policies.insert(name, compiled);
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
        let compiled = Compiled { generation: exception.metadata.generation, result, params: None };
        self.exceptions.insert((namespace, exception.metadata.name.clone().unwrap_or_default()), compiled);
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
        for (name, binding) in &self.bindings {
            let Some(binding) = binding.as_ref().ok().filter(|binding| is_meant(binding)) else { continue };
            let policy = self.validating.get(&binding.spec.policy_name);
            let of_policy = |message: String| vec![Problem { field: "spec.policyName".to_owned(), message }];
            let (result, kind) = match policy {
                Some(Ok(policy)) => (compile_bound(policy, binding).map(Arc::new), policy.spec.param_kind.clone()),
                Some(Err(problems)) => (Err(problems.clone()), None),
                None => (Err(of_policy(format!("there is no policy {:?}", binding.spec.policy_name))), None),
            };
            let params = kind.zip(binding.spec.param_ref.clone());
            self.bound.insert(name.clone(), Compiled { generation: binding.metadata.generation, result, params });
        }
    }

    /// The name under which exceptions and messages know what a binding puts in force.
    pub fn name_of_bound(policy: &str, binding: &str) -> String {
        bound_name(policy, binding)
    }
}

fn read<T: DeserializeOwned>(object: &Value) -> Result<T, Vec<Problem>> {
    T::deserialize(object).map_err(|error| vec![Problem { field: String::new(), message: error.to_string() }])
}

fn unreadable<T>(object: &Value, problems: Vec<Problem>) -> Compiled<T> {
    let generation = object.get("metadata").and_then(|metadata| metadata.get("generation")).and_then(Value::as_i64);
    Compiled { generation, result: Err(problems), params: None }
}
