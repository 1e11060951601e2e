//! What the operators do, and to which types.

use crate::{
    Budget, Duration, EvaluationError, List, Text, Type, Value,
    library::Evaluated,
    syntax::Operator,
    value::{comparable, compare, equal},
};
use std::cmp::Ordering;

fn unfit<'a>(operator: &str, left: &Value<'_>, right: &Value<'_>) -> Evaluated<'a> {
    let (left, right) = (left.type_name().name(), right.type_name().name());
    Err(EvaluationError::fault(format!("no such overload: {left} {operator} {right}")))
}

fn overflow() -> EvaluationError {
    EvaluationError::fault("the result is not of the range of its type")
}

/// A result that may be out of range.
fn within<'a, T>(result: Option<T>, value: impl Fn(T) -> Value<'a>) -> Evaluated<'a> {
    result.map(value).ok_or_else(overflow)
}

/// What an operator of two operands gives.
pub(crate) fn apply<'a>(operator: Operator, left: Value<'a>, right: Value<'a>, budget: &mut Budget) -> Evaluated<'a> {
    match operator {
        Operator::Equal => equal(&left, &right, budget).map(Value::Bool),
        Operator::NotEqual => equal(&left, &right, budget).map(|equal| Value::Bool(!equal)),
        Operator::Less => order(operator, &left, &right, budget, Ordering::is_lt),
        Operator::LessOrEqual => order(operator, &left, &right, budget, Ordering::is_le),
        Operator::Greater => order(operator, &left, &right, budget, Ordering::is_gt),
        Operator::GreaterOrEqual => order(operator, &left, &right, budget, Ordering::is_ge),
        Operator::In => contains(&left, &right, budget),
        Operator::Add => add(left, right, budget),
        Operator::Subtract => subtract(&left, &right),
        Operator::Multiply => multiply(&left, &right),
        Operator::Divide => divide(&left, &right),
        Operator::Remainder => remainder(&left, &right),
    }
}

fn order<'a>(operator: Operator, left: &Value<'a>, right: &Value<'a>, budget: &mut Budget, holds: fn(Ordering) -> bool) -> Evaluated<'a> {
    budget.charge_text(left.shared_text(right))?;
    if !comparable(left, right) {
        return unfit(operator.symbol(), left, right);
    }
    match compare(left, right) {
        Some(order) => Ok(Value::Bool(holds(order))),
        None => Err(EvaluationError::fault("NaN values cannot be ordered")),
    }
}

fn contains<'a>(wanted: &Value<'a>, container: &Value<'a>, budget: &mut Budget) -> Evaluated<'a> {
    match container {
        Value::List(list) => {
            for element in list.iter() {
                budget.charge(1)?;
                if equal(&element, wanted, budget)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        Value::Map(map) => Ok(Value::Bool(map.find(wanted).is_some())),
        _ => unfit("in", wanted, container),
    }
}

pub(crate) fn add<'a>(left: Value<'a>, right: Value<'a>, budget: &mut Budget) -> Evaluated<'a> {
    match (&left, &right) {
        (Value::Int(a), Value::Int(b)) => within(a.checked_add(*b), Value::Int),
        (Value::Uint(a), Value::Uint(b)) => within(a.checked_add(*b), Value::Uint),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::String(a), Value::String(b)) => {
            budget.charge_text(a.len() + b.len())?;
            Ok(Value::String(Text::from([&**a, &**b].concat())))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.charge_text(a.len() + b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        (Value::List(a), Value::List(b)) => {
            budget.charge_elements(a.len() + b.len())?;
            Ok(Value::list(a.iter().chain(b.iter()).collect::<Vec<_>>()))
        }
        (Value::Timestamp(a), Value::Duration(b)) | (Value::Duration(b), Value::Timestamp(a)) => {
            within(a.plus(b.nanoseconds().into()), Value::Timestamp)
        }
        (Value::Duration(a), Value::Duration(b)) => {
            within(a.nanoseconds().checked_add(b.nanoseconds()), |sum| Value::Duration(Duration::of_nanoseconds(sum)))
        }
        _ => unfit("+", &left, &right),
    }
}

fn subtract<'a>(left: &Value<'a>, right: &Value<'a>) -> Evaluated<'a> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => within(a.checked_sub(*b), Value::Int),
        (Value::Uint(a), Value::Uint(b)) => within(a.checked_sub(*b), Value::Uint),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => within(a.since(*b), Value::Duration),
        (Value::Timestamp(a), Value::Duration(b)) => within(a.plus(-i128::from(b.nanoseconds())), Value::Timestamp),
        (Value::Duration(a), Value::Duration(b)) => {
            within(a.nanoseconds().checked_sub(b.nanoseconds()), |rest| Value::Duration(Duration::of_nanoseconds(rest)))
        }
        _ => unfit("-", left, right),
    }
}

fn multiply<'a>(left: &Value<'a>, right: &Value<'a>) -> Evaluated<'a> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => within(a.checked_mul(*b), Value::Int),
        (Value::Uint(a), Value::Uint(b)) => within(a.checked_mul(*b), Value::Uint),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        _ => unfit("*", left, right),
    }
}

fn divide<'a>(left: &Value<'a>, right: &Value<'a>) -> Evaluated<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => Err(EvaluationError::fault("division by zero")),
        (Value::Int(a), Value::Int(b)) => within(a.checked_div(*b), Value::Int),
        (Value::Uint(a), Value::Uint(b)) => within(a.checked_div(*b), Value::Uint),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        _ => unfit("/", left, right),
    }
}

