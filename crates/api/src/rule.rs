//! One rule by itself, as the fragment of a profile that says it and nothing else.

use crate::{
    BindRule, Capability, ConnectRule, ContainerRules, ExecRule, FileRule, Privilege, SocketKind, Syscall, Token, UnixRules, XattrPattern,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A rule of a container. Its JSON is the object that can be merged into an entry of `containers`:
/// `{"files":[{"path":"/var/log/x","access":["write"]}]}`. Its text is that object, or its entry, in one line of YAML.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "Fragment", try_from = "Fragment")]
pub enum Rule {
    /// Under `exec`.
    Exec(ExecRule),
    /// Under `files`.
    File(FileRule),
    /// Under `connect`.
    Connect(ConnectRule),
    /// Under `bind`.
    Bind(BindRule),
    /// Under `capabilities`, `sockets`, `privileges`, `xattrs`, `unix` or `syscalls`.
    Token(Token),
}

impl Rule {
    /// The rules of a container, one by one: list after list, each in its order.
    pub fn all_of(container: &ContainerRules) -> impl Iterator<Item = Self> {
        let exec = container.exec.iter().cloned().map(Self::Exec);
        let files = container.files.iter().cloned().map(Self::File);
        let connect = container.connect.iter().cloned().map(Self::Connect);
        let bind = container.bind.iter().cloned().map(Self::Bind);
        exec.chain(files).chain(connect).chain(bind).chain(container.tokens().map(Self::Token))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exec(rule) => {
                write!(f, "exec {}", rule.path)?;
                match &rule.called_as {
                    Some(names) => f.write_str(" as ").and_then(|()| listed(f, names)),
                    None => Ok(()),
                }
            }
            Self::File(rule) => {
                f.write_str("files ")?;
                listed(f, &rule.access)?;
                write!(f, " {}", rule.path)
            }
            Self::Connect(rule) => {
                write!(f, "connect {} ", rule.cidr)?;
                listed(f, &rule.ports)
            }
            Self::Bind(rule) => {
                f.write_str("bind ")?;
                listed(f, &rule.ports)
            }
            Self::Token(token) => token.fmt(f),
        }
    }
}

/// The items with commas between them.
fn listed(f: &mut fmt::Formatter<'_>, items: impl IntoIterator<Item = impl fmt::Display>) -> fmt::Result {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// The wire form: a container's lists, of which one has one entry.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fragment {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exec: Vec<ExecRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    connect: Vec<ConnectRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bind: Vec<BindRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<Capability>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sockets: Vec<SocketKind>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    privileges: Vec<Privilege>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<XattrPattern>,
    #[serde(default, skip_serializing_if = "UnixRules::is_empty")]
    unix: UnixRules,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    syscalls: Vec<Syscall>,
}

impl From<Rule> for Fragment {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Exec(rule) => Self { exec: vec![rule], ..Self::default() },
            Rule::File(rule) => Self { files: vec![rule], ..Self::default() },
            Rule::Connect(rule) => Self { connect: vec![rule], ..Self::default() },
            Rule::Bind(rule) => Self { bind: vec![rule], ..Self::default() },
            Rule::Token(Token::Capability(capability)) => Self { capabilities: vec![capability], ..Self::default() },
            Rule::Token(Token::Socket(kind)) => Self { sockets: vec![kind], ..Self::default() },
            Rule::Token(Token::Privilege(privilege)) => Self { privileges: vec![privilege], ..Self::default() },
            Rule::Token(Token::Xattr(pattern)) => Self { xattrs: vec![pattern], ..Self::default() },
            Rule::Token(Token::UnixConnect(name)) => {
                Self { unix: UnixRules { connect: [name].into(), ..UnixRules::default() }, ..Self::default() }
            }
            Rule::Token(Token::Syscall(call)) => Self { syscalls: vec![call], ..Self::default() },
            Rule::Token(Token::UnixBind(name)) => {
                Self { unix: UnixRules { bind: [name].into(), ..UnixRules::default() }, ..Self::default() }
            }
        }
    }
}

impl TryFrom<Fragment> for Rule {
    type Error = &'static str;

    fn try_from(fragment: Fragment) -> Result<Self, Self::Error> {
        let exec = fragment.exec.into_iter().map(Self::Exec);
        let files = fragment.files.into_iter().map(Self::File);
        let connect = fragment.connect.into_iter().map(Self::Connect);
        let bind = fragment.bind.into_iter().map(Self::Bind);
        let capabilities = fragment.capabilities.into_iter().map(Token::Capability);
        let tokens = capabilities.chain(fragment.sockets.into_iter().map(Token::Socket));
        let tokens = tokens.chain(fragment.privileges.into_iter().map(Token::Privilege));
        let tokens = tokens.chain(fragment.xattrs.into_iter().map(Token::Xattr));
        let tokens = tokens.chain(fragment.unix.connect.into_iter().map(Token::UnixConnect));
        let tokens = tokens.chain(fragment.unix.bind.into_iter().map(Token::UnixBind));
        let tokens = tokens.chain(fragment.syscalls.into_iter().map(Token::Syscall)).map(Self::Token);
        let mut rules = exec.chain(files).chain(connect).chain(bind).chain(tokens);
        match (rules.next(), rules.next()) {
            (Some(rule), None) => Ok(rule),
            _ => Err("a fragment that is not exactly one rule"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_as_the_fragment_that_can_be_pasted() {
        for (json, text) in [
            (r#"{"exec":[{"path":"/usr/sbin/nginx"}]}"#, "exec /usr/sbin/nginx"),
            (r#"{"exec":[{"path":"/bin/busybox","as":["cat","ls"]}]}"#, "exec /bin/busybox as cat,ls"),
            (r#"{"files":[{"path":"/x","access":["read","write"]}]}"#, "files read,write /x"),
            (r#"{"connect":[{"cidr":"10.0.0.7/32","ports":["53/TCP","53/UDP"]}]}"#, "connect 10.0.0.7/32 53/TCP,53/UDP"),
            (r#"{"bind":[{"ports":["8080/TCP","0/UDP"]}]}"#, "bind 8080/TCP,0/UDP"),
            (r#"{"capabilities":["NET_ADMIN"]}"#, "capabilities NET_ADMIN"),
            (r#"{"sockets":["packet"]}"#, "sockets packet"),
            (r#"{"privileges":["ptrace"]}"#, "privileges ptrace"),
            (r#"{"xattrs":["user.*"]}"#, "xattrs user.*"),
            (r#"{"unix":{"connect":["@x*"]}}"#, "unix connect @x*"),
            (r#"{"syscalls":["openat"]}"#, "syscalls openat"),
            (r#"{"unix":{"bind":["@"]}}"#, "unix bind @"),
            (r#"{"files":[{"path":"/run/x.sock","access":["connect"]}]}"#, "files connect /run/x.sock"),
        ] {
            let rule: Rule = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&rule).unwrap(), json);
            assert_eq!(rule.to_string(), text);
        }
    }

    #[test]
    fn a_fragment_of_none_or_two_rules_is_refused() {
        assert!(serde_json::from_str::<Rule>("{}").is_err());
        assert!(serde_json::from_str::<Rule>(r#"{"exec":[{"path":"/a"},{"path":"/b"}]}"#).is_err());
    }
}
