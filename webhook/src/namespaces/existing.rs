//! The pods that run in a namespace whose labels become stricter: which of them could not be made again.
//!
//! It is a courtesy, so it is bounded and never a reason to refuse the change: where the API server does not answer in time, a warning says so.

use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use portcullis_admission::{ExistingPod, FieldPath, Pod, Standard, warn_of_existing_pods};
use serde_json::Value;
use tracing::warn;

/// How many pods are looked at, as in Pod Security Admission.
const MAX_PODS: u32 = 3_000;
/// How long listing them may take, likewise.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The warnings about pods in `namespace` that violate `enforce`.
pub(super) async fn warnings(client: kube::Client, namespace: &str, enforce: Standard) -> Vec<String> {
    match tokio::time::timeout(TIMEOUT, list(client, namespace)).await {
        Ok(Ok((pods, total))) => judge(namespace, enforce, &pods, total),
        Ok(Err(error)) => {
            warn!(%error, namespace, "cannot list pods");
            vec!["failed to list pods while checking new PodSecurity enforce level".to_owned()]
        }
        Err(_) => vec!["failed to list pods while checking new PodSecurity enforce level: it took too long".to_owned()],
    }
}

/// The first pods of the namespace, and how many there are.
async fn list(client: kube::Client, namespace: &str) -> kube::Result<(Vec<Value>, usize)> {
    let resource =
        ApiResource { group: String::new(), version: "v1".into(), api_version: "v1".into(), kind: "Pod".into(), plural: "pods".into() };
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
    let list = api.list(&ListParams::default().limit(MAX_PODS)).await?;
    let remaining = list.metadata.remaining_item_count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let pods = list.items.into_iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>().map_err(kube::Error::SerdeError)?;
    let total = pods.len().saturating_add(remaining);
    Ok((pods, total))
}

fn judge(namespace: &str, enforce: Standard, pods: &[Value], total: usize) -> Vec<String> {
    let root = FieldPath::default();
    let existing = pods.iter().filter_map(|pod| {
        let name = pod.get("metadata")?.get("name")?.as_str()?;
        // The API server has no pods that cannot be read.
        Some(ExistingPod { name, pod: Pod::read(Some(pod), &root).ok()? })
    });
    warn_of_existing_pods(namespace, enforce, existing, total)
}
