//! The vectors of the CEL specification: one expression each, and what it must give.

use crate::textproto::{Field, Message};
use portcullis_cel::{Bindings, Budget, Environment, Expected, List, Map, OpaqueValue, Program, Timestamp, Type, Value};

/// A vector, and where it is from.
pub(crate) struct Vector {
    pub(crate) file: String,
    /// Section and name.
    pub(crate) name: String,
    pub(crate) test: Message,
}

impl Vector {
    pub(crate) fn expression(&self) -> String {
        self.test.text("expr").unwrap_or_default()
    }

    /// Whether a message of protocol buffers, or an enum, is in the expression, in what is bound, or in the answer.
    pub(crate) fn needs_messages(&self) -> bool {
        const TYPES: [&str; 6] = ["TestAllTypes", "TestRequired", "GlobalEnum", "proto2.", "proto3.", "Value{"];
        let expression = self.expression();
        let written = TYPES.iter().any(|name| expression.contains(name));
        let well_known = expression.split("google.protobuf.").skip(1).any(|rest| {
            let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
            rest[name.len()..].starts_with('{') || !matches!(name.as_str(), "Timestamp" | "Duration")
        });
        let declared = self.test.messages("type_env").any(|declared| declared.contains("message_type"));
        let bound = declared || self.test.messages("bindings").any(|binding| binding.contains("object_value"));
        let container = self.test.text("container").is_some() && !expression.contains(['.', '(', '{', '[']);
        written || well_known || bound || (container && self.file != "namespace")
    }
}

/// The vectors of a file.
pub(crate) fn read(file: &str, text: &str) -> Vec<Vector> {
    let message = Message::read(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut vectors = Vec::new();
    for section in message.messages("section") {
        let section_name = section.text("name").unwrap_or_default();
        for test in section.messages("test") {
            let name = format!("{section_name}/{}", test.text("name").unwrap_or_default());
            vectors.push(Vector { file: file.to_owned(), name, test: test.clone() });
        }
    }
    vectors
}

/// Runs a vector: what is wrong with the answer.
pub(crate) fn run(vector: &Vector) -> Result<(), String> {
    let test = &vector.test;
    let mut environment = Environment::new();
    for declared in test.messages("type_env") {
        environment.declare(&declared.text("name").unwrap_or_default(), Type::Dyn);
    }
    let bound: Vec<(String, Result<Value<'static>, String>)> =
        test.messages("bindings").map(|binding| (binding.text("key").unwrap_or_default(), bound_value(binding))).collect();
    for (name, _) in &bound {
        environment.declare(name, Type::Dyn);
    }
    if test.word("disable_check") == Some("true") {
        environment = environment.unchecked();
    }
    let expects_error = test.message("eval_error").is_some();
    let program = match Program::compile(&vector.expression(), &environment, Expected::Anything) {
        Ok(program) => program,
        Err(_) if expects_error => return Ok(()),
        Err(problems) => return Err(format!("refused: {}", problems[0])),
    };
    if let Some(deduced) = test.message("typed_result").and_then(|typed| typed.message("deduced_type")) {
        let expected = type_of(deduced);
        if expected.as_ref() != Some(program.result()) {
            return Err(format!("is of type {}, not {expected:?}", program.result()));
        }
    }
    let mut bindings = Bindings::new();
    for (name, value) in &bound {
        bindings.bind_value(name, value.clone()?);
    }
    let expected = test.message("value").or_else(|| test.message("typed_result").and_then(|typed| typed.message("result")));
    if test.word("check_only") == Some("true") {
        return Ok(());
    }
    match program.evaluate(&bindings, &mut Budget::of(1_000_000, 1_000_000)) {
        Err(_) if expects_error => Ok(()),
        Err(error) => Err(format!("error: {error}")),
        Ok(value) if expects_error => Err(format!("gave {value:?}, not an error")),
        Ok(value) => match expected {
            Some(expected) => is_as(&value, expected),
            // What is not said is true.
            None => value.as_bool().filter(|value| *value).map(|_| ()).ok_or(format!("gave {value:?}, not true")),
        },
    }
}

/// A type, where there is such a one here.
fn type_of(message: &Message) -> Option<Type> {
    let inner = |field: &Field, name: &str| match field {
        Field::Message(message) => message.message(name).map_or(Some(Type::Dyn), type_of),
        _ => None,
    };
    match message.0.first().map(|(name, field)| (name.as_str(), field))? {
        ("dyn", _) => Some(Type::Dyn),
        ("null", _) => Some(Type::Null),
        ("type", _) => Some(Type::Type),
        ("primitive", Field::Word(word)) => Some(match word.as_str() {
            "BOOL" => Type::Bool,
            "INT64" => Type::Int,
            "UINT64" => Type::Uint,
            "DOUBLE" => Type::Double,
            "STRING" => Type::String,
            _ => Type::Bytes,
        }),
        ("well_known", Field::Word(word)) => Some(if word == "TIMESTAMP" { Type::Timestamp } else { Type::Duration }),
        ("list_type", field) => Some(Type::list(inner(field, "elem_type")?)),
        ("map_type", field) => Some(Type::map(inner(field, "key_type")?, inner(field, "value_type")?)),
        ("abstract_type", field) => Some(Type::optional(inner(field, "parameter_types")?)),
        _ => None,
    }
}

fn bound_value(binding: &Message) -> Result<Value<'static>, String> {
    value(binding.message("value").and_then(|value| value.message("value")).ok_or("the binding has no value")?)
}

fn value(message: &Message) -> Result<Value<'static>, String> {
    let Some((kind, field)) = message.0.first() else { return Err("an empty value".to_owned()) };
    let number = |word: &str| -> Result<f64, String> { word.parse().map_err(|_| format!("{word} is no number")) };
    Ok(match (kind.as_str(), field) {
        ("null_value", _) => Value::Null,
        ("bool_value", Field::Word(word)) => Value::Bool(word == "true"),
        ("int64_value", Field::Word(word)) => Value::Int(word.parse().map_err(|_| word.clone())?),
        ("uint64_value", Field::Word(word)) => Value::Uint(word.parse().map_err(|_| word.clone())?),
        ("double_value", Field::Word(word)) => Value::Double(number(word)?),
        ("string_value", Field::Text(bytes)) => Value::string(String::from_utf8_lossy(bytes).as_ref()),
        ("bytes_value", Field::Text(bytes)) => Value::Bytes(bytes.as_slice().into()),
        ("list_value", Field::Message(list)) => Value::list(list.messages("values").map(value).collect::<Result<Vec<_>, _>>()?),
        ("map_value", Field::Message(map)) => {
            let entry = |entry: &Message| -> Result<_, String> {
                let part = |name: &str| value(entry.message(name).ok_or("an entry lacks a part")?);
                Ok((part("key")?, part("value")?))
            };
            Value::map(map.messages("entries").map(entry).collect::<Result<Vec<_>, _>>()?).ok_or("a key is not one")?
        }
        (kind, _) => return Err(format!("values of {kind} are not supported")),
    })
}

