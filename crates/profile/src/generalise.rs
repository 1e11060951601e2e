//! From one observation to the rule that grants the same operation the next time, when a name has another pid or random part.
//!
//! | where | name | becomes |
//! |---|---|---|
//! | anywhere | UUID | `????????-????-????-????-????????????` |
//! | anywhere | 32 or more hexadecimal digits: digests, ids | as many `?` |
//! | anywhere | `..2026_11_22_07_12_36.123456789`, the kubelet's folder of a projected volume | `..????_??_??_??_??_??.[0-9]*` |
//! | anywhere, at the end | `#123`, what `O_TMPFILE` makes | `#[0-9]*` |
//! | `/proc` | the pid, and numbers in `task`, `fd`, `fdinfo` | `[0-9]*` |
//! | `/dev/pts` | a terminal's number | `[0-9]*` |
//! | anywhere | `tmp.` and ten letters and digits, `tmp` and eight: mktemp(1), Python | as many `?` behind the prefix |
//! | below `/tmp` and its like, and names that say `tmp` | random letters and digits, six or more | as many `?` |
//! | the same | a number at the end, before the extension or not | `[0-9]*` |
//! | abstract names of UNIX sockets | five hexadecimal digits, as the kernel chooses them | `@` |
//! | the same | a number at the end, behind `-`, `_`, `.`, `:` or `/` | what is before it, and `*` |
//! | directories for data | what a program counts: tables, segments, rotated logs, folders of a cache | see `counted` |
//!
//! Only the components of *data* files, opened for reading or writing, are generalised, and never across directories. What is executed or
//! mapped as code stays literal, with no exception: a wildcard there is a place to put a program.
//!
//! Versions stay too. They change with the image, which is learned anew; a wildcard in their place would outlive its reason.
//!
//! The pid in a guarded file such as `/proc/7/environ` is generalised like any other: pids differ from start to start, and a literal one would
//! grant nothing that lasts. A profile that may read its own environment may thus read its neighbours' in the container.
//!
//! Addresses are single addresses and ports single ports, *ephemeral* ones (32768 and above) included. A server that is reached on one was
//! told which by another connection (passive FTP, RPC), and from outside it cannot be told from a listener of an attacker; a range of
//! ports would grant both, so that range is for a person to write. A port that the kernel chose is bound to as port 0, which is stable.

mod abstract_name;
mod counted;
mod identifier;
mod temporary;

use crate::observation::{Observation, ObservedPath, rule_for};
use portcullis_api::{FileRule, PathPattern, Rule};

/// A number of any length.
const NUMBER: &str = "[0-9]*";

/// The rule to learn from an observation: it grants the observation, and those that differ only in what the module's table lists.
#[must_use]
pub fn generalise(observation: &Observation) -> Rule {
    match observation {
        Observation::Open(path, uses) => Rule::File(FileRule { path: data_path(path), access: uses.clone() }),
        Observation::Token(token) => Rule::Token(abstract_name::general(token)),
        Observation::Exec(_)
        | Observation::ExecAs(..)
        | Observation::Map(_)
        | Observation::Drift(_)
        | Observation::Connect(_)
        | Observation::Bind(_) => rule_for(observation),
    }
}

/// The pattern of a data file's path. Where the generalised text is no pattern (it is too long), or not one of this path, the literal.
fn data_path(path: &ObservedPath) -> PathPattern {
    let components: Vec<&[u8]> = path.bytes().split(|byte| *byte == b'/').skip(1).collect();
    let mut text = String::new();
    let mut parents: Vec<&[u8]> = Vec::new();
    for (index, component) in components.iter().enumerate() {
        let last = index + 1 == components.len();
        text.push('/');
        text.push_str(&general(&parents, component, last).unwrap_or_else(|| portcullis_matcher::pattern::escape(component)));
        parents.push(component);
    }
    text.parse().ok().filter(|general: &PathPattern| general.pattern().matches(path.bytes())).unwrap_or_else(|| path.literal().clone())
}

/// The pattern for one component; `None` where it stays literal.
fn general(parents: &[&[u8]], component: &[u8], last: bool) -> Option<String> {
    let is_number = !component.is_empty() && component.iter().all(u8::is_ascii_digit);
    match parents {
        [b"proc"] | [b"proc", .., b"task" | b"fd" | b"fdinfo"] | [b"dev", b"pts"] if is_number => return Some(NUMBER.to_owned()),
        [b"proc", ..] => return None,
        _ => {}
    }
    if last && component.strip_prefix(b"#").is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit)) {
        return Some(format!("#{NUMBER}"));
    }
    if identifier::is_projection(component) {
        return Some(format!("..????_??_??_??_??_??.{NUMBER}"));
    }
    temporary::by_name(component)
        .or_else(|| counted::general(parents, component))
        .or_else(|| identifier::general(component))
        .or_else(|| temporary::general(parents, component))
}

#[cfg(test)]
mod tests;
