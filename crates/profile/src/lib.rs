//! Learning: from what the kernel told of a container to the rules that grant it, and from rules to the table that the kernel walks.
//!
//! No I/O and no clock; every step takes values and gives values.
//!
//! ```text
//!  RawEvent ──from_event──▶ Observation ──rule_for──▶ the exact rule           (events: what would have allowed it)
//!                                │
//!                           generalise   pids, hashes, temporary names: never for what is executed or mapped as code
//!                                ▼
//!                              Rule ──merge──▶ ContainerRules ──normalise──▶ ContainerRules        many siblings become `dir/*`
//!                                                    │
//!                                                 compile ──▶ Compiled { table, guards }
//! ```
//!
//! # What holds
//!
//! * What was observed is granted after [`merge`] of its generalised rule and [`compile`]: a profile that was learned does not deny what it
//!   was learned from.
//! * Merging is associative, commutative and idempotent, so that replicas may merge in any order and as often as they like.
//! * No learning step grants the execution, or the mapping as code, of a path that was not seen to be executed or mapped.
//! * A profile has a bound, and reaching it is an error, never a rule that is left out in silence.
#![forbid(unsafe_code)]

pub mod compile;
pub mod diff;
pub mod generalise;
pub mod merge;
pub mod normalise;
pub mod observation;
pub mod pending;

mod cover;

pub use compile::{CompileError, Compiled, compile};
pub use diff::{Change, diff};
pub use generalise::generalise;
pub use merge::{Full, Limits, entries, merge};
pub use normalise::{Thresholds, normalise};
pub use observation::{Observation, ObservedPath, Unresolvable, remedy, rule_for};
pub use pending::pending;

#[cfg(test)]
mod laws;
