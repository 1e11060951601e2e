//! Telling user space: each like thing once a window, with a count of those that were not told.

use aya_ebpf::{
    bindings::{BPF_RB_CONS_POS, BPF_RB_PROD_POS},
    helpers::generated::{
        bpf_get_current_pid_tgid, bpf_get_current_uid_gid, bpf_ktime_get_boot_ns, bpf_probe_read_kernel, bpf_probe_read_user,
        bpf_ringbuf_output, bpf_ringbuf_query,
    },
};
use portcullis_abi::{
    Action, Counter, EventHeader, Operation, PATH_MAX, ProfileWord, Resolution, access::Access, counter::LOST_KINDS, event::ARGUMENTS_MAX,
    subject::EXECUTABLE_MAX,
};

use crate::{
    kernel::{FACTOR, HASH_SEED, MM_ARG_END, MM_ARG_START, TASK_LEADER, TASK_MM, TASK_PARENT, TASK_START, TASK_TGID, current, global},
    maps::{EVENTS, LOST, SEEN, SHARES, Seen, SeenKey, count},
    repeat::{CONTINUE, STOP, repeat},
    scratch::{Claim, masked},
    subject::Subject,
};

/// How long a thing that was told is only counted, while learning: it is in the profile soon, or the event was lost on the way.
const LEARN_WINDOW: u64 = 10_000_000_000;
/// The same in `audit` and `enforce`.
const WINDOW: u64 = 1_000_000_000;

/// What is to be told.
#[derive(Clone, Copy)]
pub struct Told {
    pub operation: Operation,
    pub action: Action,
    pub resolution: Resolution,
    pub asked: Access,
    pub missing: Access,
}

/// Tells it, unless the like was told within the window; false where there was no room. `sent` gets the key under which what was told now is known.
#[inline(always)]
pub fn tell(subject: &Subject, word: ProfileWord, scratch: Claim, told: Told, sent: impl FnOnce(SeenKey)) -> bool {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let kind = (told.operation as u64) << 16 | (told.action as u64) << 8 | told.resolution as u64;
    let key = SeenKey { hash: hash(scratch, kind), slot: subject.slot, missing: told.missing };
    let window = if matches!(told.action, Action::Observed) { LEARN_WINDOW } else { WINDOW };
    let mut repeats = 0;
    if let Some(seen) = SEEN.get_ptr_mut(key) {
        // SAFETY: an entry of the map; two processors that count at once may lose one count.
        unsafe {
            if (*seen).generation == word.generation() && now.wrapping_sub((*seen).told) < window {
                (*seen).repeats += 1;
                return true;
            }
            repeats = (*seen).repeats;
        }
    }
    let has_room = send(subject, word.generation(), scratch, told, repeats, now);
    if has_room {
        let seen = Seen { told: now, repeats: 0, generation: word.generation() };
        // A full map evicts; what is not kept is told again.
        let _ = SEEN.insert(key, seen, 0);
        sent(key);
    }
    has_room
}

/// Sends one event; false where there was no room.
#[inline(always)]
fn send(subject: &Subject, generation: u32, scratch: Claim, told: Told, repeats: u32, now: u64) -> bool {
    let task = current();
    // SAFETY: the memory is ours while it is claimed, every offset is masked to it, and the helpers check their sources.
    unsafe {
        let event = &raw mut (*scratch.0).event;
        let parts = (&raw mut (*event).parts).cast::<u8>();
        let mut length = 0usize;

        let mut executable_len = 0;
        if !subject.state.is_null() {
            executable_len = masked((*subject.state).executable_len as usize, EXECUTABLE_MAX - 1);
            bpf_probe_read_kernel(parts.cast(), executable_len as u32, (&raw const (*subject.state).executable).cast());
            length += executable_len;
        }

        let mm = task.pointer(&TASK_MM);
        let from = mm.u64(&MM_ARG_START);
        let arguments = mm.u64(&MM_ARG_END).wrapping_sub(from) as usize;
        let mut arguments_len = masked(if arguments < ARGUMENTS_MAX { arguments } else { ARGUMENTS_MAX - 1 }, ARGUMENTS_MAX - 1);
        if bpf_probe_read_user(parts.add(length).cast(), arguments_len as u32, from as *const _) != 0 {
            arguments_len = 0;
        }
        length += arguments_len;

        let start = scratch.start();
        let object_len = masked(PATH_MAX.wrapping_sub(start), PATH_MAX - 1);
        bpf_probe_read_kernel(parts.add(length).cast(), object_len as u32, scratch.bytes().add(start & (PATH_MAX - 1)).cast());
        length += object_len;

        let header = &raw mut (*event).header;
        let ids = bpf_get_current_pid_tgid();
        let users = bpf_get_current_uid_gid();
        let leader = task.pointer(&TASK_LEADER);
        (*header).time = now;
        (*header).cgroup = subject.cgroup;
        (*header).process_start = leader.u64(&TASK_START);
        (*header).slot = subject.slot;
        (*header).profile = subject.profile;
        (*header).generation = generation;
        (*header).asked = told.asked;
        (*header).missing = told.missing;
        (*header).pid = (ids >> 32) as u32;
        (*header).tid = ids as u32;
        (*header).parent = task.pointer(&TASK_PARENT).u32(&TASK_TGID);
        (*header).uid = users as u32;
        (*header).gid = (users >> 32) as u32;
        (*header).session = subject.session;
        (*header).repeats = repeats;
        (*header).operation = told.operation as u8;
        (*header).action = told.action as u8;
        (*header).resolution = told.resolution as u8;
        (*header).padding = 0;
        (*header).executable_len = executable_len as u16;
        (*header).arguments_len = arguments_len as u16;
        (*header).object_len = object_len as u16;
        output(event.cast(), EventHeader::SIZE + length, subject.slot, told.action as usize)
    }
}

