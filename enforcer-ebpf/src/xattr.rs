//! Extended attributes that are set and removed, access control lists among them. The hooks get the file without its mount, so that it has no
//! path here: what is judged is the attribute's name.

use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str},
    macros::lsm,
    programs::LsmContext,
};
use portcullis_abi::{
    Operation, PATH_MAX, Resolution, access,
    token::{XATTR, XATTR_NAME_MAX},
};

use crate::{
    judge::{self, defer_to_earlier},
    kernel::{TASK_CRED, current},
    scratch::{Claim, masked},
    subject,
};

macro_rules! hooks {
    ($($hook:ident: $arguments:literal arguments;)+) => {
        $(
            #[lsm]
            pub fn $hook(ctx: LsmContext) -> i32 {
                defer_to_earlier!(ctx after $arguments);
                named(ctx.arg(2))
            }
        )+
    };
}
// The third argument of each is the name, the kernel's own copy of it. The last two are called in place of the first two since 6.2, for
// access control lists.
hooks! {
    inode_setxattr: 6 arguments;
    inode_removexattr: 3 arguments;
    inode_set_acl: 4 arguments;
    inode_remove_acl: 3 arguments;
}

/// Judges the attribute whose name lies at that address. What the kernel does for itself, as overlayfs when it copies a file up, is not judged.
#[inline(always)]
fn named(name: u64) -> i32 {
    let Some((subject, word)) = judge::judged() else { return 0 };
    if !subject::acts_for_itself(current().pointer(&TASK_CRED)) {
        return 0;
    }
    judge::judge_object(&subject, word, Operation::Xattr, access::USE, |scratch| write_key(scratch, name))
}

/// Writes the key of `portcullis_abi::token` where a path would be.
#[inline(always)]
fn write_key(scratch: Claim, name: u64) -> Resolution {
    let bytes = scratch.bytes();
    // SAFETY: to the beginning first, to find out its length; it has room for a name and NUL.
    let length = unsafe { bpf_probe_read_kernel_str(bytes.cast(), XATTR_NAME_MAX as u32 + 1, name as *const _) };
    // The terminating NUL is counted.
    if length < 1 {
        scratch.set_start(PATH_MAX);
        return Resolution::TooLong;
    }
    let length = masked(length as usize - 1, XATTR_NAME_MAX);
    let start = PATH_MAX - 1 - length;
    scratch.set_start(start);
    // SAFETY: both offsets are masked to the path, behind which there is room for a name.
    unsafe {
        *bytes.add(start & (PATH_MAX - 1)) = XATTR;
        bpf_probe_read_kernel(bytes.add((start + 1) & (PATH_MAX - 1)).cast(), length as u32, bytes.cast());
    }
    Resolution::Named
}
