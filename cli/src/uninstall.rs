//! `portcullis uninstall`: removes what was installed into a cluster, in the order that locks nobody out and leaves nothing to come back.
//!
//! ```text
//!  webhooks taken out of force ─► workloads ─► their pods are gone: nobody registers again ─► all else ─► configurations ─► reports ─► the namespace
//! ```
//!
//! What belongs to Portcullis is what has its label. Custom resources are other people's work: their definitions go only with `--crds`. Where something
//! cannot be removed it stops, and tells what was removed until then; the next run goes on.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, ListParams};
use kube::core::PartialObjectMeta;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt};
use portcullis_api::registration::{PART_OF, PART_OF_LABEL};
use serde::Serialize;

use crate::Status;
use crate::args::UninstallArgs;
use crate::break_glass::{self, Move};
use crate::cluster::{self, CONFIGURATION, ClusterError, Kind, answered, cannot, ours};
use crate::scan::{CLUSTER_REPORTS, REPORTS};

/// How long the pods may take to end: longer than they are given.
const PODS_TIMEOUT: Duration = Duration::from_secs(60);
/// How many objects are listed at once.
const PAGE: u32 = 500;

const fn kind(group: &'static str, version: &'static str, kind: &'static str) -> Kind {
    Kind { group, version, kind }
}

const POD: Kind = kind("", "v1", "Pod");
const NAMESPACE: Kind = kind("", "v1", "Namespace");
const CRD: Kind = kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition");

/// What runs.
const WORKLOADS: [Kind; 2] = [kind("apps", "v1", "Deployment"), kind("apps", "v1", "DaemonSet")];

/// What else is in the namespace.
const IN_NAMESPACE: [Kind; 8] = [
    kind("", "v1", "Service"),
    kind("", "v1", "Secret"),
    kind("", "v1", "ConfigMap"),
    kind("policy", "v1", "PodDisruptionBudget"),
    kind("networking.k8s.io", "v1", "NetworkPolicy"),
    kind("rbac.authorization.k8s.io", "v1", "RoleBinding"),
    kind("rbac.authorization.k8s.io", "v1", "Role"),
    kind("", "v1", "ServiceAccount"),
];

/// What else is of the cluster.
const OF_CLUSTER: [Kind; 3] =
    [kind("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"), kind("rbac.authorization.k8s.io", "v1", "ClusterRole"), CONFIGURATION];

/// What was removed, in this order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    dry_run: bool,
    removed: Vec<Object>,
    /// What was left, and why.
    left: Vec<String>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Object {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
}

/// Runs the command.
///
/// # Errors
/// The report cannot be written.
pub fn run(args: &UninstallArgs, output: &mut impl Write) -> io::Result<Status> {
    let dry_run = args.cluster.dry_run;
    let command = async |client: Client| {
        let mut removal = Removal { client, dry_run, removed: Vec::new(), failed: Vec::new() };
        let left = removal.run(&args.namespace, args.crds).await.unwrap_or_else(|error| {
            removal.failed.push(error.to_string());
            Vec::new()
        });
        Ok(Report { dry_run, removed: removal.removed, left, failed: removal.failed })
    };
    cluster::run(&args.cluster, output, command)
}

struct Removal {
    client: Client,
    dry_run: bool,
    removed: Vec<Object>,
    failed: Vec<String>,
}

impl Removal {
    async fn run(&mut self, namespace: &str, crds: bool) -> Result<Vec<String>, ClusterError> {
        match break_glass::apply(&self.client, None, Move::Remove, self.dry_run).await {
            Ok(applied) if !applied.failed.is_empty() => {
                self.failed.extend(applied.failed);
                let why = "nothing was removed: as long as a webhook is asked that is not there, others could be locked out";
                return Err(ClusterError::Contents(why.to_owned()));
            }
            // Then there is nothing that could lock anybody out.
            Ok(_) | Err(ClusterError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        for kind in WORKLOADS {
            self.remove(kind, Some(namespace)).await?;
        }
        if !self.dry_run {
            self.await_pods(namespace).await?;
        }
        for kind in IN_NAMESPACE {
            self.remove(kind, Some(namespace)).await?;
        }
        for kind in OF_CLUSTER {
            self.remove(kind, None).await?;
        }
        self.remove_reports().await?;
        let mut left = Vec::new();
        if crds {
            self.remove(CRD, None).await?;
        } else {
            let definitions = self.listed(CRD, None).await.map_err(cannot("list the resource definitions"))?;
            let left_one = |crd: &PartialObjectMeta<_>| format!("the definition {} and its resources: --crds removes them", crd.name_any());
            left.extend(definitions.iter().map(left_one));
        }
        left.extend(self.remove_namespace(namespace).await?);
        Ok(left)
    }

    /// All objects of ours, their names and labels only.
    async fn listed(&self, kind: Kind, namespace: Option<&str>) -> kube::Result<Vec<PartialObjectMeta<DynamicObject>>> {
        let (api, mut params) = (kind.api(&self.client, namespace), ours().limit(PAGE));
        let mut all = Vec::new();
        loop {
            let page = answered(api.list_metadata(&params)).await?;
            all.extend(page.items);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(all);
            }
        }
    }

    async fn remove(&mut self, kind: Kind, namespace: Option<&str>) -> Result<(), ClusterError> {
        let list = self.listed(kind, namespace).await.map_err(cannot(format!("list {}s", kind.kind)))?;
        for object in list {
            self.delete(kind, namespace, &object.name_any()).await?;
        }
        Ok(())
    }

    async fn delete(&mut self, kind: Kind, namespace: Option<&str>, name: &str) -> Result<(), ClusterError> {
        if !self.dry_run {
            match answered(kind.api(&self.client, namespace).delete(name, &DeleteParams::background())).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(cannot(format!("delete the {} {name:?}", kind.kind))(error)),
            }
        }
        self.removed.push(Object { kind: kind.kind, namespace: namespace.map(str::to_owned), name: name.to_owned() });
        Ok(())
    }

