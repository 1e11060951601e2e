//! How much of the ring of events one container may fill, so that a flood by one hides nothing that another does.
//!
//! A container may have as much in the ring, told and not yet read, as is free. So a container that floods fills half of it, two a third
//! each, and *n* leave one part in *n + 1* for whoever has told nothing yet. It needs no share that is set aside and no list of who floods.
//!
//! What is not yet read is not counted exactly, which would need the reader's help, but from above, by what the ring says of itself: how far
//! it was written and how far it was read. Bytes are counted in periods. A period ends once the reader has passed the place where it began;
//! what was told in the one before is read by then.
//!
//! ```text
//!   read            mark                 written
//!    ▼               ▼                      ▼
//!  ──┴───────────────┴──────────────────────┴──►      read ≥ mark: before ← since, since ← 0, mark ← written
//!       before             since
//! ```

use crate::counter::LOST_KINDS;

/// The size of the ring, in bytes: a power of two.
pub const RING: usize = 4 << 20;

/// What the kernel writes before each event, in bytes, and to what it rounds an event up.
const RECORD_HEADER: u64 = 8;

/// One entry of the `SHARES` array: what a container has in the ring, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Share {
    /// How far the ring was written when the period began.
    pub mark: u64,
    /// Bytes of the period before.
    pub before: u64,
    /// Bytes of this period.
    pub since: u64,
}

impl Share {
    /// Takes room for an event of `length` bytes; whether the container may have it. `read` and `written` are how far the ring was read
    /// and written, in bytes since it was made.
    #[inline(always)]
    pub fn take(&mut self, length: u64, read: u64, written: u64) -> bool {
        // All ones where the reader has passed the mark. Without a branch: the verifier would follow both ways through all that comes after.
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "the sign is what is wanted")]
        let passed = ((self.mark.wrapping_sub(read).wrapping_sub(1)) as i64 >> 63) as u64;
        self.before = self.since & passed | self.before & !passed;
        self.since &= !passed;
        self.mark = written & passed | self.mark & !passed;
        let size = (length + RECORD_HEADER + 7) & !7;
        let free = (RING as u64).saturating_sub(written.wrapping_sub(read));
        if self.before.saturating_add(self.since).saturating_add(size) > free {
            return false;
        }
        self.since += size;
        true
    }
}

/// One entry of the `LOST` array: events of a container that found no room, by kind, in the order of [`crate::Counter::LOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Losses {
    /// How many of each kind.
    pub of: [u64; LOST_KINDS],
}

impl Losses {
    /// The value's size in bytes.
    pub const SIZE: usize = size_of::<Self>();

    /// The bytes that lie in the map.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (to, count) in bytes.chunks_exact_mut(8).zip(self.of) {
            to.copy_from_slice(&count.to_le_bytes());
        }
        bytes
    }

    /// The value that the bytes of the map hold.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let mut losses = Self::default();
        for (to, from) in losses.of.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *to = u64::from_le_bytes(*from);
        }
        losses
    }
}

const _: () = assert!(size_of::<Share>() == 24);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::{collections::VecDeque, vec, vec::Vec};

    /// A ring that is read from time to time, with its containers' shares; who has what in it.
    #[derive(Default)]
    struct Ring {
        shares: Vec<Share>,
        records: VecDeque<(usize, u64)>,
        read: u64,
        written: u64,
    }

    impl Ring {
        fn of(containers: usize) -> Self {
            Self { shares: vec![Share::default(); containers], ..Self::default() }
        }
        fn tell(&mut self, container: usize, length: u64) -> bool {
            if !self.shares[container].take(length, self.read, self.written) {
                return false;
            }
            let size = (length + 15) & !7;
            self.written += size;
            assert!(self.written - self.read <= RING as u64, "the ring never overflows");
            self.records.push_back((container, size));
            true
        }
        fn read(&mut self, records: usize) {
            for (_, size) in self.records.drain(..records.min(self.records.len())) {
                self.read += size;
            }
        }
        fn unread(&self, container: usize) -> u64 {
            self.records.iter().filter(|(by, _)| *by == container).map(|(_, size)| size).sum()
        }
    }

    #[test]
    fn one_that_floods_leaves_half_of_the_ring_to_another() {
        let mut ring = Ring::of(2);
        while ring.tell(0, 200) {}
        let half = RING as u64 / 2;
        assert!(ring.unread(0) > half - 256 && ring.unread(0) <= half, "{}", ring.unread(0));
        assert!(ring.tell(1, 4096));
    }

    #[test]
    fn a_hundred_that_flood_leave_room_for_one_more() {
        let mut ring = Ring::of(101);
        while (0..100).map(|container| ring.tell(container, 500)).filter(|told| *told).count() > 0 {}
        assert!(ring.tell(100, 4096));
    }

    #[test]
    fn what_was_read_counts_no_more() {
        let mut ring = Ring::of(1);
        while ring.tell(0, 1000) {}
        ring.read(usize::MAX);
        let told = (0..100).filter(|_| ring.tell(0, 1000)).count();
        assert_eq!(told, 100);
    }

    proptest! {
        #[test]
        fn what_a_container_has_unread_is_never_counted_too_low(
            steps in proptest::collection::vec((0usize..3, 1u64..5000, 0usize..4), 1..400),
        ) {
            let mut ring = Ring::of(3);
            for (container, length, reads) in steps {
                ring.tell(container, length);
                for (index, share) in ring.shares.iter().enumerate() {
                    prop_assert!(share.before + share.since >= ring.unread(index));
                }
                ring.read(reads);
            }
        }
    }

    #[test]
    fn losses_round_trip() {
        let losses = Losses { of: [1, 2, 3, u64::MAX] };
        assert_eq!(Losses::from_bytes(&losses.to_bytes()), losses);
    }
}
