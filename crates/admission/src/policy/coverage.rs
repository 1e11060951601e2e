//! What the policies in force are for, taken together: what has to be asked of an API server so that none of them is passed over, and no more.
//!
//! Selectors, names of objects and exclusions are left out: what they leave out is asked for, and then passes. Versions of a rule are those of the
//! policies; an API server that is asked for one by `matchPolicy: Equivalent` sends the others, too.

use std::collections::BTreeMap;

use portcullis_api::admission_policy::{Action, OperationName, Scope};

use super::judge::OWN_GROUPS;
use super::{Policy, PolicySet};

/// The operations that `*` stands for.
const ALL_OPERATIONS: [OperationName; 4] = [OperationName::Create, OperationName::Update, OperationName::Delete, OperationName::Connect];

/// One operation on one resource, or on all that a pattern names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deeds {
    /// API group; `*` for all.
    pub group: String,
    /// Its version; `*` for all.
    pub version: String,
    /// As in a policy's rules: `pods`, `pods/exec`, `*`, `*/*`.
    pub resource: String,
    /// What is done; never `*`.
    pub operation: OperationName,
    /// Whether it is in a namespace. A Namespace is not.
    pub namespaced: bool,
}

impl Deeds {
    /// Whether all that `other` stands for is among these.
    pub fn include(&self, other: &Self) -> bool {
        let part = |own: &str, other: &str| own == "*" || own == other;
        let (resource, sub_resource) = split(&self.resource);
        let (other_resource, other_sub_resource) = split(&other.resource);
        part(&self.group, &other.group)
            && part(&self.version, &other.version)
            && part(resource, other_resource)
            && part(sub_resource, other_sub_resource)
            && self.operation == other.operation
            && self.namespaced == other.namespaced
    }

    /// Whether it names no single resource.
    pub fn is_pattern(&self) -> bool {
        self.group == "*" || self.resource.contains('*')
    }
}

fn split(resource: &str) -> (&str, &str) {
    resource.split_once('/').unwrap_or((resource, ""))
}

/// What policies are for, and whether what cannot be asked about must not pass: where some policy denies and fails closed.
pub type Coverage = BTreeMap<Deeds, bool>;

impl PolicySet {
    /// What all policies together are for. What no policy is ever asked about, such as Portcullis' own resources, is not in it.
    pub fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::new();
        for policy in self.policies() {
            let closed = policy.fails_closed() && policy.actions.contains(&Action::Deny);
            for deeds in deeds(policy) {
                *coverage.entry(deeds).or_default() |= closed;
            }
        }
        coverage
    }
}

/// A binding narrows down what its policy is for, so the policy's own rules suffice.
fn deeds(policy: &Policy) -> Vec<Deeds> {
    let mut all = Vec::new();
    for rule in policy.constraints.first().into_iter().flat_map(|constraints| constraints.rules.included()) {
        let operations = if rule.operations.contains(&OperationName::All) { &ALL_OPERATIONS[..] } else { &rule.operations };
        let scopes: &[bool] = match rule.scope {
            None | Some(Scope::All) => &[false, true],
            Some(Scope::Namespaced) => &[true],
            Some(Scope::Cluster) => &[false],
        };
        for group in rule.api_groups.iter().filter(|group| !OWN_GROUPS.contains(&group.as_str())) {
            for (version, resource) in rule.api_versions.iter().flat_map(|version| rule.resources.iter().map(move |name| (version, name))) {
                for (operation, namespaced) in operations.iter().flat_map(|operation| scopes.iter().map(move |scope| (operation, scope))) {
                    all.push(Deeds {
                        group: group.clone(),
                        version: version.clone(),
                        resource: resource.clone(),
                        operation: *operation,
                        namespaced: *namespaced,
                    });
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::super::{Library, Trust};
    use super::*;

    fn coverage(policies: &[Value]) -> Coverage {
        let mut library = Library::new(Trust::Everywhere);
        for (number, spec) in policies.iter().enumerate() {
            let mut spec = spec.clone();
            spec["validations"] = json!([{"expression": "true"}]);
            let name = format!("p{number}");
            let policy =
                json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy", "metadata": {"name": name}, "spec": spec});
            library.apply_object(&policy, Timestamp::UNIX_EPOCH);
        }
        assert!(library.entries().iter().all(|entry| entry.problems.is_empty()), "{:?}", library.entries());
        library.snapshot().coverage()
    }

    fn rules(rule: Value) -> Value {
        json!({"resourceRules": [rule]})
    }

    fn words(coverage: &Coverage) -> Vec<String> {
        let word = |(deeds, closed): (&Deeds, &bool)| {
            format!("{} {:?} {} {} {closed}", deeds.resource, deeds.operation, deeds.group, deeds.namespaced)
        };
        coverage.iter().map(word).collect()
    }

    #[test]
    fn is_the_union_of_all_rules_and_as_strict_as_the_strictest_policy() {
        let exec =
            json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CONNECT"], "resources": ["pods/exec"], "scope": "Namespaced"});
        let open = json!({"matchConstraints": rules(exec.clone()), "failurePolicy": "Ignore"});
        assert_eq!(words(&coverage(std::slice::from_ref(&open))), ["pods/exec Connect  true false"]);
        let warns = json!({"matchConstraints": rules(exec.clone()), "actions": ["warn"]});
        assert_eq!(words(&coverage(&[open.clone(), warns])), ["pods/exec Connect  true false"]);
        let denies = json!({"matchConstraints": rules(exec)});
        assert_eq!(words(&coverage(&[open, denies])), ["pods/exec Connect  true true"]);
    }

    #[test]
    fn every_operation_and_scope_is_named_and_what_is_never_judged_is_left_out() {
        let rule = json!({"apiGroups": ["", "portcullis.dev"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]});
        assert_eq!(coverage(&[json!({"matchConstraints": rules(rule)})]).len(), 8);
    }

    #[test]
    fn patterns_include_what_they_name() {
        let deeds = |group: &str, resource: &str| Deeds {
            group: group.to_owned(),
            version: "v1".to_owned(),
            resource: resource.to_owned(),
            operation: OperationName::Create,
            namespaced: true,
        };
        for (wide, narrow, expected) in [
            (("*", "*/*"), ("apps", "deployments/scale"), true),
            (("*", "*"), ("apps", "deployments"), true),
            (("*", "*"), ("apps", "deployments/scale"), false),
            (("", "pods/*"), ("", "pods/exec"), true),
            (("", "pods"), ("", "pods/exec"), false),
            (("", "*/*"), ("apps", "deployments"), false),
            (("", "pods"), ("", "*"), false),
        ] {
            assert_eq!(deeds(wide.0, wide.1).include(&deeds(narrow.0, narrow.1)), expected, "{wide:?} {narrow:?}");
        }
        let update = Deeds { operation: OperationName::Update, ..deeds("", "pods") };
        assert!(!deeds("*", "*/*").include(&update));
    }
}
