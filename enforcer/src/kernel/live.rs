//! Whether a program that should judge does.

use aya::programs::{
    ProgramError,
    links::{FdLink, LinkError, PinnedLink},
    loaded_programs,
};
use std::path::Path;
use thiserror::Error;

/// Why a pin is not what keeps a program attached.
#[derive(Debug, Error)]
pub enum NotAttached {
    /// There is no link.
    #[error("no link is pinned: {0}")]
    Link(#[from] LinkError),
    /// The link's program is gone, or of no kind that judges.
    #[error("its link leads to no program: {0}")]
    Program(#[from] ProgramError),
    /// The link is another program's.
    #[error("its link is that of {0}")]
    Other(String),
}

/// Whether the link that is pinned there keeps the program of that name attached.
///
/// # Errors
/// Why it does not.
pub fn attached(pin: &Path, name: &str) -> Result<(), NotAttached> {
    let info = FdLink::from(PinnedLink::from_pin(pin)?).info()?;
    let program = loaded_programs().filter_map(Result::ok).find(|program| program.id() == info.program_id());
    let found = program.and_then(|program| program.name_as_str().map(str::to_owned)).unwrap_or_default();
    // The kernel keeps 15 bytes of a name.
    if found == name.get(..15).unwrap_or(name) { Ok(()) } else { Err(NotAttached::Other(found)) }
}
