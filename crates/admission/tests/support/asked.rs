//! A request, the policies that are asked about it, and the decision.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis_admission::policy::{Library, PolicySet, Surroundings, Trust};
use portcullis_admission::{AdmissionRequest, Decision, Exemptions, Settings, Standards, Templates, admit};
use portcullis_api::load_policies;
use serde_json::{Value, json};

/// A request and what goes with it, in the namespace `shop`.
pub(crate) struct Asked {
    pub(crate) request: AdmissionRequest,
    pub(crate) settings: Settings,
    pub(crate) namespace: Result<Option<Value>, String>,
    pub(crate) now: Timestamp,
}

#[allow(dead_code, reason = "each test needs a part of it")]
impl Asked {
    pub(crate) fn of(request: Value) -> Self {
        let mut fields = json!({"uid": "u", "operation": "CREATE", "namespace": "shop", "name": "web",
            "userInfo": {"username": "dev", "groups": ["developers"]}});
        fields.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        let labels: BTreeMap<&str, &str> = [("environment", "production"), ("kubernetes.io/metadata.name", "shop")].into();
        Self {
            request: serde_json::from_value(fields).unwrap(),
            settings: Settings {
                defaults: Standards::enforcing("privileged".parse().unwrap()),
                exemptions: Exemptions::default(),
                templates: Templates::Enforce,
            },
            namespace: Ok(Some(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}))),
            now: "2026-11-25T00:00:00Z".parse().unwrap(),
        }
    }

    pub(crate) fn pod(pod: Value) -> Self {
        Self::of(json!({"object": pod, "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"}}))
    }

    pub(crate) fn deployment(template: Value) -> Self {
        Self::of(json!({"object": {"metadata": {"name": "web"}, "spec": {"replicas": 1, "template": template}},
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"}}))
    }

    pub(crate) fn update_from(&mut self, old: Value) {
        self.request.operation = "UPDATE".to_owned().into();
        self.request.old_object = Some(old);
    }

    pub(crate) fn by(&self, yaml: &str) -> Decision {
        self.by_set(&policies(yaml))
    }

    pub(crate) fn by_set(&self, set: &PolicySet) -> Decision {
        let namespace = self.namespace.as_ref().map(Option::as_ref).map_err(String::as_str);
        let surroundings = Surroundings { namespace, now: self.now, deadline: None };
        admit(&self.request, &self.settings, &self.settings.defaults.into(), set, &surroundings)
    }
}

/// The policies of a file, all of which have to be in force.
pub(crate) fn policies(yaml: &str) -> PolicySet {
    let library = Library::of_files(load_policies("policies.yaml", yaml).unwrap(), "2026-11-25T00:00:00Z".parse().unwrap());
    for entry in library.entries() {
        assert!(entry.problems.is_empty(), "{:?}: {:?}", entry.key, entry.problems);
    }
    library.snapshot()
}

/// Objects as the API server gives them, valid or not; exceptions are trusted in the namespace `security`.
#[allow(dead_code, reason = "each test needs a part of it")]
pub(crate) fn library_of_objects(objects: &[&str]) -> Library {
    let mut library = Library::new(Trust::Namespaces(["security".to_owned()].into()));
    for object in objects {
        let object: Value = serde_saphyr::from_str(object).unwrap();
        library.apply_object(&object, "2026-11-25T00:00:00Z".parse().unwrap());
    }
    library
}
