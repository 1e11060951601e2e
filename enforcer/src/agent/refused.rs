//! Profiles that could not be put in force, so that none is compiled again, and told of again, before something changes that may help: a large one takes
//! seconds to compile, and the agent looks at all of them whenever a container starts.

use portcullis_profile::CompileError;
use std::collections::BTreeMap;

use super::Applied;
use crate::{kernel::tables::ApplyError, key::ContainerKey};

/// What would help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// Other rules.
    Rules,
    /// So many KiB of room in one piece, or other rules.
    Room(u64),
}

impl Remedy {
    /// `None` where the same may go well the next time.
    fn for_error(error: &anyhow::Error) -> Option<Self> {
        if error.is::<CompileError>() {
            return Some(Self::Rules);
        }
        match error.downcast_ref()? {
            ApplyError::Full { needed, .. } => Some(Self::Room(*needed)),
            ApplyError::Maps(_) => None,
        }
    }
}

/// What was refused, and what would help.
#[derive(Debug, Default)]
pub(super) struct Refused(BTreeMap<ContainerKey, (Applied, Remedy)>);

impl Refused {
    /// Whether trying would give the same answer as the last time, with so many KiB free in one piece.
    pub(super) fn stands(&self, key: &ContainerKey, wanted: &Applied, free_kib: u64) -> bool {
        self.0.get(key).is_some_and(|(refused, remedy)| match remedy {
            _ if refused != wanted => false,
            Remedy::Rules => true,
            Remedy::Room(needed) => free_kib < *needed,
        })
    }

    /// Notes why a profile is not in force.
    pub(super) fn note(&mut self, key: &ContainerKey, wanted: &Applied, error: &anyhow::Error) {
        match Remedy::for_error(error) {
            Some(remedy) => _ = self.0.insert(key.clone(), (wanted.clone(), remedy)),
            None => _ = self.0.remove(key),
        }
    }

    /// Forgets what is not wanted any more as it was refused.
    pub(super) fn keep(&mut self, wanted: &BTreeMap<ContainerKey, Applied>) {
        self.0.retain(|key, (refused, _)| wanted.get(key) == Some(refused));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;
    use portcullis_abi::Mode;
    use portcullis_api::ContainerRules;

    fn applied(mode: Mode) -> Applied {
        Applied { mode, rules: ContainerRules { name: "app".to_owned(), ..ContainerRules::default() } }
    }

    fn key() -> ContainerKey {
        ContainerKey { namespace: "shop".to_owned(), profile: "web".to_owned(), container: "app".to_owned() }
    }

    #[test]
    fn what_finds_no_room_is_tried_again_when_there_is_room_or_it_changes() {
        let (wanted, mut refused) = (applied(Mode::Enforce), Refused::default());
        assert!(!refused.stands(&key(), &wanted, 0));
        let error: Result<(), _> = Err(ApplyError::Full { needed: 2048, free: 512, total: 1024 });
        refused.note(&key(), &wanted, &error.context("somewhere").unwrap_err());
        assert!(refused.stands(&key(), &wanted, 2047));
        assert!(!refused.stands(&key(), &wanted, 2048));
        assert!(!refused.stands(&key(), &applied(Mode::Learn), 0));
        refused.keep(&BTreeMap::from([(key(), applied(Mode::Learn))]));
        assert!(!refused.stands(&key(), &wanted, 0));
    }

    #[test]
    fn what_does_not_compile_waits_for_other_rules_and_what_failed_otherwise_for_nothing() {
        let (wanted, mut refused) = (applied(Mode::Enforce), Refused::default());
        let source = portcullis_matcher::CompileError::AcceptOutOfRange { pattern: "/".to_owned(), accept: 0 };
        let error = CompileError::Together { container: "app".to_owned(), wildcards: Vec::new(), source };
        refused.note(&key(), &wanted, &error.into());
        assert!(refused.stands(&key(), &wanted, u64::MAX));
        refused.note(&key(), &wanted, &anyhow::anyhow!("a map could not be written"));
        assert!(!refused.stands(&key(), &wanted, 0));
    }
}
