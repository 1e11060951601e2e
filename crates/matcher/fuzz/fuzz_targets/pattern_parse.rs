//! Any text parses or is refused, and what parses keeps the law: a table of it matches what it matches itself.
//!
//! `cargo +nightly fuzz run pattern_parse`, in `crates/matcher`. The input is a pattern, a line break, and a path.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_matcher::{Builder, CompileError, Limits, Pattern, pattern};

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (text, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if let Ok(literal) = Pattern::literal(path) {
        assert_eq!(Pattern::parse(&pattern::escape(path)).as_ref(), Ok(&literal));
        assert!(literal.is_literal() && literal.matches(path));
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(pattern) = Pattern::parse(text) else { return };
    assert_eq!(pattern.to_string(), text);

    let mut builder = Builder::new(|a, b| a | b).limits(Limits { states: 1 << 12, slots: 1 << 18 });
    match builder.add(&pattern, 1).and_then(|builder| builder.build()) {
        Ok(table) => assert_eq!(table.accept_of(path) == 1, pattern.matches(path)),
        Err(error) => assert!(matches!(error, CompileError::TooLarge { .. })),
    }
});
