//! The decision: one admission request in, one verdict out, no I/O.
//!
//! ```text
//!  request ─► to be judged? ─► exempt? ─► read the pod ─► changed? ─► exempt runtime class? ─► enforce ─► audit ─► warn ─► Decision
//!               no: allow       allow       no: deny       no: allow      allow               deny      annotate  warning
//! ```
//!
//! Where it fails open and where closed, and why:
//!
//! | what | answer | because |
//! |---|---|---|
//! | DELETE and CONNECT | allow | nothing is created; a cluster has to be able to remove what violates |
//! | `pods/exec`, `attach`, `portforward`, `proxy`, `log`, `binding`, `eviction`, `status` | allow | they carry no pod spec |
//! | any other subresource of pods | judged | one that is yet to be invented may change the spec |
//! | a subresource of a workload (`scale`, `status`) | allow | it carries no pod template |
//! | a resource that carries no pod known to us | allow | the pods that it makes are judged themselves |
//! | an operation that is not known | judged | as if something were created |
//! | no object, or another kind than the resource's | deny, 400 | there is nothing that could be judged |
//! | an object with a field of the wrong type | deny, 400 | what cannot be read cannot be judged; the API server never sends it |
//! | a policy or an exception of ours that does not compile | deny, 422 | it would do nothing, and only its status would say so |
//! | an object that nothing here or in a policy looks at | allow | it is not opened: see [`needs_objects`] |
//! | an UPDATE without a readable old object | judged in full | as if it were new |
//! | a pod whose namespace cannot be looked up | deny, 500 | its standards are not known |
//! | a workload whose namespace cannot be looked up | allow | its pods are judged themselves |
//! | a namespace whose labels became invalid | deny, 422 | see [`namespace`](crate::namespace) |
//! | an UPDATE that changes nothing a check looks at | allow | running workloads may predate the standard: see [`update`](crate::update) |
//!
//! Exemptions are compared exactly and noted in the audit annotations.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::checks::evaluate;
use crate::field::Malformed;
use crate::namespace::{self, NamespaceStandards};
use crate::pod::Pod;
use crate::policy::{Effect, PolicySet, Surroundings, applied, report};
use crate::review::{AdmissionRequest, AdmissionResponse, Operation, Status, StatusReason};
use crate::standard::Standard;
use crate::update;
use crate::violation::{Violation, summarise};
use crate::workload::Workload;

mod denial;
mod settings;

pub use denial::{Denial, MAX_FINDINGS_IN_MESSAGE};
pub use settings::{Exemptions, NamespaceLookup, Settings, Standards, Templates};

/// By what a request was exempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exemption {
    /// Its namespace.
    Namespace,
    /// Its user.
    User,
    /// The pod's runtime class.
    RuntimeClass,
}

impl Exemption {
    /// The word that the audit annotation has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::User => "user",
            Self::RuntimeClass => "runtimeClass",
        }
    }
}

/// One of Pod Security Admission's modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Deny.
    Enforce,
    /// Note.
    Audit,
    /// Warn.
    Warn,
}

/// One judgement by one standard, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluation {
    /// For which purpose.
    pub mode: Mode,
    /// By which standard.
    pub standard: Standard,
    /// Whether the pod passed.
    pub passed: bool,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It meets the enforced standard, or no standard was to be enforced on it.
    Allowed,
    /// Nothing in it was to be judged.
    NotJudged,
    /// Somebody exempted it.
    Exempt(Exemption),
    /// It violates the enforced standard, or cannot be judged.
    Denied(Box<Denial>),
}

/// A verdict, and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Whether it may go on, and why.
    pub verdict: Verdict,
    /// For the client.
    pub warnings: Vec<String>,
    /// For the API server's audit log.
    pub audit_annotations: BTreeMap<Cow<'static, str>, String>,
    /// For metrics.
    pub evaluations: Vec<Evaluation>,
    /// How many policies came to what, for metrics.
    pub policies: BTreeMap<Effect, usize>,
    /// How often an exception was used.
    pub waivers: usize,
}

impl From<Verdict> for Decision {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            warnings: Vec::new(),
            audit_annotations: BTreeMap::new(),
            evaluations: Vec::new(),
            policies: BTreeMap::new(),
            waivers: 0,
        }
    }
}

impl Decision {
    /// Whether the request may go on.
    pub const fn is_allowed(&self) -> bool {
        !matches!(self.verdict, Verdict::Denied(_))
    }

    /// Why not.
    pub const fn denial(&self) -> Option<&Denial> {
        match &self.verdict {
            Verdict::Denied(denial) => Some(denial),
            Verdict::Allowed | Verdict::NotJudged | Verdict::Exempt(_) => None,
        }
    }

    /// The answer to the request named by `uid`.
    pub fn into_response(self, uid: String) -> AdmissionResponse {
        let status = self.denial().map(|denial| denial.status.clone());
        AdmissionResponse { uid, allowed: status.is_none(), status, warnings: self.warnings, audit_annotations: self.audit_annotations }
    }

