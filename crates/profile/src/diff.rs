//! What changed between two editions of a container's rules, as a person reads it.

use portcullis_api::{ContainerRules, Rule};
use std::{collections::BTreeSet, fmt};

/// A line that only one of two editions has. Shown as `+ files write /var/log/x` and `- guard /etc/shadow`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// The old edition has it.
    Removed(Line),
    /// The new edition has it.
    Added(Line),
}

/// A line of a container's rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Line {
    /// A rule.
    Rule(Rule),
    /// A guarded tree, by its pattern.
    Guard(String),
    /// The default guard: there is no list.
    DefaultGuard,
    /// No guard: the list is empty.
    NoGuard,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => rule.fmt(f),
            Self::Guard(path) => write!(f, "guard {path}"),
            Self::DefaultGuard => f.write_str("guard by default"),
            Self::NoGuard => f.write_str("guard nothing"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed(line) => write!(f, "- {line}"),
            Self::Added(line) => write!(f, "+ {line}"),
        }
    }
}

/// The changes from `old` to `new`, sorted by line and, for a line that is spelled anew, the old one first. Empty where they have the
/// same lines, in whatever order.
#[must_use]
pub fn diff(old: &ContainerRules, new: &ContainerRules) -> Vec<Change> {
    let (old, new) = (lines(old), lines(new));
    let removed = old.difference(&new).cloned().map(Change::Removed);
    let mut changes: Vec<_> = removed.chain(new.difference(&old).cloned().map(Change::Added)).collect();
    changes.sort_by_cached_key(|change| {
        let (line, added) = match change {
            Change::Removed(line) => (line, false),
            Change::Added(line) => (line, true),
        };
        (subject(line), added)
    });
    changes
}

/// What a line is about, by which its two spellings come together.
fn subject(line: &Line) -> (u8, String) {
    match line {
        Line::Rule(Rule::Exec(rule)) => (0, rule.path.to_string()),
        Line::Rule(Rule::File(rule)) => (1, rule.path.to_string()),
        Line::Rule(Rule::Connect(rule)) => (2, rule.cidr.to_string()),
        Line::Rule(Rule::Bind(_)) => (3, String::new()),
        Line::Rule(Rule::Token(token)) => (4, token.to_string()),
        Line::Guard(path) => (9, path.clone()),
        Line::DefaultGuard | Line::NoGuard => (9, String::new()),
    }
}

fn lines(rules: &ContainerRules) -> BTreeSet<Line> {
    let guard: Vec<_> = match &rules.guard {
        None => vec![Line::DefaultGuard],
        Some(paths) if paths.is_empty() => vec![Line::NoGuard],
        Some(paths) => paths.iter().map(|path| Line::Guard(path.to_string())).collect(),
    };
    Rule::all_of(rules).map(Line::Rule).chain(guard).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> ContainerRules {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_changed_rule_is_shown_before_and_after() {
        let old = rules(r#"{"name":"a","exec":[{"path":"/bin/a"}],"files":[{"path":"/x","access":["write"]}],"guard":["/etc/shadow"]}"#);
        let new = rules(r#"{"name":"a","files":[{"path":"/x","access":["read","write"]},{"path":"/a","access":["map"]}]}"#);
        let shown: Vec<_> = diff(&old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["- exec /bin/a", "+ files map /a", "- files write /x", "+ files read,write /x", "+ guard by default", "- guard /etc/shadow"]
        );
    }

    #[test]
    fn the_ports_to_bind_are_shown_before_and_after() {
        let ports = |ports: &str| rules(&format!(r#"{{"name":"a","bind":[{{"ports":[{ports}]}}]}}"#));
        let shown: Vec<_> = diff(&ports(r#""80/TCP""#), &ports(r#""80-81/TCP""#)).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["- bind 80/TCP", "+ bind 80-81/TCP"]);
    }

    #[test]
    fn rules_in_another_order_are_no_change() {
        let old = rules(r#"{"name":"a","exec":[{"path":"/a"},{"path":"/b"}]}"#);
        let new = rules(r#"{"name":"a","exec":[{"path":"/b"},{"path":"/a"}]}"#);
        assert_eq!(diff(&old, &new), []);
    }

    #[test]
    fn guarding_nothing_is_no_default() {
        let shown: Vec<_> = diff(&rules(r#"{"name":"a"}"#), &rules(r#"{"name":"a","guard":[]}"#)).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["- guard by default", "+ guard nothing"]);
    }
}
