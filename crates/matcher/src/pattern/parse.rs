//! From text to tokens. Characters are read one by one with their columns; the [`Assembler`] judges what they add up to.

use crate::class::ByteClass;

use super::error::{PatternError, PatternErrorReason as Reason};
use super::{Assembler, MAX_TEXT_BYTES, Token};

/// The positions that the text stands for.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, PatternError> {
    if source.len() > MAX_TEXT_BYTES {
        return Err(PatternError::new(1, Reason::TooLong));
    }
    let mut text = Characters { rest: source.chars(), column: 0 };
    let mut assembler = Assembler::default();
    while let Some(character) = text.take()? {
        let column = text.column;
        let token = match character {
            '?' => Token::Class(Box::new(ByteClass::NOT_SLASH)),
            '*' => text.stars()?,
            '[' => Token::one_of(text.class()?),
            '\\' => match text.escape()? {
                Escape::Byte(byte) => Token::Byte(byte),
                Escape::Character(character) => {
                    push_character(&mut assembler, character, column)?;
                    continue;
                }
            },
            _ => {
                push_character(&mut assembler, character, column)?;
                continue;
            }
        };
        assembler.push(token, column)?;
    }
    assembler.finish(text.column)
}

/// Adds a character's UTF-8 bytes.
fn push_character(assembler: &mut Assembler, character: char, column: usize) -> Result<(), PatternError> {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        assembler.push(Token::Byte(byte), column)?;
    }
    Ok(())
}

/// What a backslash and what follows it stand for.
enum Escape {
    /// A byte, from `\x..`.
    Byte(u8),
    /// The character itself.
    Character(char),
}

/// The text that is still to be read.
struct Characters<'a> {
    rest: std::str::Chars<'a>,
    /// The column of the character that was taken last, counted from 1.
    column: usize,
}

