//! Keys of maps: numbers of one value are one key, whatever their type.

use super::{Text, Value};
use std::cmp::Ordering;

/// What a key is compared by.
#[derive(Clone, Debug)]
pub(crate) enum Key<'a> {
    Bool(bool),
    /// Every value of `int` and `uint`.
    Number(i128),
    Text(Text<'a>),
}

impl<'a> Key<'a> {
    /// The key that `value` finds; none where no map can have such a key.
    pub(crate) fn of(value: &Value<'a>) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Int(value) => Some(Self::Number((*value).into())),
            Value::Uint(value) => Some(Self::Number((*value).into())),
            Value::Double(value) => whole(*value).map(Self::Number),
            Value::String(text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Bool(_) => 0,
            Self::Number(_) => 1,
            Self::Text(_) => 2,
        }
    }
}

/// The whole number that a double is, where it is one that a key can have.
fn whole(value: f64) -> Option<i128> {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    #[allow(clippy::cast_possible_truncation, reason = "it is whole, and within 65 bits")]
    (value.fract() == 0.0 && value.abs() < BEYOND).then_some(value as i128)
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => (**a).cmp(&**b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key<'_> {}
