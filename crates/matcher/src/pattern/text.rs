//! Patterns as text: the inverse of the parser.

use std::fmt::Write;

use crate::class::ByteClass;

/// The text of the pattern that matches exactly this path: [`Pattern::parse`](super::Pattern::parse) reads it back.
///
/// Letters and digits of any script and `-_.,+:@%~#=/` stay as they are; every other byte becomes `\x..`, or `\c` where it has
/// a meaning in patterns. So blanks at the end, control characters and text that runs the other way are always visible.
pub fn escape(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '*' | '?' | '[' | ']' | '\\' => text.extend(['\\', character]),
                _ if character.is_alphanumeric() || is_plain(character) => text.push(character),
                _ => push_hex(&mut text, character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        push_hex(&mut text, chunk.invalid());
    }
    text
}

/// A class as it would be written in a pattern, all of it in hexadecimal.
pub(super) fn class(class: ByteClass) -> String {
    let mut text = String::new();
    if let Some(byte) = class.as_single() {
        push_hex(&mut text, &[byte]);
        return text;
    }
    text.push('[');
    for range in class.ranges() {
        push_hex(&mut text, &[*range.start()]);
        if range.start() != range.end() {
            text.push('-');
            push_hex(&mut text, &[*range.end()]);
        }
    }
    text.push(']');
    text
}

/// Punctuation that is common in paths and can be read only one way.
fn is_plain(character: char) -> bool {
    matches!(character, '/' | '-' | '_' | '.' | ',' | '+' | ':' | '@' | '%' | '~' | '#' | '=')
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Pattern;
    use super::*;

    #[test]
    fn leaves_everyday_paths_as_they_are() {
        for path in ["/usr/lib/x86_64-linux-gnu/libc.so.6", "/srv/größe/日本", "/a+b,c:d@e%f~g#h=i"] {
            assert_eq!(escape(path.as_bytes()), path);
        }
    }

    #[test]
    fn shows_what_could_be_overlooked() {
        assert_eq!(escape(b"/a *\n"), r"/a\x20\*\x0a");
        assert_eq!(escape("/\u{202e}x".as_bytes()), r"/\xe2\x80\xaex");
        assert_eq!(escape(b"/caf\xe9"), r"/caf\xe9");
    }

    proptest! {
        #[test]
        fn is_read_back_as_the_very_path(tail in prop::collection::vec(any::<u8>(), 0..24)) {
            let path = [b"/".as_slice(), &tail].concat();
            match (Pattern::literal(&path), Pattern::parse(&escape(&path))) {
                (Ok(literal), Ok(parsed)) => {
                    prop_assert_eq!(&literal, &parsed);
                    prop_assert!(parsed.matches(&path));
                    prop_assert!(parsed.is_literal());
                }
                // Both refuse the same paths, for the same reason; only columns differ.
                (Err(literal), Err(parsed)) => prop_assert_eq!(literal.reason, parsed.reason),
                (literal, parsed) => prop_assert!(false, "{literal:?} but {parsed:?}"),
            }
        }
    }
}
