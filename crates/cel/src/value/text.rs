//! Text, borrowed from the request or the program, or made.

use std::{ops::Deref, rc::Rc};

/// Unicode text.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// Of the request or the program.
    Borrowed(&'a str),
    /// Made by an expression.
    Shared(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}
