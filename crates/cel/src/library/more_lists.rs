//! What CEL's own library adds to lists.

use super::{Call, Evaluated, Overload, Ty, fault, global, member};
use crate::{
    Budget, EvaluationError, List, Value,
    evaluate::LIST_UNITS,
    value::{comparable, compare, equal},
};
use std::cmp::Ordering;

const LIST: Ty = Ty::List(&Ty::A);

pub(super) const OVERLOADS: &[Overload] = &[
    member(34, "distinct", &[LIST], LIST, distinct),
    member(34, "flatten", &[Ty::List(&LIST)], LIST, flatten),
    member(34, "flatten", &[Ty::List(&Ty::Dyn), Ty::Int], Ty::List(&Ty::Dyn), flatten),
    member(34, "sort", &[Ty::List(&Ty::Int)], Ty::List(&Ty::Int), sort),
    member(34, "sort", &[Ty::List(&Ty::Uint)], Ty::List(&Ty::Uint), sort),
    member(34, "sort", &[Ty::List(&Ty::Double)], Ty::List(&Ty::Double), sort),
    member(34, "sort", &[Ty::List(&Ty::Bool)], Ty::List(&Ty::Bool), sort),
    member(34, "sort", &[Ty::List(&Ty::Duration)], Ty::List(&Ty::Duration), sort),
    member(34, "sort", &[Ty::List(&Ty::Timestamp)], Ty::List(&Ty::Timestamp), sort),
    member(34, "sort", &[Ty::List(&Ty::String)], Ty::List(&Ty::String), sort),
    member(34, "sort", &[Ty::List(&Ty::Bytes)], Ty::List(&Ty::Bytes), sort),
    member(34, "slice", &[LIST, Ty::Int, Ty::Int], LIST, slice),
    member(34, "reverse", &[LIST], LIST, reverse),
    global(34, "lists.range", &[Ty::Int], Ty::List(&Ty::Int), range),
    member(29, "first", &[LIST], Ty::Optional(&Ty::A), |call| Ok(Value::optional(call.list(0).get(0)))),
    member(29, "last", &[LIST], Ty::Optional(&Ty::A), last),
];

/// Levels that `flatten` goes down at most.
const LEVELS: i64 = 256;

fn distinct<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let list = call.list(0);
    call.budget.charge(LIST_UNITS)?;
    let mut found: Vec<Value<'a>> = Vec::new();
    for element in list.iter() {
        let mut is_new = true;
        for known in &found {
            call.budget.charge(1)?;
            if equal(known, &element, call.budget)? {
                is_new = false;
                break;
            }
        }
        if is_new {
            call.budget.charge(1)?;
            found.push(element);
        }
    }
    Ok(Value::list(found))
}

fn flatten<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let levels = if call.arguments.len() > 1 { call.int(1) } else { 1 };
    if levels < 0 {
        return fault("level must be non-negative");
    }
    call.budget.charge(LIST_UNITS)?;
    let mut out = Vec::new();
    flatten_into(&call.list(0), levels.min(LEVELS), &mut out, call.budget)?;
    Ok(Value::list(out))
}

fn flatten_into<'a>(list: &List<'a>, levels: i64, out: &mut Vec<Value<'a>>, budget: &mut Budget) -> Result<(), EvaluationError> {
    for element in list.iter() {
        budget.charge(1)?;
        match element {
            Value::List(inner) if levels > 0 => flatten_into(&inner, levels - 1, out, budget)?,
            other => out.push(other),
        }
    }
    Ok(())
}

fn sort<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let list = call.list(0);
    let keyed = list.iter().map(|element| (element.clone(), element)).collect();
    sorted(keyed, call.budget).map(Value::list)
}

/// Elements in the order of their keys; those of equal keys stay as they were.
pub(crate) fn sorted<'a>(mut keyed: Vec<(Value<'a>, Value<'a>)>, budget: &mut Budget) -> Result<Vec<Value<'a>>, EvaluationError> {
    budget.charge(LIST_UNITS)?;
    let rounds = usize::try_from(keyed.len().max(1).ilog2()).unwrap_or_default() + 1;
    budget.charge_elements(keyed.len().saturating_mul(rounds))?;
    let is_ordered = |key: &Value<'a>| matches!(key, Value::Int(_) | Value::Uint(_) | Value::Double(_)) || comparable(key, key);
    for (key, _) in &keyed {
        let same_type = keyed.first().is_some_and(|(first, _)| first.type_name() == key.type_name());
        if !same_type || !is_ordered(key) {
            return Err(EvaluationError::fault("list elements must have the same type, and one that has an order"));
        }
        budget.charge_text(key.shared_text(key).saturating_mul(rounds))?;
    }
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        // What is not a number needs a place, so that the order is one.
        (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
        _ => compare(a, b).unwrap_or(Ordering::Equal),
    });
    Ok(keyed.into_iter().map(|(_, element)| element).collect())
}

fn slice<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (list, from, to) = (call.list(0), call.int(1), call.int(2));
    let bounds = usize::try_from(from).ok().zip(usize::try_from(to).ok()).filter(|(from, to)| from <= to && *to <= list.len());
    let Some((from, to)) = bounds else {
        return fault(format!("cannot slice({from}, {to}) of a list of {} elements", list.len()));
    };
    call.budget.charge(LIST_UNITS)?;
    call.budget.charge_elements(to - from)?;
    Ok(Value::list(list.iter().skip(from).take(to - from).collect::<Vec<_>>()))
}

fn reverse<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let list = call.list(0);
    call.budget.charge(LIST_UNITS)?;
    call.budget.charge_elements(list.len())?;
    Ok(Value::list(list.iter().rev().collect::<Vec<_>>()))
}

fn range<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let count = call.int(0);
    if count < 0 {
        return fault(format!("lists.range: size must be non-negative, got {count}"));
    }
    call.budget.charge(count.unsigned_abs().saturating_add(LIST_UNITS))?;
    Ok(Value::list((0..count).map(Value::Int).collect::<Vec<_>>()))
}

fn last<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let list = call.list(0);
    Ok(Value::optional(list.len().checked_sub(1).and_then(|at| list.get(at))))
}
