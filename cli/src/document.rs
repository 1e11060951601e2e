//! YAML and JSON as they are written: values, and the line of each.
//!
//! YAML is read as `kubectl` reads it: `yes` and `on` are booleans, `<<` merges, several documents in a file are fine, empty ones do not count. A key
//! that is there twice is an error, though the API server would take the last: what is judged must not depend on who reads it.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use portcullis_admission::{FieldPath, Segment};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{Options, Spanned};
use thiserror::Error;

/// Nesting, so that a hostile file is an error and not a stack overflow. No manifest comes near.
const MAX_DEPTH: usize = 128;
/// Values in one file: enough for every chart there is.
const MAX_NODES: usize = 5_000_000;
/// Documents in one file.
const MAX_DOCUMENTS: usize = 100_000;

/// A text is not YAML, or not JSON.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ParseError(String);

/// One document of a text.
#[derive(Debug)]
pub struct Document {
    /// Its value.
    pub value: Value,
    /// The lines of its parts.
    pub lines: Lines,
}

/// The line, from 1, of a value and of those in it; 0 where it is not known.
#[derive(Debug)]
pub struct Lines {
    line: u64,
    parts: Parts,
}

#[derive(Debug)]
enum Parts {
    None,
    List(Vec<Lines>),
    Map(Vec<(String, Lines)>),
}

impl Lines {
    /// Those of a value that was not written in a file.
    pub(crate) const UNKNOWN: Self = Self { line: 0, parts: Parts::None };

    /// The line of the field at `path`, or of the innermost field on the way to it that is there.
    pub fn of(&self, path: &FieldPath) -> Option<u64> {
        let mut place = self;
        for segment in path.segments() {
            let Some(next) = place.part(segment) else { break };
            place = next;
        }
        (place.line > 0).then_some(place.line)
    }

    /// The lines of one part.
    pub fn part(&self, segment: &Segment) -> Option<&Self> {
        match (&self.parts, segment) {
            (Parts::List(list), Segment::Index(index)) => list.get(*index),
            (Parts::Map(map), Segment::Field(name)) => map.iter().find(|(key, _)| key == name).map(|(_, lines)| lines),
            (Parts::Map(map), Segment::Key(name)) => map.iter().find(|(key, _)| key == name).map(|(_, lines)| lines),
            _ => None,
        }
    }
}

/// Reads all documents of a text.
///
/// # Errors
/// The text is neither YAML nor JSON.
pub fn parse(text: &str) -> Result<Vec<Document>, ParseError> {
    let budget = serde_saphyr::budget! {
        max_depth: MAX_DEPTH,
        max_nodes: MAX_NODES,
        max_events: MAX_NODES.saturating_mul(2),
        max_documents: MAX_DOCUMENTS,
    };
    let options: Options = serde_saphyr::options! { budget: budget };
    let nodes: Result<Vec<Spanned<Node<Spanned<String>>>>, _> = serde_saphyr::from_multiple_with_options(text, options);
    match nodes {
        Ok(nodes) => Ok(nodes.into_iter().map(document).collect()),
        // Nearly all JSON is YAML. What is not, such as a tab before a key, is JSON all the same, only without lines.
        Err(error) => parse_json(text).ok_or_else(|| ParseError(error.without_snippet().to_string())),
    }
}

fn parse_json(text: &str) -> Option<Vec<Document>> {
    let nodes: Result<Vec<Spanned<Node<String>>>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    nodes.ok().map(|nodes| nodes.into_iter().map(document).collect())
}

fn document<K: Key>(node: Spanned<Node<K>>) -> Document {
    let (value, lines) = split(node.referenced.line(), node.value);
    Document { value, lines }
}

/// A value with the places of its parts.
enum Node<K> {
    Scalar(Value),
    List(Vec<Spanned<Self>>),
    Map(Vec<(K, Spanned<Self>)>),
}

/// A key, and its line if the format tells.
trait Key {
    fn text(&self) -> &str;
    fn line(&self) -> u64;
}

impl Key for Spanned<String> {
    fn text(&self) -> &str {
        &self.value
    }