/// Tells of a container's life, or of something about one of its threads; the object is `length` bytes of the scratch memory from its beginning.
#[inline(always)]
pub fn tell_life(subject: &Subject, scratch: Claim, operation: Operation, length: usize, tid: u32) {
    // SAFETY: as for `send`.
    unsafe {
        let event = &raw mut (*scratch.0).event;
        let parts = (&raw mut (*event).parts).cast::<u8>();
        let length = masked(length, PATH_MAX - 1);
        bpf_probe_read_kernel(parts.cast(), length as u32, scratch.bytes().cast());
        let header = &raw mut (*event).header;
        *header = EventHeader {
            time: bpf_ktime_get_boot_ns(),
            cgroup: subject.cgroup,
            process_start: 0,
            slot: subject.slot,
            profile: subject.profile,
            generation: 0,
            asked: 0,
            missing: 0,
            pid: 0,
            tid,
            parent: 0,
            uid: 0,
            gid: 0,
            session: subject.session,
            repeats: 0,
            operation: operation as u8,
            action: 0,
            resolution: 0,
            padding: 0,
            executable_len: 0,
            arguments_len: 0,
            object_len: length as u16,
            padding2: [0; 14],
        };
        output(event.cast(), EventHeader::SIZE + length, subject.slot, 0);
    }
}

/// Puts an event into the ring; what finds no room is counted under its kind, the number of its action or 0.
#[inline(always)]
unsafe fn output(event: *mut u8, length: usize, slot: u32, kind: usize) -> bool {
    let ring = (&raw const EVENTS).cast_mut().cast();
    // SAFETY: the verifier checks that `length` bytes can be read.
    if has_room(slot, length) && unsafe { bpf_ringbuf_output(ring, event.cast(), length as u64, 0) } == 0 {
        return true;
    }
    let kind = kind & (LOST_KINDS - 1);
    count(match kind {
        0 => Counter::LifeLost,
        1 => Counter::ObservationLost,
        2 => Counter::WouldBlockLost,
        _ => Counter::DenialLost,
    });
    if let Some(lost) = LOST.get_ptr_mut(slot) {
        // SAFETY: an entry of the map, its index masked; a count that two processors make at once leaves it above 0 all the same.
        unsafe { *(&raw mut (*lost).of).cast::<u64>().add(kind) += 1 };
    }
    false
}

/// Whether the container may put so many bytes into the ring: see `portcullis_abi::share`.
#[inline(always)]
fn has_room(slot: u32, length: usize) -> bool {
    let ring = || (&raw const EVENTS).cast_mut().cast();
    // SAFETY: the helper only reads how far the ring was read and written.
    let (read, written) =
        unsafe { (bpf_ringbuf_query(ring(), u64::from(BPF_RB_CONS_POS)), bpf_ringbuf_query(ring(), u64::from(BPF_RB_PROD_POS))) };
    match SHARES.get_ptr_mut(slot) {
        // SAFETY: an entry of the map.
        Some(share) => unsafe { (*share).take(length as u64, read, written) },
        None => true,
    }
}

/// A hash under way.
#[repr(C)]
struct Hash {
    scratch: Claim,
    left: u64,
    value: u64,
}

/// A keyed hash of the object and of what was attempted on it.
#[inline(always)]
fn hash(scratch: Claim, kind: u64) -> u64 {
    let length = PATH_MAX.wrapping_sub(scratch.start()) as u64;
    let mut hash = Hash { scratch, left: length, value: (global(&HASH_SEED) ^ kind).wrapping_mul(FACTOR) ^ length };
    repeat((PATH_MAX / 8) as u32, &mut hash, hash_word);
    hash.value
}

/// The next eight bytes, from the end of the object; of the last word what lies before the object is left out.
extern "C" fn hash_word(index: u64, hash: *mut Hash) -> i64 {
    // SAFETY: the context that `hash` passed.
    let hash = unsafe { &mut *hash };
    if hash.left == 0 {
        return STOP;
    }
    let at = PATH_MAX.wrapping_sub(8 * (index as usize + 1)) & (PATH_MAX - 8);
    // SAFETY: masked to the buffer and to the alignment of a word.
    let mut word = unsafe { *hash.scratch.bytes().add(at).cast::<u64>() };
    if hash.left < 8 {
        word >>= (8 - hash.left) * 8;
        hash.left = 0;
    } else {
        hash.left -= 8;
    }
    hash.value = (hash.value ^ word).wrapping_mul(FACTOR);
    hash.value ^= hash.value >> 32;
    CONTINUE
}
