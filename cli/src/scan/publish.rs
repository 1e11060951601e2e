//! Writing PolicyReports: by server-side apply, one for each object that there is something to tell of; and removing those that no longer hold.
//!
//! A report is owned by its object, so that it goes with it, and is named after the object's UID, so that it is found again. What belongs to a scan has
//! its labels. Reports of namespaces that were not scanned stay, and so do all where something could not be read or written: what was not looked at
//! may still hold. Two scans by other policies write over each other: the last one counts.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Client, ResourceExt};
use portcullis_api::policy_report::{CLUSTER_KIND, GROUP, KIND, Report, VERSION};
use portcullis_api::registration::{PART_OF, PART_OF_LABEL};
use serde_json::{Value, json};

use super::kinds::Kind;
use super::namespaces::Namespaces;
use super::pages::{PageError, Pages};
use super::{ScanError, describe};
use crate::cluster::{self, ClusterError, cannot};
use crate::findings::Identity;
use crate::judge::Judgement;
use crate::report::count;

/// Reports of objects in namespaces, and of others.
pub(crate) const REPORTS: cluster::Kind = cluster::Kind { group: GROUP, version: VERSION, kind: KIND };
pub(crate) const CLUSTER_REPORTS: cluster::Kind = cluster::Kind { group: GROUP, version: VERSION, kind: CLUSTER_KIND };

/// What to say where the API server has no reports.
const NOT_INSTALLED: &str = "the API server has no PolicyReports (wgpolicyk8s.io/v1alpha2), which --write-reports writes: \
     portcullis definitions --policy-reports | kubectl apply --server-side -f -, unless another tool is going to bring them";

/// Who writes.
const FIELD_MANAGER: &str = "portcullis-scan";
/// The label that says by whom an object is kept, and its value.
const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
const MANAGED_BY: &str = "portcullis-scan";
/// What to say where the API server does not answer in time.
const LATE: &str = "the API server does not take the reports";
/// How long one write may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// After so many reports in a row that cannot be written none is tried any more: each may take its time, and a cluster has thousands.
const MAX_FAILURES: usize = 3;

/// Writes reports.
pub(super) struct Publisher {
    client: Client,
    /// Namespace and name of every report that holds.
    written: BTreeSet<(String, String)>,
    /// How many of the last ones could not be written.
    failures: usize,
}

impl Publisher {
    /// Looks whether there are reports in this cluster at all.
    pub(super) async fn open(client: Client) -> Result<Self, ScanError> {
        for kind in [REPORTS, CLUSTER_REPORTS] {
            let (api, one) = (kind.api(&client, None), ListParams::default().limit(1));
            match tokio::time::timeout(TIMEOUT, api.list_metadata(&one)).await.map_err(|_| late())? {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => return Err(ScanError::NotInstalled(NOT_INSTALLED)),
                Err(error) => return Err(cannot(format!("list the {}", Kind::of(kind, true).qualified()))(error).into()),
            }
        }
        Ok(Self { client, written: BTreeSet::new(), failures: 0 })
    }

    /// Writes what there is to tell of an object, unless too many could not be written.
    ///
    /// # Errors
    /// Why it could not be written, for people.
    pub(super) async fn publish(&mut self, identity: &Identity, object: &Value, judgement: &Judgement) -> Result<(), String> {
        let Some(report) = describe::report(identity, object, judgement).filter(|_| self.failures < MAX_FAILURES) else { return Ok(()) };
        let Err(error) = self.write(identity, &report).await else {
            self.failures = 0;
            return Ok(());
        };
        self.failures = self.failures.saturating_add(1);
        let given_up = format!("; {MAX_FAILURES} in a row could not be written, so no more are");
        Err(format!("{error}{}", if self.failures < MAX_FAILURES { "" } else { &given_up }))
    }

    async fn write(&mut self, identity: &Identity, report: &Report) -> Result<(), ClusterError> {
        let name = format!("portcullis-{}", report.scope.uid);
        let namespace = identity.namespace.clone();
        let wanted = wanted(&name, report);
        let api = kind_of(&namespace).api(&self.client, Some(namespace.as_str()).filter(|namespace| !namespace.is_empty()));
        let (params, patch) = (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(&wanted));
        let write = api.patch(&name, &params, &patch);
        match tokio::time::timeout(TIMEOUT, write).await.map_err(|_| late())? {
            Ok(_) => _ = self.written.insert((namespace, name)),
            // The namespace is gone or going, and the object with it.
            Err(kube::Error::Api(status)) if status.code == 404 || is_terminating(&status) => {}
            Err(error) => return Err(cannot(format!("write the report of {identity}"))(error)),
        }
        Ok(())
    }

