//! What a container was seen to do, and the rule that grants exactly that.

use portcullis_abi::{
    Access, Operation, Resolution, access,
    event::{RawEvent, called},
    netkey::Endpoint,
    token,
};
use portcullis_api::{
    BindRule, Cidr, ConnectRule, ExecRule, FileAccess, FileRule, InvalidValue, PathPattern, Ports, ProgramName, Protocol, Rule, Token,
    event::{Remedy, Unresolved},
};
use std::{collections::BTreeSet, net::Ipv6Addr};

/// An operation on an object whose name is known, which the rules at that time did not grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Observation {
    /// A program, a script, or the interpreter of a script was executed.
    Exec(ObservedPath),
    /// A program was executed of which it matters what it is called by.
    ExecAs(ObservedPath, ProgramName),
    /// A file was put to uses that were not granted: at least one.
    Open(ObservedPath, BTreeSet<FileAccess>),
    /// A file was mapped as executable.
    Map(ObservedPath),
    /// A file that may be code was executed or mapped as code, and was written since the image was made.
    Drift(ObservedPath),
    /// A socket was connected.
    Connect(Endpoint),
    /// A socket was bound, or made to listen without having been bound: to port 0.
    Bind(Endpoint),
    /// A capability, a privilege, an attribute or an abstract name was used, or a socket of a judged kind made.
    Token(Token),
}

/// A path as the kernel reports it: absolute, without `.`, `..` and empty components.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObservedPath {
    bytes: Vec<u8>,
    literal: PathPattern,
}

impl ObservedPath {
    /// The path of these bytes.
    ///
    /// # Errors
    /// Where the bytes are no path as the kernel reports it.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidValue> {
        Ok(Self { bytes: bytes.to_owned(), literal: PathPattern::literal(bytes)? })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The pattern that matches exactly this path.
    #[must_use]
    pub fn literal(&self) -> &PathPattern {
        &self.literal
    }
}

/// Why an event is no observation: no rule can grant what it tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolvable {
    /// The object has no name by which a rule could grant it.
    #[error("{0}")]
    Object(Unresolved),
    /// The program may be called by some names, and was called by none that can be told.
    #[error("the program was called by a name that is empty, too long, or cannot be read")]
    Name,
    /// The event is about a container's life.
    #[error("the event tells of a container's life and not of an operation")]
    Life,
    /// Nothing was missing.
    #[error("the rules grant the operation already")]
    Granted,
    /// The object is no path as the kernel reports it.
    #[error("the object is no path: {0}")]
    Path(#[from] InvalidValue),
    /// The object is no key of a network operation.
    #[error("the object is no address and port")]
    Key,
    /// The object is no key of what is granted whole.
    #[error("the object has no name: {0}")]
    Token(InvalidValue),
}

impl Observation {
    /// The observation that an event tells. Of the uses that an open asked for, it has those that were missing.
    ///
    /// # Errors
    /// [`Unresolvable`] where no rule can grant it.
    pub fn from_event(event: &RawEvent<'_>) -> Result<Self, Unresolvable> {
        if let Some(unresolved) = ungrantable(event) {
            return Err(Unresolvable::Object(unresolved));
        }
        let path = || ObservedPath::new(event.object).map_err(Unresolvable::Path);
        match event.operation {
            Operation::Exec | Operation::Map if event.header.missing == access::DRIFT => Ok(Self::Drift(path()?)),
            Operation::Exec => execution(event),
            Operation::Map => Ok(Self::Map(path()?)),
            Operation::Connect | Operation::Send => Endpoint::from_connect_key(event.object).map(Self::Connect).ok_or(Unresolvable::Key),
            Operation::Bind => Endpoint::from_bind_key(event.object).map(Self::Bind).ok_or(Unresolvable::Key),
            operation if operation.is_token() || operation.is_unix() && is_key(event.object) => {
                Token::from_key(event.object).map(Self::Token).map_err(Unresolvable::Token)
            }
            // A further name by which the file could be executed.
            Operation::Link if event.header.missing & (access::EXEC | access::CALLED) != 0 => Ok(Self::Exec(path()?)),
            Operation::Open
            | Operation::Create
            | Operation::Delete
            | Operation::Rename
            | Operation::Link
            | Operation::Truncate
            | Operation::Attributes
            | Operation::UnixConnect
            | Operation::UnixSend => {
                let missing = file_access(event.header.missing);
                if missing.is_empty() { Err(Unresolvable::Granted) } else { Ok(Self::Open(path()?, missing)) }
            }
            Operation::ContainerMade | Operation::ContainerStarted | Operation::ContainerGone | Operation::Existed => {
                Err(Unresolvable::Life)
            }
            Operation::Socket
            | Operation::Capability
            | Operation::Privilege
            | Operation::Xattr
            | Operation::UnixBind
            | Operation::Syscall => Err(Unresolvable::Key),
        }
    }

