//! Any text compiles or is refused, and what compiles gives a value or an error within its budget, about any object.
//!
//! `cargo +nightly fuzz run evaluate`, in `crates/cel`. The input is an expression, a zero byte, and the JSON that it is about; without the latter,
//! it is about a small object. The words of the language are in `fuzz/words.dict`: add `-- -dict=fuzz/words.dict`. The expressions that Kubernetes was asked
//! about are good seeds:
//!
//! ```text
//! mkdir -p fuzz/corpus/evaluate
//! grep -v '^#' tests/kubernetes/expressions.txt | split -l 1 -a 4 - fuzz/corpus/evaluate/seed-
//! ```

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_cel::{Bindings, Budget, Environment, Expected, Program};
use serde_json::json;

const UNITS: u64 = 20_000;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let (source, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(source) = std::str::from_utf8(source) else { return };
    let object = serde_json::from_slice(rest).unwrap_or_else(|_| {
        json!({"metadata": {"name": "web", "labels": {"a": "b"}}, "spec": {"x": [1, 2.5, null, "a"], "containers": [{"name": "a", "image": "i"}]}})
    });
    let Ok(program) = Program::compile(source, &Environment::admission(), Expected::Anything) else { return };
    let run = || {
        let mut bindings = Bindings::new();
        bindings.bind("object", &object).bind("params", &object);
        let mut budget = Budget::of(UNITS, UNITS);
        let value = program.evaluate(&bindings, &mut budget);
        (format!("{value:?}"), budget.left())
    };
    let (first, left) = run();
    assert!(left <= UNITS);
    // The second time costs no more: patterns that came with the request are compiled already.
    let (second, left_again) = run();
    assert!(first == second || left == 0 || left_again > left);
});
