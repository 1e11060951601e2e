//! `portcullis scan`: judges what is in a cluster already, as the webhook would judge it if it were made now.
//!
//! ```text
//!  API server ─ namespaces ─► namespaces: which are meant ──┐
//!             ─ policies ───► policies: PolicySet ─► Judge  │
//!             ─ discovery ──► kinds: what is to be looked at┤
//!                                                           ▼
//!             ─ objects, a page at a time ─► pages ─► Judge::judge ─► Findings ─► report: text, json, sarif, junit
//!                                                        └─► describe: Report ─► publish ─► PolicyReports, where asked for
//! ```
//!
//! An object is forgotten once it was judged; what is kept is its name and what is wrong with it. So the memory that a scan takes is that of one page
//! and of the report. Every request is bounded in time, the scan as a whole is not: it takes as long as the cluster is big.
//!
//! A kind that cannot be listed is an error of the report, exit status 2, and the others are judged; so is a PolicyReport that cannot be written. What
//! makes the scan as a whole meaningless ends it: no API server, a namespace that is not there, policies that cannot be had.

use std::io::{self, Write};

use jiff::Timestamp;
use kube::Client;
use kube::api::DynamicObject;
use portcullis_admission::policy::{Library, PolicyKey};
use serde_json::Value;
use thiserror::Error;

use crate::args::ScanArgs;
use crate::cluster::{self, ClusterError};
use crate::document::Lines;
use crate::findings::{CheckError, Findings, Identity, Origin};
use crate::judge::{self, By, Judge, Judgement, Subject};
use crate::{Status, report};

mod describe;
mod kinds;
mod namespaces;
mod pages;
mod policies;
mod publish;

use kinds::Kind;
use namespaces::Namespaces;
use pages::Pages;
use publish::Publisher;
pub(crate) use publish::{CLUSTER_REPORTS, REPORTS};

/// Why nothing was scanned.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Files with policies.
    #[error("{}", .0.join("\nportcullis: "))]
    Policies(Vec<String>),
    /// Everything would pass.
    #[error(
        "the API server has no AdmissionPolicy, and no standard is asked for, so everything would pass; add --pod-security or --policy"
    )]
    NothingToJudgeBy,
    /// A resource of the API server that is needed.
    #[error("{0}")]
    NotInstalled(&'static str),
}

/// Runs the command.
///
/// # Errors
/// The report cannot be written. That the scan failed is a status.
pub fn run(args: &ScanArgs, output: &mut impl Write) -> io::Result<Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(scan(args)) {
        Ok(findings) => {
            report::write(&findings, args.output, args.color, output)?;
            Ok(findings.status())
        }
        Err(error) => {
            eprintln!("portcullis: {error}");
            Ok(Status::Failed)
        }
    }
}

async fn scan(args: &ScanArgs) -> Result<Findings, ScanError> {
    let client = cluster::client(&args.cluster).await?;
    let publisher = if args.write_reports { Some(Publisher::open(client.clone()).await?) } else { None };
    let now = Timestamp::now();
    let (library, problems) = policies::read(&client, args, now).await?;
    let by = by(args, &library)?;
    let policies = library.snapshot();
    let coverage = policies.coverage();
    let judge = Judge::by(by, policies, now);
    let namespaces = Namespaces::read(&client, args).await?;
    let (kinds, unknown) = kinds::of(&client, &coverage).await?;
    let mut findings = Findings::new(Origin::Cluster, &judge);
    findings.errors.extend(problems.into_iter().chain(unknown));
    let is_partial = !findings.errors.is_empty();
    let mut scan = Scan { client, judge, findings, publisher, is_partial };
    scan.all(&namespaces, &kinds).await;
    scan.finish(&namespaces).await;
    Ok(scan.findings)
}

