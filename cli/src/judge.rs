//! What objects are judged by, and what stands in for the API server: the request that would create each object, and its namespace.
//!
//! `check` and `scan` both judge here, so that they cannot disagree about an object that both have.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use portcullis_admission::policy::{PolicyOutcome, PolicySet, Surroundings};
use portcullis_admission::{AdmissionRequest, FieldPath, Level, NamespaceStandards, Standard, Standards, Version, Workload, evaluate};
use serde_json::{Value, json};

use crate::document::Lines;
use crate::findings::{CheckError, Identity, Judged, locate, locate_policy};

mod request;

use request::{Definitions, is_namespace};
pub(crate) use request::{request, request_for};

/// The standard where nobody names one: that of the webhook.
pub(crate) const DEFAULT: Standard = Standard { level: Level::Baseline, version: Version::Latest };

/// Which Pod Security Standard an object is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By none.
    Nothing,
    /// By the same everywhere.
    Standard(Standard),
    /// By what the labels of its namespace enforce; by this where they say nothing.
    Labels(Standard),
}

/// What objects are judged by.
#[derive(Debug)]
pub struct Judge {
    by: By,
    policies: PolicySet,
    /// Namespaces that are among the objects, or that an API server has.
    namespaces: BTreeMap<String, Value>,
    /// Those among the objects.
    definitions: Definitions,
    now: Timestamp,
}

/// An object, and where it is from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'o> {
    pub(crate) source: &'o str,
    pub(crate) identity: &'o Identity,
    pub(crate) object: &'o Value,
    pub(crate) lines: &'o Lines,
}

/// What came of an object.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// `None` where nothing is for it, or where it cannot be judged.
    pub(crate) judged: Option<Judged>,
    pub(crate) errors: Vec<CheckError>,
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.policies.len();
        let policies = if count == 1 { "1 policy".to_owned() } else { format!("{count} policies") };
        let standard = match self.by {
            By::Nothing => return f.write_str(&policies),
            By::Standard(standard) => standard.to_string(),
            By::Labels(_) => "the labels of namespaces".to_owned(),
        };
        if count == 0 { f.write_str(&standard) } else { write!(f, "{standard} and {policies}") }
    }
}

impl Judge {
    /// By a standard alone.
    pub fn of_standard(standard: Standard) -> Self {
        Self::new(Some(standard), PolicySet::default(), Timestamp::now())
    }

    /// By a standard and policies, at a moment.
    pub fn new(standard: Option<Standard>, policies: PolicySet, now: Timestamp) -> Self {
        Self::by(standard.map_or(By::Nothing, By::Standard), policies, now)
    }

    pub(crate) fn by(by: By, policies: PolicySet, now: Timestamp) -> Self {
        Self { by, policies, namespaces: BTreeMap::new(), definitions: Definitions::default(), now }
    }

    /// The standard, if all objects are judged by one.
    pub const fn standard(&self) -> Option<Standard> {
        match self.by {
            By::Standard(standard) => Some(standard),
            By::Nothing | By::Labels(_) => None,
        }
    }

    /// The standard of a namespace, as the webhook enforces it.
    fn standard_of(&self, namespace: &str) -> Option<Standard> {
        match self.by {
            By::Nothing => None,
            By::Standard(standard) => Some(standard),
            By::Labels(default) => {
                let namespace = self.namespaces.get(namespace);
                // Labels that are no map of strings are none: the API server has no such namespace.
                let read = namespace.and_then(|namespace| NamespaceStandards::of_namespace(namespace, Standards::enforcing(default)).ok());
                Some(read.map_or(default, |read| read.standards.enforce))
            }
        }
    }

