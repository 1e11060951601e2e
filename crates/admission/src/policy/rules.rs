//! Which requests a policy is for, by what is done to what: `resourceRules` and `excludeResourceRules`, with the meaning that Kubernetes gives them.

use portcullis_api::admission_policy::{MatchPolicy, MatchResources, OperationName, ResourceRule, Scope};

use crate::review::{AdmissionRequest, GroupVersionResource, Operation};

/// What is done to what: a request, or what would be done if a workload's pod were made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deed<'r> {
    pub(crate) operation: Operation,
    pub(crate) group: &'r str,
    pub(crate) version: &'r str,
    pub(crate) resource: &'r str,
    pub(crate) sub_resource: &'r str,
    pub(crate) namespace: &'r str,
    pub(crate) name: &'r str,
}

impl<'r> Deed<'r> {
    /// What the request does, by the version of the resource that the object has been converted to.
    pub(crate) fn of(request: &'r AdmissionRequest) -> Self {
        Self::on(request, &request.resource, &request.sub_resource)
    }

    /// What the client asked for, where that is another version of it.
    pub(crate) fn as_asked(request: &'r AdmissionRequest) -> Option<Self> {
        let resource = request.request_resource.as_ref().filter(|asked| **asked != request.resource)?;
        Some(Self::on(request, resource, request.request_sub_resource.as_deref().unwrap_or_default()))
    }

    fn on(request: &'r AdmissionRequest, resource: &'r GroupVersionResource, sub_resource: &'r str) -> Self {
        Self {
            operation: request.operation,
            group: &resource.group,
            version: &resource.version,
            resource: &resource.resource,
            sub_resource,
            namespace: &request.namespace,
            name: &request.name,
        }
    }

    fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.resource == "namespaces"
    }
}

/// The rules of one policy, or of its binding.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    rules: Vec<ResourceRule>,
    exclude: Vec<ResourceRule>,
    exact: bool,
}

impl Rules {
    pub(crate) fn new(resources: &MatchResources) -> Self {
        Self {
            rules: resources.resource_rules.clone(),
            exclude: resources.exclude_resource_rules.clone(),
            exact: resources.match_policy == Some(MatchPolicy::Exact),
        }
    }

    /// What the index of all policies files them under.
    pub(crate) fn included(&self) -> &[ResourceRule] {
        &self.rules
    }

    /// Whether the request is meant. Without rules, as bindings may be, everything is that is not excluded.
    pub(crate) fn match_request(&self, request: &AdmissionRequest) -> bool {
        let deed = Deed::of(request);
        match Deed::as_asked(request) {
            None => self.matches(&deed),
            Some(asked) if self.exact => self.matches(&asked),
            Some(asked) => self.matches(&deed) || self.matches(&asked),
        }
    }

    /// Whether the deed is meant.
    pub(crate) fn matches(&self, deed: &Deed<'_>) -> bool {
        (self.rules.is_empty() || self.rules.iter().any(|rule| matches(rule, deed))) && !self.exclude.iter().any(|rule| matches(rule, deed))
    }
}

fn matches(rule: &ResourceRule, deed: &Deed<'_>) -> bool {
    one_of(&rule.api_groups, deed.group)
        && one_of(&rule.api_versions, deed.version)
        && rule.operations.iter().any(|operation| is_meant(*operation, deed.operation))
        && rule.resources.iter().any(|resource| names(resource, deed))
        && (rule.resource_names.is_empty() || rule.resource_names.iter().any(|name| name == deed.name))
        && in_scope(rule.scope, deed)
}

fn one_of(values: &[String], value: &str) -> bool {
    values.iter().any(|listed| listed == "*" || listed == value)
}

/// An operation that is not known yet is meant wherever a creation is: it is judged as one.
pub(crate) fn is_meant(listed: OperationName, operation: Operation) -> bool {
    matches!(
        (listed, operation),
        (OperationName::All, _)
            | (OperationName::Create, Operation::Create | Operation::Other)
            | (OperationName::Update, Operation::Update)
            | (OperationName::Delete, Operation::Delete)
            | (OperationName::Connect, Operation::Connect)
    )
}

