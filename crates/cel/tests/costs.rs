//! What is made and what is walked over is paid for, and errors do not repeat the request.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use portcullis_cel::{Bindings, Budget, Environment, EvaluationError, Expected, Program};
use serde_json::{Value as Json, json};

const UNITS: u64 = 10_000_000;

/// What an expression about an object costs, or the error that it ends with.
fn cost(expression: &str, object: &Json) -> Result<u64, EvaluationError> {
    let program = Program::compile(expression, &Environment::admission(), Expected::Anything).unwrap();
    let mut bindings = Bindings::new();
    bindings.bind("object", object);
    let mut budget = Budget::of(UNITS, UNITS);
    program.evaluate(&bindings, &mut budget)?;
    Ok(UNITS - budget.left())
}

fn long() -> Json {
    json!({"text": "a".repeat(100_000), "url": format!("https://{}/", "a".repeat(100_000)), "version": format!("1.0.0-{}", "a".repeat(1_000))})
}

#[test]
fn the_memory_of_values_is_paid_for() {
    for (expression, least) in [
        (format!("lists.range(10).map(x, b'{}')", "a".repeat(1_000)), 1_000),
        ("url(object.url).getHost()".to_owned(), 20_000),
        ("semver(object.version)".to_owned(), 100),
        ("isSemver(object.version)".to_owned(), 100),
        ("'%s'.format([[1e300, 1e300, 1e300]])".to_owned(), 160),
    ] {
        let units = cost(&expression, &long()).unwrap();
        assert!(units >= least, "{expression} costs {units}");
    }
}

#[test]
fn comparing_text_is_paid_for_by_its_length() {
    for expression in ["isSorted()", "min()", "max()", "sort()"] {
        let units = cost(&format!("[object.text, object.text].{expression}"), &long()).unwrap();
        assert!(units >= 10_000, "{expression} costs {units}");
    }
    assert!(cost("bytes(object.text) < bytes(object.text)", &long()).unwrap() >= 30_000);
}

#[test]
fn a_place_in_a_text_is_found_for_the_length_of_both() {
    for expression in ["object.text.indexOf(object.text + 'b')", "object.text.lastIndexOf(object.text + 'b')"] {
        let units = cost(expression, &long()).unwrap();
        assert!((20_000..50_000).contains(&units), "{expression} costs {units}");
    }
}

#[test]
fn a_pattern_of_the_request_is_paid_for_by_what_it_takes_to_compile_and_to_search() {
    let classes = format!("(?i){}", r"[\W]".repeat(10));
    assert!(cost("'a'.matches(object)", &json!(classes)).unwrap() > 100_000);
    assert!(cost("object.matches('(?:a|b)*a(?:a|b){900}c')", &json!("ab".repeat(5_000))).unwrap() > 200_000);
}

#[test]
fn an_error_repeats_no_more_than_the_beginning_of_a_text() {
    for function in ["ip", "cidr", "quantity", "semver", "url", "ip.isCanonical"] {
        let error = cost(&format!("{function}(object.text)"), &long()).unwrap_err();
        assert!(error.to_string().len() < 300, "{function}: {} bytes", error.to_string().len());
    }
    assert!(cost("cidr('10.0.0.0/8').containsIP(object.text)", &long()).unwrap_err().to_string().len() < 300);
    let pattern = format!("({}", "a".repeat(4_000));
    assert!(cost("'a'.matches(object)", &json!(pattern)).unwrap_err().to_string().len() < 300);
}
