//! The webhook's own registration: a ValidatingWebhookConfiguration that it writes itself, once it has answered itself.
//!
//! ```text
//!  ready? ─► answers a review over TLS, with the bundle that is going to be trusted? ─► configuration as wanted? ─► written, whole
//!   no: wait            no: wait, what is registered stays          (answer)             yes: nothing        (registrar)
//! ```
//!
//! It must not be able to lock anybody out, so it asks for little:
//!
//! | what | how |
//! |---|---|
//! | resources | those that [`WORKLOADS`](portcullis_admission::WORKLOADS) names, the subresources of pods that change a spec, namespaces where their labels count, and what else policies are for as long as they are ([`rules`]); `*` only where a policy says so |
//! | namespaces | not its own and not `kube-system`; those that a label selects, where one is given |
//! | nodes | the mirror pods of the kubelet are never sent, nor anything else that a node does but make what carries pods |
//! | leases, reviews of who may do what, policies to policies | never sent |
//! | time | [`TIMEOUT_SECONDS`] |
//! | a first registration | once the server has been ready for a while, so that its Service leads to it |
//! | no answer | two webhooks of the same rules, one that fails closed and one that fails open; a namespace's label [`FAILURE_POLICY_LABEL`] chooses |
//! | labels of namespaces | a webhook of their own that fails open, so that a namespace can always be made and its label be changed |
//! | policies and exceptions as they are applied, where they are followed | a webhook of their own that fails open |
//! | what is in no namespace, and what no policy denies that fails closed | another webhook that fails open |
//! | the webhook's namespace is deleted | the configuration goes with it: it is owned by the namespace; until then, which is after the last replica, all of it fails open |
//! | `portcullis break-glass` | leaves an annotation; what has it is left alone |
//!
//! What is wanted, and whether it is so, are functions of values. [`registrar`] asks and writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::ByteString;
use kube::api::DynamicObject;
use portcullis_admission::policy::Coverage;
use portcullis_api::GROUP;
use portcullis_api::admission_policy::PLURAL as ADMISSION_POLICIES;
use portcullis_api::policy_exception::PLURAL as POLICY_EXCEPTIONS;
use portcullis_api::registration::{BREAK_GLASS_ANNOTATION, FAIL, FAILURE_POLICY_LABEL, IGNORE, PART_OF, PART_OF_LABEL};
use serde_json::{Value, json};

pub mod answer;
mod conditions;
pub mod registrar;
mod rules;

use rules::Rules;

/// How long the API server waits for an answer. A review takes milliseconds; the longest that one may wait is for a namespace, 2 s.
pub const TIMEOUT_SECONDS: u8 = 3;

/// What fails closed, what fails open, what judges the labels of namespaces, what judges policies as they are applied, and what policies are for beside that.
const CLOSED: &str = "fail-closed.portcullis.dev";
const OPEN: &str = "fail-open.portcullis.dev";
const LABELS: &str = "namespace-labels.portcullis.dev";
const APPLIED: &str = "applied-policies.portcullis.dev";
const POLICIES: &str = "policies.portcullis.dev";

/// The label that the API server gives every namespace, with its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// How the API server reaches the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// By a Service.
    Service {
        /// The Service's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// By a URL, where it runs outside the cluster.
    Url(String),
}

/// What becomes of what no webhook answers for, where the namespace does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// It is denied.
    Fail,
    /// It is admitted.
    Ignore,
}

/// A registration as it should be, but for the certificates to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The configuration's name.
    pub name: String,
    /// How the API server gets here.
    pub reached: Reached,
    /// The labels that a namespace must have to be judged; none means all.
    pub namespaces: BTreeMap<String, String>,
    /// Namespaces that are never judged.
    pub excluded: BTreeSet<String>,
    /// For namespaces without a label.
    pub failure_policy: FailurePolicy,
    /// Whether changes of namespaces are judged, too.
    pub namespace_labels: bool,
    /// Whether policies are followed, and so judged as they are applied.
    pub applied_policies: bool,
    /// How long this server has to have been ready before it registers where nothing is registered: nobody is led here before it was noticed.
    pub first_after: Duration,
}

