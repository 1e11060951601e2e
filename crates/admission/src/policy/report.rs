//! What policies have to say, put into the answer: one message for all that is denied, warnings, audit annotations.
//!
//! Bounds: the API server cuts warnings to 256 characters each once they are 4,096 together, so each is made to fit and there are no more than 15; a value
//! of an audit annotation has 10 KiB; a message has 16 KiB, which terminals and logs take.
//!
//! An audit annotation's key is `POLICY.KEY`, since the API server puts the webhook's name and `/` before it and takes no second one. It has up to 63
//! characters; what would be longer keeps its end, after a number that tells it from others.

use std::borrow::Cow;
use std::fmt::Write;

use portcullis_api::admission_policy::Action;
use serde_json::{Value, json};

use super::outcome::{ERROR, MAX_FINDINGS, PolicyFinding, PolicyOutcome, PolicyViolation};
use crate::decide::{Decision, Denial, MAX_FINDINGS_IN_MESSAGE, Verdict};
use crate::review::{AdmissionRequest, Status, StatusCause, StatusDetails};
use crate::violation::Shown;

/// The longest message, in bytes.
pub(super) const MAX_MESSAGE: usize = 16 * 1024;
/// The longest sentence about one violation, in bytes: one that names thousands of containers leaves room for the fields. In a cause, which has one field, it
/// is shorter.
const MAX_SENTENCE: usize = 6 * 1024;
const MAX_SENTENCE_OF_CAUSE: usize = 1024;
/// The longest warning, in characters, and how many there are at most beside the Pod Security Standard's own.
const MAX_WARNING: usize = 256;
const MAX_WARNINGS: usize = 15;
/// The longest value of an audit annotation, in bytes.
const MAX_ANNOTATION: usize = 10 * 1024;
/// The longest key of an audit annotation, without the webhook's name.
const MAX_KEY: usize = 63;
/// A Status has at most this many causes.
const MAX_CAUSES: usize = MAX_FINDINGS;
/// How many names `explain` is said with.
const MAX_EXPLAINED: usize = 16;

/// Adds what policies say to what the Pod Security Standard said.
pub(crate) fn merge(decision: &mut Decision, outcome: PolicyOutcome, request: &AdmissionRequest) {
    let PolicyOutcome { violations, waivers, expired, annotations, effects, ignored_failures: _ } = outcome;
    warn(decision, &violations, &expired);
    let noted: Vec<Value> = violations.iter().filter(|violation| violation.actions.contains(&Action::Audit)).map(noted).collect();
    if !noted.is_empty() {
        decision.audit_annotations.insert("policy-violations".into(), list(&noted));
    }
    if !waivers.is_empty() {
        let waivers: Vec<Value> = waivers.iter().map(|waiver| json!(waiver)).collect();
        decision.audit_annotations.insert("policy-exceptions".into(), list(&waivers));
    }
    for (policy, key, value) in annotations {
        let noted = decision.audit_annotations.entry(Cow::Owned(annotation_key(&policy, &key)));
        // Several parameters give several values, told as Kubernetes tells them.
        noted.and_modify(|known| *known = cut(&format!("{known}, {value}"), MAX_ANNOTATION)).or_insert(value);
    }
    decision.policies = effects;
    decision.waivers = waivers.len();
    let denying: Vec<PolicyViolation> = violations.into_iter().filter(PolicyViolation::denies).collect();
    if !denying.is_empty() {
        deny(decision, denying, request);
    }
    explain(decision);
}

fn deny(decision: &mut Decision, violations: Vec<PolicyViolation>, request: &AdmissionRequest) {
    let mut denial = match std::mem::replace(&mut decision.verdict, Verdict::Allowed) {
        Verdict::Denied(denial) => denial,
        Verdict::Allowed | Verdict::NotJudged | Verdict::Exempt(_) => Box::new(new_denial(&violations, request)),
    };
    let mut findings: usize = 0;
    let mut left_out: usize = 0;
    for violation in &violations {
        let room = MAX_MESSAGE.saturating_sub(denial.status.message.len());
        match lines_of(violation, MAX_FINDINGS_IN_MESSAGE.saturating_sub(findings), room) {
            Some(lines) => denial.status.message.push_str(&lines),
            None => left_out = left_out.saturating_add(1),
        }
        findings = findings.saturating_add(violation.findings.len());
    }
    if left_out > 0 {
        // Writing to a string does not fail.
        let _ = write!(denial.status.message, "\nand {left_out} more violations");
    }
    if let Some(details) = &mut denial.status.details {
        let causes = violations.iter().flat_map(causes);
        let room = MAX_CAUSES.saturating_sub(details.causes.len());
        details.causes.extend(causes.take(room));
    }
    denial.policies = violations;
    decision.verdict = Verdict::Denied(denial);
}

