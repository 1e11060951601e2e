//! `capabilities_restricted`: every capability dropped, and none but `NET_BIND_SERVICE` added.

use std::collections::BTreeSet;

use serde_json::json;

use super::capabilities_baseline::{describe_additions, forbidden_additions};
use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters};

const ALL: &str = "ALL";
const ALLOWED: &[&str] = &["NET_BIND_SERVICE"];

pub(super) const CHECK: Check = Check {
    id: "capabilities_restricted",
    level: Level::Restricted,
    why: "The capabilities that runtimes give by default let a container's root change files' owners, forge packets and make devices.",
    fields: &["spec.containers[*].securityContext.capabilities.drop", "spec.containers[*].securityContext.capabilities.add"],
    allowed: &["for drop: a list that includes ALL", "for add: unset, NET_BIND_SERVICE"],
    revisions: &[
        Revision { since: 22, change: "", overrides: &["capabilities_baseline"], judge },
        Revision { since: 25, change: "Windows pods need not set it", overrides: &["capabilities_baseline"], judge: judge_1_25 },
    ],
};

fn judge(pod: &Pod<'_>) -> Option<Refusal> {
    let mut keeping = Setters::default();
    let mut adding = Setters::default();
    let mut forbidden = BTreeSet::new();
    let mut findings = Vec::new();
    for container in &pod.containers {
        let dropped = &container.capabilities.drop;
        if !dropped.contains(&ALL) {
            let path = pod.container_path(container).fields(&["securityContext", "capabilities", "drop"]);
            keeping.add_container(container.name);
            findings.push(Finding {
                path: path.clone(),
                value: (!dropped.is_empty()).then(|| dropped.clone().into()),
                allowed: r#"a list that includes "ALL""#.into(),
                change: Change::set(path, json!([ALL])),
            });
        }
        if let Some(finding) = forbidden_additions(pod, container, ALLOWED, &mut forbidden) {
            adding.add_container(container.name);
            findings.push(finding);
        }
    }
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!(r#"{keeping} must set securityContext.capabilities.drop=["ALL"]"#));
    }
    if !adding.is_empty() {
        details.push(describe_additions(&adding, &forbidden));
    }
    (!details.is_empty()).then(|| Refusal { reason: "unrestricted capabilities".into(), detail: details.join("; "), findings })
}

fn judge_1_25(pod: &Pod<'_>) -> Option<Refusal> {
    if pod.is_windows() { None } else { judge(pod) }
}
