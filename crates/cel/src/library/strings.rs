//! Text, in characters: a position is a number of code points.

use super::{Call, Evaluated, Overload, Ty, fault, global, member, standard::count};
use crate::{EvaluationError, Value};

const S: Ty = Ty::String;
const I: Ty = Ty::Int;
const STRINGS: Ty = Ty::List(&Ty::String);

pub(super) const OVERLOADS: &[Overload] = &[
    member(0, "charAt", &[S, I], S, char_at),
    member(0, "indexOf", &[S, S], I, index_of),
    member(0, "indexOf", &[S, S, I], I, index_of),
    member(0, "lastIndexOf", &[S, S], I, last_index_of),
    member(0, "lastIndexOf", &[S, S, I], I, last_index_of),
    member(0, "lowerAscii", &[S], S, |call| mapped(call, str::to_ascii_lowercase)),
    member(0, "upperAscii", &[S], S, |call| mapped(call, str::to_ascii_uppercase)),
    member(0, "trim", &[S], S, |call| mapped(call, |text| text.trim().to_owned())),
    member(0, "replace", &[S, S, S], S, replace),
    member(0, "replace", &[S, S, S, I], S, replace),
    member(0, "split", &[S, S], STRINGS, split),
    member(0, "split", &[S, S, I], STRINGS, split),
    member(0, "substring", &[S, I], S, substring),
    member(0, "substring", &[S, I, I], S, substring),
    member(0, "join", &[STRINGS], S, join),
    member(0, "join", &[STRINGS, S], S, join),
    global(29, "strings.quote", &[S], S, quote),
];

/// What is asked for is outside the text.
fn outside<'a>(position: i64) -> Evaluated<'a> {
    fault(format!("index out of range: {position}"))
}

fn chars(call: &mut Call<'_, '_>, index: usize) -> Result<Vec<char>, EvaluationError> {
    let text = call.text(index);
    call.budget.charge_text(text.len())?;
    Ok(text.chars().collect())
}

fn mapped<'a>(call: &mut Call<'_, 'a>, map: impl Fn(&str) -> String) -> Evaluated<'a> {
    let text = call.text(0);
    call.budget.charge_text(text.len())?;
    Ok(Value::string(map(&text)))
}

fn char_at<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (text, index) = (chars(call, 0)?, call.int(1));
    match usize::try_from(index) {
        Ok(at) if at == text.len() => Ok(Value::string("")),
        Ok(at) => text.get(at).map_or_else(|| outside(index), |c| Ok(Value::string(c.to_string()))),
        Err(_) => outside(index),
    }
}

/// The byte at which a character begins, or the end of the text.
fn byte_of(text: &str, position: usize) -> Option<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(position)
}

/// The characters before a byte; -1 where nothing was found.
fn position<'a>(text: &str, found: Option<usize>) -> Value<'a> {
    found.and_then(|at| text.get(..at)).map_or(Value::Int(-1), |before| count(before.chars().count()))
}

/// The first place from a position on, which may be the end.
fn index_of<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (text, part) = (call.text(0), call.text(1));
    call.budget.charge_text(text.len().saturating_add(part.len()))?;
    let from = call.int(2);
    let Ok(start) = usize::try_from(from) else { return outside(from) };
    if part.is_empty() {
        return Ok(count(start.min(text.chars().count())));
    }
    let found = byte_of(&text, start).and_then(|begin| text.get(begin..)?.find(&*part).map(|at| begin + at));
    Ok(position(&text, found))
}

/// The last place that begins at a position at most.
fn last_index_of<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (text, part) = (call.text(0), call.text(1));
    call.budget.charge_text(text.len().saturating_add(part.len()))?;
    let length = text.chars().count();
    let last = if call.arguments.len() > 2 { call.int(2) } else { i64::try_from(length).unwrap_or(i64::MAX) };
    let Ok(last) = usize::try_from(last) else { return outside(last) };
    if part.is_empty() {
        return Ok(count(last.min(length)));
    }
    if last > length {
        // Kubernetes finds nothing from beyond the end.
        return Ok(Value::Int(-1));
    }
    let end = last.saturating_add(part.chars().count());
    let end = byte_of(&text, end).unwrap_or(text.len());
    Ok(position(&text, text.get(..end).and_then(|before| before.rfind(&*part))))
}

/// A limit of how often; a negative one is none.
fn limit(call: &Call<'_, '_>, index: usize) -> usize {
    if call.arguments.len() > index { usize::try_from(call.int(index)).unwrap_or(usize::MAX) } else { usize::MAX }
}

fn replace<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (text, old, new) = (call.text(0), call.text(1), call.text(2));
    call.budget.charge_text(text.len())?;
    let limit = limit(call, 3);
    let times = if old.is_empty() { text.chars().count() + 1 } else { text.matches(&*old).take(limit).count() }.min(limit);
    call.budget.charge_text(text.len().saturating_add(times.saturating_mul(new.len())))?;
    Ok(Value::string(text.replacen(&*old, &new, times)))
}

fn split<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (text, separator) = (call.text(0), call.text(1));
    call.budget.charge_text(text.len())?;
    let limit = limit(call, 2);
    if limit == 0 {
        return Ok(Value::list([]));
    }
    let pieces = if separator.is_empty() { text.chars().count() } else { text.matches(&*separator).count() + 1 };
    call.budget.charge_elements(pieces.min(limit))?;
    let parts: Vec<Value<'a>> = if separator.is_empty() {
        characters(&text, limit).into_iter().map(Value::string).collect()
    } else {
        text.splitn(limit, &*separator).map(Value::string).collect()
    };
    Ok(Value::list(parts))
}

/// Every character by itself; the last of the allowed pieces is all that is left.
fn characters(text: &str, limit: usize) -> Vec<&str> {
    let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).skip(1).take(limit - 1).collect();
    if !text.is_empty() {
        ends.push(text.len());
    }
    let begins = std::iter::once(0).chain(ends.clone());
    begins.zip(&ends).filter_map(|(begin, end)| text.get(begin..*end)).collect()
}

fn substring<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = chars(call, 0)?;
    let from = call.int(1);
    let to = if call.arguments.len() > 2 { call.int(2) } else { i64::try_from(text.len()).unwrap_or(i64::MAX) };
    if from > to {
        return fault(format!("invalid substring range. start: {from}, end: {to}"));
    }
    let part = usize::try_from(from).ok().zip(usize::try_from(to).ok()).and_then(|(from, to)| text.get(from..to));
    match part {
        Some(part) => Ok(Value::string(part.iter().collect::<String>())),
        None => outside(if from < 0 || from > i64::try_from(text.len()).unwrap_or(i64::MAX) { from } else { to }),
    }
}

fn join<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let (list, separator) = (call.list(0), call.text(1));
    let mut out = String::new();
    for (index, element) in list.iter().enumerate() {
        let Value::String(text) = element else { return fault("join takes a list of strings; convert what is in it with string()") };
        call.budget.charge_text(10 + text.len() + separator.len())?;
        if index > 0 {
            out.push_str(&separator);
        }
        out.push_str(&text);
    }
    Ok(Value::string(out))
}

fn quote<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let text = call.text(0);
    call.budget.charge_text(text.len().saturating_mul(2))?;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            _ => out.push(c),
        }
    }
    out.push('"');
    Ok(Value::string(out))
}
