//! Names that programs are called by.

use crate::{InvalidValue, text, text_form::text_form};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

/// The longest name that the kernel programs look at, in bytes, when the argument has no folders before it.
pub const PROGRAM_NAME_MAX: usize = 254;

/// What a program is called by: the last component of its first argument (`argv[0]`), by which a multi-call program knows what to be. `\x20` is
/// the byte with that value, and `\` before any other character is that character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProgramName(Vec<u8>);

impl ProgramName {
    pub(crate) const SCHEMA_NAME: &str = "ProgramName";

    /// This very name.
    ///
    /// # Errors
    /// Where no program can be told by it: it is empty, too long, or has a slash or NUL.
    pub fn new(name: &[u8]) -> Result<Self, InvalidValue> {
        if name.is_empty() {
            return Err(InvalidValue::whole("a name is not empty: write one, as `ls`, or leave `as` out"));
        }
        if name.len() > PROGRAM_NAME_MAX {
            return Err(InvalidValue::whole(format!("names of more than {PROGRAM_NAME_MAX} bytes are not told apart: shorten it")));
        }
        if name.contains(&0) {
            return Err(InvalidValue::whole("no argument has NUL in it: take it out"));
        }
        if let Some(last) = name.iter().rposition(|byte| *byte == b'/') {
            let base = String::from_utf8_lossy(name.get(last + 1..).unwrap_or_default()).into_owned();
            return Err(InvalidValue::whole(format!("only what follows the last `/` counts: write `{base}`")));
        }
        Ok(Self(name.to_owned()))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for ProgramName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text::parse(text, 1)? {
            (name, false) => Self::new(&name),
            (_, true) => Err(InvalidValue::whole("`*` is no name: list each, or leave `as` out for all; `\\*` is the character")),
        }
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, &self.0, false)
    }
}

text_form!(ProgramName);

impl JsonSchema for ProgramName {
    fn schema_name() -> Cow<'static, str> {
        Self::SCHEMA_NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What a program is called by: the last component of its first argument.",
            "type": "string",
            "minLength": 1,
            "maxLength": 4 * PROGRAM_NAME_MAX,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn a_name_reads_back_from_its_text(bytes in vec(any::<u8>(), 0..40)) {
            if let Ok(name) = ProgramName::new(&bytes) {
                prop_assert_eq!(name.to_string().parse::<ProgramName>(), Ok(name));
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_way_out() {
        for (text, part) in [("", "as `ls`"), ("/bin/ls", "write `ls`"), ("l*", "list each"), ("*", "leave `as` out"), (r"a\x00", "NUL")] {
            let error = text.parse::<ProgramName>().unwrap_err();
            assert!(error.message.contains(part), "{text}: {error:?}");
        }
        assert!("a".repeat(255).parse::<ProgramName>().unwrap_err().message.contains("254"));
    }
}
