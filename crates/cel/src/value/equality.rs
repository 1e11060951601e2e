//! Equality and order of values.
//!
//! Numbers are equal by value, whatever their types. Values of different kinds are unequal, never an error.

use super::{List, Map, Value};
use crate::{Budget, EvaluationError};
use std::cmp::Ordering;

/// Levels of lists and maps that are compared.
const LEVELS: usize = 256;

/// Whether two values are equal.
pub(crate) fn equal(a: &Value<'_>, b: &Value<'_>, budget: &mut Budget) -> Result<bool, EvaluationError> {
    equal_within(a, b, budget, LEVELS)
}

fn equal_within(a: &Value<'_>, b: &Value<'_>, budget: &mut Budget, levels: usize) -> Result<bool, EvaluationError> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(EvaluationError::fault("the values nest too deep to be compared"));
    };
    Ok(match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) => {
            budget.charge_text(a.len().min(b.len()))?;
            **a == **b
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.charge_text(a.len().min(b.len()))?;
            a == b
        }
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        (Value::Opaque(a), Value::Opaque(b)) => a.equals(b),
        (Value::Optional(a), Value::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => equal_within(a, b, budget, levels)?,
            (None, None) => true,
            _ => false,
        },
        (Value::List(a), Value::List(b)) => lists(a, b, budget, levels)?,
        (Value::Map(a), Value::Map(b)) => maps(a, b, budget, levels)?,
        _ => numbers(a, b) == Some(Ordering::Equal),
    })
}

fn lists(a: &List<'_>, b: &List<'_>, budget: &mut Budget, levels: usize) -> Result<bool, EvaluationError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b.iter()) {
        budget.charge(1)?;
        if !equal_within(&a, &b, budget, levels)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps(a: &Map<'_>, b: &Map<'_>, budget: &mut Budget, levels: usize) -> Result<bool, EvaluationError> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, value) in a.iter() {
        budget.charge(1)?;
        match b.find(&key) {
            Some(other) if equal_within(&value, &other, budget, levels)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// Which of two values of one kind is first; none where they have no order, as with what is not a number.
pub(crate) fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => Some((**a).cmp(&**b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => numbers(a, b),
    }
}

/// Whether two values have an order, if both are numbers even where one is not a number.
pub(crate) fn comparable(a: &Value<'_>, b: &Value<'_>) -> bool {
    let is_number = |value: &Value<'_>| matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_));
    compare(a, b).is_some() || (is_number(a) && is_number(b))
}

#[allow(clippy::cast_precision_loss, reason = "the comparison of a whole number with a double is that of Kubernetes, in doubles")]
fn numbers(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Uint(a), Value::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Double(b)) => (*a as f64).partial_cmp(b),
        (Value::Double(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Uint(a), Value::Double(b)) => (*a as f64).partial_cmp(b),
        (Value::Double(a), Value::Uint(b)) => a.partial_cmp(&(*b as f64)),
        _ => None,
    }
}
