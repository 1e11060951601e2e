//! Taking in what the kernel tells: whose it is, who is told of it, and what is learned from it.

use anyhow::Context as _;
use portcullis_abi::{
    Action, CANARY, FIRST, Operation,
    event::{self, RawEvent},
};
use portcullis_profile::Observation;

use super::{Agent, doubts::Doubts};
use crate::{
    pods::Whose,
    report::{self, Clock},
};

impl Agent {
    /// Takes one event. Whether the containers have changed, so that [`Agent::reconcile`] is due.
    ///
    /// # Errors
    /// Where the sink cannot be written.
    pub fn event(&mut self, bytes: &[u8], clock: Clock) -> anyhow::Result<bool> {
        let raw = match event::decode(bytes) {
            Ok(raw) => raw,
            Err(error) => {
                self.undecodable += 1;
                tracing::warn!(?error, total = self.undecodable, "an event cannot be decoded");
                return Ok(false);
            }
        };
        if raw.header.profile == CANARY {
            return Ok(false);
        }
        if raw.operation == Operation::Existed {
            self.doubts.take_back(&raw);
            return Ok(false);
        }
        if raw.operation == Operation::ContainerGone {
            for bytes in self.doubts.of(raw.header.cgroup) {
                self.stands(&bytes, clock)?;
            }
        }
        if Doubts::concern(&raw) {
            if let Some(stands) = self.doubts.hold(&raw, bytes) {
                self.stands(&stands, clock)?;
            }
            return Ok(false);
        }
        self.take(&raw, clock)
    }

    /// Whether there are events that may be taken back: they wait for [`Agent::settle`].
    #[must_use]
    pub fn has_doubts(&self) -> bool {
        !self.doubts.is_empty()
    }

    /// Takes the events that nobody has taken back until `now` (ns since the boot), and hands them over.
    ///
    /// # Errors
    /// Where the sink cannot be written.
    pub fn settle(&mut self, now: u64, clock: Clock) -> anyhow::Result<()> {
        for bytes in self.doubts.due(now) {
            self.stands(&bytes, clock)?;
        }
        self.flush_events()
    }

    /// Takes an event that was held. It was decoded before, and is not of a container's life.
    fn stands(&mut self, bytes: &[u8], clock: Clock) -> anyhow::Result<()> {
        event::decode(bytes).map_or(Ok(false), |raw| self.take(&raw, clock)).map(drop)
    }

    fn take(&mut self, raw: &RawEvent<'_>, clock: Clock) -> anyhow::Result<bool> {
        let cgroup = raw.header.cgroup;
        let Some(action) = raw.action else { return Ok(self.life(raw)) };
        if is_told_by_its_exec(raw, action) {
            return Ok(false);
        }
        if !self.containers.contains_key(&cgroup) && self.unknown.insert(cgroup) {
            self.find_containers()?;
        }
        let key = self.containers.get(&cgroup);
        if action == Action::Observed
            && let Ok(observation) = Observation::from_event(raw)
        {
            match key.filter(|key| !key.is_pending()) {
                Some(key) => self.learner.observe(key, &observation),
                None => self.learner.hold(cgroup, &observation),
            };
        }
        if let Some(event) = report::event(raw, action, key, clock) {
            self.ends.sink.write(&event).context("cannot write an event")?;
        }
        Ok(false)
    }

    /// Takes what is told of a container's life; whether [`Agent::reconcile`] is due.
    fn life(&mut self, raw: &RawEvent<'_>) -> bool {
        let cgroup = raw.header.cgroup;
        match raw.operation {
            Operation::ContainerMade => self.made(cgroup, raw.object, raw.header.profile),
            Operation::ContainerGone => {
                self.containers.remove(&cgroup);
                self.strangers.remove(&cgroup);
                self.learner.forget(cgroup);
                self.record_syscalls();
                false
            }
            _ => {
                tracing::info!(container = self.containers.get(&cgroup).map(tracing::field::display), cgroup, "container started");
                false
            }
        }
    }

    /// Notes a new container; whether it has another profile than it should: none yet, or one that was replaced while it was made.
    fn made(&mut self, cgroup: u64, path: &[u8], profile: u32) -> bool {
        match self.ends.names.whose(path) {
            Some(Whose::Container(key)) => {
                let stale = self.indices.get(&key) != Some(&profile);
                tracing::info!(container = %key, cgroup, profile, stale, "container made");
                self.containers.insert(cgroup, key);
                self.record_syscalls();
                stale
            }
            Some(Whose::Unknown(_)) => {
                if profile < FIRST {
                    self.tell_of_stranger(cgroup, &String::from_utf8_lossy(path));
                }
                false
            }
            None => false,
        }
    }
}

/// Whether this is the kernel mapping the program that it executes. A rule for the exec grants the mapping, and the exec was told.
fn is_told_by_its_exec(raw: &RawEvent<'_>, action: Action) -> bool {
    action != Action::Blocked && raw.operation == Operation::Map && !raw.executable.is_empty() && raw.object == raw.executable
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_abi::{EventHeader, Resolution};

    #[test]
    fn the_mapping_of_a_program_that_is_executed_is_not_told_again() {
        let raw = |operation, object| RawEvent {
            header: EventHeader::default(),
            operation,
            action: Some(Action::WouldBlock),
            resolution: Resolution::Named,
            executable: b"/bin/id",
            arguments: b"",
            object,
        };
        assert!(is_told_by_its_exec(&raw(Operation::Map, b"/bin/id"), Action::WouldBlock));
        assert!(!is_told_by_its_exec(&raw(Operation::Map, b"/lib/x.so"), Action::WouldBlock));
        assert!(!is_told_by_its_exec(&raw(Operation::Exec, b"/bin/id"), Action::WouldBlock));
        assert!(!is_told_by_its_exec(&raw(Operation::Map, b"/bin/id"), Action::Blocked), "denials are always told");
    }
}
