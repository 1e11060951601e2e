//! What the API server is told to ask about: what carries pods, always; and what else policies are for, as long as they are.
//!
//! ```text
//!  WORKLOADS ───────────────────────────────► rules of the two webhooks between which a namespace chooses
//!  Coverage ─ what those have: nothing more      ▲
//!           ─ in a namespace, denied by a policy ┘ that fails closed
//!           ─ all else ─────────────────────► rules of a third webhook, which fails open
//! ```
//!
//! What is in no namespace has no namespace whose label could choose, and people must be able to mend a cluster whose webhook is dead: it fails open.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_admission::WORKLOADS;
use portcullis_admission::policy::{Coverage, Deeds};
use portcullis_api::admission_policy::OperationName;
use serde_json::{Value, json};

/// The subresources of pods that change a spec.
pub(super) const POD_SUBRESOURCES: [&str; 2] = ["pods/ephemeralcontainers", "pods/resize"];

/// Resources whose rules are never registered. A policy that names all is not asked about them either: see [`conditions`](super::conditions).
///
/// Leases are how nodes and controllers say that they live; a review of who somebody is and what they may do is how everything else is decided, and is
/// not stored.
pub(super) const NEVER: [(&str, &str); 3] =
    [("coordination.k8s.io", "leases"), ("authentication.k8s.io", "*"), ("authorization.k8s.io", "*")];

/// All operations.
const OPERATIONS: [OperationName; 4] = [OperationName::Create, OperationName::Update, OperationName::Delete, OperationName::Connect];

/// The rules of all webhooks, as a configuration has them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rules {
    /// Of those between which the namespace chooses.
    pub(super) chosen: Value,
    /// Of the one that fails open; empty where there is nothing to ask it.
    pub(super) open: Vec<Value>,
}

impl Rules {
    /// The rules for what policies are for beside pods. `namespace_labels` says whether changes of namespaces are asked about anyway.
    pub(super) fn new(coverage: &Coverage, namespace_labels: bool) -> Self {
        let base = base(namespace_labels);
        let missing = |deeds: &&Deeds| !is_never(deeds) && !base.iter().any(|known| known.include(&any_version(deeds)));
        let closed = |deeds: &&Deeds| deeds.namespaced && coverage.get(*deeds).copied().unwrap_or_default();
        let (closed, open): (Vec<&Deeds>, Vec<&Deeds>) = coverage.keys().filter(missing).partition(closed);
        // What is asked for already, because another policy fails closed, is not asked for twice.
        let open = open.into_iter().filter(|deeds| !closed.iter().any(|wide| wide.include(deeds)));
        let open = rules(&open.collect::<Vec<_>>());
        let mut chosen = workloads();
        chosen.extend(rules(&closed));
        Self { chosen: Value::Array(chosen), open }
    }
}

/// Whatever the version: the API server converts what it is asked about to the one that is registered.
fn any_version(deeds: &Deeds) -> Deeds {
    Deeds { version: "v1".to_owned(), ..deeds.clone() }
}

fn is_never(deeds: &Deeds) -> bool {
    let resource = deeds.resource.split('/').next().unwrap_or_default();
    NEVER.iter().any(|(group, name)| *group == deeds.group && (*name == "*" || *name == resource))
}

/// What is asked about without any policy.
fn base(namespace_labels: bool) -> Vec<Deeds> {
    let deeds = |group: &str, resource: &str, operation: OperationName, namespaced: bool| Deeds {
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        operation,
        namespaced,
    };
    let both = [OperationName::Create, OperationName::Update];
    let workloads = WORKLOADS.iter().flat_map(|workload| both.map(|operation| (workload.group, workload.resource, operation)));
    // They are only ever updated.
    let subresources = POD_SUBRESOURCES.iter().flat_map(|resource| both.map(|operation| ("", *resource, operation)));
    // A rule for both scopes asks for pods that are in no namespace, of which there are none.
    let mut base: Vec<Deeds> = workloads
        .chain(subresources)
        .flat_map(|(group, resource, operation)| [true, false].map(|namespaced| deeds(group, resource, operation, namespaced)))
        .collect();
    if namespace_labels {
        base.extend(both.map(|operation| deeds("", "namespaces", operation, false)));
    }
    // Nor are there any in one.
    base.extend(OPERATIONS.map(|operation| deeds("", "namespaces", operation, true)));
    base
}

/// Everything that carries a pod, group by group.
pub(super) fn workloads() -> Vec<Value> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for workload in WORKLOADS {
        groups.entry(workload.group).or_default().push(workload.resource);
    }
    let rule = |group: &str, resources: &[&str], operations: &[&str]| json!({"apiGroups": [group], "apiVersions": ["v1"], "resources": resources, "operations": operations, "scope": "Namespaced"});
    let mut rules: Vec<Value> = groups.iter().map(|(group, resources)| rule(group, resources, &["CREATE", "UPDATE"])).collect();
    rules.push(rule("", &POD_SUBRESOURCES, &["UPDATE"]));
    rules
}

