//! What finds a pod by the path of a container's cgroup.
//!
//! The path of a pod's cgroup ends in the pod's UID, as each driver writes it (`portcullis-enforcer`, `cgroup`). The program at
//! `cgroup_mkdir` takes the last [`TAIL`] bytes of it, whatever they are, and looks them up; user space writes a key for each way in which
//! they may be written. So the kernel parses nothing, and a pod that comes costs no table.

/// How many bytes at the end of a pod's path are looked up: those of `UID.slice`, the longest of the names that end in a UID.
pub const TAIL: usize = 36 + ".slice".len();

/// The key of the `PODS` map.
pub type Tail = [u8; TAIL];

/// The last [`TAIL`] bytes of the path of a pod's cgroup; `None` where it is shorter.
#[must_use]
pub fn tail(path: &[u8]) -> Option<Tail> {
    path.last_chunk().copied()
}
