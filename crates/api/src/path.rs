//! Paths in rules: a pattern of `portcullis-matcher`, kept with the text that its author wrote.

use crate::{InvalidValue, text_form::text_form};
use portcullis_matcher::{Pattern, PatternError, pattern::MAX_TEXT_BYTES};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, cmp::Ordering, fmt, str::FromStr};

/// A path pattern that is known to parse: an absolute path with `?`, `*`, `**`, `[a-z]` and `\` escapes, as the documentation of
/// [`Pattern`] has them. Two are equal where their texts are, and are ordered by them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(Pattern);

impl PathPattern {
    pub(crate) const SCHEMA_NAME: &str = "PathPattern";

    /// The pattern that matches exactly these bytes.
    ///
    /// # Errors
    /// Where the bytes are no path as the kernel reports it: not absolute, too long, not normalised.
    pub fn literal(path: &[u8]) -> Result<Self, InvalidValue> {
        Ok(Self(Pattern::literal(path)?))
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The pattern that the text stands for.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.0
    }
}

impl PathPattern {
    /// The one path that the pattern matches, where there is only one.
    #[must_use]
    pub fn exact(&self) -> Option<Vec<u8>> {
        if !self.0.is_literal() {
            return None;
        }
        let mut path = Vec::with_capacity(self.as_str().len());
        let mut rest = self.as_str();
        while let Some(escape) = rest.find('\\') {
            let (plain, escaped) = rest.split_at(escape);
            path.extend_from_slice(plain.as_bytes());
            let mut characters = escaped.chars();
            match characters.nth(1)? {
                'x' => {
                    path.push(u8::from_str_radix(escaped.get(2..4)?, 16).ok()?);
                    rest = escaped.get(4..)?;
                }
                literal => {
                    path.extend_from_slice(literal.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = characters.as_str();
                }
            }
        }
        path.extend_from_slice(rest.as_bytes());
        // A class of one byte is literal too, and no text that is read here: the pattern itself has the last word.
        self.0.matches(&path).then_some(path)
    }
}

impl From<PatternError> for InvalidValue {
    fn from(error: PatternError) -> Self {
        Self { column: error.column, message: error.reason.to_string() }
    }
}

impl FromStr for PathPattern {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Ok(Self(Pattern::parse(text)?))
    }
}

text_form!(PathPattern);

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialOrd for PathPattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PathPattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl JsonSchema for PathPattern {
    fn schema_name() -> Cow<'static, str> {
        Self::SCHEMA_NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An absolute path: `?` is one byte and `*` any number of bytes of one component, `**` any number of components, `[a-z]` one of a class, `\\` escapes.",
            "type": "string",
            "pattern": "^/",
            "maxLength": MAX_TEXT_BYTES,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_of_any_bytes_reads_back_as_itself() {
        for path in [&b"/usr/bin/[["[..], b"/a b/\xff*?\\", b"/"] {
            let literal = PathPattern::literal(path).unwrap();
            assert!(literal.pattern().is_literal(), "{literal}");
            assert_eq!(literal.exact().as_deref(), Some(path));
            assert_eq!(literal.as_str().parse::<PathPattern>().unwrap(), literal);
        }
    }

    #[test]
    fn only_a_literal_has_one_path() {
        let exact = |text: &str| text.parse::<PathPattern>().unwrap().exact();
        assert_eq!(exact(r"/a\*\x62\é").as_deref(), Some("/a*bé".as_bytes()));
        assert_eq!(exact("/a*"), None);
        assert_eq!(exact("/[ab]"), None);
    }

    #[test]
    fn a_relative_path_is_refused_with_a_way_out() {
        let error = "usr/bin".parse::<PathPattern>().unwrap_err();
        assert_eq!(error.column, 1);
        assert!(error.message.contains("write"));
    }

    #[test]
    fn deserialising_parses() {
        assert!(serde_json::from_str::<PathPattern>(r#""/usr/**""#).is_ok());
        assert!(serde_json::from_str::<PathPattern>(r#""/usr/***""#).is_err());
    }
}
