//! The name that a program is called by: the last component of its first argument (`argv[0]`), which is how a *multi-call* program (busybox,
//! toybox, coreutils) knows which of its programs it is. Whoever executes it chooses that name, so what counts is what the program will see.
//!
//! At `bprm_check_security` the arguments are already copied to the stack of the memory that the program will have, `bprm->mm`, and nobody
//! else has that memory. It is not the current one, so the page is found by a walk of its page tables, and read where the kernel maps all of
//! physical memory:
//!
//! ```text
//!  mm.pgd ─[bits 48–56, where there are five levels]─ [39–47] ─ [30–38] ─ [21–29] ─ [12–20] ─► page      (Intel SDM, volume 3A, 4.5)
//! ```
//!
//! A name that cannot be read, is longer than the room for it, or is empty, is granted by no rule that lists names. Of a script the kernel asks
//! once by the name that it was called by, and once for each interpreter, by then called by what the script's first line says.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use portcullis_abi::{PATH_MAX, ProfileWord, access};
use portcullis_matcher::{State, accept, step};

use crate::{
    judge::Table,
    kernel::{BPRM_ARGUMENTS, BPRM_MM, MM_PGD, Typed, global, probe, probe_member},
    repeat::{CONTINUE, STOP, repeat},
    scratch::{Claim, masked},
};

/// Address of the kernel's `page_offset_base`, where all of physical memory is mapped; set by the loader, 0 where it is not known.
#[unsafe(no_mangle)]
pub static PAGE_OFFSET_BASE: u64 = 0;
/// Address of the kernel's `pgdir_shift`, likewise: 48 where page tables have five levels; 0 where they always have four.
#[unsafe(no_mangle)]
pub static PGDIR_SHIFT: u64 = 0;
/// Address of the kernel's `physical_mask`, likewise: the bits of an address in a page table, where memory may be encrypted.
#[unsafe(no_mangle)]
pub static PHYSICAL_MASK: u64 = 0;

/// How much of the first argument is looked at, in bytes, its NUL included: the room behind a path.
const ARGUMENT_MAX: usize = 256;

const PAGE: u64 = 4096;
/// `arch/x86/include/asm/pgtable_types.h`
const PRESENT: u64 = 1;
/// The same: a page of 2 MiB or 1 GiB, of which a new stack has none.
const HUGE: u64 = 1 << 7;
/// `pgdir_shift` where there are five levels.
const FIVE_LEVELS: u32 = 48;
/// The bits of an address in an entry where no mask says otherwise.
const ADDRESS: u64 = (1 << 52) - 1;

/// The name, within the room behind the path in the scratch memory.
#[derive(Clone, Copy)]
pub struct Called {
    at: usize,
    length: usize,
    granted: bool,
}

/// Reads the name that `bprm` is called by, and whether the table of `word` grants it to the path along which the scratch memory's state has
/// come. `None` where there is no such name.
#[inline(always)]
pub fn read(word: ProfileWord, scratch: Claim, bprm: Typed) -> Option<Called> {
    let limit = copy(scratch, bprm) as u64;
    let table = Table { first: word.first() };
    let path = scratch.state();
    let start = if path == State::DEAD { State::DEAD } else { step(&table, path, 0) };
    scratch.set_state(start);
    let mut walk = Walk { scratch, table, start, limit, at: 0, index: 0, ended: false };
    repeat(ARGUMENT_MAX as u32, &mut walk, step_byte);
    let length = (walk.index - walk.at) as usize;
    if !walk.ended || length == 0 {
        return None;
    }
    let state = scratch.state();
    let granted = state != State::DEAD && accept(&walk.table, state) & access::EXEC != 0;
    Some(Called { at: walk.at as usize, length, granted })
}

impl Called {
    /// Whether a rule lists it.
    #[inline(always)]
    pub fn is_granted(self) -> bool {
        self.granted
    }

