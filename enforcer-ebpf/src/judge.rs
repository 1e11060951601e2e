//! What a profile says of the object whose name is in the scratch memory.

use core::ptr::{read_volatile, write_volatile};
use portcullis_abi::{
    Counter, Mode, Operation, PATH_MAX, ProfileWord, Resolution, Verdict,
    access::{self, Access},
    decide,
};
use portcullis_matcher::{CHUNK_SLOTS, Slots, State, accept, step};

use crate::{
    maps::{PROFILES, SeenKey, TABLES, count},
    repeat::{CONTINUE, STOP, repeat},
    report,
    scratch::{self, Claim},
    subject::{self, Found, Subject},
};

/// The table of one profile, in chunks of [`TABLES`].
pub struct Table {
    pub first: u32,
}

impl Slots for Table {
    #[inline(always)]
    fn slot(&self, index: u32) -> u64 {
        let chunk = self.first.wrapping_add(index / CHUNK_SLOTS as u32);
        match TABLES.get_ptr(chunk) {
            // SAFETY: the index is masked to the chunk's length. Volatile: user space may reuse a chunk a grace period after we cannot see it.
            Some(slots) => unsafe { read_volatile(slots.cast::<u64>().add(index as usize & (CHUNK_SLOTS - 1))) },
            None => 0,
        }
    }
}

/// How the profile with that index is applied.
#[inline(always)]
pub fn profile(index: u32) -> ProfileWord {
    match PROFILES.get_ptr(index) {
        // SAFETY: one aligned word, switched by one store.
        Some(word) => ProfileWord::from_raw(unsafe { read_volatile(word) }),
        None => ProfileWord::default(),
    }
}

/// A walk through a table along a name. What does not change; the state is in the scratch memory.
#[repr(C)]
struct Walk {
    scratch: Claim,
    start: u64,
    length: u64,
    table: Table,
}

/// How many bytes one iteration of a [`Walk`] takes. More make the call a smaller part of the cost.
/// VERIFIER(6.12): a callback's paths are not pruned against each other, and each byte doubles them.
const BYTES_AT_ONCE: u64 = 4;

/// What the table of `word` accepts of the `length` bytes of the scratch memory from `start` on: 0 where it accepts nothing.
#[inline(always)]
pub fn accepted(word: ProfileWord, scratch: Claim, start: usize, length: usize) -> u32 {
    scratch.set_state(State::START);
    go_on(word, scratch, start, length);
    accept(&Table { first: word.first() }, scratch.state())
}

/// Goes on in the table of `word` from the scratch memory's state, along the `length` bytes from `start` on.
#[inline(always)]
pub fn go_on(word: ProfileWord, scratch: Claim, start: usize, length: usize) {
    let mut walk = Walk { scratch, start: start as u64, length: length as u64, table: Table { first: word.first() } };
    repeat(PATH_MAX as u32 / BYTES_AT_ONCE as u32, &mut walk, step_bytes);
}

/// The next bytes of the name. A dead state is past help and accepts nothing.
extern "C" fn step_bytes(index: u64, walk: *mut Walk) -> i64 {
    // SAFETY: the context that `accepted` passed.
    let walk = unsafe { &*walk };
    let at = index * BYTES_AT_ONCE;
    let mut state = walk.scratch.state();
    // VERIFIER(6.12): written out. As a loop, it counts from an unknown `at` to an unknown end.
    let going =
        take(walk, at, &mut state) && take(walk, at + 1, &mut state) && take(walk, at + 2, &mut state) && take(walk, at + 3, &mut state);
    walk.scratch.set_state(state);
    if going { CONTINUE } else { STOP }
}

/// One byte; false where there is none, or where none can matter any more.
#[inline(always)]
fn take(walk: &Walk, at: u64, state: &mut State) -> bool {
    if at >= walk.length || *state == State::DEAD {
        return false;
    }
    // SAFETY: masked to the buffer's length.
    let byte = unsafe { *walk.scratch.bytes().add((walk.start + at) as usize & (PATH_MAX - 1)) };
    *state = step(&walk.table, *state, byte);
    true
}

/// What the rules of `word` grant of the object in the scratch memory.
#[inline(always)]
pub fn granted(word: ProfileWord, scratch: Claim, resolution: Resolution) -> Access {
    match resolution {
        Resolution::Named | Resolution::Deleted => {
            let start = scratch.start();
            accepted(word, scratch, start, PATH_MAX.wrapping_sub(start))
        }
        _ => 0,
    }
}

