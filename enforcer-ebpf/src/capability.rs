//! Capabilities: `capable`, asked after the capability module has granted (LSMs are asked in turn, and it comes first).
//!
//! Every check of the task's own credentials is judged, in whatever user namespace. Those by which the kernel finds out which of two ways it
//! may take (`CAP_OPT_NOAUDIT`) are no less: a yes gives what the capability gives. Setting ids, `chroot`, `setns`, opening another user's
//! file: all come through here, and a set-id program gets no further than the capabilities that are listed.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use portcullis_abi::{Operation, token};

use crate::{
    judge::{self, defer_to_earlier},
    kernel::Typed,
    subject,
};

#[lsm]
pub fn capable(ctx: LsmContext) -> i32 {
    defer_to_earlier!(ctx after 4);
    let Some((subject, word)) = judge::judged() else { return 0 };
    if !subject::acts_for_itself(Typed(ctx.arg(0))) {
        return 0;
    }
    let capability: i32 = ctx.arg(2);
    judge::judge_token(&subject, word, Operation::Capability, [token::CAPABILITY, capability as u8])
}
