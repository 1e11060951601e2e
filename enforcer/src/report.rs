//! From what the kernel told to what sinks write.

use jiff::Timestamp;
use portcullis_abi::{
    Action, Operation, Resolution, access,
    event::{RawEvent, called},
    netkey::Endpoint,
};
use portcullis_api::event::{self, Container, Event, Object, Process, Unresolved};
use portcullis_api::{FileAccess, Protocol, Token};
use portcullis_matcher::pattern::escape;
use portcullis_profile::observation::{file_access, remedy};
use rustix::time::{ClockId, clock_gettime};
use std::net::Ipv6Addr;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Stdout, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::key::ContainerKey;

/// The event of an operation; `None` for what is told of a container's life. A container that cannot be named is shown by its cgroup alone.
#[must_use]
pub fn event(raw: &RawEvent<'_>, action: Action, key: Option<&ContainerKey>, clock: Clock) -> Option<Event> {
    let operation = match raw.operation {
        Operation::Exec => event::Operation::Exec,
        Operation::Open => event::Operation::Open,
        Operation::Map => event::Operation::Map,
        Operation::Connect | Operation::UnixConnect => event::Operation::Connect,
        Operation::Create => event::Operation::Create,
        Operation::Delete => event::Operation::Delete,
        Operation::Rename => event::Operation::Rename,
        Operation::Link => event::Operation::Link,
        Operation::Truncate => event::Operation::Truncate,
        Operation::Attributes => event::Operation::Attributes,
        Operation::Send | Operation::UnixSend => event::Operation::Send,
        Operation::Bind | Operation::UnixBind => event::Operation::Bind,
        Operation::Socket => event::Operation::Socket,
        Operation::Capability => event::Operation::Capability,
        Operation::Privilege => event::Operation::Privilege,
        Operation::Xattr => event::Operation::Xattr,
        // Recorded, and no operation that is judged.
        Operation::Syscall => return None,
        Operation::ContainerMade | Operation::ContainerStarted | Operation::ContainerGone | Operation::Existed => return None,
    };
    let header = &raw.header;
    let name = |part: fn(&ContainerKey) -> &String| key.map(part).cloned().unwrap_or_default();
    Some(Event {
        time: clock.at(header.time),
        action: action.into(),
        operation,
        object: object(raw),
        access: asked(raw),
        process: Process {
            pid: header.pid,
            parent: header.parent,
            executable: if raw.executable.is_empty() { String::new() } else { escape(raw.executable) },
            arguments: arguments(raw.arguments),
            uid: header.uid,
            gid: header.gid,
            session: (header.session != 0).then_some(header.session),
        },
        container: Container {
            namespace: name(|key| &key.namespace),
            profile: name(|key| &key.profile),
            name: name(|key| &key.container),
            cgroup: header.cgroup,
        },
        repeats: header.repeats,
        remedy: remedy(raw),
    })
}

/// What was asked of a file. What a further name would add is what counts of a link, so of that it is what is missing.
fn asked(raw: &RawEvent<'_>) -> Vec<FileAccess> {
    match raw.operation {
        Operation::Exec | Operation::Map => file_access(raw.header.asked & access::DRIFT).into_iter().collect(),
        Operation::Link => file_access(raw.header.missing).into_iter().collect(),
        operation if operation.is_file() => file_access(raw.header.asked).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn object(raw: &RawEvent<'_>) -> Object {
    let endpoint = if raw.operation == Operation::Bind { Endpoint::from_bind_key } else { Endpoint::from_connect_key };
    if raw.operation.is_network()
        && let Some(endpoint) = endpoint(raw.object)
    {
        return Object::Endpoint {
            address: Ipv6Addr::from(endpoint.address).to_canonical(),
            port: endpoint.port,
            protocol: Protocol::Number(endpoint.protocol),
        };
    }
    if (raw.operation.is_token() || raw.operation.is_unix())
        && let Ok(token) = Token::from_key(raw.object)
    {
        return Object::Token(token);
    }
    let unresolved = (raw.resolution != Resolution::Named).then(|| Unresolved::from_resolution(raw.resolution)).flatten();
    let (called, path) = if raw.operation == Operation::Exec { called(raw.object) } else { (None, raw.object) };
    Object::File { path: escape(path), unresolved, called_as: called.map(event::text) }
}

fn arguments(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() { Vec::new() } else { bytes.split(|byte| *byte == 0).map(event::text).collect() }
}

/// What time it was at an instant of `CLOCK_BOOTTIME`.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Nanoseconds from the epoch to the boot, as of now: the wall clock may be set, the boot time runs on.
    booted: i128,
}

impl Clock {
    /// The clock as of now.
    #[must_use]
    pub fn now() -> Self {
        Self { booted: Timestamp::now().as_nanosecond() - i128::from(boot_time()) }
    }

    /// The time at `boot` nanoseconds after the boot. What no calendar holds is the epoch.
    fn at(self, boot: u64) -> Timestamp {
        Timestamp::from_nanosecond(self.booted + i128::from(boot)).unwrap_or_default()
    }
}

/// Nanoseconds since the boot, time asleep included (`CLOCK_BOOTTIME`).
#[must_use]
pub fn boot_time() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    u64::try_from(time.tv_sec).unwrap_or_default() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

/// Where events go, as JSON lines.
#[derive(Debug)]
pub enum Sink {
    /// Standard output.
    Output(Stdout),
    /// The end of a file.
    File(File),
}

impl Sink {
    /// The file, made where it does not exist for its owner alone (arguments may hold secrets), or standard output.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(file: Option<&Path>) -> io::Result<Self> {
        Ok(match file {
            Some(path) => Self::File(append_to(path)?),
            None => Self::Output(io::stdout()),
        })
    }

    /// Writes one event, as one line in one piece.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        match self {
            Self::Output(output) => output.write_all(&line),
            Self::File(file) => file.write_all(&line),
        }
    }

    /// Hands over what was written.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Output(output) => output.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// Opens a file to append lines. What an agent that was killed has left of a line is ended, so that it spoils no other.
