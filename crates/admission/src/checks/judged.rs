//! One pod, judged by many standards: what their versions have in common is judged once.

use std::cell::OnceCell;

use super::{CHECKS, Check, Revision, applicable};
use crate::pod::Pod;
use crate::standard::Standard;
use crate::violation::Violation;

/// What a standard demands by one check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// The check.
    pub(crate) check: &'static Check,
    revision: &'static Revision,
    /// Which of all revisions of all checks it is.
    number: usize,
}

/// What a standard demands, in the order in which violations are listed.
pub(crate) fn demands(standard: Standard) -> Vec<Demand> {
    let revision = |check: &'static Check| Some((check, check.revision_at(standard.version.effective_minor())?));
    applicable(standard)
        .filter_map(revision)
        .filter_map(|(check, revision)| Some(Demand { check, revision, number: number_of(check, revision)? }))
        .collect()
}

/// What tells revisions apart: their addresses do not, since constants have several.
fn all_revisions() -> impl Iterator<Item = (&'static str, u64)> {
    CHECKS.iter().flat_map(|check| check.revisions.iter().map(|revision| (check.id, revision.since)))
}

fn number_of(check: &Check, revision: &Revision) -> Option<usize> {
    all_revisions().position(|known| known == (check.id, revision.since))
}

/// A pod, and what was found about it.
#[derive(Debug)]
pub(crate) struct JudgedPod<'d> {
    pod: Pod<'d>,
    /// By the number of the revision.
    found: Vec<OnceCell<Option<Violation>>>,
}

impl<'d> JudgedPod<'d> {
    pub(crate) fn new(pod: Pod<'d>) -> Self {
        Self { pod, found: all_revisions().map(|_| OnceCell::new()).collect() }
    }

    /// How the pod violates what is demanded, if it does.
    pub(crate) fn violation(&self, demand: &Demand) -> Option<&Violation> {
        // Every revision has its place.
        self.found.get(demand.number)?.get_or_init(|| demand.check.violation(demand.revision, &self.pod)).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::evaluate;
    use crate::field::FieldPath;
    use crate::standard::{Level, NEWEST_MINOR, Version};

    #[test]
    fn a_pod_that_is_judged_by_all_standards_at_once_is_judged_as_by_each() {
        let container = json!({"name": "a", "ports": [{"hostPort": 1}], "securityContext": {"privileged": true, "procMount": "Unmasked",
            "capabilities": {"add": ["SYS_ADMIN"]}, "seccompProfile": {"type": "Unconfined"}}});
        let object = json!({"spec": {"hostPID": true, "volumes": [{"name": "v", "hostPath": {"path": "/"}}], "containers": [container],
            "securityContext": {"sysctls": [{"name": "kernel.x"}, {"name": "net.ipv4.tcp_rmem"}]}}});
        let read = || Pod::read(Some(&object), &FieldPath::default()).unwrap();
        let judged = JudgedPod::new(read());
        for level in [Level::Privileged, Level::Baseline, Level::Restricted] {
            for minor in 0..=NEWEST_MINOR {
                let standard = Standard { level, version: Version::Minor(minor) };
                let once: Vec<Violation> = demands(standard).iter().filter_map(|demand| judged.violation(demand)).cloned().collect();
                assert_eq!(once, evaluate(standard, &read()), "{standard}");
            }
        }
    }
}
