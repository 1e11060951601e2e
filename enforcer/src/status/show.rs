//! The status as text, for people.

use std::fmt;

use super::{HookState, Status};

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let release = if self.current { "of this release" } else { "of another release" };
        let in_state = |state: HookState| self.hooks.iter().filter(move |hook| hook.state == state);
        write!(f, "hooks       {} live, {release}", in_state(HookState::Live).count())?;
        for (state, what) in [(HookState::Absent, "not in this kernel"), (HookState::Dead, "DEAD, nothing judges there")] {
            let names: Vec<&str> = in_state(state).map(|hook| hook.name.as_str()).collect();
            if !names.is_empty() {
                write!(f, "; {what}: {}", names.join(", "))?;
            }
        }
        writeln!(f)?;
        for hook in &self.hooks {
            if let Some(problem) = &hook.problem {
                writeln!(f, "dead        {}: {problem}", hook.name)?;
            }
        }
        for (hook, rule) in &self.unjudged {
            writeln!(f, "unjudged    {rule}: allowed in every profile, since this kernel has no {hook}")?;
        }
        writeln!(f, "tables      {} KiB of {} KiB", self.table_bytes / 1024, self.table_capacity_bytes / 1024)?;
        writeln!(f, "profiles    {}", self.profiles.len())?;
        for profile in &self.profiles {
            let (name, mode, rules, kib) = (&profile.name, profile.mode, profile.rules, profile.bytes / 1024);
            write!(f, "  {name}  {mode}, {} containers, {rules} rules, {kib} KiB", profile.containers)?;
            let unjudged = if profile.unjudged.is_empty() { String::new() } else { format!(", unjudged: {}", profile.unjudged.join(", ")) };
            writeln!(f, "{unjudged}")?;
        }
        writeln!(f, "containers  {}", self.containers.len())?;
        for container in &self.containers {
            let profile = match &container.profile {
                Some(profile) => profile,
                None if container.stranger => "UNKNOWN POD, watched only",
                None => "not known yet, watched only",
            };
            write!(f, "  {}  {profile}", container.path)?;
            for (kind, count) in &container.lost {
                write!(f, ", {kind} {count}")?;
            }
            writeln!(f)?;
        }
        let counters: Vec<String> = self.counters.iter().map(|(name, value)| format!("{name} {value}")).collect();
        write!(f, "counters    {}", counters.join(", "))
    }
}
