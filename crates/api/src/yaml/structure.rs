//! The shape of a document, checked against the JSON schema that the types generate.
//!
//! Not a validator of JSON schemas: it knows what schemars writes for our types (`type`, `properties`, `required`, `enum`, `oneOf` of
//! constants, `items`, `additionalProperties`, `$ref`, `anyOf` with null), and takes a type with a syntax of its own to that type's parser. An object that lists
//! properties is closed, as the types are.

use super::{
    node::{Node, Value},
    problem::Problems,
};
use crate::{
    AbstractName, Capability, Cidr, InvalidValue, PathPattern, Ports, Privilege, ProgramName, SocketKind, XattrPattern, validate::FieldPath,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value as Json, json};

/// Whether a text is a value of some type.
type Syntax = fn(&str) -> Result<(), InvalidValue>;

/// The parsers of the types that have a syntax of their own, by the names of their schemas.
const SYNTAXES: [(&str, Syntax); 9] = [
    (PathPattern::SCHEMA_NAME, |text| text.parse::<PathPattern>().map(drop)),
    (Cidr::SCHEMA_NAME, |text| text.parse::<Cidr>().map(drop)),
    (Ports::SCHEMA_NAME, |text| text.parse::<Ports>().map(drop)),
    (Capability::SCHEMA_NAME, |text| text.parse::<Capability>().map(drop)),
    (SocketKind::SCHEMA_NAME, |text| text.parse::<SocketKind>().map(drop)),
    (Privilege::SCHEMA_NAME, |text| text.parse::<Privilege>().map(drop)),
    (XattrPattern::SCHEMA_NAME, |text| text.parse::<XattrPattern>().map(drop)),
    (ProgramName::SCHEMA_NAME, |text| text.parse::<ProgramName>().map(drop)),
    (AbstractName::SCHEMA_NAME, |text| text.parse::<AbstractName>().map(drop)),
];

/// The shape of a resource.
pub(super) struct Structure {
    root: Json,
    definitions: Map<String, Json>,
}

impl Structure {
    /// The shape of the resource of that version and kind, whose `spec` is an `S`.
    pub(super) fn of<S: JsonSchema>(api_version: &str, kind: &str) -> Self {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let spec = generator.subschema_for::<S>();
        let metadata = generator.subschema_for::<ObjectMeta>();
        let root = json!({
            "type": "object",
            "properties": { "apiVersion": { "enum": [api_version] }, "kind": { "enum": [kind] }, "metadata": metadata, "spec": spec },
            "required": ["apiVersion", "kind", "metadata", "spec"],
        });
        Self { root, definitions: generator.take_definitions(false) }
    }

    /// The same with a `status`, of whatever shape: what a cluster gave may be read back.
    pub(super) fn with_status(mut self) -> Self {
        if let Some(properties) = self.root.get_mut("properties").and_then(Json::as_object_mut) {
            properties.insert("status".to_owned(), json!({}));
        }
        self
    }

    /// Whether the document has this shape; its problems are noted where it has not.
    pub(super) fn check(&self, document: &Node, problems: &mut Problems<'_>) -> bool {
        let before = problems.count();
        self.value(document, &self.root, &FieldPath::default(), problems);
        problems.count() == before
    }

