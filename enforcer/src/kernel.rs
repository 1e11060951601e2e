//! The kernel's side as the agent sees it: is this a kernel that can enforce, what do its structures look like, load and attach, and the maps.
//!
//! ```text
//!  preflight   BPF in the LSM list, BTF, cgroup v2: one clear error each
//!  fields      offsets of structure members from the kernel's BTF
//!  pins        the folder below bpffs that holds maps and links, and outlives the agent
//!  load        object → programs, attached and pinned; or what an earlier agent has pinned, taken over
//!  live        whether what should judge does
//!  features    what the kernel may lack, and which rules that turns off
//!  maps        the maps, typed
//!  overlay     the types of overlayfs, where it is a module
//!  symbols     addresses of the kernel's variables
//!  tables      which chunks a table occupies; switching a profile in one store
//! ```

pub mod features;
pub mod fields;
pub mod live;
pub mod load;
pub mod maps;
pub mod pins;
pub mod preflight;
pub mod tables;

mod overlay;
mod symbols;
