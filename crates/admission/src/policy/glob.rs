//! Patterns of exceptions: `*` stands for any text, `?` for one character, everything else for itself.

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Vec<char>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.chars().collect())
    }

    /// Whether the whole text matches, in time that is at most the product of both lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut place) = (0_usize, 0_usize);
        // Where the last `*` was, and how much of the text it stands for so far.
        let mut star: Option<(usize, usize)> = None;
        while let Some(character) = text.get(place) {
            match self.0.get(at) {
                Some('*') => {
                    star = Some((at, place));
                    at = at.saturating_add(1);
                }
                Some(expected) if *expected == '?' || expected == character => {
                    at = at.saturating_add(1);
                    place = place.saturating_add(1);
                }
                _ => {
                    let Some((star_at, taken)) = star else { return false };
                    star = Some((star_at, taken.saturating_add(1)));
                    at = star_at.saturating_add(1);
                    place = taken.saturating_add(1);
                }
            }
        }
        self.0.iter().skip(at).all(|rest| *rest == '*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reference(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(('*', rest)), _) => reference(rest, text) || text.split_first().is_some_and(|(_, text)| reference(pattern, text)),
            (Some((expected, rest)), Some((found, text))) => (*expected == '?' || expected == found) && reference(rest, text),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matches_what_the_definition_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let (of_pattern, of_text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(Glob::new(&pattern).matches(&text), reference(&of_pattern, &of_text), "{} {}", pattern, text);
        }
    }

    #[test]
    fn matches_the_whole_text() {
        assert!(Glob::new("node-exporter-*").matches("node-exporter-x7k2p"));
        assert!(!Glob::new("node-exporter-*").matches("my-node-exporter-x"));
        assert!(Glob::new("quay.io/*@sha256:*").matches("quay.io/a/b@sha256:00"));
    }
}
