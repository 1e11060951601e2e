//! Names of extended attributes.

use crate::{InvalidValue, text, text_form::text_form};
use portcullis_abi::token::XATTR_NAME_MAX;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

/// The name of an extended attribute, `security.capability`, or with `*` at its end all names that begin so, `user.*`. The kernel compares
/// bytes: `\x20` is the byte with that value, and `\` before any other character is that character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct XattrPattern {
    name: Vec<u8>,
    open: bool,
}

impl XattrPattern {
    pub(crate) const SCHEMA_NAME: &str = "XattrPattern";

    /// The pattern that matches exactly this name.
    ///
    /// # Errors
    /// Where no attribute can have it.
    pub fn literal(name: &[u8]) -> Result<Self, InvalidValue> {
        Self::new(name.to_owned(), false)
    }

    /// The name, or what the names begin with.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether it stands for all names that begin so.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether it matches all that the other one does.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.open { other.name.starts_with(&self.name) } else { self == other }
    }

    fn new(name: Vec<u8>, open: bool) -> Result<Self, InvalidValue> {
        if name.is_empty() && !open {
            return Err(InvalidValue::whole("an attribute has a name: write one, as `user.mime_type`, or `*` for all"));
        }
        if name.len() > XATTR_NAME_MAX {
            return Err(InvalidValue::whole(format!("no attribute has a name of more than {XATTR_NAME_MAX} bytes: shorten it")));
        }
        if name.contains(&0) {
            return Err(InvalidValue::whole("no attribute has NUL in its name: take it out"));
        }
        Ok(Self { name, open })
    }
}

impl FromStr for XattrPattern {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (name, open) = text::parse(text, 1)?;
        Self::new(name, open)
    }
}

impl fmt::Display for XattrPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, &self.name, self.open)
    }
}

text_form!(XattrPattern);

impl JsonSchema for XattrPattern {
    fn schema_name() -> Cow<'static, str> {
        Self::SCHEMA_NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of an extended attribute, or what names begin with and `*`.",
            "type": "string",
            "minLength": 1,
            "maxLength": 4 * XATTR_NAME_MAX + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn a_pattern_reads_back_from_its_text(name in vec(1u8.., 1..40), open: bool) {
            let pattern = XattrPattern::new(name, open).unwrap();
            prop_assert_eq!(pattern.to_string().parse::<XattrPattern>(), Ok(pattern));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = text.parse::<XattrPattern>();
        }
    }

    #[test]
    fn a_star_at_the_end_is_every_name_that_begins_so() {
        let pattern = |text: &str| text.parse::<XattrPattern>().unwrap();
        assert!(pattern("user.*").covers(&pattern("user.a")) && pattern("*").covers(&pattern("user.*")));
        assert!(!pattern("user.*").covers(&pattern("user")) && !pattern("user.a").covers(&pattern("user.ab")));
        assert!(!pattern("user.a").covers(&pattern("user.a*")));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        for (text, column, part) in [
            ("", 1, "has a name"),
            ("us*er", 3, "at the end only"),
            ("a\\", 2, "at the end"),
            ("ab\\x2", 3, "hexadecimal"),
            ("a\nb", 2, "control"),
        ] {
            let error = text.parse::<XattrPattern>().unwrap_err();
            assert!(error.column == column && error.message.contains(part), "{text}: {error:?}");
        }
        assert!("a".repeat(256).parse::<XattrPattern>().unwrap_err().message.contains("255"));
    }
}