/// The default standard only where there are no policies, as with `check`.
fn by(args: &ScanArgs, library: &Library) -> Result<By, ScanError> {
    let by_policies = args.policies || !args.policy.is_empty();
    match (args.namespace_labels, args.pod_security) {
        (true, standard) => Ok(By::Labels(standard.unwrap_or(judge::DEFAULT))),
        (false, Some(standard)) => Ok(By::Standard(standard)),
        (false, None) if !by_policies => Ok(By::Standard(judge::DEFAULT)),
        (false, None) if library.keys().iter().all(|key| matches!(key, PolicyKey::Exception(..))) => Err(ScanError::NothingToJudgeBy),
        (false, None) => Ok(By::Nothing),
    }
}

/// A scan that runs.
struct Scan {
    client: Client,
    judge: Judge,
    findings: Findings,
    publisher: Option<Publisher>,
    /// Whether something was not looked at or not written, so that what an earlier scan said may still hold. An object that was looked at and could
    /// not be judged is not such: its report says so.
    is_partial: bool,
}

impl Scan {
    async fn all(&mut self, namespaces: &Namespaces, kinds: &[Kind]) {
        namespaces.objects().for_each(|namespace| self.judge.learn(namespace));
        let kind = Kind::namespaces();
        for namespace in namespaces.objects() {
            self.one(&kind, namespace.clone()).await;
        }
        for kind in kinds {
            // What is in no namespace is in none of those that were named.
            if namespaces.are_all() {
                self.kind(kind, namespaces, None).await;
            } else if kind.namespaced {
                for name in namespaces.names() {
                    self.kind(kind, namespaces, Some(name)).await;
                }
            }
        }
    }

    async fn finish(&mut self, namespaces: &Namespaces) {
        let Some(publisher) = &mut self.publisher else { return };
        if let Err(error) = publisher.finish(namespaces, !self.is_partial).await {
            self.miss(format!("apis/{}/{}", REPORTS.group, REPORTS.version), error.to_string());
        }
    }

    /// All objects of a kind, in one namespace or everywhere.
    async fn kind(&mut self, kind: &Kind, namespaces: &Namespaces, namespace: Option<&str>) {
        let mut pages = Pages::of(kind.api(&self.client, namespace));
        loop {
            match pages.next().await {
                Ok(Some(page)) => {
                    for object in page {
                        let namespace = object.metadata.namespace.as_deref();
                        if namespace.is_none_or(|namespace| namespaces.has(namespace)) {
                            self.object(kind, object).await;
                        }
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    let place = namespace.map(|namespace| format!(" of the namespace {namespace}")).unwrap_or_default();
                    let message = format!("cannot list {}{place}: {error}", kind.qualified());
                    return self.miss(kind.path(namespace.unwrap_or_default(), ""), message);
                }
            }
        }
    }

    async fn object(&mut self, kind: &Kind, object: DynamicObject) {
        match kind.value(&object) {
            Ok(value) => self.one(kind, value).await,
            Err(error) => {
                let (namespace, name) = (object.metadata.namespace.unwrap_or_default(), object.metadata.name.unwrap_or_default());
                let message = format!("cannot read {} {name:?}: {error}", kind.qualified());
                self.miss(kind.path(&namespace, &name), message);
            }
        }
    }

    /// Judges an object, and reports it.
    async fn one(&mut self, kind: &Kind, object: Value) {
        let Some(identity) = Identity::of(&object, None) else { return };
        let source = kind.path(&identity.namespace, &identity.name);
        // The API server asks about a Namespace as if it were in itself.
        let namespace = if kind.is_namespaces() { &identity.name } else { &identity.namespace };
        let request = judge::request_for(&identity, &object, namespace, kind.resource.plural.clone());
        let subject = Subject { source: &source, identity: &identity, object: &object, lines: &Lines::UNKNOWN };
        let judgement = self.judge.judge(subject, &request);
        if let Some(publisher) = &mut self.publisher
            && let Err(message) = publisher.publish(&identity, &object, &judgement).await
        {
            self.miss(source, message);
        }
        let Judgement { judged, errors } = judgement;
        self.findings.workloads.extend(judged);
        self.findings.errors.extend(errors);
    }

    /// Something that was not looked at, or not written.
    fn miss(&mut self, source: String, message: String) {
        self.is_partial = true;
        self.findings.errors.push(CheckError { source, line: None, message });
    }
}
