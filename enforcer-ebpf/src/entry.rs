//! Entries of directories: made, removed, renamed, linked; and what is changed of a file without opening it. The hooks of
//! `CONFIG_SECURITY_PATH`, which get the directory as the task sees it, mount included (`fs/namei.c`, `fs/open.c`).

use aya_ebpf::{macros::lsm, programs::LsmContext};
use portcullis_abi::{Operation, access, access::Access};

use crate::{
    doubt,
    judge::{self, defer_to_earlier},
    kernel::Typed,
    path, scratch,
};

/// `include/uapi/linux/fs.h`
const RENAME_EXCHANGE: u32 = 2;

/// Judges an entry of the directory at `directory`.
#[inline(always)]
fn entry(directory: Typed, dentry: Typed, operation: Operation, asked: Access) -> i32 {
    let Some((subject, word)) = judge::judged() else { return 0 };
    judge::judge_object(&subject, word, operation, asked, |scratch| path::resolve_entry(scratch, directory, dentry))
}

/// Judges what is at `path`.
#[inline(always)]
fn whole(path: Typed, operation: Operation, asked: Access) -> i32 {
    let Some((subject, word)) = judge::judged() else { return 0 };
    judge::judge_object(&subject, word, operation, asked, |scratch| path::resolve_path(scratch, path))
}

macro_rules! entry_hooks {
    ($($hook:ident: $operation:ident, $asked:ident, $arguments:literal arguments;)+) => {
        $(
            #[lsm]
            pub fn $hook(ctx: LsmContext) -> i32 {
                defer_to_earlier!(ctx after $arguments);
                entry(Typed(ctx.arg(0)), Typed(ctx.arg(1)), Operation::$operation, access::$asked)
            }
        )+
    };
}
entry_hooks! {
    path_mkdir: Create, CREATE, 3 arguments;
    path_symlink: Create, CREATE, 3 arguments;
    path_unlink: Delete, DELETE, 2 arguments;
    path_rmdir: Delete, DELETE, 2 arguments;
}

/// A file or a device is made, or may have to be: see [`doubt`].
#[lsm]
pub fn path_mknod(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 4);
    let (directory, dentry) = (Typed(ctx.arg(0)), Typed(ctx.arg(1)));
    let Some((subject, word)) = judge::judged() else { return 0 };
    scratch::with(
        |scratch| {
            let resolution = path::resolve_entry(scratch, directory, dentry);
            let granted = judge::granted(word, scratch, resolution);
            let note = |key| doubt::note(dentry, word, key);
            judge::conclude_and(&subject, word, scratch, Operation::Create, access::CREATE, resolution, granted, note)
        },
        || judge::busy(word, access::CREATE),
    )
}

macro_rules! path_hooks {
    ($($hook:ident: $operation:ident, $asked:ident, $arguments:literal arguments;)+) => {
        $(
            #[lsm]
            pub fn $hook(ctx: LsmContext) -> i32 {
                defer_to_earlier!(ctx after $arguments);
                whole(Typed(ctx.arg(0)), Operation::$operation, access::$asked)
            }
        )+
    };
}
path_hooks! {
    path_truncate: Truncate, WRITE, 1 arguments;
    path_chmod: Attributes, ATTRIBUTES, 2 arguments;
    path_chown: Attributes, ATTRIBUTES, 3 arguments;
}

/// The old name must be one that may go, the new one that may come; for an exchange each is both.
#[lsm]
pub fn path_rename(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 5);
    let flags: u32 = ctx.arg(4);
    let (old, new) = if flags & RENAME_EXCHANGE != 0 {
        (access::DELETE | access::CREATE, access::DELETE | access::CREATE)
    } else {
        (access::DELETE, access::CREATE)
    };
    let code = entry(Typed(ctx.arg(0)), Typed(ctx.arg(1)), Operation::Rename, old);
    if code != 0 {
        return code;
    }
    entry(Typed(ctx.arg(2)), Typed(ctx.arg(3)), Operation::Rename, new)
}

/// The new name must be one that may come, and may not give more than the old one does: a guarded file is not read, and a program not
/// written, under another name. Both names are in one mount, or the kernel refuses the link itself.
#[lsm]
pub fn path_link(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 3);
    let (old, directory, new) = (Typed(ctx.arg(0)), Typed(ctx.arg(1)), Typed(ctx.arg(2)));
    let Some((subject, word)) = judge::judged() else { return 0 };
    scratch::with(
        |scratch| {
            let resolution = path::resolve_entry(scratch, directory, new);
            let gives = judge::granted(word, scratch, resolution);
            let code = judge::conclude(&subject, word, scratch, Operation::Link, access::CREATE, resolution, gives);
            if code != 0 {
                return code;
            }
            let resolution = path::resolve_entry(scratch, directory, old);
            // Reading is granted by not being guarded, too: it is always among what the new name gives.
            judge::judge(&subject, word, scratch, Operation::Link, gives & access::OF_INODE | access::READ, resolution)
        },
        || judge::busy(word, access::CREATE),
    )
}
