//! Why a pattern is refused, and what to write instead.

use super::{MAX_POSITIONS, MAX_TEXT_BYTES};

/// A pattern that is refused: where, why, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {reason}")]
pub struct PatternError {
    /// Where, counted from 1: in characters of the text, or in bytes or positions where there is no text.
    pub column: usize,
    /// Why, and the way out.
    pub reason: PatternErrorReason,
}

impl PatternError {
    pub(crate) const fn new(column: usize, reason: PatternErrorReason) -> Self {
        Self { column, reason }
    }
}

/// Why a pattern is refused. Its text names the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternErrorReason {
    /// The first position is no `/`.
    #[error("a path begins with `/`: write the whole path, from the container's root")]
    NotAbsolute,
    /// More than [`MAX_POSITIONS`] positions or [`MAX_TEXT_BYTES`] bytes of text.
    #[error("the pattern is longer than {MAX_POSITIONS} positions or {MAX_TEXT_BYTES} bytes of text: write a shorter start and `**`")]
    TooLong,
    /// A NUL byte.
    #[error("no path has a NUL byte: leave it out")]
    Nul,
    /// An unprintable character, written as it is.
    #[error("{0:?} is an unprintable character: write it as `\\x..`, or remove it if it got here by accident")]
    Unprintable(char),
    /// Two slashes in a row.
    #[error("`//` does not occur in paths: write `/`")]
    EmptyComponent,
    /// A component `.` or `..`.
    #[error("`{0}` does not occur in paths, which are resolved before they are matched: write the path that it leads to")]
    DotComponent(&'static str),
    /// A slash at the end.
    #[error("a path has no `/` at its end: leave it out for the directory itself, or write `/**` for all below it")]
    TrailingSlash,
    /// Three asterisks or more.
    #[error("`***` matches no more than `**`: write `**`")]
    StarRun,
    /// A backslash at the end.
    #[error("`\\` escapes the character after it, and there is none: write `\\\\` for a backslash")]
    DanglingEscape,
    /// `\x` without two hexadecimal digits.
    #[error("`\\x` takes two hexadecimal digits, as in `\\x20`")]
    HexEscape,
    /// A `[` that nothing closes.
    #[error("`[` opens a class that nothing closes: add `]`, or write `\\[` for the character itself")]
    UnclosedClass,
    /// A class without a byte.
    #[error("the class is empty and matches nothing: name at least one byte other than `/`")]
    EmptyClass,
    /// A range whose end comes before its start.
    #[error("the range runs backwards: swap its ends")]
    BackwardRange,
    /// A slash inside a class.
    #[error("a class never matches `/`: take it out, and write `/` or `**` where a slash may be")]
    SlashInClass,
    /// A character of several bytes inside a class.
    #[error("{0:?} has several bytes, and a class is a set of single bytes: write a rule for each character, or `*`")]
    WideInClass(char),
    /// `[` inside a class.
    #[error("`[` has no meaning inside a class (there are no named classes): write `\\[` for the character itself")]
    BracketInClass,
    /// `[!`, the shell's negation.
    #[error("a class is negated with `[^`: write `[^`, or `[\\!` for the character itself")]
    ShellNegation,
    /// A key without positions.
    #[error("the key has no positions: give it at least one")]
    EmptyKey,
    /// A key whose first byte could be `/`.
    #[error("a key may not begin with `/`, as paths do: give it a first byte of another value")]
    KeyBeginsWithSlash,
}
