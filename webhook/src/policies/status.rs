//! The status of policies and exceptions: whether each is in force, and if not, why. Written only where it is not what the object has.
//!
//! Every replica comes to the same status, and sees what another wrote; so there is no leader, and at worst each writes the same once. Where replicas do
//! not agree for once, as two releases may, each says its own no more than once in a while. A status that cannot be written is logged and tried again with
//! the next change: policies are in force all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use portcullis_admission::policy::{Entry, PolicyKey};
use portcullis_api::{GROUP, admission_policy, policy_exception};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::warn;

/// The condition.
const READY: &str = "Ready";
/// The longest message of a condition, in bytes: Kubernetes' limit.
const MAX_MESSAGE: usize = 32 * 1024;
/// How long writing one status may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the same is not written again of the same object, whatever others write there.
const PAUSE: Duration = Duration::from_secs(30);

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    generation: Option<i64>,
    status: &'static str,
    reason: &'static str,
    message: String,
}

/// The statuses that objects have, and the objects' UIDs.
#[derive(Debug, Default)]
pub(super) struct Observed(BTreeMap<PolicyKey, (String, Value)>);

/// A status to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    key: PolicyKey,
    /// Of the object that it is of: one that was deleted and made again has another.
    uid: String,
    said: Said,
    /// Since when it is so.
    since: String,
}

/// The statuses to be written.
pub(super) type Wanted = Vec<Change>;

impl Observed {
    /// Takes note of an object's status.
    pub(super) fn see(&mut self, key: PolicyKey, object: &Value) {
        if is_ours(&key) {
            let uid = object.get("metadata").and_then(|metadata| metadata.get("uid")).and_then(Value::as_str).unwrap_or_default();
            self.0.insert(key, (uid.to_owned(), object.get("status").cloned().unwrap_or_default()));
        }
    }

    pub(super) fn forget(&mut self, key: &PolicyKey) {
        self.0.remove(key);
    }

    /// The statuses that are not what they should be.
    pub(super) fn wanted(&self, entries: &[Entry], now: Timestamp) -> Wanted {
        entries.iter().filter(|entry| is_ours(&entry.key)).filter_map(|entry| self.change(entry, now)).collect()
    }

    fn change(&self, entry: &Entry, now: Timestamp) -> Option<Change> {
        let said = say(entry, now);
        let (uid, status) = self.0.get(&entry.key)?;
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
        Some(Change { key: entry.key.clone(), uid: uid.clone(), said, since })
    }
}

/// Kubernetes writes the status of its own.
fn is_ours(key: &PolicyKey) -> bool {
    matches!(key, PolicyKey::Policy(_) | PolicyKey::Exception(..))
}

fn say(entry: &Entry, now: Timestamp) -> Said {
    let generation = entry.generation;
    if !entry.problems.is_empty() {
        let mut message = refusal(entry);
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

/// Why a generation is refused, and what holds instead. It is the same whichever generation a replica has in force: one that was started since has none.
fn refusal(entry: &Entry) -> String {
    let mut lines: Vec<String> = entry.problems.iter().map(ToString::to_string).collect();
    let edited = entry.generation.filter(|generation| *generation > 1 && matches!(entry.key, PolicyKey::Policy(_)));
    if let Some(generation) = edited {
        lines.insert(
            0,
            format!("generation {generation} is refused; what was in force before it stays in force until a webhook starts anew"),
        );
    }
    lines.join("\n")
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
    let mut written = Written::default();
    while wanted.changed().await.is_ok() {
        let now_wanted = wanted.borrow_and_update().clone();
        written.forget(Instant::now());
        let due: Vec<&Change> = now_wanted.iter().filter(|change| written.is_due(change)).collect();
        for change in due {
            let key = &change.key;
            match tokio::time::timeout(TIMEOUT, write(&client, key, &change.said, &change.since)).await {
                Ok(Ok(())) => written.note(change, Instant::now()),
                Ok(Err(error)) => warn!(%error, ?key, "cannot write a status"),
                Err(_) => warn!(?key, "cannot write a status in time"),
            }
        }
    }
}

/// What was written a moment ago.
#[derive(Debug, Default)]
struct Written(BTreeMap<PolicyKey, (Change, Instant)>);

impl Written {
    fn note(&mut self, change: &Change, now: Instant) {
        self.0.insert(change.key.clone(), (change.clone(), now));
    }

    /// Forgets what may be written again.
    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, (_, written)| now.duration_since(*written) < PAUSE);
    }

    fn is_due(&self, change: &Change) -> bool {
        self.0.get(&change.key).is_none_or(|(written, _)| (&written.uid, &written.said) != (&change.uid, &change.said))
    }
}