/// A rule that holds for several resources, but for their names.
type Shape = (String, String, bool, BTreeSet<OperationName>);

/// As few rules as say the same. A pattern has a rule of its own: the API server takes no other resource beside one that it includes.
fn rules(deeds: &[&Deeds]) -> Vec<Value> {
    let mut operations: BTreeMap<(&str, &str, bool, &str), BTreeSet<OperationName>> = BTreeMap::new();
    for deeds in deeds {
        let key = (deeds.group.as_str(), deeds.version.as_str(), deeds.namespaced, deeds.resource.as_str());
        operations.entry(key).or_default().insert(deeds.operation);
    }
    let mut shapes: BTreeMap<Shape, Vec<&str>> = BTreeMap::new();
    let mut rules = Vec::new();
    for ((group, version, namespaced, resource), operations) in operations {
        let shape = (group.to_owned(), version.to_owned(), namespaced, operations);
        if resource.contains('*') { rules.push(rule(&shape, &[resource])) } else { shapes.entry(shape).or_default().push(resource) }
    }
    rules.extend(shapes.iter().map(|(shape, resources)| rule(shape, resources)));
    rules
}

fn rule((group, version, namespaced, operations): &Shape, resources: &[&str]) -> Value {
    let scope = if *namespaced { "Namespaced" } else { "Cluster" };
    json!({"apiGroups": [group], "apiVersions": [version], "resources": resources, "operations": operations, "scope": scope})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deeds(group: &str, resource: &str, operation: OperationName, namespaced: bool) -> Deeds {
        Deeds { group: group.to_owned(), version: "v1".to_owned(), resource: resource.to_owned(), operation, namespaced }
    }

    fn resources(rules: &[Value]) -> Vec<String> {
        rules.iter().map(|rule| format!("{} {} {}", rule["resources"], rule["operations"], rule["scope"])).collect()
    }

    fn more(rules: &Rules) -> Vec<Value> {
        rules.chosen.as_array().unwrap().get(workloads().len()..).unwrap().to_vec()
    }

    #[test]
    fn what_carries_pods_is_asked_for_once() {
        let pods = [OperationName::Create, OperationName::Update].map(|operation| (deeds("", "pods", operation, true), true));
        let rules = Rules::new(&pods.into(), true);
        assert!(more(&rules).is_empty() && rules.open.is_empty(), "{rules:?}");
        let deletions = Rules::new(&[(deeds("", "pods", OperationName::Delete, true), true)].into(), true);
        assert_eq!(resources(&more(&deletions)), [r#"["pods"] ["DELETE"] "Namespaced""#]);
    }

    #[test]
    fn what_some_policy_denies_is_chosen_by_the_namespace_and_all_else_fails_open() {
        let connect = OperationName::Connect;
        let coverage = [
            (deeds("", "pods/exec", connect, true), true),
            (deeds("", "pods/attach", connect, true), true),
            (deeds("", "configmaps", OperationName::Create, true), false),
            (deeds("", "configmaps", OperationName::Update, true), false),
            (deeds("", "nodes/proxy", connect, false), true),
        ];
        let rules = Rules::new(&coverage.into(), true);
        assert_eq!(resources(&more(&rules)), [r#"["pods/attach","pods/exec"] ["CONNECT"] "Namespaced""#]);
        assert_eq!(
            resources(&rules.open),
            [r#"["nodes/proxy"] ["CONNECT"] "Cluster""#, r#"["configmaps"] ["CREATE","UPDATE"] "Namespaced""#]
        );
    }

    #[test]
    fn changes_of_namespaces_are_asked_for_once() {
        let coverage: Coverage = [(deeds("", "namespaces", OperationName::Create, false), true)].into();
        assert!(Rules::new(&coverage, true).open.is_empty());
        assert_eq!(resources(&Rules::new(&coverage, false).open), [r#"["namespaces"] ["CREATE"] "Cluster""#]);
    }

    #[test]
    fn what_would_lock_a_cluster_up_is_never_asked_for() {
        let coverage = [
            (deeds("coordination.k8s.io", "leases", OperationName::Update, true), true),
            (deeds("authorization.k8s.io", "subjectaccessreviews", OperationName::Create, false), true),
        ];
        let rules = Rules::new(&coverage.into(), true);
        assert!(more(&rules).is_empty() && rules.open.is_empty(), "{rules:?}");
    }

    #[test]
    fn a_pattern_has_a_rule_of_its_own_and_swallows_what_fails_open() {
        let coverage = [
            (deeds("*", "*/*", OperationName::Create, true), true),
            (deeds("", "secrets", OperationName::Create, true), true),
            (deeds("", "configmaps", OperationName::Create, true), false),
        ];
        let rules = Rules::new(&coverage.into(), true);
        assert_eq!(resources(&more(&rules)), [r#"["*/*"] ["CREATE"] "Namespaced""#, r#"["secrets"] ["CREATE"] "Namespaced""#]);
        assert!(rules.open.is_empty(), "{rules:?}");
    }
}