impl Registration {
    /// The configuration that makes the API server trust `bundle`, and ask about what policies are for. It is removed with the namespace `owner`, given
    /// as name and UID.
    pub fn configuration(&self, bundle: &str, owner: Option<(&str, &str)>, policies: &Coverage) -> Value {
        let Rules { chosen, open } = Rules::new(policies, self.namespace_labels);
        let mut webhooks = vec![
            self.webhook(CLOSED, FAIL, bundle, &chosen, Some(self.chosen(FailurePolicy::Fail))),
            self.webhook(OPEN, IGNORE, bundle, &chosen, Some(self.chosen(FailurePolicy::Ignore))),
        ];
        if self.namespace_labels {
            let rule = json!([{
                "apiGroups": [""], "apiVersions": ["v1"], "resources": ["namespaces"], "operations": ["CREATE", "UPDATE"], "scope": "Cluster",
            }]);
            webhooks.push(self.webhook(LABELS, IGNORE, bundle, &rule, None));
        }
        if self.applied_policies {
            webhooks.push(self.applied(bundle));
        }
        if !open.is_empty() {
            webhooks.push(self.webhook(POLICIES, IGNORE, bundle, &Value::Array(open), None));
        }
        let owner = owner.map(|(name, uid)| json!({"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": uid}));
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {
                "name": self.name,
                "labels": { PART_OF_LABEL: PART_OF },
                "ownerReferences": owner.into_iter().collect::<Vec<_>>(),
            },
            "webhooks": webhooks,
        })
    }

    fn webhook(&self, name: &str, failure_policy: &str, bundle: &str, rules: &Value, chosen: Option<Value>) -> Value {
        let excluded = json!({"key": NAME_LABEL, "operator": "NotIn", "values": self.excluded});
        let expressions: Vec<Value> = std::iter::once(excluded).chain(chosen).collect();
        json!({
            "name": name,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "matchPolicy": "Equivalent",
            "timeoutSeconds": TIMEOUT_SECONDS,
            "failurePolicy": failure_policy,
            "clientConfig": self.client_config(bundle),
            "namespaceSelector": {"matchLabels": self.namespaces, "matchExpressions": expressions},
            "matchConditions": conditions::all(),
            "rules": rules,
        })
    }

    /// The webhook that refuses policies and exceptions that would not be in force.
    fn applied(&self, bundle: &str) -> Value {
        let rule = |resource: &str, scope: &str| json!({"apiGroups": [GROUP], "apiVersions": ["v1alpha1"], "resources": [resource], "operations": ["CREATE", "UPDATE"], "scope": scope});
        let rules = json!([rule(ADMISSION_POLICIES, "Cluster"), rule(POLICY_EXCEPTIONS, "Namespaced")]);
        let mut webhook = self.webhook(APPLIED, IGNORE, bundle, &rules, None);
        // Those of the others leave just these out.
        webhook.as_object_mut().and_then(|fields| fields.remove("matchConditions"));
        webhook
    }

    fn client_config(&self, bundle: &str) -> Value {
        let bundle = ByteString(bundle.as_bytes().to_vec());
        match &self.reached {
            Reached::Service { namespace, name, port } => json!({
                "caBundle": bundle,
                "service": {"namespace": namespace, "name": name, "port": port, "path": "/validate"},
            }),
            Reached::Url(url) => json!({ "caBundle": bundle, "url": url }),
        }
    }

    /// Selects the namespaces whose pods this policy holds for. A value that means nothing is as good as no label.
    fn chosen(&self, policy: FailurePolicy) -> Value {
        let (operator, value) = match (self.failure_policy, policy) {
            (FailurePolicy::Fail, FailurePolicy::Fail) => ("NotIn", IGNORE),
            (FailurePolicy::Fail, FailurePolicy::Ignore) => ("In", IGNORE),
            (FailurePolicy::Ignore, FailurePolicy::Fail) => ("In", FAIL),
            (FailurePolicy::Ignore, FailurePolicy::Ignore) => ("NotIn", FAIL),
        };
        json!({"key": FAILURE_POLICY_LABEL, "operator": operator, "values": [value]})
    }
}

/// Makes every webhook of a configuration fail open; whether any did not.
pub fn fail_open(configuration: &mut Value) -> bool {
    let mut changed = false;
    let webhooks = configuration.get_mut("webhooks").and_then(Value::as_array_mut);
    for webhook in webhooks.into_iter().flatten().filter_map(Value::as_object_mut) {
        let before = webhook.insert("failurePolicy".to_owned(), IGNORE.into());
        changed |= before != Some(IGNORE.into());
    }
    changed
}

/// What is to be done about a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is as wanted.
    Nothing,
    /// It has to be applied.
    Apply,
    /// Somebody broke the glass: it is theirs until they give it back.
    HandsOff,
}

/// What is to be done about `existing`, where `wanted` is wanted.
pub fn due(existing: Option<&DynamicObject>, wanted: &Value) -> Due {
    let Some(existing) = existing else { return Due::Apply };
    if is_broken(existing) {
        return Due::HandsOff;
    }
    if difference(existing, wanted).is_none() { Due::Nothing } else { Due::Apply }
}

/// Whether somebody broke the glass.
pub fn is_broken(existing: &DynamicObject) -> bool {
    existing.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(BREAK_GLASS_ANNOTATION))
}

/// The first field that is wanted and not there, or not so.
pub fn difference(existing: &DynamicObject, wanted: &Value) -> Option<String> {
    // What cannot be written as JSON is not as wanted.
    differing(&serde_json::to_value(existing).unwrap_or_default(), wanted, String::new())
}

/// The first path below `path` where what is wanted is not there. The API server adds defaults, and others may add labels.
fn differing(existing: &Value, wanted: &Value, path: String) -> Option<String> {
    match (existing, wanted) {
        (Value::Object(existing), Value::Object(wanted)) => wanted.iter().find_map(|(key, wanted)| {
            let path = format!("{path}.{key}");
            match existing.get(key) {
                Some(existing) => differing(existing, wanted, path),
                None => (!is_empty(wanted)).then_some(path),
            }
        }),
        (Value::Array(existing), Value::Array(wanted)) if existing.len() == wanted.len() => {
            let mut pairs = existing.iter().zip(wanted).enumerate();
            pairs.find_map(|(index, (existing, wanted))| differing(existing, wanted, format!("{path}[{index}]")))
        }
        _ => (existing != wanted).then_some(path),
    }
}

/// The API server leaves out what is empty.
fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
}

#[cfg(test)]
mod tests;
