//! From what an operation lacks to what the kernel does about it.
//!
//! Fail-open or fail-closed, here: an object whose name cannot be known lacks everything that was asked, so it is denied in `enforce`, told
//! of in `audit` and `learn`, and never granted by any rule. A container without a profile is let through (there is nothing to judge it by)
//! and counted.

use crate::{
    access::{self, Access},
    profile::Mode,
};

/// How far the kernel could say which object it was about to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Resolution {
    /// The object has a name in the mount namespace of the task: the path from that namespace's root.
    Named = 0,
    /// The object lives in no mount namespace: a memory file, a pipe, what `anon_inode` holds. It can be read and written, as memory can,
    /// and neither executed nor mapped as executable.
    Anonymous = 1,
    /// The name is longer than [`crate::PATH_MAX`] or deeper than the walk goes.
    TooLong = 2,
    /// The object is in a mount that the task's mount namespace does not hold: a detached mount, a descriptor from outside.
    Unreachable = 3,
    /// The file was deleted: the name it had may belong to another by now.
    Deleted = 4,
    /// All working memory of this processor was in use.
    Busy = 5,
}

impl Resolution {
    /// The value with that number, where there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            0 => Self::Named,
            1 => Self::Anonymous,
            2 => Self::TooLong,
            3 => Self::Unreachable,
            4 => Self::Deleted,
            5 => Self::Busy,
            _ => return None,
        })
    }

    /// What `asked` lacks of an object so resolved, when the rules grant `granted` to its name.
    #[inline(always)]
    #[must_use]
    pub const fn missing(self, asked: Access, granted: Access) -> Access {
        match self {
            Self::Named => access::missing(asked, granted),
            Self::Anonymous => asked & (access::EXEC | access::MAP),
            // A deleted file is still the one that was opened by its name, but what runs must have a name.
            Self::Deleted => access::missing(asked, granted) | asked & (access::EXEC | access::MAP),
            Self::TooLong | Self::Unreachable | Self::Busy => asked,
        }
    }
}

/// What an event says was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// Allowed: the profile is being learned.
    Observed = 1,
    /// Allowed: the profile is audited, and `enforce` would have denied it.
    WouldBlock = 2,
    /// Denied with `EPERM`.
    Blocked = 3,
}

impl Action {
    /// The value with that number, where there is one.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            1 => Self::Observed,
            2 => Self::WouldBlock,
            3 => Self::Blocked,
            _ => return None,
        })
    }
}

/// What a hook does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Return 0 and tell nothing.
    Allow,
    /// Tell it, and return 0 for all but [`Action::Blocked`], for which `-EPERM`.
    Tell(Action),
}

impl Verdict {
    /// What the hook returns: 0 or `-EPERM`.
    #[inline(always)]
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Tell(Action::Blocked) => -1,
            _ => 0,
        }
    }
}

/// The verdict on an operation that lacks `missing` under a profile in `mode`.
#[inline(always)]
#[must_use]
pub const fn decide(mode: Mode, missing: Access) -> Verdict {
    if missing == 0 {
        return Verdict::Allow;
    }
    match mode {
        Mode::Absent => Verdict::Allow,
        Mode::Learn => Verdict::Tell(Action::Observed),
        Mode::Audit => Verdict::Tell(Action::WouldBlock),
        Mode::Enforce => Verdict::Tell(Action::Blocked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{EXEC, GUARDED, MAP, READ, WRITE};

    #[test]
    fn only_enforce_denies() {
        for mode in [Mode::Absent, Mode::Learn, Mode::Audit, Mode::Enforce] {
            assert_eq!(decide(mode, 0), Verdict::Allow);
            assert_eq!(decide(mode, EXEC).code(), if mode == Mode::Enforce { -1 } else { 0 });
        }
    }

    #[test]
    fn what_has_no_known_name_lacks_all_that_was_asked_whatever_the_rules_say() {
        for unknown in [Resolution::TooLong, Resolution::Unreachable, Resolution::Busy] {
            assert_eq!(unknown.missing(READ | WRITE, u32::MAX), READ | WRITE);
        }
    }

    #[test]
    fn anonymous_objects_are_data_and_never_code() {
        assert_eq!(Resolution::Anonymous.missing(READ | WRITE, 0), 0);
        assert_eq!(Resolution::Anonymous.missing(EXEC, u32::MAX), EXEC);
        assert_eq!(Resolution::Anonymous.missing(MAP, u32::MAX), MAP);
    }

    #[test]
    fn deleted_files_are_judged_by_the_name_they_had_and_never_run() {
        assert_eq!(Resolution::Deleted.missing(WRITE, WRITE), 0);
        assert_eq!(Resolution::Deleted.missing(READ, GUARDED), READ);
        assert_eq!(Resolution::Deleted.missing(EXEC, EXEC), EXEC);
    }

    #[test]
    fn raw_values_round_trip() {
        for raw in 0..=u8::MAX {
            if let Some(resolution) = Resolution::from_raw(raw) {
                assert_eq!(resolution as u8, raw);
            }
            if let Some(action) = Action::from_raw(raw) {
                assert_eq!(action as u8, raw);
            }
        }
    }
}
