//! [`Pattern`]: what an author writes for a set of paths, or a machine for a set of binary keys.
//!
//! # Syntax
//!
//! | written | matches |
//! |---|---|
//! | any other character | its own UTF-8 bytes |
//! | `?` | one byte except `/` |
//! | `*` | zero or more bytes except `/` |
//! | `**` | zero or more bytes, `/` included |
//! | `[a-z0-9_]` | one byte of the set; never `/`, even where a range spans it |
//! | `[^a-z]` | one byte outside the set, except `/` |
//! | `\c` | the character `c` itself, whatever it means otherwise |
//! | `\x20` | the byte with this hexadecimal value |
//!
//! Paths are bytes, not UTF-8: a file name in another encoding is written with `\x`, and `?` is one byte of a longer character.
//! Names that begin with a dot are ordinary names. `/a/**` matches `/a/` and all below it, not `/a`; `/a/**/b` does not match `/a/b`.
//!
//! The kernel hands over absolute paths without `.`, `..`, doubled or trailing slashes. A pattern that could only match such a path
//! would be a rule that silently never holds, so that it is refused, with what to write instead. So are unprintable characters:
//! a line break at the end of a YAML block would be one.
//!
//! # Keys
//!
//! A pattern of [`Pattern::from_classes`] matches keys of one fixed length, for instance an address with a port, a set of bytes for
//! each position; one of [`Pattern::from_prefix`] whatever begins with its bytes. All 256 values are ordinary there. A path begins with `/` and a key with anything else, so that one table can
//! hold both and neither is ever taken for the other.

mod assemble;
mod error;
mod parse;
mod text;

use std::fmt;
use std::str::FromStr;

use crate::class::ByteClass;

pub use error::{PatternError, PatternErrorReason};
pub use text::escape;

use assemble::Assembler;

/// The most positions of a pattern: bytes, classes and wildcards. Paths of the kernel have at most 4,096 bytes, the NUL included.
pub const MAX_POSITIONS: usize = 4096;

/// The longest text of a pattern, in bytes: every position written as `\x00`.
pub const MAX_TEXT_BYTES: usize = 4 * MAX_POSITIONS;

/// One position of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Token {
    /// This byte.
    Byte(u8),
    /// One byte of this class, which has more than one.
    Class(Box<ByteClass>),
    /// Zero or more bytes, none of which is `/`.
    Star,
    /// Zero or more bytes.
    Globstar,
}

impl Token {
    /// One byte of a class, in its plainest form: a class of one byte is that byte.
    fn one_of(class: ByteClass) -> Self {
        class.as_single().map_or_else(|| Self::Class(Box::new(class)), Self::Byte)
    }
}

/// A set of paths, or of binary keys. The module's head has the syntax.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    source: Box<str>,
    tokens: Vec<Token>,
}

impl Pattern {
    /// Reads a path pattern.
    ///
    /// # Errors
    /// Where the text does not follow the syntax, or could never match a path that the kernel reports. The error has the column,
    /// the reason and a way out.
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        let tokens = parse::tokens(source)?;
        Ok(Self { source: source.into(), tokens })
    }

    /// The pattern that matches this path only, every byte of it taken literally.
    ///
    /// # Errors
    /// Where these bytes are no path as the kernel reports it: not absolute, too long, with a NUL, or not normalised. The error's
    /// column counts bytes.
    pub fn literal(path: &[u8]) -> Result<Self, PatternError> {
        let mut assembler = Assembler::default();
        for (offset, &byte) in path.iter().enumerate() {
            assembler.push(Token::Byte(byte), offset + 1)?;
        }
        let tokens = assembler.finish(path.len())?;
        Ok(Self { source: escape(path).into(), tokens })
    }

    /// The pattern of all keys with a byte of `classes[i]` at each position `i`, and of this very length.
    ///
    /// # Errors
    /// Where there is no position or too many, a class is empty (the rule would never hold), or the first class has `/`, with
    /// which paths begin. The error's column counts positions.
    pub fn from_classes(classes: Vec<ByteClass>) -> Result<Self, PatternError> {
        let Some(first) = classes.first() else {
            return Err(PatternError::new(1, PatternErrorReason::EmptyKey));
        };
        if first.contains(b'/') {
            return Err(PatternError::new(1, PatternErrorReason::KeyBeginsWithSlash));
        }
        if classes.len() > MAX_POSITIONS {
            return Err(PatternError::new(MAX_POSITIONS + 1, PatternErrorReason::TooLong));
        }
        if let Some(position) = classes.iter().position(|class| class.is_empty()) {
            return Err(PatternError::new(position + 1, PatternErrorReason::EmptyClass));
        }
        let source = classes.iter().map(|class| text::class(*class)).collect::<String>();
        Ok(Self { source: source.into(), tokens: classes.into_iter().map(Token::one_of).collect() })
    }

    /// The pattern of all keys that begin with `prefix`, whatever follows, nothing included.
    ///
    /// # Errors
    /// As [`Pattern::from_classes`].
    pub fn from_prefix(prefix: &[u8]) -> Result<Self, PatternError> {
        let mut pattern = Self::from_classes(prefix.iter().map(|byte| ByteClass::single(*byte)).collect())?;
        pattern.tokens.push(Token::Globstar);
        Ok(Self { source: format!("{}**", pattern.source).into(), ..pattern })
    }

    /// The pattern of what this one matches, each followed by those bytes. NUL among them never is a part of a path.
    ///
    /// # Errors
    /// Where there are too many positions then. The error's column counts positions.
    pub fn followed_by(&self, bytes: &[u8]) -> Result<Self, PatternError> {
        let tokens: Vec<Token> = self.tokens.iter().cloned().chain(bytes.iter().copied().map(Token::Byte)).collect();
        if tokens.len() > MAX_POSITIONS {
            return Err(PatternError::new(MAX_POSITIONS + 1, PatternErrorReason::TooLong));
        }
        Ok(Self { source: format!("{}{}", self.source, escape(bytes)).into(), tokens })
    }

    /// The text that was read. For a literal path this is its [`escape`]d form; for a key, a text of the same shape that is
    /// meant for people and not for [`Pattern::parse`].
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether exactly one path or key matches.
    pub fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Byte(_)))
    }

    /// Whether the pattern matches, computed without any automaton: the yardstick that tables are tested against.
    ///
    /// Takes time proportional to positions times bytes. To match many paths, build a [`Table`](crate::Table).
    pub fn matches(&self, path: &[u8]) -> bool {
        // reached[i]: the tokens so far match the first i bytes.
        let mut reached: Vec<bool> = std::iter::once(true).chain(path.iter().map(|_| false)).collect();
        for token in &self.tokens {
            reached = match token {
                Token::Byte(byte) => advance(&reached, path, |b| b == *byte),
                Token::Class(class) => advance(&reached, path, |b| class.contains(b)),
                Token::Star => spread(&reached, path, |b| b != b'/'),
                Token::Globstar => spread(&reached, path, |_| true),
            };
        }
        reached.last() == Some(&true)
    }

    /// The positions, for the compiler.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }
}

