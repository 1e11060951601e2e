//! What a backslash and a letter stand for.

use super::{MANY, Translation, class::perl};

impl Translation<'_> {
    /// What follows a backslash, outside of classes.
    pub(super) fn escape(&mut self) -> Result<(), String> {
        let letter = self.letter()?;
        match letter {
            'A' | 'z' => self.atom(&format!("\\{letter}"), 1),
            'b' | 'B' => self.atom(&format!("(?-u:\\{letter})"), 1),
            'Q' => self.quote(),
            'p' | 'P' => {
                let class = self.property(letter)?;
                self.wide += 1;
                self.atom(&class, MANY);
            }
            _ => match perl(letter) {
                Some(class) => self.atom(class, if letter.is_ascii_uppercase() { MANY } else { 1 }),
                None => {
                    let c = self.escaped(letter)?;
                    self.character(c);
                }
            },
        }
        Ok(())
    }

    pub(super) fn letter(&mut self) -> Result<char, String> {
        self.rest.next().ok_or_else(|| "the regular expression ends with a backslash".to_owned())
    }

    /// `\Q…\E`, or to the end.
    fn quote(&mut self) {
        let rest = self.rest.as_str();
        let (text, after) = rest.split_once("\\E").unwrap_or((rest, ""));
        self.rest = after.chars();
        text.chars().for_each(|c| self.character(c));
    }

    /// The character that a backslash and a letter stand for.
    pub(super) fn escaped(&mut self, letter: char) -> Result<char, String> {
        match letter {
            'a' => Ok('\u{7}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\u{b}'),
            'x' => self.hexadecimal().ok_or_else(|| "the regular expression has \\x without a character's number".to_owned()),
            '0'..='7' => self.octal(letter).ok_or_else(|| unknown(letter)),
            _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Ok(letter),
            _ => Err(unknown(letter)),
        }
    }

    /// `\x41`, `\x{41}`.
    fn hexadecimal(&mut self) -> Option<char> {
        let rest = self.rest.as_str();
        let (digits, length) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once('}').map(|(digits, _)| (digits, digits.len() + 2))?,
            None => (rest.get(..2)?, 2),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        self.skip(length);
        Some(c)
    }

    /// `\012`: up to three digits; one alone is a character only if it is zero.
    fn octal(&mut self, first: char) -> Option<char> {
        let more = self.rest.as_str().bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
        if more == 0 && first != '0' {
            return None;
        }
        let digits = format!("{first}{}", self.rest.as_str().get(..more)?);
        self.skip(more);
        char::from_u32(u32::from_str_radix(&digits, 8).ok()?)
    }
}

fn unknown(letter: char) -> String {
    format!("the regular expression has \\{letter}, which RE2 does not know")
}
