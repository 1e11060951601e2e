//! What went wrong inside the kernel, counted where it happened: a per-processor array that outlives the agent, one entry a kind.

/// An index into the `COUNTERS` array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Counter {
    /// Events that found no room in the ring buffer.
    EventLost = 0,
    /// Operations for which all working memory of the processor was in use; each is judged as [`crate::Resolution::Busy`].
    ScratchBusy = 1,
    /// Names that could not be resolved.
    Unresolved = 2,
    /// Containers for which no slot was free: they run unjudged.
    SlotsExhausted = 3,
    /// Cgroups below a container that could not be noted: they run unjudged.
    ArmedFull = 4,
    /// Forks that were refused because the state of the child could not be kept.
    StateLost = 5,
    /// Operations in a container whose profile is absent: allowed.
    Unbound = 6,
    /// Operations that were denied.
    Denied = 7,
}

impl Counter {
    /// Every kind, in the order of the array.
    pub const ALL: [Self; 8] = [
        Self::EventLost,
        Self::ScratchBusy,
        Self::Unresolved,
        Self::SlotsExhausted,
        Self::ArmedFull,
        Self::StateLost,
        Self::Unbound,
        Self::Denied,
    ];

    /// The name under which the count is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventLost => "events_lost",
            Self::ScratchBusy => "scratch_busy",
            Self::Unresolved => "unresolved",
            Self::SlotsExhausted => "slots_exhausted",
            Self::ArmedFull => "armed_full",
            Self::StateLost => "state_lost",
            Self::Unbound => "unbound",
            Self::Denied => "denied",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_each_kind_at_its_index() {
        for (index, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, index);
        }
    }
}
