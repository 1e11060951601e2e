//! System calls by their names: those of the x86-64 table plainly, those that programs of 32 bits make by the i386 table with `i386:` before them.
//!
//! Names are those of the kernel's tables (`arch/x86/entry/syscalls`), which libseccomp knows them by, too.

use crate::{InvalidValue, text_form::text_form};
use portcullis_abi::token::{I386, SYSCALLS_MAX, X86_64};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};
use syscalls::{x86, x86_64};

/// What stands before the name of a call of the i386 table.
const I386_PREFIX: &str = "i386:";
/// What stands before the number of a call that this release has no name for.
const NUMBER_PREFIX: &str = "syscall-";

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Syscall {
    is_i386: bool,
    number: u16,
}

impl Syscall {
    /// Whether it is one of the i386 table.
    #[must_use]
    pub const fn is_i386(self) -> bool {
        self.is_i386
    }

    /// Its name in its table, where this release knows it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let number = usize::from(self.number);
        if self.is_i386 { x86::Sysno::new(number).map(|call| call.name()) } else { x86_64::Sysno::new(number).map(|call| call.name()) }
    }

    /// Table and number, as they lie in the kernel's key.
    pub(super) fn key(self) -> [u8; 3] {
        let [low, high] = self.number.to_le_bytes();
        [if self.is_i386 { I386 } else { X86_64 }, low, high]
    }

    /// The call with that table and number, where there can be one.
    pub(super) fn from_key([table, low, high]: [u8; 3]) -> Option<Self> {
        let number = u16::from_le_bytes([low, high]);
        (table <= I386 && number < SYSCALLS_MAX).then_some(Self { is_i386: table == I386, number })
    }
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_i386 { I386_PREFIX } else { "" })?;
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{NUMBER_PREFIX}{}", self.number),
        }
    }
}

impl FromStr for Syscall {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (is_i386, name) = text.strip_prefix(I386_PREFIX).map_or((false, text), |name| (true, name));
        let known = if is_i386 {
            name.parse::<x86::Sysno>().ok().map(|call| call.id())
        } else {
            name.parse::<x86_64::Sysno>().ok().map(|call| call.id())
        };
        let number = known.and_then(|number| u16::try_from(number).ok()).or_else(|| name.strip_prefix(NUMBER_PREFIX)?.parse().ok());
        match number.filter(|number| *number < SYSCALLS_MAX).map(|number| Self { is_i386, number }) {
            Some(call) if call.to_string() == text => Ok(call),
            Some(call) => Err(InvalidValue::whole(format!("`{text}` has a name: write `{call}`"))),
            None => Err(InvalidValue::whole(format!(
                "`{text}` is no system call of Linux: write its name as in `man 2 syscalls`, with `{I386_PREFIX}` before it for one of 32-bit programs"
            ))),
        }
    }
}

text_form!(Syscall);

impl JsonSchema for Syscall {
    fn schema_name() -> Cow<'static, str> {
        "Syscall".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a system call, with `i386:` before it for one of 32-bit programs.",
            "type": "string",
            "minLength": 1,
            "maxLength": 63,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_text_that_gives_it_back() {
        for number in 0..SYSCALLS_MAX {
            for is_i386 in [false, true] {
                let call = Syscall { is_i386, number };
                assert_eq!(call.to_string().parse::<Syscall>().unwrap(), call);
                assert_eq!(Syscall::from_key(call.key()), Some(call));
            }
        }
    }

    #[test]
    fn a_name_says_of_which_table_it_is() {
        assert_eq!("openat".parse::<Syscall>().unwrap(), Syscall { is_i386: false, number: 257 });
        assert_eq!("i386:openat".parse::<Syscall>().unwrap(), Syscall { is_i386: true, number: 295 });
        assert_eq!(Syscall { is_i386: false, number: 511 }.to_string(), "syscall-511");
    }

    #[test]
    fn what_is_no_system_call_is_refused_with_the_way_out() {
        let error = |text: &str| text.parse::<Syscall>().unwrap_err().message;
        assert!(error("socketcall").starts_with("`socketcall` is no system call of Linux: write its name"), "is of the i386 table alone");
        assert!(error("syscall-512").contains("no system call"));
        assert_eq!(error("syscall-0"), "`syscall-0` has a name: write `read`");
        assert!("syscall-0511".parse::<Syscall>().is_err());
        assert_eq!(Syscall::from_key([2, 0, 0]), None);
        assert_eq!(Syscall::from_key([0, 0, 2]), None);
    }
}
