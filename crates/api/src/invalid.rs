//! Why a text is no value of its type.

/// What is wrong with a text, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidValue {
    /// Where in the text the problem is, in characters, the first being 1.
    pub column: usize,
    /// What is wrong, a colon, and what to write instead.
    pub message: String,
}

impl InvalidValue {
    /// A problem of the text as a whole.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self { column: 1, message: message.into() }
    }
}
