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
//!  share     how much of the ring of events one container may fill                   Share
//!  pod       what finds a pod by the path of a container's cgroup                   pod::tail
//!  name      what a profile is called, kept beside it in the kernel                 ProfileName
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
pub mod name;
pub mod netkey;
pub mod pod;
pub mod profile;
pub mod share;
pub mod subject;
pub mod token;
pub mod verdict;

pub use access::Access;
pub use counter::Counter;
pub use event::{EventHeader, Operation};
pub use fields::{KERNEL_FIELDS, KernelField};
pub use name::ProfileName;
pub use profile::{Mode, ProfileWord};
pub use share::{Losses, Share};
pub use subject::{Container, ContainerLife, TaskState};
pub use token::Privilege;
pub use verdict::{Action, Resolution, Verdict, decide};

/// The version of every layout in this crate, and the name of the folder below bpffs that holds maps of that layout. Raised with every
/// change to a map's key, value or meaning.
///
/// With the feature `other-layout`, which only tests use, it is another one.
pub const LAYOUT: &str = if cfg!(feature = "other-layout") { "v3-other" } else { "v3" };

/// The version of what an agent of another layout carries over: the values of `CONTAINERS`, `LIVES`, `ARMED`, `PROFILES`, `TABLES`, `NAMES`,
/// `PODS`, `LOST`, `COUNTERS` and `TASKS`, and the events. Raised with every change to one of these; an agent that meets another version
/// leaves what is attached as it is.
pub const CARRY: u32 = 1;

/// The longest path that is resolved, in bytes: `PATH_MAX` of the kernel, as in `include/uapi/linux/limits.h`.
pub const PATH_MAX: usize = 4096;

/// How many containers a node can hold at once: the length of the slot arrays.
pub const CONTAINERS_MAX: u32 = 4096;

/// The index of the profile whose table names containers: it maps the paths of cgroups to the indices of profiles.
pub const SELECTORS: u32 = 0;

/// The index of the profile of containers that nobody knows yet: everything is allowed and told.
pub const UNKNOWN: u32 = 1;

/// The index of the canary's profile.
pub const CANARY: u32 = 2;

/// The index of the profile of containers of pods that nobody has told of: as [`UNKNOWN`], and a finding.
pub const UNKNOWN_POD: u32 = 3;

/// The first index of a workload's profile.
pub const FIRST: u32 = 4;

/// What the table that names containers says of a cgroup that looks like a container's and is none. Above every index.
pub const NO_CONTAINER: u32 = PROFILES_MAX;

/// How many profiles (one for each container of each workload) a node can hold at once.
pub const PROFILES_MAX: u32 = 4096;
