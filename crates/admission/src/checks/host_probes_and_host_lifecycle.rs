//! `hostProbesAndHostLifecycle`: probes and lifecycle handlers that connect to the pod, and to nothing else.

use std::collections::BTreeSet;

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, join_quoted, plural};

pub(super) const CHECK: Check = Check {
    id: "hostProbesAndHostLifecycle",
    level: Level::Baseline,
    why: "The kubelet connects for the pod, from the node: with a host of its choice a pod sends requests past network policies, to the node's own loopback too.",
    fields: &[
        "spec.containers[*].livenessProbe.httpGet.host",
        "spec.containers[*].livenessProbe.tcpSocket.host",
        "spec.containers[*].readinessProbe.httpGet.host",
        "spec.containers[*].readinessProbe.tcpSocket.host",
        "spec.containers[*].startupProbe.httpGet.host",
        "spec.containers[*].startupProbe.tcpSocket.host",
        "spec.containers[*].lifecycle.postStart.httpGet.host",
        "spec.containers[*].lifecycle.postStart.tcpSocket.host",
        "spec.containers[*].lifecycle.preStop.httpGet.host",
        "spec.containers[*].lifecycle.preStop.tcpSocket.host",
    ],
    allowed: &["unset", "the empty string"],
    revisions: &[Revision { since: 34, change: "", overrides: &[], judge }],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    // Both are sets in Pod Security Admission, so here containers are sorted and named once.
    let mut names = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    let mut findings = Vec::new();
    for container in &pod.containers {
        for handler in &container.handler_hosts {
            let path = pod.container_path(container);
            let path = handler.within.into_iter().fold(path, crate::field::FieldPath::field).fields(&handler.handler).field("host");
            names.insert(container.name);
            hosts.insert(handler.host);
            findings.push(Finding {
                path: path.clone(),
                value: Some(handler.host.into()),
                allowed: "unset".into(),
                change: Change::remove(path),
            });
        }
    }
    (!names.is_empty()).then(|| Refusal {
        reason: "probe or lifecycle host".into(),
        detail: format!(
            "{} {} {} {} {}",
            plural(names.len(), "container", "containers"),
            join_quoted(&names),
            plural(names.len(), "uses", "use"),
            plural(hosts.len(), "probe or lifecycle host", "probe or lifecycle hosts"),
            join_quoted(&hosts)
        ),
        findings,
    })
}
