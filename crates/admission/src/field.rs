//! Where a value is in a document, and typed reading of documents whose shape nobody has checked.
//!
//! Objects are judged as raw JSON: a typed model would drop what it does not know, and a volume of an unknown kind would look like one of no kind.
//! So reading happens here, once, and is strict: a value of the wrong type is [`Malformed`] and names its path. `null` is the same as absent, as in
//! the API server's decoder. Keys are case-sensitive. Unknown keys are nobody's business but the reader's that asks for them.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

/// One step of a [`FieldPath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A field of an object: `.name`.
    Field(Cow<'static, str>),
    /// A key of a map whose keys are data, such as annotations: `[name]`.
    Key(String),
    /// An element of a list: `[0]`.
    Index(usize),
}

/// The path of a field in an object, written as Kubernetes writes it: `spec.containers[0].securityContext`, `metadata.annotations[a/b]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The path of fields one below the other.
    pub fn of(fields: &[&'static str]) -> Self {
        Self(fields.iter().map(|field| Segment::Field(Cow::Borrowed(field))).collect())
    }

    /// The path of `name` below this one.
    #[must_use]
    pub fn field(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Segment::Field(name.into()));
        self
    }

    /// The path of fields below this one.
    #[must_use]
    pub fn fields(mut self, names: &[&'static str]) -> Self {
        self.0.extend(names.iter().map(|name| Segment::Field(Cow::Borrowed(name))));
        self
    }

    /// The path of a map's entry.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// The path of a list's element.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// The steps from the object's root.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if position == 0 => f.write_str(name)?,
                Segment::Field(name) => write!(f, ".{name}")?,
                Segment::Key(key) => write!(f, "[{key}]")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A value of a type that the field cannot have. The API server refuses such objects, so it is seen offline only.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: must be {expected}, is {found}")]
pub struct Malformed {
    /// Where.
    pub path: FieldPath,
    /// The type that the field has.
    pub expected: &'static str,
    /// The type that was found.
    pub found: &'static str,
}

/// A place in a document: the value there, if any, and how it was reached. Paths are linked on the stack and cost nothing until they are needed.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'d, 'p> {
    value: Option<&'d Value>,
    place: Place<'p>,
}

#[derive(Clone, Copy)]
enum Place<'p> {
    Root(&'p FieldPath),
    Field(&'p Place<'p>, &'static str),
    Key(&'p Place<'p>, &'p str),
    Index(&'p Place<'p>, usize),
}

impl Place<'_> {
    fn path(&self) -> FieldPath {
        match self {
            Self::Root(path) => (*path).clone(),
            Self::Field(parent, name) => parent.path().field(*name),
            Self::Key(parent, key) => parent.path().key(*key),
            Self::Index(parent, index) => parent.path().index(*index),
        }
    }
}

impl<'d, 'p> Cursor<'d, 'p> {
    /// A cursor at `value`, whose path is `path`.
    pub(crate) fn new(value: Option<&'d Value>, path: &'p FieldPath) -> Self {
        Self { value: value.filter(|value| !value.is_null()), place: Place::Root(path) }
    }

    /// The field `name` of the object here.
    pub(crate) fn field<'c>(&'c self, name: &'static str) -> Result<Cursor<'d, 'c>, Malformed> {
        let value = self.object()?.and_then(|object| object.get(name)).filter(|value| !value.is_null());
        Ok(Cursor { value, place: Place::Field(&self.place, name) })
    }

    /// The elements of the list here; none where there is no list.
    pub(crate) fn list<'c>(&'c self) -> Result<impl Iterator<Item = Cursor<'d, 'c>>, Malformed> {
        let elements: &[Value] = match self.value {
            None => &[],
            Some(Value::Array(elements)) => elements,
            Some(other) => return Err(self.malformed("a list", other)),
        };
        let here = &self.place;
        Ok(elements
            .iter()
            .enumerate()
            .map(move |(index, value)| Cursor { value: Some(value).filter(|value| !value.is_null()), place: Place::Index(here, index) }))
    }

    /// The object here.
    pub(crate) fn object(&self) -> Result<Option<&'d Map<String, Value>>, Malformed> {
        match self.value {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(other) => Err(self.malformed("an object", other)),
        }
    }

    /// The boolean here.
    pub(crate) fn boolean(&self) -> Result<Option<bool>, Malformed> {
        match self.value {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(self.malformed("a boolean", other)),
        }
    }

    /// The string here.
    pub(crate) fn string(&self) -> Result<Option<&'d str>, Malformed> {
        match self.value {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(other) => Err(self.malformed("a string", other)),
        }
    }

    /// The 64-bit integer here.
    pub(crate) fn integer(&self) -> Result<Option<i64>, Malformed> {
        match self.value {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| self.malformed("an integer", value)),
        }
    }

    /// The strings of the list here.
    pub(crate) fn strings(&self) -> Result<Vec<&'d str>, Malformed> {
        self.list()?.map(|element| Ok(element.string()?.unwrap_or_default())).collect()
    }

    /// The entries of the map from strings to strings here, in the order of their keys.
    pub(crate) fn string_map(&self) -> Result<Vec<(&'d str, &'d str)>, Malformed> {
        let Some(object) = self.object()? else { return Ok(Vec::new()) };
        let entry = |(key, value): (&'d String, &'d Value)| {
            let entry = Cursor { value: Some(value).filter(|value| !value.is_null()), place: Place::Key(&self.place, key) };
            Ok((key.as_str(), entry.string()?.unwrap_or_default()))
        };
        let mut entries: Vec<_> = object.iter().map(entry).collect::<Result<_, _>>()?;
        entries.sort_unstable();
        Ok(entries)
    }

    fn malformed(&self, expected: &'static str, found: &Value) -> Malformed {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Malformed { path: self.place.path(), expected, found }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_paths_as_kubernetes_does() {
        let path = FieldPath::of(&["spec", "containers"]).index(2).field("name");
        assert_eq!(path.to_string(), "spec.containers[2].name");
        assert_eq!(FieldPath::of(&["metadata", "annotations"]).key("a.b/c").to_string(), "metadata.annotations[a.b/c]");
        assert_eq!(FieldPath::default().to_string(), "");
    }

    #[test]
    fn names_the_path_of_a_value_of_the_wrong_type() {
        let document = json!({"a": [{"b": "yes"}]});
        let root = FieldPath::default();
        let cursor = Cursor::new(Some(&document), &root);
        let list = cursor.field("a").unwrap();
        let element = list.list().unwrap().next().unwrap();
        let error = element.field("b").unwrap().boolean().unwrap_err();
        assert_eq!(error.to_string(), "a[0].b: must be a boolean, is a string");
    }

    #[test]
    fn takes_null_for_absent() {
        let document = json!({"a": null});
        let root = FieldPath::default();
        let cursor = Cursor::new(Some(&document), &root);
        assert_eq!(cursor.field("a").unwrap().boolean().unwrap(), None);
        assert_eq!(cursor.field("a").unwrap().field("b").unwrap().string().unwrap(), None);
        assert_eq!(cursor.field("a").unwrap().list().unwrap().count(), 0);
    }

    #[test]
    fn does_not_take_a_fraction_for_an_integer() {
        let document = json!({"a": 0.5, "b": 18_446_744_073_709_551_615_u64});
        let root = FieldPath::default();
        let cursor = Cursor::new(Some(&document), &root);
        for name in ["a", "b"] {
            let error = cursor.field(name).unwrap().integer().unwrap_err();
            assert_eq!(error.to_string(), format!("{name}: must be an integer, is a number"));
        }
    }
}
