//! The Pod Security Standards: every check, every revision of it, and which apply at a level and version.
//!
//! A check belongs to a level and has revisions; of those whose `since` is not above the version asked for, the newest applies. `baseline` is the
//! baseline checks; `restricted` is both levels' checks less those that an applying restricted revision overrides, being stricter. Violations come in
//! the order of [`CHECKS`], which is Pod Security Admission's: baseline ids in byte order, then restricted ones.
//!
//! The definitions are those of Pod Security Admission as of Kubernetes 1.37. One file a check; each starts with the table of the fields that it
//! restricts and the values that it allows, which `portcullis explain` shows.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::pod::Pod;
use crate::standard::{Level, NEWEST_MINOR, Standard};
use crate::violation::{Refusal, Violation};

mod allow_privilege_escalation;
mod app_armor_profile;
mod capabilities_baseline;
mod capabilities_restricted;
mod host_namespaces;
mod host_path_volumes;
mod host_ports;
mod host_probes_and_host_lifecycle;
mod judged;
mod privileged;
mod proc_mount;
mod restricted_volumes;
mod run_as_non_root;
mod run_as_user;
mod se_linux_options;
mod seccomp_profile_baseline;
mod seccomp_profile_restricted;
mod sysctls;
mod windows_host_process;

pub(crate) use judged::{Demand, JudgedPod, demands};
pub(crate) use seccomp_profile_baseline::{SECCOMP_CONTAINER_ANNOTATION_PREFIX, SECCOMP_POD_ANNOTATION};

/// Every check, in the order in which violations are listed.
pub const CHECKS: &[&Check] = &[
    &app_armor_profile::CHECK,
    &capabilities_baseline::CHECK,
    &host_namespaces::CHECK,
    &host_path_volumes::CHECK,
    &host_ports::CHECK,
    &host_probes_and_host_lifecycle::CHECK,
    &privileged::CHECK,
    &proc_mount::CHECK,
    &se_linux_options::CHECK,
    &seccomp_profile_baseline::CHECK,
    &sysctls::CHECK,
    &windows_host_process::CHECK,
    &allow_privilege_escalation::CHECK,
    &capabilities_restricted::CHECK,
    &proc_mount::RESTRICTED,
    &restricted_volumes::CHECK,
    &run_as_non_root::CHECK,
    &run_as_user::CHECK,
    &seccomp_profile_restricted::CHECK,
];

/// One thing that a standard restricts.
#[derive(Debug)]
pub struct Check {
    /// Its name in Pod Security Admission.
    pub id: &'static str,
    /// The level that it belongs to: [`Level::Baseline`] or [`Level::Restricted`].
    pub level: Level,
    /// Why it exists: what a pod could do without it.
    pub why: &'static str,
    /// The fields that it restricts. `*` stands for every element; `containers` for init and ephemeral containers, too.
    pub fields: &'static [&'static str],
    /// The values that are allowed.
    pub allowed: &'static [&'static str],
    /// What it demands since when, oldest first; never empty.
    pub revisions: &'static [Revision],
}

/// What a check demands from one version on.
#[derive(Debug)]
pub struct Revision {
    /// The minor version of Kubernetes that brought it.
    pub since: u64,
    /// How it differs from the revision before; empty for the first.
    pub change: &'static str,
    /// The ids of baseline checks that need not run where this one does.
    pub overrides: &'static [&'static str],
    judge: fn(&Pod<'_>) -> Option<Refusal>,
}

impl Check {
    /// The check of this id.
    pub fn named(id: &str) -> Option<&'static Self> {
        CHECKS.iter().copied().find(|check| check.id == id)
    }

    /// The revision that applies at a minor version, if the check existed then.
    pub fn revision_at(&self, minor: u64) -> Option<&Revision> {
        self.revisions.iter().rev().find(|revision| revision.since <= minor)
    }

    /// Judges a pod by this check alone.
    pub fn judge(&self, minor: u64, pod: &Pod<'_>) -> Option<Violation> {
        self.violation(self.revision_at(minor)?, pod)
    }

    fn violation(&self, revision: &Revision, pod: &Pod<'_>) -> Option<Violation> {
        let Refusal { reason, detail, findings } = (revision.judge)(pod)?;
        Some(Violation { check: self.id, level: self.level, reason, detail, findings })
    }
}

