//! Types, as far as they are known before there is a value.
//!
//! [`Type::Dyn`] is what is not known: it agrees with every type, so that nothing that could be right is refused. [`Type::Free`] is what nothing has
//! decided yet, as with the elements of `[]`: it becomes what it is used with, where what is not known stays so.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// The type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Known only when there is a value.
    Dyn,
    /// Of the elements of `[]`, of the value of `optional.none()`: any.
    Free,
    /// The type of `null`.
    Null,
    /// `true` and `false`.
    Bool,
    /// 64 bits with a sign.
    Int,
    /// 64 bits without.
    Uint,
    /// IEEE 754, 64 bits.
    Double,
    /// Unicode text.
    String,
    /// Any bytes.
    Bytes,
    /// A point in time.
    Timestamp,
    /// A length of time.
    Duration,
    /// A type, as a value.
    Type,
    /// A list of elements of one type.
    List(Box<Type>),
    /// A map from keys to values.
    Map(Box<Type>, Box<Type>),
    /// A value that may be absent.
    Optional(Box<Type>),
    /// An object whose fields are known.
    Object(Arc<Object>),
    /// What a library of Kubernetes brings.
    Opaque(Opaque),
}

/// The fields of an object, each with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// As messages name it.
    pub name: String,
    /// All that there are: any other is a mistake.
    pub fields: BTreeMap<String, Type>,
}

/// Types of Kubernetes' libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Opaque {
    /// `quantity(…)`.
    Quantity,
    /// `ip(…)`.
    Ip,
    /// `cidr(…)`.
    Cidr,
    /// `url(…)`.
    Url,
    /// `semver(…)`.
    Semver,
    /// `format.NAME()`.
    Format,
}

impl Opaque {
    /// The name of the type in expressions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quantity => "kubernetes.Quantity",
            Self::Ip => "net.IP",
            Self::Cidr => "net.CIDR",
            Self::Url => "kubernetes.URL",
            Self::Semver => "kubernetes.Semver",
            Self::Format => "kubernetes.NamedFormat",
        }
    }
}

impl Type {
    /// A list of `element`.
    pub fn list(element: Type) -> Self {
        Self::List(Box::new(element))
    }

    /// A map from `key` to `value`.
    pub fn map(key: Type, value: Type) -> Self {
        Self::Map(Box::new(key), Box::new(value))
    }

    /// `value`, or nothing.
    pub fn optional(value: Type) -> Self {
        Self::Optional(Box::new(value))
    }

