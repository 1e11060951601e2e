//! Functions of quantities.

use super::{Call, Evaluated, Overload, Ty, fault, global, member, quantity::Quantity, shortened};
use crate::{Opaque, OpaqueValue, Value};
use std::cmp::Ordering;

const Q: Ty = Ty::Opaque(Opaque::Quantity);
const TWO: &[Ty] = &[Q, Q];

pub(super) const OVERLOADS: &[Overload] = &[
    global(28, "quantity", &[Ty::String], Q, quantity),
    global(28, "isQuantity", &[Ty::String], Ty::Bool, |call| Ok(Value::Bool(Quantity::parse(&call.text(0)).is_some()))),
    global(28, "sign", &[Q], Ty::Int, |call| of(call, |quantity| Some(Value::Int(quantity.sign())))),
    member(28, "isInteger", &[Q], Ty::Bool, |call| of(call, |quantity| Some(Value::Bool(quantity.as_int().is_some())))),
    member(28, "asInteger", &[Q], Ty::Int, |call| of(call, |quantity| quantity.as_int().map(Value::Int))),
    member(28, "asApproximateFloat", &[Q], Ty::Double, |call| of(call, |quantity| Some(Value::Double(quantity.approximate())))),
    member(28, "add", TWO, Q, |call| sum(call, |a, b| a.add(b))),
    member(28, "add", &[Q, Ty::Int], Q, |call| sum(call, |a, b| a.add(b))),
    member(28, "sub", TWO, Q, |call| sum(call, |a, b| a.add(b.negated()))),
    member(28, "sub", &[Q, Ty::Int], Q, |call| sum(call, |a, b| a.add(b.negated()))),
    member(28, "isGreaterThan", TWO, Ty::Bool, |call| order(call, |order| Value::Bool(order == Ordering::Greater))),
    member(28, "isLessThan", TWO, Ty::Bool, |call| order(call, |order| Value::Bool(order == Ordering::Less))),
    member(28, "compareTo", TWO, Ty::Int, |call| order(call, |order| Value::Int(order as i64))),
];

fn quantity<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = call.text(0);
    match Quantity::parse(&text) {
        Some(quantity) => Ok(Value::opaque(OpaqueValue::Quantity(quantity))),
        None => fault(format!("{:?} is not a quantity like '500m', '2' or '1.5Gi'", shortened(&text))),
    }
}

fn argument(call: &Call<'_, '_>, index: usize) -> Option<Quantity> {
    match call.argument(index) {
        Value::Int(value) => Some(Quantity::whole(value)),
        Value::Opaque(value) => match *value {
            OpaqueValue::Quantity(quantity) => Some(quantity),
            _ => None,
        },
        _ => None,
    }
}

fn of<'a>(call: &mut Call<'_, 'a>, answer: impl Fn(Quantity) -> Option<Value<'a>>) -> Evaluated<'a> {
    argument(call, 0).and_then(answer).map_or_else(|| fault("cannot convert value to integer"), Ok)
}

fn sum<'a>(call: &mut Call<'_, 'a>, sum: impl Fn(Quantity, Quantity) -> Quantity) -> Evaluated<'a> {
    match argument(call, 0).zip(argument(call, 1)) {
        Some((a, b)) => Ok(Value::opaque(OpaqueValue::Quantity(sum(a, b)))),
        None => fault("no such overload"),
    }
}

fn order<'a>(call: &mut Call<'_, 'a>, answer: impl Fn(Ordering) -> Value<'a>) -> Evaluated<'a> {
    match argument(call, 0).zip(argument(call, 1)) {
        Some((a, b)) => Ok(answer(a.cmp(&b))),
        None => fault("no such overload"),
    }
}
