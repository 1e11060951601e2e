//! Why the programs could not be loaded.

use aya::programs::ProgramError;
use std::{io, path::PathBuf};
use thiserror::Error;

use crate::kernel::{fields::FieldError, maps::MapsError, pins::PinError};

/// Why the programs could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A structure member is missing.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The kernel's BTF could not be read by the loader.
    #[error("cannot read the kernel's type information: {0}")]
    Btf(#[from] aya::BtfError),
    /// The host's mount namespace could not be identified.
    #[error("cannot identify the host's mount namespace at {path}: {source}: the enforcer needs the host's pid namespace (hostPID: true)")]
    HostNamespace {
        /// Where it was looked for.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The object was refused.
    #[error("cannot load the kernel programs: {0}")]
    Object(#[from] aya::EbpfError),
    /// One program was refused.
    #[error("the kernel refuses program {program}: {source}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What the kernel answered; for the verifier, its log.
        source: ProgramError,
    },
    /// One program could not be kept attached.
    #[error("cannot keep program {program} attached: {source}")]
    Link {
        /// Its name.
        program: &'static str,
        /// What the kernel answered.
        source: aya::pin::PinError,
    },
    /// The pins could not be used.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The maps could not be used.
    #[error(transparent)]
    Maps(#[from] MapsError),
    /// What is attached is of a release that this one cannot follow.
    #[error(
        "what is pinned at {0} is of a release that this one cannot take over from, and goes on as it is: end with its own release, by \
         `portcullis-enforcer detach`, and start this one then"
    )]
    Foreign(PathBuf),
    /// There are more containers than slots.
    #[error("there are more containers than this release has slots for")]
    NoSlot,
    /// The tasks could not be gone through.
    #[error("cannot carry the states of tasks over: {source}")]
    Carry {
        /// What the kernel answered.
        source: io::Error,
    },
    /// Tasks without a state came up again and again.
    #[error("the states of tasks could not be carried over: more came all the time")]
    Restless,
}
