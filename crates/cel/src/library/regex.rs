//! Regular expressions: of RE2's syntax, by an engine whose time grows with the text, never with what it could be split into.
//!
//! A pattern is rewritten for the engine, as that reads some otherwise than RE2: `re2` does it. A compiled pattern has a bound of memory. Patterns
//! that stand in the expression are compiled with it; others when they first come, and the last of them are kept.

mod re2;

use super::{Call, Evaluated, Overload, Ty, global, member, shortened};
use crate::{Budget, EvaluationError, Value};
use re2::Translated;
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

/// Large classes without regard to case that a pattern may have: each takes milliseconds to compile.
const FOLDED_CLASSES: u64 = 16;

/// Units that compiling costs, beside those for the size of the pattern; and that each large class without regard to case costs.
const COMPILING: u64 = 100;
const FOLDING: u64 = 10_000;

/// Patterns that came with requests and are kept.
const KEPT: usize = 32;

/// The compiled patterns of a program. A copy of one would begin without the memory that it searches with: they are shared.
#[derive(Debug, Default)]
pub(crate) struct Regexes {
    constant: BTreeMap<String, Arc<Compiled>>,
    /// The latest first.
    recent: Mutex<VecDeque<(String, Arc<Compiled>)>>,
}

#[derive(Debug)]
struct Compiled {
    regex: Regex,
    size: u64,
}

impl Regexes {
    /// Compiles a pattern that stands in the expression.
    pub(crate) fn add(&mut self, pattern: &str) -> Result<(), String> {
        if !self.constant.contains_key(pattern) {
            self.constant.insert(pattern.to_owned(), Arc::new(compile(pattern, &translate(pattern)?)?));
        }
        Ok(())
    }

    fn get(&self, pattern: &str, budget: &mut Budget) -> Result<Arc<Compiled>, EvaluationError> {
        if let Some(regex) = self.constant.get(pattern) {
            return Ok(regex.clone());
        }
        if let Some(regex) = self.recent(pattern) {
            return Ok(regex);
        }
        let translated = translate(pattern).map_err(EvaluationError::fault)?;
        budget.charge(COMPILING.saturating_add(translated.size).saturating_add(FOLDING.saturating_mul(translated.folded)))?;
        budget.look_at_clock()?;
        let regex = Arc::new(compile(pattern, &translated).map_err(EvaluationError::fault)?);
        if let Ok(mut recent) = self.recent.lock() {
            recent.push_front((pattern.to_owned(), regex.clone()));
            recent.truncate(KEPT);
        }
        Ok(regex)
    }
}

impl Regexes {
    /// A pattern that came lately, which is the latest from now on.
    fn recent(&self, pattern: &str) -> Option<Arc<Compiled>> {
        let mut recent = self.recent.lock().ok()?;
        let at = recent.iter().position(|(known, _)| known == pattern)?;
        let found = recent.remove(at)?;
        let regex = found.1.clone();
        recent.push_front(found);
        Some(regex)
    }
}

fn translate(pattern: &str) -> Result<Translated, String> {
    if pattern.len() > PATTERN_BYTES {
        return Err(format!("the regular expression has more than {PATTERN_BYTES} bytes"));
    }
    let translated = re2::translate(pattern)?;
    if translated.folded > FOLDED_CLASSES {
        return Err(format!("the regular expression has more than {FOLDED_CLASSES} large classes without regard to case"));
    }
    Ok(translated)
}

fn compile(pattern: &str, translated: &Translated) -> Result<Compiled, String> {
    let regex =
        RegexBuilder::new(&translated.pattern).size_limit(COMPILED_BYTES).dfa_size_limit(COMPILED_BYTES).nest_limit(100).build().map_err(
            |error| format!("the regular expression {:?} cannot be read: {}", shortened(pattern), last_line(&error.to_string())),
        )?;
    Ok(Compiled { regex, size: translated.size })
}

fn last_line(message: &str) -> &str {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

/// What searching costs: a tenth of the text times a quarter of the pattern, as in Kubernetes; or of half its size where that is more, which it is
/// with large repetitions.
fn prepare(call: &mut Call<'_, '_>) -> Result<Arc<Compiled>, EvaluationError> {
    let (text, pattern) = (call.text(0), call.text(1));
    let tenths = (1 + text.len() as u64).div_ceil(10);
    let by_length = tenths.saturating_mul((pattern.len() as u64).div_ceil(4));
    call.budget.charge(by_length)?;
    let compiled = call.regexes.get(&pattern, call.budget)?;
    call.budget.charge(tenths.saturating_mul(compiled.size.div_ceil(8)).saturating_sub(by_length))?;
    Ok(compiled)
}

fn matches<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let compiled = prepare(call)?;
    Ok(Value::Bool(compiled.regex.is_match(&call.text(0))))
}

fn find<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let compiled = prepare(call)?;
    let text = call.text(0);
    Ok(Value::string(compiled.regex.find(&text).map_or("", |found| found.as_str())))
}

