//! Semantic versions. What is built of one version is of one version: builds do not count.

use super::{Call, Evaluated, Overload, Ty, fault, global, member, shortened};
use crate::{EvaluationError, Opaque, OpaqueValue, Value};
use semver::Version;
use std::cmp::Ordering;

const V: Ty = Ty::Opaque(Opaque::Semver);
const TWO: &[Ty] = &[V, V];

pub(super) const OVERLOADS: &[Overload] = &[
    global(33, "semver", &[Ty::String], V, semver),
    global(33, "semver", &[Ty::String, Ty::Bool], V, semver),
    global(33, "isSemver", &[Ty::String], Ty::Bool, is_semver),
    global(33, "isSemver", &[Ty::String, Ty::Bool], Ty::Bool, is_semver),
    member(33, "major", &[V], Ty::Int, |call| of(call, |version| version.major)),
    member(33, "minor", &[V], Ty::Int, |call| of(call, |version| version.minor)),
    member(33, "patch", &[V], Ty::Int, |call| of(call, |version| version.patch)),
    member(33, "isGreaterThan", TWO, Ty::Bool, |call| order(call, |order| Value::Bool(order == Ordering::Greater))),
    member(33, "isLessThan", TWO, Ty::Bool, |call| order(call, |order| Value::Bool(order == Ordering::Less))),
    member(33, "compareTo", TWO, Ty::Int, |call| order(call, |order| Value::Int(order as i64))),
];

/// Characters of a version.
const LENGTH: usize = 1_024;

/// The version of the first argument, made regular first where the second says so.
fn parse(call: &mut Call<'_, '_>) -> Result<Option<Version>, EvaluationError> {
    let text = call.text(0);
    if text.len() > LENGTH {
        return Ok(None);
    }
    call.budget.charge_text(text.len())?;
    let normalize = call.argument(1).as_bool() == Some(true);
    Ok(if normalize { normalized(&text).and_then(|text| Version::parse(&text).ok()) } else { Version::parse(&text).ok() })
}

fn is_semver<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    Ok(Value::Bool(parse(call)?.is_some()))
}

/// Without a leading `v` and leading zeros, and with all three numbers.
fn normalized(text: &str) -> Option<String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text.splitn(3, '.').map(without_zeros).collect();
    if parts.len() < 3 && parts.last().is_some_and(|last| last.contains(['+', '-'])) {
        return None;
    }
    parts.resize(3, "0".to_owned());
    Some(parts.join("."))
}

fn without_zeros(part: &str) -> String {
    if part.len() <= 1 {
        return part.to_owned();
    }
    let trimmed = part.trim_start_matches('0');
    if trimmed.starts_with(|c: char| c.is_ascii_digit()) { trimmed.to_owned() } else { format!("0{trimmed}") }
}

fn semver<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    match parse(call)? {
        Some(version) => Ok(Value::opaque(OpaqueValue::Semver(version))),
        None => {
            fault(format!("{:?} is not a semantic version like '1.2.3'; semver(text, true) takes 'v1.2', too", shortened(&call.text(0))))
        }
    }
}

fn of<'a>(call: &mut Call<'_, 'a>, part: impl Fn(&Version) -> u64) -> Evaluated<'a> {
    match call.argument(0) {
        Value::Opaque(value) => match &*value {
            OpaqueValue::Semver(version) => Ok(Value::Int(part(version).cast_signed())),
            _ => fault("no such overload"),
        },
        _ => fault("no such overload"),
    }
}

fn order<'a>(call: &mut Call<'_, 'a>, answer: impl Fn(Ordering) -> Value<'a>) -> Evaluated<'a> {
    match (call.argument(0), call.argument(1)) {
        (Value::Opaque(a), Value::Opaque(b)) => match (&*a, &*b) {
            (OpaqueValue::Semver(a), OpaqueValue::Semver(b)) => Ok(answer(a.cmp_precedence(b))),
            _ => fault("no such overload"),
        },
        _ => fault("no such overload"),
    }
}
