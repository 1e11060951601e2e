//! Events that may be taken back: the kernel asks whether an entry may be made before it looks whether there is one, and what it does not need then was
//! neither denied nor observed. See `enforcer-ebpf/src/doubt.rs`.

use portcullis_abi::{Operation, event::RawEvent};
use std::{collections::BTreeMap, time::Duration};

/// How long an event waits to be taken back. Between the question and the answer the kernel reads the directory, from a slow disk perhaps.
pub(crate) const HOLD: Duration = Duration::from_millis(500);

/// How many events wait at most, each of up to 5 KiB: what comes beyond is not held, and may be told in vain.
const HELD_MAX: usize = 4096;

/// An event as it came, and when (ns since the boot).
#[derive(Debug)]
struct Held {
    time: u64,
    cgroup: u64,
    bytes: Vec<u8>,
}

/// The last event of each thread that may be taken back.
#[derive(Debug, Default)]
pub(super) struct Doubts(BTreeMap<u32, Held>);

impl Doubts {
    /// Whether an event may be taken back.
    pub(super) fn concern(raw: &RawEvent<'_>) -> bool {
        raw.operation == Operation::Create && raw.action.is_some()
    }

    /// Holds an event, and gives back one that stands: of a thread's events only the last can be taken back, and when too many wait, none more is held.
    pub(super) fn hold(&mut self, raw: &RawEvent<'_>, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.0.len() >= HELD_MAX && !self.0.contains_key(&raw.header.tid) {
            return Some(bytes.to_vec());
        }
        let held = Held { time: raw.header.time, cgroup: raw.header.cgroup, bytes: bytes.to_vec() };
        self.0.insert(raw.header.tid, held).map(|before| before.bytes)
    }

    /// Takes back what a thread of the container was told of last.
    pub(super) fn take_back(&mut self, raw: &RawEvent<'_>) {
        if self.0.get(&raw.header.tid).is_some_and(|held| held.cgroup == raw.header.cgroup) {
            self.0.remove(&raw.header.tid);
        }
    }

    /// What has waited long enough at `now` (ns since the boot), the oldest first.
    pub(super) fn due(&mut self, now: u64) -> Vec<Vec<u8>> {
        let hold = u64::try_from(HOLD.as_nanos()).unwrap_or(u64::MAX);
        self.drain(|held| now.saturating_sub(held.time) >= hold)
    }

    /// What waits of a container that is gone: none of its threads takes anything back any more.
    pub(super) fn of(&mut self, cgroup: u64) -> Vec<Vec<u8>> {
        self.drain(|held| held.cgroup == cgroup)
    }

    fn drain(&mut self, is_meant: impl Fn(&Held) -> bool) -> Vec<Vec<u8>> {
        let mut drained: Vec<Held> = self.0.extract_if(.., |_, held| is_meant(held)).map(|(_, held)| held).collect();
        drained.sort_by_key(|held| held.time);
        drained.into_iter().map(|held| held.bytes).collect()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_abi::{Action, EventHeader, Resolution};

    const SECOND: u64 = 1_000_000_000;

    fn raw(operation: Operation, tid: u32, cgroup: u64, time: u64) -> RawEvent<'static> {
        RawEvent {
            header: EventHeader { tid, cgroup, time, ..EventHeader::default() },
            operation,
            action: Some(Action::Blocked),
            resolution: Resolution::Named,
            executable: b"",
            arguments: b"",
            object: b"/data/file",
        }
    }

    #[test]
    fn what_is_not_taken_back_is_told_in_order_after_a_while() {
        let mut doubts = Doubts::default();
        assert_eq!(doubts.hold(&raw(Operation::Create, 1, 7, 2 * SECOND), &[1]), None);
        assert_eq!(doubts.hold(&raw(Operation::Create, 2, 7, SECOND), &[2]), None);
        assert!(doubts.due(SECOND + 1).is_empty());
        assert_eq!(doubts.due(3 * SECOND), [[2], [1]]);
        assert!(doubts.is_empty());
    }

    #[test]
    fn what_a_container_did_last_is_told_before_it_is_forgotten() {
        let mut doubts = Doubts::default();
        doubts.hold(&raw(Operation::Create, 1, 7, 0), &[1]);
        doubts.hold(&raw(Operation::Create, 2, 8, 0), &[2]);
        assert_eq!(doubts.of(7), [[1]]);
        assert_eq!(doubts.of(8), [[2]]);
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let mut doubts = Doubts::default();
        for tid in 0..u32::try_from(HELD_MAX).unwrap() {
            assert_eq!(doubts.hold(&raw(Operation::Create, tid, 7, 0), &[1]), None);
        }
        assert_eq!(doubts.hold(&raw(Operation::Create, u32::MAX, 7, 0), &[2]), Some(vec![2]));
        assert_eq!(doubts.hold(&raw(Operation::Create, 0, 7, 0), &[3]), Some(vec![1]));
        assert_eq!(doubts.of(7).len(), HELD_MAX);
    }

    #[test]
    fn only_the_last_of_a_thread_is_taken_back_and_only_by_its_container() {
        let mut doubts = Doubts::default();
        assert_eq!(doubts.hold(&raw(Operation::Create, 1, 7, 0), &[1]), None);
        assert_eq!(doubts.hold(&raw(Operation::Create, 1, 7, 0), &[2]), Some(vec![1]));
        doubts.take_back(&raw(Operation::Existed, 1, 8, 0));
        doubts.take_back(&raw(Operation::Existed, 2, 7, 0));
        assert!(!doubts.is_empty());
        doubts.take_back(&raw(Operation::Existed, 1, 7, 0));
        assert!(doubts.is_empty());
    }
}
