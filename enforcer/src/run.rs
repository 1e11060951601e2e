//! `run`: everything together, until a signal.

use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::{path::PathBuf, time::Duration};
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::{
    agent::{Agent, Ends, HOLD},
    canary, cli,
    kernel::{
        features::Missing,
        load::{self, Loaded, Recorder},
        maps::{self, Maps},
        pins::Pins,
        preflight::{self, Host, PreflightError},
    },
    names::Names,
    pods::{Folder, PodSource},
    privilege,
    report::{Clock, Sink, boot_time},
    store::Store,
};

/// How long observations are collected before they are learned.
const LEARN_AFTER: Duration = Duration::from_millis(500);
/// How long changes to the folders are collected before they are read.
const RELOAD_AFTER: Duration = Duration::from_millis(100);
/// KiB in a MiB, and in a chunk.
const CHUNKS_IN_MIB: u32 = 1024 / 16;

/// Why `run` ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// This kernel cannot enforce.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The canary was not denied.
    #[error(transparent)]
    Canary(anyhow::Error),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`RunError`]. What is pinned stays in force.
pub async fn run(args: &cli::Run, host: &Host) -> Result<(), RunError> {
    preflight::check(host)?;
    let pins = Pins::open(&host.bpffs).context("cannot use bpffs")?;
    let (loaded, unread) = load::ensure(&pins, &host.btf, args.table_memory * CHUNKS_IN_MIB).context("cannot enforce")?;
    let kernel = Maps::open(&pins.maps()).context("cannot use the pinned maps")?;
    let events = maps::events(&pins.maps()).context("cannot use the pinned maps")?;
    let pods = args.pods.as_deref().map(Folder::new).transpose().context("cannot use the pods")?;
    let ends = Ends {
        cgroup_root: host.cgroup_root.clone(),
        names: Names::new(args.containers.clone(), pods.map(|pods| Box::new(pods) as Box<dyn PodSource>)),
        store: Store::new(&args.profiles, &args.state.join("last-good")).context("cannot use the profiles")?,
        sink: Sink::open(args.events.as_deref()).context("cannot open the file for events")?,
        missing: Missing::of_links(&pins.links(&load::object_hash())),
    };
    for (hook, rule) in ends.missing.hooks() {
        tracing::warn!(hook, rule, "this kernel has no such hook: what the rule is for is not judged, in any profile");
    }
    let recorder = Recorder::open(&pins).context("cannot record system calls")?;
    let mut agent = Agent::new(kernel, recorder, ends)?;
    agent.reload()?;
    let (maps, tables) = agent.kernel();
    let attempts = canary::prove(maps, tables, &host.cgroup_root).map_err(RunError::Canary)?;
    for (program, instructions) in loaded.verified() {
        tracing::info!(program, instructions, "program verified");
    }
    privilege::drop_all().context("cannot give up the capabilities that are not needed any more")?;

    // Watching begins threads, which must not have capabilities. What has changed before is read again.
    let (changes, watched) = mpsc::channel(1);
    let folders = [Some(&args.profiles), args.pods.as_ref()];
    let _watcher = watch(folders.into_iter().flatten(), changes).context("cannot watch the folders of profiles and pods")?;
    agent.reload()?;
    if let Some(mut unread) = unread {
        drain(&mut agent, &mut unread)?;
    }
    // Before anybody is told that it is time to send them.
    let signals = Signals::new().context("cannot wait for signals")?;
    tracing::info!(taken_over = !matches!(loaded, Loaded::Fresh(_)), canary_denied = attempts.len(), "enforcing");
    Ok(follow(agent, events, watched, signals).await?)
}

/// The signals that end the agent.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// One that comes from now on is not missed, nor does it kill.
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Takes events and changes as they come.
async fn follow(mut agent: Agent, events: RingBuf<MapData>, mut changes: mpsc::Receiver<()>, mut signals: Signals) -> anyhow::Result<()> {
    let mut events = readiness(events).context("cannot wait for events")?;
    let mut learn_at: Option<Instant> = None;
    let mut reload_at: Option<Instant> = None;
    let mut settle_at: Option<Instant> = None;
    loop {
        tokio::select! {
            ready = events.readable_mut() => {
                let mut ready = ready?;
                if drain(&mut agent, ready.get_inner_mut())? {
                    agent.reconcile()?;
                }
                ready.clear_ready();
            }
            Some(()) = changes.recv() => {
                reload_at.get_or_insert_with(|| Instant::now() + RELOAD_AFTER);
            }
            () = until(settle_at) => {
                settle_at = None;
                // What takes an event back may wait in the ring.
                if drain(&mut agent, events.get_mut())? {
                    agent.reconcile()?;
                }
                agent.settle(boot_time(), Clock::now())?;
            }
            () = until(learn_at) => {
                learn_at = None;
                agent.learn()?;
            }
            () = until(reload_at) => {
                reload_at = None;
                agent.reload()?;
            }
            () = signals.any() => break,
        }
        if agent.has_doubts() {
            settle_at.get_or_insert_with(|| Instant::now() + HOLD);
        }
        // What a container did before it had a name is learned once a pod's file names it.
        if agent.has_observations() {
            learn_at.get_or_insert_with(|| Instant::now() + LEARN_AFTER);
        }
    }
    drain(&mut agent, events.get_mut())?;
    agent.settle(u64::MAX, Clock::now())?;
    agent.learn()?;
    tracing::info!("ending; what is pinned stays in force");
    Ok(())
}

/// Lets the runtime wait for events.
#[expect(unsafe_code, reason = "tokio cannot know that a type keeps its descriptor")]
fn readiness(events: RingBuf<MapData>) -> std::io::Result<AsyncFd<RingBuf<MapData>>> {
    // SAFETY: the ring buffer owns its descriptor, which stays open and the same as long as it lives.
    Ok(unsafe { AsyncFd::register(events) }?)
}

/// Takes every event there is; whether the containers have changed.
fn drain(agent: &mut Agent, events: &mut RingBuf<MapData>) -> anyhow::Result<bool> {
    let clock = Clock::now();
    let mut changed = false;
    while let Some(item) = events.next() {
        changed |= agent.event(&item, clock)?;
    }
    agent.flush_events()?;
    Ok(changed)
}

/// Ends at that time; never, where there is none.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Sends a word when something in the folders changes. One word that waits stands for any number of changes.
fn watch<'a>(dirs: impl Iterator<Item = &'a PathBuf>, changes: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the files is no change. An error of the watch is answered by reading them.
        if event.map_or(true, |event| !event.kind.is_access()) {
            let _ = changes.try_send(());
        }
    })?;
    for dir in dirs {
        watcher.watch(dir, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}
