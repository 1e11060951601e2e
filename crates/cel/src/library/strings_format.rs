//! `'%s has %d'.format([name, count])`, in the words of Kubernetes.
//!
//! What Kubernetes writes differs from later versions of CEL's own library: thousands are grouped (`1,234.500000`), powers are written out
//! (`1.05×10⁰³`), and text in lists and maps has quotes.

mod quote;

use super::{Call, Evaluated, Overload, Ty, conversions::shortest, member};
use crate::{Budget, EvaluationError, Map, Type, Value};
use quote::quoted;

pub(super) const OVERLOADS: &[Overload] = &[member(29, "format", &[Ty::String, Ty::List(&Ty::Dyn)], Ty::String, format)];

/// Digits after the point at most.
const PRECISION: usize = 100;

/// Digits after the point where none are asked for.
const DEFAULT_PRECISION: usize = 6;

/// Levels of lists and maps that are written.
const LEVELS: usize = 64;

/// A piece of a format.
#[derive(Debug, PartialEq)]
enum Piece<'f> {
    Text(&'f str),
    Clause { letter: char, precision: usize },
}

fn pieces(format: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some((text, after)) = rest.split_once('%') {
        pieces.push(Piece::Text(text));
        if let Some(after) = after.strip_prefix('%') {
            pieces.push(Piece::Text("%"));
            rest = after;
            continue;
        }
        let (precision, after) = match after.strip_prefix('.') {
            Some(after) => {
                let digits = after.bytes().take_while(u8::is_ascii_digit).count();
                let (digits, after) = after.split_at(digits);
                let precision = digits.parse().map_err(|_| "the precision after %. is missing".to_owned())?;
                if precision > PRECISION {
                    return Err(format!("the precision is larger than {PRECISION}"));
                }
                (precision, after)
            }
            None => (DEFAULT_PRECISION, after),
        };
        let letter = after.chars().next().ok_or("unexpected end of string: % stands for itself as %%")?;
        if !"sdfebxXo".contains(letter) {
            return Err(format!(
                "unrecognized formatting clause \"{letter}\"; there are %s %d %f %e %b %x %X %o, and %% for a percent sign"
            ));
        }
        pieces.push(Piece::Clause { letter, precision });
        rest = after.get(letter.len_utf8()..).unwrap_or_default();
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// What is wrong with a format and the types of its arguments, before there are values.
pub(crate) fn check(format: &str, arguments: Option<&[Type]>) -> Result<(), String> {
    let pieces = pieces(format)?;
    let clauses = pieces.iter().filter_map(|piece| if let Piece::Clause { letter, .. } = piece { Some(*letter) } else { None });
    let Some(arguments) = arguments else { return Ok(()) };
    let count = clauses.clone().count();
    if count != arguments.len() {
        return Err(format!("the format takes {count} arguments and is given {}", arguments.len()));
    }
    for (letter, of) in clauses.zip(arguments) {
        let fits = match letter {
            's' => !matches!(of, Type::Optional(_) | Type::Opaque(_)),
            'd' | 'o' => matches!(of, Type::Int | Type::Uint),
            'b' => matches!(of, Type::Int | Type::Uint | Type::Bool),
            'x' | 'X' => matches!(of, Type::Int | Type::Uint | Type::String | Type::Bytes),
            _ => matches!(of, Type::Double | Type::String),
        };
        if !fits && *of != Type::Dyn {
            return Err(format!("%{letter} does not write a value of type {of}; convert it first, as in string(value)"));
        }
    }
    Ok(())
}

fn format<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (format, arguments) = (call.text(0), call.list(1));
    call.budget.charge_text(format.len())?;
    let pieces = pieces(&format).map_err(EvaluationError::fault)?;
    let clauses = pieces.iter().filter(|piece| matches!(piece, Piece::Clause { .. })).count();
    if clauses != arguments.len() {
        return super::fault(format!("the format takes {clauses} arguments and is given {}", arguments.len()));
    }
    let mut out = String::new();
    let mut arguments = arguments.iter();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Clause { letter, precision } => {
                let value = arguments.next().unwrap_or(Value::Null);
                let text = clause(letter, precision, &value, call.budget)?;
                call.budget.charge_text(text.len())?;
                out.push_str(&text);
            }
        }
    }
    Ok(Value::string(out))
}

fn clause(letter: char, precision: usize, value: &Value<'_>, budget: &mut Budget) -> Result<String, EvaluationError> {
    let written = match (letter, value) {
        ('s', value) => return plain(value, budget),
        ('d', Value::Int(value)) => value.to_string(),
        ('d', Value::Uint(value)) => value.to_string(),
        ('b', Value::Bool(value)) => u8::from(*value).to_string(),
        ('b', Value::Int(value)) => signed(*value, |value| format!("{value:b}")),
        ('b', Value::Uint(value)) => format!("{value:b}"),
        ('o', Value::Int(value)) => signed(*value, |value| format!("{value:o}")),
        ('o', Value::Uint(value)) => format!("{value:o}"),
        ('x', Value::Int(value)) => signed(*value, |value| format!("{value:x}")),
        ('X', Value::Int(value)) => signed(*value, |value| format!("{value:X}")),
        ('x', Value::Uint(value)) => format!("{value:x}"),
        ('X', Value::Uint(value)) => format!("{value:X}"),
        ('x' | 'X', Value::String(text)) => hexadecimal(text.as_bytes(), letter, budget)?,
        ('x' | 'X', Value::Bytes(bytes)) => hexadecimal(bytes, letter, budget)?,
        ('f' | 'e', value) => match double(value) {
            Some(number) if letter == 'f' => fixed(number, precision),
            Some(number) => scientific(number),
            None => return Err(unfit(letter, value)),
        },
        _ => return Err(unfit(letter, value)),
    };
    Ok(written)
}

