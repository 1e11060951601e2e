//! The commands that need a cluster: which one, and how it is asked.
//!
//! They talk to the API server alone, as whoever the kubeconfig says, so that they work when nothing of Portcullis does.

use std::ffi::OsStr;
use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::GroupVersionKind;
use kube::{Client, Config};
use portcullis_api::registration::{PART_OF, PART_OF_LABEL};
use serde::Serialize;
use thiserror::Error;

use crate::Status;

/// How long the API server may take to answer one request. A command as a whole takes as long as it has requests.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Which cluster.
#[derive(Debug, ClapArgs)]
pub struct ClusterName {
    /// Kubeconfig to use instead of $KUBECONFIG and ~/.kube/config
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context in it, instead of the current one
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// Which cluster, and how to report.
#[derive(Debug, ClapArgs)]
pub struct ClusterArgs {
    /// Which cluster
    #[command(flatten)]
    pub name: ClusterName,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Format of the report
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: ReportFormat,
}

/// Format of the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Why a command failed.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// No kubeconfig.
    #[error("cannot find a cluster: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// The client.
    #[error("cannot use the kubeconfig: {0}")]
    Client(#[source] Box<kube::Error>),
    /// The API server refused, or was not reached.
    #[error("cannot {action}: {source}")]
    Api {
        /// What was tried.
        action: String,
        /// Why it failed.
        source: Box<kube::Error>,
    },
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// An object cannot be understood.
    #[error("{0}")]
    Contents(String),
    /// Somebody else writes all the time.
    #[error("{0:?} changed whenever it was to be written; try again")]
    Contended(String),
    /// The cluster is slow.
    #[error("it takes too long: {0}")]
    TimedOut(&'static str),
}

/// In place of an answer.
#[derive(Debug, Error)]
#[error("the API server gives no answer within {} s", .0.as_secs())]
struct NoAnswer(Duration);

/// What a command did.
pub(crate) trait Report: Serialize {
    /// For people.
    fn text(&self) -> String;

    /// What could not be done beside; where there is any, the command failed.
    fn failures(&self) -> &[String];
}

pub(crate) fn cannot(action: impl Into<String>) -> impl FnOnce(kube::Error) -> ClusterError {
    let action = action.into();
    move |source| ClusterError::Api { action, source: Box::new(source) }
}

/// The answer to one request, if it comes in time.
pub(crate) async fn answered<R>(request: impl Future<Output = kube::Result<R>>) -> kube::Result<R> {
    within(TIMEOUT, request).await
}

async fn within<R>(bound: Duration, request: impl Future<Output = kube::Result<R>>) -> kube::Result<R> {
    tokio::time::timeout(bound, request).await.unwrap_or_else(|_| Err(kube::Error::Service(Box::new(NoAnswer(bound)))))
}

/// Runs a command to its end and writes its report.
///
/// # Errors
/// The report cannot be written. That the command failed is a status.
pub(crate) fn run<R: Report>(
    args: &ClusterArgs,
    output: &mut impl Write,
    command: impl AsyncFnOnce(Client) -> Result<R, ClusterError>,
) -> io::Result<Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = match runtime.block_on(async { command(client(&args.name).await?).await }) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("portcullis: {error}");
            return Ok(Status::Failed);
        }
    };
    match args.output {
        ReportFormat::Text => output.write_all(report.text().as_bytes())?,
        ReportFormat::Json => {
            serde_json::to_writer_pretty(&mut *output, &report)?;
            writeln!(output)?;
        }
    }
    report.failures().iter().for_each(|failure| eprintln!("portcullis: {failure}"));
    Ok(if report.failures().is_empty() { Status::Passed } else { Status::Failed })
}

/// A client for the cluster that the arguments name; where nobody names any and there is no kubeconfig, for the one that this runs in.
pub(crate) async fn client(name: &ClusterName) -> Result<Client, ClusterError> {
    let config = match &name.kubeconfig {
        Some(path) => with_context(Kubeconfig::read_from(path)?, name).await?,
        None => match Kubeconfig::read() {
            Ok(kubeconfig) => with_context(kubeconfig, name).await?,
            Err(error) if is_named(name, std::env::var_os("KUBECONFIG").as_deref()) => return Err(error.into()),
            Err(error) => Config::incluster().map_err(|_| error)?,
        },
    };
    Client::try_from(config).map_err(|error| ClusterError::Client(Box::new(error)))
}

/// Whether somebody means a cluster of a kubeconfig: then no other will do, that of this pod neither.
fn is_named(name: &ClusterName, variable: Option<&OsStr>) -> bool {
    name.context.is_some() || variable.is_some_and(|paths| !paths.is_empty())
}

async fn with_context(kubeconfig: Kubeconfig, name: &ClusterName) -> Result<Config, KubeconfigError> {
    let options = KubeConfigOptions { context: name.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await
}

/// A kind of object, all of whose fields are kept whatever this program knows of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Empty for the core group.
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) kind: &'static str,
}

/// Where a webhook is registered.
pub(crate) const CONFIGURATION: Kind =
    Kind { group: "admissionregistration.k8s.io", version: "v1", kind: "ValidatingWebhookConfiguration" };

impl Kind {
    pub(crate) fn gvk(self) -> GroupVersionKind {
        GroupVersionKind::gvk(self.group, self.version, self.kind)
    }

    /// Objects of this kind: in a namespace, or of the cluster.
    pub(crate) fn api(self, client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&self.gvk());
        match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        }
    }
}

/// Objects that belong to Portcullis.
pub(crate) fn ours() -> ListParams {
    ListParams::default().labels(&format!("{PART_OF_LABEL}={PART_OF}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_of_the_pod_is_not_taken_for_one_that_was_named() {
        let name = |context: Option<&str>| ClusterName { kubeconfig: None, context: context.map(str::to_owned) };
        assert!(!is_named(&name(None), None) && !is_named(&name(None), Some(OsStr::new(""))));
        assert!(is_named(&name(Some("production")), None) && is_named(&name(None), Some(OsStr::new("/nonexistent"))));
    }

    #[tokio::test]
    async fn a_request_that_is_not_answered_ends_and_says_so() {
        let never = std::future::pending::<kube::Result<()>>();
        let error = within(Duration::ZERO, never).await.map_err(cannot("list the pods")).unwrap_err();
        assert_eq!(error.to_string(), "cannot list the pods: ServiceError: the API server gives no answer within 0 s");
    }
}
