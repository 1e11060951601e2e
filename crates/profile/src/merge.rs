//! One rule into the rules of a container.
//!
//! A rule is taken apart into *grants*: a path with one use, or a range of addresses with some ports (to bind, of any address). What the rules already grant is
//! not added, and what the new rule covers is taken out, so that the outcome is the set of the widest grants, whatever the order: merging is
//! associative, commutative and idempotent. What a person wrote stays as it is until something wider comes. Executing includes mapping
//! as code, so a file's `map` goes where an `exec` rule covers it.
//!
//! The lists are sorted, a path or range is listed once, and ports that touch are one range.

mod network;

use crate::cover::{covers, supersedes};
use portcullis_api::{ContainerRules, ExecRule, FileAccess, FileRule, PathPattern, ProgramName, Rule, Token};
use std::collections::{BTreeMap, BTreeSet};

/// The bounds of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most entries of one container, of all lists together but `guard` and `syscalls`, which grant nothing.
    pub rules: usize,
}

impl Default for Limits {
    /// 4,000 entries: some 300 KiB of YAML, of the 1.5 MiB that etcd takes as one object, and several times what large applications need.
    fn default() -> Self {
        Self { rules: 4_000 }
    }
}

/// A rule that found no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("container {container} has {limit} rules, as many as a profile may hold, and lacks: {rule}")]
pub struct Full {
    /// The container.
    pub container: String,
    /// The limit.
    pub limit: usize,
    /// The rule that is not in the profile.
    pub rule: Rule,
}

/// Adds what the rule grants and the container's rules do not. Whether they changed.
///
/// # Errors
/// [`Full`] where there would be more rules than before and than the limit; the rules are then as they were.
pub fn merge(rules: &mut ContainerRules, rule: &Rule, limits: Limits) -> Result<bool, Full> {
    // A rule becomes one entry at most, so below the limit there is room for it.
    if entries(rules) < limits.rules {
        return Ok(add(rules, rule));
    }
    let mut merged = rules.clone();
    if !add(&mut merged, rule) {
        return Ok(false);
    }
    if entries(&merged) > entries(rules) {
        return Err(Full { container: rules.name.clone(), limit: limits.rules, rule: rule.clone() });
    }
    *rules = merged;
    Ok(true)
}

/// How many rules there are that grant something.
#[must_use]
pub fn entries(rules: &ContainerRules) -> usize {
    rules.exec.len() + rules.files.len() + rules.connect.len() + rules.bind.len() + rules.tokens().filter(Token::is_granted).count()
}

/// Adds the rule. Whether it granted anything new.
fn add(rules: &mut ContainerRules, rule: &Rule) -> bool {
    match rule {
        Rule::Exec(exec) => add_exec(rules, exec),
        Rule::File(file) => add_file(rules, file),
        Rule::Connect(connect) => replaced(&mut rules.connect, |list| network::with_connect(list, connect)),
        Rule::Bind(bind) => replaced(&mut rules.bind, |list| network::with_bind(list, bind)),
        Rule::Token(token) => add_token(rules, token),
    }
}

/// Puts the merged list in the place of the old one, where there is one.
fn replaced<R>(list: &mut Vec<R>, merge: impl FnOnce(&[R]) -> Option<Vec<R>>) -> bool {
    let merged = merge(list);
    let changed = merged.is_some();
    if let Some(merged) = merged {
        *list = merged;
    }
    changed
}

/// Of attributes and abstract names, a pattern takes the place of those that it covers.
fn add_token(rules: &mut ContainerRules, new: &Token) -> bool {
    if rules.tokens().any(|token| token.covers(new)) {
        return false;
    }
    rules.retain_tokens(|listed| !new.covers(listed));
    rules.list(new.clone())
}

/// Of a path, each name is a grant of its own, and any name one that holds them all.
fn add_exec(rules: &mut ContainerRules, new: &ExecRule) -> bool {
    let granted = |name: Option<&ProgramName>| rules.exec.iter().any(|rule| grants(rule, name) && supersedes(&rule.path, &new.path));
    let fresh: Option<BTreeSet<ProgramName>> = match &new.called_as {
        None if granted(None) => return false,
        None => None,
        Some(names) => {
            let fresh: BTreeSet<_> = names.iter().filter(|name| !granted(Some(name))).cloned().collect();
            if fresh.is_empty() {
                return false;
            }
            Some(fresh)
        }
    };
    let fresh = ExecRule { path: new.path.clone(), called_as: fresh };
    rules.exec.retain_mut(|rule| !supersedes(&fresh.path, &rule.path) || take_names_out(rule, &fresh));
    match rules.exec.iter_mut().find(|rule| rule.path == fresh.path) {
        Some(ExecRule { called_as: Some(listed), .. }) => listed.extend(fresh.called_as.into_iter().flatten()),
        _ => rules.exec.push(fresh),
    }
    rules.exec.sort();
    take_out(&mut rules.files, |path, used| used == FileAccess::Map && covers(&new.path, path));
    true
}