    fn exempt(exemption: Exemption) -> Self {
        let mut decision = Self::from(Verdict::Exempt(exemption));
        decision.audit_annotations.insert("exempt".into(), exemption.as_str().to_owned());
        decision
    }

    /// Fails closed for pods, and open for workloads, whose pods are judged themselves.
    fn without_namespace(request: &AdmissionRequest, workload: &Workload, why: &str) -> Self {
        let verdict = if workload.is_pod() {
            let message = format!("failed to lookup namespace {:?}: {why}", request.namespace);
            let status = Status::failure(StatusReason::InternalError, message, None);
            Verdict::Denied(Box::new(status.into()))
        } else {
            Verdict::NotJudged
        };
        let mut decision = Self::from(verdict);
        decision.audit_annotations.insert("error".into(), format!("failed to lookup namespace: {why}"));
        decision
    }

    fn unreadable(request: &AdmissionRequest, workload: &Workload, why: &str) -> Self {
        let message = format!("cannot judge {} {:?}: {why}", workload.qualified_resource(), request.object_name());
        let status = Status::failure(StatusReason::BadRequest, message, None);
        let mut decision = Self::from(Verdict::Denied(Box::new(status.into())));
        decision.audit_annotations.insert("error".into(), why.to_owned());
        decision
    }
}

/// Subresources of pods that carry no pod spec. Others are judged, those included that do not exist yet.
pub(crate) const IGNORED_POD_SUBRESOURCES: [&str; 8] = ["attach", "binding", "eviction", "exec", "log", "portforward", "proxy", "status"];

/// Decides a request. The same request, settings and namespace always give the same decision.
pub fn decide(request: &AdmissionRequest, settings: &Settings, namespace: &NamespaceLookup) -> Decision {
    if is_namespace(request) {
        return namespace::decide(request, settings.defaults);
    }
    let Some(workload) = to_be_judged(request) else { return Verdict::NotJudged.into() };
    if let Some(exemption) = exemption(request, settings) {
        return Decision::exempt(exemption);
    }
    let namespace = match namespace {
        NamespaceLookup::Found(namespace) => namespace,
        NamespaceLookup::Failed(why) => return Decision::without_namespace(request, workload, why),
    };
    if namespace.errors.is_empty() && namespace.standards.allow_everything() {
        return Verdict::Allowed.into();
    }
    let object = match object_of(request, workload) {
        Ok(object) => object,
        Err(why) => return Decision::unreadable(request, workload, &why),
    };
    let pod = match workload.read_pod(object) {
        Ok(pod) => pod,
        Err(malformed) => return Decision::unreadable(request, workload, &malformed.to_string()),
    };
    if request.operation == Operation::Update && !is_significant(workload, request.old_object.as_ref(), object, &pod) {
        return Verdict::NotJudged.into();
    }
    if pod.runtime_class.is_some_and(|class| is_listed(&settings.exemptions.runtime_classes, class)) {
        return Decision::exempt(Exemption::RuntimeClass);
    }
    judge(request, workload, settings.templates, namespace, &pod)
}

/// Decides a request by the Pod Security Standards that namespaces ask for, as [`decide`] does, and by policies.
///
/// Namespaces and users that are exempt are exempt from policies, too; runtime classes, which the author of a pod chooses, are not. What [`decide`] could
/// not read is denied without asking any policy. A policy or an exception of ours that does not compile is denied, whoever applies it.
pub fn admit(
    request: &AdmissionRequest,
    settings: &Settings,
    namespace: &NamespaceLookup,
    policies: &PolicySet,
    surroundings: &Surroundings<'_>,
) -> Decision {
    if let Some(denial) = applied::refuse(request, surroundings.now) {
        return Verdict::Denied(Box::new(denial)).into();
    }
    let mut decision = decide(request, settings, namespace);
    let unreadable = decision.denial().is_some_and(|denial| denial.violations.is_empty());
    if !unreadable {
        let exempt = exemption(request, settings).is_some();
        let outcome = if exempt { Default::default() } else { policies.judge(request, surroundings) };
        report::merge(&mut decision, outcome, request);
    }
    decision
}

/// Nobody is exempt for want of a name.
fn is_listed(names: &BTreeSet<String>, name: &str) -> bool {
    !name.is_empty() && names.contains(name)
}

/// Whether the decision depends on the namespace's labels: whether they are worth looking up.
pub fn needs_namespace(request: &AdmissionRequest, settings: &Settings) -> bool {
    to_be_judged(request).is_some() && exemption(request, settings).is_none()
}

