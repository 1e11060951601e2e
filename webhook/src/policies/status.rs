//! The status of policies and exceptions: whether each is in force, and if not, why. Written only where it is not what the object has.
//!
//! Every replica comes to the same status, and sees what another wrote; so there is no leader, and at worst each writes the same once. A status that
//! cannot be written is logged and tried again with the next change: policies are in force all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use portcullis_admission::policy::{Entry, PolicyKey};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

/// The condition.
const READY: &str = "Ready";
/// The longest message of a condition, in bytes: Kubernetes' limit.
const MAX_MESSAGE: usize = 32 * 1024;
/// How long writing one status may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    generation: Option<i64>,
    status: &'static str,
    reason: &'static str,
    message: String,
}

/// The statuses that objects have.
#[derive(Debug, Default)]
pub(super) struct Observed(BTreeMap<PolicyKey, Value>);

/// A status to be written: what it says, and since when.
pub(super) type Wanted = Vec<(PolicyKey, Said, String)>;

impl Observed {
    /// Takes note of an object's status.
    pub(super) fn see(&mut self, key: PolicyKey, object: &Value) {
        if is_ours(&key) {
            self.0.insert(key, object.get("status").cloned().unwrap_or_default());
        }
    }

    pub(super) fn forget(&mut self, key: &PolicyKey) {
        self.0.remove(key);
    }

    /// The statuses that are not what they should be.
    pub(super) fn wanted(&self, entries: &[Entry], now: Timestamp) -> Wanted {
        entries.iter().filter(|entry| is_ours(&entry.key)).filter_map(|entry| self.change(entry, now)).collect()
    }

    fn change(&self, entry: &Entry, now: Timestamp) -> Option<(PolicyKey, Said, String)> {
        let said = say(entry, now);
        let status = self.0.get(&entry.key)?;
        let conditions = status.get("conditions").and_then(Value::as_array).into_iter().flatten();
        let condition = conditions.into_iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(READY));
        let text = |field: &str| condition.and_then(|condition| condition.get(field)).and_then(Value::as_str).unwrap_or_default();
        let observed = status.get("observedGeneration").and_then(Value::as_i64);
        if observed == said.generation && text("status") == said.status && text("reason") == said.reason && text("message") == said.message
        {
            return None;
        }
        // Since when it is so does not change where only the reason does.
        let since = if text("status") == said.status { text("lastTransitionTime").to_owned() } else { String::new() };
        let since = if since.is_empty() { now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() } else { since };
        Some((entry.key.clone(), said, since))
    }
}

/// Kubernetes writes the status of its own.
fn is_ours(key: &PolicyKey) -> bool {
    matches!(key, PolicyKey::Policy(_) | PolicyKey::Exception(..))
}

fn say(entry: &Entry, now: Timestamp) -> Said {
    let generation = entry.generation;
    if !entry.problems.is_empty() {
        let mut message = entry.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        while message.len() > MAX_MESSAGE {
            message.pop();
        }
        return Said { generation, status: "False", reason: "Refused", message };
    }
    if entry.expires.is_some_and(|expires| expires <= now) {
        return Said { generation, status: "False", reason: "Expired", message: "it has ended and allows nothing any more".to_owned() };
    }
    Said { generation, status: "True", reason: "InForce", message: String::new() }
}

/// Writes statuses, one after the other, beside the watch.
pub(super) struct Status(watch::Sender<Wanted>);

impl Status {
    pub(super) fn start(client: kube::Client, tasks: &mut JoinSet<()>) -> Self {
        let (want, wanted) = watch::channel(Wanted::new());
        tasks.spawn(write_all(client, wanted));
        Self(want)
    }

    /// Says what is to be written. What was said before and is not written yet is forgotten: this is newer.
    pub(super) fn want(&self, wanted: Wanted) {
        self.0.send_replace(wanted);
    }
}

