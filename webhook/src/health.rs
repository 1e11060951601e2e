//! HTTP for the kubelet's probes and for Prometheus, on a port of its own without TLS: `GET /livez`, `/readyz` and `/metrics`.
//!
//! Alive is whoever answers. Ready is who should get reviews: not one that is shutting down, not one that has yet to learn what namespaces ask for or which policies there are, and
//! not one whose certificate has expired, since the API server would refuse it. Expired is what had expired when it was last tried to renew it, which is
//! every second: where the clock jumps past a certificate's end, there is a new one before anybody is told that there was none. A certificate that could not be reloaded is only reported, in the text: the previous one serves, and were it a reason to be
//! unready, one wrong Secret would take all replicas away at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::get;

use crate::metrics::{self, Metrics};

/// What the probes report; shared by those who know.
#[derive(Debug, Default)]
pub struct Health {
    stopping: AtomicBool,
    namespaces_unknown: AtomicBool,
    policies_unknown: AtomicBool,
    certificate: RwLock<CertificateHealth>,
    renewal_tried: RwLock<Option<SystemTime>>,
    metrics: Arc<Metrics>,
}

/// What is known of the certificate in use.
#[derive(Debug, Clone, Default)]
pub struct CertificateHealth {
    /// When it expires; `None` until there is one.
    pub expires: Option<SystemTime>,
    /// Why newer files could not be used.
    pub reload_error: Option<String>,
}

impl Health {
    /// Health that counts in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// Makes the server unready until the labels of namespaces are known.
    pub fn await_namespaces(&self) {
        self.namespaces_unknown.store(true, Ordering::Relaxed);
    }

    /// Tells that the labels of namespaces are known.
    pub fn namespaces_known(&self) {
        self.namespaces_unknown.store(false, Ordering::Relaxed);
    }

    /// Makes the server unready until policies, exceptions and their parameters are known.
    pub fn await_policies(&self) {
        self.policies_unknown.store(true, Ordering::Relaxed);
    }

    /// Tells that they are known.
    pub fn policies_known(&self) {
        self.policies_unknown.store(false, Ordering::Relaxed);
    }

    /// Makes the server unready for good.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Reports what is known of the certificate.
    pub fn set_certificate(&self, certificate: CertificateHealth) {
        if let Some(expires) = certificate.expires {
            self.metrics.set_certificate_expiry(expires);
        }
        *self.certificate.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }

    /// Reports that the certificate would have been renewed, had it been due at `now` and possible.
    pub fn renewal_tried(&self, now: SystemTime) {
        *self.renewal_tried.write().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// What is known of the certificate.
    pub fn certificate(&self) -> CertificateHealth {
        self.certificate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether reviews should be sent here, and a text about it.
    pub fn readiness(&self) -> (bool, String) {
        if self.stopping.load(Ordering::Relaxed) {
            return (false, "stopping\n".to_owned());
        }
        if self.namespaces_unknown.load(Ordering::Relaxed) {
            return (false, "namespaces: not known yet\n".to_owned());
        }
        if self.policies_unknown.load(Ordering::Relaxed) {
            return (false, "policies: not known yet\n".to_owned());
        }
        let certificate = self.certificate();
        let tried = *self.renewal_tried.read().unwrap_or_else(PoisonError::into_inner);
        match certificate.expires {
            None => return (false, "certificate: none yet\n".to_owned()),
            Some(expires) if tried.is_some_and(|tried| expires <= tried) => return (false, "certificate: expired\n".to_owned()),
            Some(_) => {}
        }
        match certificate.reload_error {
            None => (true, "ok\n".to_owned()),
            Some(error) => (true, format!("ok\ncertificate: the previous one is in use: {error}\n")),
        }
    }
}

/// The routes of the port that the kubelet and Prometheus call.
pub fn router(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    let probes = Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(readyz)).with_state(health);
    probes.merge(Router::new().route("/metrics", get(scrape)).with_state(metrics))
}

async fn scrape(State(metrics): State<Arc<Metrics>>) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode())
}

async fn readyz(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    let (ready, text) = health.readiness();
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn is_ready_exactly_while_it_has_a_certificate_and_is_not_stopping() {
        let health = Health::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        assert_eq!(health.readiness(), (false, "certificate: none yet\n".to_owned()));
        health.set_certificate(CertificateHealth { expires: Some(now + Duration::from_secs(1)), reload_error: None });
        assert_eq!(health.readiness(), (true, "ok\n".to_owned()));
        health.renewal_tried(now);
        assert!(health.readiness().0);
        health.renewal_tried(now + Duration::from_secs(1));
        assert_eq!(health.readiness(), (false, "certificate: expired\n".to_owned()));
        health.set_certificate(CertificateHealth { expires: Some(now + Duration::from_secs(2)), reload_error: None });
        assert!(health.readiness().0, "it was renewed");
        health.await_namespaces();
        assert_eq!(health.readiness(), (false, "namespaces: not known yet\n".to_owned()));
        health.namespaces_known();
        assert!(health.readiness().0);
        health.await_policies();
        assert_eq!(health.readiness(), (false, "policies: not known yet\n".to_owned()));
        health.policies_known();
        assert!(health.readiness().0);
        health.stop();
        assert_eq!(health.readiness(), (false, "stopping\n".to_owned()));
    }

    #[test]
    fn stays_ready_with_the_previous_certificate_and_says_so() {
        let health = Health::default();
        let now = SystemTime::UNIX_EPOCH;
        health.set_certificate(CertificateHealth { expires: Some(now + Duration::from_secs(1)), reload_error: Some("no key".to_owned()) });
        assert_eq!(health.readiness(), (true, "ok\ncertificate: the previous one is in use: no key\n".to_owned()));
    }
}
