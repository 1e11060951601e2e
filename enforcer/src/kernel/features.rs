//! What a kernel may lack, and which rules that turns off.
//!
//! A hook that a kernel lacks judges nothing: what it is named after is allowed to every container, listed or not. So `status` and the log say
//! it of the node, and of each profile that lists it, whose rule then changes nothing.

use btf_rs::Btf;
use portcullis_api::{ContainerRules, Privilege};
use std::path::Path;

use super::load::{Hook, PROGRAMS, is_there};

/// A set of hooks that judge a privilege each, one bit each, in the order of [`PROGRAMS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing(u32);

/// The hooks that a kernel may lack, where it does not judge the privilege then: hook and privilege.
fn optional() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROGRAMS.iter().filter_map(|(name, hook)| match hook {
        Hook::LsmOrUnjudged(privilege) => Some((*name, *privilege)),
        _ => None,
    })
}

impl Missing {
    /// What the kernel with this BTF lacks.
    #[must_use]
    pub fn of(types: &Btf) -> Self {
        Self::where_not(|hook| is_there(types, hook))
    }

    /// What the kernel lacks on which the programs with these pins were attached: a program without a hook was not.
    #[must_use]
    pub fn of_links(links: &Path) -> Self {
        Self::where_not(|hook| links.join(hook).exists())
    }

    fn where_not(has: impl Fn(&str) -> bool) -> Self {
        Self((0u32..).zip(optional()).filter(|(_, (hook, _))| !has(hook)).fold(0, |bits, (bit, _)| bits | 1 << bit))
    }

    /// The set with those bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits of the set.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// What of it the rules list.
    #[must_use]
    pub fn needed_by(self, rules: &ContainerRules) -> Self {
        let lists = |name: &str| rules.privileges.iter().map(Privilege::to_string).any(|listed| listed == name);
        Self((0u32..).zip(optional()).filter(|(_, (_, privilege))| lists(privilege)).fold(0, |bits, (bit, _)| bits | self.0 & 1 << bit))
    }

    /// The rules that it turns off, as they are written in a profile.
    pub fn rules(self) -> impl Iterator<Item = String> {
        (0u32..).zip(optional()).filter(move |(bit, _)| self.0 >> bit & 1 != 0).map(|(_, (_, privilege))| format!("privileges {privilege}"))
    }

    /// The hooks that the kernel lacks, each with the rule that it turns off.
    pub fn hooks(self) -> impl Iterator<Item = (&'static str, String)> {
        let present = (0u32..).zip(optional()).filter(move |(bit, _)| self.0 >> bit & 1 != 0);
        present.map(|(_, (hook, privilege))| (hook, format!("privileges {privilege}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> ContainerRules {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_profile_says_so_where_the_kernel_lacks_the_hook_of_a_rule() {
        let missing = Missing::where_not(|hook| hook != "userns_create");
        assert_eq!(missing.hooks().collect::<Vec<_>>(), [("userns_create", "privileges user-namespace".to_owned())]);
        let uses = missing.needed_by(&rules(r#"{"name": "a", "privileges": ["user-namespace", "bpf"]}"#));
        assert_eq!(uses.rules().collect::<Vec<_>>(), ["privileges user-namespace"]);
        assert_eq!(missing.needed_by(&rules(r#"{"name": "a", "privileges": ["bpf"]}"#)), Missing::default());
        assert_eq!(Missing::from_bits(uses.bits()), uses);
    }

    #[test]
    fn a_kernel_with_every_hook_turns_off_nothing() {
        let missing = Missing::where_not(|_| true);
        assert_eq!(missing.needed_by(&rules(r#"{"name": "a", "privileges": ["user-namespace"]}"#)), Missing::default());
    }
}
