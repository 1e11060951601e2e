//! The programs under test, as processes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_e2e::Error;
use portcullis_e2e::cargo::{dynamic_binary, static_binary};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use super::{Clock, Front, Scene, cluster};

/// How long the webhook may take for what it says in its log.
const SOON: Duration = Duration::from_secs(60);

/// A replica of the webhook.
pub(crate) struct Webhook {
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<Value>>,
    more: Notify,
}

impl Webhook {
    /// Starts a replica behind `front`, with an authority in a Secret, that registers itself for the scene's namespaces.
    pub(crate) async fn start(scene: &Scene, front: &Front, arguments: &[&str]) -> Self {
        Self::start_stored(scene, front, None, arguments).await
    }

    /// The same, by a clock of its own.
    pub(crate) async fn start_by(clock: &Clock, scene: &Scene, front: &Front) -> Self {
        Self::start_stored(scene, front, Some(clock), &[]).await
    }

    async fn start_stored(scene: &Scene, front: &Front, clock: Option<&Clock>, arguments: &[&str]) -> Self {
        let system = scene.system();
        let secret = format!("{system}/authority");
        let name = format!("webhook.{system}.svc");
        let mut all = vec!["--tls-secret", &secret, "--tls-name", &name, "--tls-secret-interval", "1"];
        all.extend(arguments);
        Self::launch(scene, front, clock, &registering(scene, front, &all)).await
    }

    /// The same, with a certificate from elsewhere.
    pub(crate) async fn start_registered(scene: &Scene, front: &Front, arguments: &[&str]) -> Self {
        Self::launch(scene, front, None, &registering(scene, front, arguments)).await
    }

    /// Starts a replica with these arguments behind `front`.
    pub(crate) async fn behind(scene: &Scene, front: &Front, arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Self::launch(scene, front, None, &arguments).await
    }

    async fn launch(scene: &Scene, front: &Front, clock: Option<&Clock>, arguments: &[String]) -> Self {
        let webhook = Self::spawn(scene, clock, arguments).await;
        let serving = webhook.wait_for("serving").await;
        let address = |field: &str| -> SocketAddr { serving[field].as_str().unwrap().parse().unwrap() };
        front.add(address("address"), address("health_address"));
        webhook
    }

    /// Starts the program with these arguments and those that every test gives.
    async fn spawn(scene: &Scene, clock: Option<&Clock>, arguments: &[String]) -> Self {
        // What stands between a program and its C library needs one that is not part of the program.
        let build = if clock.is_some() { dynamic_binary } else { static_binary };
        let mut command = Command::new(program(build, "portcullis-webhook", "portcullis-webhook").await);
        command.args(["serve", "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--namespace-labels"]).args(arguments);
        command.env("KUBECONFIG", scene.webhook_kubeconfig()).env_remove("RUST_LOG");
        command.envs(clock.map(Clock::environment).into_iter().flatten());
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let log = Arc::<Log>::default();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let written = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                written.lines.lock().unwrap().push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
                written.more.notify_waiters();
            }
        });
        Self { child, log }
    }

    /// The first line of the log with this message, now or soon.
    pub(crate) async fn wait_for(&self, message: &str) -> Value {
        self.wait_for_line(|line| line["message"] == message).await.unwrap_or_else(|| panic!("the webhook does not say {message:?}"))
    }

    /// The first line of the log that is meant, now or soon.
    pub(crate) async fn wait_for_line(&self, is_meant: impl Fn(&Value) -> bool) -> Option<Value> {
        let waiting = async {
            loop {
                let mut more = std::pin::pin!(self.log.more.notified());
                more.as_mut().enable();
                if let Some(line) = self.line(&is_meant) {
                    return line;
                }
                more.await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.ok()
    }

    /// The first line of the log so far that is meant.
    pub(crate) fn line(&self, is_meant: impl Fn(&Value) -> bool) -> Option<Value> {
        self.log.lines.lock().unwrap().iter().find(|line| is_meant(line)).cloned()
    }

    /// Tells it to stop, as the kubelet does.
    pub(crate) fn terminate(&self) {
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap())) {
            kill_process(pid, Signal::TERM).unwrap();
        }
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        tokio::time::timeout(SOON, self.child.wait()).await.unwrap().unwrap().code()
    }

    /// Ends it without a word.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.log.lines.lock().unwrap();
            eprintln!("the webhook's log:");
            lines.iter().for_each(|line| eprintln!("    {line}"));
        }
    }
}

/// Runs `portcullis` as the administrator.
pub(crate) async fn portcullis(arguments: &[&str]) -> Output {
    let mut command = Command::new(program(static_binary, "portcullis-cli", "portcullis").await);
    command.args(arguments).env("KUBECONFIG", cluster().kubeconfig()).output().await.unwrap()
}

/// The arguments of a webhook that registers itself, and these.
fn registering(scene: &Scene, front: &Front, arguments: &[&str]) -> Vec<String> {
    let (id, system, port) = (scene.id(), scene.system(), front.port());
    let registration = [
        "--webhook-configuration",
        &format!("portcullis-{id}"),
        "--register-service",
        &format!("{system}/webhook:{port}"),
        // The front looks for itself.
        "--register-after",
        "0",
        "--register-namespaces",
        &format!("portcullis-test={id}"),
    ];
    registration.iter().chain(arguments).map(ToString::to_string).collect()
}

/// Builds a program.
type Build = fn(&str, &str) -> Result<PathBuf, Error>;

async fn program(build: Build, package: &'static str, name: &'static str) -> PathBuf {
    tokio::task::spawn_blocking(move || build(package, name)).await.unwrap().unwrap_or_else(|error| panic!("{error}"))
}
