//! What Kubernetes adds to lists: order, sums, positions.

use super::{Call, Evaluated, Overload, Ty, fault, member, standard::count};
use crate::{
    Duration, Value,
    operators::add,
    value::{comparable, compare, equal},
};
use std::cmp::Ordering;

const LIST: Ty = Ty::List(&Ty::A);

pub(super) const OVERLOADS: &[Overload] = &[
    member(0, "isSorted", &[Ty::List(&Ty::Int)], Ty::Bool, is_sorted),
    member(0, "min", &[Ty::List(&Ty::Int)], Ty::Int, min),
    member(0, "max", &[Ty::List(&Ty::Int)], Ty::Int, max),
    member(0, "isSorted", &[Ty::List(&Ty::Uint)], Ty::Bool, is_sorted),
    member(0, "min", &[Ty::List(&Ty::Uint)], Ty::Uint, min),
    member(0, "max", &[Ty::List(&Ty::Uint)], Ty::Uint, max),
    member(0, "isSorted", &[Ty::List(&Ty::Double)], Ty::Bool, is_sorted),
    member(0, "min", &[Ty::List(&Ty::Double)], Ty::Double, min),
    member(0, "max", &[Ty::List(&Ty::Double)], Ty::Double, max),
    member(0, "isSorted", &[Ty::List(&Ty::Bool)], Ty::Bool, is_sorted),
    member(0, "min", &[Ty::List(&Ty::Bool)], Ty::Bool, min),
    member(0, "max", &[Ty::List(&Ty::Bool)], Ty::Bool, max),
    member(0, "isSorted", &[Ty::List(&Ty::Duration)], Ty::Bool, is_sorted),
    member(0, "min", &[Ty::List(&Ty::Duration)], Ty::Duration, min),
    member(0, "max", &[Ty::List(&Ty::Duration)], Ty::Duration, max),
    member(0, "isSorted", &[Ty::List(&Ty::Timestamp)], Ty::Bool, is_sorted),
    member(0, "min", &[Ty::List(&Ty::Timestamp)], Ty::Timestamp, min),
    member(0, "max", &[Ty::List(&Ty::Timestamp)], Ty::Timestamp, max),
    member(0, "isSorted", &[Ty::List(&Ty::String)], Ty::Bool, is_sorted),
    member(0, "min", &[Ty::List(&Ty::String)], Ty::String, min),
    member(0, "max", &[Ty::List(&Ty::String)], Ty::String, max),
    member(0, "isSorted", &[Ty::List(&Ty::Bytes)], Ty::Bool, is_sorted),
    member(0, "min", &[Ty::List(&Ty::Bytes)], Ty::Bytes, min),
    member(0, "max", &[Ty::List(&Ty::Bytes)], Ty::Bytes, max),
    member(0, "sum", &[Ty::List(&Ty::Int)], Ty::Int, |call| sum(call, Value::Int(0))),
    member(0, "sum", &[Ty::List(&Ty::Uint)], Ty::Uint, |call| sum(call, Value::Uint(0))),
    member(0, "sum", &[Ty::List(&Ty::Double)], Ty::Double, |call| sum(call, Value::Double(0.0))),
    member(0, "sum", &[Ty::List(&Ty::Duration)], Ty::Duration, |call| sum(call, Value::Duration(Duration::of_nanoseconds(0)))),
    member(0, "indexOf", &[LIST, Ty::A], Ty::Int, index_of),
    member(0, "lastIndexOf", &[LIST, Ty::A], Ty::Int, last_index_of),
    member(37, "includes", &[Ty::Dyn, Ty::Dyn], Ty::Bool, includes),
];

/// Two elements have no order.
fn unordered<'a>() -> Evaluated<'a> {
    fault("the elements of the list have no order among each other")
}

fn is_sorted<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let list = call.list(0);
    call.budget.charge_elements(list.len())?;
    for (a, b) in list.iter().zip(list.iter().skip(1)) {
        call.budget.charge_text(a.shared_text(&b))?;
        if !comparable(&a, &b) {
            return unordered();
        }
        if compare(&a, &b) == Some(Ordering::Greater) {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

fn min<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    extreme(call, "min", Ordering::Less)
}

fn max<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    extreme(call, "max", Ordering::Greater)
}

fn extreme<'a>(call: &mut Call<'_, 'a>, name: &str, wanted: Ordering) -> Evaluated<'a> {
    let list = call.list(0);
    call.budget.charge_elements(list.len())?;
    let Some(mut found) = list.get(0) else { return fault(format!("{name} called on empty list")) };
    for element in list.iter() {
        call.budget.charge_text(element.shared_text(&found))?;
        if !comparable(&element, &found) {
            return unordered();
        }
        if compare(&element, &found) == Some(wanted) {
            found = element;
        }
    }
    Ok(found)
}

/// The sum; of what the first element is, as a list that comes from a request says its type only then.
fn sum<'a>(call: &mut Call<'_, 'a>, zero: Value<'a>) -> Evaluated<'a> {
    let list = call.list(0);
    let mut elements = list.iter();
    let Some(mut total) = elements.next() else { return Ok(zero) };
    if !matches!(total, Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)) {
        return fault("only numbers and durations have a sum");
    }
    for element in elements {
        total = add(total, element, call.budget)?;
    }
    Ok(total)
}

fn index_of<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (list, wanted) = (call.list(0), call.argument(1));
    for (index, element) in list.iter().enumerate() {
        call.budget.charge(1)?;
        if equal(&element, &wanted, call.budget)? {
            return Ok(count(index));
        }
    }
    Ok(Value::Int(-1))
}

fn last_index_of<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (list, wanted) = (call.list(0), call.argument(1));
    for (index, element) in list.iter().enumerate().rev() {
        call.budget.charge(1)?;
        if equal(&element, &wanted, call.budget)? {
            return Ok(count(index));
        }
    }
    Ok(Value::Int(-1))
}

/// Whether a list has the element, or what is no list is equal to it.
fn includes<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let wanted = call.argument(1);
    let Value::List(list) = call.argument(0) else {
        return equal(&call.argument(0), &wanted, call.budget).map(Value::Bool);
    };
    for element in list.iter() {
        call.budget.charge(1)?;
        if equal(&element, &wanted, call.budget)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}
