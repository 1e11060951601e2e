//! All state, shared by the programs and the agent. Every map is pinned and outlives the agent.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE},
    btf_maps::RingBuf,
    helpers::generated::bpf_task_storage_get,
    macros::{btf_map, map},
    maps::{Array, HashMap, LruHashMap, PerCpuArray, Queue},
};
use core::{ffi::c_void, ptr};
use portcullis_abi::{
    CONTAINERS_MAX, Container, ContainerLife, Counter, Losses, PROFILES_MAX, Share, TaskState, name::NAME_SIZE, pod::Tail, share::RING,
    token::SYSCALLS_MAX,
};
use portcullis_matcher::CHUNK_SLOTS;

use crate::{kernel::Typed, scratch::Scratch};

/// One chunk of a table.
#[repr(C)]
pub struct Chunk(pub [u64; CHUNK_SLOTS]);

/// What is known of a thing that was told.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Seen {
    /// When it was told last (ns of `CLOCK_BOOTTIME`).
    pub told: u64,
    /// How often it has happened since.
    pub repeats: u32,
    /// The edition of the profile under which it was told.
    pub generation: u32,
}

/// What is told at most once a window.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SeenKey {
    /// Keyed hash of the object.
    pub hash: u64,
    /// The container.
    pub slot: u32,
    /// What the rules do not grant.
    pub missing: u32,
}

/// All tables, in chunks. Key: chunk. Value: slots of a comb-packed automaton. Written by user space before a [`PROFILES`] word names the
/// chunk and reused only a grace period after none does. The loader sets the capacity.
#[map]
pub static TABLES: Array<Chunk> = Array::with_max_entries(256, 0);

/// How each profile is applied. Key: profile. Value: `ProfileWord`, switched by one store. Written by user space. 0: absent, nothing is
/// judged. Profile 0 is the table that names containers: it maps paths of cgroups to profiles.
#[map]
pub static PROFILES: Array<u64> = Array::with_max_entries(PROFILES_MAX, 0);

/// Which container a slot holds. Key: slot. Written at `cgroup_mkdir`, by user space for containers that were there before the agent and
/// to bind a container to another profile; cleared at `cgroup_rmdir`. `cgroup` 0: free.
#[map]
pub static CONTAINERS: Array<Container> = Array::with_max_entries(CONTAINERS_MAX, 0);

/// How far each container's life has come. Key: slot. Written as [`CONTAINERS`] is, then by the kernel alone.
#[map]
pub static LIVES: Array<ContainerLife> = Array::with_max_entries(CONTAINERS_MAX, 0);

/// Slots that no container uses, the longest unused first. Filled by user space once; taken at `cgroup_mkdir`, given back at `cgroup_rmdir`.
#[map]
pub static FREE: Queue<u32> = Queue::with_max_entries(CONTAINERS_MAX, 0);

/// The slot of every cgroup that is a container or lies below one. Key: cgroup. Absent: not a container's. Full: counted, unjudged.
#[map]
pub static ARMED: HashMap<u64, u32> = HashMap::with_max_entries(16 * 1024, 0);

/// How many remembered cgroups [`OUTSIDE`] holds: a power of two.
pub const OUTSIDE_ENTRIES: u32 = 4096;

/// Cgroups that are known to be in no container, so that a task outside pays no hash look-up. Key: the cgroup's low bits. Value: the cgroup
/// mixed with [`EPOCH`]. Identities of cgroups are never reused, and arming one that exists raises the epoch, so an entry is never stale.
#[map]
pub static OUTSIDE: Array<u64> = Array::with_max_entries(OUTSIDE_ENTRIES, 0);

/// One entry: how often user space has armed a cgroup that existed already.
#[map]
pub static EPOCH: Array<u64> = Array::with_max_entries(1, 0);

/// What was told and when. Evicts the least recently used: what is evicted is told again.
#[map]
pub static SEEN: LruHashMap<SeenKey, Seen> = LruHashMap::with_max_entries(32 * 1024, 0);

/// An entry that may have been there when it was told that it must not be made.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Doubt {
    /// The address of its dentry.
    pub dentry: u64,
    /// That of the directory's.
    pub parent: u64,
    /// The hash and the length of its name.
    pub name: u64,
    /// 1 where it was counted as denied.
    pub denied: u64,
    /// Under which it was told.
    pub key: SeenKey,
}

