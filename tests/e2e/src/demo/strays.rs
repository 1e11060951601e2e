//! Reports that belong to no step: a profile that was learned badly, or a gate that is closed to the shop itself.

use portcullis_api::{Event, event::Action};

use super::{
    attack::{STEPS, Step, name},
    scene::SHOP,
};

/// One line for each.
pub(super) fn among(events: &[Event]) -> Vec<String> {
    let strays = events.iter().filter(|event| event.action != Action::Observed && !belongs(event));
    strays.map(|event| format!("{:?} {:?} of {} by {}", event.action, event.operation, name(event), event.process.executable)).collect()
}

fn belongs(event: &Event) -> bool {
    let of_step = STEPS.iter().any(|step| match step {
        Step::Runtime(step) => step.is_told_by(event),
        Step::Admission => false,
    });
    // In `audit` there is a shell, and all that it and its children do is reported. Nothing but the shop runs in the container otherwise.
    of_step || event.action == Action::WouldBlock && event.process.executable != SHOP
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(action: &str, executable: &str, path: &str) -> Event {
        serde_json::from_value(json!({
            "time": "2026-01-01T00:00:00Z", "action": action, "operation": "exec", "object": {"path": path}, "repeats": 0,
            "process": {"pid": 1, "parent": 0, "executable": executable, "arguments": [], "uid": 0, "gid": 0},
            "container": {"namespace": "shop", "profile": "deployment-web", "name": "web", "cgroup": 1},
            "rule": {"exec": [{"path": path}]},
        }))
        .unwrap()
    }

    #[test]
    fn the_shell_is_a_step_and_what_it_runs_belongs_to_it_where_it_may_run() {
        assert!(among(&[event("would-block", "/usr/bin/shop", "/bin/sh"), event("would-block", "/bin/sh", "/bin/id")]).is_empty());
        assert!(among(&[event("would-block", "/bin/id", "/bin/id")]).is_empty(), "its own code, mapped");
        assert_eq!(among(&[event("blocked", "/bin/sh", "/bin/id")]).len(), 1);
    }

    #[test]
    fn what_the_shop_itself_does_is_a_stray_unless_it_was_only_learned() {
        assert_eq!(among(&[event("would-block", "/usr/bin/shop", "/bin/id")]).len(), 1);
        assert!(among(&[event("observed", "/usr/bin/shop", "/usr/bin/shop")]).is_empty());
    }
}
