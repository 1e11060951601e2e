//! Values that may be absent.

use super::{Call, Evaluated, Overload, Ty, fault, global, member};
use crate::Value;

const O: Ty = Ty::Optional(&Ty::A);

pub(super) const OVERLOADS: &[Overload] = &[
    global(28, "optional.of", &[Ty::A], O, |call| Ok(Value::some(call.argument(0)))),
    global(28, "optional.ofNonZeroValue", &[Ty::A], O, of_non_zero_value),
    global(28, "optional.none", &[], O, |_| Ok(Value::Optional(None))),
    global(29, "optional.unwrap", &[Ty::List(&O)], Ty::List(&Ty::A), unwrap),
    member(29, "unwrapOpt", &[Ty::List(&O)], Ty::List(&Ty::A), unwrap),
    member(28, "hasValue", &[O], Ty::Bool, |call| Ok(Value::Bool(inner(call, 0).is_some()))),
    member(28, "value", &[O], Ty::A, value),
    // The checker makes code of their own of them, so that the alternative is evaluated only where it is needed.
    member(28, "or", &[O, O], O, or_value),
    member(28, "orValue", &[O, Ty::A], Ty::A, or_value),
];

/// The value of an optional argument.
fn inner<'a>(call: &Call<'_, 'a>, index: usize) -> Option<Value<'a>> {
    match call.argument(index) {
        Value::Optional(inner) => inner.map(|value| (*value).clone()),
        _ => None,
    }
}

fn of_non_zero_value<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let value = call.argument(0);
    Ok(Value::optional((!value.is_zero()).then_some(value)))
}

fn value<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    inner(call, 0).map_or_else(|| fault("optional.none() dereference: the value is absent; give another with orValue()"), Ok)
}

fn or_value<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    Ok(inner(call, 0).unwrap_or_else(|| call.argument(1)))
}

/// The values that are there, of a list of optional ones.
fn unwrap<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let list = call.list(0);
    call.budget.charge_elements(list.len())?;
    let mut present = Vec::new();
    for element in list.iter() {
        match element {
            Value::Optional(Some(value)) => present.push((*value).clone()),
            Value::Optional(None) => {}
            _ => return fault("only optional values can be unwrapped"),
        }
    }
    Ok(Value::list(present))
}
