//! What the kernel programs and the agent agree on: the layout of every value that crosses between them, and the pure decisions over
//! those values.
//!
//! Nothing here does I/O, allocates or can panic; the crate is `no_std` so that one source serves `bpfel-unknown-none` and the host.
//! Layouts are asserted at compile time, and each type that user space writes or reads as bytes has its own `to_bytes`/`from_bytes`, so that
//! no side ever casts the other's memory.
//!
//! ```text
//!  access    what an operation asks of an object, and what a rule grants            access::missing(asked, granted)
//!  verdict   mode × missing → allow, or deny, and what is told                      verdict::decide
//!  profile   one word that says where a profile's table is and how it is applied    ProfileWord
//!  subject   who acts: the container's slot, the state kept with each task          Container, TaskState
//!  netkey    an address and a port as the bytes that the automaton reads            netkey::connect
//!  token     the same for capabilities, sockets, privileges and attributes          Privilege
//!  event     what the kernel tells                                                  EventHeader
//!  counter   what was lost or could not be decided                                  Counter
//!  fields    which fields of the kernel's structures are read                       KERNEL_FIELDS
//! ```
//!
//! Both halves of a running system must have been built with one [`LAYOUT`]: pinned state lives in a folder of that name, so that an agent
//! never opens maps whose layout it does not know.
#![no_std]
#![forbid(unsafe_code)]

pub mod access;
pub mod counter;
pub mod event;
pub mod fields;
pub mod netkey;
pub mod profile;
pub mod subject;
pub mod token;
pub mod verdict;

pub use access::Access;
pub use counter::Counter;
pub use event::{EventHeader, Operation};
pub use fields::{KERNEL_FIELDS, KernelField};
pub use profile::{Mode, ProfileWord};
pub use subject::{Container, ContainerLife, TaskState};
pub use token::Privilege;
pub use verdict::{Action, Resolution, Verdict, decide};

/// The version of every layout in this crate, and the name of the folder below bpffs that holds maps of that layout. Raised with every
/// change to a map's key, value or meaning.
pub const LAYOUT: &str = "v1";

/// The longest path that is resolved, in bytes: `PATH_MAX` of the kernel, as in `include/uapi/linux/limits.h`.
pub const PATH_MAX: usize = 4096;

/// How many containers a node can hold at once: the length of the slot arrays.
pub const CONTAINERS_MAX: u32 = 4096;

/// The index of the profile whose table names containers: it maps the paths of cgroups to the indices of profiles.
pub const SELECTORS: u32 = 0;

/// How many profiles (one for each container of each workload) a node can hold at once.
pub const PROFILES_MAX: u32 = 4096;
