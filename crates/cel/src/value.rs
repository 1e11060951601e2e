//! Values while an expression is evaluated.
//!
//! What comes from the request is borrowed, never converted: a list or map of the object *is* the JSON that was parsed, and an element becomes
//! a [`Value`] when it is asked for. What an expression makes is shared, so that a value is copied in a few words.

mod collection;
mod equality;
mod key;
mod opaque;
mod text;
mod time;

pub(crate) use collection::Entries;
pub use collection::{List, Map};
pub(crate) use equality::{comparable, compare, equal};
pub(crate) use key::Key;
pub use opaque::{Cidr, OpaqueValue};
pub use text::Text;
pub use time::{Duration, Timestamp};

use crate::{Opaque, Type};
use std::rc::Rc;

/// A value of CEL, which may borrow from the request and from the program.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// `1`.
    Int(i64),
    /// `1u`.
    Uint(u64),
    /// `1.0`.
    Double(f64),
    /// `'a'`.
    String(Text<'a>),
    /// `b'a'`.
    Bytes(Rc<[u8]>),
    /// `timestamp('2009-02-13T23:31:30Z')`.
    Timestamp(Timestamp),
    /// `duration('1h')`.
    Duration(Duration),
    /// `[1]`.
    List(List<'a>),
    /// `{'a': 1}`.
    Map(Map<'a>),
    /// `int`, `type(1)`.
    Type(TypeName),
    /// `optional.of(1)`, `optional.none()`.
    Optional(Option<Rc<Value<'a>>>),
    /// A value of one of Kubernetes' libraries.
    Opaque(Rc<OpaqueValue>),
}

/// A type as a value: without what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is named as the type is")]
pub enum TypeName {
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List,
    Map,
    Type,
    Optional,
    Opaque(Opaque),
}

impl TypeName {
    /// Those that expressions can name.
    pub(crate) const NAMED: [TypeName; 19] = [
        Self::Null,
        Self::Bool,
        Self::Int,
        Self::Uint,
        Self::Double,
        Self::String,
        Self::Bytes,
        Self::Timestamp,
        Self::Duration,
        Self::List,
        Self::Map,
        Self::Type,
        Self::Optional,
        Self::Opaque(Opaque::Quantity),
        Self::Opaque(Opaque::Ip),
        Self::Opaque(Opaque::Cidr),
        Self::Opaque(Opaque::Url),
        Self::Opaque(Opaque::Semver),
        Self::Opaque(Opaque::Format),
    ];

    /// As expressions write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Duration => "google.protobuf.Duration",
            Self::List => "list",
            Self::Map => "map",
            Self::Type => "type",
            Self::Optional => "optional_type",
            Self::Opaque(opaque) => opaque.name(),
        }
    }
}

impl<'a> Value<'a> {
    /// JSON, as a value: whole numbers are `int`, all others `double`.
    pub fn json(value: &'a serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::String(Text::Borrowed(text)),
            serde_json::Value::Array(elements) => Self::List(List::Json(elements)),
            serde_json::Value::Object(entries) => Self::Map(Map::Json(entries)),
        }
    }

    /// Text.
    pub fn string(text: impl Into<Rc<str>>) -> Self {
        Self::String(Text::Shared(text.into()))
    }

    /// A list of these.
    pub fn list(elements: impl Into<Rc<[Value<'a>]>>) -> Self {
        Self::List(List::Made(elements.into()))
    }

    /// A map of these; none where a key is of no type of keys, or there twice.
    pub fn map(entries: impl IntoIterator<Item = (Value<'a>, Value<'a>)>) -> Option<Self> {
        let mut map = Entries::default();
        for (key, value) in entries {
            map.insert(key, value).filter(|is_new| *is_new)?;
        }
        Some(Self::Map(Map::made(map)))
    }

    pub(crate) fn some(value: Value<'a>) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    pub(crate) fn optional(value: Option<Value<'a>>) -> Self {
        Self::Optional(value.map(Rc::new))
    }

    pub(crate) fn opaque(value: OpaqueValue) -> Self {
        Self::Opaque(Rc::new(value))
    }

    /// Its type.
    pub fn type_name(&self) -> TypeName {
        match self {
            Self::Null => TypeName::Null,
            Self::Bool(_) => TypeName::Bool,
            Self::Int(_) => TypeName::Int,
            Self::Uint(_) => TypeName::Uint,
            Self::Double(_) => TypeName::Double,
            Self::String(_) => TypeName::String,
            Self::Bytes(_) => TypeName::Bytes,
            Self::Timestamp(_) => TypeName::Timestamp,
            Self::Duration(_) => TypeName::Duration,
            Self::List(_) => TypeName::List,
            Self::Map(_) => TypeName::Map,
            Self::Type(_) => TypeName::Type,
            Self::Optional(_) => TypeName::Optional,
            Self::Opaque(value) => TypeName::Opaque(value.kind()),
        }
    }

    /// Whether a value of `expected`, as far as it is known without looking at elements.
    pub(crate) fn is(&self, expected: &Type) -> bool {
        match expected {
            Type::Dyn | Type::Free => true,
            Type::Object(_) => matches!(self, Self::Map(_)),
            Type::Opaque(opaque) => self.type_name() == TypeName::Opaque(*opaque),
            Type::Null => matches!(self, Self::Null),
            Type::Bool => matches!(self, Self::Bool(_)),
            Type::Int => matches!(self, Self::Int(_)),
            Type::Uint => matches!(self, Self::Uint(_)),
            Type::Double => matches!(self, Self::Double(_)),
            Type::String => matches!(self, Self::String(_)),
            Type::Bytes => matches!(self, Self::Bytes(_)),
            Type::Timestamp => matches!(self, Self::Timestamp(_)),
            Type::Duration => matches!(self, Self::Duration(_)),
            Type::Type => matches!(self, Self::Type(_)),
            Type::List(_) => matches!(self, Self::List(_)),
            Type::Map(..) => matches!(self, Self::Map(_)),
            Type::Optional(_) => matches!(self, Self::Optional(_)),
        }
    }

    /// The value, of a `bool`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, of a `string`.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Bytes that comparing two values may read of each.
    pub(crate) fn shared_text(&self, other: &Self) -> usize {
        match (self, other) {
            (Self::String(a), Self::String(b)) => a.len().min(b.len()),
            (Self::Bytes(a), Self::Bytes(b)) => a.len().min(b.len()),
            _ => 0,
        }
    }

    /// Whether it is the zero of its type, which `optional.ofNonZeroValue` takes for nothing.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Uint(value) => *value == 0,
            Self::Double(value) => *value == 0.0,
            Self::String(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Duration(value) => value.nanoseconds() == 0,
            Self::List(list) => list.is_empty(),
            Self::Map(map) => map.is_empty(),
            Self::Optional(value) => value.is_none(),
            Self::Timestamp(_) | Self::Type(_) | Self::Opaque(_) => false,
        }
    }
}
