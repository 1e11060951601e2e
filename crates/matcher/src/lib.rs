//! Path patterns, compiled into one table that the kernel and the host walk with the same function.
//!
//! A container's profile has rules about paths: which programs may run, which files may be written. The kernel has the path of an
//! object, byte for byte, and must know what the rules say about it, within a hook, in a program that a verifier has to follow.
//! This crate turns all path rules of a profile, for all operations, into one deterministic automaton:
//!
//! ```text
//!   text ─▶ pattern ─▶ trie ─▶ subset construction ─▶ minimise ─▶ pack ─▶ table ─▶ bytes (wire), chunks of an array map
//!                                                                           │
//!                                                   path ─▶ one step a byte ┴─▶ accept
//! ```
//!
//! # Why this representation
//!
//! * **Deterministic, so that the cost does not depend on the rules.** A byte of the path costs one step, be there three rules or
//!   a hundred thousand. Matching rules one after another, or all at once as a nondeterministic automaton does, makes the price of
//!   an `open` grow with the profile, and the verifier's work with it. The price is paid here instead: subset construction can
//!   explode, so it runs under [`Limits`] and ends in an error that says what was needed.
//! * **One table for all operations.** A rule carries a value (a set of permissions, a selector), and a path accepts with what
//!   [`Merge`] makes of the values of *all* rules that match it. So there is one walk however many operations ask, and no order
//!   among rules to reason about.
//! * **Comb-packed slots, each with a check.** A row of 256 targets for every state would take a kilobyte of which a literal path
//!   uses four bytes. Rows laid over each other keep the single load of such a row at about ten bytes a state, and a dense row
//!   (a `*`, a `**`, a negated class) becomes a default with exceptions: three slots a state below a `/**/name`. See [`step`].
//! * **Plain numbers.** A table is a `[u64]` without pointers: it can be copied into a map, compared, hashed, sent. Equal
//!   rules give equal tables whatever order they came in, so that a table's digest names what it allows.
//! * **One walk for both sides.** [`step`] is compiled into the kernel programs (without the default feature `compile`, this crate is
//!   `no_std` and has no dependencies) and into the host's tests, so what is tested is what enforces.
//!
//! # What holds
//!
//! For every set of patterns and every path, the table accepts with the merged values of exactly those patterns whose
//! [`Pattern::matches`] says yes; that function knows nothing of automata. A table from outside ([`Table::from_bytes`],
//! [`Table::from_slots`]) is checked so that no walk over it ever leaves it.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "compile")] {
//! use portcullis_matcher::{Builder, Pattern, Table};
//!
//! const READ: u32 = 1;
//! const WRITE: u32 = 2;
//!
//! let mut rules = Builder::new(|a, b| a | b);
//! rules.add(&Pattern::parse("/etc/nginx/**")?, READ)?;
//! rules.add(&Pattern::parse("/var/log/nginx/*.log")?, WRITE)?;
//! rules.add(&Pattern::parse("/var/log/nginx/access.log")?, READ)?;
//! let table = rules.build()?;
//!
//! assert_eq!(table.accept_of(b"/etc/nginx/conf.d/default.conf"), READ);
//! assert_eq!(table.accept_of(b"/var/log/nginx/access.log"), READ | WRITE);
//! assert_eq!(table.accept_of(b"/etc/shadow"), 0);
//! assert_eq!(Table::from_bytes(&table.to_bytes())?, table);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(any(feature = "compile", test)), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "compile")]
mod class;
#[cfg(feature = "compile")]
mod compile;
#[cfg(feature = "compile")]
pub mod pattern;
mod state;
#[cfg(feature = "compile")]
mod table;
#[cfg(feature = "compile")]
mod wire;

#[cfg(feature = "compile")]
pub use class::ByteClass;
#[cfg(feature = "compile")]
pub use compile::{Builder, CompileError, Limits, Merge, Resource};
#[cfg(feature = "compile")]
pub use pattern::{Pattern, PatternError};
pub use state::{CHUNK_SLOTS, INFO_OFFSET, MAX_ACCEPT, Slots, State, accept, step};
#[cfg(feature = "compile")]
pub use table::{StructureError, Table};
#[cfg(feature = "compile")]
pub use wire::WireError;
