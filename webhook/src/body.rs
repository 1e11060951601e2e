//! Reading a request's body: bounded in bytes, in time, and in what all requests together may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use thiserror::Error;

/// The largest review that is read. The API server takes objects of at most 3 MiB, and a review of an update holds two, and its own fields.
pub(crate) const MAX_BYTES: usize = 7 * 1024 * 1024;

/// What the bodies that are being read and judged may hold together. Ordinary reviews are a few KiB.
pub(crate) const MAX_BYTES_OF_ALL: usize = 128 * 1024 * 1024;

/// How long a client may take to send a body. The API server's own time-out for webhooks is 10 s by default and 30 s at most.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a body was not read.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    #[error("the body is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("the body was not sent within {} s", READ_TIMEOUT.as_secs())]
    TooSlow,
    #[error("too many large requests at once; try again")]
    NoMemory,
    #[error("the body could not be read: {0}")]
    Broken(#[source] axum::Error),
}

/// Counts the bytes of all bodies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// A body that was read, counted as long as it lives.
#[derive(Debug)]
pub(crate) struct Bytes {
    bytes: Vec<u8>,
    counted: usize,
    budget: Budget,
}

impl Budget {
    /// Reads a body to its end.
    pub(crate) async fn read(&self, body: Body) -> Result<Bytes, BodyError> {
        // A client that declares too much need not send it.
        if body.size_hint().lower() > MAX_BYTES as u64 {
            return Err(BodyError::TooLarge);
        }
        tokio::time::timeout(READ_TIMEOUT, self.collect(body)).await.map_err(|_| BodyError::TooSlow)?
    }

    async fn collect(&self, mut body: Body) -> Result<Bytes, BodyError> {
        let mut read = Bytes { bytes: Vec::new(), counted: 0, budget: self.clone() };
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() {
                read.append(&data)?;
            }
        }
        Ok(read)
    }
}

impl Bytes {
    fn append(&mut self, data: &[u8]) -> Result<(), BodyError> {
        if self.bytes.len().saturating_add(data.len()) > MAX_BYTES {
            return Err(BodyError::TooLarge);
        }
        let held = self.budget.0.fetch_add(data.len(), Ordering::Relaxed).saturating_add(data.len());
        self.counted = self.counted.saturating_add(data.len());
        if held > MAX_BYTES_OF_ALL {
            return Err(BodyError::NoMemory);
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_what_fits_and_refuses_one_byte_more() {
        let budget = Budget::default();
        let read = budget.read(Body::from(vec![b' '; MAX_BYTES])).await.unwrap();
        assert_eq!(read.as_ref().len(), MAX_BYTES);
        let error = budget.read(Body::from(vec![b' '; MAX_BYTES + 1])).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLarge));
    }

    #[tokio::test]
    async fn gives_back_what_a_body_held_when_it_is_dropped_or_refused() {
        let budget = Budget::default();
        let read = budget.read(Body::from("12345")).await.unwrap();
        assert_eq!(budget.0.load(Ordering::Relaxed), 5);
        drop(read);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
        budget.0.store(MAX_BYTES_OF_ALL, Ordering::Relaxed);
        assert!(matches!(budget.read(Body::from("1")).await, Err(BodyError::NoMemory)));
        assert_eq!(budget.0.load(Ordering::Relaxed), MAX_BYTES_OF_ALL);
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_for_a_body_that_never_comes() {
        let endless = Body::new(Pending);
        assert!(matches!(Budget::default().read(endless).await, Err(BodyError::TooSlow)));
    }

    struct Pending;

    impl hyper::body::Body for Pending {
        type Data = hyper::body::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
}