fn remainder<'a>(left: &Value<'a>, right: &Value<'a>) -> Evaluated<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => Err(EvaluationError::fault("modulus by zero")),
        (Value::Int(a), Value::Int(b)) => within(a.checked_rem(*b), Value::Int),
        (Value::Uint(a), Value::Uint(b)) => within(a.checked_rem(*b), Value::Uint),
        _ => unfit("%", left, right),
    }
}

pub(crate) fn negate<'a>(value: &Value<'a>) -> Evaluated<'a> {
    match value {
        Value::Int(value) => within(value.checked_neg(), Value::Int),
        Value::Double(value) => Ok(Value::Double(-value)),
        _ => Err(EvaluationError::fault(format!("no such overload: -{}", value.type_name().name()))),
    }
}

/// `container[index]`.
pub(crate) fn index<'a>(container: &Value<'a>, index: &Value<'a>) -> Result<Found<'a>, EvaluationError> {
    match container {
        Value::Map(map) => Ok(map.find(index).map_or_else(|| Found::Nothing(missing_key(index)), Found::Value)),
        Value::List(list) => Ok(element(list, index)?),
        _ => {
            let (container, index) = (container.type_name().name(), index.type_name().name());
            Ok(Found::Nothing(EvaluationError::fault(format!("no such overload: {container}[{index}]"))))
        }
    }
}

/// What an index or a field finds.
pub(crate) enum Found<'a> {
    Value(Value<'a>),
    /// Nothing, which is this error where it is not asked for as optional.
    Nothing(EvaluationError),
}

fn element<'a>(list: &List<'a>, index: &Value<'a>) -> Result<Found<'a>, EvaluationError> {
    let at = match index {
        Value::Int(at) => i128::from(*at),
        Value::Uint(at) => i128::from(*at),
        #[allow(clippy::cast_possible_truncation, reason = "it is whole, and no index of a list is out of its range")]
        Value::Double(at) if at.fract() == 0.0 => *at as i128,
        _ => return Err(EvaluationError::fault(format!("a list has no element {}", index.type_name().name()))),
    };
    let found = usize::try_from(at).ok().and_then(|at| list.get(at));
    Ok(found.map_or_else(|| Found::Nothing(EvaluationError::fault(format!("index out of bounds: {at}"))), Found::Value))
}

pub(crate) fn missing_key(key: &Value<'_>) -> EvaluationError {
    EvaluationError::fault(match key {
        Value::String(text) => format!("no such key: {}", text.chars().take(100).collect::<String>()),
        Value::Int(value) => format!("no such key: {value}"),
        Value::Uint(value) => format!("no such key: {value}"),
        Value::Bool(value) => format!("no such key: {value}"),
        other => format!("no such key of type {}", other.type_name().name()),
    })
}

/// The type of what an operator gives; none where it does not take such operands.
pub(crate) fn result(operator: Operator, left: &Type, right: &Type) -> Option<Type> {
    use Type::{Bool, Bytes, Double, Duration, Dyn, Int, List, Map, String, Timestamp, Uint};
    match operator {
        Operator::Equal | Operator::NotEqual => left.agrees(right).then_some(Bool),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            let number = |of: &Type| matches!(of, Int | Uint | Double | Dyn);
            let ordered = |of: &Type| number(of) || matches!(of, Bool | String | Bytes | Timestamp | Duration);
            (ordered(left) && ordered(right) && ((number(left) && number(right)) || left.agrees(right))).then_some(Bool)
        }
        Operator::In => match right {
            Dyn => Some(Bool),
            List(element) => left.agrees(element).then_some(Bool),
            Map(key, _) => left.agrees(key).then_some(Bool),
            _ => None,
        },
        Operator::Add => match (left, right) {
            (Timestamp, Duration) | (Duration, Timestamp) => Some(Timestamp),
            (Duration, Duration) => Some(Duration),
            (Int | Uint | Double | String | Bytes | Timestamp | List(_), Dyn) => Some(left.clone()),
            (Dyn, Int | Uint | Double | String | Bytes | Timestamp | List(_)) => Some(right.clone()),
            (Dyn, Dyn | Duration) | (Duration, Dyn) => Some(Dyn),
            (Int | Uint | Double | String | Bytes, _) if left == right => Some(left.clone()),
            (List(_), List(_)) if left.agrees(right) => Some(left.clone().join(right.clone())),
            _ => None,
        },
        Operator::Subtract => match (left, right) {
            (Timestamp, Timestamp) | (Duration, Duration) => Some(Duration),
            (Timestamp, Duration) => Some(Timestamp),
            (Dyn, Timestamp) => Some(Duration),
            (Dyn, Dyn | Duration) | (Timestamp, Dyn) => Some(Dyn),
            (Duration, Dyn) => Some(Duration),
            _ => arithmetic(left, right, &[Int, Uint, Double]),
        },
        Operator::Multiply | Operator::Divide => arithmetic(left, right, &[Int, Uint, Double]),
        Operator::Remainder => arithmetic(left, right, &[Int, Uint]),
    }
}

fn arithmetic(left: &Type, right: &Type, types: &[Type]) -> Option<Type> {
    match (left, right) {
        (Type::Dyn, Type::Dyn) => Some(Type::Dyn),
        (Type::Dyn, known) | (known, Type::Dyn) => types.contains(known).then(|| known.clone()),
        _ => (left == right && types.contains(left)).then(|| left.clone()),
    }
}