fn unfit(letter: char, value: &Value<'_>) -> EvaluationError {
    EvaluationError::fault(format!("error during formatting: %{letter} does not write a value of type {}", value.type_name().name()))
}

fn signed(value: i64, digits: impl Fn(u64) -> String) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", digits(value.unsigned_abs()))
}

fn hexadecimal(bytes: &[u8], letter: char, budget: &mut Budget) -> Result<String, EvaluationError> {
    budget.charge_text(bytes.len().saturating_mul(2))?;
    Ok(bytes.iter().map(|byte| if letter == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") }).collect())
}

/// A double; also what a text says that is none.
fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(value) => Some(*value),
        Value::String(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "∞"
    } else {
        "-∞"
    }
}

fn fixed(number: f64, precision: usize) -> String {
    if !number.is_finite() {
        return not_finite(number).to_owned();
    }
    let text = format!("{:.precision$}", number.abs());
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), None), |(whole, fraction)| (whole, Some(fraction)));
    let mut out = String::from(if number.is_sign_negative() { "-" } else { "" });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Always with six digits, as in Kubernetes.
fn scientific(number: f64) -> String {
    if !number.is_finite() {
        return format!("{:>6}", not_finite(number));
    }
    let text = format!("{number:.DEFAULT_PRECISION$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(("", exponent), |digits| ("⁻", digits));
    let raised: String = format!("{digits:0>2}").chars().map(superscript).collect();
    format!("{mantissa}×10{sign}{raised}")
}

fn superscript(digit: char) -> char {
    let at = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).unwrap_or_default();
    "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(at).unwrap_or(digit)
}

/// A value by itself: text without quotes.
fn plain(value: &Value<'_>, budget: &mut Budget) -> Result<String, EvaluationError> {
    Ok(match value {
        Value::String(text) => (**text).to_owned(),
        Value::Bytes(bytes) => utf8(bytes)?.to_owned(),
        Value::Double(value) => shortest(*value),
        Value::Timestamp(value) => value.to_string(),
        Value::Duration(value) => value.to_string(),
        _ => {
            let mut out = String::new();
            nested(value, &mut out, budget, LEVELS)?;
            out
        }
    })
}

fn utf8(bytes: &[u8]) -> Result<&str, EvaluationError> {
    std::str::from_utf8(bytes).map_err(|_| EvaluationError::fault("error during formatting: the bytes are not UTF-8"))
}

/// A value within a list or a map.
fn nested(value: &Value<'_>, out: &mut String, budget: &mut Budget, levels: usize) -> Result<(), EvaluationError> {
    budget.charge(1)?;
    let Some(levels) = levels.checked_sub(1) else { return Err(EvaluationError::fault("the value nests too deep to be written")) };
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(&value.to_string()),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Uint(value) => out.push_str(&value.to_string()),
        Value::Double(value) if value.is_finite() => {
            // The largest has 309 digits before the point.
            let digits = if value.abs() < 1e15 { 24 } else { 320 };
            budget.charge_text(digits)?;
            out.push_str(&format!("{value:.DEFAULT_PRECISION$}"));
        }
        Value::Double(value) => out.push_str(&format!("\"{}\"", shortest(*value))),
        Value::String(text) => quoted(text, out, budget)?,
        Value::Bytes(bytes) => {
            out.push('b');
            quoted(utf8(bytes)?, out, budget)?;
        }
        Value::Timestamp(value) => out.push_str(&format!("timestamp(\"{value}\")")),
        Value::Duration(value) => out.push_str(&format!("duration(\"{value}\")")),
        Value::Type(value) => out.push_str(value.name()),
        Value::List(list) => {
            out.push('[');
            for (index, element) in list.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                nested(&element, out, budget, levels)?;
            }
            out.push(']');
        }
        Value::Map(map) => write_map(map, out, budget, levels)?,
        Value::Optional(_) | Value::Opaque(_) => return Err(unfit('s', value)),
    }
    Ok(())
}

/// In the order of the keys as they are written.
fn write_map(map: &Map<'_>, out: &mut String, budget: &mut Budget, levels: usize) -> Result<(), EvaluationError> {
    let mut entries = Vec::new();
    for (key, value) in map.iter() {
        let mut written = String::new();
        nested(&key, &mut written, budget, levels)?;
        entries.push((written, value));
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    out.push('{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        out.push_str(key);
        out.push(':');
        nested(value, out, budget, levels)?;
    }
    out.push('}');
    Ok(())
}
