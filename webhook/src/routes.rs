//! HTTP for reviews: `POST /validate`.
//!
//! What is not a review gets an HTTP error with its reason as text, and the connection goes on:
//!
//! | status | when |
//! |---|---|
//! | 400 | the body is not JSON, or not an AdmissionReview of `admission.k8s.io/v1` with a request that has a uid |
//! | 404, 405 | another path, another method |
//! | 408 | the body did not arrive in time |
//! | 413 | the body is larger than 7 MiB |
//! | 415 | the content type is not `application/json` |
//! | 503 | the bodies of all requests together are too large, or no processor was free in time to judge aside |
//!
//! The API server takes each as a webhook that failed and applies `failurePolicy`.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use portcullis_admission::review::{AdmissionReviewResponse, ReadError, UnopenedRequest};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, error};

use crate::body::{BodyError, Budget, Bytes};
use crate::service::Service;

/// Bodies up to this size are judged where they were read: it takes microseconds. Larger ones would hold up other connections.
const MAX_BYTES_INLINE: usize = 64 * 1024;

/// How long the API server waits where it does not say, and at most.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TIMEOUT_SECONDS: u32 = 30;

#[derive(Clone)]
struct Shared {
    service: Service,
    budget: Budget,
    /// As JSON a body takes a multiple of its bytes, so not more large ones are held at once than there are processors.
    large: Arc<Semaphore>,
    /// What is judged aside at once: more than there are processors would take them from those who are served inline.
    aside: Arc<Semaphore>,
}

impl Shared {
    fn new(service: Service) -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        let (large, aside) = (Arc::new(Semaphore::new(processors)), Arc::new(Semaphore::new(processors)));
        Self { service, budget: Budget::default(), large, aside }
    }
}

/// The routes of the port that the API server calls.
pub fn router(service: Service) -> Router {
    route(Shared::new(service))
}

fn route(shared: Shared) -> Router {
    Router::new().route("/validate", post(validate)).with_state(shared)
}

/// Why there is no verdict.
#[derive(Debug, Error)]
enum NoVerdict {
    #[error("the content type is {0:?}; expected \"application/json\"")]
    ContentType(String),
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("too many requests are judged at once; try again")]
    Busy,
    #[error("the review could not be judged")]
    Panicked,
}

impl IntoResponse for NoVerdict {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::NoMemory) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Body(BodyError::Broken(_)) | Self::Read(_) => StatusCode::BAD_REQUEST,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        debug!(status = status.as_u16(), reason = %self, "no verdict");
        (status, format!("{self}\n")).into_response()
    }
}

async fn validate(State(shared): State<Shared>, request: Request) -> Response {
    let begun = Instant::now();
    let response = answer(&shared, request).await.unwrap_or_else(NoVerdict::into_response);
    shared.service.metrics().record_response(response.status().as_u16(), begun.elapsed());
    response
}

async fn answer(shared: &Shared, request: Request) -> Result<Response, NoVerdict> {
    expect_json(request.headers())?;
    let deadline = Instant::now().checked_add(time_to_answer(request.uri().query()));
    let body = shared.budget.read(request.into_body()).await?;
    shared.service.metrics().record_size(body.as_ref().len());
    let review = judge(shared, body, deadline).await?;
    Ok(axum::Json(review).into_response())
}

/// How long the API server waits, as it says by `?timeout=5s`, less a tenth for the way back.
fn time_to_answer(query: Option<&str>) -> Duration {
    let parameters = query.unwrap_or_default().split('&');
    let seconds = parameters.filter_map(|parameter| parameter.strip_prefix("timeout=")?.strip_suffix('s')?.parse::<u32>().ok()).next();
    let timeout = seconds.map_or(DEFAULT_TIMEOUT, |seconds| Duration::from_secs(seconds.clamp(1, MAX_TIMEOUT_SECONDS).into()));
    timeout.saturating_sub(timeout / 10)
}

fn expect_json(headers: &HeaderMap) -> Result<(), NoVerdict> {
    let value = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(NoVerdict::ContentType(value)) }
}

