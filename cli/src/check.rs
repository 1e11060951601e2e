//! `portcullis check`: judges manifests as the webhook would judge the objects.

use std::io::{self, Read, Write};

use portcullis_admission::policy::{PolicyViolation, Waiver};
use portcullis_admission::{FieldPath, NamespaceStandards, Standard, Standards, Violation, Workload, evaluate};
use serde_json::Value;

use crate::args::{CheckArgs, Format};
use crate::document::{self, Lines};
use crate::source::{self, Source, SourceError};
use crate::{Status, report};

pub(crate) mod judge;

pub use judge::Judge;

/// Everything that was judged, and everything that could not be.
#[derive(Debug)]
pub struct Findings {
    /// By what, in words: a standard, policies.
    pub judged_by: String,
    /// By which standard, if by one.
    pub standard: Option<Standard>,
    /// The workloads and whatever else a policy is for, in the order in which they were read.
    pub workloads: Vec<Judged>,
    /// What could not be judged.
    pub errors: Vec<CheckError>,
    /// How many objects nothing is for.
    pub others: usize,
}

/// An object and its verdict.
#[derive(Debug)]
pub struct Judged {
    /// The file.
    pub source: String,
    /// Which object it is.
    pub identity: Identity,
    /// The line on which it starts, if known.
    pub line: Option<u64>,
    /// How it violates the standard.
    pub violations: Vec<LocatedViolation>,
    /// How it violates policies.
    pub policies: Vec<LocatedPolicyViolation>,
    /// Which exceptions were used.
    pub waivers: Vec<Waiver>,
}

impl Judged {
    /// Whether it, or the pods that it makes, would be denied.
    pub fn violates(&self) -> bool {
        !self.violations.is_empty() || self.policies.iter().any(|located| located.violation.denies() || located.violation.denies_pods)
    }
}

/// What an object calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; empty if unset.
    pub namespace: String,
    /// `metadata.name`, or `metadata.generateName`; empty if unset.
    pub name: String,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.name.is_empty() { "(no name)" } else { &self.name };
        if self.namespace.is_empty() { write!(f, "{} {name}", self.kind) } else { write!(f, "{} {}/{name}", self.kind, self.namespace) }
    }
}

/// A violation, and the line of each of its findings, if known.
#[derive(Debug)]
pub struct LocatedViolation {
    /// What is wrong.
    pub violation: Violation,
    /// One for each finding.
    pub lines: Vec<Option<u64>>,
}

/// A violation of a policy, and the line of each of its findings, if known.
#[derive(Debug)]
pub struct LocatedPolicyViolation {
    /// What is wrong.
    pub violation: PolicyViolation,
    /// One for each finding.
    pub lines: Vec<Option<u64>>,
}

impl LocatedPolicyViolation {
    /// Policy and control, as `portcullis explain` takes them.
    pub fn id(&self) -> String {
        format!("{}:{}", self.violation.policy, self.violation.control)
    }

    /// What becomes of it, in a word.
    pub fn effect(&self) -> &'static str {
        use portcullis_api::admission_policy::Action;
        match () {
            () if self.violation.denies() => "deny",
            () if self.violation.denies_pods => "deny the pods",
            () if self.violation.actions.contains(&Action::Warn) => "warn",
            () => "audit",
        }
    }
}

/// Something that could not be judged.
#[derive(Debug)]
pub struct CheckError {
    /// The file.
    pub source: String,
    /// The line, if known.
    pub line: Option<u64>,
    /// Why.
    pub message: String,
}

impl Findings {
    /// How many objects would be denied, or their pods.
    pub fn violating(&self) -> usize {
        self.workloads.iter().filter(|judged| judged.violates()).count()
    }

    /// What the shell is told.
    pub fn status(&self) -> Status {
        if !self.errors.is_empty() {
            Status::Failed
        } else if self.violating() > 0 {
            Status::Violated
        } else {
            Status::Passed
        }
    }
}

/// Checks what the command line names and writes the report.
///
/// # Errors
/// The report cannot be written.
pub fn run(args: &CheckArgs, stdin: &mut impl Read, output: &mut impl Write) -> io::Result<Status> {
    let judge = match Judge::of_args(args) {
        Ok(judge) => judge,
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("portcullis: {error}"));
            return Ok(Status::Failed);
        }
    };
    let findings = check_by(judge, source::read(&args.paths, stdin));
    match args.output {
        Format::Text => report::text::write(&findings, args.color.is_wanted(), output)?,
        Format::Json => report::json::write(&findings, output)?,
        Format::Sarif => report::sarif::write(&findings, output)?,
        Format::Junit => report::junit::write(&findings, output)?,
    }
    Ok(findings.status())
}

/// Judges every workload in the sources by a standard.
pub fn check(standard: Standard, sources: Vec<Result<Source, SourceError>>) -> Findings {
    check_by(Judge::of_standard(standard), sources)
}

