//! The kinds that carry a pod, and where in them it is.

use serde_json::Value;

use crate::field::{FieldPath, Malformed};
use crate::pod::Pod;

/// A built-in kind whose objects are a pod or make pods from a template.
#[derive(Debug, PartialEq, Eq)]
pub struct Workload {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Plural name in the API.
    pub resource: &'static str,
    /// The fields from the object's root to its pod template; empty for a Pod, which is one itself.
    pub template: &'static [&'static str],
}

const SPEC_TEMPLATE: &[&str] = &["spec", "template"];

/// Pods and all that make them.
pub const WORKLOADS: &[Workload] = &[
    Workload { group: "", kind: "Pod", resource: "pods", template: &[] },
    Workload { group: "", kind: "PodTemplate", resource: "podtemplates", template: &["template"] },
    Workload { group: "", kind: "ReplicationController", resource: "replicationcontrollers", template: SPEC_TEMPLATE },
    Workload { group: "apps", kind: "ReplicaSet", resource: "replicasets", template: SPEC_TEMPLATE },
    Workload { group: "apps", kind: "Deployment", resource: "deployments", template: SPEC_TEMPLATE },
    Workload { group: "apps", kind: "StatefulSet", resource: "statefulsets", template: SPEC_TEMPLATE },
    Workload { group: "apps", kind: "DaemonSet", resource: "daemonsets", template: SPEC_TEMPLATE },
    Workload { group: "batch", kind: "Job", resource: "jobs", template: SPEC_TEMPLATE },
    Workload { group: "batch", kind: "CronJob", resource: "cronjobs", template: &["spec", "jobTemplate", "spec", "template"] },
];

impl Workload {
    /// The workload of an API resource. Its version does not matter: all that were ever served put the pod in the same place.
    pub fn of_resource(group: &str, resource: &str) -> Option<&'static Self> {
        WORKLOADS.iter().find(|workload| workload.group == group && workload.resource == resource)
    }

    /// The workload of a manifest's `apiVersion` and `kind`.
    pub fn of_kind(api_version: &str, kind: &str) -> Option<&'static Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        WORKLOADS.iter().find(|workload| workload.group == group && workload.kind == kind)
    }

    /// Whether the object is the pod itself.
    pub const fn is_pod(&self) -> bool {
        self.template.is_empty()
    }

    /// The resource as errors name it: `pods`, `deployments.apps`.
    pub fn qualified_resource(&self) -> String {
        if self.group.is_empty() { self.resource.to_owned() } else { format!("{}.{}", self.resource, self.group) }
    }

    /// The pod template in `object`, unread; the object itself if it is a Pod. `None` where the object has none.
    pub fn template_of<'d>(&self, object: &'d Value) -> Option<&'d Value> {
        self.template.iter().try_fold(object, |value, field| value.get(field)).filter(|template| !template.is_null())
    }

    /// Reads the pod in `object`. An object without a template reads as an empty pod: there is nothing in it to judge, and the API server refuses
    /// it where a template is required.
    ///
    /// # Errors
    /// A field that some check reads, or that leads to the template, has a type that it cannot have.
    pub fn read_pod<'d>(&self, object: &'d Value) -> Result<Pod<'d>, Malformed> {
        let mut value = object;
        let mut path = FieldPath::default();
        for field in self.template {
            if !value.is_object() && !value.is_null() {
                // Reading it as a pod names what is wrong with it.
                return Pod::read(Some(value), &path);
            }
            value = value.get(field).unwrap_or(&Value::Null);
            path = path.field(*field);
        }
        Pod::read(Some(value), &path)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_the_pod_of_every_kind_and_names_fields_as_the_author_wrote_them() {
        let pod = json!({"spec": {"hostPID": "x"}});
        for (api_version, kind, expected) in [
            ("v1", "Pod", "spec.hostPID"),
            ("v1", "PodTemplate", "template.spec.hostPID"),
            ("v1", "ReplicationController", "spec.template.spec.hostPID"),
            ("apps/v1", "ReplicaSet", "spec.template.spec.hostPID"),
            ("apps/v1", "Deployment", "spec.template.spec.hostPID"),
            ("apps/v1", "StatefulSet", "spec.template.spec.hostPID"),
            ("apps/v1", "DaemonSet", "spec.template.spec.hostPID"),
            ("batch/v1", "Job", "spec.template.spec.hostPID"),
            ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec.hostPID"),
        ] {
            let workload = Workload::of_kind(api_version, kind).unwrap();
            let object = workload.template.iter().rev().fold(pod.clone(), |inner, field| json!({ *field: inner }));
            let error = workload.read_pod(&object).unwrap_err();
            assert_eq!(error.path.to_string(), expected, "{kind}");
        }
    }

    #[test]
    fn tells_kinds_of_one_name_apart_by_their_group() {
        assert_eq!(Workload::of_kind("serving.example/v1", "Deployment"), None);
        assert_eq!(Workload::of_kind("apps/v1", "Pod"), None);
        assert_eq!(Workload::of_resource("apps", "deployments").map(|workload| workload.kind), Some("Deployment"));
        assert_eq!(Workload::of_resource("", "deployments"), None);
    }

    #[test]
    fn names_a_field_that_should_lead_to_the_template() {
        let workload = Workload::of_kind("apps/v1", "Deployment").unwrap();
        let error = workload.read_pod(&json!({"spec": {"template": "x"}})).unwrap_err();
        assert_eq!(error.to_string(), "spec.template: must be an object, is a string");
        let error = workload.read_pod(&json!({"spec": 3})).unwrap_err();
        assert_eq!(error.to_string(), "spec: must be an object, is a number");
        assert!(workload.read_pod(&json!({})).unwrap().containers.is_empty());
    }
}