    /// Removes what does not hold any more, where all that was to be judged was looked at and written; says on standard error what was done.
    pub(super) async fn finish(&mut self, namespaces: &Namespaces, complete: bool) -> Result<(), ClusterError> {
        if !complete {
            eprintln!("portcullis: {}; none removed, because not everything could be read and written", self.told());
            return Ok(());
        }
        let mut removed: usize = 0;
        if namespaces.are_all() {
            removed = removed.saturating_add(self.remove_stale(REPORTS, None, namespaces).await?);
        } else {
            for namespace in namespaces.names() {
                removed = removed.saturating_add(self.remove_stale(REPORTS, Some(namespace), namespaces).await?);
            }
        }
        removed = removed.saturating_add(self.remove_stale(CLUSTER_REPORTS, None, namespaces).await?);
        eprintln!("portcullis: {}, {removed} removed", self.told());
        Ok(())
    }

    fn told(&self) -> String {
        count(self.written.len(), "report written", "reports written")
    }

    async fn remove_stale(&self, kind: cluster::Kind, namespace: Option<&str>, namespaces: &Namespaces) -> Result<usize, ClusterError> {
        let params = ListParams::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
        let mut pages = Pages::with(kind.api(&self.client, namespace), params);
        let failed = |error: PageError| error.listing(&Kind::of(kind, true).qualified(), LATE);
        let mut removed: usize = 0;
        while let Some(page) = pages.next().await.map_err(failed)? {
            for report in page {
                let key = (report.namespace().unwrap_or_default(), report.name_any());
                let is_scanned = if kind.kind == KIND { namespaces.has(&key.0) } else { is_of_scanned(&report.data, namespaces) };
                if is_scanned && !self.written.contains(&key) && self.remove(kind, &key, &report.metadata.uid).await? {
                    removed = removed.saturating_add(1);
                }
            }
        }
        Ok(removed)
    }

    async fn remove(&self, kind: cluster::Kind, key: &(String, String), uid: &Option<String>) -> Result<bool, ClusterError> {
        let api = kind.api(&self.client, Some(key.0.as_str()).filter(|namespace| !namespace.is_empty()));
        let params = DeleteParams::default().preconditions(Preconditions { uid: uid.clone(), resource_version: None });
        match tokio::time::timeout(TIMEOUT, api.delete(&key.1, &params)).await.map_err(|_| late())? {
            Ok(_) => Ok(true),
            // It went by itself, or another took its place.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(cannot(format!("remove the report {:?}", key.1))(error)),
        }
    }
}

/// Whether a report of what is in no namespace is about something that was looked at: a Namespace that was, or anything where all were.
fn is_of_scanned(report: &Value, namespaces: &Namespaces) -> bool {
    let scope = |field: &str| report.get("scope").and_then(|scope| scope.get(field)).and_then(Value::as_str).unwrap_or_default();
    if scope("apiVersion") == "v1" && scope("kind") == "Namespace" { namespaces.has(scope("name")) } else { namespaces.are_all() }
}

fn kind_of(namespace: &str) -> cluster::Kind {
    if namespace.is_empty() { CLUSTER_REPORTS } else { REPORTS }
}

fn wanted(name: &str, report: &Report) -> Value {
    let scope = &report.scope;
    let kind = kind_of(&scope.namespace).kind;
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": kind,
        "metadata": {
            "name": name,
            "labels": {PART_OF_LABEL: PART_OF, MANAGED_BY_LABEL: MANAGED_BY},
            "ownerReferences": [{"apiVersion": scope.api_version, "kind": scope.kind, "name": scope.name, "uid": scope.uid}],
        },
        "scope": report.scope,
        "summary": report.summary,
        "results": report.results,
    })
}

fn is_terminating(status: &kube::core::Status) -> bool {
    status.code == 403 && status.message.contains("because it is being terminated")
}

const fn late() -> ClusterError {
    ClusterError::TimedOut(LATE)
}
