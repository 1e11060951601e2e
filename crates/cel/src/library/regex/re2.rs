//! RE2's syntax, written for the engine.
//!
//! Every character, class and escape is read as Go's `regexp/syntax` reads it, and written so that the engine reads the same. What stands in the
//! text for itself is escaped; `\d`, `\w`, `\s` and `\b` are of ASCII; names of groups are dropped, as nothing asks for them. What RE2 refuses is
//! refused. The size that the pattern has when it is compiled is estimated on the way: a repetition is as large as what it writes out.

mod class;
mod escape;

use std::str::Chars;

/// The most often that RE2 repeats, all repetitions around it counted.
const REPETITIONS: u64 = 1_000;

/// Size of what is one of many characters, which are encoded in one to four bytes.
const MANY: u64 = 8;

/// Flags of a group.
const FLAGS: [char; 4] = ['i', 'm', 's', 'U'];

/// A pattern of the engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) pattern: String,
    /// About how many steps a character of a text can take at worst.
    pub(super) size: u64,
    /// Classes of most of Unicode that are compared without regard to case, which takes long to compile.
    pub(super) folded: u64,
}

/// What is known of a part of the pattern.
#[derive(Clone, Copy, Default)]
struct Part {
    size: u64,
    /// How often what is repeated most in it is repeated; 1 where nothing is.
    times: u64,
}

impl Part {
    fn of(size: u64) -> Self {
        Self { size, times: 1 }
    }

    fn and(self, next: Self) -> Self {
        Self { size: self.size.saturating_add(next.size), times: self.times.max(next.times) }
    }
}

struct Translation<'p> {
    rest: Chars<'p>,
    out: String,
    /// What is before each open group, in the group around it.
    around: Vec<Part>,
    /// What is before the last atom, in the innermost open group.
    before: Part,
    /// What a repetition repeats.
    last: Part,
    is_repeated: bool,
    has_fold: bool,
    wide: u64,
}

/// The pattern of RE2 as one of the engine.
///
/// # Errors
/// RE2 refuses it, or the engine has nothing like it. Some mistakes are left for the engine to find.
pub(super) fn translate(pattern: &str) -> Result<Translated, String> {
    let mut translation = Translation {
        rest: pattern.chars(),
        out: String::with_capacity(pattern.len() + 16),
        around: Vec::new(),
        before: Part::default(),
        last: Part::default(),
        is_repeated: false,
        has_fold: false,
        wide: 0,
    };
    while let Some(c) = translation.rest.next() {
        translation.step(c)?;
    }
    let Translation { out, around, before, last, has_fold, wide, .. } = translation;
    let whole = around.into_iter().fold(before.and(last), Part::and);
    Ok(Translated { pattern: out, size: whole.size, folded: if has_fold { wide } else { 0 } })
}