/// Whether the rule grants its paths by that name; by any, where there is none.
fn grants(rule: &ExecRule, name: Option<&ProgramName>) -> bool {
    match (&rule.called_as, name) {
        (None, _) => true,
        (Some(listed), Some(name)) => listed.contains(name),
        (Some(_), None) => false,
    }
}

/// Takes the names out that the other rule grants; whether anything is left.
fn take_names_out(rule: &mut ExecRule, other: &ExecRule) -> bool {
    match &mut rule.called_as {
        Some(listed) => {
            listed.retain(|name| !grants(other, Some(name)));
            !listed.is_empty()
        }
        None => !grants(other, None),
    }
}

fn add_file(rules: &mut ContainerRules, new: &FileRule) -> bool {
    let granted = |used: FileAccess| {
        rules.files.iter().any(|rule| rule.access.contains(&used) && supersedes(&rule.path, &new.path))
            || used == FileAccess::Map && rules.exec.iter().any(|rule| covers(&rule.path, &new.path))
    };
    let fresh: BTreeSet<_> = new.access.iter().copied().filter(|used| !granted(*used)).collect();
    if fresh.is_empty() {
        return false;
    }
    take_out(&mut rules.files, |path, used| *path != new.path && fresh.contains(&used) && supersedes(&new.path, path));
    match rules.files.iter_mut().find(|rule| rule.path == new.path) {
        Some(rule) => rule.access.extend(fresh),
        None => rules.files.push(FileRule { path: new.path.clone(), access: fresh }),
    }
    rules.files.sort();
    true
}

/// Takes out the grants that `superseded` names, and the rules of which nothing is left.
fn take_out(files: &mut Vec<FileRule>, superseded: impl Fn(&PathPattern, FileAccess) -> bool) {
    files.retain_mut(|FileRule { path, access }| {
        access.retain(|used| !superseded(path, *used));
        !access.is_empty()
    });
}

/// The rules of two containers of one name together: the second's, one by one, into the first.
///
/// # Errors
/// [`Full`] at the first rule that finds no room; those before it are in.
pub fn merge_all(rules: &mut ContainerRules, others: &ContainerRules, limits: Limits) -> Result<bool, Full> {
    Rule::all_of(others).try_fold(false, |changed, rule| Ok(merge(rules, &rule, limits)? || changed))
}

