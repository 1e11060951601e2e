//! `seLinuxOptions`: the types made for containers, and nobody's user or role.

use std::collections::BTreeSet;

use super::{Check, Revision};
use crate::field::FieldPath;
use crate::pod::{Pod, SeLinuxOptions};
use crate::standard::Level;
use crate::violation::{Change, Finding, Refusal, Setters, join_quoted, plural};

/// The empty type is the unset one.
const TYPES_1_0: &[&str] = &["", "container_t", "container_init_t", "container_kvm_t"];
const TYPES_1_31: &[&str] = &["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

pub(super) const CHECK: Check = Check {
    id: "seLinuxOptions",
    level: Level::Baseline,
    why: "Another SELinux type, user or role can lift the confinement of containers. The level may be set: it only separates pods.",
    fields: &[
        "spec.securityContext.seLinuxOptions.type",
        "spec.securityContext.seLinuxOptions.user",
        "spec.securityContext.seLinuxOptions.role",
        "spec.containers[*].securityContext.seLinuxOptions.type",
        "spec.containers[*].securityContext.seLinuxOptions.user",
        "spec.containers[*].securityContext.seLinuxOptions.role",
    ],
    allowed: &["unset or empty", "for type: container_t, container_init_t, container_kvm_t", "for type from v1.31 on: container_engine_t"],
    revisions: &[
        Revision { since: 0, change: "", overrides: &[], judge: |pod| judge(pod, TYPES_1_0) },
        Revision { since: 31, change: "the type container_engine_t is allowed", overrides: &[], judge: |pod| judge(pod, TYPES_1_31) },
    ],
};

/// What is wrong with all options together; the text names each of the three once.
#[derive(Default)]
struct Forbidden<'d> {
    types: BTreeSet<&'d str>,
    user: bool,
    role: bool,
}

impl<'d> Forbidden<'d> {
    /// Adds what is wrong with one set of options, and a finding for each field.
    fn add(&mut self, options: SeLinuxOptions<'d>, allowed: &[&str], path: &FieldPath) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |field: &'static str, value: &str, allowed: String| {
            let path = path.clone().fields(&["seLinuxOptions", field]);
            findings.push(Finding { path: path.clone(), value: Some(value.into()), allowed: allowed.into(), change: Change::remove(path) });
        };
        if !allowed.contains(&options.kind) {
            self.types.insert(options.kind);
            find("type", options.kind, format!("unset, {}", join_quoted(allowed.iter().filter(|kind| !kind.is_empty()))));
        }
        if !options.user.is_empty() {
            self.user = true;
            find("user", options.user, "unset".to_owned());
        }
        if !options.role.is_empty() {
            self.role = true;
            find("role", options.role, "unset".to_owned());
        }
        findings
    }

    fn describe(&self) -> String {
        let mut parts = Vec::new();
        if !self.types.is_empty() {
            parts.push(format!("{} {}", plural(self.types.len(), "type", "types"), join_quoted(&self.types)));
        }
        if self.user {
            parts.push("user may not be set".to_owned());
        }
        if self.role {
            parts.push("role may not be set".to_owned());
        }
        parts.join("; ")
    }
}

fn judge(pod: &Pod<'_>, allowed: &[&str]) -> Option<Refusal> {
    let mut setters = Setters::default();
    let mut forbidden = Forbidden::default();
    let mut findings = Vec::new();
    for (setter, security) in pod.security_contexts() {
        let Some(options) = security.se_linux else { continue };
        let found = forbidden.add(options, allowed, &pod.security_path(setter));
        if !found.is_empty() {
            setters.add(setter);
            findings.extend(found);
        }
    }
    (!setters.is_empty()).then(|| Refusal {
        reason: "seLinuxOptions".into(),
        detail: format!("{setters} set forbidden securityContext.seLinuxOptions: {}", forbidden.describe()),
        findings,
    })
}