    /// Judges an object that `request` would make.
    pub(crate) fn judge(&self, subject: Subject<'_>, request: &AdmissionRequest) -> Judgement {
        let Subject { source, identity, object, lines } = subject;
        let mut errors = Vec::new();
        if is_namespace(identity) {
            errors = label_errors(subject);
        }
        let asked = self.ask(request);
        let workload = Workload::of_kind(&identity.api_version, &identity.kind);
        if workload.is_none() && asked.is_none() {
            return Judgement { judged: None, errors };
        }
        let standard = workload.and_then(|_| self.standard_of(&request.namespace));
        let mut violations = Vec::new();
        if let (Some(workload), Some(standard)) = (workload, standard) {
            match workload.read_pod(object) {
                Ok(pod) => violations = evaluate(standard, &pod).into_iter().map(|violation| locate(violation, lines)).collect(),
                Err(malformed) => {
                    errors.push(CheckError {
                        source: source.to_owned(),
                        line: lines.of(&malformed.path),
                        message: format!("cannot judge {identity}: {malformed}"),
                    });
                    return Judgement { judged: None, errors };
                }
            }
        }
        let outcome = asked.unwrap_or_default();
        errors.extend(unanswered(subject, outcome.ignored_failures));
        let judged = Judged {
            source: source.to_owned(),
            identity: identity.clone(),
            line: lines.of(&FieldPath::default()),
            standard,
            violations,
            policies: outcome.violations.into_iter().map(|violation| locate_policy(violation, lines)).collect(),
            waivers: outcome.waivers,
        };
        Judgement { judged: Some(judged), errors }
    }

    /// The request that would create an object.
    pub(crate) fn request(&self, identity: &Identity, object: &Value) -> AdmissionRequest {
        self.definitions.request(identity, object)
    }

    /// Takes note of a namespace or a definition, wherever in a list it is.
    pub(crate) fn learn(&mut self, object: &Value) {
        let is = |field: &str, value: &str| object.get(field).and_then(Value::as_str) == Some(value);
        for item in object.get("items").and_then(Value::as_array).into_iter().flatten() {
            self.learn(item);
        }
        self.definitions.learn(object);
        let name = object.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
        if let Some(name) = name.filter(|_| is("apiVersion", "v1") && is("kind", "Namespace")) {
            self.namespaces.insert(name.to_owned(), object.clone());
        }
    }

    /// What policies say of a request; `None` where none is for it.
    fn ask(&self, request: &AdmissionRequest) -> Option<PolicyOutcome> {
        if !self.policies.concerns(request) {
            return None;
        }
        let unknown = namespace(&request.namespace);
        let namespace = self.namespaces.get(&request.namespace).unwrap_or(&unknown);
        let namespace = Ok(Some(namespace).filter(|_| !request.namespace.is_empty()));
        Some(self.policies.judge(request, &Surroundings { namespace, now: self.now, deadline: None }))
    }
}

/// What policies that fail open could not say, though the webhook would let it pass: here nobody asks again.
fn unanswered(subject: Subject<'_>, failures: usize) -> Option<CheckError> {
    let Subject { source, identity, lines, .. } = subject;
    let failed = match failures {
        0 => return None,
        1 => "1 evaluation".to_owned(),
        _ => format!("{failures} evaluations"),
    };
    let message = format!(
        "cannot judge {identity}: {failed} of policies with failurePolicy Ignore failed, so it would be admitted; with Fail it is told which and why"
    );
    Some(CheckError { source: source.to_owned(), line: lines.of(&FieldPath::default()), message })
}

/// A namespace whose labels cannot be read is refused by the webhook.
fn label_errors(subject: Subject<'_>) -> Vec<CheckError> {
    let Subject { source, identity, object, lines } = subject;
    let error = |path: &FieldPath, message: String| CheckError {
        source: source.to_owned(),
        line: lines.of(path),
        message: format!("{identity} is invalid: {message}"),
    };
    match NamespaceStandards::of_namespace(object, Standards::enforcing(Standard::PRIVILEGED)) {
        Ok(standards) => standards.errors.iter().map(|wrong| error(&wrong.path(), wrong.to_string())).collect(),
        Err(malformed) => vec![error(&malformed.path, malformed.to_string())],
    }
}

/// A namespace of which nothing but the name is known.
pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}})
}
