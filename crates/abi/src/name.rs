//! What a profile is called. The kernel has no use for it: it is kept in a map so that whoever reads the maps, an agent that takes over or
//! `status` beside a dead one, can say of which workload each profile is.

/// The longest text: namespace and container are labels of 63 bytes, the profile's name is a subdomain of 253.
pub const TEXT_MAX: usize = 63 + 1 + 253 + 1 + 63;

/// A value's size in bytes.
pub const NAME_SIZE: usize = 392;

/// One value of the `NAMES` map.
///
/// ```text
/// | rules, u32 | unjudged, u32 | NAMESPACE/PROFILE/CONTAINER, ended by NUL or the end |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileName<'a> {
    /// How many rules it has.
    pub rules: u32,
    /// Which features that its rules need the kernel lacks, one bit each.
    pub unjudged: u32,
    /// `NAMESPACE/PROFILE/CONTAINER`.
    pub text: &'a str,
}

impl<'a> ProfileName<'a> {
    /// The bytes that lie in the map; `None` where the text is too long.
    #[must_use]
    pub fn to_bytes(self) -> Option<[u8; NAME_SIZE]> {
        let mut bytes = [0; NAME_SIZE];
        let (rules, rest) = bytes.split_first_chunk_mut::<4>()?;
        let (unjudged, text) = rest.split_first_chunk_mut::<4>()?;
        *rules = self.rules.to_le_bytes();
        *unjudged = self.unjudged.to_le_bytes();
        text.get_mut(..self.text.len())?.copy_from_slice(self.text.as_bytes());
        Some(bytes)
    }

    /// The value that the bytes of the map hold; `None` where the text is no text.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8; NAME_SIZE]) -> Option<Self> {
        let (rules, rest) = bytes.split_first_chunk::<4>()?;
        let (unjudged, text) = rest.split_first_chunk::<4>()?;
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Self { rules: u32::from_le_bytes(*rules), unjudged: u32::from_le_bytes(*unjudged), text: str::from_utf8(text).ok()? })
    }
}

const _: () = assert!(8 + TEXT_MAX <= NAME_SIZE);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::string::String;

    proptest! {
        #[test]
        fn a_name_gives_back_what_it_was_made_of(rules: u32, unjudged: u32, text in "[a-z0-9./-]{0,381}") {
            let name = ProfileName { rules, unjudged, text: &text };
            let bytes = name.to_bytes().unwrap();
            prop_assert_eq!(ProfileName::from_bytes(&bytes), Some(name));
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused() {
        let text: String = "a".repeat(NAME_SIZE);
        assert_eq!(ProfileName { rules: 0, unjudged: 0, text: &text }.to_bytes(), None);
    }
}
