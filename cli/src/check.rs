//! `portcullis check`: judges manifests as the webhook would judge the objects.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use portcullis_admission::{FieldPath, Standard};
use serde_json::Value;

use crate::args::CheckArgs;
use crate::document::{self, Document, Lines};
use crate::findings::{Identity, Origin};
use crate::judge::{self, Subject};
use crate::source::{self, Given, Source, SourceError};
use crate::{Status, policies, report};

pub use crate::findings::{CheckError, Findings};
pub use crate::judge::Judge;

/// Checks what the command line names and writes the report.
///
/// # Errors
/// The report cannot be written.
pub fn run(args: &CheckArgs, stdin: &mut impl Read, output: &mut impl Write) -> io::Result<Status> {
    let judge = match judge_of(args) {
        Ok(judge) => judge,
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("portcullis: {error}"));
            return Ok(Status::Failed);
        }
    };
    let findings = check_given(judge, source::read(&args.paths, stdin));
    report::write(&findings, args.output, args.color, output)?;
    Ok(findings.status())
}

/// As the command line says: the default standard only where there are no policies.
fn judge_of(args: &CheckArgs) -> Result<Judge, Vec<String>> {
    let now = Timestamp::now();
    let default = || args.policy.is_empty().then_some(judge::DEFAULT);
    let library = policies::load(&args.policy, now)?;
    Ok(Judge::new(args.pod_security.or_else(default), library.snapshot(), now))
}

/// Judges every workload in the sources by a standard.
pub fn check(standard: Standard, sources: Vec<Result<Source, SourceError>>) -> Findings {
    check_by(Judge::of_standard(standard), sources)
}

/// Judges every object in the sources.
pub fn check_by(judge: Judge, sources: Vec<Result<Source, SourceError>>) -> Findings {
    check_given(judge, vec![Given { path: String::new(), sources }])
}

/// Judges every object of every path that was named. A path without any is an error: what was to be judged there is missing.
pub fn check_given(judge: Judge, given: Vec<Given>) -> Findings {
    let findings = Findings::new(Origin::Files, &judge);
    let mut check = Check { judge, findings, objects: 0 };
    let given: Vec<(String, Vec<Parsed>)> = given.into_iter().map(|given| (given.path, check.parse(given.sources))).collect();
    // Policies look at namespaces wherever they are written.
    for document in given.iter().flat_map(|(_, parsed)| parsed).flat_map(|parsed| &parsed.documents) {
        check.judge.learn(&document.value);
    }
    for (path, parsed) in &given {
        check.check_path(path, parsed);
    }
    check.findings
}

/// A text that could be read; nothing is in it where it could not, and then that was told.
struct Parsed {
    source: Option<Source>,
    documents: Vec<Document>,
}

/// What is being found.
struct Check {
    judge: Judge,
    findings: Findings,
    /// How many objects were seen, judged or not, but for lists.
    objects: usize,
}

impl Check {
    fn parse(&mut self, sources: Vec<Result<Source, SourceError>>) -> Vec<Parsed> {
        sources.into_iter().map(|source| self.parse_one(source)).collect()
    }

    fn parse_one(&mut self, source: Result<Source, SourceError>) -> Parsed {
        let (name, message) = match source {
            Ok(source) => match document::parse(&source.text) {
                Ok(documents) => return Parsed { source: Some(source), documents },
                Err(error) => (source.name, error.to_string()),
            },
            Err(error) => (error.name.clone(), error.to_string()),
        };
        self.findings.errors.push(CheckError { source: name, line: None, message });
        Parsed { source: None, documents: Vec::new() }
    }

    /// Everything that one path led to.
    fn check_path(&mut self, path: &str, parsed: &[Parsed]) {
        let (objects, errors) = (self.objects, self.findings.errors.len());
        for Parsed { source, documents } in parsed {
            let Some(source) = source else { continue };
            documents.iter().for_each(|document| self.check_object(source, &document.value, &document.lines, None));
        }
        let is_told = parsed.iter().any(|parsed| parsed.source.is_none()) || self.findings.errors.len() > errors;
        if self.objects == objects && !is_told {
            self.findings.errors.push(CheckError { source: path.to_owned(), line: None, message: "no manifests found".to_owned() });
        }
    }

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
        self.objects = self.objects.saturating_add(1);
        let subject = Subject { source: &source.name, identity: &identity, object, lines };
        let judgement = self.judge.judge(subject, &self.judge.request(&identity, object));
        if judgement.judged.is_none() && judgement.errors.is_empty() {
            self.findings.others = self.findings.others.saturating_add(1);
        }
        self.findings.workloads.extend(judgement.judged);
        self.findings.errors.extend(judgement.errors);
    }

    fn fail(&mut self, source: &Source, lines: &Lines, message: String) {
        self.findings.errors.push(CheckError { source: source.name.clone(), line: lines.of(&FieldPath::default()), message });
    }
}

/// The elements of a `List`, or of a typed one such as a `PodList`.
fn items<'o>(identity: &Identity, object: &'o Value) -> Option<&'o [Value]> {
    if identity.kind.ends_with("List") { object.get("items")?.as_array().map(Vec::as_slice) } else { None }
}

#[cfg(test)]
mod tests;
