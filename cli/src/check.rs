//! `portcullis check`: judges manifests as the webhook would judge the objects.

use std::io::{self, Read, Write};

use portcullis_admission::{FieldPath, NamespaceStandards, Standard, Standards, Violation, Workload, evaluate};
use serde_json::Value;

use crate::args::{CheckArgs, Format};
use crate::document::{self, Document, Lines};
use crate::source::{self, Source, SourceError};
use crate::{Status, report};

/// Everything that was judged, and everything that could not be.
#[derive(Debug)]
pub struct Findings {
    /// By which standard.
    pub standard: Standard,
    /// The workloads, in the order in which they were read.
    pub workloads: Vec<Judged>,
    /// What could not be judged.
    pub errors: Vec<CheckError>,
    /// How many objects carry no pod.
    pub others: usize,
}

/// A workload and its verdict.
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
    /// How many workloads violate the standard.
    pub fn violating(&self) -> usize {
        self.workloads.iter().filter(|judged| !judged.violations.is_empty()).count()
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
    let findings = check(args.pod_security, source::read(&args.paths, stdin));
    match args.output {
        Format::Text => report::text::write(&findings, args.color.is_wanted(), output)?,
        Format::Json => report::json::write(&findings, output)?,
        Format::Sarif => report::sarif::write(&findings, output)?,
        Format::Junit => report::junit::write(&findings, output)?,
    }
    Ok(findings.status())
}

/// Judges every workload in the sources.
pub fn check(standard: Standard, sources: Vec<Result<Source, SourceError>>) -> Findings {
    let mut findings = Findings { standard, workloads: Vec::new(), errors: Vec::new(), others: 0 };
    for source in sources {
        match source {
            Ok(source) => findings.check_source(&source),
            Err(error) => findings.errors.push(CheckError { source: error.name.clone(), line: None, message: error.to_string() }),
        }
    }
    if findings.workloads.is_empty() && findings.errors.is_empty() && findings.others == 0 {
        findings.errors.push(CheckError { source: String::new(), line: None, message: "no manifests found".to_owned() });
    }
    findings
}

impl Findings {
    fn check_source(&mut self, source: &Source) {
        match document::parse(&source.text) {
            Ok(documents) => documents.iter().for_each(|document| self.check_document(source, document)),
            Err(error) => self.errors.push(CheckError { source: source.name.clone(), line: None, message: error.to_string() }),
        }
    }

    fn check_document(&mut self, source: &Source, document: &Document) {
        self.check_object(source, &document.value, &document.lines, None);
    }

    fn check_object(&mut self, source: &Source, object: &Value, lines: &Lines, list: Option<&Identity>) {
        let Some(identity) = Identity::of(object, list) else {
            // A folder may hold other YAML, such as a chart's values; a file that was named has to be manifests.
            if source.named || list.is_some() {
                self.fail(source, lines, "not a Kubernetes object: it has no apiVersion and kind".to_owned());
            } else {
                self.others = self.others.saturating_add(1);
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
        let Some(workload) = Workload::of_kind(&identity.api_version, &identity.kind) else {
            self.others = self.others.saturating_add(1);
            return;
        };
        match workload.read_pod(object) {
            Ok(pod) => {
                let violations = evaluate(self.standard, &pod).into_iter().map(|violation| locate(violation, lines)).collect();
                let line = lines.of(&FieldPath::default());
                self.workloads.push(Judged { source: source.name.clone(), identity, line, violations });
            }
            Err(malformed) => self.errors.push(CheckError {
                source: source.name.clone(),
                line: lines.of(&malformed.path),
                message: format!("cannot judge {identity}: {malformed}"),
            }),
        }
    }

    /// A namespace whose labels cannot be read is refused by the webhook.
    fn check_labels(&mut self, source: &Source, namespace: &Value, lines: &Lines, identity: &Identity) {
        let mut fail = |path: &FieldPath, message: String| {
            self.errors.push(CheckError {
                source: source.name.clone(),
                line: lines.of(path),
                message: format!("{identity} is invalid: {message}"),
            });
        };
        match NamespaceStandards::of_namespace(namespace, Standards::enforcing(self.standard)) {
            Ok(standards) => standards.errors.iter().for_each(|error| fail(&error.path(), error.to_string())),
            Err(malformed) => fail(&malformed.path, malformed.to_string()),
        }
    }

    fn fail(&mut self, source: &Source, lines: &Lines, message: String) {
        self.errors.push(CheckError { source: source.name.clone(), line: lines.of(&FieldPath::default()), message });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str, named: bool) -> Findings {
        check("baseline:latest".parse().unwrap(), vec![Ok(Source { name: "x.yaml".to_owned(), named, text: text.to_owned() })])
    }

    const BAD_POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec:\n  hostPID: true\n";

    #[test]
    fn names_the_object_its_line_and_the_line_of_the_field() {
        let findings = check_text(&format!("---\n{BAD_POD}"), true);
        let judged = &findings.workloads[0];
        assert_eq!(judged.identity.to_string(), "Pod shop/web");
        assert_eq!(judged.line, Some(2));
        assert_eq!(judged.violations[0].lines, [Some(6)]);
        assert_eq!(findings.status(), Status::Violated);
    }

    #[test]
    fn looks_into_lists_of_any_kind_and_lists_in_lists() {
        let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service}\n- apiVersion: v1\n  kind: PodList\n  items:\n  - metadata: {name: a}\n    spec: {hostIPC: true}\n  - metadata: {name: b}\n";
        let findings = check_text(list, true);
        let judged: Vec<(String, Option<u64>, usize)> =
            findings.workloads.iter().map(|judged| (judged.identity.to_string(), judged.line, judged.violations.len())).collect();
        assert_eq!(judged, [("Pod a".to_owned(), Some(8), 1), ("Pod b".to_owned(), Some(10), 0)]);
        assert_eq!(findings.others, 1);
    }

    #[test]
    fn passes_over_other_yaml_in_folders_but_not_in_files_that_were_named() {
        assert_eq!(check_text("replicas: 1\n", false).status(), Status::Passed);
        let findings = check_text("replicas: 1\n", true);
        assert_eq!(findings.errors[0].message, "not a Kubernetes object: it has no apiVersion and kind");
        assert_eq!(findings.status(), Status::Failed);
    }

    #[test]
    fn fails_for_what_it_cannot_judge_and_judges_the_rest() {
        let findings =
            check_text(&format!("{BAD_POD}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec:\n  containers:\n    a: b\n"), true);
        assert_eq!(findings.violating(), 1);
        let error = &findings.errors[0];
        assert_eq!((error.message.as_str(), error.line), ("cannot judge Pod x: spec.containers: must be a list, is an object", Some(11)));
        assert_eq!(findings.status(), Status::Failed);
    }

    #[test]
    fn fails_for_namespaces_with_labels_that_the_webhook_would_refuse() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels:\n    pod-security.kubernetes.io/warn: baseline\n    pod-security.kubernetes.io/enforce: strict\n";
        let error = &check_text(text, true).errors[0];
        let expected = "Namespace shop is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted";
        assert_eq!((error.message.as_str(), error.line), (expected, Some(7)));
        assert_eq!(check_text(&text.replace("strict", "restricted"), true).status(), Status::Passed);
    }

    #[test]
    fn fails_where_there_is_nothing_to_judge() {
        assert_eq!(check_text("# nothing\n", true).status(), Status::Failed);
        assert_eq!(check("baseline".parse().unwrap(), Vec::new()).errors[0].message, "no manifests found");
    }
}
