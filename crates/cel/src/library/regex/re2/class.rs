//! Classes of characters: `[a-z]`, `\d`, `\pL`, `[[:alpha:]]`.

use super::{MANY, Translation};
use std::fmt::Write;

/// Characters of a range from which on its class is wide.
const WIDE_RANGE: u32 = 1_000;

/// What `[:NAME:]` names.
const NAMED: [&str; 14] =
    ["alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit"];

/// The class of a letter after a backslash, of ASCII as in RE2.
pub(super) fn perl(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => "[\\t\\n\\x0C\\r ]",
        'S' => "[^\\t\\n\\x0C\\r ]",
        _ => return None,
    })
}

impl Translation<'_> {
    /// A class, after its bracket. A bracket that closes is a character where it comes first; a hyphen makes a range only between characters.
    pub(super) fn class(&mut self) -> Result<(), String> {
        let is_negated = self.next_is('^');
        self.atom(if is_negated { "[^" } else { "[" }, if is_negated { MANY } else { 1 });
        let mut is_wide = false;
        let mut is_first = true;
        while is_first || !self.rest.as_str().starts_with(']') {
            is_first = false;
            is_wide |= self.member()?;
        }
        self.skip(1);
        self.out.push(']');
        if is_wide {
            self.wide += 1;
            self.last.size = MANY;
        }
        Ok(())
    }

    /// A class within the class, a character or a range; whether it is wide.
    fn member(&mut self) -> Result<bool, String> {
        let rest = self.rest.as_str();
        if let Some((name, _)) = rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) {
            if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(format!("the regular expression has a class [:{name}:], which RE2 does not know"));
            }
            write!(self.out, "[:{name}:]").unwrap_or_default();
            self.skip(name.len() + 4);
            return Ok(name.starts_with('^'));
        }
        if let Some(letter) = rest.strip_prefix('\\').and_then(|rest| rest.chars().next()) {
            if let Some(class) = perl(letter) {
                self.out.push_str(class);
                self.skip(2);
                return Ok(letter.is_ascii_uppercase());
            }
            if matches!(letter, 'p' | 'P') {
                self.skip(2);
                let class = self.property(letter)?;
                self.out.push_str(&class);
                return Ok(true);
            }
        }
        self.range()
    }

    fn range(&mut self) -> Result<bool, String> {
        let first = self.one()?;
        self.push_one(first);
        let has_last = self.rest.as_str().strip_prefix('-').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(']'));
        if !has_last {
            return Ok(false);
        }
        self.skip(1);
        let last = self.one()?;
        if last < first {
            return Err("the regular expression has a range whose end is before its beginning".to_owned());
        }
        self.out.push('-');
        self.push_one(last);
        Ok(u32::from(last) - u32::from(first) > WIDE_RANGE)
    }

    /// A character of a class, which may be escaped.
    fn one(&mut self) -> Result<char, String> {
        match self.rest.next().ok_or("the regular expression has a class without its closing bracket")? {
            '\\' => {
                let letter = self.letter()?;
                self.escaped(letter)
            }
            c => Ok(c),
        }
    }

    /// By its number where the engine might read more into it.
    fn push_one(&mut self, c: char) {
        if c.is_ascii_alphanumeric() || !c.is_ascii() {
            self.out.push(c);
        } else {
            write!(self.out, "\\x{{{:x}}}", u32::from(c)).unwrap_or_default();
        }
    }

    /// `\pL`, `\p{Greek}`, `\P{^Greek}`, after the letter.
    pub(super) fn property(&mut self, letter: char) -> Result<String, String> {
        let wrong = || format!("the regular expression has \\{letter} without the name of a class of Unicode");
        let rest = self.rest.as_str();
        let (name, length) = match rest.strip_prefix('{') {
            Some(rest) => rest.split_once('}').map(|(name, _)| (name, name.len() + 2)).ok_or_else(wrong)?,
            None => rest.chars().next().and_then(|c| rest.get(..c.len_utf8())).map(|name| (name, name.len())).ok_or_else(wrong)?,
        };
        let (name, is_negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_ -".contains(&byte)) {
            return Err(wrong());
        }
        self.skip(length);
        Ok(format!("\\{}{{{name}}}", if (letter == 'P') == is_negated { 'p' } else { 'P' }))
    }
}
