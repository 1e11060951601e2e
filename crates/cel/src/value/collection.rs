//! Lists and maps: of the request as they were parsed, or made by an expression.

use super::{Key, Text, Value};
use std::{collections::BTreeMap, rc::Rc};

/// A list.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// Of the request.
    Json(&'a [serde_json::Value]),
    /// Made.
    Made(Rc<[Value<'a>]>),
}

impl<'a> List<'a> {
    /// Elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(elements) => elements.len(),
            Self::Made(elements) => elements.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`.
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(elements) => elements.get(index).map(Value::json),
            Self::Made(elements) => elements.get(index).cloned(),
        }
    }

    /// Every element.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Value<'a>> + DoubleEndedIterator + '_ {
        (0..self.len()).map(|index| self.get(index).unwrap_or(Value::Null))
    }
}

/// A map. Its order is that of the keys where an expression made it, so that an evaluation can be repeated.
#[derive(Clone, Debug)]
pub enum Map<'a> {
    /// Of the request.
    Json(&'a serde_json::Map<String, serde_json::Value>),
    /// Made.
    Made(Rc<Entries<'a>>),
}

/// The entries of a map that an expression made.
#[derive(Clone, Debug, Default)]
pub struct Entries<'a>(BTreeMap<Key<'a>, (Value<'a>, Value<'a>)>);

impl<'a> Entries<'a> {
    fn find(&self, key: &Key<'_>) -> Option<Value<'a>> {
        // Seen as a map whose keys live no longer than the one that is sought.
        let entries: &BTreeMap<Key<'_>, (Value<'a>, Value<'a>)> = &self.0;
        entries.get(key).map(|(_, value)| value.clone())
    }

    /// Adds an entry: false where there is one of this key, nothing where no key is of this type.
    pub(crate) fn insert(&mut self, key: Value<'a>, value: Value<'a>) -> Option<bool> {
        let is_new = !self.0.contains_key(&found_by(&key)?);
        if is_new {
            self.replace(key, value);
        }
        Some(is_new)
    }

    /// Adds an entry, in place of that of the same key; nothing where no key is of this type.
    pub(crate) fn replace(&mut self, key: Value<'a>, value: Value<'a>) -> Option<()> {
        self.0.insert(found_by(&key)?, (key, value));
        Some(())
    }
}

/// What a key of an entry is found by: a double can find a key, and be none.
fn found_by<'a>(key: &Value<'a>) -> Option<Key<'a>> {
    if matches!(key, Value::Double(_)) { None } else { Key::of(key) }
}

impl<'a> Map<'a> {
    pub(crate) fn made(entries: Entries<'a>) -> Self {
        Self::Made(Rc::new(entries))
    }

    /// Entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(entries) => entries.len(),
            Self::Made(entries) => entries.0.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key.
    pub fn find(&self, key: &Value<'_>) -> Option<Value<'a>> {
        match (self, key) {
            (Self::Json(entries), Value::String(text)) => entries.get(&**text).map(Value::json),
            (Self::Json(_), _) => None,
            (Self::Made(entries), key) => entries.find(&Key::of(key)?),
        }
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(entries) => entries.get(name).map(Value::json),
            Self::Made(entries) => entries.find(&Key::Text(Text::Borrowed(name))),
        }
    }

    /// Every key with its value.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (Value<'a>, Value<'a>)> + '_> {
        match self {
            Self::Json(entries) => Box::new(entries.iter().map(|(key, value)| (Value::String(Text::Borrowed(key)), Value::json(value)))),
            Self::Made(entries) => Box::new(entries.0.values().cloned()),
        }
    }
}
