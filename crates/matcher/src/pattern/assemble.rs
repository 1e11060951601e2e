//! The rules that hold for every path pattern, however it was written: absolute, normalised, of bounded length.

use super::error::{PatternError, PatternErrorReason as Reason};
use super::{MAX_POSITIONS, Token};

/// Takes a path pattern position by position and refuses what no path of the kernel could match.
#[derive(Default)]
pub(super) struct Assembler {
    tokens: Vec<Token>,
    /// How many tokens came before the component that is being read.
    component: usize,
    /// The column of that component's first token.
    column: usize,
}

impl Assembler {
    /// Adds a position that was written at `column`.
    pub(super) fn push(&mut self, token: Token, column: usize) -> Result<(), PatternError> {
        if self.tokens.is_empty() {
            if token != Token::Byte(b'/') {
                return Err(PatternError::new(column, Reason::NotAbsolute));
            }
        } else if token == Token::Byte(b'/') {
            if self.component_tokens().is_empty() {
                return Err(PatternError::new(column, Reason::EmptyComponent));
            }
            self.refuse_dots()?;
        } else if self.component_tokens().is_empty() {
            self.column = column;
        }
        if token == Token::Byte(0) {
            return Err(PatternError::new(column, Reason::Nul));
        }
        if self.tokens.len() == MAX_POSITIONS {
            return Err(PatternError::new(column, Reason::TooLong));
        }
        let ends_component = token == Token::Byte(b'/');
        self.tokens.push(token);
        if ends_component {
            self.component = self.tokens.len();
        }
        Ok(())
    }

    /// The complete pattern, whose last position was written at `column`.
    pub(super) fn finish(self, column: usize) -> Result<Vec<Token>, PatternError> {
        if self.tokens.is_empty() {
            return Err(PatternError::new(1, Reason::NotAbsolute));
        }
        if self.component_tokens().is_empty() && self.tokens.len() > 1 {
            return Err(PatternError::new(column, Reason::TrailingSlash));
        }
        self.refuse_dots()?;
        Ok(self.tokens)
    }

    fn component_tokens(&self) -> &[Token] {
        self.tokens.get(self.component..).unwrap_or_default()
    }

    fn refuse_dots(&self) -> Result<(), PatternError> {
        let dots = match self.component_tokens() {
            [Token::Byte(b'.')] => ".",
            [Token::Byte(b'.'), Token::Byte(b'.')] => "..",
            _ => return Ok(()),
        };
        Err(PatternError::new(self.column, Reason::DotComponent(dots)))
    }
}
