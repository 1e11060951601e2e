//! What is never sent, whatever the rules say: match conditions, which the API server evaluates before it calls.
//!
//! A condition that cannot be evaluated would deny where the webhook fails closed, so each looks at what is always there first.

use portcullis_admission::WORKLOADS;
use portcullis_admission::policy::OWN_GROUPS;
use serde_json::{Value, json};

use super::rules::{NEVER, POD_SUBRESOURCES};

/// The conditions of every webhook; all have to hold.
pub(super) fn all() -> Value {
    json!([
        {"name": "not-of-a-node", "expression": not_of_a_node()},
        {"name": "not-needed-to-live", "expression": not_needed_to_live()},
    ])
}

/// A node's own deeds, such as its heartbeats, the status and the end of its pods, and tokens for them, are bounded by the API server's authorizer for
/// nodes. What carries pods is sent all the same but for the kubelet's word that a pod runs already, from a file on the node: denying that would
/// only hide it. Only nodes are believed: others write what annotation they like.
fn not_of_a_node() -> String {
    let quoted = |words: &mut dyn Iterator<Item = &str>| words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    let resources = quoted(&mut WORKLOADS.iter().map(|workload| workload.resource));
    let subresources = quoted(&mut POD_SUBRESOURCES.iter().filter_map(|resource| Some(resource.split_once('/')?.1)).chain([""]));
    let makes_pods = format!(
        "request.operation in ['CREATE', 'UPDATE'] && request.resource.resource in [{resources}] && \
         (!has(request.subResource) || request.subResource in [{subresources}])"
    );
    let is_mirror = "has(object.metadata.annotations) && 'kubernetes.io/config.mirror' in object.metadata.annotations";
    format!("!(has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups && (!({makes_pods}) || ({is_mirror})))")
}

fn not_needed_to_live() -> String {
    let never = NEVER.iter().map(|(group, resource)| match *resource {
        "*" => format!("request.resource.group == '{group}'"),
        resource => format!("(request.resource.group == '{group}' && request.resource.resource == '{resource}')"),
    });
    let own = OWN_GROUPS.iter().map(|group| format!("request.resource.group == '{group}'"));
    format!("!({})", never.chain(own).collect::<Vec<_>>().join(" || "))
}

#[cfg(test)]
mod tests {
    use portcullis_cel::{Bindings, Budget, Environment, Expected, Program, Value as CelValue};

    use super::*;

    /// Whether a request is sent, by the CEL of Kubernetes; an error is one.
    fn is_sent(groups: Value, operation: &str, group: &str, resource: &str, sub_resource: Option<&str>, object: Value) -> bool {
        let mut request = json!({"userInfo": {"groups": groups}, "operation": operation, "resource": {"group": group, "version": "v1", "resource": resource}});
        if let Some(sub_resource) = sub_resource {
            request["subResource"] = json!(sub_resource);
        }
        let holds = |condition: &Value| {
            let source = condition["expression"].as_str().unwrap();
            let program = Program::compile(source, &Environment::admission(), Expected::Bool).unwrap();
            let mut bindings = Bindings::new();
            bindings.bind("request", &request).bind("object", &object);
            match program.evaluate(&bindings, &mut Budget::of(1_000_000, 1_000_000)) {
                Ok(CelValue::Bool(holds)) => holds,
                other => panic!("{source}: {other:?}"),
            }
        };
        all().as_array().unwrap().iter().all(holds)
    }

    #[test]
    fn of_a_node_only_what_carries_pods_is_sent_and_no_mirror_pod() {
        let node = || json!(["system:nodes", "system:authenticated"]);
        let mirror = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}});
        let pod = json!({"metadata": {"name": "x"}});
        for (operation, group, resource, sub_resource, object, expected) in [
            ("CREATE", "", "pods", None, &mirror, false),
            ("CREATE", "", "pods", None, &pod, true),
            ("UPDATE", "", "pods", Some("ephemeralcontainers"), &pod, true),
            ("UPDATE", "", "pods", Some("status"), &pod, false),
            ("DELETE", "", "pods", None, &Value::Null, false),
            ("UPDATE", "", "nodes", Some("status"), &pod, false),
            ("CREATE", "apps", "deployments", Some(""), &pod, true),
            ("CREATE", "", "events", None, &pod, false),
        ] {
            let sent = is_sent(node(), operation, group, resource, sub_resource, object.clone());
            assert_eq!(sent, expected, "{operation} {resource} {sub_resource:?}");
            let others = is_sent(json!(["system:authenticated"]), operation, group, resource, sub_resource, object.clone());
            assert!(others, "{operation} {resource} {sub_resource:?}");
        }
        assert!(is_sent(json!([]), "CONNECT", "", "pods", Some("exec"), json!({"command": ["sh"]})));
    }

    #[test]
    fn what_a_cluster_lives_by_is_never_sent() {
        let somebody = || json!(["system:authenticated"]);
        for (group, resource, expected) in [
            ("coordination.k8s.io", "leases", false),
            ("authentication.k8s.io", "tokenreviews", false),
            ("authorization.k8s.io", "subjectaccessreviews", false),
            ("portcullis.dev", "admissionpolicies", false),
            ("admissionregistration.k8s.io", "validatingwebhookconfigurations", false),
            ("coordination.k8s.io", "leasecandidates", true),
            ("", "configmaps", true),
        ] {
            assert_eq!(is_sent(somebody(), "UPDATE", group, resource, None, json!({})), expected, "{resource}.{group}");
        }
    }
}
