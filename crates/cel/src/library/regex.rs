//! Regular expressions: of RE2's syntax, by an engine whose time grows with the text, never with what it could be split into.
//!
//! A pattern is rewritten where the engine reads it otherwise than RE2: `\d`, `\w`, `\s` and `\b` are of ASCII, `[`, `&&`, `--` and `~~` in a class
//! are what they look like, flags and escapes that RE2 has not are refused. A compiled pattern has a bound of memory. Patterns that stand in the
//! expression are compiled with it; others when they first come, and the last of them are kept.

use super::{Call, Evaluated, Overload, Ty, global, member};
use crate::{Budget, EvaluationError, Value};
use regex::{Regex, RegexBuilder};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

const S: Ty = Ty::String;

pub(super) const OVERLOADS: &[Overload] = &[
    member(0, "matches", &[S, S], Ty::Bool, matches),
    global(0, "matches", &[S, S], Ty::Bool, matches),
    member(0, "find", &[S, S], S, find),
    member(0, "findAll", &[S, S], Ty::List(&S), find_all),
    member(0, "findAll", &[S, S, Ty::Int], Ty::List(&S), find_all),
];

/// Bytes that a compiled pattern may take.
const COMPILED_BYTES: usize = 1 << 20;

/// Characters of a pattern.
const PATTERN_BYTES: usize = 4_096;

/// The most often that RE2 repeats.
const REPETITIONS: u32 = 1_000;

/// Units that compiling costs, beside those for the length of the pattern.
const COMPILING: u64 = 100;

/// Patterns that came with requests and are kept.
const KEPT: usize = 32;

/// The compiled patterns of a program. A copy of one would begin without the memory that it searches with: they are shared.
#[derive(Debug, Default)]
pub(crate) struct Regexes {
    constant: BTreeMap<String, Arc<Regex>>,
    /// The latest first.
    recent: Mutex<VecDeque<(String, Arc<Regex>)>>,
}

impl Regexes {
    /// Compiles a pattern that stands in the expression.
    pub(crate) fn add(&mut self, pattern: &str) -> Result<(), String> {
        if !self.constant.contains_key(pattern) {
            self.constant.insert(pattern.to_owned(), Arc::new(compile(pattern)?));
        }
        Ok(())
    }

    fn get(&self, pattern: &str, budget: &mut Budget) -> Result<Arc<Regex>, EvaluationError> {
        if let Some(regex) = self.constant.get(pattern) {
            return Ok(regex.clone());
        }
        if let Some(regex) = self.recent(pattern) {
            return Ok(regex);
        }
        budget.charge(COMPILING)?;
        budget.look_at_clock()?;
        let regex = Arc::new(compile(pattern).map_err(EvaluationError::fault)?);
        if let Ok(mut recent) = self.recent.lock() {
            recent.push_front((pattern.to_owned(), regex.clone()));
            recent.truncate(KEPT);
        }
        Ok(regex)
    }
}