    /// What the operation asks of its object.
    #[must_use]
    pub fn asked(&self) -> Access {
        match self {
            Self::Exec(_) | Self::ExecAs(..) => access::EXEC,
            Self::Map(_) => access::MAP,
            Self::Drift(_) => access::DRIFT,
            Self::Connect(_) => access::CONNECT,
            Self::Bind(_) => access::BIND,
            Self::Token(_) => access::USE,
            Self::Open(_, uses) => uses.iter().map(|used| access_bit(*used)).fold(0, |all, bit| all | bit),
        }
    }
}

/// The programs that are many in one, by their own names, whatever their folder. A program that a rule with `as` is for is one too.
const MULTI_CALL: [&[u8]; 4] = [b"busybox", b"busybox.static", b"coreutils", b"toybox"];

/// What the event of an exec tells: the name counts where a rule lists names of the path, or where the program is known to be many in one.
fn execution(event: &RawEvent<'_>) -> Result<Observation, Unresolvable> {
    let (name, path) = called(event.object);
    let observed = ObservedPath::new(path)?;
    let by_name = event.header.missing & access::CALLED != 0;
    let own = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    match name.map(ProgramName::new) {
        Some(Ok(name)) if by_name || MULTI_CALL.contains(&own) => Ok(Observation::ExecAs(observed, name)),
        _ if by_name => Err(Unresolvable::Name),
        _ => Ok(Observation::Exec(observed)),
    }
}

/// Whether the object of an operation on UNIX sockets is an abstract name, and no path.
fn is_key(object: &[u8]) -> bool {
    object.first() == Some(&token::UNIX_CONNECT)
}

/// Why no rule can grant what the event tells, as [`Resolution::missing`] has it: a deleted file is judged by the name it had, unless it is
/// to run.
fn ungrantable(event: &RawEvent<'_>) -> Option<Unresolved> {
    match (event.operation, event.resolution) {
        (operation, _) if operation.is_network() || operation.is_token() => None,
        (operation, Resolution::Deleted) if operation.is_file() && operation != Operation::Map => None,
        (_, resolution) => Unresolved::from_resolution(resolution),
    }
}

/// The rule that grants the observation and nothing else.
#[must_use]
pub fn rule_for(observation: &Observation) -> Rule {
    match observation {
        Observation::Exec(path) => Rule::Exec(ExecRule::any(path.literal.clone())),
        Observation::ExecAs(path, name) => Rule::Exec(ExecRule { path: path.literal.clone(), called_as: Some([name.clone()].into()) }),
        Observation::Open(path, uses) => Rule::File(FileRule { path: path.literal.clone(), access: uses.clone() }),
        Observation::Map(path) => Rule::File(FileRule { path: path.literal.clone(), access: [FileAccess::Map].into() }),
        Observation::Drift(path) => Rule::File(FileRule { path: path.literal.clone(), access: [FileAccess::Drift].into() }),
        Observation::Connect(endpoint) => {
            Rule::Connect(ConnectRule { cidr: Cidr::host(Ipv6Addr::from(endpoint.address).into()), ports: ports_of(endpoint) })
        }
        Observation::Bind(endpoint) => Rule::Bind(BindRule { ports: ports_of(endpoint) }),
        Observation::Token(token) => Rule::Token(token.clone()),
    }
}

fn ports_of(endpoint: &Endpoint) -> BTreeSet<Ports> {
    [Ports::one(Protocol::Number(endpoint.protocol), endpoint.port)].into()
}

/// What an event says of the way out: the exact rule, or why there is none.
#[must_use]
pub fn remedy(event: &RawEvent<'_>) -> Remedy {
    match Observation::from_event(event) {
        Ok(observation) => Remedy::Rule(rule_for(&observation)),
        Err(reason) => Remedy::None(reason.to_string()),
    }
}

/// The bit of a use of a file.
pub(crate) const fn access_bit(used: FileAccess) -> Access {
    match used {
        FileAccess::Read => access::READ,
        FileAccess::Write => access::WRITE,
        FileAccess::Map => access::MAP,
        FileAccess::Create => access::CREATE,
        FileAccess::Delete => access::DELETE,
        FileAccess::Attributes => access::ATTRIBUTES,
        FileAccess::Connect => access::CONNECT,
        FileAccess::Drift => access::DRIFT,
    }
}