    fn line(&self) -> u64 {
        self.referenced.line()
    }
}

impl Key for String {
    fn text(&self) -> &str {
        self
    }

    fn line(&self) -> u64 {
        0
    }
}

/// Splits a node into the value and its lines. A field's line is its key's, an element's its own.
fn split<K: Key>(line: u64, node: Node<K>) -> (Value, Lines) {
    match node {
        Node::Scalar(value) => (value, Lines { line, parts: Parts::None }),
        Node::List(nodes) => {
            let (values, lines): (Vec<Value>, Vec<Lines>) = nodes.into_iter().map(|node| split(node.referenced.line(), node.value)).unzip();
            (Value::Array(values), Lines { line, parts: Parts::List(lines) })
        }
        Node::Map(nodes) => {
            let mut object = Map::new();
            let mut parts = Vec::with_capacity(nodes.len());
            for (key, node) in nodes {
                let (value, lines) = split(key.line(), node.value);
                object.insert(key.text().to_owned(), value);
                parts.push((key.text().to_owned(), lines));
            }
            (Value::Object(object), Lines { line, parts: Parts::Map(parts) })
        }
    }
}

impl<'de, K: Key + Deserialize<'de>> Deserialize<'de> for Node<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor(PhantomData))
    }
}

struct NodeVisitor<K>(PhantomData<K>);

impl<'de, K: Key + Deserialize<'de>> Visitor<'de> for NodeVisitor<K> {
    type Value = Node<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<K>, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<K>, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<K>, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<K>, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<K>, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node<K>, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node<K>, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node<K>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node<K>, A::Error> {
        let mut map: Vec<(K, Spanned<Node<K>>)> = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        let distinct: BTreeSet<&str> = map.iter().map(|(key, _)| key.text()).collect();
        if distinct.len() < map.len() {
            return Err(A::Error::custom("a key is there twice"));
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_several_documents_and_skips_empty_ones() {
        let documents = parse("---\n# nothing\n---\na: 1\n---\n---\nb: [x, y]\n---\n").unwrap();
        let values: Vec<&Value> = documents.iter().map(|document| &document.value).collect();
        assert_eq!(values, [&json!({"a": 1}), &json!({"b": ["x", true]})]);
    }

    #[test]
    fn reads_yaml_as_kubectl_does() {
        let documents =
            parse("base: &base {privileged: yes, number: 1}\nuse:\n  <<: *base\n  quoted: \"yes\"\n  number: 0x10\n  none: ~\n").unwrap();
        assert_eq!(
            documents[0].value,
            json!({"base": {"privileged": true, "number": 1}, "use": {"privileged": true, "quoted": "yes", "number": 16, "none": null}})
        );
    }

    #[test]
    fn knows_the_line_of_every_field_and_of_what_is_missing_that_of_its_parent() {
        let documents = parse("a: 1\n---\n# comment\nspec:\n  list:\n  - x: 1\n  - y:\n      z: 2\n").unwrap();
        let lines = &documents[1].lines;
        let list = || FieldPath::of(&["spec", "list"]);
        assert_eq!(lines.of(&FieldPath::of(&["spec"])), Some(4));
        assert_eq!(lines.of(&list().index(1)), Some(7));
        assert_eq!(lines.of(&list().index(1).fields(&["y", "z"])), Some(8));
        assert_eq!(lines.of(&list().index(0).fields(&["absent", "more"])), Some(6));
    }

    #[test]
    fn reads_json_that_is_not_yaml() {
        let documents = parse("{\n\t\"a\": [1,\n\t2]}\n{\"b\": 3}").unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[1].value, json!({"b": 3}));
    }

    #[test]
    fn refuses_what_is_ambiguous_or_no_document() {
        for text in
            ["a: 1\na: 2\n", "{\"a\": 1, \"a\": 2}", "{\n\t\"a\": 1,\n\t\"a\": 2}", "a: {{ .Values.x }}\n", "a: [1", &"[".repeat(5000)]
        {
            assert!(!parse(text).unwrap_err().to_string().is_empty(), "{text:.20}");
        }
    }
}
