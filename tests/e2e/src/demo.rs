//! The demonstration: an attack on a web pod, first watched and then stopped, step by step.
//!
//! Everything is real and in one machine: the kernel and its BPF programs, the enforcer, a container made by runc, the webhook and its TLS. Nothing is
//! prepared but the shop's program and its data: the profile is what the enforcer learned minutes before.
//!
//! ```text
//!  mode      learn ──────────────► audit ─────────────────────────► enforce
//!  visitors  ●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●●     each served, from the beginning to the end
//!  attacker                        shell, token, pod, cloud, data    the same
//!                                  all succeed, all reported         all fail, all reported
//! ```
//!
//! * Every runtime step is run *inside* the web process, through a hole that makes objects of any class (`portcullis-web`), so each meets its own
//!   gate, whether or not the steps before it were stopped.
//! * A step has succeeded when the attacker holds what he came for, and for what is sent, when it has arrived. It was stopped when he has an `EPERM`
//!   (from the webhook, a 403) and nothing has arrived.
//! * What is reported and belongs to no step is a stray: with one, the demonstration has failed, as with a visitor who was not served.
//!
//! Not here: how the machine is made and spoken to (the rest of this crate), and what is printed at the end ([`table`]).

use portcullis_api::{WorkloadProfile, event::Action};
use std::io;

use crate::{Error, Kernel};

mod admission;
mod attack;
mod learning;
mod narrator;
mod scene;
mod strays;
pub mod table;
mod visitors;

use admission::{Authority, Webhook};
use attack::STEPS;
pub use attack::{Attempt, Denial};
use narrator::Narrator;
use scene::Scene;
use table::{Cell, Row, Table};

/// Visits that are awaited before and after the attacker's steps: each kind of request, twice.
const VISITS: usize = 6;

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The machine, or what runs in it.
    #[error(transparent)]
    Machine(#[from] Error),
    /// A file of the host could not be read, or the story not be told.
    #[error("cannot {doing}: {source}")]
    Io {
        /// The action.
        doing: &'static str,
        /// Its error.
        source: io::Error,
    },
    /// The webhook's certificate could not be made.
    #[error("cannot make the webhook's certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The profile that was learned is none.
    #[error("the profile that was learned cannot be read: {0}")]
    Profile(String),
    /// Something answered what it never should.
    #[error("{who} answered {answer}")]
    Answer {
        /// Who.
        who: &'static str,
        /// What.
        answer: String,
    },
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The profile, as it was when learning ended.
    pub profile: WorkloadProfile,
    /// Every step in both modes, and the normal traffic beside them.
    pub table: Table,
}

/// Tells the whole story on `out`, on this kernel.
///
/// # Errors
/// [`Failure`] where it could not be told to its end. A step that is not as it should be is no error but in the table.
pub fn run(kernel: Kernel, out: &mut dyn io::Write) -> Result<Outcome, Failure> {
    let mut narrator = Narrator::new(out);
    narrator.chapter("the programs of the machine are built, which takes minutes only the first time")?;
    let machine = scene::machine(kernel, &Authority::new()?)?;
    narrator.chapter(&format!("Linux {kernel} boots; the enforcer loads its programs; the shop opens"))?;
    let vm = machine.boot()?;
    let mut scene = Scene::open(&vm)?;
    narrator.line("no profile exists: the container shop/deployment-web/web is learned from its first exec on")?;

    narrator.chapter("learn: visitors come, and the enforcer writes down what the shop does")?;
    let (text, profile) = learning::learned(&mut scene)?;
    narrator.line(&format!("{}, as the enforcer wrote it:", scene::PROFILE))?;
    narrator.quote(&text)?;

    let audit = replay(&mut scene, Phase::Audit, &mut narrator)?;
    let enforce = replay(&mut scene, Phase::Enforce, &mut narrator)?;
    let strays = strays::among(&scene.enforcer.events()?);
    let rows = audit.into_iter().zip(enforce).map(|(audit, enforce)| Row { audit, enforce }).collect();
    Ok(Outcome { profile, table: Table { kernel: kernel.series(), rows, strays } })
}

/// The two modes in which the attack is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Audit,
    Enforce,
}

impl Phase {
    /// The word for the profile's `mode`.
    fn word(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Enforce => "enforce",
        }
    }

    /// How a step is reported.
    fn action(self) -> Action {
        match self {
            Self::Audit => Action::WouldBlock,
            Self::Enforce => Action::Blocked,
        }
    }
}

/// Switches the mode and replays the attack while visitors come: a cell for each step, then those of the normal traffic.
fn replay(scene: &mut Scene<'_>, phase: Phase, narrator: &mut Narrator<'_>) -> Result<Vec<Cell>, Failure> {
    narrator.chapter(match phase {
        Phase::Audit => "audit: somebody has edited `mode`; the attack succeeds, and every step is reported",
        Phase::Enforce => "enforce: `mode` is edited once more; the same attack again",
    })?;
    scene.switch(phase.word())?;
    let mut webhook = Webhook::start(scene.vm, phase)?;
    let before = scene.visitors.count()?;
    scene.visitors.wait_for_more(VISITS)?;
    let mut cells = Vec::new();
    for step in &STEPS {
        let cell = match step {
            attack::Step::Runtime(step) => step.take(scene, phase)?,
            attack::Step::Admission => webhook.create(&admission::privileged_pod(), admission::ATTACK)?,
        };
        narrator.cell(&cell)?;
        cells.push(cell);
    }
    cells.push(webhook.create(&admission::ordinary_pod(), admission::ORDINARY)?);
    scene.visitors.wait_for_more(VISITS)?;
    cells.push(scene.visitors.count()?.since(&before).cell());
    for cell in cells.iter().skip(STEPS.len()) {
        narrator.cell(cell)?;
    }
    Ok(cells)
}