impl Regexes {
    /// A pattern that came lately, which is the latest from now on.
    fn recent(&self, pattern: &str) -> Option<Arc<Regex>> {
        let mut recent = self.recent.lock().ok()?;
        let at = recent.iter().position(|(known, _)| known == pattern)?;
        let found = recent.remove(at)?;
        let regex = found.1.clone();
        recent.push_front(found);
        Some(regex)
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES {
        return Err(format!("the regular expression has more than {PATTERN_BYTES} bytes"));
    }
    let translated = translate(pattern)?;
    RegexBuilder::new(&translated)
        .size_limit(COMPILED_BYTES)
        .dfa_size_limit(COMPILED_BYTES)
        .nest_limit(100)
        .build()
        .map_err(|error| format!("the regular expression {pattern:?} cannot be read: {}", last_line(&error.to_string())))
}

fn last_line(message: &str) -> &str {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

/// The pattern of RE2 as one of the engine.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    let mut class_begins = false;
    while let Some(c) = chars.next() {
        let begins = std::mem::take(&mut class_begins);
        match c {
            '\\' => escape(&mut chars, in_class, &mut out)?,
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
                class_begins = true;
            }
            '[' if chars.peek() == Some(&':') => {
                // A class by name, which ends with ":]".
                out.push('[');
                copy_through(&mut chars, ']', &mut out);
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && (begins || chars.peek() == Some(&'-')) => out.push_str("\\-"),
            '(' if !in_class && chars.peek() == Some(&'?') => group(&mut chars, &mut out)?,
            '{' if !in_class => repetition(&mut chars, &mut out)?,
            _ => out.push(c),
        }
    }
    Ok(out)
}

type Chars<'c> = std::iter::Peekable<std::str::Chars<'c>>;

/// What comes, as it is, up to and with a character.
fn copy_through(chars: &mut Chars<'_>, last: char, out: &mut String) {
    for c in chars.by_ref() {
        out.push(c);
        if c == last {
            break;
        }
    }
}

fn escape(chars: &mut Chars<'_>, in_class: bool, out: &mut String) -> Result<(), String> {
    let letter = chars.next().ok_or("the regular expression ends with a backslash")?;
    let translated = match (letter, in_class) {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('D', _) => "[^0-9]",
        ('w', false) => "[0-9A-Za-z_]",
        ('w', true) => "0-9A-Za-z_",
        ('W', _) => "[^0-9A-Za-z_]",
        ('s', false) => "[\\t\\n\\x0C\\r ]",
        ('s', true) => "\\t\\n\\x0C\\r ",
        ('S', _) => "[^\\t\\n\\x0C\\r ]",
        ('b', false) => "(?-u:\\b)",
        ('B', false) => "(?-u:\\B)",
        ('Q', false) => {
            let rest: String = chars.clone().collect();
            let (text, used) = rest.split_once("\\E").map_or((rest.as_str(), 0), |(text, _)| (text, 2));
            out.push_str(&regex::escape(text));
            chars.by_ref().take(text.chars().count() + used).for_each(drop);
            return Ok(());
        }
        ('A' | 'z', false) | ('a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P', _) => {
            out.push('\\');
            out.push(letter);
            if matches!(letter, 'p' | 'P' | 'x') && chars.peek() == Some(&'{') {
                copy_through(chars, '}', out);
            }
            return Ok(());
        }
        _ if letter.is_ascii_alphanumeric() => return Err(format!("the regular expression has \\{letter}, which RE2 does not know")),
        _ => {
            out.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
            return Ok(());
        }
    };
    out.push_str(translated);
    Ok(())
}

/// What may follow `(?`: flags, a name.
fn group(chars: &mut Chars<'_>, out: &mut String) -> Result<(), String> {
    let rest: String = chars.clone().skip(1).collect();
    let named = rest.starts_with("P<") || (rest.starts_with('<') && !rest.starts_with("<=") && !rest.starts_with("<!"));
    let flags = rest.trim_start_matches(['i', 'm', 's', 'U', '-']);
    if named || flags.starts_with([':', ')']) {
        out.push('(');
        return Ok(());
    }
    Err("the regular expression has a group that RE2 does not know; there are (?:…), (?P<name>…) and the flags i, m, s and U".to_owned())
}

/// `{2}`, `{2,}`, `{2,3}`; other braces are text.
fn repetition(chars: &mut Chars<'_>, out: &mut String) -> Result<(), String> {
    let rest: String = chars.clone().take_while(|c| *c != '}').take(16).collect();
    let closed = chars.clone().nth(rest.chars().count()) == Some('}');
    let (low, high) = rest.split_once(',').unwrap_or((&rest, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !closed || low.is_empty() || !is_number(low) || !is_number(high) {
        out.push_str("\\{");
        return Ok(());
    }
    if [low, high].iter().any(|text| !text.is_empty() && text.parse::<u32>().map_or(true, |times| times > REPETITIONS)) {
        return Err(format!("the regular expression repeats more than {REPETITIONS} times"));
    }
    out.push('{');
    Ok(())
}

/// What searching costs: a tenth of the text times a quarter of the pattern, as in Kubernetes.
fn prepare(call: &mut Call<'_, '_>) -> Result<Arc<Regex>, EvaluationError> {
    let (text, pattern) = (call.text(0), call.text(1));
    let units = (1 + text.len() as u64).div_ceil(10).saturating_mul((pattern.len() as u64).div_ceil(4));
    call.budget.charge(units)?;
    call.regexes.get(&pattern, call.budget)
}

fn matches<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let regex = prepare(call)?;
    Ok(Value::Bool(regex.is_match(&call.text(0))))
}

fn find<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let regex = prepare(call)?;
    let text = call.text(0);
    Ok(Value::string(regex.find(&text).map_or("", |found| found.as_str())))
}

fn find_all<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let regex = prepare(call)?;
    let text = call.text(0);
    let limit = if call.arguments.len() > 2 { usize::try_from(call.int(2)).unwrap_or(usize::MAX) } else { usize::MAX };
    let mut found = Vec::new();
    for part in regex.find_iter(&text).take(limit) {
        call.budget.charge(1)?;
        found.push(Value::string(part.as_str()));
    }
    Ok(Value::list(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, text: &str) -> bool {
        compile(pattern).unwrap().is_match(text)
    }

    #[test]
    fn classes_are_of_ascii() {
        assert!(!is_match(r"^\d$", "٣") && is_match(r"^\d$", "3"));
        assert!(!is_match(r"^\w$", "é") && is_match(r"^[^\W]$", "e"));
        assert!(!is_match(r"^[\d\s]$", "\u{a0}"));
        assert!(is_match(r"a\b", "aé"));
    }

    #[test]
    fn what_only_the_engine_knows_is_text_or_refused() {
        assert!(is_match("^[a&&b]$", "&") && is_match("^[[a]$", "[") && is_match("^[a--]$", "-"));
        assert!(is_match("^[]a]$", "]") && is_match("^[^]a]$", "b"));
        assert!(is_match("^a{,2}$", "a{,2}") && is_match("^{$", "{"));
        assert!(is_match(r"^\Qa.b\Ec$", "a.bc"));
        for pattern in [r"\1", "(?x)a", "(?=a)", r"\h", "a{1001}", "(", "[b-a]", "\\", "(?<!a)b"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_explode_are_refused() {
        assert!(compile("((a{100}){100}){100}").is_err());
        assert!(compile(&"a".repeat(5_000)).is_err());
        assert!(compile(&"(".repeat(2_000)).is_err());
    }

    #[test]
    fn the_latest_patterns_are_kept() {
        let regexes = Regexes::default();
        let mut budget = Budget::of(1_000_000, 1_000_000);
        for index in 0..100 {
            regexes.get(&format!("a{index}"), &mut budget).unwrap();
        }
        let left = budget.left();
        regexes.get("a99", &mut budget).unwrap();
        regexes.get("a68", &mut budget).unwrap();
        assert_eq!(budget.left(), left);
        regexes.get("a1", &mut budget).unwrap();
        assert!(budget.left() < left);
    }
}
