//! Text in quotes, as Go's `%q` writes it.

use crate::{Budget, EvaluationError};

/// Adds a text in quotes.
pub(super) fn quoted(text: &str, out: &mut String, budget: &mut Budget) -> Result<(), EvaluationError> {
    // An escape has at most four bytes for each of the character's.
    budget.charge_text(text.len())?;
    out.push('"');
    for c in text.chars() {
        match escaped(c) {
            Some(escape) => out.push_str(&escape),
            None => out.push(c),
        }
    }
    out.push('"');
    Ok(())
}

/// What stands for a character; none for what is written as it is.
fn escaped(c: char) -> Option<String> {
    Some(match c {
        '"' | '\\' => format!("\\{c}"),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        ' '..='~' => return None,
        '\0'..='\u{7f}' => format!("\\x{:02x}", u32::from(c)),
        // What Rust escapes of the rest is what cannot be printed, as it is in Go.
        _ if c.escape_debug().count() == 1 => return None,
        '\u{80}'..='\u{ffff}' => format!("\\u{:04x}", u32::from(c)),
        _ => format!("\\U{:08x}", u32::from(c)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Go's `strconv.Quote` writes it.
    #[test]
    fn what_cannot_be_printed_is_escaped() {
        let mut out = String::new();
        quoted("\u{1}\u{7f}\u{a0}\u{200b}\u{e0001}é'\"\\\n", &mut out, &mut Budget::of(100, 100)).unwrap();
        assert_eq!(out, r#""\x01\x7f\u00a0\u200b\U000e0001é'\"\\\n""#);
    }
}
