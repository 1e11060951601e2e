//! Abstract names of UNIX sockets.

use crate::{InvalidValue, text, text_form::text_form};
use portcullis_abi::token::UNIX_NAME_MAX;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

/// How many characters a name has that the kernel chooses: lower-case hexadecimal digits (`unix_autobind`, `net/unix/af_unix.c`).
const CHOSEN_LENGTH: usize = 5;

/// An abstract name of a UNIX socket (`unix(7)`), written as tools do with `@` for its leading NUL: `@/containerd-shim/1.sock`. With `*` at its
/// end all names that begin so, and `@` alone is a name that the kernel chooses. The kernel compares bytes: `\x00` is the byte with that value,
/// and `\` before any other character is that character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AbstractName {
    name: Vec<u8>,
    open: bool,
}

impl AbstractName {
    pub(crate) const SCHEMA_NAME: &str = "AbstractName";

    /// Exactly this name, without its leading NUL; the empty one is any that the kernel chooses.
    ///
    /// # Errors
    /// Where it is longer than a name can be.
    pub fn literal(name: &[u8]) -> Result<Self, InvalidValue> {
        Self::new(name.to_owned(), false)
    }

    /// All names that begin so.
    ///
    /// # Errors
    /// As [`AbstractName::literal`].
    pub fn beginning(name: &[u8]) -> Result<Self, InvalidValue> {
        Self::new(name.to_owned(), true)
    }

    /// Any name that the kernel chooses.
    #[must_use]
    pub const fn chosen() -> Self {
        Self { name: Vec::new(), open: false }
    }

    /// The name, or what the names begin with.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether it stands for all names that begin so.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Whether it stands for the names that the kernel chooses.
    #[must_use]
    pub const fn is_chosen(&self) -> bool {
        self.name.is_empty() && !self.open
    }

    /// Whether the kernel may have chosen this name.
    #[must_use]
    pub fn may_be_chosen(&self) -> bool {
        !self.open && self.name.len() == CHOSEN_LENGTH && self.name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// How many hexadecimal digits stand for a name that the kernel chooses.
    #[must_use]
    pub const fn chosen_length() -> usize {
        CHOSEN_LENGTH
    }

    /// Whether it matches all that the other one does.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self.open, self.is_chosen()) {
            (true, _) => other.name.starts_with(&self.name),
            (false, true) => other.is_chosen() || other.may_be_chosen(),
            (false, false) => self == other,
        }
    }

    fn new(name: Vec<u8>, open: bool) -> Result<Self, InvalidValue> {
        if name.len() > UNIX_NAME_MAX {
            return Err(InvalidValue::whole(format!("no abstract name has more than {UNIX_NAME_MAX} bytes behind its `@`: shorten it")));
        }
        Ok(Self { name, open })
    }
}

impl FromStr for AbstractName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let Some(name) = text.strip_prefix('@') else {
            let way_out = if text.starts_with('/') {
                "a path is no abstract name: list it under `files` with the access `connect` or `create`".to_owned()
            } else {
                format!("an abstract name begins with `@`: write `@{text}`")
            };
            return Err(InvalidValue::whole(way_out));
        };
        let (name, open) = text::parse(name, 2)?;
        Self::new(name, open)
    }
}

impl fmt::Display for AbstractName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("@")?;
        text::write(f, &self.name, self.open)
    }
}

text_form!(AbstractName);

impl JsonSchema for AbstractName {
    fn schema_name() -> Cow<'static, str> {
        Self::SCHEMA_NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An abstract name of a UNIX socket after `@`, or what names begin with and `*`; `@` alone is one that the kernel chooses.",
            "type": "string",
            "pattern": "^@",
            "minLength": 1,
            "maxLength": 4 * UNIX_NAME_MAX + 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn name(text: &str) -> AbstractName {
        text.parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_name_reads_back_from_its_text(bytes in vec(any::<u8>(), 0..40), open: bool) {
            let written = AbstractName::new(bytes, open).unwrap();
            prop_assert_eq!(written.to_string().parse::<AbstractName>(), Ok(written));
        }

        #[test]
        fn no_text_makes_it_panic(text in "@?.{0,20}") {
            let _ = text.parse::<AbstractName>();
        }
    }

    #[test]
    fn a_star_is_every_name_that_begins_so_and_the_sign_alone_what_the_kernel_chooses() {
        assert!(name("@a*").covers(&name("@ab")) && name("@*").covers(&name("@a*")) && name("@*").covers(&name("@")));
        assert!(!name("@a").covers(&name("@ab")) && !name("@a").covers(&name("@a*")));
        assert!(name("@").covers(&name("@0003f")) && !name("@0003f").covers(&name("@")));
        assert!(!name("@").covers(&name("@0003F")) && !name("@").covers(&name("@0003f1")) && !name("@").covers(&name("@0003f*")));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        for (text, column, part) in [
            ("", 1, "begins with `@`"),
            ("dbus", 1, "write `@dbus`"),
            ("/run/x.sock", 1, "under `files`"),
            ("@us*er", 4, "at the end only"),
            ("@a\\", 3, "at the end"),
            ("@ab\\x2", 4, "hexadecimal"),
        ] {
            let error = text.parse::<AbstractName>().unwrap_err();
            assert!(error.column == column && error.message.contains(part), "{text}: {error:?}");
        }
        assert!(format!("@{}", "a".repeat(108)).parse::<AbstractName>().unwrap_err().message.contains("107"));
    }
}
