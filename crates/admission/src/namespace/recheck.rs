//! What to tell the one who makes a namespace stricter: which of the pods in it could not be made again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::reasons;
use crate::pod::Pod;
use crate::standard::Standard;

/// A pod that runs in the namespace.
#[derive(Debug)]
pub struct ExistingPod<'d> {
    /// Its name.
    pub name: &'d str,
    /// What is judged.
    pub pod: Pod<'d>,
}

/// The warnings about pods of `namespace` that violate its new `enforce` standard, worded as Pod Security Admission words them. Pods with the same
/// violations share a line. `total` is how many pods there are; if it is more than were given, the first line says so.
pub fn warn_of_existing_pods<'d>(
    namespace: &str,
    enforce: Standard,
    pods: impl IntoIterator<Item = ExistingPod<'d>>,
    total: usize,
) -> Vec<String> {
    let mut by_reasons: BTreeMap<String, (&str, usize)> = BTreeMap::new();
    let mut checked: usize = 0;
    for existing in pods {
        checked = checked.saturating_add(1);
        let Some(reasons) = reasons(enforce, &existing.pod) else { continue };
        match by_reasons.entry(reasons) {
            Entry::Vacant(entry) => _ = entry.insert((existing.name, 1)),
            Entry::Occupied(mut entry) => {
                let (first, count) = entry.get_mut();
                *first = existing.name.min(first);
                *count = count.saturating_add(1);
            }
        }
    }
    let mut warnings = Vec::new();
    if checked < total {
        warnings.push(format!("new PodSecurity enforce level only checked against the first {checked} of {total} existing pods"));
    }
    if !by_reasons.is_empty() {
        warnings.push(format!("existing pods in namespace {namespace:?} violate the new PodSecurity enforce level \"{enforce}\""));
    }
    let mut lines: Vec<String> = by_reasons.into_iter().map(|(reasons, (name, count))| describe(name, count, &reasons)).collect();
    lines.sort_unstable();
    warnings.extend(lines);
    warnings
}

fn describe(name: &str, count: usize, reasons: &str) -> String {
    match count.saturating_sub(1) {
        0 => format!("{name}: {reasons}"),
        1 => format!("{name} (and 1 other pod): {reasons}"),
        others => format!("{name} (and {others} other pods): {reasons}"),
    }
}
