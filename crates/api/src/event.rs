//! What sinks write: one JSON object for each operation that was blocked, would have been blocked, or was observed while learning.
//!
//! Bytes that are no UTF-8 have no place in JSON. A path is therefore written as the pattern that matches exactly it, which a profile can
//! hold as it stands; an argument keeps its UTF-8 and has `\xHH` for any other byte. Pids, uids and gids are those of the node.

use crate::{FileAccess, Protocol, Rule, Token};
use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, net::IpAddr};

/// What happened, to what, who did it, and which rule would have allowed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When, in UTC to the nanosecond (RFC 3339, always nine digits, so that texts sort as times do).
    #[serde(serialize_with = "nanoseconds")]
    pub time: Timestamp,
    /// What was done about it.
    pub action: Action,
    /// What was attempted.
    pub operation: Operation,
    /// On what.
    pub object: Object,
    /// What was asked of a file; absent for executions, mappings and the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<FileAccess>,
    /// Who did it.
    pub process: Process,
    /// Where.
    pub container: Container,
    /// How many like it were left out since the last one that was told.
    pub repeats: u32,
    /// The way out.
    #[serde(flatten)]
    pub remedy: Remedy,
}

/// What was done about an operation that no rule grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It failed with `EPERM`: mode `enforce`.
    Blocked,
    /// It was allowed: mode `audit`.
    WouldBlock,
    /// It was allowed and learned: mode `learn`.
    Observed,
}

impl From<portcullis_abi::Action> for Action {
    fn from(action: portcullis_abi::Action) -> Self {
        match action {
            portcullis_abi::Action::Blocked => Self::Blocked,
            portcullis_abi::Action::WouldBlock => Self::WouldBlock,
            portcullis_abi::Action::Observed => Self::Observed,
        }
    }
}

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// A program, or the interpreter of a script, was to be executed.
    Exec,
    /// A file was to be opened.
    Open,
    /// A file was to be mapped as executable.
    Map,
    /// A socket was to be connected: to an address and port, or to a UNIX socket.
    Connect,
    /// A file, directory, device or symbolic link was to be made.
    Create,
    /// A file or directory was to be removed.
    Delete,
    /// An entry was to be renamed: the object is the old or the new name, whichever lacks something.
    Rename,
    /// A file was to be given a further name: the object is the new or the old name, whichever lacks something.
    Link,
    /// A file was to be cut or extended.
    Truncate,
    /// The mode or the owner of a file was to be changed.
    Attributes,
    /// A message was to be sent without a connection: to an address and port, or to a UNIX socket.
    Send,
    /// A socket was to be bound to a port or an abstract name, or to listen without a port.
    Bind,
    /// A socket was to be made, of a kind that is judged.
    Socket,
    /// A capability was to be used.
    Capability,
    /// A privilege was to be used.
    Privilege,
    /// An extended attribute was to be set or removed.
    Xattr,
}

/// On what an operation was attempted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Object {
    /// A file.
    File {
        /// Its path in the container's mount namespace, as the pattern that matches exactly it. Where `unresolved` is there, as much of the
        /// name as is known, which may be none.
        path: String,
        /// Why the path is not the file's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unresolved: Option<Unresolved>,
        /// What a program was called by, where it was to be executed and the name could be read.
        #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
        called_as: Option<String>,
    },
    /// The other end of a connection or message, or the own end of a socket that is bound.
    Endpoint {
        /// Its address; never an IPv4-mapped one.
        address: IpAddr,
        /// Its port, 0 for protocols that have none, and where the kernel chooses one for a socket that is bound.
        port: u16,
        /// The protocol, never `ANY`.
        protocol: Protocol,
    },
    /// What is granted whole.
    Token(Token),
}

/// Why an object has no name by which a rule could grant it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unresolved {
    /// Its path is longer, or deeper, than the kernel programs follow.
    TooLong,
    /// It is in a mount that the task's mount namespace does not hold.
    Unreachable,
    /// It was deleted; the name may be another file's by now.
    Deleted,
    /// It never had a name: a memory file, a pipe.
    Anonymous,
    /// The kernel program had no working memory left to find out.
    Busy,
}

impl Unresolved {
    /// The same, as the kernel says it; `None` for a name that is known.
    #[must_use]
    pub fn from_resolution(resolution: portcullis_abi::Resolution) -> Option<Self> {
        match resolution {
            portcullis_abi::Resolution::Named => None,
            portcullis_abi::Resolution::TooLong => Some(Self::TooLong),
            portcullis_abi::Resolution::Unreachable => Some(Self::Unreachable),
            portcullis_abi::Resolution::Deleted => Some(Self::Deleted),
            portcullis_abi::Resolution::Anonymous => Some(Self::Anonymous),
            portcullis_abi::Resolution::Busy => Some(Self::Busy),
        }
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the path is too long to resolve",
            Self::Unreachable => "the file is in a mount outside the container's mount namespace",
            Self::Deleted => "the file was deleted",
            Self::Anonymous => "the file never had a name",
            Self::Busy => "the processor's working memory was in use",
        })
    }
}

/// The process that did it, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its executable, written as paths are; the first bytes where it is long, empty where it is not known.
    pub executable: String,
    /// Its arguments, the first bytes of them.
    pub arguments: Vec<String>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The exec session (`kubectl exec` and the like) that it descends from; absent for the container's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u32>,
}

/// The container in which it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The namespace of the pod and of the profile.
    pub namespace: String,
    /// The profile's name.
    pub profile: String,
    /// The container's name in the pod.
    pub name: String,
    /// The inode number of its cgroup.
    pub cgroup: u64,
}

/// What would have allowed it. In JSON `"rule": {…}`, or `"rule": null` and `"noRule": "…"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RemedyFields", into = "RemedyFields")]
pub enum Remedy {
    /// This rule, exactly.
    Rule(Rule),
    /// No rule can, for this reason.
    None(String),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemedyFields {
    rule: Option<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    no_rule: Option<String>,
}

impl From<Remedy> for RemedyFields {
    fn from(remedy: Remedy) -> Self {
        match remedy {
            Remedy::Rule(rule) => Self { rule: Some(rule), no_rule: None },
            Remedy::None(reason) => Self { rule: None, no_rule: Some(reason) },
        }
    }
}

impl TryFrom<RemedyFields> for Remedy {
    type Error = &'static str;

    fn try_from(fields: RemedyFields) -> Result<Self, Self::Error> {
        match (fields.rule, fields.no_rule) {
            (Some(rule), None) => Ok(Self::Rule(rule)),
            (None, Some(reason)) => Ok(Self::None(reason)),
            _ => Err("either `rule` or `noRule` must be there"),
        }
    }
}

/// Bytes as an event shows them where they are no path: UTF-8 as it is, any other byte as `\xHH`.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

fn nanoseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(9));
    serializer.serialize_str(&PRINTER.timestamp_to_string(time))
}

#[cfg(test)]
mod tests;