impl Characters<'_> {
    /// The next character, refused where nobody would see it.
    fn take(&mut self) -> Result<Option<char>, PatternError> {
        let Some(character) = self.rest.next() else { return Ok(None) };
        self.column += 1;
        match character {
            '\0' => Err(self.error(Reason::Nul)),
            _ if character.is_control() => Err(self.error(Reason::Unprintable(character))),
            _ => Ok(Some(character)),
        }
    }

    /// Takes the next character only if it is this one.
    fn take_if(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.rest.next();
            self.column += 1;
        }
        found
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn error(&self, reason: Reason) -> PatternError {
        PatternError::new(self.column, reason)
    }

    /// What one asterisk, which was taken, and those after it stand for.
    fn stars(&mut self) -> Result<Token, PatternError> {
        if !self.take_if('*') {
            return Ok(Token::Star);
        }
        if self.take_if('*') {
            return Err(self.error(Reason::StarRun));
        }
        Ok(Token::Globstar)
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<Escape, PatternError> {
        let Some(character) = self.take()? else { return Err(self.error(Reason::DanglingEscape)) };
        if character != 'x' {
            return Ok(Escape::Character(character));
        }
        let (high, low) = (self.hex_digit()?, self.hex_digit()?);
        match high << 4 | low {
            0 => Err(self.error(Reason::Nul)),
            byte => Ok(Escape::Byte(byte)),
        }
    }

    fn hex_digit(&mut self) -> Result<u8, PatternError> {
        let digit = self.take()?.and_then(|character| character.to_digit(16));
        digit.and_then(|digit| u8::try_from(digit).ok()).ok_or_else(|| self.error(Reason::HexEscape))
    }

    /// A class, up to and including its `]`; its `[` was taken.
    fn class(&mut self) -> Result<ByteClass, PatternError> {
        let opened = self.column;
        if self.peek() == Some('!') {
            self.column += 1;
            return Err(self.error(Reason::ShellNegation));
        }
        let negated = self.take_if('^');
        let mut class = ByteClass::EMPTY;
        loop {
            if self.peek().is_none() {
                return Err(PatternError::new(opened, Reason::UnclosedClass));
            }
            if self.take_if(']') {
                break;
            }
            class = class.union(self.class_item(opened)?);
        }
        // An empty list is a slip, also where its negation would not be empty; and no path has a NUL.
        let named = !class.is_empty();
        let class = if negated { class.complement() } else { class }.intersection(ByteClass::NOT_SLASH);
        if named && !class.without(0).is_empty() { Ok(class) } else { Err(PatternError::new(opened, Reason::EmptyClass)) }
    }

    /// One byte or one range of the class that was opened at this column.
    fn class_item(&mut self, opened: usize) -> Result<ByteClass, PatternError> {
        let first = self.class_byte(opened)?;
        let is_range = self.rest.as_str().starts_with('-') && !self.rest.as_str().starts_with("-]");
        if !is_range {
            return Ok(ByteClass::single(first));
        }
        self.take_if('-');
        let last = self.class_byte(opened)?;
        if last < first {
            return Err(self.error(Reason::BackwardRange));
        }
        Ok(ByteClass::range(first..=last))
    }

    /// One byte of a class, escaped or not.
    fn class_byte(&mut self, opened: usize) -> Result<u8, PatternError> {
        let character = match self.take()? {
            Some('[') => return Err(self.error(Reason::BracketInClass)),
            Some('\\') => match self.escape()? {
                Escape::Byte(b'/') => return Err(self.error(Reason::SlashInClass)),
                Escape::Byte(byte) => return Ok(byte),
                Escape::Character(character) => character,
            },
            Some(character) => character,
            None => return Err(PatternError::new(opened, Reason::UnclosedClass)),
        };
        match u8::try_from(character) {
            Ok(b'/') => Err(self.error(Reason::SlashInClass)),
            Ok(byte) if byte.is_ascii() => Ok(byte),
            _ => Err(self.error(Reason::WideInClass(character))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_POSITIONS, Pattern};
    use super::*;

    #[track_caller]
    fn refuses(text: &str, column: usize, reason: Reason) {
        assert_eq!(Pattern::parse(text), Err(PatternError::new(column, reason)), "{text:?}");
    }

    #[track_caller]
    fn class_of(text: &str) -> ByteClass {
        match Pattern::parse(&format!("/{text}")).unwrap().tokens() {
            [_, Token::Class(class)] => **class,
            [_, Token::Byte(byte)] => ByteClass::single(*byte),
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn reads_classes_as_sets_of_bytes() {
        assert_eq!(class_of("[a-c_]"), b"abc_".iter().copied().collect());
        assert_eq!(class_of("[-a]"), b"-a".iter().copied().collect());
        assert_eq!(class_of("[a-]"), b"-a".iter().copied().collect());
        assert_eq!(class_of("[a^]"), b"^a".iter().copied().collect());
        assert_eq!(class_of(r"[\]\x80-\xff]"), ByteClass::range(0x80..=0xff).with(b']'));
        assert_eq!(class_of("[b]"), ByteClass::single(b'b'));
    }

    #[test]
    fn keeps_slashes_out_of_every_class() {
        assert_eq!(class_of("?"), ByteClass::NOT_SLASH);
        assert_eq!(class_of("[^a]"), ByteClass::NOT_SLASH.without(b'a'));
        assert_eq!(class_of("[.-0]"), b".0".iter().copied().collect());
        refuses("/[a/]", 4, Reason::SlashInClass);
        refuses(r"/[\x2f]", 6, Reason::SlashInClass);
        refuses(r"/[\/]", 4, Reason::SlashInClass);
    }

    #[test]
    fn reads_every_escape_as_the_character_itself() {
        let pattern = Pattern::parse(r"/\*\?\[\]\\\é\x41").unwrap();
        assert!(pattern.is_literal());
        assert!(pattern.matches("/*?[]\\éA".as_bytes()));
    }

    #[test]
    fn refuses_what_is_no_absolute_path() {
        refuses("", 1, Reason::NotAbsolute);
        refuses("usr/bin", 1, Reason::NotAbsolute);
        refuses("**", 1, Reason::NotAbsolute);
        refuses("[a]b", 1, Reason::NotAbsolute);
    }

    #[test]
    fn refuses_what_no_normalised_path_matches() {
        refuses("/usr//bin", 6, Reason::EmptyComponent);
        refuses("//", 2, Reason::EmptyComponent);
        refuses(r"/usr\x2f/bin", 9, Reason::EmptyComponent);
        refuses("/usr/./bin", 6, Reason::DotComponent("."));
        refuses("/usr/..", 6, Reason::DotComponent(".."));
        refuses(r"/\x2e[.]/a", 2, Reason::DotComponent(".."));
        refuses("/usr/bin/", 9, Reason::TrailingSlash);
        refuses("/**/", 4, Reason::TrailingSlash);
    }

    #[test]
    fn accepts_names_that_only_look_like_dots() {
        for text in ["/...", "/.a", "/a.", "/..a", "/.*", "/.?", "/a..b/c"] {
            assert!(Pattern::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_what_nobody_would_see() {
        refuses("/a\0", 3, Reason::Nul);
        refuses(r"/a\x00", 6, Reason::Nul);
        refuses("/etc/passwd\n", 12, Reason::Unprintable('\n'));
        refuses("/[a\u{7f}]", 4, Reason::Unprintable('\u{7f}'));
    }

    #[test]
    fn refuses_unfinished_and_ambiguous_syntax() {
        refuses("/a***", 5, Reason::StarRun);
        refuses("/a****b", 5, Reason::StarRun);
        refuses(r"/a\", 3, Reason::DanglingEscape);
        refuses(r"/a\xg0", 5, Reason::HexEscape);
        refuses(r"/a\x1", 5, Reason::HexEscape);
        refuses("/a[bc", 3, Reason::UnclosedClass);
        refuses("/a[b-", 3, Reason::UnclosedClass);
        refuses("/[]", 2, Reason::EmptyClass);
        refuses("/[^]", 2, Reason::EmptyClass);
        refuses(r"/[^\x01-\xff]", 2, Reason::EmptyClass);
        refuses("/[z-a]", 5, Reason::BackwardRange);
        refuses("/[é]", 3, Reason::WideInClass('é'));
        refuses("/[[:alpha:]]", 3, Reason::BracketInClass);
        refuses("/[!a]", 3, Reason::ShellNegation);
    }

    #[test]
    fn counts_positions_and_not_the_characters_that_write_them() {
        let longest = format!("/{}", r"\x61".repeat(MAX_POSITIONS - 1));
        assert!(Pattern::parse(&longest).is_ok());
        refuses(&format!("/{}", "a".repeat(MAX_POSITIONS)), MAX_POSITIONS + 1, Reason::TooLong);
        refuses(&format!("{longest}aaaa"), 1, Reason::TooLong);
    }

    #[test]
    fn names_a_way_out_in_every_message() {
        let message = Pattern::parse("/a/").unwrap_err().to_string();
        assert_eq!(
            message,
            "column 3: a path has no `/` at its end: leave it out for the directory itself, or write `/**` for all below it"
        );
    }
}
