//! Exceptions: what they allow, of what exactly, and until when.
//!
//! An exception is asked about one finding at a time, and covers it or does not; nothing is added up. So a control of two containers is waived for one of
//! them and not for the other, and two exceptions that each name half of what would be needed allow nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_api::policy_exception::LONGEST;
use portcullis_api::{PolicyException, validate};

use super::compile::Problem;
use super::glob::Glob;

/// An exception that is ready to be asked.
#[derive(Debug)]
pub struct Exception {
    /// `NAMESPACE/NAME`.
    name: String,
    policy: String,
    controls: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    kinds: BTreeSet<String>,
    names: Vec<Glob>,
    containers: Vec<Glob>,
    images: Vec<Glob>,
    reason: String,
    expires: Timestamp,
}

/// What an exception is asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) policy: &'a str,
    pub(crate) control: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    /// The container that is at fault, if one is.
    pub(crate) container: Option<Faulty<'a>>,
}

/// A container that is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Faulty<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: &'a str,
}

impl Exception {
    /// Makes an exception ready.
    ///
    /// # Errors
    /// It is not valid, or holds for longer than one may: counted from when it was made, or from `now` where that is not known.
    pub fn compile(exception: &PolicyException, now: Timestamp) -> Result<Self, Vec<Problem>> {
        let mut problems: Vec<Problem> = validate::policy_exception(exception).into_iter().map(Problem::from).collect();
        let spec = &exception.spec;
        let made = exception.metadata.creation_timestamp.as_ref().map_or(now, |made| made.0);
        if problems.is_empty() && spec.expires > made && spec.expires.duration_since(made).unsigned_abs() > LONGEST {
            let message = "more than 366 days from now: choose an earlier day, and make a new one then";
            problems.push(Problem { field: "spec.expires".to_owned(), message: message.to_owned() });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let globs = |patterns: &[String]| patterns.iter().map(|pattern| Glob::new(pattern)).collect();
        let name = |part: &Option<String>| part.clone().unwrap_or_default();
        Ok(Self {
            name: format!("{}/{}", name(&exception.metadata.namespace), name(&exception.metadata.name)),
            policy: spec.policy.clone(),
            controls: spec.controls.iter().cloned().collect(),
            namespaces: spec.namespaces.iter().cloned().collect(),
            kinds: spec.subjects.kinds.iter().cloned().collect(),
            names: globs(&spec.subjects.names),
            containers: globs(&spec.subjects.containers),
            images: globs(&spec.subjects.images),
            reason: spec.reason.clone(),
            expires: spec.expires,
        })
    }

    /// `NAMESPACE/NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why it is needed.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When it ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whether it has ended.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now
    }

    /// Whether it ends within `soon`.
    pub fn ends_within(&self, now: Timestamp, soon: Duration) -> bool {
        !self.is_expired(now) && self.expires.duration_since(now).unsigned_abs() <= soon
    }

    /// Whether it speaks of this very finding, expired or not.
    pub(crate) fn covers(&self, asked: &Asked<'_>) -> bool {
        let one_of = |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.matches(text));
        // One that is for containers says nothing about what is no container's.
        let of_container = || match asked.container {
            Some(container) => one_of(&self.containers, container.name) && one_of(&self.images, container.image),
            None => self.containers.is_empty() && self.images.is_empty(),
        };
        self.policy == asked.policy
            && self.controls.contains(asked.control)
            && self.namespaces.contains(asked.namespace)
            && (self.kinds.is_empty() || self.kinds.contains(asked.kind))
            && one_of(&self.names, asked.name)
            && of_container()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-25T00:00:00Z";

    fn read(change: Value) -> PolicyException {
        let mut spec = json!({"policy": "p", "controls": ["privileged"], "namespaces": ["shop"], "subjects": {"images": ["r/agent:*"]},
            "reason": "needs the device", "expires": "2027-01-01T00:00:00Z"});
        spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let object = json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "PolicyException",
            "metadata": {"namespace": "security", "name": "agent"}, "spec": spec});
        serde_json::from_value(object).unwrap()
    }

    fn compile(change: Value) -> Result<Exception, Vec<Problem>> {
        Exception::compile(&read(change), NOW.parse().unwrap())
    }

    fn asked() -> Asked<'static> {
        let container = Some(Faulty { name: "agent", image: "r/agent:1" });
        Asked { policy: "p", control: "privileged", namespace: "shop", kind: "Pod", name: "agent-x", container }
    }

    #[test]
    fn covers_where_everything_that_it_lists_holds() {
        assert!(compile(json!({})).unwrap().covers(&asked()));
        let all = json!({"subjects": {"kinds": ["Pod"], "names": ["agent-*"], "containers": ["agent"], "images": ["r/agent:*"]}});
        assert!(compile(all.clone()).unwrap().covers(&asked()));
        for other in [
            Asked { policy: "q", ..asked() },
            Asked { control: "hostPorts", ..asked() },
            Asked { namespace: "shop2", ..asked() },
            Asked { kind: "DaemonSet", ..asked() },
            Asked { name: "an-agent-x", ..asked() },
            Asked { container: Some(Faulty { name: "other", image: "r/agent:1" }), ..asked() },
            Asked { container: Some(Faulty { name: "agent", image: "x/r/agent:1" }), ..asked() },
            Asked { container: None, ..asked() },
        ] {
            assert!(!compile(all.clone()).unwrap().covers(&other), "{other:?}");
        }
    }

    #[test]
    fn needs_a_reason_an_end_and_a_subject() {
        for (change, field) in [
            (json!({"reason": " "}), "spec.reason"),
            (json!({"subjects": {}}), "spec.subjects"),
            (json!({"subjects": {"names": ["*"]}}), "spec.subjects.names[0]"),
            (json!({"controls": ["*"]}), "spec.controls[0]"),
            (json!({"namespaces": ["*"]}), "spec.namespaces[0]"),
            (json!({"namespaces": []}), "spec.namespaces"),
            (json!({"expires": "2027-11-27T00:00:00Z"}), "spec.expires"),
        ] {
            assert_eq!(compile(change.clone()).unwrap_err()[0].field, field, "{change}");
        }
    }

    #[test]
    fn cannot_be_prolonged_beyond_a_year_after_it_was_made() {
        let mut exception = read(json!({"expires": "2027-02-01T00:00:00Z"}));
        exception.metadata.creation_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let problems = Exception::compile(&exception, NOW.parse().unwrap()).unwrap_err();
        assert_eq!(problems[0].field, "spec.expires");
    }

    #[test]
    fn ends_at_its_moment() {
        let exception = compile(json!({})).unwrap();
        let at = |text: &str| exception.is_expired(text.parse().unwrap());
        assert!(!at("2026-12-31T23:59:59Z") && at("2027-01-01T00:00:00Z"));
    }
}