async fn write_all(client: kube::Client, mut wanted: watch::Receiver<Wanted>) {
    // What was written, until the watch tells of it.
    let mut written: BTreeMap<PolicyKey, Said> = BTreeMap::new();
    while wanted.changed().await.is_ok() {
        let now_wanted = wanted.borrow_and_update().clone();
        written.retain(|key, _| now_wanted.iter().any(|(wanted, ..)| wanted == key));
        for (key, said, since) in now_wanted {
            if written.get(&key) == Some(&said) {
                continue;
            }
            match tokio::time::timeout(TIMEOUT, write(&client, &key, &said, &since)).await {
                Ok(Ok(())) => _ = written.insert(key, said),
                Ok(Err(error)) => warn!(%error, ?key, "cannot write a status"),
                Err(_) => warn!(?key, "cannot write a status in time"),
            }
        }
    }
}

async fn write(client: &kube::Client, key: &PolicyKey, said: &Said, since: &str) -> kube::Result<()> {
    let resource = |kind: &str, plural: &str| ApiResource {
        group: "portcullis.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "portcullis.dev/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    let (api, name): (Api<DynamicObject>, &str) = match key {
        PolicyKey::Policy(name) => (Api::all_with(client.clone(), &resource("AdmissionPolicy", "admissionpolicies")), name),
        PolicyKey::Exception(namespace, name) => {
            (Api::namespaced_with(client.clone(), namespace, &resource("PolicyException", "policyexceptions")), name)
        }
        PolicyKey::Validating(_) | PolicyKey::Binding(_) => return Ok(()),
    };
    let mut condition =
        json!({"type": READY, "status": said.status, "reason": said.reason, "message": said.message, "lastTransitionTime": since});
    if let (Some(generation), Some(condition)) = (said.generation, condition.as_object_mut()) {
        condition.insert("observedGeneration".to_owned(), generation.into());
    }
    let patch = json!({"status": {"observedGeneration": said.generation, "conditions": [condition]}});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use portcullis_admission::policy::Problem;

    use super::*;

    fn entry(problems: &[&str]) -> Entry {
        let problem = |message: &&str| Problem { field: "spec".to_owned(), message: (*message).to_owned() };
        Entry {
            key: PolicyKey::Policy("p".to_owned()),
            generation: Some(2),
            problems: problems.iter().map(problem).collect(),
            expires: None,
        }
    }

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn observed(status: Value) -> Observed {
        let mut observed = Observed::default();
        observed.see(PolicyKey::Policy("p".to_owned()), &json!({ "status": status }));
        observed
    }

    #[test]
    fn a_status_is_written_only_where_it_differs() {
        let condition = |status: &str, reason: &str| json!({"type": "Ready", "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let told = |generation, status, reason| json!({"observedGeneration": generation, "conditions": [condition(status, reason)]});
        assert!(observed(told(2, "True", "InForce")).wanted(&[entry(&[])], now()).is_empty());
        for status in [Value::Null, told(1, "True", "InForce"), told(2, "False", "Refused")] {
            assert_eq!(observed(status).wanted(&[entry(&[])], now()).len(), 1);
        }
        assert!(Observed::default().wanted(&[entry(&[])], now()).is_empty(), "what is gone has no status");
    }

    #[test]
    fn since_when_it_is_so_stays_while_it_is_so() {
        let status = json!({"observedGeneration": 1, "conditions": [
            {"type": "Ready", "status": "False", "reason": "Refused", "message": "x", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        let wanted = observed(status.clone()).wanted(&[entry(&["a", "b"])], now());
        assert_eq!((wanted[0].1.message.as_str(), wanted[0].2.as_str()), ("spec: a\nspec: b", "2026-01-01T00:00:00Z"));
        assert_eq!(observed(status).wanted(&[entry(&[])], now())[0].2, "2026-11-25T12:00:00Z");
    }

    #[test]
    fn an_exception_that_has_ended_says_so() {
        let expires = Some("2026-11-25T12:00:00Z".parse().unwrap());
        assert_eq!(say(&Entry { expires, ..entry(&[]) }, now()).reason, "Expired");
        assert_eq!(say(&Entry { expires, ..entry(&[]) }, "2026-11-25T11:59:59Z".parse().unwrap()).reason, "InForce");
    }
}
