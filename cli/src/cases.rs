//! `portcullis test`: runs the cases that are beside policies, by the engine that the webhook has.
//!
//! ```text
//!   FOLDER/policy.yaml ─► Library ─► PolicySet ─┐
//!   FOLDER/cases.yaml  ─► Case ─► request ──────┴─► judge ─► as expected?
//! ```
//!
//! Every file of the folder but `cases.yaml` is read as policies. A suite has to hold a case that each validation refuses and one that it lets pass: a
//! control that no case refuses could as well not be there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use portcullis_admission::policy::{Library, PolicyOutcome, PolicySet, Surroundings};
use portcullis_admission::review::{Operation, UserInfo};
use portcullis_api::admission_policy::Action;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Status;
use crate::args::{TestArgs, TestFormat};
use crate::findings::Identity;
use crate::judge;
use crate::policies;

mod report;

/// The file with a folder's cases.
pub const CASES: &str = "cases.yaml";

/// What cases are judged at, where they do not say when.
const NOW: &str = "2026-11-25T00:00:00Z";

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Suite {
    /// The cases.
    pub cases: Vec<Case>,
}

/// A request, and what has to become of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// What it shows, in a sentence.
    pub name: String,
    /// The object, as a manifest; for a connection, its options.
    pub object: Value,
    /// The object before, for an update.
    #[serde(default)]
    pub old_object: Option<Value>,
    /// `CREATE` where unset.
    #[serde(default)]
    pub operation: Option<String>,
    /// The resource, where it is not that of the object's kind: `pods/exec`.
    #[serde(default)]
    pub resource: Option<String>,
    /// Who asks.
    #[serde(default)]
    pub user: UserInfo,
    /// Labels of the namespace.
    #[serde(default)]
    pub namespace_labels: BTreeMap<String, String>,
    /// Exceptions and parameters that there are beside those in the folder.
    #[serde(default)]
    pub with: Vec<Value>,
    /// When it is asked.
    #[serde(default)]
    pub now: Option<Timestamp>,
    /// What has to become of it.
    pub expect: Expect,
}

/// What has to become of a request: exactly this. Nothing listed means that it passes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Expect {
    /// Controls that refuse it.
    pub deny: BTreeSet<String>,
    /// Controls that warn of it.
    pub warn: BTreeSet<String>,
    /// Controls that note it.
    pub audit: BTreeSet<String>,
    /// Fields that are named, in any order; not looked at where unset.
    pub fields: Option<BTreeSet<String>>,
    /// A part of what is said.
    pub message: Option<String>,
    /// Controls that an exception waives.
    pub waived: BTreeSet<String>,
}

/// The cases of one folder, run.
#[derive(Debug)]
pub struct Ran {
    /// The folder.
    pub folder: String,
    /// Each case's name, and what is not as expected.
    pub cases: Vec<(String, Vec<String>)>,
    /// Why they could not be run.
    pub errors: Vec<String>,
}

/// Runs the cases of every folder and writes the report.
///
/// # Errors
/// The report cannot be written.
pub fn run(args: &TestArgs, output: &mut impl Write) -> io::Result<Status> {
    let mut folders = Vec::new();
    let mut ran = Vec::new();
    for path in &args.paths {
        if let Err(error) = find(path, &mut folders) {
            ran.push(Ran { folder: path.display().to_string(), cases: Vec::new(), errors: vec![error.to_string()] });
        }
    }
    ran.extend(folders.iter().map(|folder| run_folder(folder)));
    if ran.is_empty() {
        let errors = vec![format!("no {CASES} found")];
        ran.push(Ran { folder: String::new(), cases: Vec::new(), errors });
    }
    match args.output {
        TestFormat::Text => report::text(&ran, output)?,
        TestFormat::Json => report::json(&ran, output)?,
        TestFormat::Junit => report::junit(&ran, output)?,
    }
    Ok(match () {
        () if ran.iter().any(|ran| !ran.errors.is_empty()) => Status::Failed,
        () if ran.iter().any(|ran| ran.cases.iter().any(|(_, wrong)| !wrong.is_empty())) => Status::Violated,
        () => Status::Passed,
    })
}

/// The folders with cases, in the order of their names.
fn find(path: &Path, folders: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort_unstable();
    if entries.iter().any(|entry| entry.file_name().is_some_and(|name| name == CASES)) {
        folders.push(path.to_owned());
    }
    entries.iter().filter(|entry| entry.is_dir() && !entry.is_symlink()).try_for_each(|entry| find(entry, folders))
}

/// Runs the cases of one folder.
pub fn run_folder(folder: &Path) -> Ran {
    let mut ran = Ran { folder: folder.display().to_string(), cases: Vec::new(), errors: Vec::new() };
    let suite = match read_suite(&folder.join(CASES)) {
        Ok(suite) => suite,
        Err(error) => {
            ran.errors.push(error);
            return ran;
        }
    };
    let mut refused: BTreeSet<String> = BTreeSet::new();
    let mut controls: BTreeSet<String> = BTreeSet::new();
    let mut passed = false;
    for case in &suite.cases {
        match prepare(folder, case) {
            Ok(set) => {
                controls.extend(own_controls(&set));
                let outcome = ask(&set, case);
                refused.extend(outcome.violations.iter().map(|violation| violation.control.clone()));
                passed |= outcome.violations.is_empty();
                ran.cases.push((case.name.clone(), differences(&outcome, &case.expect)));
            }
            Err(errors) => ran.errors.extend(errors),
        }
    }
    if ran.errors.is_empty() {
        let mut missing: Vec<String> = controls.difference(&refused).map(|control| format!("no case violates {control}")).collect();
        if !passed {
            missing.push("no case passes".to_owned());
        }
        ran.cases.push(("every control has its cases".to_owned(), missing));
    }
    ran
}

