use super::*;
use crate::{ConnectRule, FileRule};

fn blocked_write() -> Event {
    Event {
        time: "2026-11-22T07:12:36.12Z".parse().unwrap(),
        action: Action::Blocked,
        operation: Operation::Open,
        object: Object::File { path: "/usr/bin/sh".to_owned(), unresolved: None, called_as: None },
        access: vec![FileAccess::Read, FileAccess::Write],
        process: Process {
            pid: 4711,
            parent: 4700,
            executable: "/usr/sbin/nginx".to_owned(),
            arguments: vec!["nginx:".to_owned(), text(b"w\xff")],
            uid: 101,
            gid: 101,
            session: None,
        },
        container: Container { namespace: "shop".to_owned(), profile: "deployment-web".to_owned(), name: "web".to_owned(), cgroup: 12345 },
        repeats: 0,
        remedy: Remedy::Rule(Rule::File(FileRule {
            path: "/usr/bin/sh".parse().unwrap(),
            access: [FileAccess::Read, FileAccess::Write].into(),
        })),
    }
}

fn reads_as(event: &Event, json: &str) {
    let json: String = json.lines().map(str::trim_start).collect();
    assert_eq!(serde_json::to_string(event).unwrap(), json);
    assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), *event);
}

#[test]
fn a_blocked_write_is_written_with_the_rule_that_would_allow_it() {
    reads_as(
        &blocked_write(),
        r#"{"time":"2026-11-22T07:12:36.120000000Z","action":"blocked","operation":"open",
        "object":{"path":"/usr/bin/sh"},"access":["read","write"],
        "process":{"pid":4711,"parent":4700,"executable":"/usr/sbin/nginx","arguments":["nginx:","w\\xff"],"uid":101,"gid":101},
        "container":{"namespace":"shop","profile":"deployment-web","name":"web","cgroup":12345},
        "repeats":0,"rule":{"files":[{"path":"/usr/bin/sh","access":["read","write"]}]}}"#,
    );
}

#[test]
fn a_connection_is_written_with_its_endpoint_and_session() {
    let address: IpAddr = "169.254.169.254".parse().unwrap();
    let rule = ConnectRule { cidr: crate::Cidr::host(address), ports: ["80/TCP".parse().unwrap()].into() };
    let base = blocked_write();
    let event = Event {
        action: Action::WouldBlock,
        operation: Operation::Connect,
        object: Object::Endpoint { address, port: 80, protocol: Protocol::TCP },
        access: vec![],
        process: Process { session: Some(3), ..base.process },
        repeats: 17,
        remedy: Remedy::Rule(Rule::Connect(rule)),
        ..base
    };
    reads_as(
        &event,
        r#"{"time":"2026-11-22T07:12:36.120000000Z","action":"would-block","operation":"connect",
        "object":{"address":"169.254.169.254","port":80,"protocol":"TCP"},
        "process":{"pid":4711,"parent":4700,"executable":"/usr/sbin/nginx","arguments":["nginx:","w\\xff"],"uid":101,"gid":101,"session":3},
        "container":{"namespace":"shop","profile":"deployment-web","name":"web","cgroup":12345},
        "repeats":17,"rule":{"connect":[{"cidr":"169.254.169.254/32","ports":["80/TCP"]}]}}"#,
    );
}

#[test]
fn what_is_granted_whole_is_written_by_its_kind_and_name() {
    let ptrace = Token::Privilege("ptrace".parse().unwrap());
    let event = Event {
        operation: Operation::Privilege,
        object: Object::Token(ptrace.clone()),
        access: vec![],
        remedy: Remedy::Rule(Rule::Token(ptrace)),
        ..blocked_write()
    };
    reads_as(
        &event,
        r#"{"time":"2026-11-22T07:12:36.120000000Z","action":"blocked","operation":"privilege",
        "object":{"privilege":"ptrace"},
        "process":{"pid":4711,"parent":4700,"executable":"/usr/sbin/nginx","arguments":["nginx:","w\\xff"],"uid":101,"gid":101},
        "container":{"namespace":"shop","profile":"deployment-web","name":"web","cgroup":12345},
        "repeats":0,"rule":{"privileges":["ptrace"]}}"#,
    );
}

#[test]
fn what_no_rule_can_allow_says_why() {
    let event = Event {
        operation: Operation::Exec,
        object: Object::File { path: String::new(), unresolved: Some(Unresolved::Anonymous), called_as: None },
        access: vec![],
        remedy: Remedy::None(Unresolved::Anonymous.to_string()),
        ..blocked_write()
    };
    reads_as(
        &event,
        r#"{"time":"2026-11-22T07:12:36.120000000Z","action":"blocked","operation":"exec",
        "object":{"path":"","unresolved":"anonymous"},
        "process":{"pid":4711,"parent":4700,"executable":"/usr/sbin/nginx","arguments":["nginx:","w\\xff"],"uid":101,"gid":101},
        "container":{"namespace":"shop","profile":"deployment-web","name":"web","cgroup":12345},
        "repeats":0,"rule":null,"noRule":"the file never had a name"}"#,
    );
}

#[test]
fn a_field_of_a_later_version_is_passed_over() {
    let json = serde_json::to_string(&blocked_write()).unwrap().replace(r#""repeats":0"#, r#""repeats":0,"node":"a""#);
    assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), blocked_write());
}

#[test]
fn an_event_has_a_rule_or_a_reason_and_never_both_or_neither() {
    let json = serde_json::to_string(&blocked_write()).unwrap();
    assert!(serde_json::from_str::<Event>(&json.replace(r#""repeats":0"#, r#""repeats":0,"noRule":"x""#)).is_err());
    let without = json.split(r#","rule""#).next().unwrap().to_owned() + "}";
    assert!(serde_json::from_str::<Event>(&without).is_err());
}

#[test]
fn texts_keep_their_utf8_and_show_every_other_byte() {
    assert_eq!(text("größe".as_bytes()), "größe");
    assert_eq!(text(b"a\xc3\x28\xf0\x9f"), "a\\xc3(\\xf0\\x9f");
}