/// The uses of a file that the bits say.
#[must_use]
pub fn file_access(bits: Access) -> BTreeSet<FileAccess> {
    FileAccess::ALL.into_iter().filter(|used| bits & access_bit(*used) != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_abi::{Action, EventHeader};

    fn event(operation: Operation, resolution: Resolution, missing: Access, object: &[u8]) -> RawEvent<'_> {
        let header = EventHeader { missing, asked: missing | access::READ, ..EventHeader::default() };
        RawEvent { header, operation, action: Some(Action::Blocked), resolution, executable: b"", arguments: b"", object }
    }

    fn told(event: &RawEvent<'_>) -> String {
        match remedy(event) {
            Remedy::Rule(rule) => rule.to_string(),
            Remedy::None(reason) => reason,
        }
    }

    #[test]
    fn the_rule_of_an_event_is_exact() {
        let key = Endpoint::v4(17, [10, 96, 0, 10], 53).connect_key();
        let bound = Endpoint::v4(6, [127, 0, 0, 1], 8080).bind_key();
        for (operation, missing, object, rule) in [
            (Operation::Exec, access::EXEC, &b"/bin/a b"[..], r"exec /bin/a\x20b"),
            (Operation::Exec, access::EXEC, b"python\0/usr/bin/python3", "exec /usr/bin/python3"),
            (Operation::Exec, access::EXEC, b"ls\0/bin/busybox", "exec /bin/busybox as ls"),
            (Operation::Exec, access::EXEC | access::CALLED, b"ls\0/opt/many", "exec /opt/many as ls"),
            (
                Operation::Exec,
                access::EXEC | access::CALLED,
                b"/opt/many",
                "the program was called by a name that is empty, too long, or cannot be read",
            ),
            (Operation::Exec, access::DRIFT, b"/opt/x-1234", "files drift /opt/x-1234"),
            (Operation::Map, access::DRIFT, b"/lib/x.so", "files drift /lib/x.so"),
            (Operation::Map, access::MAP, b"/lib/x.so", "files map /lib/x.so"),
            (Operation::Open, access::WRITE, b"/tmp/tmpabcdefgh", "files write /tmp/tmpabcdefgh"),
            (Operation::Open, access::READ | access::WRITE, b"/x", "files read,write /x"),
            (Operation::Connect, access::CONNECT, &key, "connect 10.96.0.10/32 53/UDP"),
            (Operation::Bind, access::BIND, &bound, "bind 8080/TCP"),
            (Operation::Capability, access::USE, &[4, 21], "capabilities SYS_ADMIN"),
            (Operation::Socket, access::USE, &[3, 0], "sockets raw"),
            (Operation::Privilege, access::USE, &[5, 2], "privileges mount"),
            (Operation::Xattr, access::USE, b"\x06user.a b", "xattrs user.a b"),
            (Operation::UnixConnect, access::CONNECT, b"/run/x.sock", "files connect /run/x.sock"),
            (Operation::UnixSend, access::USE, b"\x0700a1f", "unix connect @00a1f"),
            (Operation::UnixBind, access::USE, b"\x08", "unix bind @"),
        ] {
            assert_eq!(told(&event(operation, Resolution::Named, missing, object)), rule);
        }
    }

    #[test]
    fn an_ipv6_address_is_a_range_of_128_bits() {
        let endpoint = Endpoint { protocol: 6, address: "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets(), port: 443 };
        assert_eq!(rule_for(&Observation::Connect(endpoint)).to_string(), "connect 2001:db8::1/128 443/TCP");
    }

    #[test]
    fn an_object_without_a_name_has_no_rule() {
        for resolution in [Resolution::Anonymous, Resolution::TooLong, Resolution::Unreachable, Resolution::Deleted, Resolution::Busy] {
            let reason = Unresolved::from_resolution(resolution).unwrap();
            let exec = event(Operation::Exec, resolution, access::EXEC, b"/x");
            assert_eq!(Observation::from_event(&exec), Err(Unresolvable::Object(reason)));
            assert_eq!(remedy(&exec), Remedy::None(reason.to_string()));
        }
    }

    #[test]
    fn a_deleted_file_that_is_written_has_the_rule_of_its_name() {
        assert_eq!(told(&event(Operation::Open, Resolution::Deleted, access::WRITE, b"/x")), "files write /x");
    }

    #[test]
    fn events_that_tell_no_operation_are_no_observations() {
        for (operation, missing, object, reason) in [
            (Operation::ContainerMade, 0, &b"/kubepods"[..], Unresolvable::Life),
            (Operation::Open, 0, b"/x", Unresolvable::Granted),
            (Operation::Connect, access::CONNECT, b"/x", Unresolvable::Key),
            (Operation::Bind, access::BIND, &Endpoint::v4(6, [10, 0, 0, 1], 80).connect_key(), Unresolvable::Key),
        ] {
            assert_eq!(Observation::from_event(&event(operation, Resolution::Named, missing, object)), Err(reason));
        }
        let relative = event(Operation::Exec, Resolution::Named, access::EXEC, b"pipe:[1]");
        assert!(matches!(Observation::from_event(&relative), Err(Unresolvable::Path(_))));
    }
}