    /// Writes it, and NUL, in front of the path, for what is told; where there is no room it is left out.
    #[inline(always)]
    pub fn prepend(self, scratch: Claim) {
        let length = masked(self.length, ARGUMENT_MAX - 1);
        let end = scratch.start();
        if length + 2 >= end {
            return;
        }
        let bytes = scratch.bytes();
        let start = (end - length - 1) & (PATH_MAX - 1);
        // SAFETY: both offsets are masked to the path, behind which there is as much room as is read.
        unsafe {
            let from = bytes.add(PATH_MAX + masked(self.at, ARGUMENT_MAX - 1));
            // VERIFIER(6.12): loses the bound of a length that was compared before, so it is masked once more.
            bpf_probe_read_kernel(bytes.add(start).cast(), masked(self.length, ARGUMENT_MAX - 1) as u32, from.cast());
            *bytes.add((end - 1) & (PATH_MAX - 1)) = 0;
        }
        scratch.set_start(start);
    }
}

/// A walk through a table along a name that may begin anew.
#[repr(C)]
struct Walk {
    scratch: Claim,
    table: Table,
    /// Where the table has come to before the name.
    start: State,
    /// How many bytes there are.
    limit: u64,
    /// Where the last component begins.
    at: u64,
    index: u64,
    ended: bool,
}

/// One byte of the first argument.
extern "C" fn step_byte(index: u64, walk: *mut Walk) -> i64 {
    // SAFETY: the context that `read` passed.
    let walk = unsafe { &mut *walk };
    if index >= walk.limit {
        return STOP;
    }
    walk.index = index;
    // SAFETY: masked to the room behind the path.
    let byte = unsafe { *walk.scratch.bytes().add(PATH_MAX + (index as usize & (ARGUMENT_MAX - 1))) };
    if byte == 0 {
        walk.ended = true;
        return STOP;
    }
    if byte == b'/' {
        walk.at = index + 1;
        walk.scratch.set_state(walk.start);
        return CONTINUE;
    }
    let state = walk.scratch.state();
    if state != State::DEAD {
        walk.scratch.set_state(step(&walk.table, state, byte));
    }
    CONTINUE
}

/// Copies the beginning of the first argument behind the path; how many bytes are there, 0 where it cannot be read.
#[inline(always)]
fn copy(scratch: Claim, bprm: Typed) -> usize {
    const ROOM: usize = ARGUMENT_MAX - 1;
    let (mm, address, base) = (bprm.pointer(&BPRM_MM), bprm.u64(&BPRM_ARGUMENTS), global(&PAGE_OFFSET_BASE));
    if base == 0 {
        return 0;
    }
    let base = probe(base);
    let table = probe_member(mm.address(), &MM_PGD);
    let left = (PAGE - address % PAGE) as usize;
    let first = if left < ROOM { left } else { ROOM };
    if !copy_page(scratch, 0, base, table, address, first) {
        return 0;
    }
    // What ends in the first page may have no next one behind it.
    if first < ROOM && copy_page(scratch, first, base, table, address + first as u64, ROOM - first) { ROOM } else { first }
}

/// Copies so many bytes of one page to that place behind the path; false where they cannot be read.
#[inline(always)]
fn copy_page(scratch: Claim, at: usize, base: u64, table: u64, address: u64, length: usize) -> bool {
    let Some(page) = page(base, table, address) else { return false };
    // SAFETY: place and length are masked to the room behind the path, and together are within it; the helper checks what it reads.
    unsafe {
        let to = scratch.bytes().add(PATH_MAX + masked(at, ARGUMENT_MAX - 1));
        bpf_probe_read_kernel(to.cast(), masked(length, ARGUMENT_MAX - 1) as u32, (page + address % PAGE) as *const _) == 0
    }
}

/// Where the kernel sees the page of that address.
#[inline(always)]
fn page(base: u64, table: u64, address: u64) -> Option<u64> {
    let (shift, mask) = (global(&PGDIR_SHIFT), global(&PHYSICAL_MASK));
    let mask = if mask == 0 { ADDRESS } else { probe(mask) & ADDRESS } & !(PAGE - 1);
    let next = |table: u64, shift: u32, refused: u64| {
        let entry = probe(table + (address >> shift & 511) * 8);
        (entry & PRESENT != 0 && entry & refused == 0).then_some(base.wrapping_add(entry & mask))
    };
    let mut table = table;
    if shift != 0 && probe(shift) as u32 == FIVE_LEVELS {
        table = next(table, 48, 0)?;
    }
    next(next(next(next(table, 39, 0)?, 30, HUGE)?, 21, HUGE)?, 12, 0)
}
