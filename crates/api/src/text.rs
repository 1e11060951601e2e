//! Names of any bytes as text: `\x20` is the byte with that value, `\` before any other character is that character, and `*` at the end stands
//! for whatever follows.

use crate::InvalidValue;
use std::fmt;

/// The bytes that the text stands for, and whether any may follow. Columns count from `column`, that of the text's first character.
pub(crate) fn parse(text: &str, column: usize) -> Result<(Vec<u8>, bool), InvalidValue> {
    let mut name = Vec::with_capacity(text.len());
    let mut rest = text.char_indices();
    while let Some((at, character)) = rest.next() {
        let invalid = |message: &str| InvalidValue { column: text[..at].chars().count() + column, message: message.to_owned() };
        let escaped = match character {
            '*' if rest.as_str().is_empty() => return Ok((name, true)),
            '*' => return Err(invalid("`*` stands at the end only: write `\\*` for the character")),
            '\\' => rest.next().map(|(_, escaped)| escaped).ok_or_else(|| invalid("`\\` at the end: write `\\\\` for the character"))?,
            plain if plain.is_control() => return Err(invalid("a control character: write it as `\\x0a`")),
            plain => {
                name.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        if escaped == 'x' {
            let digits = rest.as_str().get(..2).filter(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit()));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            name.push(byte.ok_or_else(|| invalid("`\\x` without two hexadecimal digits: write a byte as `\\x20`"))?);
            rest.nth(1);
        } else {
            name.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok((name, false))
}

/// Writes what [`parse`] reads back.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, name: &[u8], open: bool) -> fmt::Result {
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '*' | '\\' => write!(f, "\\{character}")?,
                control if control.is_control() => {
                    control.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
                }
                plain => write!(f, "{plain}")?,
            }
        }
        chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
    }
    f.write_str(if open { "*" } else { "" })
}
