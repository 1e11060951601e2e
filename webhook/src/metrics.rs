//! What is counted, in Prometheus' terms.
//!
//! Judgements have the names and labels of Pod Security Admission, so that dashboards for it work. Every label's values are from a list that is fixed
//! ([`labels`]): nothing that a client writes becomes a label, so nobody can make the number of series grow. Names of objects are in the log, not here.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use portcullis_admission::policy::{Entry, PolicyKey};
use portcullis_admission::review::StatusReason;
use portcullis_admission::{AdmissionRequest, Decision, Standard, Verdict};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

mod labels;

use labels::{CodeLabels, EffectLabels, ErrorLabels, EvaluationLabels, RequestLabels, StateLabels, Word, mode, request_labels, word};

/// The content type of what [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the buckets for durations, in seconds: a review takes microseconds, a large one milliseconds.
const DURATION_BUCKETS: [f64; 11] = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.1, 0.5, 2.5];
/// Upper bounds of the buckets for sizes, in bytes: 1 KiB to 7 MiB.
const SIZE_BUCKETS: [f64; 8] = [1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 3_145_728.0, 7_340_032.0];

/// What happened to connections of one listener; clones count together.
#[derive(Debug, Clone, Default)]
pub struct ConnectionMetrics {
    /// Open now.
    pub open: Gauge,
    /// Accepted.
    pub accepted: Counter,
    /// Closed because they were the least worth keeping when there were too many.
    pub evicted: Counter,
    /// Closed at once because all others were busy.
    pub refused: Counter,
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    evaluations: Family<EvaluationLabels, Counter>,
    exemptions: Family<RequestLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    policy_evaluations: Family<EffectLabels, Counter>,
    policy_resources: Family<StateLabels, Gauge>,
    exceptions_used: Counter,
    responses: Family<CodeLabels, Counter>,
    duration: Histogram,
    size: Histogram,
    certificate_expires: Gauge,
    /// Of the port that the API server calls.
    pub connections: ConnectionMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            evaluations: Family::default(),
            exemptions: Family::default(),
            errors: Family::default(),
            policy_evaluations: Family::default(),
            policy_resources: Family::default(),
            exceptions_used: Counter::default(),
            responses: Family::default(),
            duration: Histogram::new(DURATION_BUCKETS),
            size: Histogram::new(SIZE_BUCKETS),
            certificate_expires: Gauge::default(),
            connections: ConnectionMetrics::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.lock();
        registry.register(
            "pod_security_evaluations",
            "Number of policy evaluations that occurred, not counting ignored or exempt requests",
            self.evaluations.clone(),
        );
        registry.register(
            "pod_security_exemptions",
            "Number of exempt requests, not counting ignored or out of scope requests",
            self.exemptions.clone(),
        );
        registry.register(
            "pod_security_errors",
            "Number of requests that could not be judged (fatal), or whose namespace has labels that cannot be read",
            self.errors.clone(),
        );
        registry.register(
            "portcullis_policy_evaluations",
            "Number of times that a policy was asked about a request that it is for, by what came of it",
            self.policy_evaluations.clone(),
        );
        registry.register(
            "portcullis_policy_resources",
            "Policies, bindings and exceptions that there are; of those kept an earlier generation is in force",
            self.policy_resources.clone(),
        );
        registry.register("portcullis_policy_exceptions_used", "Number of findings that an exception waived", self.exceptions_used.clone());
        let webhook = registry.sub_registry_with_prefix("portcullis_webhook");
        webhook.register("responses", "Number of HTTP responses to reviews by status code; 200 carries a verdict", self.responses.clone());
        webhook.register("request_duration_seconds", "Time from a review's head to its answer", self.duration.clone());
        webhook.register("request_size_bytes", "Size of the bodies of reviews", self.size.clone());
        webhook.register(
            "certificate_expiration_timestamp_seconds",
            "When the certificate in use expires, in seconds since 1970",
            self.certificate_expires.clone(),
        );
        let connections = &self.connections;
        webhook.register("connections_open", "Connections that are open now", connections.open.clone());
        webhook.register("connections_accepted", "Connections that were accepted", connections.accepted.clone());
        webhook.register("connections_evicted", "Connections closed to make room for others", connections.evicted.clone());
        webhook.register("connections_refused", "Connections closed at once, all others being busy", connections.refused.clone());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts a decision.
    pub fn record(&self, request: &AdmissionRequest, decision: &Decision) {
        let labels = request_labels(request);
        for evaluation in &decision.evaluations {
            let Standard { level, version } = evaluation.standard;
            let labels = EvaluationLabels {
                decision: Word(if evaluation.passed { "allow" } else { "deny" }),
                policy_level: Word(level.as_str()),
                policy_version: version.into(),
                mode: Word(mode(evaluation.mode)),
                request: labels.clone(),
            };
            self.evaluations.get_or_create(&labels).inc();
        }
        let unreadable = matches!(&decision.verdict, Verdict::Denied(denial) if denial.status.reason == StatusReason::BadRequest);
        if unreadable || decision.audit_annotations.contains_key("error") {
            let fatal = Word(if unreadable { "true" } else { "false" });
            self.errors.get_or_create(&ErrorLabels { fatal, request: labels.clone() }).inc();
        }
        if matches!(decision.verdict, Verdict::Exempt(_)) {
            self.exemptions.get_or_create(&labels).inc();
        }
        for (effect, count) in &decision.policies {
            let labels = EffectLabels { effect: Word(word(*effect)) };
            self.policy_evaluations.get_or_create(&labels).inc_by(u64::try_from(*count).unwrap_or(u64::MAX));
        }
        self.exceptions_used.inc_by(u64::try_from(decision.waivers).unwrap_or(u64::MAX));
    }

    /// Tells how policies and exceptions fare.
    pub fn set_policies(&self, entries: &[Entry]) {
        // Who reads the metrics waits for it: in between there seem to be none.
        let _registry = self.lock();
        self.policy_resources.clear();
        for entry in entries {
            let kind = match entry.key {
                PolicyKey::Policy(_) => "AdmissionPolicy",
                PolicyKey::Validating(_) | PolicyKey::Binding(_) => "ValidatingAdmissionPolicy",
                PolicyKey::Exception(..) => "PolicyException",
            };
            let state = match (entry.problems.is_empty(), entry.kept) {
                (true, _) => "in-force",
                (false, true) => "kept",
                (false, false) => "refused",
            };
            self.policy_resources.get_or_create(&StateLabels { kind: Word(kind), state: Word(state) }).inc();
        }
    }

    /// Counts an HTTP response.
    pub fn record_response(&self, code: u16, duration: Duration) {
        self.responses.get_or_create(&CodeLabels { code }).inc();
        self.duration.observe(duration.as_secs_f64());
    }

    /// Counts a body that was read.
    pub fn record_size(&self, bytes: usize) {
        self.size.observe(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)));
    }

    /// Tells when the certificate in use expires.
    pub fn set_certificate_expiry(&self, expires: SystemTime) {
        let seconds = expires.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.certificate_expires.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// All of it as text, for Prometheus.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.lock());
        text
    }
}

#[cfg(test)]
mod tests;
