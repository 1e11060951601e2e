//! What CEL itself has: size, text, types.

use super::{Call, Evaluated, Overload, Ty, fault, global, member};
use crate::Value;

const LIST: Ty = Ty::List(&Ty::A);
const MAP: Ty = Ty::Map(&Ty::A, &Ty::B);

pub(super) const OVERLOADS: &[Overload] = &[
    global(0, "size", &[Ty::String], Ty::Int, size),
    global(0, "size", &[Ty::Bytes], Ty::Int, size),
    global(0, "size", &[LIST], Ty::Int, size),
    global(0, "size", &[MAP], Ty::Int, size),
    member(0, "size", &[Ty::String], Ty::Int, size),
    member(0, "size", &[Ty::Bytes], Ty::Int, size),
    member(0, "size", &[LIST], Ty::Int, size),
    member(0, "size", &[MAP], Ty::Int, size),
    member(0, "contains", &[Ty::String, Ty::String], Ty::Bool, |call| search(call, |text, part| text.contains(part))),
    member(0, "startsWith", &[Ty::String, Ty::String], Ty::Bool, |call| search(call, |text, part| text.starts_with(part))),
    member(0, "endsWith", &[Ty::String, Ty::String], Ty::Bool, |call| search(call, |text, part| text.ends_with(part))),
    global(0, "type", &[Ty::A], Ty::Type, |call| Ok(Value::Type(call.argument(0).type_name()))),
    global(0, "dyn", &[Ty::A], Ty::Dyn, |call| Ok(call.argument(0))),
];

fn size<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let size = match call.argument(0) {
        Value::String(text) => {
            call.budget.charge_text(text.len())?;
            text.chars().count()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => return fault("no such overload: size"),
    };
    Ok(count(size))
}

/// A number of things as an `int`.
pub(super) fn count<'a>(size: usize) -> Value<'a> {
    Value::Int(i64::try_from(size).unwrap_or(i64::MAX))
}

fn search<'a>(call: &mut Call<'_, 'a>, found: impl Fn(&str, &str) -> bool) -> Evaluated<'a> {
    let (text, part) = (call.text(0), call.text(1));
    call.budget.charge_text(text.len() + part.len())?;
    Ok(Value::Bool(found(&text, &part)))
}