    /// An object with these fields.
    pub fn object<'f>(name: &str, fields: impl IntoIterator<Item = (&'f str, Type)>) -> Self {
        let fields = fields.into_iter().map(|(name, of)| (name.to_owned(), of)).collect();
        Self::Object(Arc::new(Object { name: name.to_owned(), fields }))
    }

    /// Whether a value of one type can be one of the other.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn | Self::Free, _) | (_, Self::Dyn | Self::Free) => true,
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.agrees(b),
            (Self::Map(key_a, a), Self::Map(key_b, b)) => key_a.agrees(key_b) && a.agrees(b),
            (Self::Object(object), Self::Map(key, value)) | (Self::Map(key, value), Self::Object(object)) => {
                Self::String.agrees(key) && object.fields.values().any(|field| field.agrees(value))
            }
            (Self::Null, other) | (other, Self::Null) => other.takes_null(),
            _ => self == other,
        }
    }

    /// Whether two types are the same, as far as they are decided.
    pub(crate) fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Free, _) | (_, Self::Free) => true,
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.is_equivalent(b),
            (Self::Map(key_a, a), Self::Map(key_b, b)) => key_a.is_equivalent(key_b) && a.is_equivalent(b),
            _ => self == other,
        }
    }

    /// Types that have `null` beside their values.
    fn takes_null(&self) -> bool {
        matches!(self, Self::Null | Self::Object(_) | Self::Optional(_) | Self::Opaque(_) | Self::Timestamp | Self::Duration)
    }

    /// The one type that holds the values of both.
    pub(crate) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Free, known) | (known, Self::Free) => known,
            (Self::List(a), Self::List(b)) => Self::list(a.join(*b)),
            (Self::Optional(a), Self::Optional(b)) => Self::optional(a.join(*b)),
            (Self::Map(key_a, a), Self::Map(key_b, b)) => Self::map(key_a.join(*key_b), a.join(*b)),
            (Self::Null, other) | (other, Self::Null) if other.takes_null() => other,
            (a, b) if a == b => a,
            _ => Self::Dyn,
        }
    }

    /// The type of what has a value of its own: what nothing has decided until then is not known.
    pub(crate) fn decided(self) -> Self {
        if self == Self::Free { Self::Dyn } else { self }
    }

    /// Whether something in it is not decided.
    pub(crate) fn has_free(&self) -> bool {
        match self {
            Self::Free => true,
            Self::List(of) | Self::Optional(of) => of.has_free(),
            Self::Map(key, value) => key.has_free() || value.has_free(),
            _ => false,
        }
    }

    /// The type with everything decided, as others see it.
    pub(crate) fn settled(self) -> Self {
        match self {
            Self::Free => Self::Dyn,
            Self::List(element) => Self::list(element.settled()),
            Self::Map(key, value) => Self::map(key.settled(), value.settled()),
            Self::Optional(value) => Self::optional(value.settled()),
            of => of,
        }
    }

    /// Whether values of it can have an order among each other.
    pub(crate) fn is_ordered(&self) -> bool {
        matches!(
            self,
            Self::Dyn
                | Self::Free
                | Self::Null
                | Self::Int
                | Self::Uint
                | Self::Double
                | Self::Bool
                | Self::Duration
                | Self::Timestamp
                | Self::String
                | Self::Bytes
        )
    }

    /// What a macro binds when it iterates: elements, or keys.
    pub(crate) fn iterated(&self) -> Option<(Type, Type)> {
        match self {
            Self::Dyn => Some((Self::Dyn, Self::Dyn)),
            Self::List(element) => Some((Self::Int, (**element).clone().decided())),
            Self::Map(key, value) => Some(((**key).clone().decided(), (**value).clone().decided())),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn | Self::Free => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Type => f.write_str("type"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Optional(value) => write!(f, "optional({value})"),
            Self::Object(object) => f.write_str(&object.name),
            Self::Opaque(opaque) => f.write_str(opaque.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_agrees_with_everything() {
        for other in [Type::Int, Type::Null, Type::list(Type::Dyn), Type::Opaque(Opaque::Ip)] {
            assert!(Type::Dyn.agrees(&other) && other.agrees(&Type::Dyn), "{other}");
        }
        assert!(Type::list(Type::Dyn).agrees(&Type::list(Type::Int)));
        assert!(!Type::list(Type::String).agrees(&Type::list(Type::Int)));
    }

    #[test]
    fn null_is_a_value_of_what_has_an_absence_only() {
        assert!(Type::Timestamp.agrees(&Type::Null) && Type::Null.agrees(&Type::Null));
        assert!(!Type::String.agrees(&Type::Null));
    }

    #[test]
    fn types_are_joined_into_what_holds_both() {
        assert_eq!(Type::list(Type::Int).join(Type::list(Type::Int)), Type::list(Type::Int));
        assert_eq!(Type::list(Type::Int).join(Type::list(Type::String)), Type::list(Type::Dyn));
        assert_eq!(Type::Int.join(Type::Uint), Type::Dyn);
        assert_eq!(Type::list(Type::Free).join(Type::list(Type::Int)), Type::list(Type::Int));
        assert_eq!(Type::list(Type::Dyn).join(Type::list(Type::Int)), Type::list(Type::Dyn));
        assert_eq!(Type::list(Type::Free).settled(), Type::list(Type::Dyn));
        assert_eq!(Type::Null.join(Type::Duration), Type::Duration);
    }
}