fn find_all<'a>(call: &mut Call<'_, 'a>) -> Evaluated<'a> {
    let compiled = prepare(call)?;
    let text = call.text(0);
    let limit = if call.arguments.len() > 2 { usize::try_from(call.int(2)).unwrap_or(usize::MAX) } else { usize::MAX };
    let mut found = Vec::new();
    for part in compiled.regex.find_iter(&text).take(limit) {
        call.budget.charge(1)?;
        found.push(Value::string(part.as_str()));
    }
    Ok(Value::list(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(pattern: &str) -> Result<Compiled, String> {
        compile(pattern, &translate(pattern)?)
    }

    fn is_match(pattern: &str, text: &str) -> bool {
        compiled(pattern).unwrap().regex.is_match(text)
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
        assert!(is_match("^[a&&b]$", "&") && is_match("^[[a]$", "[") && is_match("^[a~~]$", "~"));
        assert!(is_match("^[]a]$", "]") && is_match("^[^]a]$", "b"));
        assert!(is_match("^a{,2}$", "a{,2}") && is_match("^{$", "{"));
        assert!(is_match(r"^\Qa.b\Ec$", "a.bc"));
        for pattern in [r"\1", "(?x)a", "(?=a)", r"\h", "a{1001}", "(", "[b-a]", "\\", "(?<!a)b"] {
            assert!(compiled(pattern).is_err(), "{pattern}");
        }
    }

    /// Facts of Go's `regexp/syntax`: after a class, a hyphen is a character; a closing bracket that comes first may begin a range.
    #[test]
    fn hyphens_are_read_as_go_reads_them() {
        assert!(!is_match(r"^[\w\s-.]+$", "$(id)") && is_match(r"^[\w\s-.]+$", "a -."));
        assert!(is_match(r"^[\w-.]+$", "a-.") && is_match(r"^[\w-\.]+$", "a-.") && is_match(r"^[\d-z]$", "-"));
        assert!(is_match("^[+--]+$", "+,-") && !is_match("^[+--]$", "."));
        assert!(is_match("^[]-a]+$", "]^_`a") && !is_match("^[]-a]$", "-"));
        assert!(is_match("^[a-]$", "-") && is_match("^[-a]$", "-") && is_match("^[^-]$", "a") && !is_match("^[^-]$", "-"));
        assert!(compiled(r"[a-\d]").is_err() && compiled("[z-a]").is_err() && compiled("[[:nope:]]").is_err());
    }

    #[test]
    fn characters_are_written_as_go_writes_them() {
        assert!(is_match(r"^\012[\101]\0$", "\nA\0") && is_match(r"^\x41\x{42}[\x43]$", "ABC"));
        assert!(is_match(r"^\p{^Lu}\P{^Lu}\pN$", "aA1") && is_match(r"^[\p{Greek}[:digit:]]+$", "λ1"));
        for pattern in [r"\8", r"\x4", r"\x{}", r"\é", r"\p{sc=Greek}", r"[\b]", r"[\Qa\E]"] {
            assert!(compiled(pattern).is_err(), "{pattern}");
        }
    }

    /// As Go's `regexp/syntax` refuses them.
    #[test]
    fn repetitions_of_repetitions_are_refused() {
        for pattern in ["a**", "a+*", "a{2}{3}", "a{2}*", "a*??", "(a{100}){100}", "(a{2}){501}", "(?:(a{11}){10}){10}"] {
            assert!(compiled(pattern).is_err(), "{pattern}");
        }
        for pattern in ["(a*)*", "a*?", "a{2}?", "(a{2}){500}", "(?:a{0}){1000}", "(?:(a{10}){10}){10}"] {
            assert!(compiled(pattern).is_ok(), "{pattern}");
        }
        assert!(is_match("^a{01}$", "a{01}") && is_match("^a{1,02}$", "a{1,02}"));
    }

    #[test]
    fn searching_costs_what_the_compiled_pattern_is_worth() {
        let units = |pattern: &str| {
            let (mut budget, mut regexes) = (Budget::of(u64::MAX, u64::MAX), Regexes::default());
            regexes.add(pattern).unwrap();
            let text = Value::string("ab".repeat(5_000));
            let arguments = [text, Value::string(pattern)];
            matches(&mut Call { arguments: &arguments, budget: &mut budget, regexes: &regexes }).unwrap();
            u64::MAX - budget.left()
        };
        assert_eq!(units("(a|b)*c"), 2_002);
        assert!(units("(?:a|b)*a(?:a|b){900}c") > 200_000);
    }

    #[test]
    fn many_large_classes_without_regard_to_case_are_refused() {
        assert!(compiled(&format!("(?i){}", r"[\W]".repeat(17))).is_err());
        assert!(compiled(&r"[\W]".repeat(100)).is_ok() && compiled(&format!("(?i){}", "[^a]".repeat(100))).is_ok());
    }

    #[test]
    fn patterns_that_explode_are_refused() {
        assert!(compiled("((a{100}){100}){100}").is_err());
        assert!(compiled(&"a".repeat(5_000)).is_err());
        assert!(compiled(&"(".repeat(2_000)).is_err());
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