/// Judges what `subject` asks of the object in the scratch memory, of which the rules grant `granted`; tells what is to be told, and gives
/// back what the hook returns.
#[inline(always)]
pub fn conclude(
    subject: &Subject,
    word: ProfileWord,
    scratch: Claim,
    operation: Operation,
    asked: Access,
    resolution: Resolution,
    granted: Access,
) -> i32 {
    conclude_and(subject, word, scratch, operation, asked, resolution, granted, |_| {})
}

/// [`conclude`], and what is to be done with the key under which something is told now.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one place where all of it comes together")]
pub fn conclude_and(
    subject: &Subject,
    word: ProfileWord,
    scratch: Claim,
    operation: Operation,
    asked: Access,
    resolution: Resolution,
    granted: Access,
    sent: impl FnOnce(SeenKey),
) -> i32 {
    let missing = resolution.missing(asked, granted);
    match decide(word.mode(), missing) {
        Verdict::Allow => 0,
        Verdict::Tell(action) => {
            report::tell(subject, word, scratch, report::Told { operation, action, resolution, asked, missing }, sent);
            if Verdict::Tell(action).code() == 0 {
                return 0;
            }
            count(Counter::Denied);
            denial()
        }
    }
}

/// `-EPERM`.
/// VERIFIER(6.12): a hook's result must be known to lie in its range, and the compiler likes to compute it from a condition. What was stored
/// and read back it cannot compute, and the verifier still knows.
#[inline(always)]
fn denial() -> i32 {
    const EPERM: i64 = -1;
    let mut code = 0i64;
    // SAFETY: a local.
    unsafe {
        write_volatile(&raw mut code, EPERM);
        read_volatile(&raw const code) as i32
    }
}

/// [`granted`] and [`conclude`].
#[inline(always)]
pub fn judge(subject: &Subject, word: ProfileWord, scratch: Claim, operation: Operation, asked: Access, resolution: Resolution) -> i32 {
    let granted = granted(word, scratch, resolution);
    conclude(subject, word, scratch, operation, asked, resolution, granted)
}

/// Judges an object whose name `resolve` writes, with memory of its own. Where there is none, everything that is asked is missing.
#[inline(always)]
pub fn judge_object(
    subject: &Subject,
    word: ProfileWord,
    operation: Operation,
    asked: Access,
    resolve: impl FnOnce(Claim) -> Resolution,
) -> i32 {
    scratch::with(
        |scratch| {
            let resolution = resolve(scratch);
            judge(subject, word, scratch, operation, asked, resolution)
        },
        || busy(word, asked),
    )
}

/// Judges the use of what a key of two bytes names (`portcullis_abi::token`) by the current task.
#[inline(always)]
pub fn token(operation: Operation, key: [u8; 2]) -> i32 {
    let Some((subject, word)) = judged() else { return 0 };
    judge_token(&subject, word, operation, key)
}

/// Judges the use of what a key of two bytes names. Where it is granted, that costs neither working memory nor a loop.
#[inline(always)]
pub fn judge_token(subject: &Subject, word: ProfileWord, operation: Operation, key: [u8; 2]) -> i32 {
    const START: usize = PATH_MAX - 2;
    let table = Table { first: word.first() };
    let [marker, number] = key;
    let granted = accept(&table, step(&table, step(&table, State::START, marker), number));
    if access::missing(access::USE, granted) == 0 {
        return 0;
    }
    scratch::with(
        |scratch| {
            scratch.set_start(START);
            // SAFETY: two bytes at a constant within the buffer.
            unsafe { *scratch.bytes().add(START).cast::<[u8; 2]>() = key };
            conclude(subject, word, scratch, operation, access::USE, Resolution::Named, granted)
        },
        || busy(word, access::USE),
    )
}

/// What a hook returns that found no working memory: everything that is asked is missing.
#[inline(always)]
pub fn busy(word: ProfileWord, asked: Access) -> i32 {
    if decide(word.mode(), Resolution::Busy.missing(asked, 0)).code() == 0 { 0 } else { denial() }
}

/// The current task and its profile, where one judges it. A container whose profile is absent is not judged, and that is counted.
#[inline(always)]
pub fn judged() -> Option<(Subject, ProfileWord)> {
    let Found::Workload(subject) = subject::find() else { return None };
    let word = profile(subject.profile);
    if word.mode() == Mode::Absent {
        count(Counter::Unbound);
        return None;
    }
    Some((subject, word))
}

/// Gives back the verdict of an earlier program, which follows a hook's own arguments, where it is a denial.
macro_rules! defer_to_earlier {
    ($context:ident after $arguments:literal) => {
        let earlier: i32 = $context.arg($arguments);
        if earlier != 0 {
            return earlier;
        }
    };
}
pub(crate) use defer_to_earlier;