impl Translation<'_> {
    fn step(&mut self, c: char) -> Result<(), String> {
        let was_repeated = std::mem::take(&mut self.is_repeated);
        match c {
            '\\' => self.escape(),
            '[' => self.class(),
            '(' => self.group(),
            ')' => {
                self.close();
                Ok(())
            }
            '|' => {
                self.out.push('|');
                self.before = self.before.and(self.last);
                self.last = Part::default();
                Ok(())
            }
            '*' | '+' | '?' => {
                self.out.push(c);
                self.repeat(1, was_repeated)
            }
            '{' => self.counted(was_repeated),
            '.' => {
                self.atom(".", MANY);
                Ok(())
            }
            '^' | '$' => {
                self.atom(c.encode_utf8(&mut [0; 4]), 1);
                Ok(())
            }
            _ => {
                self.character(c);
                Ok(())
            }
        }
    }

    /// What follows, without the bytes that were read.
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.as_str().get(bytes..).unwrap_or_default().chars();
    }

    /// Whether a character is next, which is read then.
    fn next_is(&mut self, wanted: char) -> bool {
        let found = self.rest.as_str().starts_with(wanted);
        if found {
            self.skip(wanted.len_utf8());
        }
        found
    }

    fn atom(&mut self, text: &str, size: u64) {
        self.out.push_str(text);
        self.before = self.before.and(self.last);
        self.last = Part::of(size);
    }

    fn character(&mut self, c: char) {
        self.atom(&regex::escape(c.encode_utf8(&mut [0; 4])), 1);
    }

    /// `(`, and what may follow a question mark there: flags, a name.
    fn group(&mut self) -> Result<(), String> {
        let Some(rest) = self.rest.as_str().strip_prefix('?') else {
            self.open("(");
            return Ok(());
        };
        let unknown = || {
            "the regular expression has a group that RE2 does not know; there are (?:…), (?P<name>…) and the flags i, m, s and U".to_owned()
        };
        if let Some(named) = rest.strip_prefix("P<").or_else(|| rest.strip_prefix('<')) {
            let (name, after) = named.split_once('>').ok_or_else(unknown)?;
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(unknown());
            }
            self.rest = after.chars();
            self.open("(?:");
            return Ok(());
        }
        let length = rest.find([':', ')']).ok_or_else(unknown)?;
        let (flags, after) = rest.split_at(length);
        let (on, off) = flags.split_once('-').map_or((flags, None), |(on, off)| (on, Some(off)));
        let known = |flags: &str| flags.chars().all(|flag| FLAGS.contains(&flag));
        if !known(on) || off.is_some_and(|off| off.is_empty() || !known(off)) {
            return Err(unknown());
        }
        self.has_fold |= on.contains('i');
        let ends = after.starts_with(')');
        let flags = each_once(on, off.unwrap_or_default());
        self.skip(1 + length + 1);
        match (ends, flags.is_empty()) {
            (true, true) => {}
            (true, false) => self.atom(&format!("(?{flags})"), 0),
            (false, _) => self.open(&format!("(?{flags}:")),
        }
        Ok(())
    }

    fn open(&mut self, text: &str) {
        self.out.push_str(text);
        self.around.push(self.before.and(self.last));
        (self.before, self.last) = (Part::default(), Part::default());
    }

    /// What was in a group is one atom. Where none is open, the engine says so.
    fn close(&mut self) {
        self.out.push(')');
        self.last = self.before.and(self.last);
        self.last.times = self.last.times.max(1);
        self.before = self.around.pop().unwrap_or_default();
    }

    /// The last atom is repeated; a question mark makes it as seldom as possible.
    fn repeat(&mut self, times: u64, was_repeated: bool) -> Result<(), String> {
        if self.next_is('?') {
            self.out.push('?');
        }
        if was_repeated {
            return Err("the regular expression repeats a repetition; put what is repeated in a group".to_owned());
        }
        self.is_repeated = true;
        self.last.times = self.last.times.saturating_mul(times);
        self.last.size = self.last.size.saturating_mul(times.max(1)).saturating_add(1);
        if self.last.times > REPETITIONS {
            return Err(format!("the regular expression repeats more than {REPETITIONS} times"));
        }
        Ok(())
    }

    /// `{2}`, `{2,}`, `{2,3}`; other braces are text.
    fn counted(&mut self, was_repeated: bool) -> Result<(), String> {
        let Some((least, most, length)) = bounds(self.rest.as_str()) else {
            self.character('{');
            return Ok(());
        };
        let text = self.rest.as_str().get(..length).unwrap_or_default();
        self.out.push('{');
        self.out.push_str(text);
        self.skip(length);
        if least > REPETITIONS || most.is_some_and(|most| most > REPETITIONS) {
            return Err(format!("the regular expression repeats more than {REPETITIONS} times"));
        }
        self.repeat(most.unwrap_or(least), was_repeated)
    }
}

/// Flags as the engine takes them: each once, and those that are turned off last.
fn each_once(on: &str, off: &str) -> String {
    let on: String = FLAGS.iter().filter(|flag| on.contains(**flag) && !off.contains(**flag)).collect();
    let off: String = FLAGS.iter().filter(|flag| off.contains(**flag)).collect();
    if off.is_empty() { on } else { format!("{on}-{off}") }
}

/// The least and the most repetitions, and the bytes that say so, after an open brace.
fn bounds(rest: &str) -> Option<(u64, Option<u64>, usize)> {
    let (text, _) = rest.split_once('}')?;
    let (least, most) = match text.split_once(',') {
        None => (number(text)?, Some(number(text)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    Some((least, most, text.len() + 1))
}

/// A number without zeros before it; the largest where it is larger.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(pattern: &str) -> u64 {
        translate(pattern).unwrap().size
    }

    #[test]
    fn a_repetition_is_as_large_as_what_it_writes_out() {
        assert_eq!(size("abc"), 3);
        assert!(size("(?:a|b){900}c") > 1_800 && size("(?:a|b)*c") < 10);
        assert!(size("((ab){10}){10}") > 200);
    }

    #[test]
    fn large_classes_without_regard_to_case_are_counted() {
        let folded = |pattern: &str| translate(pattern).unwrap().folded;
        assert_eq!(folded(r"(?i)[\W][^\D]\pL[a-z]"), 3);
        assert_eq!(folded(r"(?i:[\x{80}-\x{10FFFF}])x"), 1);
        assert_eq!(folded(r"[\W]\pL"), 0);
    }

    #[test]
    fn a_name_of_a_group_is_dropped() {
        assert_eq!(translate("(?ii)(?s-s:a)(?)").unwrap().pattern, "(?i)(?-s:a)");
        assert_eq!(translate("(?P<1st>a)(?<b>c)(?i:d)(?-s)").unwrap().pattern, "(?:a)(?:c)(?i:d)(?-s)");
    }
}
