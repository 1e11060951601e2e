//! Kubernetes' own PodSecurity plugin, in the API server, as the judge of what the standards say and how they say it.
//!
//! Every fixture is created twice, dry, in a namespace that enforces its standard: by an administrator, whom the plugin judges first, and by a user
//! whom the plugin does not judge, so that the webhook alone does. Both must say the same, word for word.

use futures_util::StreamExt;
use futures_util::stream::iter;
use kube::Client;
use portcullis_admission::{CHECKS, Level, NEWEST_MINOR};
use serde_json::{Value, json};

use crate::fixtures::{own, upstream};
use crate::support::{Front, Scene, Webhook, cluster, deployment, scene};

/// Who the plugin does not judge: see tests/e2e/cluster/configuration.go.
const NOT_JUDGED_BY_THE_PLUGIN: &str = "portcullis:not-judged-by-pod-security";
/// Requests under way at once.
const AT_ONCE: usize = 8;

/// A pod, and the standard to judge it by.
struct Sample {
    place: String,
    level: Level,
    minor: u64,
    pod: Value,
}

/// This project's fixtures at the first and the last version of their revision, and Pod Security Admission's, where they are at hand.
fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for check in CHECKS {
        for revision in own(check) {
            let next = check.revisions.iter().map(|revision| revision.since).find(|since| *since > revision.since);
            let last = next.unwrap_or(NEWEST_MINOR + 1) - 1;
            for minor in if last == revision.since { vec![last] } else { vec![revision.since, last] } {
                let sample = |(name, pod): (&String, &Value)| {
                    let place = format!("{} of {} at v1.{minor}", name, check.id);
                    Sample { place, level: check.level, minor, pod: pod.clone() }
                };
                samples.extend(revision.cases.iter().map(|case| sample((&case.name, &case.pod))));
            }
        }
    }
    let upstream = upstream();
    match &upstream {
        None => println!("fixtures: this project's own only; Pod Security Admission's are not beside the project (../shared/pss)"),
        Some(upstream) => println!("fixtures: {} of this project, {} of Pod Security Admission", samples.len(), upstream.len()),
    }
    for fixture in upstream.into_iter().flatten() {
        let (Some(first), place) = (fixture.minors.first(), fixture.path.display().to_string()) else { continue };
        samples.push(Sample { place, level: fixture.level, minor: *first, pod: fixture.pod });
    }
    samples
}

/// The sample as the API server takes it: with names, kind and images.
fn complete(pod: &Value) -> Value {
    let mut pod = pod.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("sample");
    pod["metadata"]["labels"] = json!({"app": "sample"});
    // Ephemeral containers come later, by a subresource; the differential test of the command line covers them.
    pod["spec"].as_object_mut().unwrap().remove("ephemeralContainers");
    pod
}

async fn not_judged_by_the_plugin() -> Client {
    scene::client(|config| {
        config.auth_info.impersonate = Some(NOT_JUDGED_BY_THE_PLUGIN.to_owned());
        config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    })
    .await
}

/// What somebody said of a sample.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Allowed,
    Denied(String),
    /// It is no pod that this API server takes, so nobody was asked.
    Invalid,
}

/// What the plugin said; a denial by the webhook means that the plugin allowed it.
fn plugin(result: kube::Result<kube::core::DynamicObject>) -> Said {
    match result {
        Ok(_) => Said::Allowed,
        Err(kube::Error::Api(status)) if status.code == 403 => Said::Denied(status.message.clone()),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => Said::Invalid,
        Err(error) => panic!("{error}"),
    }
}