fn new_denial(violations: &[PolicyViolation], request: &AdmissionRequest) -> Denial {
    let mut names: Vec<&str> = violations.iter().map(|violation| violation.policy.as_str()).collect();
    names.dedup();
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let word = if names.len() == 1 { "policy" } else { "policies" };
    let (group, resource) = (&request.resource.group, &request.resource.resource);
    let qualified = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
    let qualified = if request.sub_resource.is_empty() { qualified } else { format!("{qualified}/{}", request.sub_resource) };
    let name = request.object_name();
    let message = cut(&format!("{qualified} {name:?} is forbidden: violates {word} {}", quoted.join(", ")), MAX_MESSAGE / 2);
    let details = StatusDetails { name: name.to_owned(), group: group.clone(), kind: resource.clone(), causes: Vec::new() };
    // The status of a denial is that of its first violation, as in Kubernetes.
    let reason = violations.first().map_or(crate::review::StatusReason::Forbidden, |violation| violation.reason);
    Status::failure(reason, message, Some(details)).into()
}

/// The lines about one violation, with at most so many of its findings, and as many as there is room for; `None` where there is none even for its sentence.
fn lines_of(violation: &PolicyViolation, most: usize, room: usize) -> Option<String> {
    /// `  and 18446744073709551615 more fields`, and its line break.
    const RESERVED: usize = 40;
    let mut lines = format!("\n{}", cut(&sentence(violation), MAX_SENTENCE));
    let full = room.checked_sub(RESERVED).filter(|full| lines.len() <= *full)?;
    let mut told: usize = 0;
    for finding in violation.findings.iter().take(most) {
        let line = format!("\n  {finding}");
        if lines.len().saturating_add(line.len()) > full {
            break;
        }
        lines.push_str(&line);
        told = told.saturating_add(1);
    }
    let more = violation.findings.len().saturating_sub(told).saturating_add(violation.more_findings);
    if more > 0 {
        // Writing to a string does not fail.
        let _ = write!(lines, "\n  and {more} more fields");
    }
    Some(lines)
}

fn sentence(violation: &PolicyViolation) -> String {
    let standard = violation.standard.map(|standard| format!(", {standard}")).unwrap_or_default();
    format!("policy {:?} ({}{standard}): {}", violation.policy, violation.control, violation.message)
}

impl std::fmt::Display for PolicyFinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} is {}", self.path, Shown(value))?,
            None if self.allowed.is_some() => write!(f, "{} is unset", self.path)?,
            None => write!(f, "{}", self.path)?,
        }
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        self.change.iter().try_for_each(|change| write!(f, "; {change}"))
    }
}

fn causes(violation: &PolicyViolation) -> Vec<StatusCause> {
    let sentence = cut(&sentence(violation), MAX_SENTENCE_OF_CAUSE);
    let cause = |finding: Option<&PolicyFinding>| StatusCause {
        reason: match finding {
            Some(finding) if finding.value.is_none() => "FieldValueRequired",
            Some(_) => "FieldValueForbidden",
            None => "PolicyViolated",
        },
        message: finding.map_or_else(|| sentence.clone(), |finding| format!("{sentence}; {finding}")),
        field: finding.map(|finding| finding.path.to_string()).unwrap_or_default(),
    };
    if violation.findings.is_empty() {
        return vec![cause(None)];
    }
    violation.findings.iter().take(MAX_CAUSES).map(|finding| cause(Some(finding))).collect()
}

