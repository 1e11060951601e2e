//! Which connections are open, and which has to go when there are too many.
//!
//! A limit alone would let slow clients keep others out: they take all places and wait. So a newcomer always gets a place, and the connection least
//! worth keeping loses its own. In this order, and of equals the one that has been so for longest:
//!
//! 1. one that has sent no request in the time that an honest client takes, or that is of an address which has most places with such
//! 2. one whose request has taken longer than any honest one
//! 3. one that is idle: who is still there connects again
//! 4. one that came a moment ago
//!
//! Only where all are busy with young requests is the newcomer refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::metrics::ConnectionMetrics;

/// A request, or a connection without one, that is older than this may lose its place to a newcomer. Handshakes and reviews take milliseconds.
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
    peer: IpAddr,
    state: State,
    since: Instant,
    evict: oneshot::Sender<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has not sent a request yet.
    Fresh,
    /// It has sent one, or some of it, and has not got the answer.
    Busy,
    /// It got its answers and may send more.
    Idle,
}

/// In the order in which they lose their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Silent,
    Overdue,
    Idle,
    JustCame,
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

    /// A place for a new connection from `peer`, and what tells it that it lost the place. `None` if every other one is more worth keeping.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<(Place, oneshot::Receiver<()>)> {
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
        open.entries.insert(id, Entry { peer, state: State::Fresh, since: Instant::now(), evict });
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
        let crowd = self.crowd();
        let candidates = self.entries.iter().filter_map(|(id, entry)| Some((entry.worth(now, crowd)?, entry.since, *id)));
        candidates.min().map(|(.., id)| id)
    }

    /// The address that has most places, with connections that have sent nothing.
    fn crowd(&self) -> Option<IpAddr> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for entry in self.entries.values().filter(|entry| entry.state == State::Fresh) {
            let count = counts.entry(entry.peer).or_default();
            *count = count.saturating_add(1);
        }
        counts.into_iter().find(|(_, count)| *count > self.entries.len() / 2).map(|(peer, _)| peer)
    }
}

impl Entry {
    /// What the place is worth; `None` if it is not to be lost.
    fn worth(&self, now: Instant, crowd: Option<IpAddr>) -> Option<Worth> {
        let is_overdue = now.duration_since(self.since) > OVERDUE;
        match self.state {
            State::Fresh if is_overdue || crowd == Some(self.peer) => Some(Worth::Silent),
            State::Fresh => Some(Worth::JustCame),
            State::Busy => is_overdue.then_some(Worth::Overdue),
            State::Idle => Some(Worth::Idle),
        }
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

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn lost(evicted: &mut oneshot::Receiver<()>) -> bool {
        evicted.try_recv().is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_takes_the_place_of_the_oldest_that_sent_nothing() {
        let connections = Connections::new(3, ConnectionMetrics::default());
        let (idle, mut idle_evicted) = connections.admit(PEER).unwrap();
        idle.busy();
        idle.idle();
        tokio::time::advance(Duration::from_millis(1)).await;
        let (_old, mut old_evicted) = connections.admit(PEER).unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        let (_young, mut young_evicted) = connections.admit(PEER).unwrap();
        let _newcomer = connections.admit(PEER).unwrap();
        assert!(lost(&mut old_evicted));
        assert!(!lost(&mut young_evicted) && !lost(&mut idle_evicted));
        assert_eq!(connections.metrics.evicted.get(), 1);
        assert_eq!(connections.metrics.accepted.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn young_requests_keep_their_places_and_overdue_ones_do_not() {
        let connections = Connections::new(2, ConnectionMetrics::default());
        let (one, mut one_evicted) = connections.admit(PEER).unwrap();
        let (two, mut two_evicted) = connections.admit(PEER).unwrap();
        one.busy();
        tokio::time::advance(OVERDUE).await;
        two.busy();
        assert!(connections.admit(PEER).is_none(), "both are busy with young requests");
        assert_eq!(connections.metrics.refused.get(), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(connections.admit(PEER).is_some());
        assert!(lost(&mut one_evicted));
        assert!(!lost(&mut two_evicted));
    }

    #[tokio::test(start_paused = true)]
    async fn of_idle_ones_the_longest_idle_goes() {
        let connections = Connections::new(2, ConnectionMetrics::default());
        let (one, mut one_evicted) = connections.admit(PEER).unwrap();
        let (two, mut two_evicted) = connections.admit(PEER).unwrap();
        two.idle();
        tokio::time::advance(Duration::from_millis(1)).await;
        one.idle();
        assert!(connections.admit(PEER).is_some());
        assert!(lost(&mut two_evicted) && !lost(&mut one_evicted));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_outlives_idle_ones_and_loses_to_newcomers_alone() {
        let connections = Connections::new(4, ConnectionMetrics::default());
        let mut idle = Vec::new();
        for _ in 0..4 {
            let (place, evicted) = connections.admit(OTHER).unwrap();
            place.idle();
            idle.push((place, evicted));
        }
        let mut came = Vec::new();
        for number in 0..4_u8 {
            came.push(connections.admit(IpAddr::from([192, 0, 2, number])).unwrap());
        }
        assert!(idle.iter_mut().all(|(_, evicted)| lost(evicted)));
        assert!(!came.iter_mut().any(|(_, evicted)| lost(evicted)), "those that came meanwhile have their places");
        let _last = connections.admit(PEER).unwrap();
        assert!(lost(&mut came[0].1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_opens_many_and_sends_nothing_loses_its_own_before_idle_ones_of_others() {
        let connections = Connections::new(5, ConnectionMetrics::default());
        let (idle, mut idle_evicted) = connections.admit(PEER).unwrap();
        idle.idle();
        let (_young, mut young_evicted) = connections.admit(PEER).unwrap();
        let mut flood: Vec<_> = (0..20).map(|_| connections.admit(OTHER).unwrap()).collect();
        assert!(!lost(&mut idle_evicted) && !lost(&mut young_evicted));
        assert_eq!(flood.iter_mut().filter_map(|(_, evicted)| lost(evicted).then_some(())).count(), 17);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_late_with_their_request_go_before_idle_ones() {
        let connections = Connections::new(3, ConnectionMetrics::default());
        let (idle, mut idle_evicted) = connections.admit(PEER).unwrap();
        idle.idle();
        let (busy, mut busy_evicted) = connections.admit(PEER).unwrap();
        busy.busy();
        let (_silent, mut silent_evicted) = connections.admit(OTHER).unwrap();
        tokio::time::advance(OVERDUE + Duration::from_millis(1)).await;
        let _first = connections.admit(PEER).unwrap();
        assert!(lost(&mut silent_evicted) && !lost(&mut busy_evicted));
        let _second = connections.admit(PEER).unwrap();
        assert!(lost(&mut busy_evicted) && !lost(&mut idle_evicted));
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_connection_ends() {
        let connections = Connections::new(1, ConnectionMetrics::default());
        for _ in 0..3 {
            let (place, mut evicted) = connections.admit(PEER).unwrap();
            assert!(place.is_fresh());
            drop(place);
            assert!(!lost(&mut evicted));
        }
        assert!(connections.lock().entries.is_empty());
        assert_eq!(connections.metrics.open.get(), 0);
    }
}