/// What each task was told of last that may have been there: see `doubt`. Key: thread group and thread. Evicts the least recently used.
#[map]
pub static DOUBTS: LruHashMap<u64, Doubt> = LruHashMap::with_max_entries(4 * 1024, 0);

/// Counts of what was lost or could not be decided. Key: [`Counter`]. What is counted on one processor may be taken back on another: the sum wraps.
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::ALL.len() as u32, 0);

/// Events that found no room, by container and kind. Key: slot. Zeroed when the slot is taken.
#[map]
pub static LOST: Array<Losses> = Array::with_max_entries(CONTAINERS_MAX, 0);

/// What each container has in [`EVENTS`]. Key: slot. Zeroed when the slot is taken. Two processors that take at once may lose one's bytes.
#[map]
pub static SHARES: Array<Share> = Array::with_max_entries(CONTAINERS_MAX, 0);

/// Which system calls were told.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Syscalls {
    /// The word of the profile under which they were.
    pub edition: u64,
    /// A bit a call: those of x86-64, then those of 32-bit programs.
    pub bits: [u64; 2 * SYSCALLS_MAX as usize / 64],
}

/// Which system calls were told of each container whose profile is being learned. Key: slot.
#[map]
pub static SYSCALLS: Array<Syscalls> = Array::with_max_entries(CONTAINERS_MAX, 0);

/// The profile of containers of a pod whose names are not known yet. Key: the end of the path of the pod's cgroup, in each way in which it
/// may be written. Written by user space. Absent: nobody has told of the pod.
#[map]
pub static PODS: HashMap<Tail, u32> = HashMap::with_max_entries(4 * CONTAINERS_MAX, BPF_F_NO_PREALLOC);

/// What each profile is called. Key: profile. Written by user space before [`PROFILES`], and read by user space alone.
#[map]
pub static NAMES: HashMap<u32, [u8; NAME_SIZE]> = HashMap::with_max_entries(PROFILES_MAX, BPF_F_NO_PREALLOC);

/// How many judgements can be under way on one processor: one, and those that preempt it.
pub const SCRATCHES: u32 = 3;

/// Working memory. Key: how many are in use below it.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(SCRATCHES, 0);

/// Events, as `portcullis_abi::event` lays them out. A reader that is late loses the newest, and the loss is counted.
#[btf_map]
pub static EVENTS: RingBuf<u8, RING> = RingBuf::new();

/// What is kept with each task of a workload. Absent: the task descends from no container's first exec.
#[btf_map]
pub static TASKS: TaskStorage = TaskStorage::new();

/// [`TASKS`] of the object of another layout, of which this one takes over; an empty map of its own otherwise.
#[btf_map]
pub static OLD_TASKS: TaskStorage = TaskStorage::new();

/// `BPF_MAP_TYPE_TASK_STORAGE`, which aya does not wrap: the members are what the loader reads from BTF.
#[repr(C)]
pub struct TaskStorage {
    r#type: *const [i32; BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const TaskState,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the members are never read; the loader puts the map in the definition's place.
unsafe impl Sync for TaskStorage {}

impl TaskStorage {
    const fn new() -> Self {
        Self { r#type: ptr::null(), key: ptr::null(), value: ptr::null(), max_entries: ptr::null(), map_flags: ptr::null() }
    }

    fn as_ptr(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// The state of the task, null where it has none.
    #[inline(always)]
    pub fn get(&self, task: Typed) -> *mut TaskState {
        // SAFETY: the verifier demands a task; a null value with no flag looks up.
        unsafe { bpf_task_storage_get(self.as_ptr(), task.0.cast_mut().cast(), ptr::null_mut(), 0) }.cast()
    }

    /// The state of the task, a copy of `initial` where it had none; null where there is no memory for one.
    #[inline(always)]
    pub fn get_or_insert(&self, task: Typed, initial: *const TaskState) -> *mut TaskState {
        const CREATE: u64 = 1;
        // SAFETY: as above; the verifier checks that `initial` can be read.
        unsafe { bpf_task_storage_get(self.as_ptr(), task.0.cast_mut().cast(), initial.cast_mut().cast(), CREATE) }.cast()
    }
}

/// Adds one to a counter of this processor.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the entry is this processor's own; a program that preempts may cost one count.
        unsafe { *value += 1 };
    }
}

/// One less.
#[inline(always)]
pub fn uncount(counter: Counter) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: as for `count`.
        unsafe { *value = (*value).wrapping_sub(1) };
    }
}
