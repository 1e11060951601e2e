//! The answers of Kubernetes' own library to the expressions in `kubernetes/expressions.txt`, recorded by the program in `kubernetes/recorder`.
//!
//! A value must be the same value. What Kubernetes refuses must be refused when it is compiled. Where Kubernetes ends with an error, there must be no
//! value: constants that no request makes right are refused here earlier. What differs is listed with its reason, and is no longer listed once it
//! does not differ.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

use portcullis_cel::{Bindings, Budget, Environment, Expected, OpaqueValue, Program, Type, Value};
use serde_json::{Value as Json, json};
use std::{fs, path::Path};

/// Expressions that have another answer here, and why.
const DIFFER: &[(&str, &str)] = &[
    ("string(timestamp('2009-02-13T23:31:30.5+01:00'))", "a timestamp keeps no time zone: it is written in UTC"),
    ("timestamp('2024-01-01T00:00:00,5Z')", "RFC 3339 has no comma before decimals, which Go reads all the same"),
    ("[dyn(1), dyn('a')].min()", "what has no order is an error, and not the first of it"),
    ("quantity('1e40').compareTo(quantity('1e39'))", "a quantity beyond 1.7 × 10²⁹ is that number"),
    ("{1.0: 2}", "a key that is a double is refused, as the specification has it"),
];

/// What becomes of an expression here.
#[derive(Debug)]
#[allow(dead_code, reason = "shown where an answer is not as it should be")]
enum Answer {
    Refused(String),
    Error(String),
    /// With what it cost.
    Value(Json, u64),
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubernetes").join(name)).unwrap()
}

fn answers() -> Vec<Json> {
    read("answers.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Text and bools as themselves, all else as `{TYPE: VALUE}`: as the recorder does it.
fn show(value: &Value<'_>) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::String(text) => json!(&**text),
        Value::Null => json!({"null": true}),
        Value::Int(value) => json!({"int": value.to_string()}),
        Value::Uint(value) => json!({"uint": value.to_string()}),
        Value::Double(value) => json!({"double": value}),
        Value::Bytes(bytes) => json!({"bytes": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()}),
        Value::Timestamp(value) => json!({"time": value.to_string()}),
        Value::Duration(value) => json!({"time": value.to_string()}),
        Value::Type(value) => json!({"type": value.name()}),
        Value::Optional(value) => json!({"optional": value.as_deref().map(show)}),
        Value::List(list) => json!({"list": list.iter().map(|element| show(&element)).collect::<Vec<_>>()}),
        Value::Map(map) => {
            let key = |key: &Value<'_>| match show(key) {
                Json::String(text) => text,
                Json::Bool(value) => value.to_string(),
                other => other.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned(),
            };
            json!({"map": map.iter().map(|(name, value)| (key(&name), show(&value))).collect::<serde_json::Map<_, _>>()})
        }
        Value::Opaque(value) => json!({"other": match **value {
            OpaqueValue::Ip(_) => "net.IP",
            OpaqueValue::Cidr(_) => "net.CIDR",
            _ => "of Kubernetes",
        }}),
    }
}

/// Doubles as numbers, whatever they were written as.
fn numbers(mut recorded: Json) -> Json {
    match &mut recorded {
        Json::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                *value = match (name.as_str(), value.as_str()) {
                    ("double", Some(text)) => json!(text.parse::<f64>().unwrap()),
                    _ => numbers(value.take()),
                };
            }
        }
        Json::Array(elements) => elements.iter_mut().for_each(|element| *element = numbers(element.take())),
        _ => {}
    }
    recorded
}

fn ours(expression: &str, object: &Json) -> Answer {
    let mut environment = Environment::new();
    environment.declare("object", Type::Dyn);
    let program = match Program::compile(expression, &environment, Expected::Anything) {
        Ok(program) => program,
        Err(problems) => return Answer::Refused(problems[0].to_string()),
    };
    let mut bindings = Bindings::new();
    bindings.bind("object", object);
    let mut budget = Budget::of(1_000_000, 1_000_000);
    match program.evaluate(&bindings, &mut budget) {
        Ok(value) => Answer::Value(show(&value), 1_000_000 - budget.left()),
        Err(error) => Answer::Error(error.to_string()),
    }
}

#[test]
fn expressions_have_the_answers_of_kubernetes() {
    let object: Json = serde_json::from_str(&read("object.json")).unwrap();
    let mut wrong = Vec::new();
    for answer in answers() {
        let expression = answer["expression"].as_str().unwrap();
        let found = ours(expression, &object);
        let same = match (&answer.get("value"), &found) {
            (Some(value), Answer::Value(found, _)) => numbers((*value).clone()) == *found,
            (None, Answer::Error(_)) => answer.get("error").is_some(),
            (None, Answer::Refused(_)) => true,
            _ => false,
        };
        let differs = DIFFER.iter().any(|(known, _)| *known == expression);
        if same == differs {
            wrong.push(format!("{expression}\n    here: {found:?}\n    Kubernetes: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{} answers are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_expression_is_recorded() {
    let recorded: Vec<_> = answers().iter().map(|answer| answer["expression"].as_str().unwrap().to_owned()).collect();
    let expressions: Vec<_> =
        read("expressions.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect();
    assert_eq!(recorded, expressions, "run the recorder again");
    assert!(DIFFER.iter().all(|(expression, _)| expressions.iter().any(|known| known == expression)));
}

#[test]
fn expressions_cost_about_what_they_cost_in_kubernetes() {
    let object: Json = serde_json::from_str(&read("object.json")).unwrap();
    for answer in answers() {
        let expression = answer["expression"].as_str().unwrap();
        let (Some(cost), Answer::Value(_, units)) = (answer.get("cost").and_then(Json::as_u64), ours(expression, &object)) else {
            continue;
        };
        // What Kubernetes charges for the size of its own regular expressions is not charged where there are none.
        if cost < 5 || expression.contains("format") {
            continue;
        }
        assert!(units <= 3 * cost && cost <= 4 * units, "{expression} costs {units}, and {cost} in Kubernetes");
    }
}
