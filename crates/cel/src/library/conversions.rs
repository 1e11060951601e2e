//! Conversions between the types of CEL.

use super::{Call, Evaluated, Overload, Ty, fault, global};
use crate::{Duration, Opaque, OpaqueValue, Timestamp, Value};

pub(super) const OVERLOADS: &[Overload] = &[
    global(0, "int", &[Ty::Int], Ty::Int, same),
    global(0, "int", &[Ty::Uint], Ty::Int, int),
    global(0, "int", &[Ty::Double], Ty::Int, int),
    global(0, "int", &[Ty::String], Ty::Int, int),
    global(0, "int", &[Ty::Timestamp], Ty::Int, int),
    global(0, "int", &[Ty::Duration], Ty::Int, int),
    global(0, "uint", &[Ty::Uint], Ty::Uint, same),
    global(0, "uint", &[Ty::Int], Ty::Uint, uint),
    global(0, "uint", &[Ty::Double], Ty::Uint, uint),
    global(0, "uint", &[Ty::String], Ty::Uint, uint),
    global(0, "double", &[Ty::Double], Ty::Double, same),
    global(0, "double", &[Ty::Int], Ty::Double, double),
    global(0, "double", &[Ty::Uint], Ty::Double, double),
    global(0, "double", &[Ty::String], Ty::Double, double),
    global(0, "bool", &[Ty::Bool], Ty::Bool, same),
    global(0, "bool", &[Ty::String], Ty::Bool, bool),
    global(0, "string", &[Ty::String], Ty::String, same),
    global(0, "string", &[Ty::Bool], Ty::String, string),
    global(0, "string", &[Ty::Int], Ty::String, string),
    global(0, "string", &[Ty::Uint], Ty::String, string),
    global(0, "string", &[Ty::Double], Ty::String, string),
    global(0, "string", &[Ty::Bytes], Ty::String, string),
    global(0, "string", &[Ty::Timestamp], Ty::String, string),
    global(0, "string", &[Ty::Duration], Ty::String, string),
    global(30, "string", &[Ty::Opaque(Opaque::Ip)], Ty::String, string),
    global(30, "string", &[Ty::Opaque(Opaque::Cidr)], Ty::String, string),
    global(0, "bytes", &[Ty::Bytes], Ty::Bytes, same),
    global(0, "bytes", &[Ty::String], Ty::Bytes, bytes),
    global(0, "duration", &[Ty::Duration], Ty::Duration, same),
    global(0, "duration", &[Ty::String], Ty::Duration, duration),
    global(0, "timestamp", &[Ty::Timestamp], Ty::Timestamp, same),
    global(0, "timestamp", &[Ty::String], Ty::Timestamp, timestamp),
    global(0, "timestamp", &[Ty::Int], Ty::Timestamp, timestamp),
];

/// The first double beyond `int`, and beyond `uint`.
const BEYOND_INT: f64 = 9_223_372_036_854_775_808.0;
const BEYOND_UINT: f64 = 18_446_744_073_709_551_616.0;

/// Digits before the point from which on a double is written with an exponent.
const LONGEST: i32 = 6;

/// Characters of a number that are read: more cannot be one.
const NUMBER: usize = 400;

fn same<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    Ok(call.argument(0))
}

fn int<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let converted = match call.argument(0) {
        Value::Uint(value) => i64::try_from(value).ok(),
        #[allow(clippy::cast_possible_truncation, reason = "it is within the range; what is after the point is cut off")]
        Value::Double(value) => (value > -BEYOND_INT && value < BEYOND_INT).then_some(value as i64),
        Value::String(text) if text.len() <= NUMBER => text.parse().ok(),
        Value::Timestamp(value) => Some(value.seconds()),
        Value::Duration(value) => Some(value.nanoseconds()),
        _ => None,
    };
    converted.map(Value::Int).map_or_else(|| fault("the value is not of the range of int"), Ok)
}

fn uint<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let converted = match call.argument(0) {
        Value::Int(value) => u64::try_from(value).ok(),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the range")]
        Value::Double(value) => (0.0..BEYOND_UINT).contains(&value).then_some(value as u64),
        Value::String(text) if text.len() <= NUMBER => text.parse().ok().filter(|_| !text.starts_with('+')),
        _ => None,
    };
    converted.map(Value::Uint).map_or_else(|| fault("the value is not of the range of uint"), Ok)
}

#[allow(clippy::cast_precision_loss, reason = "a double holds what is nearest")]
fn double<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let converted = match call.argument(0) {
        Value::Int(value) => Some(value as f64),
        Value::Uint(value) => Some(value as f64),
        // What is too large to be a double is not infinite.
        Value::String(text) if text.len() <= NUMBER => {
            text.parse().ok().filter(|value: &f64| !value.is_infinite() || !text.contains(|c: char| c.is_ascii_digit()))
        }
        _ => None,
    };
    converted.map(Value::Double).map_or_else(|| fault("the text is not a double"), Ok)
}

fn bool<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    match &*call.text(0) {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
        _ => fault("the text is neither true nor false"),
    }
}

fn bytes<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = call.text(0);
    call.budget.charge_text(text.len())?;
    Ok(Value::Bytes(text.as_bytes().into()))
}

fn string<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = match call.argument(0) {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => shortest(value),
        Value::Timestamp(value) => value.to_string(),
        Value::Duration(value) => value.to_string(),
        Value::Bytes(bytes) => {
            call.budget.charge_text(bytes.len())?;
            match std::str::from_utf8(&bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => return fault("the bytes are not UTF-8"),
            }
        }
        Value::Opaque(value) => match &*value {
            OpaqueValue::Ip(address) => address.to_string(),
            OpaqueValue::Cidr(cidr) => cidr.to_string(),
            _ => return fault("no such overload: string"),
        },
        _ => return fault("no such overload: string"),
    };
    Ok(Value::string(text))
}

/// A double in the fewest digits that are read back as it, with an exponent where it is small or large.
pub(super) fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let power: i32 = exponent.parse().unwrap_or_default();
    if !(-4..LONGEST).contains(&power) {
        let sign = if power < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", power.abs());
    }
    format!("{value}")
}

fn duration<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let converted = match call.argument(0) {
        Value::String(text) => {
            call.budget.charge_text(text.len())?;
            Duration::parse(&text)
        }
        _ => None,
    };
    match converted {
        Some(duration) => Ok(Value::Duration(duration)),
        None => fault("the text is not a duration of at most 292 years, like '1h30m' or '1.5s'"),
    }
}

fn timestamp<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let converted = match call.argument(0) {
        Value::String(text) => Timestamp::parse(&text),
        Value::Int(seconds) => Timestamp::of_seconds(seconds),
        _ => None,
    };
    match converted {
        Some(timestamp) => Ok(Value::Timestamp(timestamp)),
        None => fault("the value is not a timestamp of the years 1 to 9999, like '2009-02-13T23:31:30Z'"),
    }
}
