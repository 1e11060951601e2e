//! What the types of a resource cannot say: names that Kubernetes would refuse, entries that are there twice, lists that must not be empty.
//!
//! Problems name the field; where it stands in a file is for [`crate::yaml`] to find.

mod exception;
mod names;
mod policy;

pub use exception::policy_exception;
pub use policy::{admission_policy, validating_admission_policy, validating_admission_policy_binding};

use crate::{ContainerRules, Ports, WorkloadProfile, WorkloadReference};
use std::{collections::BTreeSet, fmt};

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The field, or the key of a map.
    Field(String),
    /// The entry of a list, the first being 0.
    Entry(usize),
}

/// The way from a resource to one of its values, shown as `spec.containers[0].files[2].path`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldPath(Vec<Step>);

impl FieldPath {
    /// The path to a field of what this path leads to.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.with(Step::Field(name.to_owned()))
    }

    /// The path to an entry of what this path leads to.
    #[must_use]
    pub fn entry(&self, index: usize) -> Self {
        self.with(Step::Entry(index))
    }

    /// The steps, from the resource on.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Entry(entry) => write!(f, "[{entry}]")?,
                Step::Field(name) if name.contains(['.', '/']) => write!(f, "[{name:?}]")?,
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field.
    pub field: FieldPath,
    /// What is wrong, a colon, and what to write instead.
    pub message: String,
}

/// Everything that is wrong with a profile; nothing where it is valid.
#[must_use]
pub fn workload_profile(profile: &WorkloadProfile) -> Vec<FieldProblem> {
    let mut check = Check::default();
    let (root, metadata) = (FieldPath::default(), FieldPath::default().field("metadata"));
    check.named(metadata.field("name"), profile.metadata.name.as_deref(), names::subdomain);
    check.named(metadata.field("namespace"), profile.metadata.namespace.as_deref(), names::label);
    let spec = root.field("spec");
    check.workload(&spec.field("workload"), &profile.spec.workload);
    let containers = spec.field("containers");
    check.distinct(&containers, "name", profile.spec.containers.iter().map(|container| &container.name));
    for (index, container) in profile.spec.containers.iter().enumerate() {
        check.container(&containers.entry(index), container);
    }
    check.problems
}

#[derive(Default)]
struct Check {
    problems: Vec<FieldProblem>,
}

impl Check {
    fn problem(&mut self, field: FieldPath, message: impl Into<String>) {
        self.problems.push(FieldProblem { field, message: message.into() });
    }

    fn named(&mut self, field: FieldPath, name: Option<&str>, rule: names::Rule) {
        match name {
            None => self.problem(field, "missing: add it, so that the file means the same object wherever it is applied"),
            Some(name) => {
                if let Err(message) = rule(name) {
                    self.problem(field, message);
                }
            }
        }
    }

    fn workload(&mut self, at: &FieldPath, workload: &WorkloadReference) {
        self.named(at.field("apiVersion"), Some(&workload.api_version), names::api_version);
        self.named(at.field("kind"), Some(&workload.kind), names::kind);
        self.named(at.field("name"), Some(&workload.name), names::subdomain);
    }

    fn container(&mut self, at: &FieldPath, container: &ContainerRules) {
        self.named(at.field("name"), Some(&container.name), names::label);
        self.distinct(&at.field("exec"), "path", container.exec.iter().map(|rule| &rule.path));
        self.distinct(&at.field("files"), "path", container.files.iter().map(|rule| &rule.path));
        self.distinct(&at.field("connect"), "cidr", container.connect.iter().map(|rule| &rule.cidr));
        for (index, _) in container.exec.iter().enumerate().filter(|(_, rule)| rule.called_as.as_ref().is_some_and(BTreeSet::is_empty)) {
            let field = at.field("exec").entry(index).field("as");
            self.problem(field, "empty, so the rule grants nothing: list names as `ls`, or leave `as` out for all");
        }
        for (index, rule) in container.files.iter().enumerate() {
            if rule.access.is_empty() {
                self.problem(
                    at.field("files").entry(index).field("access"),
                    "empty, so the rule grants nothing: list read, write, map, create, delete, attributes, connect or drift",
                );
            }
        }
        self.some_ports(&at.field("connect"), container.connect.iter().map(|rule| &rule.ports));
        self.some_ports(&at.field("bind"), container.bind.iter().map(|rule| &rule.ports));
    }

    /// Each rule of the list has ports.
    fn some_ports<'p>(&mut self, list: &FieldPath, rules: impl Iterator<Item = &'p BTreeSet<Ports>>) {
        for (index, _) in rules.enumerate().filter(|(_, ports)| ports.is_empty()) {
            let field = list.entry(index).field("ports");
            self.problem(field, "empty, so the rule grants nothing: list ports as `5432/TCP`, or `*/ANY` for all");
        }
    }

    /// The values of that field, which the API server takes for the keys of the list, differ.
    fn distinct<T: Ord + fmt::Display>(&mut self, list: &FieldPath, field: &str, values: impl Iterator<Item = T>) {
        let mut seen = BTreeSet::new();
        for (index, value) in values.enumerate() {
            let text = value.to_string();
            if !seen.insert(value) {
                self.problem(list.entry(index).field(field), format!("`{text}` is listed twice: make one entry of the two"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(change: impl FnOnce(&mut serde_json::Value)) -> Vec<String> {
        let mut value = json!({
            "apiVersion": "portcullis.dev/v1alpha1", "kind": "WorkloadProfile",
            "metadata": { "namespace": "shop", "name": "web" },
            "spec": {
                "workload": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
                "mode": "learn",
                "containers": [{ "name": "web", "exec": [{ "path": "/a" }] }],
            },
        });
        change(&mut value);
        let profile = serde_json::from_value(value).unwrap();
        workload_profile(&profile).iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
    }

    #[test]
    fn a_good_profile_has_no_problem() {
        assert_eq!(problems(|_| {}), [""; 0]);
    }

    #[test]
    fn every_problem_is_told_with_its_field() {
        let found = problems(|value| {
            value["metadata"] = json!({ "name": "Web" });
            value["spec"]["workload"]["kind"] = json!("deployment");
            value["spec"]["containers"] = json!([
                { "name": "web", "exec": [{ "path": "/a" }, { "path": "/a" }], "files": [{ "path": "/b", "access": [] }] },
                { "name": "web", "connect": [{ "cidr": "10.0.0.0/8", "ports": [] }], "bind": [{ "ports": ["80/TCP"] }, { "ports": [] }] },
            ]);
        });
        let fields: Vec<_> = found.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
        assert_eq!(
            fields,
            [
                "metadata.name",
                "metadata.namespace",
                "spec.workload.kind",
                "spec.containers[1].name",
                "spec.containers[0].exec[1].path",
                "spec.containers[0].files[0].access",
                "spec.containers[1].connect[0].ports",
                "spec.containers[1].bind[1].ports",
            ]
        );
    }

    #[test]
    fn keys_that_hold_dots_are_shown_in_brackets() {
        let path = FieldPath::default().field("metadata").field("labels").field("app.kubernetes.io/name");
        assert_eq!(path.to_string(), r#"metadata.labels["app.kubernetes.io/name"]"#);
    }
}