/// The checks that apply at each standard: found once, since every request asks for them, once for each policy.
static APPLICABLE: LazyLock<BTreeMap<(Level, u64), Vec<&'static Check>>> = LazyLock::new(|| {
    let levels = [Level::Privileged, Level::Baseline, Level::Restricted];
    let standards = levels.into_iter().flat_map(|level| (0..=NEWEST_MINOR).map(move |minor| (level, minor)));
    standards.map(|(level, minor)| ((level, minor), choose(level, minor).collect())).collect()
});

/// The checks that apply at a standard, in the order in which their violations are listed.
pub fn applicable(standard: Standard) -> impl Iterator<Item = &'static Check> {
    let standard = (standard.level, standard.version.effective_minor());
    APPLICABLE.get(&standard).into_iter().flatten().copied()
}

fn choose(level: Level, minor: u64) -> impl Iterator<Item = &'static Check> {
    let exists = move |check: &&Check| check.level <= level && check.revision_at(minor).is_some();
    let overridden = move |id: &str| {
        let revisions = CHECKS.iter().copied().filter(exists).filter_map(|check| check.revision_at(minor));
        revisions.flat_map(|revision| revision.overrides).any(|overridden| *overridden == id)
    };
    CHECKS.iter().copied().filter(exists).filter(move |check| !overridden(check.id))
}

/// Judges a pod by a standard. It passes if nothing is returned.
pub fn evaluate(standard: Standard, pod: &Pod<'_>) -> Vec<Violation> {
    let minor = standard.version.effective_minor();
    applicable(standard).filter_map(|check| check.judge(minor, pod)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(standard: &str) -> Vec<&'static str> {
        applicable(standard.parse().unwrap()).map(|check| check.id).collect()
    }

    #[test]
    fn checks_are_ordered_by_level_then_by_the_bytes_of_their_ids() {
        let order: Vec<(Level, &str)> = CHECKS.iter().map(|check| (check.level, check.id)).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(order, sorted);
    }

    #[test]
    fn revisions_ascend_and_override_only_baseline_checks() {
        for check in CHECKS {
            assert!(!check.revisions.is_empty(), "{} has no revision", check.id);
            assert!(check.revisions.is_sorted_by(|a, b| a.since < b.since), "{}", check.id);
            assert!(check.revisions.iter().all(|revision| revision.since <= NEWEST_MINOR), "{}", check.id);
            for overridden in check.revisions.iter().flat_map(|revision| revision.overrides) {
                assert_eq!(check.level, Level::Restricted, "{}", check.id);
                assert_eq!(Check::named(overridden).unwrap().level, Level::Baseline, "{overridden}");
            }
        }
    }

    #[test]
    fn privileged_has_no_checks() {
        assert_eq!(ids("privileged"), Vec::<&str>::new());
    }

    #[test]
    fn restricted_grew_over_the_versions() {
        let own = |version: &str| {
            ids(&format!("restricted:{version}"))
                .into_iter()
                .filter(|id| Check::named(id).unwrap().level == Level::Restricted)
                .collect::<Vec<_>>()
        };
        assert_eq!(own("v1.7"), ["restrictedVolumes", "runAsNonRoot"]);
        assert_eq!(own("v1.8"), ["allowPrivilegeEscalation", "restrictedVolumes", "runAsNonRoot"]);
        assert_eq!(own("v1.19"), ["allowPrivilegeEscalation", "restrictedVolumes", "runAsNonRoot", "seccompProfile_restricted"]);
        assert_eq!(
            own("v1.23"),
            [
                "allowPrivilegeEscalation",
                "capabilities_restricted",
                "restrictedVolumes",
                "runAsNonRoot",
                "runAsUser",
                "seccompProfile_restricted"
            ]
        );
        assert!(own("v1.35").contains(&"procMount_restricted"));
    }

    #[test]
    fn a_restricted_check_replaces_the_baseline_check_that_it_overrides() {
        for (standard, replaced) in [
            ("restricted:v1.0", vec!["hostPathVolumes"]),
            ("restricted:v1.19", vec!["hostPathVolumes", "seccompProfile_baseline"]),
            ("restricted:v1.22", vec!["capabilities_baseline", "hostPathVolumes", "seccompProfile_baseline"]),
            ("restricted:v1.35", vec!["capabilities_baseline", "hostPathVolumes", "procMount", "seccompProfile_baseline"]),
        ] {
            let restricted = ids(standard);
            let missing: Vec<&str> =
                ids(&standard.replace("restricted", "baseline")).into_iter().filter(|id| !restricted.contains(id)).collect();
            assert_eq!(missing, replaced, "{standard}");
        }
    }
}