fn warn(decision: &mut Decision, violations: &[PolicyViolation], expired: &std::collections::BTreeMap<String, jiff::Timestamp>) {
    let warned: Vec<&PolicyViolation> = violations.iter().filter(|violation| violation.actions.contains(&Action::Warn)).collect();
    for violation in warned.iter().take(MAX_WARNINGS) {
        let findings = violation.findings.first().map(|finding| format!("; {finding}")).unwrap_or_default();
        decision.warnings.push(one_line(&format!("would violate {}{findings}", sentence(violation))));
    }
    let more = warned.len().saturating_sub(MAX_WARNINGS);
    if more > 0 {
        decision.warnings.push(format!("and {more} more violations of policies"));
    }
    for (exception, ended) in expired.iter().take(MAX_WARNINGS) {
        decision.warnings.push(one_line(&format!("the exception {exception} ended at {ended} and allows nothing any more")));
    }
}

/// A text as a warning can have it.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    if line.chars().count() <= MAX_WARNING {
        return line;
    }
    line.chars().take(MAX_WARNING.saturating_sub(1)).chain(['…']).collect()
}

fn noted(violation: &PolicyViolation) -> Value {
    let fields: Vec<String> = violation.findings.iter().take(MAX_FINDINGS_IN_MESSAGE).map(|finding| finding.path.to_string()).collect();
    json!({"policy": violation.policy, "control": violation.control, "message": violation.message, "fields": fields, "actions": violation.actions})
}

/// As many entries as an annotation has room for, and how many there are beside.
fn list(entries: &[Value]) -> String {
    let mut text = String::from("[");
    for (index, entry) in entries.iter().enumerate() {
        let entry = entry.to_string();
        if text.len().saturating_add(entry.len()) > MAX_ANNOTATION.saturating_sub(64) {
            let more = entries.len().saturating_sub(index);
            let separator = if index > 0 { "," } else { "" };
            let _ = write!(text, r#"{separator}{{"more":{more}}}"#);
            break;
        }
        if index > 0 {
            text.push(',');
        }
        text.push_str(&entry);
    }
    text.push(']');
    text
}

/// Says where more is to be read about what is denied.
fn explain(decision: &mut Decision) {
    let Verdict::Denied(denial) = &mut decision.verdict else { return };
    let mut names: Vec<Cow<'_, str>> = denial.violations.iter().map(|violation| violation.check.into()).collect();
    for violation in denial.policies.iter().filter(|violation| violation.control != ERROR) {
        let is_check = violation.standard.is_some();
        names.push(if is_check { violation.control.as_str().into() } else { format!("{}:{}", violation.policy, violation.control).into() });
    }
    let mut distinct: Vec<Cow<'_, str>> = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    if !distinct.is_empty() {
        distinct.truncate(MAX_EXPLAINED);
        let _ = write!(denial.status.message, "\nto read more: portcullis explain {}", distinct.join(" "));
    }
}

/// `POLICY.KEY`, in the characters and length that the API server takes.
fn annotation_key(policy: &str, key: &str) -> String {
    let joined = format!("{policy}.{key}").replace('/', "_");
    if joined.len() <= MAX_KEY {
        return joined;
    }
    // FNV-1a: not against anybody, only so that two long names stay two.
    let hash = joined.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // Names are ASCII: every byte is a character.
    let end = joined.len().saturating_sub(MAX_KEY.saturating_sub(19));
    format!("x{hash:016x}-{}", joined.get(end..).unwrap_or_default())
}

/// The text, cut at a character so that it has at most so many bytes.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_audit_annotations_are_what_the_api_server_takes() {
        assert_eq!(annotation_key("images", "registry"), "images.registry");
        assert_eq!(annotation_key("policy/binding", "key"), "policy_binding.key");
        let (one, two) = (annotation_key(&"a".repeat(253), "key"), annotation_key(&format!("b{}", "a".repeat(252)), "key"));
        assert!(one.len() <= 63 && two.len() <= 63 && one != two && one.ends_with("aa.key"), "{one}");
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut("éé", 4), "éé");
        assert_eq!(cut("ééé", 5), "é…");
        let warning = one_line(&"é\n".repeat(300));
        assert!(warning.chars().count() == 256 && !warning.contains('\n') && warning.ends_with('…'));
    }

    #[test]
    fn a_list_that_is_too_long_says_how_much_is_left_out() {
        let entries = vec![json!({"a": "x".repeat(1000)}); 20];
        let text = list(&entries);
        let read: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(text.len() <= MAX_ANNOTATION && read.last().unwrap()["more"] == 10, "{}", read.len());
    }
}
