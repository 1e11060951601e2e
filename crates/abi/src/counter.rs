//! What went wrong inside the kernel, counted where it happened: a per-processor array that outlives the agent, one entry a kind.

/// An index into the `COUNTERS` array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Counter {
    /// Events of a container's life that found no room in the ring buffer, or none in the container's share of it.
    LifeLost = 0,
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
    /// Events of what was allowed while learning, as [`Counter::LifeLost`].
    ObservationLost = 8,
    /// Events of what was allowed in `audit`, as [`Counter::LifeLost`].
    WouldBlockLost = 9,
    /// Events of denials, as [`Counter::LifeLost`]. Each is in [`Counter::Denied`] too.
    DenialLost = 10,
    /// Containers of pods that user space has not told of.
    UnknownPod = 11,
}

impl Counter {
    /// Every kind, in the order of the array.
    pub const ALL: [Self; 12] = [
        Self::LifeLost,
        Self::ScratchBusy,
        Self::Unresolved,
        Self::SlotsExhausted,
        Self::ArmedFull,
        Self::StateLost,
        Self::Unbound,
        Self::Denied,
        Self::ObservationLost,
        Self::WouldBlockLost,
        Self::DenialLost,
        Self::UnknownPod,
    ];

    /// The kinds of events that are lost, in the order of [`crate::Losses::of`].
    pub const LOST: [Self; LOST_KINDS] = [Self::LifeLost, Self::ObservationLost, Self::WouldBlockLost, Self::DenialLost];

    /// The name under which the count is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LifeLost => "lives_lost",
            Self::ScratchBusy => "scratch_busy",
            Self::Unresolved => "unresolved",
            Self::SlotsExhausted => "slots_exhausted",
            Self::ArmedFull => "armed_full",
            Self::StateLost => "state_lost",
            Self::Unbound => "unbound",
            Self::Denied => "denied",
            Self::ObservationLost => "observations_lost",
            Self::WouldBlockLost => "would_blocks_lost",
            Self::DenialLost => "denials_lost",
            Self::UnknownPod => "unknown_pods",
        }
    }
}

/// How many kinds of events there are to lose: one of lives, and one for each [`crate::Action`].
pub const LOST_KINDS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_counted_under_its_action() {
        use crate::Action;
        let at = |action: Option<Action>| Counter::LOST[action.map_or(0, |action| action as usize)];
        assert_eq!(at(None), Counter::LifeLost);
        assert_eq!(at(Some(Action::Observed)), Counter::ObservationLost);
        assert_eq!(at(Some(Action::WouldBlock)), Counter::WouldBlockLost);
        assert_eq!(at(Some(Action::Blocked)), Counter::DenialLost);
    }

    #[test]
    fn all_lists_each_kind_at_its_index() {
        for (index, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, index);
        }
    }
}
