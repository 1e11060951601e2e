//! Source text → tokens.

use super::{Literal, literal};

/// A token, and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Identifiers and words.
    Word(String),
    /// A field's name in backticks.
    Quoted(String),
    /// Digits, which a minus before them may make negative.
    Int(String),
    Literal(Literal),
    Symbol(&'static str),
    End,
}

/// Longer ones before those that they begin with.
const SYMBOLS: [&str; 25] =
    ["==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ".", ",", "-", "!", "?", ":", "+", "*", "/", "%", "<", ">", "="];

/// A mistake, and where it is.
pub(super) type Mistake = (usize, String);

pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Mistake> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_space(source, at);
        let rest = source.get(at..).unwrap_or_default();
        let Some(first) = rest.chars().next() else { break };
        let (kind, length) = next(rest, first).map_err(|(offset, message)| (at + offset, message))?;
        tokens.push(Token { at, kind });
        at += length;
    }
    tokens.push(Token { at: source.len(), kind: Kind::End });
    Ok(tokens)
}

/// Past white space and comments.
fn skip_space(source: &str, mut at: usize) -> usize {
    loop {
        let rest = source.get(at..).unwrap_or_default();
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{c}']);
        at += rest.len() - trimmed.len();
        if !trimmed.starts_with("//") {
            return at;
        }
        at += trimmed.find('\n').unwrap_or(trimmed.len());
    }
}

/// The token that `rest` begins with, and its length.
fn next(rest: &str, first: char) -> Result<(Kind, usize), Mistake> {
    if let Some(found) = literal::text(rest)? {
        return Ok(found);
    }
    let second_is_digit = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if first.is_ascii_digit() || (first == '.' && second_is_digit) {
        return number(rest);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return Ok((Kind::Word(rest.get(..length).unwrap_or_default().to_owned()), length));
    }
    if first == '`' {
        let inner = rest.get(1..).unwrap_or_default();
        let length = inner.find(|c: char| !c.is_ascii_alphanumeric() && !"_.-/ ".contains(c)).unwrap_or(inner.len());
        let (name, end) = inner.split_at(length);
        if name.is_empty() || !end.starts_with('`') {
            return Err((0, "a name in backticks is of letters, digits, _ . - / and spaces; write map['name'] for others".to_owned()));
        }
        return Ok((Kind::Quoted(name.to_owned()), length + 2));
    }
    match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
        Some("=") => Err((0, "a single = means nothing; compare with ==".to_owned())),
        Some(symbol) => Ok((Kind::Symbol(symbol), symbol.len())),
        None if first == '&' || first == '|' => Err((0, format!("a single {first} means nothing; write {first}{first}"))),
        None => Err((0, format!("the character {first:?} means nothing here; put text in quotes"))),
    }
}

fn number(rest: &str) -> Result<(Kind, usize), Mistake> {
    let bytes = rest.as_bytes();
    let digits = |from: usize, is: fn(&u8) -> bool| bytes.get(from..).unwrap_or_default().iter().take_while(|byte| is(byte)).count();
    let unsigned = |at: usize| matches!(bytes.get(at), Some(b'u' | b'U'));
    if rest.starts_with("0x") || rest.starts_with("0X") {
        let length = 2 + digits(2, u8::is_ascii_hexdigit);
        let text = rest.get(2..length).unwrap_or_default();
        if !unsigned(length) {
            return whole_ends(rest, length).map(|()| (Kind::Int(format!("0x{text}")), length));
        }
        let value = u64::from_str_radix(text, 16).map_err(|_| too_large(rest, length, "uint"))?;
        return whole_ends(rest, length + 1).map(|()| (Kind::Literal(Literal::Uint(value)), length + 1));
    }
    let whole = digits(0, u8::is_ascii_digit);
    let fraction = if bytes.get(whole) == Some(&b'.') { digits(whole + 1, u8::is_ascii_digit) } else { 0 };
    let mut length = if fraction > 0 { whole + 1 + fraction } else { whole };
    let exponent = matches!(bytes.get(length), Some(b'e' | b'E')).then(|| {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        (sign, digits(length + 1 + sign, u8::is_ascii_digit))
    });
    if let Some((sign, count @ 1..)) = exponent {
        length += 1 + sign + count;
    }
    let text = rest.get(..length).unwrap_or_default();
    if length > whole {
        let value: f64 = text.parse().map_err(|_| (0, format!("{text} is not a number")))?;
        if value.is_infinite() {
            return Err((0, format!("{text} is not of the range of double")));
        }
        return whole_ends(rest, length).map(|()| (Kind::Literal(Literal::Double(value)), length));
    }
    if unsigned(length) {
        let value = text.parse().map_err(|_| too_large(rest, length, "uint"))?;
        return whole_ends(rest, length + 1).map(|()| (Kind::Literal(Literal::Uint(value)), length + 1));
    }
    whole_ends(rest, length).map(|()| (Kind::Int(text.to_owned()), length))
}

fn too_large(rest: &str, length: usize, what: &str) -> Mistake {
    (0, format!("{} is not of the range of {what}", rest.get(..length).unwrap_or_default()))
}

/// A number is not followed by a letter.
fn whole_ends(rest: &str, length: usize) -> Result<(), Mistake> {
    match rest.get(length..).and_then(|rest| rest.chars().next()) {
        Some(c) if c.is_ascii_alphanumeric() || c == '_' => Err((length, format!("a number is followed by {c:?}; put text in quotes"))),
        _ => Ok(()),
    }
}
