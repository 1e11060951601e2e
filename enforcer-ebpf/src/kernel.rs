//! Reading the kernel's structures: offsets that the loader sets, and the two ways to follow a pointer.

use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_probe_read_kernel};
use core::ptr::read_volatile;

macro_rules! offsets {
    ($($global:ident $structure:literal $members:tt;)+) => {
        $(
            #[doc = concat!("Offset in bytes within `", $structure, "`, set by the loader from the kernel's BTF.")]
            #[unsafe(no_mangle)]
            pub static $global: u64 = 0;
        )+
    };
}
portcullis_abi::for_each_kernel_field!(offsets);

/// Inode number of the host's mount namespace, set by the loader. A task there is not yet inside a container's file system.
#[unsafe(no_mangle)]
pub static HOST_MOUNT_NAMESPACE: u64 = 0;

/// Key of the hash under which like events are recognised, drawn by the loader, so that nobody can make two objects look alike.
#[unsafe(no_mangle)]
pub static HASH_SEED: u64 = 0;

/// Spreads a word over all bits, in hashes: 2^64 divided by the golden ratio.
pub const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A global that the loader sets. The section is frozen before loading, so the verifier sees a constant.
#[inline(always)]
pub fn global(value: &u64) -> u64 {
    // SAFETY: a reference is valid to read; volatile, because the compiler would fold the initial 0.
    unsafe { read_volatile(value) }
}

/// A pointer into a kernel structure whose type the verifier knows, from a hook's argument or loaded through another one. Loads through it
/// need no helper: a fault reads as 0.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Typed(pub *const u8);

impl Typed {
    /// The member at that offset, itself a structure.
    #[inline(always)]
    pub fn member(self, offset: &u64) -> Self {
        Self(self.0.wrapping_add(global(offset) as usize))
    }
    /// The pointer that the member at that offset holds.
    #[inline(always)]
    pub fn pointer(self, offset: &u64) -> Self {
        // SAFETY: the verifier checks the access against the structure's BTF.
        Self(unsafe { *self.member(offset).0.cast::<*const u8>() })
    }
    /// The 64-bit value of the member at that offset.
    #[inline(always)]
    pub fn u64(self, offset: &u64) -> u64 {
        // SAFETY: as for `pointer`.
        unsafe { *self.member(offset).0.cast::<u64>() }
    }
    /// The 32-bit value of the member at that offset.
    #[inline(always)]
    pub fn u32(self, offset: &u64) -> u32 {
        // SAFETY: as for `pointer`.
        unsafe { *self.member(offset).0.cast::<u32>() }
    }
    /// The 16-bit value of the member at that offset.
    #[inline(always)]
    pub fn u16(self, offset: &u64) -> u16 {
        // SAFETY: as for `pointer`.
        unsafe { *self.member(offset).0.cast::<u16>() }
    }
    /// The address as a number.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }
}

/// The task that runs.
#[inline(always)]
pub fn current() -> Typed {
    // SAFETY: the helper has no preconditions.
    Typed(unsafe { bpf_get_current_task_btf() } as *const u8)
}

/// The 64-bit value at an address that is only a number; 0 where it cannot be read.
#[inline(always)]
pub fn probe(address: u64) -> u64 {
    let mut value = 0u64;
    // SAFETY: the helper checks the source and writes eight bytes to `value`.
    unsafe { bpf_probe_read_kernel((&raw mut value).cast(), 8, address as *const _) };
    value
}

/// The two 64-bit values at an address that is only a number: a `struct path` is a mount and a dentry.
#[inline(always)]
pub fn probe_pair(address: u64) -> [u64; 2] {
    let mut values = [0u64; 2];
    // SAFETY: as for `probe`, and sixteen bytes.
    unsafe { bpf_probe_read_kernel((&raw mut values).cast(), 16, address as *const _) };
    values
}

/// [`probe`] of the member at that offset.
#[inline(always)]
pub fn probe_member(base: u64, offset: &u64) -> u64 {
    probe(base.wrapping_add(global(offset)))
}