/// The validations of the policies: the checks of Pod Security Standards have cases of their own.
fn own_controls(set: &PolicySet) -> Vec<String> {
    let is_check = |control: &&str| portcullis_admission::Check::named(control).is_some();
    set.policies().flat_map(|policy| policy.controls()).filter(|control| !is_check(control)).map(str::to_owned).collect()
}

fn read_suite(path: &Path) -> Result<Suite, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // A case is read as kubectl reads a manifest; a slip in a field's name is an error.
    let documents = crate::document::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let [document] = documents.as_slice() else { return Err(format!("{}: one document is expected", path.display())) };
    Suite::deserialize(&document.value).map_err(|error| format!("{}: {error}", path.display()))
}

/// The policies for a case.
fn prepare(folder: &Path, case: &Case) -> Result<PolicySet, Vec<String>> {
    let now = moment(case);
    let in_case = |errors: Vec<String>| errors.into_iter().map(|error| format!("{}: {error}", case.name)).collect::<Vec<_>>();
    let mut resources = policies::read(&[folder.to_owned()])?;
    for object in &case.with {
        let read = portcullis_api::load_policies("with", &object.to_string()).map_err(|error| in_case(vec![error.to_string()]))?;
        resources.extend(read);
    }
    let library = Library::of_files(resources, now);
    let problems = policies::problems(&library);
    if problems.is_empty() { Ok(library.snapshot()) } else { Err(in_case(problems)) }
}

fn moment(case: &Case) -> Timestamp {
    case.now.or_else(|| NOW.parse().ok()).unwrap_or_default()
}

fn ask(set: &PolicySet, case: &Case) -> PolicyOutcome {
    let text = |field: &str| case.object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let metadata = |field: &str| case.object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str);
    let identity = Identity {
        api_version: text("apiVersion"),
        kind: text("kind"),
        namespace: metadata("namespace").unwrap_or_default().to_owned(),
        name: metadata("name").unwrap_or_default().to_owned(),
    };
    let mut request = judge::request(&identity, &case.object);
    request.operation = case.operation.as_ref().map_or(Operation::Create, |operation| Operation::from(operation.clone()));
    request.old_object = case.old_object.clone();
    request.user_info = case.user.clone();
    if let Some(resource) = &case.resource {
        let (resource, sub_resource) = resource.split_once('/').unwrap_or((resource, ""));
        request.resource.group = String::new();
        request.resource.resource = resource.to_owned();
        request.sub_resource = sub_resource.to_owned();
    }
    if request.operation == Operation::Delete {
        request.old_object = request.object.take();
    }
    let mut namespace = judge::namespace(&request.namespace);
    if let Some(labels) = namespace.get_mut("metadata").and_then(|metadata| metadata.get_mut("labels")).and_then(Value::as_object_mut) {
        labels.extend(case.namespace_labels.iter().map(|(key, value)| (key.clone(), json!(value))));
    }
    let namespace = Ok(Some(&namespace).filter(|_| !request.namespace.is_empty()));
    set.judge(&request, &Surroundings { namespace, now: moment(case), deadline: None })
}

/// What is not as expected.
fn differences(outcome: &PolicyOutcome, expect: &Expect) -> Vec<String> {
    let with = |action: Action| -> BTreeSet<String> {
        let violations = outcome.violations.iter().filter(|violation| violation.actions.contains(&action));
        violations.map(|violation| violation.control.clone()).collect()
    };
    let mut differences = Vec::new();
    let mut compare = |what: &str, expected: &BTreeSet<String>, found: &BTreeSet<String>| {
        let listed = |names: &BTreeSet<String>| {
            if names.is_empty() { "nothing".to_owned() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
        };
        if expected != found {
            differences.push(format!("{what}: expected {}, found {}", listed(expected), listed(found)));
        }
    };
    compare("deny", &expect.deny, &with(Action::Deny));
    compare("warn", &expect.warn, &with(Action::Warn));
    compare("audit", &expect.audit, &with(Action::Audit));
    compare("waived", &expect.waived, &outcome.waivers.iter().map(|waiver| waiver.control.clone()).collect());
    if let Some(fields) = &expect.fields {
        let findings = outcome.violations.iter().flat_map(|violation| &violation.findings);
        compare("fields", fields, &findings.map(|finding| finding.path.to_string()).collect());
    }
    let messages: Vec<&str> = outcome.violations.iter().map(|violation| violation.message.as_str()).collect();
    if let Some(message) = expect.message.as_ref().filter(|expected| !messages.iter().any(|found| found.contains(expected.as_str()))) {
        differences.push(format!("message: expected {message:?}, found {messages:?}"));
    } else if !differences.is_empty() && !messages.is_empty() {
        differences.push(format!("it was said: {}", messages.join("; ")));
    }
    differences
}
