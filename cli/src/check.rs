//! `portcullis check`: judges manifests as the webhook would judge the objects.

use std::io::{self, Read, Write};

use jiff::Timestamp;
use portcullis_admission::{FieldPath, Standard};
use serde_json::Value;

use crate::args::CheckArgs;
use crate::document::{self, Lines};
use crate::findings::{Identity, Origin};
use crate::judge::{self, Subject};
use crate::source::{self, Source, SourceError};
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
    let findings = check_by(judge, source::read(&args.paths, stdin));
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
    let findings = Findings::new(Origin::Files, &judge);
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
        let subject = Subject { source: &source.name, identity: &identity, object, lines };
        let judgement = self.judge.judge(subject, &judge::request(&identity, object));
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
