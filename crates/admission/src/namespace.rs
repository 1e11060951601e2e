//! The labels by which a namespace says what its pods are judged by: `pod-security.kubernetes.io/…`.
//!
//! Their meaning is Pod Security Admission's, errors included. A label that cannot be read fails closed where it denies (`enforce` becomes
//! `restricted:latest`) and open where it only tells (`audit` and `warn` become `privileged`). To keep such labels out, a namespace that brings new ones
//! is denied, as invalid; one that had them keeps its other updates.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::checks::evaluate;
use crate::decide::{Decision, Standards, Verdict};
use crate::field::{Cursor, FieldPath, Malformed};
use crate::pod::Pod;
use crate::review::{AdmissionRequest, Operation, Status, StatusCause, StatusDetails, StatusReason};
use crate::standard::{Level, Standard, Version};

mod recheck;

pub use recheck::{ExistingPod, warn_of_existing_pods};

const PREFIX: &str = "pod-security.kubernetes.io/";

/// The labels of one mode.
struct Labels {
    level: &'static str,
    version: &'static str,
}

const ENFORCE: Labels = Labels { level: "pod-security.kubernetes.io/enforce", version: "pod-security.kubernetes.io/enforce-version" };
const AUDIT: Labels = Labels { level: "pod-security.kubernetes.io/audit", version: "pod-security.kubernetes.io/audit-version" };
const WARN: Labels = Labels { level: "pod-security.kubernetes.io/warn", version: "pod-security.kubernetes.io/warn-version" };

/// A label whose value means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelError {
    /// The label's key.
    pub label: &'static str,
    /// Its value.
    pub value: String,
    /// What it must be.
    pub message: String,
}

impl LabelError {
    /// The label's path in a namespace.
    pub fn path(&self) -> FieldPath {
        FieldPath::of(&["metadata", "labels"]).key(self.label)
    }

    fn body(&self) -> String {
        format!("Invalid value: {:?}: {}", self.value, self.message)
    }
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path(), self.body())
    }
}

/// What a namespace's pods are judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceStandards {
    /// The standards, complete whether or not there are errors.
    pub standards: Standards,
    /// The labels that could not be read.
    pub errors: Vec<LabelError>,
}

impl NamespaceStandards {
    /// The standards that labels ask for; `defaults` where they say nothing.
    pub fn from_labels(labels: &BTreeMap<&str, &str>, defaults: Standards) -> Self {
        let mut reader = Reader { labels, errors: Vec::new() };
        let enforce = reader.read(&ENFORCE, defaults.enforce, Level::Restricted);
        let enforce_is_set = labels.get(ENFORCE.level).is_some_and(|level| level.parse::<Level>().is_ok());
        let audit = reader.read(&AUDIT, defaults.audit, Level::Privileged);
        let mut warn = reader.read(&WARN, defaults.warn, Level::Privileged);
        // Who is going to be denied had better be warned, of the workloads that make such pods.
        if enforce_is_set && !labels.contains_key(WARN.level) && enforce.level > warn.level {
            warn.level = enforce.level;
            if !labels.contains_key(WARN.version) {
                warn.version = enforce.version;
            }
        }
        Self { standards: Standards { enforce, audit, warn }, errors: reader.errors }
    }

    /// The standards that a Namespace object asks for.
    ///
    /// # Errors
    /// Its labels are no map of strings.
    pub fn of_namespace(namespace: &Value, defaults: Standards) -> Result<Self, Malformed> {
        let root = FieldPath::default();
        let cursor = Cursor::new(Some(namespace), &root);
        let labels = cursor.field("metadata")?.field("labels")?.string_map()?;
        let labels = labels.into_iter().filter(|(key, _)| key.starts_with(PREFIX)).collect();
        Ok(Self::from_labels(&labels, defaults))
    }
}

struct Reader<'l> {
    labels: &'l BTreeMap<&'l str, &'l str>,
    errors: Vec<LabelError>,
}

impl Reader<'_> {
    fn read(&mut self, labels: &Labels, default: Standard, level_in_error: Level) -> Standard {
        Standard {
            level: self.parse(labels.level, default.level, level_in_error),
            version: self.parse(labels.version, default.version, Version::Latest),
        }
    }

    fn parse<T: std::str::FromStr<Err: fmt::Display>>(&mut self, label: &'static str, default: T, in_error: T) -> T {
        let Some(value) = self.labels.get(label) else { return default };
        value.parse().unwrap_or_else(|error: T::Err| {
            self.errors.push(LabelError { label, value: (*value).to_owned(), message: error.to_string() });
            in_error
        })
    }
}

/// Decides the creation or change of a namespace: its labels have to be valid, unless they were as invalid before.
pub(crate) fn decide(request: &AdmissionRequest, defaults: Standards) -> Decision {
    if !request.sub_resource.is_empty() || matches!(request.operation, Operation::Delete | Operation::Connect) {
        return Verdict::NotJudged.into();
    }
    let read = |namespace: Option<&Value>| namespace.map(|namespace| NamespaceStandards::of_namespace(namespace, defaults));
    let new = match read(request.object.as_ref()) {
        Some(Ok(new)) => new,
        Some(Err(malformed)) => return unreadable(request, &malformed.to_string()),
        None => return unreadable(request, "the request has no object"),
    };
    let old = if request.operation == Operation::Update { read(request.old_object.as_ref()).and_then(Result::ok) } else { None };
    if new.errors.is_empty() || old.is_some_and(|old| old.errors == new.errors) {
        return Verdict::Allowed.into();
    }
    deny(invalid(request, &new.errors))
}

fn invalid(request: &AdmissionRequest, errors: &[LabelError]) -> Status {
    let name = request.object_name().to_owned();
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let message = match messages.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let cause = |error: &LabelError| StatusCause { reason: "FieldValueInvalid", message: error.body(), field: error.path().to_string() };
    let details = StatusDetails {
        name: name.clone(),
        group: String::new(),
        kind: "Namespace".to_owned(),
        causes: errors.iter().map(cause).collect(),
    };
    Status::failure(StatusReason::Invalid, format!("Namespace {name:?} is invalid: {message}"), Some(details))
}

fn unreadable(request: &AdmissionRequest, why: &str) -> Decision {
    deny(Status::failure(StatusReason::BadRequest, format!("cannot judge namespaces {:?}: {why}", request.object_name()), None))
}

fn deny(status: Status) -> Decision {
    Verdict::Denied(Box::new(status.into())).into()
}

/// The standard by which pods that exist already should be looked at, because a change of their namespace made `enforce` stricter: they run on, but
/// could not be made again.
pub fn raised_enforcement(old: Standards, new: Standards) -> Option<Standard> {
    let same_version = old.enforce.version == new.enforce.version;
    let not_stricter = new.enforce.level.cmp(&old.enforce.level) != Ordering::Greater;
    if new.enforce == old.enforce || new.enforce.allows_everything() || (same_version && not_stricter) { None } else { Some(new.enforce) }
}

/// Judges a pod that exists, for its reasons only.
fn reasons(standard: Standard, pod: &Pod<'_>) -> Option<String> {
    let violations = evaluate(standard, pod);
    let reasons: Vec<&str> = violations.iter().map(|violation| violation.reason.as_ref()).collect();
    if reasons.is_empty() { None } else { Some(reasons.join(", ")) }
}

#[cfg(test)]
mod tests;