    fn value(&self, node: &Node, schema: &Json, path: &FieldPath, problems: &mut Problems<'_>) {
        if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
            return match SYNTAXES.iter().find(|(syntax, _)| *syntax == name) {
                Some((_, parse)) => text(node, parse, path, problems),
                None => self.value(node, self.definitions.get(name).unwrap_or(&Json::Null), path, problems),
            };
        }
        if let Some(branches) = schema["anyOf"].as_array() {
            let branch = branches.iter().find(|branch| (branch["type"] == "null") == matches!(node.value, Value::Null));
            return self.value(node, branch.or(branches.first()).unwrap_or(&Json::Null), path, problems);
        }
        let allowed = literals(schema);
        let found = if let Value::Text(found) = &node.value { Some(found.as_str()) } else { None };
        if !allowed.is_empty() && !found.is_some_and(|found| allowed.contains(&found)) {
            let names: Vec<_> = allowed.iter().map(|name| format!("`{name}`")).collect();
            let found = found.map_or_else(|| node.value.kind().to_owned(), |found| format!("`{found}`"));
            return problems.note(node, path, format!("{found} is not known here: write {}", names.join(" or ")));
        }
        if !has_type(&node.value, &schema["type"]) {
            return problems.note(
                node,
                path,
                format!("{} where {} must be: {}", node.value.kind(), wanted(&schema["type"]), way_out(&node.value)),
            );
        }
        match &node.value {
            Value::Map(_) => self.map(node, schema, path, problems),
            Value::List(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    self.value(entry, &schema["items"], &path.entry(index), problems);
                }
            }
            _ => {}
        }
    }

    fn map(&self, node: &Node, schema: &Json, path: &FieldPath, problems: &mut Problems<'_>) {
        let Value::Map(entries) = &node.value else { return };
        let properties = schema["properties"].as_object();
        for (key, value) in entries {
            let field = path.field(&key.value);
            if let Some(schema) = properties.and_then(|properties| properties.get(&key.value)) {
                self.value(value, schema, &field, problems);
            } else if schema["additionalProperties"].is_object() {
                self.value(value, &schema["additionalProperties"], &field, problems);
            } else if let Some(properties) = properties {
                let names: Vec<_> = properties.keys().map(String::as_str).collect();
                problems.note_key(key.referenced, &field, format!("unknown field: the fields here are {}", names.join(", ")));
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if !entries.iter().any(|(key, _)| key.value == name) {
                problems.note(node, &path.field(name), "missing: add it");
            }
        }
    }
}

fn text(node: &Node, parse: &Syntax, path: &FieldPath, problems: &mut Problems<'_>) {
    match &node.value {
        Value::Text(text) => {
            if let Err(error) = parse(text) {
                problems.note_inside(node, path, error);
            }
        }
        other => problems.note(node, path, format!("{} where a text must be: {}", other.kind(), way_out(other))),
    }
}

/// The only texts that a schema allows, where it lists them: `enum`, or `oneOf` with a `const` for each variant that has documentation.
fn literals(schema: &Json) -> Vec<&str> {
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    let parts = variants.chain([schema]);
    parts.flat_map(|part| part["enum"].as_array().into_iter().flatten().chain(part.get("const")).filter_map(Json::as_str)).collect()
}

/// The names that a schema's `type` has, which is one or a list of them.
fn types(wanted: &Json) -> impl Iterator<Item = &str> {
    wanted.as_str().into_iter().chain(wanted.as_array().into_iter().flatten().filter_map(Json::as_str))
}

fn has_type(value: &Value, wanted: &Json) -> bool {
    let matches = |name| match (name, value) {
        ("null", Value::Null) | ("boolean", Value::Bool(_)) | ("string", Value::Text(_)) | ("number", Value::Number(_)) => true,
        ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
        ("array", Value::List(_)) | ("object", Value::Map(_)) => true,
        _ => false,
    };
    wanted.is_null() || types(wanted).any(matches)
}

fn wanted(schema_type: &Json) -> String {
    let names = types(schema_type).filter(|name| *name != "null").map(|name| match name {
        "array" => "a list",
        "object" => "a map",
        "string" => "a text",
        "boolean" => "a boolean",
        _ => "a number",
    });
    names.collect::<Vec<_>>().join(" or ")
}

fn way_out(found: &Value) -> String {
    match found {
        Value::Null => "write a value, or leave the field out".to_owned(),
        Value::Bool(_) | Value::Number(_) => "put it in quotes if a text is meant".to_owned(),
        Value::Text(_) => "begin each entry of a list with `- `, each field of a map with its name and `: `".to_owned(),
        Value::List(_) => "write one value, without `- ` or brackets".to_owned(),
        Value::Map(_) => "write `- ` before each entry of a list; write a text by itself".to_owned(),
    }
}