/// What is reached by exactly one more byte that `allows` admits.
fn advance(reached: &[bool], path: &[u8], allows: impl Fn(u8) -> bool) -> Vec<bool> {
    let moved = reached.iter().zip(path).map(|(&here, &byte)| here && allows(byte));
    std::iter::once(false).chain(moved).collect()
}

/// What is reached by any number of further bytes, none included, that `allows` admits.
fn spread(reached: &[bool], path: &[u8], allows: impl Fn(u8) -> bool) -> Vec<bool> {
    let mut open = reached.first() == Some(&true);
    let carried = reached.iter().skip(1).zip(path).map(|(&here, &byte)| {
        open = here || (open && allows(byte));
        open
    });
    std::iter::once(reached.first() == Some(&true)).chain(carried).collect()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(source: &str) -> Result<Self, Self::Err> {
        Self::parse(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_a_literal_path_byte_for_byte() {
        let path = b"/opt/\xff odd [name]*";
        let pattern = Pattern::literal(path).unwrap();
        assert!(pattern.is_literal());
        assert!(pattern.matches(path));
        assert!(!pattern.matches(b"/opt/\xff odd [name]x"));
        assert_eq!(pattern.to_string(), r"/opt/\xff\x20odd\x20\[name\]\*");
        assert_eq!(Pattern::parse(pattern.as_str()), Ok(pattern));
    }

    #[test]
    fn matches_what_is_followed_by_bytes() {
        let pattern = Pattern::parse("/bin/*").unwrap().followed_by(b"\0ls").unwrap();
        assert!(pattern.matches(b"/bin/busybox\0ls"));
        assert!(!pattern.matches(b"/bin/busybox") && !pattern.matches(b"/bin/busybox\0lsx") && !pattern.matches(b"/bin/a/b\0ls"));
        assert!(Pattern::parse("/a").unwrap().followed_by(&[b'x'; MAX_POSITIONS]).is_err());
    }

    #[test]
    fn gives_back_the_text_that_was_read() {
        for text in ["/", "/a/*/[^b]?/**", r"/\x61"] {
            assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn is_literal_only_without_wildcards_and_classes_of_several_bytes() {
        assert!(Pattern::parse("/a/[b]").unwrap().is_literal());
        for text in ["/a/?", "/a/*", "/a/**", "/a/[bc]"] {
            assert!(!Pattern::parse(text).unwrap().is_literal(), "{text}");
        }
    }

    #[test]
    fn matches_keys_of_its_own_length_only() {
        let key = Pattern::from_classes(vec![ByteClass::single(0), ByteClass::ALL, ByteClass::range(8..=9)]).unwrap();
        assert!(key.matches(&[0, b'/', 8]));
        assert!(key.matches(&[0, 0, 9]));
        assert!(!key.matches(&[0, 0, 10]));
        assert!(!key.matches(&[0, 0]));
        assert!(!key.matches(&[0, 0, 9, 9]));
        assert_eq!(key.to_string(), r"\x00[\x00-\xff][\x08-\x09]");
    }

    #[test]
    fn refuses_keys_that_could_be_paths_or_never_match() {
        let reason = |classes| Pattern::from_classes(classes).unwrap_err();
        assert_eq!(reason(vec![]), PatternError::new(1, PatternErrorReason::EmptyKey));
        assert_eq!(reason(vec![ByteClass::ALL]), PatternError::new(1, PatternErrorReason::KeyBeginsWithSlash));
        assert_eq!(reason(vec![ByteClass::single(1), ByteClass::EMPTY]), PatternError::new(2, PatternErrorReason::EmptyClass));
        assert_eq!(
            reason(vec![ByteClass::single(1); MAX_POSITIONS + 1]),
            PatternError::new(MAX_POSITIONS + 1, PatternErrorReason::TooLong)
        );
    }

    #[test]
    fn matches_in_bounded_time_where_backtracking_would_explode() {
        let pattern = Pattern::parse(&format!("/{}b", "*a".repeat(500))).unwrap();
        assert!(!pattern.matches(format!("/{}", "a".repeat(4000)).as_bytes()));
    }
}
