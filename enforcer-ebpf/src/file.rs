//! Open files: `file_open` for reading and writing, and `file_truncate`.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use portcullis_abi::{Operation, access};

use crate::{
    doubt, grant,
    judge::{self, defer_to_earlier},
    kernel::{FILE_FLAGS, FILE_MODE, Typed},
};

// `include/linux/fs.h`
const FMODE_READ: u32 = 1;
const FMODE_WRITE: u32 = 2;
/// Of a file that was made by being opened.
const FMODE_CREATED: u32 = 1 << 20;
/// `include/uapi/asm-generic/fcntl.h`; still among the flags here.
const O_CREAT: u32 = 0o100;
/// Kept among the flags of a file that is opened to be executed (`do_open_execat`, `fs/exec.c`).
const FMODE_EXEC: u32 = 0x20;

#[lsm(hook = "file_open")]
pub fn file_open(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 1);
    let file = Typed(ctx.arg(0));
    let Some((subject, word)) = judge::judged() else { return 0 };
    let mode = file.u32(&FILE_MODE);
    let flags = file.u32(&FILE_FLAGS);
    if flags & O_CREAT != 0 {
        doubt::settle(&subject, mode & FMODE_CREATED != 0);
    }
    // What is opened to be executed is judged when it is: at `bprm_check_security`, or when it is mapped.
    if flags & FMODE_EXEC != 0 {
        return 0;
    }
    let mut asked = 0;
    if mode & FMODE_WRITE != 0 {
        asked |= access::WRITE;
    }
    if mode & FMODE_READ != 0 && word.guards() {
        asked |= access::READ;
    }
    if asked == 0 {
        return 0;
    }
    grant::judge(&subject, word, Operation::Open, asked, file)
}

/// Since 6.2 called in place of `path_truncate` for a file that is open.
#[lsm]
pub fn file_truncate(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 1);
    let file = Typed(ctx.arg(0));
    let Some((subject, word)) = judge::judged() else { return 0 };
    grant::judge(&subject, word, Operation::Truncate, access::WRITE, file)
}