    /// The reports of scans, in whatever namespace they are. Their definitions may be other tools' and stay.
    async fn remove_reports(&mut self) -> Result<(), ClusterError> {
        for kind in [REPORTS, CLUSTER_REPORTS] {
            let list = match self.listed(kind, None).await {
                Ok(list) => list,
                // There are no reports in this cluster.
                Err(kube::Error::Api(status)) if status.code == 404 => continue,
                Err(error) => return Err(cannot(format!("list {}s", kind.kind))(error)),
            };
            let mut places: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
            list.iter().for_each(|report| places.entry(report.namespace()).or_default().push(report.name_any()));
            for (namespace, names) in places {
                self.delete_all(kind, namespace.as_deref(), names).await?;
            }
        }
        Ok(())
    }

    /// All that were listed of one place, of which there may be thousands: by one request where the API server lets this user, else one by one.
    async fn delete_all(&mut self, kind: Kind, namespace: Option<&str>, names: Vec<String>) -> Result<(), ClusterError> {
        if !self.dry_run && names.len() > 1 {
            let api = kind.api(&self.client, namespace);
            match answered(api.delete_collection(&DeleteParams::background(), &ours())).await {
                Ok(_) => {
                    let object = |name| Object { kind: kind.kind, namespace: namespace.map(str::to_owned), name };
                    self.removed.extend(names.into_iter().map(object));
                    return Ok(());
                }
                Err(kube::Error::Api(status)) if matches!(status.code, 403 | 405) => {}
                Err(error) => return Err(cannot(format!("delete the {}s", kind.kind))(error)),
            }
        }
        for name in names {
            self.delete(kind, namespace, &name).await?;
        }
        Ok(())
    }

    /// As long as a replica runs, it may put the registration and the Secret back.
    async fn await_pods(&self, namespace: &str) -> Result<(), ClusterError> {
        let api = POD.api(&self.client, Some(namespace));
        let pods = answered(api.list(&ours())).await.map_err(cannot("list the pods"))?;
        let gone = async {
            for pod in pods {
                let uid = pod.uid().unwrap_or_default();
                // A watch that fails ends the wait for this pod; what it may put back is then removed all the same, only not surely.
                let _ = await_condition(api.clone(), &pod.name_any(), conditions::is_deleted(&uid)).await;
            }
        };
        let late = ClusterError::TimedOut("the pods do not end; run it again when they are gone");
        tokio::time::timeout(PODS_TIMEOUT, gone).await.map_err(|_| late)
    }

    /// A namespace that is not labelled was somebody else's before.
    async fn remove_namespace(&mut self, name: &str) -> Result<Option<String>, ClusterError> {
        let api = NAMESPACE.api(&self.client, None);
        let named = ListParams::default().fields(&format!("metadata.name={name}"));
        let found = answered(api.list_metadata(&named)).await.map_err(cannot(format!("read the namespace {name:?}")))?;
        let Some(namespace) = found.items.first() else { return Ok(None) };
        if namespace.labels().get(PART_OF_LABEL).is_some_and(|value| value == PART_OF) {
            self.delete(NAMESPACE, None, name).await?;
            return Ok(None);
        }
        Ok(Some(format!("the namespace {name}: it has no label {PART_OF_LABEL}={PART_OF}")))
    }
}

impl cluster::Report for Report {
    fn text(&self) -> String {
        text(self)
    }

    fn failures(&self) -> &[String] {
        &self.failed
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let done = if report.dry_run { "would remove" } else { "removed" };
    for Object { kind, namespace, name } in &report.removed {
        let place = namespace.as_ref().map(|namespace| format!(" of {namespace}")).unwrap_or_default();
        text.push_str(&format!("{done}: {kind} {name}{place}\n"));
    }
    if report.removed.is_empty() && report.failed.is_empty() {
        text.push_str("nothing of Portcullis is in this cluster\n");
    }
    report.left.iter().for_each(|left| text.push_str(&format!("left: {left}\n")));
    text
}