async fn judge(shared: &Shared, body: Bytes, deadline: Option<Instant>) -> Result<AdmissionReviewResponse, NoVerdict> {
    let is_large = body.as_ref().len() > MAX_BYTES_INLINE;
    let _held = if is_large { permit(&shared.large, deadline).await? } else { None };
    let run_large = Run { shared, is_aside: is_large, deadline };
    let service = shared.service.clone();
    // The body is kept until its text is needed no more, or what is held would not be counted.
    let (request, body) = run_large.run(move || UnopenedRequest::read(body.as_ref()).map(|request| (request, body))).await??;
    let context = shared.service.context(request.head(), deadline).await;
    let (request, context) = run_large.run(move || service.open(request, &context).map(|request| (request, context))).await??;
    drop(body);
    // Expressions may take a while, and nobody else waits for them.
    let run = Run { is_aside: is_large || context.policies.evaluates(&request), ..run_large };
    let service = shared.service.clone();
    let warnings = shared.service.warnings(&request).await;
    let mut review = run.run(move || service.answer(request, &context)).await?;
    if review.response.allowed {
        review.response.warnings.extend(warnings);
    }
    Ok(review)
}

/// A permit, if there is one in time.
async fn permit(semaphore: &Arc<Semaphore>, deadline: Option<Instant>) -> Result<Option<OwnedSemaphorePermit>, NoVerdict> {
    let acquired = Arc::clone(semaphore).acquire_owned();
    let Some(deadline) = deadline else { return Ok(acquired.await.ok()) };
    // The semaphore is never closed; were it, judging without a permit would still be right.
    tokio::time::timeout_at(deadline.into(), acquired).await.map(Result::ok).map_err(|_| NoVerdict::Busy)
}

/// How work is run that does not wait.
struct Run<'s> {
    shared: &'s Shared,
    /// Where it holds up nobody, or here.
    is_aside: bool,
    deadline: Option<Instant>,
}

impl Run<'_> {
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoVerdict> {
        if !self.is_aside {
            return Ok(work());
        }
        let permit = permit(&self.shared.aside, self.deadline).await?;
        // The permit goes with the work, which goes on where the client does not wait for it.
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|failure| {
            error!(%failure, "judging a review failed");
            NoVerdict::Panicked
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;
    use portcullis_admission::policy::{Library, Trust};
    use portcullis_admission::{Exemptions, Settings, Standards, Templates};
    use serde_json::json;
    use tower::ServiceExt;

    use super::*;
    use crate::namespaces::Namespaces;
    use crate::policies::Policies;

    /// What a server answers that judges pods by an expression.
    fn shared() -> Shared {
        let settings = Settings {
            defaults: Standards::enforcing("privileged".parse().unwrap()),
            exemptions: Exemptions::default(),
            templates: Templates::Enforce,
        };
        let mut library = Library::new(Trust::Everywhere);
        let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]});
        let policy = json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "AdmissionPolicy", "metadata": {"name": "p"}, "spec": {
            "matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]}});
        library.apply_object(&policy, jiff::Timestamp::UNIX_EPOCH);
        let policies = Policies::default();
        policies.replace(library.snapshot());
        let namespaces = Namespaces::Same(settings.defaults);
        Shared::new(Service::new(settings, namespaces, Arc::default()).with_policies(Arc::new(policies)))
    }

    async fn ask(shared: &Shared, resource: &str, seconds: u32) -> (u16, String) {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "CREATE", "namespace": "shop", "resource": {"group": "", "version": "v1", "resource": resource},
            "object": {"metadata": {"name": "web"}, "spec": {"containers": []}}}});
        let request = Request::post(format!("/validate?timeout={seconds}s")).header("content-type", "application/json");
        let response = route(shared.clone()).oneshot(request.body(Body::from(review.to_string())).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_judged_aside_waits_for_a_processor_until_its_deadline_and_all_else_does_not() {
        let shared = shared();
        let all = u32::try_from(shared.aside.available_permits()).unwrap();
        let taken = Arc::clone(&shared.aside).acquire_many_owned(all).await.unwrap();
        let (status, why) = ask(&shared, "pods", 1).await;
        assert_eq!((status, why.as_str()), (503, "too many requests are judged at once; try again\n"));
        assert_eq!(ask(&shared, "services", 1).await.0, 200, "no expression is evaluated");
        let (waiting, ()) = tokio::join!(ask(&shared, "pods", 30), async { drop(taken) });
        assert_eq!(waiting.0, 200, "{}", waiting.1);
        assert_eq!(shared.aside.available_permits(), usize::try_from(all).unwrap());
    }
}
