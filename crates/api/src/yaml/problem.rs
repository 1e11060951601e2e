//! What is wrong with a file, and where.

use super::node::{Node, Unreadable, Value};
use crate::{InvalidValue, validate::FieldPath};
use serde_saphyr::Location;
use std::fmt;

/// One problem of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// The line, the first being 1.
    pub line: u64,
    /// The column in characters, the first being 1.
    pub column: u64,
    /// The field, as `spec.containers[0].files[2].path`; empty where the document as a whole is meant.
    pub field: String,
    /// What is wrong, a colon, and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}", self.message)
    }
}

/// Everything that is wrong with a file: at least one problem. Shown as one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    problems: Vec<Problem>,
}

impl LoadError {
    /// The problems, document by document.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// The problems of a file while it is read.
pub(super) struct Problems<'t> {
    file: &'t str,
    text: &'t str,
    found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, found: Vec::new() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// A problem of the value of a node.
    pub(super) fn note(&mut self, node: &Node, field: &FieldPath, message: impl Into<String>) {
        self.push(node.referenced, 0, field, message.into());
    }

    /// A problem of the key at that place.
    pub(super) fn note_key(&mut self, at: Location, field: &FieldPath, message: impl Into<String>) {
        self.push(at, 0, field, message.into());
    }

    /// A problem inside the text of a node.
    pub(super) fn note_inside(&mut self, node: &Node, field: &FieldPath, error: InvalidValue) {
        self.push(node.referenced, self.offset(node, error.column), field, error.message);
    }

    /// The file is no YAML.
    pub(super) fn unreadable(&mut self, why: Unreadable) {
        let (at, message) = match why {
            Unreadable::TooLong { bytes, limit } => (None, format!("{bytes} bytes, and no more than {limit} are read: split the file")),
            Unreadable::Yaml { at, reason } => (at, format!("no YAML that can be read: {reason}")),
        };
        self.push(at.unwrap_or(Location::UNKNOWN), 0, &FieldPath::default(), message);
    }

    /// The value where there was no problem.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, LoadError> {
        if self.found.is_empty() { Ok(value) } else { Err(LoadError { problems: self.found }) }
    }

    fn push(&mut self, at: Location, offset: u64, field: &FieldPath, message: String) {
        let (line, column) = (at.line().max(1), at.column().max(1) + offset);
        self.found.push(Problem { file: self.file.to_owned(), line, column, field: field.to_string(), message });
    }

    /// How far behind the node's place a column of its text is: behind the quote where there is one, and at the place itself where the
    /// file does not have the text as it is (escapes, aliases, blocks, several lines).
    fn offset(&self, node: &Node, column: usize) -> u64 {
        let Value::Text(value) = &node.value else { return 0 };
        let inside = column.saturating_sub(1);
        let head: String = value.chars().take(inside).collect();
        let line = usize::try_from(node.referenced.line()).ok().and_then(|line| self.text.lines().nth(line.saturating_sub(1)));
        let place = usize::try_from(node.referenced.column()).unwrap_or(usize::MAX).saturating_sub(1);
        let source: String = line.unwrap_or_default().chars().skip(place).collect();
        let quoted = source.strip_prefix(['"', '\'']);
        if !quoted.unwrap_or(&source).starts_with(&head) {
            return 0;
        }
        u64::try_from(inside + usize::from(quoted.is_some())).unwrap_or(0)
    }
}
