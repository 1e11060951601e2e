//! Reads the crate `portcullis-admission`'s own fixtures (see fixtures/README.md) and, where they are at hand, those of Pod Security Admission.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_admission::{Check, Level};
use serde_json::{Map, Value, json};

/// A pod, and what a check says of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) pod: Value,
    /// Reason and detail; `None` if the pod passes.
    pub(crate) refusal: Option<(String, String)>,
}

/// The cases for one revision of a check.
pub(crate) struct RevisionCases {
    pub(crate) since: u64,
    pub(crate) cases: Vec<Case>,
}

/// This crate's own cases for a check.
pub(crate) fn own(check: &Check) -> Vec<RevisionCases> {
    let path = project().join("crates/admission/tests/fixtures").join(format!("{}.yaml", check.id));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let document: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(document["check"], check.id, "{}", path.display());
    list(&document["revisions"]).iter().map(|revision| read_revision(check.level, revision)).collect()
}

fn read_revision(level: Level, revision: &Value) -> RevisionCases {
    let since = text(&revision["since"]).strip_prefix("v1.").unwrap().parse().unwrap();
    let case = |case: &Value, refusal| Case { name: text(&case["name"]), pod: complete(level, &case["pod"]), refusal };
    let pass = list(&revision["pass"]).iter().map(|pass| case(pass, None));
    let fail = list(&revision["fail"]).iter().map(|fail| case(fail, Some((text(&fail["reason"]), text(&fail["detail"])))));
    RevisionCases { since, cases: pass.chain(fail).collect() }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

/// A case's pod over the smallest one that passes the level.
fn complete(level: Level, patch: &Value) -> Value {
    let (mut pod, container) = match level {
        Level::Restricted => (
            json!({"spec": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "a"}]}}),
            json!({"image": "x", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}),
        ),
        Level::Baseline | Level::Privileged => (json!({"spec": {"containers": [{"name": "a"}]}}), json!({"image": "x"})),
    };
    merge(&mut pod, patch);
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        for patch in pod["spec"].get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            let mut container = container.clone();
            merge(&mut container, patch);
            *patch = container;
        }
    }
    pod
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(target.as_object_mut().unwrap().entry(key).or_insert(Value::Null), value);
        }
    }
}

/// One of Pod Security Admission's own fixtures.
pub(crate) struct Upstream {
    pub(crate) path: PathBuf,
    pub(crate) level: Level,
    /// The versions for which it holds.
    pub(crate) minors: Vec<u64>,
    /// The id, in lower case, of the check that it violates; `None` if it passes.
    pub(crate) violates: Option<String>,
    pub(crate) pod: Value,
}

/// The project's folder. Packages that use these fixtures are in it.
fn project() -> PathBuf {
    let package = fs::canonicalize(env!("CARGO_MANIFEST_DIR")).unwrap();
    package.ancestors().find(|folder| folder.join("crates/admission/tests/fixtures").is_dir()).unwrap().to_owned()
}

/// Pod Security Admission's fixtures, if they lie beside the project.
pub(crate) fn upstream() -> Option<Vec<Upstream>> {
    let root = project().join("../shared/pss");
    if !root.is_dir() {
        return None;
    }
    let mut found = Vec::new();
    for level in [Level::Baseline, Level::Restricted] {
        let level_folder = root.join(level.as_str());
        let mut versions: Vec<u64> = names(&level_folder).iter().map(|name| name.strip_prefix("v1.").unwrap().parse().unwrap()).collect();
        versions.sort_unstable();
        for (position, minor) in versions.iter().enumerate() {
            // A folder stands for the versions up to the next one; what follows the last is not known.
            let end = versions.get(position + 1).copied().unwrap_or(minor + 1);
            for verdict in ["pass", "fail"] {
                let folder = level_folder.join(format!("v1.{minor}")).join(verdict);
                for name in names(&folder) {
                    let path = folder.join(&name);
                    let pod = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                    let check = name.trim_end_matches(".yaml").trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
                    let violates = (verdict == "fail").then_some(check);
                    found.push(Upstream { path, level, minors: (*minor..end).collect(), violates, pod });
                }
            }
        }
    }
    Some(found)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
