//! What a container may do of which is known only of which pod it is: what any container of the pod may.
//!
//! The grants add up. What is guarded is only what every container guards: where one may read without a rule, so may this one.

use portcullis_api::{ContainerRules, ExecRule, InvalidValue, PathPattern, Rule, guard};
use std::collections::BTreeSet;

use crate::{Limits, merge};

/// What the *sandbox* of a pod executes, which is its first container, holds its namespaces, and is in no list: containerd's and Docker's
/// pause image, and that of CRI-O.
const SANDBOX: [&str; 2] = ["/pause", "/usr/bin/pod"];

/// The rules of what is pending for a pod with these containers. Its name is empty.
///
/// # Errors
/// Where a tree that is guarded by default is no pattern.
pub fn pending<'a>(containers: impl IntoIterator<Item = &'a ContainerRules>) -> Result<ContainerRules, InvalidValue> {
    let mut all = ContainerRules::default();
    let mut guarded: Option<BTreeSet<PathPattern>> = None;
    // What each container may hold by itself, all may hold together.
    let unlimited = Limits { rules: usize::MAX };
    for container in containers {
        for rule in Rule::all_of(container) {
            let _ = merge(&mut all, &rule, unlimited);
        }
        let guards: BTreeSet<PathPattern> = match &container.guard {
            Some(guards) => guards.iter().cloned().collect(),
            None => guard::default_patterns()?.into_iter().collect(),
        };
        guarded = Some(match guarded {
            Some(before) => before.intersection(&guards).cloned().collect(),
            None => guards,
        });
    }
    for path in SANDBOX {
        let _ = merge(&mut all, &Rule::Exec(ExecRule::any(path.parse()?)), unlimited);
    }
    all.guard = guarded.map(|guards| guards.into_iter().collect());
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Observation, ObservedPath, compile};
    use portcullis_api::FileAccess;

    fn rules(yaml: &str) -> ContainerRules {
        serde_json::from_str(yaml).unwrap()
    }

    fn missing(rules: &ContainerRules, observation: &Observation) -> bool {
        compile(rules).unwrap().missing(observation) != 0
    }

    #[test]
    fn what_any_container_may_do_is_granted_and_nothing_else() {
        let web = rules(r#"{"name": "web", "exec": [{"path": "/bin/web"}], "capabilities": ["CHOWN"]}"#);
        let log = rules(r#"{"name": "log", "exec": [{"path": "/bin/log"}], "files": [{"path": "/var/log/*", "access": ["write"]}]}"#);
        let pending = pending([&web, &log]).unwrap();
        for path in ["/bin/web", "/bin/log", "/pause"] {
            assert!(!missing(&pending, &Observation::Exec(ObservedPath::new(path.as_bytes()).unwrap())), "{path}");
        }
        assert!(missing(&pending, &Observation::Exec(ObservedPath::new(b"/bin/sh").unwrap())));
        assert_eq!(pending.capabilities, web.capabilities);
        assert_eq!(pending.files, log.files);
    }

    #[test]
    fn only_what_every_container_guards_is_guarded() {
        let default = rules(r#"{"name": "a"}"#);
        let own = rules(r#"{"name": "b", "guard": ["/etc/shadow", "/data/**"]}"#);
        let none = rules(r#"{"name": "c", "guard": []}"#);
        let guarded = |containers: &[&ContainerRules]| {
            let guard = pending(containers.iter().copied()).unwrap().guard;
            guard.map(|paths| paths.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(guarded(&[&default, &own]), Some(vec!["/etc/shadow".to_owned()]));
        assert_eq!(guarded(&[&default, &own, &none]), Some(Vec::new()));
        assert_eq!(guarded(&[]), None, "a pod of which nothing is known guards what is guarded by default");
    }

    #[test]
    fn a_pod_without_rules_may_run_its_sandbox_and_nothing_else() {
        let pending = pending([]).unwrap();
        assert!(missing(&pending, &Observation::Exec(ObservedPath::new(b"/bin/sh").unwrap())));
        assert_eq!(pending.exec.len(), 2);
        let write = Observation::Open(ObservedPath::new(b"/x").unwrap(), [FileAccess::Write].into());
        assert!(missing(&pending, &write));
    }
}
