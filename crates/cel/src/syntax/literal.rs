//! Literals of text and bytes.

use super::{
    Literal,
    lexer::{Kind, Mistake},
};

/// The text or bytes that `rest` begins with, and how long they are in the source.
pub(super) fn text(rest: &str) -> Result<Option<(Kind, usize)>, Mistake> {
    // Only the first bytes are looked at: this is asked at every token.
    let prefix = rest.bytes().take(3).position(|byte| matches!(byte, b'\'' | b'"'));
    let Some(prefix) = prefix else { return Ok(None) };
    let (is_bytes, is_raw) = match rest.get(..prefix).unwrap_or_default() {
        "" => (false, false),
        "r" | "R" => (false, true),
        "b" | "B" => (true, false),
        "br" | "bR" | "Br" | "BR" => (true, true),
        _ => return Ok(None),
    };
    let quoted = rest.get(prefix..).unwrap_or_default();
    let (quote, inner) = ["'''", "\"\"\"", "'", "\""]
        .into_iter()
        .find_map(|quote| quoted.strip_prefix(quote).map(|inner| (quote, inner)))
        .ok_or((0, "a text without an end".to_owned()))?;
    let length = ends(inner, quote, is_raw).ok_or((0, format!("the text has no end; close it with {quote}")))?;
    let content = inner.get(..length).unwrap_or_default();
    let begins = prefix + quote.len();
    let normal = content.replace("\r\n", "\n").replace('\r', "\n");
    let literal = match (is_bytes, is_raw) {
        (false, true) => Literal::String(normal),
        (true, true) => Literal::Bytes(normal.into_bytes()),
        (false, false) => {
            let bytes = unescape(&normal, false).map_err(|message| (begins, message))?;
            Literal::String(String::from_utf8(bytes).map_err(|_| (begins, "the text is not Unicode".to_owned()))?)
        }
        (true, false) => Literal::Bytes(unescape(&normal, true).map_err(|message| (begins, message))?),
    };
    Ok(Some((Kind::Literal(literal), begins + length + quote.len())))
}

/// Bytes before the closing quote.
fn ends(inner: &str, quote: &str, is_raw: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = inner.get(at..)?;
        if rest.starts_with(quote) {
            return Some(at);
        }
        match rest.chars().next()? {
            '\\' if !is_raw => at += 1 + rest.chars().nth(1)?.len_utf8(),
            '\n' | '\r' if quote.len() == 1 => return None,
            c => at += c.len_utf8(),
        }
    }
}

fn unescape(content: &str, is_bytes: bool) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let letter = after.chars().next().ok_or("a \\ escapes nothing")?;
        let mut code = |radix: u32, skip: usize, digits: usize| -> Result<u32, String> {
            let wrong = || format!("\\{letter} needs {digits} digits after it");
            let text = after.get(skip..skip + digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit())).ok_or_else(wrong)?;
            rest = after.get(skip + digits..).unwrap_or_default();
            u32::from_str_radix(text, radix).map_err(|_| wrong())
        };
        let simple = |byte: u8| -> Result<u32, String> { Ok(byte.into()) };
        let value = match letter {
            'x' | 'X' => code(16, 1, 2)?,
            '0'..='3' => code(8, 0, 3)?,
            'u' if !is_bytes => code(16, 1, 4)?,
            'U' if !is_bytes => code(16, 1, 8)?,
            _ => {
                rest = after.get(letter.len_utf8()..).unwrap_or_default();
                match letter {
                    'a' => simple(7),
                    'b' => simple(8),
                    'f' => simple(12),
                    'n' => simple(b'\n'),
                    'r' => simple(b'\r'),
                    't' => simple(b'\t'),
                    'v' => simple(11),
                    '"' | '\'' | '\\' | '?' | '`' => Ok(letter.into()),
                    _ => Err(format!("\\{letter} is not an escape; write \\\\{letter} for a backslash, or r'…' for text without escapes")),
                }?
            }
        };
        if is_bytes {
            out.push(u8::try_from(value).map_err(|_| format!("\\{letter} is more than a byte"))?);
        } else {
            let c = char::from_u32(value).ok_or_else(|| format!("\\{letter}: {value:x} is not a character"))?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}
