//! A Kubernetes control plane for a test: etcd and the API server of a current release, on loopback, with the controllers where asked for.
//!
//! ```text
//!   Cluster::start ──► portcullis-cluster (tests/e2e/cluster, built by hack/cluster) ──► etcd, kube-apiserver, …
//!        │  ◄── one line of JSON: it is ready
//!        ├─ kubeconfig     of the administrator
//!        ├─ AuditLog       what the API server noted of each request, as it is written
//!        └─ drop           closes its standard input: everything ends, and its folder is removed
//! ```
//!
//! It is the real thing, with upstream's defaults: every plugin of admission, RBAC, no anonymous requests. There are no nodes, so no pod ever runs.
//! Whatever becomes of this process, the cluster ends with it.
//!
//! Clients are not here: this library knows nothing of Kubernetes' API.

use std::{
    fs, io,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde::Deserialize;

mod audit;

pub use audit::AuditLog;

/// How long a cluster may take to get ready. It takes ten seconds; a machine that does other things takes longer.
const START_LIMIT: Duration = Duration::from_secs(180);
/// How long it may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Lines of a component's log that a failure shows.
const LOG_LINES: usize = 30;

/// Why there is no cluster, or not what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The program is not built.
    #[error("{0}")]
    NotBuilt(String),
    /// A file, a pipe or a process.
    #[error("cannot {doing}: {source}")]
    Io {
        /// The action.
        doing: &'static str,
        /// Its error.
        source: io::Error,
    },
    /// It ended before it was ready, or took too long.
    #[error("the cluster did not get ready: {why}\n{logs}")]
    NotReady {
        /// How.
        why: String,
        /// The end of its logs.
        logs: String,
    },
    /// The audit log does not tell what was awaited.
    #[error("the audit log has no such event after {0:?}")]
    NoEvent(Duration),
}

fn cannot(doing: &'static str) -> impl FnOnce(io::Error) -> ClusterError {
    move |source| ClusterError::Io { doing, source }
}

/// What runs beside the API server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Components {
    /// The controller manager: Deployments make pods, garbage is collected, namespaces get their service account.
    pub controller_manager: bool,
    /// The scheduler.
    pub scheduler: bool,
}

/// What the cluster says when it is ready.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    server: String,
    kubeconfig: PathBuf,
    audit_log: PathBuf,
    #[serde(rename = "webhookClientCA")]
    webhook_client_ca: PathBuf,
}

/// A cluster that runs.
#[derive(Debug)]
pub struct Cluster {
    child: Child,
    /// Open as long as the cluster is wanted.
    stdin: Option<ChildStdin>,
    folder: PathBuf,
    ready: Ready,
}

impl Cluster {
    /// Starts a cluster and waits until its API server is ready.
    ///
    /// # Errors
    /// It is not built, which the error says how to do, or does not start.
    pub fn start(components: Components) -> Result<Self, ClusterError> {
        let folder = folder();
        let mut command = Command::new(program()?);
        command.args(["run", "--until-stdin-closes"]);
        if components.controller_manager {
            command.arg("--controller-manager");
        }
        if components.scheduler {
            command.arg("--scheduler");
        }
        command.arg(&folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(cannot("start the cluster"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            if let Some(stdout) = stdout {
                // An error is as good as no line.
                let _ = BufReader::new(stdout).read_line(&mut line);
            }
            let _ = sender.send(line);
        });
        let line = receiver.recv_timeout(START_LIMIT).unwrap_or_default();
        match serde_json::from_str(&line) {
            Ok(ready) => Ok(Self { child, stdin, folder, ready }),
            Err(_) => {
                drop(stdin);
                let logs = logs(&folder);
                let why = ending(child);
                // It stays where the cluster failed, so that the reason can be read, which is done.
                let _ = fs::remove_dir_all(&folder);
                Err(ClusterError::NotReady { why, logs })
            }
        }
    }

    /// The API server's URL.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.ready.server
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.ready.kubeconfig
    }

    /// The authority that signed the certificate that the API server shows to webhooks.
    #[must_use]
    pub fn webhook_client_ca(&self) -> &Path {
        &self.ready.webhook_client_ca
    }

    /// What the API server notes from now on.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn audit_log(&self) -> Result<AuditLog, ClusterError> {
        AuditLog::follow(&self.ready.audit_log)
    }

    /// The last lines of every component's log.
    #[must_use]
    pub fn logs(&self) -> String {
        logs(&self.folder)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if !ends_within(&mut self.child, STOP_LIMIT) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A folder that is not there, short enough for the path of a socket in it.
fn folder() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("portcullis-cluster-{}-{next}", std::process::id()))
}

/// The program, as `hack/cluster` has built it of the sources that are here now.
fn program() -> Result<PathBuf, ClusterError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hack/cluster");
    let output = Command::new(script).arg("--cached").output().map_err(cannot("run hack/cluster"))?;
    if !output.status.success() {
        return Err(ClusterError::NotBuilt(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()))
}

/// Waits for the end of a process whose standard input was closed.
fn ends_within(child: &mut Child, limit: Duration) -> bool {
    let (sender, receiver) = mpsc::channel();
    let stderr = child.stderr.take();
    thread::spawn(move || {
        // Ends when the process does.
        let said = stderr.and_then(|stderr| io::read_to_string(stderr).ok()).unwrap_or_default();
        let _ = sender.send(said);
    });
    match receiver.recv_timeout(limit) {
        Ok(said) => {
            if !said.is_empty() {
                eprintln!("the cluster: {said}");
            }
            child.wait().is_ok()
        }
        Err(_) => false,
    }
}

fn ending(mut child: Child) -> String {
    // It has said nothing that could be understood, or nothing in time. If it lives, it is not wanted.
    let _ = child.kill();
    match child.wait_with_output() {
        Ok(output) => format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim_end()),
        Err(error) => error.to_string(),
    }
}

fn logs(folder: &Path) -> String {
    let mut text = String::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        let log = fs::read(&path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        text.push_str(&format!("{}:\n", path.display()));
        for line in lines.iter().skip(lines.len().saturating_sub(LOG_LINES)) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}
