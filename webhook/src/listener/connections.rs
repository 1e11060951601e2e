//! Which connections are open, and which has to go when there are too many.
//!
//! A limit alone would let slow clients keep others out: they take all places and wait. So a newcomer always gets a place, and the connection least
//! worth keeping loses its own: the oldest that has not sent a request; then the oldest whose request has taken longer than any honest one; then the one
//! idle longest. Only where all are busy with young requests is the newcomer refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::metrics::ConnectionMetrics;

/// A request that is older than this may lose its connection to a newcomer. Reviews take milliseconds.
const OVERDUE: Duration = Duration::from_secs(1);

/// The places, and who has them.
#[derive(Debug)]
pub(crate) struct Connections {
    capacity: usize,
    open: Mutex<Open>,
    metrics: ConnectionMetrics,
}

#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    entries: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    state: State,
    since: Instant,
    evict: oneshot::Sender<()>,
}

/// In the order in which they lose their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// It has not sent a request yet.
    Fresh,
    /// It has sent one, or some of it, and has not got the answer.
    Busy,
    /// It got its answers and may send more.
    Idle,
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    id: u64,
    connections: Arc<Connections>,
}

impl Connections {
    pub(crate) fn new(capacity: usize, metrics: ConnectionMetrics) -> Arc<Self> {
        Arc::new(Self { capacity, open: Mutex::default(), metrics })
    }

    /// A place for a new connection, and what tells it that it lost the place. `None` if every other one is more worth keeping.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<(Place, oneshot::Receiver<()>)> {
        let mut open = self.lock();
        if open.entries.len() >= self.capacity {
            let Some(victim) = open.least_worth_keeping(Instant::now()).and_then(|id| open.entries.remove(&id)) else {
                self.metrics.refused.inc();
                return None;
            };
            // Its task may be gone already; then the place is free all the same.
            let _ = victim.evict.send(());
            self.metrics.evicted.inc();
        }
        let id = open.next_id;
        open.next_id = id.wrapping_add(1);
        let (evict, evicted) = oneshot::channel();
        open.entries.insert(id, Entry { state: State::Fresh, since: Instant::now(), evict });
        self.metrics.accepted.inc();
        self.metrics.open.inc();
        Some((Place { id, connections: Arc::clone(self) }, evicted))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn least_worth_keeping(&self, now: Instant) -> Option<u64> {
        let may_go = |entry: &Entry| entry.state != State::Busy || now.duration_since(entry.since) > OVERDUE;
        let candidates = self.entries.iter().filter(|(_, entry)| may_go(entry));
        candidates.min_by_key(|(id, entry)| (entry.state, entry.since, **id)).map(|(id, _)| *id)
    }
}

impl Place {
    /// A request came.
    pub(crate) fn busy(&self) {
        self.set(State::Busy);
    }

    /// It was answered.
    pub(crate) fn idle(&self) {
        self.set(State::Idle);
    }

    /// Whether no request came yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.connections.lock().entries.get(&self.id).is_some_and(|entry| entry.state == State::Fresh)
    }

    fn set(&self, state: State) {
        if let Some(entry) = self.connections.lock().entries.get_mut(&self.id) {
            entry.state = state;
            entry.since = Instant::now();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().entries.remove(&self.id);
        self.connections.metrics.open.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(evicted: &mut oneshot::Receiver<()>) -> bool {
        evicted.try_recv().is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_takes_the_place_of_the_oldest_that_sent_nothing() {
        let connections = Connections::new(3, ConnectionMetrics::default());
        let (idle, mut idle_evicted) = connections.admit().unwrap();
        idle.busy();
        idle.idle();
        tokio::time::advance(Duration::from_millis(1)).await;
        let (_old, mut old_evicted) = connections.admit().unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        let (_young, mut young_evicted) = connections.admit().unwrap();
        let _newcomer = connections.admit().unwrap();
        assert!(lost(&mut old_evicted));
        assert!(!lost(&mut young_evicted) && !lost(&mut idle_evicted));
        assert_eq!(connections.metrics.evicted.get(), 1);
        assert_eq!(connections.metrics.accepted.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn young_requests_keep_their_places_and_overdue_ones_do_not() {
        let connections = Connections::new(2, ConnectionMetrics::default());
        let (one, mut one_evicted) = connections.admit().unwrap();
        let (two, mut two_evicted) = connections.admit().unwrap();
        one.busy();
        tokio::time::advance(OVERDUE).await;
        two.busy();
        assert!(connections.admit().is_none(), "both are busy with young requests");
        assert_eq!(connections.metrics.refused.get(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(connections.admit().is_some());
        assert!(lost(&mut one_evicted));
        assert!(!lost(&mut two_evicted));
    }

    #[tokio::test(start_paused = true)]
    async fn of_idle_ones_the_longest_idle_goes() {
        let connections = Connections::new(2, ConnectionMetrics::default());
        let (one, mut one_evicted) = connections.admit().unwrap();
        let (two, mut two_evicted) = connections.admit().unwrap();
        two.idle();
        tokio::time::advance(Duration::from_millis(1)).await;
        one.idle();
        assert!(connections.admit().is_some());
        assert!(lost(&mut two_evicted) && !lost(&mut one_evicted));
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_connection_ends() {
        let connections = Connections::new(1, ConnectionMetrics::default());
        for _ in 0..3 {
            let (place, mut evicted) = connections.admit().unwrap();
            assert!(place.is_fresh());
            drop(place);
            assert!(!lost(&mut evicted));
        }
        assert!(connections.lock().entries.is_empty());
        assert_eq!(connections.metrics.open.get(), 0);
    }
}
