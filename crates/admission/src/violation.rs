//! What a check says of a pod that it refuses: in the words of Pod Security Admission, and field by field for the one who has to mend it.
//!
//! The two are kept apart. `reason` and `detail` are the exact texts of Pod Security Admission, which people search for and tools match. A [`Finding`]
//! adds what those texts leave out: where the field is in the author's own object, its value, what is allowed, and a [`Change`] that would pass.
//! Changes are data, so that tests can apply all of them and judge again.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::field::{FieldPath, Segment};
use crate::standard::Level;

mod wording;

pub(crate) use wording::{Setters, Shown, go_quote, join_quoted, plural};

/// One check that a pod violates.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The check's id.
    pub check: &'static str,
    /// The level that the check belongs to, which may be lower than the one asked for.
    pub level: Level,
    /// What is wrong, in a word or two: `hostPath volumes`.
    pub reason: Cow<'static, str>,
    /// Who does it, and how: `volume "data"`.
    pub detail: String,
    /// Each field that has to change, in the order of the pod's fields as they are visited.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.detail)
    }
}

/// All violations as Pod Security Admission lists them: `reason (detail), reason (detail)`.
pub fn summarise(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What a check's function returns; the registry adds which check it was.
pub(crate) struct Refusal {
    pub(crate) reason: Cow<'static, str>,
    pub(crate) detail: String,
    pub(crate) findings: Vec<Finding>,
}

/// One field whose value is not allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The field, in the object that was submitted.
    pub path: FieldPath,
    /// Its value; `None` where it is unset and must not be.
    pub value: Option<Value>,
    /// The values that the field may have, for people.
    pub allowed: Cow<'static, str>,
    /// What to do.
    pub change: Change,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} is {}", self.path, Shown(value))?,
            None => write!(f, "{} is unset", self.path)?,
        }
        write!(f, "; allowed: {}; {}", self.allowed, self.change)
    }
}

/// A change of one field after which the check passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The field to change; not always the one that is wrong (a default for all containers is set in the pod).
    pub path: FieldPath,
    /// Its new value; `None` removes it. Findings whose change is the same one share it.
    pub to: Option<Arc<Value>>,
}

impl Change {
    pub(crate) fn set(path: FieldPath, to: impl Into<Value>) -> Self {
        Self { path, to: Some(Arc::new(to.into())) }
    }

    pub(crate) fn remove(path: FieldPath) -> Self {
        Self { path, to: None }
    }

    /// Makes the change. Objects on the way that do not exist are made; where the path leads through something else than its segments say, nothing
    /// changes and the answer is false.
    pub fn apply(&self, object: &mut Value) -> bool {
        let Some((last, way)) = self.path.segments().split_last() else { return false };
        let mut place = object;
        for segment in way {
            let Some(next) = descend(place, segment) else { return false };
            place = next;
        }
        match (&self.to, last) {
            (Some(to), Segment::Field(_) | Segment::Key(_) | Segment::Index(_)) => match descend(place, last) {
                Some(field) => *field = Value::clone(to),
                None => return false,
            },
            (None, Segment::Field(name)) => return remove(place, name),
            (None, Segment::Key(key)) => return remove(place, key),
            (None, Segment::Index(_)) => return false,
        }
        true
    }
}

fn descend<'v>(place: &'v mut Value, segment: &Segment) -> Option<&'v mut Value> {
    let name: &str = match segment {
        Segment::Index(index) => return place.get_mut(index),
        Segment::Field(name) => name,
        Segment::Key(key) => key,
    };
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    Some(place.as_object_mut()?.entry(name).or_insert(Value::Null))
}

fn remove(place: &mut Value, name: &str) -> bool {
    place.as_object_mut().is_some_and(|object| object.remove(name).is_some())
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            Some(to) => write!(f, "set {} to {}", self.path, Shown(to)),
            None => write!(f, "remove {}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_makes_the_objects_on_its_way() {
        let mut object = json!({"spec": {}});
        let change = Change::set(FieldPath::of(&["spec", "securityContext", "runAsNonRoot"]), true);
        assert!(change.apply(&mut object));
        assert_eq!(object, json!({"spec": {"securityContext": {"runAsNonRoot": true}}}));
        assert_eq!(change.to_string(), "set spec.securityContext.runAsNonRoot to true");
    }

    #[test]
    fn a_change_removes_what_is_there_and_says_so_when_nothing_is() {
        let mut object = json!({"spec": {"ports": [{"hostPort": 1}]}});
        let change = Change::remove(FieldPath::of(&["spec", "ports"]).index(0).field("hostPort"));
        assert!(change.apply(&mut object));
        assert_eq!(object, json!({"spec": {"ports": [{}]}}));
        assert!(!change.apply(&mut object), "a second time there is nothing to remove");
        assert!(!Change::remove(FieldPath::of(&["spec", "ports"]).index(7).field("x")).apply(&mut object));
    }

    #[test]
    fn a_finding_names_field_value_allowed_values_and_change() {
        let path = FieldPath::of(&["spec", "hostPID"]);
        let finding =
            Finding { path: path.clone(), value: Some(json!(true)), allowed: "unset or false".into(), change: Change::remove(path) };
        assert_eq!(finding.to_string(), "spec.hostPID is true; allowed: unset or false; remove spec.hostPID");
    }
}