/// What is wrong with a value that should be as `expected`.
fn is_as(found: &Value<'_>, expected: &Message) -> Result<(), String> {
    let Some((kind, field)) = expected.0.first() else { return Err("an empty value".to_owned()) };
    let holds = match (kind.as_str(), field, found) {
        ("type_value", Field::Text(name), Value::Type(found)) => found.name().as_bytes() == name.as_slice(),
        ("object_value", Field::Message(object), found) => is_well_known(found, object),
        ("list_value", Field::Message(list), Value::List(found)) => {
            let expected: Vec<_> = list.messages("values").collect();
            expected.len() == found.len() && expected.iter().zip(List::iter(found)).all(|(expected, found)| is_as(&found, expected).is_ok())
        }
        ("map_value", Field::Message(map), Value::Map(found)) => is_map(found, map)?,
        _ => is_scalar(found, &value(expected)?),
    };
    if holds { Ok(()) } else { Err(format!("gave {found:?}")) }
}

fn is_map(found: &Map<'_>, expected: &Message) -> Result<bool, String> {
    let entries: Vec<_> = expected.messages("entries").collect();
    for entry in &entries {
        let key = value(entry.message("key").ok_or("an entry lacks its key")?)?;
        let same = found.iter().any(|(found_key, found)| {
            is_scalar(&found_key, &key) && entry.message("value").is_some_and(|expected| is_as(&found, expected).is_ok())
        });
        if !same {
            return Ok(false);
        }
    }
    Ok(entries.len() == found.len())
}

/// Of the same type, and the same; what is not a number is the same as itself.
fn is_scalar(found: &Value<'_>, expected: &Value<'_>) -> bool {
    match (found, expected) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Uint(a), Value::Uint(b)) => a == b,
        (Value::Double(a), Value::Double(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::String(a), Value::String(b)) => **a == **b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        _ => false,
    }
}

/// Timestamps and durations, which are messages in the vectors.
fn is_well_known(found: &Value<'_>, object: &Message) -> bool {
    let Some((name, Field::Message(fields))) = object.0.first() else { return false };
    let number = |name: &str| fields.word(name).and_then(|word| word.parse::<i128>().ok()).unwrap_or_default();
    let nanoseconds = number("seconds") * 1_000_000_000 + number("nanos");
    match found {
        Value::Timestamp(found) if name.ends_with("google.protobuf.Timestamp") => since_1970(*found) == nanoseconds,
        Value::Duration(found) if name.ends_with("google.protobuf.Duration") => i128::from(found.nanoseconds()) == nanoseconds,
        Value::Opaque(value) => matches!(**value, OpaqueValue::Ip(_)) && name.ends_with("IP"),
        _ => false,
    }
}

fn since_1970(timestamp: Timestamp) -> i128 {
    timestamp.nanoseconds()
}
