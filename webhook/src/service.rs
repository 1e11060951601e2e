//! Reviews without HTTP: read, look up the namespace, decide; on one immutable snapshot of the settings.

use std::sync::Arc;

use portcullis_admission::review::{AdmissionReviewResponse, Operation, ReadError};
use portcullis_admission::{AdmissionRequest, Decision, NamespaceLookup, Settings, decide, needs_namespace};
use tracing::info;

use crate::metrics::Metrics;
use crate::namespaces::Namespaces;

/// Answers reviews.
#[derive(Debug, Clone)]
pub struct Service {
    settings: Arc<Settings>,
    namespaces: Namespaces,
    metrics: Arc<Metrics>,
}

impl Service {
    /// A service that judges by `settings` and what `namespaces` ask for, and counts in `metrics`.
    pub fn new(settings: Settings, namespaces: Namespaces, metrics: Arc<Metrics>) -> Self {
        Self { settings: Arc::new(settings), namespaces, metrics }
    }

    /// Where it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Reads a review.
    ///
    /// # Errors
    /// The body is not a review that could be answered.
    pub fn read(&self, body: &[u8]) -> Result<AdmissionRequest, ReadError> {
        AdmissionRequest::read(body)
    }

    /// What the pods of the request's namespace are judged by; the defaults where it makes no difference.
    pub async fn namespace_of(&self, request: &AdmissionRequest) -> NamespaceLookup {
        if needs_namespace(request, &self.settings) {
            self.namespaces.lookup(&request.namespace).await
        } else {
            self.settings.defaults.into()
        }
    }

    /// What to warn of beside the decision: pods that run and could not be made again, where the request makes their namespace stricter.
    pub async fn warnings(&self, request: &AdmissionRequest) -> Vec<String> {
        let is_label_change =
            request.resource.resource == "namespaces" && request.resource.group.is_empty() && request.operation == Operation::Update;
        if is_label_change && !self.settings.exemptions.namespaces.contains(&request.name) {
            self.namespaces.warnings(request).await
        } else {
            Vec::new()
        }
    }

    /// Answers a request, and writes a line to the log if the answer is no.
    pub fn answer(&self, request: AdmissionRequest, namespace: &NamespaceLookup) -> AdmissionReviewResponse {
        let decision = decide(&request, &self.settings, namespace);
        self.metrics.record(&request, &decision);
        log_denial(&request, &decision);
        decision.into_response(request.uid).into()
    }
}

/// One line a denial, with fixed fields: the decision log.
fn log_denial(request: &AdmissionRequest, decision: &Decision) {
    let Some(denial) = decision.denial() else { return };
    let checks: Vec<&str> = denial.violations.iter().map(|violation| violation.check).collect();
    info!(
        uid = request.uid,
        operation = request.operation.as_str(),
        group = request.resource.group,
        resource = request.resource.resource,
        subresource = request.sub_resource,
        namespace = request.namespace,
        name = request.object_name(),
        user = request.user_info.username,
        dry_run = request.dry_run.unwrap_or(false),
        code = denial.status.code,
        standard = denial.standard.map(|standard| standard.to_string()),
        checks = checks.join(","),
        reason = denial.status.message.lines().next().unwrap_or_default(),
        "denied"
    );
}