/// What the webhook said, without what the API server puts before it and without the lines that it has beyond the plugin's.
fn webhook(result: kube::Result<kube::core::DynamicObject>) -> Said {
    match plugin(result) {
        Said::Denied(message) => {
            let own = message.strip_prefix("admission webhook \"fail-closed.portcullis.dev\" denied the request: ");
            Said::Denied(own.unwrap_or(&message).lines().next().unwrap_or_default().to_owned())
        }
        said => said,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_and_the_api_servers_own_plugin_say_the_same_of_every_fixture_word_for_word() {
    let scene = Scene::new("differential").await;
    let front = Front::start(&scene).await;
    let webhook_process = Webhook::start(&scene, &front, &[]).await;
    webhook_process.wait_for("registered").await;
    let samples = samples();
    let mut standards: Vec<_> = samples.iter().map(|sample| (sample.level.as_str(), sample.minor)).collect();
    standards.sort_unstable();
    standards.dedup();
    for (level, minor) in standards {
        let version = format!("v1.{minor}");
        let labels = json!({"pod-security.kubernetes.io/enforce": level, "pod-security.kubernetes.io/enforce-version": version});
        scene.namespace(&format!("{level}-{minor}"), labels).await;
    }
    let unlabelled = scene.namespace("unlabelled", json!({})).await;
    scene.enforced(&unlabelled).await;

    let others = not_judged_by_the_plugin().await;
    let judged = iter(&samples).map(|sample| {
        let object = complete(&sample.pod);
        let namespace = format!("differential-{}-{}", sample.level.as_str(), sample.minor);
        let (judged, exempt) = (scene.api(&namespace, &object), scene::api(others.clone(), &namespace, &object));
        async move { (sample, plugin(scene::create(&judged, &object, true).await), webhook(scene::create(&exempt, &object, true).await)) }
    });
    let judged: Vec<_> = judged.buffer_unordered(AT_ONCE).collect().await;

    let different: Vec<String> = judged
        .iter()
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(sample, theirs, ours)| format!("{}:\n  the plugin: {theirs:?}\n  the webhook: {ours:?}", sample.place))
        .collect();
    assert!(different.is_empty(), "{} of {}:\n{}", different.len(), judged.len(), different.join("\n"));
    let count = |is_meant: fn(&Said) -> bool| judged.iter().filter(|(_, theirs, _)| is_meant(theirs)).count();
    let (allowed, denied, invalid) =
        (count(|said| *said == Said::Allowed), count(|said| matches!(said, Said::Denied(_))), count(|said| *said == Said::Invalid));
    println!("{allowed} allowed, {denied} denied, {invalid} that this API server does not take");
    assert!(allowed > 50 && denied > 100 && invalid * 4 < judged.len(), "{allowed} allowed, {denied} denied, {invalid} invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_note_and_warn_in_the_same_words_of_pods_and_of_deployments() {
    let scene = Scene::new("noted").await;
    let front = Front::start(&scene).await;
    let webhook_process = Webhook::start(&scene, &front, &[]).await;
    webhook_process.wait_for("registered").await;
    let enforced = scene.namespace("enforced", json!({})).await;
    scene.enforced(&enforced).await;
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "privileged",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    });
    let namespace = scene.namespace("labelled", labels).await;
    let mut audit = cluster().audit_log().unwrap();
    let mut noted = 0;
    let latest = samples().into_iter().filter(|sample| sample.minor == NEWEST_MINOR);
    for (index, sample) in latest.enumerate() {
        let pod = complete(&sample.pod);
        for mut object in [pod.clone(), deployment("sample", &pod)] {
            let name = format!("sample-{index}-{}", object["kind"].as_str().unwrap().to_lowercase());
            object["metadata"]["name"] = json!(name);
            if scene.try_create(&namespace, &object).await.is_err() {
                continue;
            }
            let event =
                audit.wait_for(|event| event["objectRef"]["name"] == *name && event["objectRef"]["namespace"] == *namespace).unwrap();
            let annotation = |key: &str| event["annotations"][key].as_str().map(str::to_owned);
            let theirs = annotation("pod-security.kubernetes.io/audit-violations");
            assert_eq!(annotation("fail-closed.portcullis.dev/audit-violations"), theirs, "{} in a {}", sample.place, object["kind"]);
            noted += usize::from(theirs.is_some());
        }
    }
    assert!(noted > 50, "{noted} notes");
}
