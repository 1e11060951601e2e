//! An expression that compiled.

use crate::{
    Bindings, Budget, Environment, EvaluationError, Problem, Type, Value, check,
    code::Code,
    evaluate::Evaluation,
    library::{Evaluated, Regexes},
    syntax,
};

/// Levels of an expression together with those of the variables it uses.
const LEVELS: usize = 2 * syntax::LEVELS;

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
    code: Code,
    regexes: Regexes,
    expected: Expected,
    result: Type,
    depth: usize,
}

impl Program {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Every mistake that can be known without a request.
    pub fn compile(source: &str, environment: &Environment, expected: Expected) -> Result<Self, Vec<Problem>> {
        let tree = syntax::parse(source).map_err(|problem| vec![problem])?;
        let mut outcome = check::check(source, environment, &tree);
        let of = outcome.of.settled();
        // Where there is a mistake, the type is not known because of it.
        let may_fit = of == Type::Dyn && (!environment.is_exact() || !outcome.problems.is_empty());
        if !may_fit && !expected.accepts(&of) {
            outcome.problems.push(Problem::at(source, 0, expected.unfit(&of)));
        }
        let depth = tree.levels + outcome.variable_levels;
        if depth > LEVELS {
            outcome.problems.push(Problem::at(source, 0, "the variables build upon each other too deep; use fewer at a time"));
        }
        if !outcome.problems.is_empty() {
            return Err(outcome.problems);
        }
        Ok(Self { code: outcome.code, regexes: outcome.regexes, expected, result: of, depth })
    }

    /// The value for a request.
    ///
    /// # Errors
    /// The expression has no value for it, the value is not of the type that is expected, or the budget does not suffice.
    pub fn evaluate<'a>(&'a self, bindings: &Bindings<'a>, budget: &mut Budget) -> Result<Value<'a>, EvaluationError> {
        let around = budget.enter()?;
        let value = Evaluation { bindings, budget, regexes: &self.regexes, locals: Vec::new() }.evaluate(&self.code);
        budget.leave(around);
        self.expect(value?)
    }

    fn expect<'a>(&self, value: Value<'a>) -> Evaluated<'a> {
        let fits = match self.expected {
            Expected::Bool => matches!(value, Value::Bool(_)),
            Expected::String => matches!(value, Value::String(_)),
            Expected::StringOrNull => matches!(value, Value::String(_) | Value::Null),
            Expected::Anything => true,
        };
        if fits {
            return Ok(value);
        }
        Err(EvaluationError::fault(format!("the expression gave {}, and {} is needed", value.type_name().name(), self.expected)))
    }

    /// The type that was inferred.
    pub fn result(&self) -> &Type {
        &self.result
    }

    /// Levels that evaluating it takes.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }
}

impl Expected {
    /// Whether the type is exactly one that the place takes.
    fn accepts(self, of: &Type) -> bool {
        match (self, of) {
            (Self::Anything, _) => true,
            (Self::Bool, of) => *of == Type::Bool,
            (Self::String, of) => *of == Type::String,
            (Self::StringOrNull, of) => matches!(of, Type::String | Type::Null),
        }
    }
}

impl Expected {
    fn unfit(self, of: &Type) -> String {
        let hint = match (self, of) {
            (Self::Bool, Type::Dyn) => "; its type is not known before the request: compare it, as in … == true",
            (Self::String | Self::StringOrNull, Type::Dyn) => "; its type is not known before the request: write string(…)",
            _ => "",
        };
        format!("the expression gives {of}, and {self} is needed here{hint}")
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::String => "string",
            Self::StringOrNull => "string or null",
            Self::Anything => "anything",
        })
    }
}