async fn write(client: &kube::Client, key: &PolicyKey, said: &Said, since: &str) -> kube::Result<()> {
    let resource = |kind: &str, plural: &str| ApiResource {
        group: GROUP.to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "portcullis.dev/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    let (api, name): (Api<DynamicObject>, &str) = match key {
        PolicyKey::Policy(name) => (Api::all_with(client.clone(), &resource(admission_policy::KIND, admission_policy::PLURAL)), name),
        PolicyKey::Exception(namespace, name) => {
            (Api::namespaced_with(client.clone(), namespace, &resource(policy_exception::KIND, policy_exception::PLURAL)), name)
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
            kept: false,
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
        assert!(wanted[0].said.message.ends_with("\nspec: a\nspec: b"), "{wanted:?}");
        assert_eq!(wanted[0].since, "2026-01-01T00:00:00Z");
        assert_eq!(observed(status).wanted(&[entry(&[])], now())[0].since, "2026-11-25T12:00:00Z");
    }

    #[test]
    fn what_an_edit_with_a_mistake_leaves_in_force_is_said_alike_by_all_replicas() {
        let refused = entry(&["a"]);
        let kept = Entry { kept: true, ..refused.clone() };
        let message = "generation 2 is refused; what was in force before it stays in force until a webhook starts anew\nspec: a";
        assert_eq!((say(&refused, now()).message.as_str(), say(&refused, now())), (message, say(&kept, now())));
        assert_eq!(say(&Entry { generation: Some(1), ..refused.clone() }, now()).message, "spec: a", "nothing was before it");
        let exception = Entry { key: PolicyKey::Exception("n".to_owned(), "e".to_owned()), ..refused };
        assert_eq!(say(&exception, now()).message, "spec: a", "it grants nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_is_not_written_again_within_a_pause_though_others_write_otherwise() {
        let change = |problems: &[&str], uid: &str| {
            let mut observed = Observed::default();
            observed.see(PolicyKey::Policy("p".to_owned()), &json!({"metadata": {"uid": uid}}));
            observed.wanted(&[entry(problems)], now()).remove(0)
        };
        let mut written = Written::default();
        assert!(written.is_due(&change(&[], "u")));
        written.note(&change(&[], "u"), Instant::now());
        tokio::time::advance(PAUSE - Duration::from_secs(1)).await;
        written.forget(Instant::now());
        assert!(!written.is_due(&change(&[], "u")));
        assert!(written.is_due(&change(&["a"], "u")), "something else");
        assert!(written.is_due(&change(&[], "v")), "another object of that name");
        tokio::time::advance(Duration::from_secs(1)).await;
        written.forget(Instant::now());
        assert!(written.is_due(&change(&[], "u")));
    }

    #[test]
    fn an_exception_that_has_ended_says_so() {
        let expires = Some("2026-11-25T12:00:00Z".parse().unwrap());
        assert_eq!(say(&Entry { expires, ..entry(&[]) }, now()).reason, "Expired");
        assert_eq!(say(&Entry { expires, ..entry(&[]) }, "2026-11-25T11:59:59Z".parse().unwrap()).reason, "InForce");
    }
}
