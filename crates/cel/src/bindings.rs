//! The values of what an environment declares, for one request.

use crate::{EvaluationError, Program, Value};
use std::cell::RefCell;

/// What a request and its parameters give to expressions. Variables are evaluated when they are first used, and once.
#[derive(Debug, Default)]
pub struct Bindings<'a> {
    roots: Vec<(&'a str, Value<'a>)>,
    variables: Vec<Variable<'a>>,
}

#[derive(Debug)]
pub(crate) struct Variable<'a> {
    pub(crate) name: &'a str,
    pub(crate) program: &'a Program,
    pub(crate) memo: RefCell<Option<Result<Value<'a>, EvaluationError>>>,
}

impl<'a> Bindings<'a> {
    /// Nothing is bound. What is declared and not bound is `null`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a declared name its JSON, which is borrowed and never copied.
    pub fn bind(&mut self, name: &'a str, json: &'a serde_json::Value) -> &mut Self {
        self.bind_value(name, Value::json(json))
    }

    /// Gives a declared name a value.
    pub fn bind_value(&mut self, name: &'a str, value: Value<'a>) -> &mut Self {
        self.roots.retain(|(known, _)| *known != name);
        self.roots.push((name, value));
        self
    }

    /// Gives `variables.NAME` its expression, which sees the variables that were added before it.
    pub fn variable(&mut self, name: &'a str, program: &'a Program) -> &mut Self {
        self.variables.retain(|known| known.name != name);
        self.variables.push(Variable { name, program, memo: RefCell::new(None) });
        self
    }

    pub(crate) fn root(&self, name: &str) -> Value<'a> {
        self.roots.iter().find(|(known, _)| *known == name).map_or(Value::Null, |(_, value)| value.clone())
    }

    pub(crate) fn find_variable(&self, name: &str) -> Option<&Variable<'a>> {
        self.variables.iter().find(|variable| variable.name == name)
    }
}
