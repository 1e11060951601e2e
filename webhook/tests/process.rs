//! The program as a process: its log, its signals, its exit codes.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/client.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod client;

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use client::{connect, exchange, issue, post};
use portcullis_webhook::authority::Authority;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

fn webhook(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
    command.args(arguments).env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn next_line(log: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = tokio::time::timeout(Duration::from_secs(20), log.next_line()).await.expect("a line is logged").unwrap().unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| unreachable!("{line} is not JSON: {error}"))
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn logs_a_denial_as_one_json_line_and_exits_0_when_told_to_stop() {
    for stop in [Signal::TERM, Signal::INT] {
        let folder = tempfile::tempdir().unwrap();
        let certificate = issue(&folder);
        let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
        let (chain, key) = (path("tls.crt"), path("tls.key"));
        let arguments = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--health-listen",
            "127.0.0.1:0",
            "--tls-cert",
            &chain,
            "--tls-key",
            &key,
            "--linger",
            "0",
        ];
        let mut child = webhook(&arguments).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        let serving = next_line(&mut log).await;
        assert_eq!(serving["message"], "serving");
        let address = serving["address"].as_str().unwrap().parse().unwrap();

        let (status, _) = exchange(connect(address, &certificate).await.unwrap(), &post()).await;
        assert_eq!(status, 200);
        let denied = next_line(&mut log).await;
        assert_eq!(denied["message"], "denied");
        assert_eq!(denied["uid"], "u-1");
        assert_eq!(denied["namespace"], "shop");
        assert_eq!(denied["name"], "web");
        assert_eq!(denied["checks"], "hostNamespaces");
        assert_eq!(denied["standard"], "baseline:latest");

        signal(&child, stop);
        let status = tokio::time::timeout(Duration::from_secs(10), child.wait()).await.expect("it stops").unwrap();
        assert_eq!(status.code(), Some(0));
    }
}

#[tokio::test]
async fn serves_with_a_certificate_that_it_signs_itself() {
    let authority = Authority::create(SystemTime::now()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in authority.write() {
        std::fs::write(folder.path().join(name), value).unwrap();
    }
    let folder = folder.path().to_str().unwrap();
    let arguments =
        ["serve", "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--tls-authority", folder, "--tls-name", "localhost"];
    let mut child = webhook(&arguments).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = next_line(&mut log).await["address"].as_str().unwrap().parse().unwrap();
    let (status, _) = exchange(connect(address, &authority.bundle()).await.unwrap(), &post()).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn exits_1_and_says_why_when_it_cannot_serve() {
    let output = webhook(&["serve", "--tls-cert", "/nonexistent/tls.crt", "--tls-key", "/nonexistent/tls.key"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = line["error"].as_str().unwrap();
    assert!(error.starts_with("cannot use the certificate files: cannot read /nonexistent/tls.crt"), "{error}");
}

#[tokio::test]
async fn exits_2_for_a_wrong_command_line_and_0_for_help() {
    for arguments in [&["serve"][..], &["serve", "--pod-security", "strict"], &["judge"], &[]] {
        let output = webhook(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
    let output = webhook(&["serve", "--help"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("Example:"));
}

#[tokio::test]
async fn judges_by_policies_of_files_and_does_not_start_with_one_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = issue(&folder);
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    let (chain, key, policy) = (path("tls.crt"), path("tls.key"), path("policy.yaml"));
    let shipped = include_str!("../../policies/no-latest-tag/policy.yaml");
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--health-listen",
        "127.0.0.1:0",
        "--tls-cert",
        &chain,
        "--tls-key",
        &key,
        "--policy",
        &policy,
        "--pod-security",
        "privileged",
    ];
    std::fs::write(&policy, shipped).unwrap();
    let mut child = webhook(&arguments).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = next_line(&mut log).await["address"].as_str().unwrap().parse().unwrap();
    let (_, answer) = exchange(connect(address, &certificate).await.unwrap(), &post()).await;
    assert!(answer.contains("policy \\\"no-latest-tag\\\" (tag)"), "{answer}");
    assert_eq!(next_line(&mut log).await["policies"], "no-latest-tag:tag");
    signal(&child, Signal::TERM);
    child.wait().await.unwrap();

    std::fs::write(&policy, shipped.replace("image.contains(", "image.contain(")).unwrap();
    let mut child = webhook(&arguments).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let refused = next_line(&mut log).await;
    assert!(refused["error"].as_str().unwrap().starts_with("cannot use the policies: spec.validations[0].expression: "), "{refused}");
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
}

/// A kubeconfig that names an API server at this address.
fn kubeconfig(address: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}],
          clusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}], users: [{{name: u, user: {{}}}}]}}"
    )
}

#[tokio::test]
async fn a_policy_of_a_file_that_looks_at_namespaces_needs_an_api_server_and_is_not_ready_before_it_told_them() {
    let folder = tempfile::tempdir().unwrap();
    issue(&folder);
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    let (chain, key, config) = (path("tls.crt"), path("tls.key"), path("kubeconfig"));
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/no-exec-in-production/policy.yaml");
    let addresses = ["--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"];
    let arguments = [&["serve", "--tls-cert", &chain, "--tls-key", &key, "--policy", policy][..], &addresses[..]].concat();
    let start = || {
        let mut command = webhook(&arguments);
        command.env("KUBECONFIG", &config).env("HOME", folder.path()).env_remove("KUBERNETES_SERVICE_HOST");
        command.spawn().unwrap()
    };
    let mut child = start();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let error = next_line(&mut log).await["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("a policy looks at namespaces") && error.contains("set KUBECONFIG"), "{error}");
    assert_eq!(child.wait().await.unwrap().code(), Some(1));

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::write(&config, kubeconfig(&silent.local_addr().unwrap().to_string())).unwrap();
    let mut child = start();
    let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
    let serving = next_line(&mut log).await;
    let health = tokio::net::TcpStream::connect(serving["health_address"].as_str().unwrap()).await.unwrap();
    let (status, text) = exchange(health, "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert_eq!((status, text.as_str()), (503, "namespaces: not known yet\n"));
}
