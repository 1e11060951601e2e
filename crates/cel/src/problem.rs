//! What is wrong with an expression, found when it is compiled.

use std::fmt;

/// One mistake, where it is, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong and what to do instead.
    pub message: String,
}

impl Problem {
    /// A problem at a byte of `source`.
    pub(crate) fn at(source: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_in_characters_from_one() {
        let source = "é &&\n  ü";
        assert_eq!(Problem::at(source, 0, "").to_string(), "1:1: ");
        assert_eq!(Problem::at(source, source.len() - 2, "x").to_string(), "2:3: x");
        assert_eq!(Problem::at(source, 99, "x").to_string(), "2:4: x");
    }
}
