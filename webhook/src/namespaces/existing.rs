//! The pods that run in a namespace whose labels become stricter: which of them could not be made again.
//!
//! It is a courtesy, so it is bounded and never a reason to refuse the change: where the API server does not answer in time, or others are being told, a
//! warning says so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{ListParams, ObjectList, Request};
use kube::core::{ApiResource, DynamicObject};
use portcullis_admission::{ExistingPod, FieldPath, Pod, Standard, warn_of_existing_pods};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

/// How many pods are looked at, as in Pod Security Admission.
const MAX_PODS: u32 = 3_000;
/// How long it may take, likewise.
const TIMEOUT: Duration = Duration::from_secs(1);
/// For how many changes at once. The pods of each may take tens of megabytes.
const MAX_AT_ONCE: usize = 2;

const FAILED: &str = "failed to list pods while checking new PodSecurity enforce level";

/// Looks at them.
pub(super) struct Existing {
    client: kube::Client,
    permits: Arc<Semaphore>,
}

impl Existing {
    pub(super) fn new(client: kube::Client) -> Self {
        Self { client, permits: Arc::new(Semaphore::new(MAX_AT_ONCE)) }
    }

    /// The warnings about pods in `namespace` that violate `enforce`, but for those of `exempt` runtime classes.
    pub(super) async fn warnings(&self, namespace: &str, enforce: Standard, exempt: &BTreeSet<String>) -> Vec<String> {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            return vec![format!("{FAILED}: others are being checked")];
        };
        match tokio::time::timeout(TIMEOUT, self.look(namespace, enforce, exempt, permit)).await {
            Ok(Ok(warnings)) => warnings,
            Ok(Err(error)) => {
                warn!(%error, namespace, "cannot list pods");
                vec![FAILED.to_owned()]
            }
            Err(_) => vec![format!("{FAILED}: it took too long")],
        }
    }

    async fn look(
        &self,
        namespace: &str,
        enforce: Standard,
        exempt: &BTreeSet<String>,
        permit: OwnedSemaphorePermit,
    ) -> anyhow::Result<Vec<String>> {
        let resource =
            ApiResource { group: String::new(), version: "v1".into(), api_version: "v1".into(), kind: "Pod".into(), plural: "pods".into() };
        let path = <DynamicObject as kube::Resource>::url_path(&resource, Some(namespace));
        let text = self.client.request_text(Request::new(path).list(&ListParams::default().limit(MAX_PODS))?).await?;
        let (namespace, exempt) = (namespace.to_owned(), exempt.clone());
        // Reading and judging thousands of pods takes a while, which nobody else waits for; the permit goes with it.
        let judged = tokio::task::spawn_blocking(move || {
            let warnings = judge(&namespace, enforce, &exempt, &text);
            drop(permit);
            warnings
        });
        Ok(judged.await??)
    }
}

fn judge(namespace: &str, enforce: Standard, exempt: &BTreeSet<String>, text: &str) -> serde_json::Result<Vec<String>> {
    let ObjectList::<Value> { items, metadata, .. } = serde_json::from_str(text)?;
    let remaining = metadata.remaining_item_count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let is_judged = |pod: &&Value| !runtime_class(pod).is_some_and(|class| exempt.contains(class));
    let pods: Vec<&Value> = items.iter().filter(is_judged).collect();
    let total = pods.len().saturating_add(remaining);
    let root = FieldPath::default();
    let existing = pods.into_iter().filter_map(|pod| {
        let name = pod.get("metadata")?.get("name")?.as_str()?;
        // The API server has no pods that cannot be read.
        Some(ExistingPod { name, pod: Pod::read(Some(pod), &root).ok()? })
    });
    Ok(warn_of_existing_pods(namespace, enforce, existing, total))
}

fn runtime_class(pod: &Value) -> Option<&str> {
    pod.get("spec")?.get("runtimeClassName")?.as_str()
}