fn names(listed: &str, deed: &Deed<'_>) -> bool {
    let (resource, sub_resource) = listed.split_once('/').unwrap_or((listed, ""));
    (resource == "*" || resource == deed.resource) && (sub_resource == "*" || sub_resource == deed.sub_resource)
}

fn in_scope(scope: Option<Scope>, deed: &Deed<'_>) -> bool {
    // A request for a Namespace carries its name as the namespace, and is of no namespace all the same.
    let namespaced = !deed.is_namespace() && !deed.namespace.is_empty();
    match scope {
        None | Some(Scope::All) => true,
        Some(Scope::Namespaced) => namespaced,
        Some(Scope::Cluster) => !namespaced,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DEED: Deed<'_> = Deed {
        operation: Operation::Create,
        group: "apps",
        version: "v1",
        resource: "deployments",
        sub_resource: "",
        namespace: "shop",
        name: "web",
    };

    fn rule(change: Value) -> Rules {
        let mut rule = json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]});
        rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Rules { rules: vec![serde_json::from_value(rule).unwrap()], ..Rules::default() }
    }

    #[test]
    fn matches_where_every_part_does() {
        assert!(rule(json!({})).matches(&DEED));
        for (change, matched) in [
            (json!({"apiGroups": ["*"]}), true),
            (json!({"apiGroups": [""]}), false),
            (json!({"apiVersions": ["v1beta1"]}), false),
            (json!({"operations": ["*"]}), true),
            (json!({"operations": ["UPDATE", "DELETE", "CONNECT"]}), false),
            (json!({"resources": ["*"]}), true),
            (json!({"resources": ["pods", "deployments/*"]}), true),
            (json!({"resources": ["deployments/scale", "*/scale"]}), false),
            (json!({"resourceNames": ["web"]}), true),
            (json!({"resourceNames": ["other"]}), false),
            (json!({"scope": "Namespaced"}), true),
            (json!({"scope": "Cluster"}), false),
        ] {
            assert_eq!(rule(change.clone()).matches(&DEED), matched, "{change}");
        }
    }

    #[test]
    fn a_subresource_is_meant_only_where_a_rule_says_so() {
        let scale = Deed { sub_resource: "scale", operation: Operation::Update, ..DEED };
        for (resource, matched) in
            [("deployments", false), ("*", false), ("deployments/*", true), ("*/*", true), ("*/scale", true), ("deployments/status", false)]
        {
            assert_eq!(rule(json!({"resources": [resource], "operations": ["*"]})).matches(&scale), matched, "{resource}");
        }
    }

    #[test]
    fn a_namespace_is_of_the_cluster_though_its_request_names_a_namespace() {
        let namespace = Deed { group: "", resource: "namespaces", ..DEED };
        let cluster = rule(json!({"apiGroups": [""], "resources": ["namespaces"], "scope": "Cluster"}));
        assert!(cluster.matches(&namespace));
    }

    #[test]
    fn an_exclusion_wins() {
        let mut rules = rule(json!({"resources": ["*"]}));
        rules.exclude = rule(json!({"resourceNames": ["web"]})).rules;
        assert!(!rules.matches(&DEED) && rules.matches(&Deed { name: "other", ..DEED }));
    }

    #[test]
    fn exact_looks_at_what_the_client_asked_for_and_equivalent_at_both() {
        let request: AdmissionRequest = serde_json::from_value(json!({
            "operation": "CREATE", "namespace": "shop", "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "requestResource": {"group": "apps", "version": "v1beta1", "resource": "deployments"}, "requestSubResource": ""}))
        .unwrap();
        let rules = |versions: Value, exact| Rules { exact, ..rule(json!({ "apiVersions": versions })) };
        assert!(rules(json!(["v1"]), false).match_request(&request) && rules(json!(["v1beta1"]), false).match_request(&request));
        assert!(!rules(json!(["v1"]), true).match_request(&request) && rules(json!(["v1beta1"]), true).match_request(&request));
    }
}
