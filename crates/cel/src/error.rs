//! Why an expression has no value for a request.

use thiserror::Error;

/// An evaluation that ended without a value. Policies decide by their `failurePolicy` what follows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct EvaluationError {
    message: Box<str>,
    limit: Option<Limit>,
}

/// A bound of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Units of one expression.
    Expression,
    /// Units of one policy.
    Policy,
    /// The deadline.
    Time,
}

impl EvaluationError {
    /// An error that `&&`, `||` and the macros absorb where the answer does not depend on it.
    pub(crate) fn fault(message: impl Into<Box<str>>) -> Self {
        Self { message: message.into(), limit: None }
    }

    /// The end of the budget, which nothing absorbs.
    pub(crate) fn limit(limit: Limit) -> Self {
        let message = match limit {
            Limit::Expression => {
                "the expression costs more than an expression may; iterate over less, or take out of loops what does not change"
            }
            Limit::Policy => "the expressions of the policy together cost more than a policy may",
            Limit::Time => "the evaluation took longer than the request gives it",
        };
        Self { message: message.into(), limit: Some(limit) }
    }

    /// The bound that was passed, where the error is that.
    pub fn passed(&self) -> Option<Limit> {
        self.limit
    }

    /// Whether `&&`, `||` and the macros may go on without the value.
    pub(crate) fn is_absorbable(&self) -> bool {
        self.limit.is_none()
    }
}