/// Judges every object in the sources.
pub fn check_by(judge: Judge, sources: Vec<Result<Source, SourceError>>) -> Findings {
    let findings =
        Findings { judged_by: judge.to_string(), standard: judge.standard, workloads: Vec::new(), errors: Vec::new(), others: 0 };
    let mut check = Check { judge, findings };
    let mut parsed = Vec::new();
    for source in sources {
        match source {
            Ok(source) => match document::parse(&source.text) {
                Ok(documents) => parsed.push((source, documents)),
                Err(error) => check.findings.errors.push(CheckError { source: source.name, line: None, message: error.to_string() }),
            },
            Err(error) => check.findings.errors.push(CheckError { source: error.name.clone(), line: None, message: error.to_string() }),
        }
    }
    // Policies look at namespaces wherever they are written.
    for document in parsed.iter().flat_map(|(_, documents)| documents) {
        check.judge.learn(&document.value);
    }
    for (source, documents) in &parsed {
        documents.iter().for_each(|document| check.check_object(source, &document.value, &document.lines, None));
    }
    let mut findings = check.findings;
    if findings.workloads.is_empty() && findings.errors.is_empty() && findings.others == 0 {
        findings.errors.push(CheckError { source: String::new(), line: None, message: "no manifests found".to_owned() });
    }
    findings
}

/// What is being found.
struct Check {
    judge: Judge,
    findings: Findings,
}

impl Check {
    fn check_object(&mut self, source: &Source, object: &Value, lines: &Lines, list: Option<&Identity>) {
        let Some(identity) = Identity::of(object, list) else {
            // A folder may hold other YAML, such as a chart's values; a file that was named has to be manifests.
            if source.named || list.is_some() {
                self.fail(source, lines, "not a Kubernetes object: it has no apiVersion and kind".to_owned());
            } else {
                self.findings.others = self.findings.others.saturating_add(1);
            }
            return;
        };
        if let Some(items) = items(&identity, object) {
            for (index, item) in items.iter().enumerate() {
                let part = lines.part(&portcullis_admission::Segment::Field("items".into()));
                let part = part.and_then(|items| items.part(&portcullis_admission::Segment::Index(index)));
                self.check_object(source, item, part.unwrap_or(lines), Some(&identity));
            }
            return;
        }
        if identity.api_version == "v1" && identity.kind == "Namespace" {
            self.check_labels(source, object, lines, &identity);
        }
        let asked = self.judge.ask(&identity, object);
        let workload = Workload::of_kind(&identity.api_version, &identity.kind);
        if workload.is_none() && asked.is_none() {
            self.findings.others = self.findings.others.saturating_add(1);
            return;
        }
        let mut violations = Vec::new();
        if let (Some(workload), Some(standard)) = (workload, self.judge.standard) {
            match workload.read_pod(object) {
                Ok(pod) => violations = evaluate(standard, &pod).into_iter().map(|violation| locate(violation, lines)).collect(),
                Err(malformed) => {
                    return self.findings.errors.push(CheckError {
                        source: source.name.clone(),
                        line: lines.of(&malformed.path),
                        message: format!("cannot judge {identity}: {malformed}"),
                    });
                }
            }
        }
        let outcome = asked.unwrap_or_default();
        let line = lines.of(&FieldPath::default());
        let policies = outcome.violations.into_iter().map(|violation| locate_policy(violation, lines)).collect();
        let waivers = outcome.waivers;
        self.findings.workloads.push(Judged { source: source.name.clone(), identity, line, violations, policies, waivers });
    }

    /// A namespace whose labels cannot be read is refused by the webhook.
    fn check_labels(&mut self, source: &Source, namespace: &Value, lines: &Lines, identity: &Identity) {
        let mut fail = |path: &FieldPath, message: String| {
            self.findings.errors.push(CheckError {
                source: source.name.clone(),
                line: lines.of(path),
                message: format!("{identity} is invalid: {message}"),
            });
        };
        match NamespaceStandards::of_namespace(namespace, Standards::enforcing(Standard::PRIVILEGED)) {
            Ok(standards) => standards.errors.iter().for_each(|error| fail(&error.path(), error.to_string())),
            Err(malformed) => fail(&malformed.path, malformed.to_string()),
        }
    }

    fn fail(&mut self, source: &Source, lines: &Lines, message: String) {
        self.findings.errors.push(CheckError { source: source.name.clone(), line: lines.of(&FieldPath::default()), message });
    }
}

impl Identity {
    /// What `object` calls itself; the kind of an element of a typed list may be left to the list.
    fn of(object: &Value, list: Option<&Self>) -> Option<Self> {
        let text = |field: &str| object.get(field).and_then(Value::as_str).map(str::to_owned);
        let metadata = |field: &str| object.get("metadata")?.get(field)?.as_str().map(str::to_owned);
        let inherited_kind = || list.and_then(|list| list.kind.strip_suffix("List")).filter(|kind| !kind.is_empty()).map(str::to_owned);
        let api_version = text("apiVersion").or_else(|| list.map(|list| list.api_version.clone()));
        Some(Self {
            kind: text("kind").or_else(inherited_kind)?,
            api_version: api_version?,
            namespace: metadata("namespace").unwrap_or_default(),
            name: metadata("name").or_else(|| metadata("generateName")).unwrap_or_default(),
        })
    }
}

/// The elements of a `List`, or of a typed one such as a `PodList`.
fn items<'o>(identity: &Identity, object: &'o Value) -> Option<&'o [Value]> {
    if identity.kind.ends_with("List") { object.get("items")?.as_array().map(Vec::as_slice) } else { None }
}

fn locate(violation: Violation, lines: &Lines) -> LocatedViolation {
    let lines = violation.findings.iter().map(|finding| lines.of(&finding.path)).collect();
    LocatedViolation { violation, lines }
}

fn locate_policy(violation: PolicyViolation, lines: &Lines) -> LocatedPolicyViolation {
    let lines = violation.findings.iter().map(|finding| lines.of(&finding.path)).collect();
    LocatedPolicyViolation { violation, lines }
}

#[cfg(test)]
mod tests;
