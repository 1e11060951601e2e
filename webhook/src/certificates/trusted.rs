//! What has to be trusted by who calls this server, and how far that has got around.
//!
//! A certificate of an authority that nobody has heard of is refused. So where this server registers itself, a certificate that needs another bundle waits
//! until the registration with that bundle is known to be in force, and [`SETTLING`] longer: API servers watch what is registered. It waits no longer than
//! until the one in use ends, from when on it is the better one of two; and after [`PATIENCE`] it is said that it waits. That happens where the API server
//! does not take the registration, or somebody broke the glass. Where others register the server, they have to see to it.

use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Mutex, MutexGuard, Notify};
use tracing::warn;

/// From the time that a bundle is known to be registered until a certificate that needs it is used.
const SETTLING: Duration = Duration::from_secs(5);
/// How long a certificate waits before that is said.
const PATIENCE: Duration = Duration::from_secs(60);

/// The certificates that the API server has to trust to call this server, in PEM; none where nobody has said.
#[derive(Debug, Default)]
pub struct Trusted {
    bundle: Mutex<Option<String>>,
    changed: Notify,
    publication: std::sync::Mutex<Publication>,
}

/// What this server has seen to.
#[derive(Debug, Default)]
enum Publication {
    /// Others register this server.
    #[default]
    ByOthers,
    /// It registers itself, and has not yet.
    Due,
    /// This bundle is registered, known since then.
    Done(String, Instant),
}

impl Trusted {
    /// Starts with a bundle.
    pub fn new(bundle: Option<String>) -> Self {
        Self { bundle: Mutex::new(bundle), ..Self::default() }
    }

    /// The bundle. It is held while it is published, so that of two who publish nobody overwrites newer ones with older ones.
    pub async fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.bundle.lock().await
    }

    /// Waits for another bundle than the one that was there when this was called last.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Tells who waits that there is another bundle.
    pub(super) fn tell(&self) {
        self.changed.notify_one();
    }

    /// From now on certificates wait for [`published`](Self::published).
    pub fn is_registered_here(&self) {
        *self.publication() = Publication::Due;
    }

    /// Whoever calls this server is told to trust `bundle`, and perhaps more.
    pub fn published(&self, bundle: &str) {
        let mut publication = self.publication();
        if !matches!(&*publication, Publication::Done(known, _) if known == bundle) {
            *publication = Publication::Done(bundle.to_owned(), Instant::now());
        }
    }

    /// Whether a certificate that needs `bundle` can be used.
    fn is_heard_of(&self, bundle: &str) -> bool {
        match &*self.publication() {
            Publication::ByOthers => true,
            Publication::Due => false,
            Publication::Done(known, since) => known == bundle && since.elapsed() >= SETTLING,
        }
    }

    fn publication(&self) -> std::sync::MutexGuard<'_, Publication> {
        self.publication.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bundle that was published as long ago as it takes.
    #[cfg(test)]
    pub(super) fn settle(&self, bundle: &str) {
        let long_ago = Instant::now().checked_sub(SETTLING).unwrap();
        *self.publication() = Publication::Done(bundle.to_owned(), long_ago);
    }
}

/// A certificate that waits for its authority to get around.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    since: Option<SystemTime>,
    is_told: bool,
}

impl Waiting {
    /// Whether a certificate that needs `bundle` has to wait at `now`, where the one in use ends at `end`.
    pub(super) fn goes_on(&mut self, trusted: &Trusted, bundle: &str, now: SystemTime, end: SystemTime) -> bool {
        if now >= end || trusted.is_heard_of(bundle) {
            *self = Self::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        if !self.is_told && now.duration_since(since).is_ok_and(|waited| waited >= PATIENCE) {
            warn!(
                until = super::unix_seconds(end),
                "a new certificate waits for its authority to be registered; the previous one is used until it ends"
            );
            self.is_told = true;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_waits_until_its_bundle_is_registered_or_the_one_in_use_ends() {
        let trusted = Trusted::default();
        let mut waiting = Waiting::default();
        let now = SystemTime::UNIX_EPOCH;
        let end = now + PATIENCE * 10;
        assert!(!waiting.goes_on(&trusted, "new", now, end), "others register it");
        trusted.is_registered_here();
        assert!(waiting.goes_on(&trusted, "new", now, end));
        assert!(waiting.goes_on(&trusted, "new", now + PATIENCE, end) && waiting.is_told);
        assert!(!waiting.goes_on(&trusted, "new", end, end), "the one in use is of no use any more");
        trusted.settle("old");
        assert!(waiting.goes_on(&trusted, "new", now, end));
        trusted.published("new");
        assert!(waiting.goes_on(&trusted, "new", now, end), "not every API server has heard of it");
        trusted.settle("new");
        assert!(!waiting.goes_on(&trusted, "new", now, end));
    }

    #[test]
    fn a_bundle_that_is_found_again_is_not_newer_for_that() {
        let trusted = Trusted::default();
        trusted.settle("a");
        trusted.published("a");
        assert!(trusted.is_heard_of("a"));
    }
}
