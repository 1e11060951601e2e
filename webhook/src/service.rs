//! Reviews without HTTP: look up the namespace, open the objects, decide; on one immutable snapshot of the settings.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use jiff::Timestamp;
use portcullis_admission::policy::{PolicySet, Surroundings};
use portcullis_admission::review::{AdmissionReviewResponse, Operation, ReadError, UnopenedRequest};
use portcullis_admission::{AdmissionRequest, Decision, NamespaceLookup, Settings, admit, needs_namespace, needs_objects};
use serde_json::Value;
use tracing::info;

use crate::metrics::Metrics;
use crate::namespaces::Namespaces;
use crate::policies::Policies;

/// The longest field of the decision log, in bytes. The API server's names are shorter; others may send anything.
const MAX_FIELD: usize = 512;

/// Answers reviews.
#[derive(Debug, Clone)]
pub struct Service {
    settings: Arc<Settings>,
    namespaces: Namespaces,
    policies: Arc<Policies>,
    metrics: Arc<Metrics>,
}

/// What one request is judged by, as it was when the request was read: a policy that changes meanwhile holds for the next one.
#[derive(Debug)]
pub struct Context {
    /// What its namespace asks for.
    pub namespace: NamespaceLookup,
    /// The namespace itself; `None` where the request has none, or no policy asks for it.
    pub namespace_object: Result<Option<Arc<Value>>, String>,
    /// The policies that are in force.
    pub policies: Arc<PolicySet>,
    /// When the answer has to be there.
    pub deadline: Option<Instant>,
}

impl From<NamespaceLookup> for Context {
    /// No policies, no deadline.
    fn from(namespace: NamespaceLookup) -> Self {
        Self { namespace, namespace_object: Ok(None), policies: Arc::default(), deadline: None }
    }
}

impl Service {
    /// A service that judges by `settings` and what `namespaces` ask for, and counts in `metrics`.
    pub fn new(settings: Settings, namespaces: Namespaces, metrics: Arc<Metrics>) -> Self {
        Self { settings: Arc::new(settings), namespaces, policies: Arc::default(), metrics }
    }

    /// The same, judging by policies, too.
    #[must_use]
    pub fn with_policies(self, policies: Arc<Policies>) -> Self {
        Self { policies, ..self }
    }

    /// Where it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What a request with this head is judged by. The namespace is looked up only where it makes a difference.
    pub async fn context(&self, head: &AdmissionRequest, deadline: Option<Instant>) -> Context {
        let policies = self.policies.current();
        let of_policies = policies.may_concern(head);
        let (mut namespace, mut namespace_object) = (self.settings.defaults.into(), Ok(None));
        let of_standards = needs_namespace(head, &self.settings);
        if (of_policies && !head.namespace.is_empty()) || of_standards {
            let found = self.namespaces.find(&head.namespace).await;
            namespace_object = found.object.map(Some);
            if of_standards {
                namespace = found.standards;
            }
        }
        Context { namespace, namespace_object, policies, deadline }
    }

    /// The request, with its objects where they make a difference.
    ///
    /// # Errors
    /// An object cannot be read.
    pub fn open(&self, request: UnopenedRequest, context: &Context) -> Result<AdmissionRequest, ReadError> {
        let is_needed = needs_objects(request.head(), &self.settings, &context.namespace, &context.policies);
        if is_needed { request.open() } else { Ok(request.into_head()) }
    }

    /// What to warn of beside the decision: pods that run and could not be made again, where the request makes their namespace stricter.
    pub async fn warnings(&self, request: &AdmissionRequest) -> Vec<String> {
        let is_label_change =
            request.resource.resource == "namespaces" && request.resource.group.is_empty() && request.operation == Operation::Update;
        if is_label_change && !self.settings.exemptions.namespaces.contains(&request.name) {
            self.namespaces.warnings(request, &self.settings.exemptions.runtime_classes).await
        } else {
            Vec::new()
        }
    }

    /// Answers a request, and writes a line to the log if the answer is no.
    pub fn answer(&self, request: AdmissionRequest, context: &Context) -> AdmissionReviewResponse {
        let surroundings = Surroundings {
            namespace: context.namespace_object.as_ref().map(Option::as_deref).map_err(String::as_str),
            // A clock outside of what a timestamp can hold ends no exception too late.
            now: Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX),
            deadline: context.deadline,
        };
        let decision = admit(&request, &self.settings, &context.namespace, &context.policies, &surroundings);
        self.metrics.record(&request, &decision);
        log_denial(&request, &decision);
        decision.into_response(request.uid).into()
    }
}

/// One line a denial, with fixed fields: the decision log.
fn log_denial(request: &AdmissionRequest, decision: &Decision) {
    let Some(denial) = decision.denial() else { return };
    let (resource, status) = (&request.resource, &denial.status);
    let checks: Vec<&str> = denial.violations.iter().map(|violation| violation.check).collect();
    let policies: Vec<String> = denial.policies.iter().map(|violation| format!("{}:{}", violation.policy, violation.control)).collect();
    info!(
        uid = cut(&request.uid),
        operation = request.operation.as_str(),
        group = cut(&resource.group),
        resource = cut(&resource.resource),
        subresource = cut(&request.sub_resource),
        namespace = cut(&request.namespace),
        name = cut(request.object_name()),
        user = cut(&request.user_info.username),
        dry_run = request.dry_run.unwrap_or(false),
        code = status.code,
        standard = denial.standard.map(|standard| standard.to_string()),
        checks = cut(&checks.join(",")),
        policies = cut(&policies.join(",")),
        exceptions_used = decision.waivers,
        reason = cut(status.message.lines().next().unwrap_or_default()),
        "denied"
    );
}

/// As much of a text as a field of the log holds.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_FIELD)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_log_is_cut_between_characters() {
        assert_eq!(cut("web"), "web");
        assert_eq!(cut(&"x".repeat(MAX_FIELD + 1)).len(), MAX_FIELD);
        let text = format!("x{}", "é".repeat(MAX_FIELD));
        assert_eq!(cut(&text).len(), MAX_FIELD - 1);
    }
}
