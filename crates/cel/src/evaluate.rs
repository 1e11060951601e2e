//! Code → value.
//!
//! Every step is charged to the budget before it is done. An error is a value of sorts: `&&`, `||`, `all` and `exists` go on without it and forget
//! it where the answer does not depend on it. The end of the budget is no such error: it ends the evaluation.

mod collections;
mod iterations;

pub(crate) use collections::LIST_UNITS;

use crate::{
    Bindings, Budget, EvaluationError, Text, Value,
    code::Code,
    library::{Call, Evaluated, Overload, Regexes},
    operators::{self, Found},
    syntax::Literal,
};

/// An evaluation under way.
pub(crate) struct Evaluation<'r, 'a> {
    pub(crate) bindings: &'r Bindings<'a>,
    pub(crate) budget: &'r mut Budget,
    pub(crate) regexes: &'a Regexes,
    /// What the macros around the current code bind.
    pub(crate) locals: Vec<Value<'a>>,
}

impl<'a> Evaluation<'_, 'a> {
    pub(crate) fn evaluate(&mut self, code: &'a Code) -> Evaluated<'a> {
        match code {
            Code::Literal(literal) => {
                if let Literal::Bytes(bytes) = literal {
                    self.budget.charge_text(bytes.len())?;
                }
                Ok(constant(literal))
            }
            Code::Constant(json) => Ok(Value::json(json)),
            Code::Type(name) => Ok(Value::Type(*name)),
            Code::Root(name) => {
                self.budget.charge(1)?;
                Ok(self.bindings.root(name))
            }
            Code::Variable(name) => self.variable(name),
            Code::Local(place) => {
                self.budget.charge(1)?;
                Ok(self.locals.get(*place).cloned().unwrap_or(Value::Null))
            }
            Code::Select { operand, field, optional } => self.select(operand, field, *optional),
            Code::Has { operand, field } => self.has(operand, field),
            Code::Index { operand, index, optional } => self.index(operand, index, *optional),
            Code::Not(operand) => self.not(operand),
            Code::Negate(operand) => {
                let value = self.evaluate(operand)?;
                self.budget.charge(1)?;
                operators::negate(&value)
            }
            Code::And(operands) => self.every(operands, true),
            Code::Or(operands) => self.every(operands, false),
            Code::Conditional(parts) => self.conditional(parts),
            Code::Binary { operator, left, right } => {
                let left = self.evaluate(left)?;
                let right = self.evaluate(right)?;
                self.budget.charge(1)?;
                operators::apply(*operator, left, right, self.budget)
            }
            Code::Call { name, overloads, arguments } => self.call(name, overloads, arguments),
            Code::List(elements) => self.list(elements),
            Code::Map(entries) => self.map(entries),
            Code::Iterate(iteration) => self.iterate(iteration),
            Code::Otherwise { operand, alternative, takes_out } => self.otherwise(operand, alternative, *takes_out),
            Code::WithValue { operand, body, flat } => self.with_value(operand, body, *flat),
        }
    }

    /// Evaluated when it is first used, with what its own expression may cost.
    fn variable(&mut self, name: &str) -> Evaluated<'a> {
        self.budget.charge(1)?;
        let Some(variable) = self.bindings.find_variable(name) else {
            return Err(EvaluationError::fault(format!("variables.{name} is not bound")));
        };
        if let Some(known) = variable.memo.try_borrow().ok().and_then(|memo| memo.clone()) {
            return known;
        }
        let value = variable.program.evaluate(self.bindings, self.budget);
        let is_final = value.as_ref().err().is_none_or(EvaluationError::is_absorbable);
        if let (true, Ok(mut memo)) = (is_final, variable.memo.try_borrow_mut()) {
            *memo = Some(value.clone());
        }
        value
    }

    fn select(&mut self, operand: &'a Code, field: &'a str, optional: bool) -> Evaluated<'a> {
        let operand = self.evaluate(operand)?;
        self.budget.charge(1)?;
        match operand {
            Value::Optional(None) => Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) => chained(field_of(&inner, field), true),
            operand => chained(field_of(&operand, field), optional),
        }
    }

    fn has(&mut self, operand: &'a Code, field: &'a str) -> Evaluated<'a> {
        let operand = self.evaluate(operand)?;
        let found = match &operand {
            Value::Optional(None) => return Ok(Value::Bool(false)),
            Value::Optional(Some(inner)) => field_of(inner, field)?,
            operand => field_of(operand, field)?,
        };
        Ok(Value::Bool(matches!(found, Found::Value(_))))
    }

    fn index(&mut self, operand: &'a Code, index: &'a Code, optional: bool) -> Evaluated<'a> {
        let operand = self.evaluate(operand)?;
        let index = self.evaluate(index)?;
        self.budget.charge(1)?;
        match operand {
            Value::Optional(None) => Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) => chained(operators::index(&inner, &index), true),
            operand => chained(operators::index(&operand, &index), optional),
        }
    }

    fn not(&mut self, operand: &'a Code) -> Evaluated<'a> {
        let value = self.evaluate(operand)?;
        self.budget.charge(1)?;
        match value {
            Value::Bool(value) => Ok(Value::Bool(!value)),
            other => Err(EvaluationError::fault(format!("no such overload: !{}", other.type_name().name()))),
        }
    }

    /// `&&` goes on at true, `||` at false. An operand that has no value counts only if no other decides.
    fn every(&mut self, operands: &'a [Code], goes_on: bool) -> Evaluated<'a> {
        let mut error = None;
        for operand in operands {
            match self.condition(operand) {
                Ok(value) if value == goes_on => {}
                Ok(decided) => return Ok(Value::Bool(decided)),
                Err(fault) if fault.is_absorbable() => error = error.or(Some(fault)),
                Err(limit) => return Err(limit),
            }
        }
        error.map_or(Ok(Value::Bool(goes_on)), Err)
    }

    /// A value that must be true or false.
    pub(crate) fn condition(&mut self, code: &'a Code) -> Result<bool, EvaluationError> {
        match self.evaluate(code)? {
            Value::Bool(value) => Ok(value),
            other => Err(EvaluationError::fault(format!("no such overload: a condition is {}, not bool", other.type_name().name()))),
        }
    }

    fn conditional(&mut self, parts: &'a [Code; 3]) -> Evaluated<'a> {
        let [condition, then, otherwise] = parts;
        let holds = self.condition(condition)?;
        self.evaluate(if holds { then } else { otherwise })
    }

    fn call(&mut self, name: &str, overloads: &[&'static Overload], arguments: &'a [Code]) -> Evaluated<'a> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.evaluate(argument)?);
        }
        self.budget.charge(1)?;
        match overloads.iter().find(|overload| overload.takes(&values)) {
            Some(overload) => (overload.run)(&mut Call { arguments: &values, budget: self.budget, regexes: self.regexes }),
            None => {
                let types: Vec<_> = values.iter().map(|value| value.type_name().name()).collect();
                Err(EvaluationError::fault(format!("no such overload: {name}({})", types.join(", "))))
            }
        }
    }

    fn otherwise(&mut self, operand: &'a Code, alternative: &'a Code, takes_out: bool) -> Evaluated<'a> {
        let operand = self.evaluate(operand)?;
        self.budget.charge(1)?;
        match operand {
            Value::Optional(None) => self.evaluate(alternative),
            Value::Optional(Some(inner)) if takes_out => Ok((*inner).clone()),
            Value::Optional(some) => Ok(Value::Optional(some)),
            other => Err(EvaluationError::fault(format!("no such overload: or of {}", other.type_name().name()))),
        }
    }

    fn with_value(&mut self, operand: &'a Code, body: &'a Code, flat: bool) -> Evaluated<'a> {
        match self.evaluate(operand)? {
            Value::Optional(None) => Ok(Value::Optional(None)),
            Value::Optional(Some(inner)) => {
                self.locals.push((*inner).clone());
                let value = self.evaluate(body);
                self.locals.pop();
                match value? {
                    value @ Value::Optional(_) if flat => Ok(value),
                    other if flat => Err(EvaluationError::fault(format!("optFlatMap needs an optional, not {}", other.type_name().name()))),
                    value => Ok(Value::some(value)),
                }
            }
            other => Err(EvaluationError::fault(format!("no such overload: optMap of {}", other.type_name().name()))),
        }
    }
}

/// What was found, or the lack of it: as an optional where it was asked for so.
fn chained<'a>(found: Result<Found<'a>, EvaluationError>, optional: bool) -> Evaluated<'a> {
    match found? {
        Found::Value(value) if optional => Ok(Value::some(value)),
        Found::Value(value) => Ok(value),
        Found::Nothing(_) if optional => Ok(Value::Optional(None)),
        Found::Nothing(error) => Err(error),
    }
}

/// A field. What has no fields has none; a list is an error even where the field may be absent, as in Kubernetes.
fn field_of<'a>(value: &Value<'a>, field: &str) -> Result<Found<'a>, EvaluationError> {
    let found = match value {
        Value::Map(map) => map.field(field),
        Value::List(_) => return Err(EvaluationError::fault("unsupported index type 'string' in list")),
        _ => None,
    };
    Ok(found.map_or_else(|| Found::Nothing(EvaluationError::fault(format!("no such key: {field}"))), Found::Value))
}

/// The value of a literal.
pub(crate) fn constant(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Uint(value) => Value::Uint(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::String(text) => Value::String(Text::Borrowed(text)),
        Literal::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
    }
}