/// Whether the decision depends on the request's objects: whether they are worth opening. `request` is the head of one.
pub fn needs_objects(request: &AdmissionRequest, settings: &Settings, namespace: &NamespaceLookup, policies: &PolicySet) -> bool {
    let is_free = matches!(namespace, NamespaceLookup::Found(known) if known.errors.is_empty() && known.standards.allow_everything());
    let of_standards = to_be_judged(request).is_some() && !is_free;
    is_namespace(request)
        || applied::is_applied(request)
        || (exemption(request, settings).is_none() && (of_standards || policies.may_concern(request)))
}

/// By what a request is exempt, whatever its object is.
fn exemption(request: &AdmissionRequest, settings: &Settings) -> Option<Exemption> {
    if is_listed(&settings.exemptions.namespaces, &request.namespace) {
        Some(Exemption::Namespace)
    } else if is_listed(&settings.exemptions.users, &request.user_info.username) {
        Some(Exemption::User)
    } else {
        None
    }
}

/// Whether it is about a Namespace.
pub(crate) fn is_namespace(request: &AdmissionRequest) -> bool {
    request.resource.group.is_empty() && request.resource.resource == "namespaces"
}

fn to_be_judged(request: &AdmissionRequest) -> Option<&'static Workload> {
    if matches!(request.operation, Operation::Delete | Operation::Connect) {
        return None;
    }
    let workload = Workload::of_resource(&request.resource.group, &request.resource.resource)?;
    let subresource = request.sub_resource.as_str();
    let ignored = if workload.is_pod() { IGNORED_POD_SUBRESOURCES.contains(&subresource) } else { !subresource.is_empty() };
    (!ignored).then_some(workload)
}

/// The object, if it is of the kind whose template we know how to find.
pub(crate) fn object_of<'r>(request: &'r AdmissionRequest, workload: &Workload) -> Result<&'r Value, String> {
    let kind = &request.kind;
    if kind.group != workload.group || kind.kind != workload.kind {
        return Err(format!("the object is a {:?} of group {:?}, not a {}", kind.kind, kind.group, workload.kind));
    }
    request.object.as_ref().filter(|object| !object.is_null()).ok_or_else(|| "the request has no object".to_owned())
}

/// Whether an update brings in something that could be new.
pub(crate) fn is_significant(workload: &Workload, old: Option<&Value>, new: &Value, new_pod: &Pod<'_>) -> bool {
    let Some(old) = old else { return true };
    if !workload.is_pod() {
        return update::changes_template(workload, old, new);
    }
    let old: Result<Pod<'_>, Malformed> = workload.read_pod(old);
    old.map_or(true, |old| update::is_significant(&old, new_pod))
}

fn judge(request: &AdmissionRequest, workload: &Workload, templates: Templates, namespace: &NamespaceStandards, pod: &Pod<'_>) -> Decision {
    let standards = &namespace.standards;
    let mut judged: Vec<(Standard, Vec<Violation>)> = Vec::new();
    let mut decision = Decision::from(Verdict::Allowed);
    if !namespace.errors.is_empty() {
        let errors: Vec<String> = namespace.errors.iter().map(ToString::to_string).collect();
        decision.audit_annotations.insert("error".into(), format!("Failed to parse policy: {}", errors.join(", ")));
    }
    if workload.is_pod() || templates == Templates::Enforce {
        decision.audit_annotations.insert("enforce-policy".into(), standards.enforce.to_string());
        let violations = evaluate_once(&mut judged, standards.enforce, pod);
        decision.evaluations.push(Evaluation { mode: Mode::Enforce, standard: standards.enforce, passed: violations.is_empty() });
        if !violations.is_empty() {
            let denial = Denial::violates(request, workload, standards.enforce, violations);
            decision.verdict = Verdict::Denied(Box::new(denial));
        }
    }
    let violations = evaluate_once(&mut judged, standards.audit, pod);
    if !violations.is_empty() {
        decision.evaluations.push(Evaluation { mode: Mode::Audit, standard: standards.audit, passed: false });
        decision.audit_annotations.insert("audit-violations".into(), would_violate(standards.audit, &violations));
    }
    if decision.is_allowed() {
        let violations = evaluate_once(&mut judged, standards.warn, pod);
        if !violations.is_empty() {
            decision.evaluations.push(Evaluation { mode: Mode::Warn, standard: standards.warn, passed: false });
            decision.warnings.push(would_violate(standards.warn, &violations));
        }
    }
    decision
}

/// Evaluates a standard unless an earlier mode did.
fn evaluate_once(judged: &mut Vec<(Standard, Vec<Violation>)>, standard: Standard, pod: &Pod<'_>) -> Vec<Violation> {
    if let Some((_, violations)) = judged.iter().find(|(known, _)| *known == standard) {
        return violations.clone();
    }
    let violations = evaluate(standard, pod);
    judged.push((standard, violations.clone()));
    violations
}

fn would_violate(standard: Standard, violations: &[Violation]) -> String {
    format!("would violate PodSecurity \"{standard}\": {}", summarise(violations))
}

#[cfg(test)]
mod tests;
