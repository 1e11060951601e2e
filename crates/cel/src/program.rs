//! An expression that compiled.

use crate::{Bindings, Budget, Environment, EvaluationError, Problem, Type, Value};

/// What the place of an expression takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A validation, a match condition.
    Bool,
    /// A `messageExpression`.
    String,
    /// The value of an audit annotation.
    StringOrNull,
    /// A variable.
    Anything,
}

/// An expression without mistakes, to be evaluated any number of times, by any number of threads.
#[derive(Debug)]
pub struct Program {
    result: Type,
    depth: usize,
}

impl Program {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Every mistake that can be known without a request.
    pub fn compile(source: &str, environment: &Environment, expected: Expected) -> Result<Self, Vec<Problem>> {
        let _ = (environment, expected);
        Err(vec![Problem::at(source, 0, "CEL is not supported yet")])
    }

    /// The value for a request.
    ///
    /// # Errors
    /// The expression has no value for it, or the budget does not suffice.
    pub fn evaluate<'a>(&'a self, bindings: &Bindings<'a>, budget: &mut Budget) -> Result<Value<'a>, EvaluationError> {
        let _ = bindings;
        budget.charge(1)?;
        Err(EvaluationError::fault("CEL is not supported yet"))
    }

    /// The type that was inferred.
    pub fn result(&self) -> &Type {
        &self.result
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }
}
