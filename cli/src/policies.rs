//! Policies from files, and those that ship with the program.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use portcullis_admission::policy::{Entry, Library, PolicyKey};
use portcullis_api::{PolicyResource, load_policies};

use crate::cases::CASES;
use crate::source;

/// A policy that ships.
#[derive(Debug)]
pub struct Shipped {
    /// The name of its folder, and its own.
    pub name: &'static str,
    /// Its file.
    pub policy: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped { name: $name, policy: include_str!(concat!("../../policies/", $name, "/policy.yaml")) }),*]
    };
}

/// The policies of the project's folder `policies`.
pub const SHIPPED: &[Shipped] = shipped![
    "capabilities",
    "host-paths",
    "image-digests",
    "image-registries",
    "no-exec-in-production",
    "no-latest-tag",
    "pod-security-baseline",
    "pod-security-restricted",
    "require-profile",
    "resource-limits",
    "sensitive-mounts",
    "service-account-token",
];

/// What to say where files were named to judge by, and nothing would be judged.
const NO_POLICY: &str = "no policies found: the files hold no policy, or exceptions and parameters alone; name one with an AdmissionPolicy, or with a \
     ValidatingAdmissionPolicy and its binding";

/// Reads every policy, exception and parameter of the files, and of the files in the folders. A folder's cases are not read.
///
/// # Errors
/// Every problem of every file.
pub fn read(paths: &[PathBuf]) -> Result<Vec<PolicyResource>, Vec<String>> {
    let (mut resources, mut problems) = (Vec::new(), Vec::new());
    for source in source::read(paths, &mut io::empty()).into_iter().flat_map(|given| given.sources) {
        match source {
            Ok(source) if !source.named && Path::new(&source.name).file_name().is_some_and(|name| name == CASES) => {}
            Ok(source) => match load_policies(&source.name, &source.text) {
                Ok(read) => resources.extend(read),
                Err(error) => problems.extend(error.problems().iter().map(ToString::to_string)),
            },
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() { Ok(resources) } else { Err(problems) }
}

/// The policies of files, all of which can be in force.
///
/// # Errors
/// Every problem of every file and of every expression.
pub fn load(paths: &[PathBuf], now: Timestamp) -> Result<Library, Vec<String>> {
    let resources = read(paths)?;
    let mut problems = unbound(&resources);
    let library = Library::of_files(resources, now);
    problems.extend(self::problems(&library));
    if problems.is_empty() && !paths.is_empty() && library.snapshot().is_empty() {
        problems.push(NO_POLICY.to_owned());
    }
    if problems.is_empty() { Ok(library) } else { Err(problems) }
}

/// Kubernetes' own policies that no binding among the files puts in force: whoever names them means them to judge.
pub(crate) fn unbound(resources: &[PolicyResource]) -> Vec<String> {
    let is_bound = |name: &str| {
        resources.iter().any(|resource| matches!(resource, PolicyResource::Binding(binding) if binding.spec.policy_name == name))
    };
    let names = resources.iter().filter_map(|resource| match resource {
        PolicyResource::Validating(policy) => Some(policy.metadata.name.as_deref().unwrap_or_default()),
        _ => None,
    });
    let message = |name| {
        format!(
            "ValidatingAdmissionPolicy {name}: not in force: no binding among the files is for it; add a ValidatingAdmissionPolicyBinding with \
             spec.policyName: {name}"
        )
    };
    names.filter(|name| !is_bound(name)).map(message).collect()
}

/// What is wrong with policies that could be read.
pub fn problems(library: &Library) -> Vec<String> {
    library.entries().iter().flat_map(problems_of).collect()
}

/// What is wrong with one resource, which each line names.
pub(crate) fn problems_of(entry: &Entry) -> Vec<String> {
    let name = match &entry.key {
        PolicyKey::Policy(name) => format!("policy {name}"),
        PolicyKey::Validating(name) => format!("ValidatingAdmissionPolicy {name}"),
        PolicyKey::Binding(name) => format!("ValidatingAdmissionPolicyBinding {name}"),
        PolicyKey::Exception(namespace, name) => format!("exception {namespace}/{name}"),
    };
    entry.problems.iter().map(|problem| format!("{name}: {problem}")).collect()
}
