//! Requests without a pause, each of which has to be admitted: what is lost, and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Scene, pod};

/// Requests under way at once.
const WORKERS: usize = 4;
/// The load ends by itself, whatever the test does.
const MAX_REQUESTS: usize = 100_000;
/// How long the next so many requests may take.
const SOON: Duration = Duration::from_secs(60);

/// A load that runs.
pub(crate) struct Load {
    state: Arc<State>,
    workers: JoinSet<Vec<String>>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    sent: AtomicUsize,
    answered: AtomicUsize,
    progress: Notify,
}

impl Load {
    /// Creates pods in `namespace`, dry, until it is stopped.
    pub(crate) fn start(scene: &Scene, namespace: &str) -> Self {
        let state = Arc::<State>::default();
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let object = pod(&format!("load-{worker}"));
            let api = scene.api(namespace, &object);
            let state = Arc::clone(&state);
            workers.spawn(async move {
                let mut lost = Vec::new();
                while !state.stop.load(Ordering::Relaxed) && state.sent.fetch_add(1, Ordering::Relaxed) < MAX_REQUESTS {
                    if let Err(error) = super::scene::create(&api, &object, true).await {
                        lost.push(error.to_string());
                    }
                    state.answered.fetch_add(1, Ordering::Relaxed);
                    state.progress.notify_waiters();
                }
                lost
            });
        }
        Self { state, workers }
    }

    /// Waits until so many more requests were answered.
    pub(crate) async fn more(&self, requests: usize) {
        let target = self.state.answered.load(Ordering::Relaxed) + requests;
        let waiting = async {
            loop {
                let mut progress = std::pin::pin!(self.state.progress.notified());
                progress.as_mut().enable();
                if self.state.answered.load(Ordering::Relaxed) >= target {
                    return;
                }
                progress.await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("{requests} requests take longer than {SOON:?}"));
    }

    /// Ends the load; what it says about requests that were lost, if any were.
    pub(crate) async fn stop(mut self) -> Result<usize, String> {
        self.state.stop.store(true, Ordering::Relaxed);
        let mut lost = Vec::new();
        while let Some(worker) = self.workers.join_next().await {
            lost.extend(worker.unwrap());
        }
        let answered = self.state.answered.load(Ordering::Relaxed);
        if lost.is_empty() { Ok(answered) } else { Err(json!({"lost": lost.len(), "of": answered, "first": lost.first()}).to_string()) }
    }
}
