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
//! | 503 | the bodies of all requests together are too large |
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
use tokio::sync::Semaphore;
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
    /// As JSON a body takes a multiple of its bytes, so not more large ones are judged at once than there are processors.
    large: Arc<Semaphore>,
}

/// The routes of the port that the API server calls.
pub fn router(service: Service) -> Router {
    let large = Arc::new(Semaphore::new(available_parallelism().map_or(1, NonZero::get)));
    Router::new().route("/validate", post(validate)).with_state(Shared { service, budget: Budget::default(), large })
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
    #[error("the review could not be judged")]
    Panicked,
}

impl IntoResponse for NoVerdict {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(BodyError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(BodyError::NoMemory) => StatusCode::SERVICE_UNAVAILABLE,
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
    let large = body.as_ref().len() > MAX_BYTES_INLINE;
    // The semaphore is never closed; were it, judging without a permit would still be right.
    let _permit = if large { shared.large.acquire().await.ok() } else { None };
    let service = shared.service.clone();
    // The body is kept until its text is needed no more, or what is held would not be counted.
    let (request, body) = run(large, move || UnopenedRequest::read(body.as_ref()).map(|request| (request, body))).await??;
    let context = shared.service.context(request.head(), deadline).await;
    let (request, context) = run(large, move || service.open(request, &context).map(|request| (request, context))).await??;
    drop(body);
    // Expressions may take a while, and nobody else waits for them.
    let aside = large || context.policies.evaluates(&request);
    let service = shared.service.clone();
    let warnings = shared.service.warnings(&request).await;
    let mut review = run(aside, move || service.answer(request, &context)).await?;
    if review.response.allowed {
        review.response.warnings.extend(warnings);
    }
    Ok(review)
}

/// Runs work that does not wait: here, or where it holds up nobody.
async fn run<T: Send + 'static>(aside: bool, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoVerdict> {
    if !aside {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|failure| {
        error!(%failure, "judging a review failed");
        NoVerdict::Panicked
    })
}