/// File rules by use, each path of a use once.
pub(crate) fn by_use(files: &[FileRule]) -> BTreeMap<FileAccess, BTreeSet<PathPattern>> {
    let mut uses: BTreeMap<FileAccess, BTreeSet<PathPattern>> = BTreeMap::new();
    for rule in files {
        for used in &rule.access {
            uses.entry(*used).or_default().insert(rule.path.clone());
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(rules: &[serde_json::Value]) -> Vec<String> {
        let mut container = ContainerRules { name: "web".to_owned(), ..ContainerRules::default() };
        for rule in rules {
            merge(&mut container, &serde_json::from_value(rule.clone()).unwrap(), Limits::default()).unwrap();
        }
        Rule::all_of(&container).map(|rule| rule.to_string()).collect()
    }

    /// In either order.
    fn both(one: serde_json::Value, other: serde_json::Value, rules: &[&str]) {
        assert_eq!(merged(&[one.clone(), other.clone()]), rules);
        assert_eq!(merged(&[other, one]), rules);
    }

    fn file(path: &str, access: &[&str]) -> serde_json::Value {
        json!({ "files": [{ "path": path, "access": access }] })
    }

    fn connect(cidr: &str, ports: &[&str]) -> serde_json::Value {
        json!({ "connect": [{ "cidr": cidr, "ports": ports }] })
    }

    #[test]
    fn a_wider_rule_takes_the_place_of_a_narrower_one() {
        both(file("/tmp/a", &["write"]), file("/tmp/*", &["write"]), &["files write /tmp/*"]);
        both(json!({ "exec": [{ "path": "/bin/a" }] }), json!({ "exec": [{ "path": "/bin/*" }] }), &["exec /bin/*"]);
    }

    #[test]
    fn only_what_the_wider_rule_grants_is_taken_from_the_narrower() {
        both(file("/a/x", &["read", "write"]), file("/a/*", &["read"]), &["files read /a/*", "files write /a/x"]);
    }

    #[test]
    fn the_uses_of_one_path_are_one_rule() {
        both(file("/x", &["write"]), file("/x", &["read"]), &["files read,write /x"]);
    }

    #[test]
    fn names_of_a_program_come_together_and_any_name_takes_their_place() {
        let exec = |path: &str, names: &[&str]| json!({ "exec": [{ "path": path, "as": names }] });
        let any = |path: &str| json!({ "exec": [{ "path": path }] });
        both(exec("/bin/b", &["ls"]), exec("/bin/b", &["cat"]), &["exec /bin/b as cat,ls"]);
        both(exec("/bin/b", &["ls", "cat"]), exec("/bin/*", &["ls"]), &["exec /bin/* as ls", "exec /bin/b as cat"]);
        both(exec("/bin/b", &["ls"]), any("/bin/b"), &["exec /bin/b"]);
        both(exec("/bin/b", &["ls"]), any("/bin/*"), &["exec /bin/*"]);
        both(any("/bin/b"), exec("/bin/*", &["ls"]), &["exec /bin/* as ls", "exec /bin/b"]);
        both(exec("/bin/b", &["ls"]), file("/bin/b", &["map"]), &["exec /bin/b as ls"]);
    }

    #[test]
    fn what_may_be_executed_need_not_be_mapped() {
        both(json!({ "exec": [{ "path": "/bin/a" }] }), file("/bin/a", &["map"]), &["exec /bin/a"]);
        both(json!({ "exec": [{ "path": "/bin/a" }] }), file("/bin/a", &["map", "write"]), &["exec /bin/a", "files write /bin/a"]);
    }

    #[test]
    fn the_ports_of_one_range_are_one_rule_and_ports_that_touch_one_range() {
        both(connect("10.0.0.1/32", &["53/TCP"]), connect("10.0.0.1/32", &["53/UDP"]), &["connect 10.0.0.1/32 53/TCP,53/UDP"]);
        both(connect("10.0.0.1/32", &["80-85/TCP"]), connect("10.0.0.1/32", &["84-90/TCP"]), &["connect 10.0.0.1/32 80-90/TCP"]);
        both(connect("10.0.0.1/32", &["80/TCP"]), connect("10.0.0.1/32", &["*/ANY"]), &["connect 10.0.0.1/32 */ANY"]);
    }

    #[test]
    fn all_ports_to_bind_are_one_rule() {
        let bind = |ports: &[&str]| json!({ "bind": [{ "ports": ports }] });
        both(bind(&["8080/TCP"]), bind(&["53/UDP", "8081/TCP"]), &["bind 8080-8081/TCP,53/UDP"]);
        both(bind(&["8080/TCP"]), bind(&["*/TCP"]), &["bind */TCP"]);
        both(bind(&["0/UDP"]), connect("::/0", &["0/UDP"]), &["connect ::/0 0/UDP", "bind 0/UDP"]);
    }

    #[test]
    fn ports_that_a_wider_range_has_are_taken_from_the_narrower() {
        both(
            connect("10.0.0.0/8", &["80-90/TCP"]),
            connect("10.0.0.1/32", &["85-100/TCP"]),
            &["connect 10.0.0.0/8 80-90/TCP", "connect 10.0.0.1/32 91-100/TCP"],
        );
        both(
            connect("10.0.0.0/8", &["*/TCP"]),
            connect("::/0", &["443/TCP"]),
            &["connect 10.0.0.0/8 0-442/TCP,444-65535/TCP", "connect ::/0 443/TCP"],
        );
    }

    #[test]
    fn an_open_attribute_takes_the_place_of_those_that_it_covers() {
        both(json!({ "xattrs": ["user.a"] }), json!({ "xattrs": ["user.*"] }), &["xattrs user.*"]);
        both(json!({ "xattrs": ["user.a*"] }), json!({ "xattrs": ["security.b"] }), &["xattrs security.b", "xattrs user.a*"]);
        both(json!({ "unix": { "connect": ["@a"] } }), json!({ "unix": { "connect": ["@*"] } }), &["unix connect @*"]);
        both(json!({ "unix": { "bind": ["@0003f"] } }), json!({ "unix": { "bind": ["@"] } }), &["unix bind @"]);
        both(json!({ "unix": { "bind": ["@a"] } }), json!({ "unix": { "connect": ["@a"] } }), &["unix connect @a", "unix bind @a"]);
        both(json!({ "capabilities": ["CHOWN"] }), json!({ "privileges": ["bpf"] }), &["capabilities CHOWN", "privileges bpf"]);
    }

    #[test]
    fn a_full_profile_says_which_rule_it_lacks_and_stays_as_it_was() {
        let limits = Limits { rules: 1 };
        let mut container = ContainerRules { name: "web".to_owned(), ..ContainerRules::default() };
        let rule = |path: &str| serde_json::from_value::<Rule>(file(path, &["write"])).unwrap();
        merge(&mut container, &rule("/a"), limits).unwrap();
        let before = container.clone();
        let error = merge(&mut container, &rule("/b"), limits).unwrap_err();
        assert!(error.to_string().ends_with("lacks: files write /b"), "{error}");
        assert_eq!(container, before);
        assert_eq!(merge(&mut container, &rule("/a"), limits), Ok(false));
        assert_eq!(merge(&mut container, &rule("/*"), limits), Ok(true), "what makes room is let in");
    }
}