fn append_to(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_abi::EventHeader;

    fn raw(operation: Operation, object: &'static [u8]) -> RawEvent<'static> {
        RawEvent {
            header: EventHeader {
                time: 5,
                pid: 7,
                parent: 1,
                asked: access_of(operation),
                missing: access_of(operation),
                ..EventHeader::default()
            },
            operation,
            action: Some(Action::Blocked),
            resolution: Resolution::Named,
            executable: b"/bin/httpd",
            arguments: b"httpd\0-f\0",
            object,
        }
    }

    const fn access_of(operation: Operation) -> u32 {
        match operation {
            Operation::Exec => access::EXEC,
            Operation::Map => access::MAP,
            Operation::Connect => access::CONNECT,
            Operation::Bind => access::BIND,
            _ => access::WRITE,
        }
    }

    fn json(raw: &RawEvent<'_>) -> serde_json::Value {
        let key = ContainerKey { namespace: "shop".into(), profile: "web".into(), container: "c".into() };
        serde_json::to_value(event(raw, Action::Blocked, Some(&key), Clock { booted: 0 }).unwrap()).unwrap()
    }

    #[test]
    fn an_event_names_process_container_object_and_the_rule_that_would_have_allowed_it() {
        let shown = json(&raw(Operation::Exec, b"/bin/sh"));
        assert_eq!(shown["action"], "blocked");
        assert_eq!(shown["object"]["path"], "/bin/sh");
        assert_eq!(shown["process"]["arguments"], serde_json::json!(["httpd", "-f"]));
        assert_eq!(shown["container"]["namespace"], "shop");
        assert_eq!(shown["rule"], serde_json::json!({"exec": [{"path": "/bin/sh"}]}));
        assert_eq!(shown["time"], "1970-01-01T00:00:00.000000005Z");
    }

    #[test]
    fn a_connection_is_shown_by_its_address() {
        let key: &'static [u8] = Endpoint::v4(6, [169, 254, 169, 254], 80).connect_key().to_vec().leak();
        let shown = json(&raw(Operation::Connect, key));
        assert_eq!(shown["object"], serde_json::json!({"address": "169.254.169.254", "port": 80, "protocol": "TCP"}));
    }

    #[test]
    fn a_bind_is_shown_by_its_own_address_and_the_rule_by_its_port() {
        let key: &'static [u8] = Endpoint::v4(6, [0; 4], 4444).bind_key().to_vec().leak();
        let shown = json(&raw(Operation::Bind, key));
        assert_eq!(shown["operation"], "bind");
        assert_eq!(shown["object"], serde_json::json!({"address": "0.0.0.0", "port": 4444, "protocol": "TCP"}));
        assert_eq!(shown["rule"], serde_json::json!({"bind": [{"ports": ["4444/TCP"]}]}));
    }

    #[test]
    fn what_is_granted_whole_is_shown_by_its_name() {
        for (operation, key, object) in [
            (Operation::Capability, &[4, 21][..], serde_json::json!({"capability": "SYS_ADMIN"})),
            (Operation::Socket, &[3, 17], serde_json::json!({"socket": "packet"})),
            (Operation::Privilege, &[5, 6], serde_json::json!({"privilege": "bpf"})),
            (Operation::Xattr, b"\x06user.a", serde_json::json!({"xattr": "user.a"})),
        ] {
            let shown = json(&raw(operation, key));
            assert_eq!(shown["object"], object);
            assert!(shown["rule"].is_object() && shown.get("access").is_none(), "{shown}");
        }
    }

    #[test]
    fn what_is_left_of_a_line_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        std::fs::write(&path, "{\"time\":").unwrap();
        for _ in 0..2 {
            let key = ContainerKey { namespace: "shop".into(), profile: "web".into(), container: "c".into() };
            let event = event(&raw(Operation::Exec, b"/bin/sh"), Action::Blocked, Some(&key), Clock { booted: 0 }).unwrap();
            Sink::open(Some(&path)).unwrap().write(&event).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let read = text.lines().map(|line| serde_json::from_str::<Event>(line).is_ok());
        assert_eq!(read.collect::<Vec<_>>(), [false, true, true]);
    }

    #[test]
    fn a_containers_life_is_no_event() {
        assert!(event(&raw(Operation::ContainerMade, b"/p"), Action::Blocked, None, Clock { booted: 0 }).is_none());
    }
}
