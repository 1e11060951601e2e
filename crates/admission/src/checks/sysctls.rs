//! `sysctls`: only those that touch nothing but the pod's own namespaces.

use serde_json::json;

use super::{Check, Revision};
use crate::pod::Pod;
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, join_quoted};

/// Each allowed name, with the minor version since which it is.
const ALLOWED: &[(&str, u64)] = &[
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
    ("net.ipv4.tcp_slow_start_after_idle", 37),
    ("net.ipv4.tcp_notsent_lowat", 37),
];

pub(super) const CHECK: Check = Check {
    id: "sysctls",
    level: Level::Baseline,
    why: "Some sysctls are the whole node's; others turn off a protection of every pod on it.",
    fields: &["spec.securityContext.sysctls[*].name"],
    allowed: &[
        "kernel.shm_rmid_forced, net.ipv4.ip_local_port_range, net.ipv4.tcp_syncookies, net.ipv4.ping_group_range, net.ipv4.ip_unprivileged_port_start",
        "from v1.27 on: net.ipv4.ip_local_reserved_ports",
        "from v1.29 on: net.ipv4.tcp_keepalive_time, net.ipv4.tcp_fin_timeout, net.ipv4.tcp_keepalive_intvl, net.ipv4.tcp_keepalive_probes",
        "from v1.32 on: net.ipv4.tcp_rmem, net.ipv4.tcp_wmem",
        "from v1.37 on: net.ipv4.tcp_slow_start_after_idle, net.ipv4.tcp_notsent_lowat",
    ],
    revisions: &[
        Revision { since: 0, change: "", overrides: &[], judge: |pod| judge(pod, 0) },
        Revision { since: 27, change: "local reserved ports are allowed", overrides: &[], judge: |pod| judge(pod, 27) },
        Revision { since: 29, change: "TCP keep-alive and FIN time-outs are allowed", overrides: &[], judge: |pod| judge(pod, 29) },
        Revision { since: 32, change: "TCP buffer sizes are allowed", overrides: &[], judge: |pod| judge(pod, 32) },
        Revision {
            since: 37,
            change: "TCP slow start after idle and low-water mark are allowed",
            overrides: &[],
            judge: |pod| judge(pod, 37),
        },
    ],
};

fn judge(pod: &Pod<'_>, minor: u64) -> Option<Refusal> {
    let is_allowed = |name: &str| ALLOWED.iter().any(|(allowed, since)| *allowed == name && *since <= minor);
    let forbidden: Vec<(usize, &str)> =
        pod.sysctls.iter().enumerate().filter(|(_, sysctl)| !is_allowed(sysctl.name)).map(|(index, sysctl)| (index, sysctl.name)).collect();
    if forbidden.is_empty() {
        return None;
    }
    let kept: Vec<_> =
        pod.sysctls.iter().filter(|sysctl| is_allowed(sysctl.name)).map(|s| json!({ "name": s.name, "value": s.value })).collect();
    let allowed = join_quoted(ALLOWED.iter().filter(|(_, since)| *since <= minor).map(|(name, _)| name));
    let sysctls = pod.spec_path("securityContext").field("sysctls");
    // The whole list: removing its elements one by one would move the others.
    let change = Change::set(sysctls.clone(), kept);
    let finding = |(index, name): &(usize, &str)| Finding {
        path: sysctls.clone().index(*index).field("name"),
        value: Some((*name).into()),
        allowed: allowed.clone().into(),
        change: change.clone(),
    };
    Some(Refusal {
        reason: "forbidden sysctls".into(),
        detail: forbidden.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", "),
        findings: forbidden.iter().map(finding).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::field::FieldPath;

    #[test]
    fn findings_share_what_is_to_be_kept_however_long_it_is() {
        let kept = json!({"name": "net.ipv4.tcp_syncookies", "value": "1".repeat(100_000)});
        let sysctls: Vec<Value> = (0..1_000).map(|number| json!({"name": format!("vm.x{number}")})).chain([kept]).collect();
        let pod = json!({"spec": {"securityContext": {"sysctls": sysctls}}});
        let refusal = judge(&Pod::read(Some(&pod), &FieldPath::default()).unwrap(), 0).unwrap();
        let changes: Vec<&Arc<Value>> = refusal.findings.iter().filter_map(|finding| finding.change.to.as_ref()).collect();
        assert!(changes.len() == 1_000 && changes.iter().all(|change| Arc::ptr_eq(change, changes[0])));
        assert!(refusal.findings.iter().all(|finding| finding.to_string().len() < 1_000), "{}", refusal.findings[0]);
    }
}
