//! What the rules grant of an open file: by what is kept of it, by what is kept of its folder and the last component of its name, or by the
//! whole of its name.

use portcullis_abi::{
    Operation, PATH_MAX, ProfileWord, Resolution,
    access::{self, Access},
};
use portcullis_matcher::{State, accept};

use crate::{
    cache::{self, File, Steady},
    judge::{self, Table},
    kernel::{DENTRY_NAME, QSTR_LEN, Typed},
    path,
    scratch::{self, Claim},
    subject::Subject,
};

/// Judges what is asked of an open file.
#[inline(always)]
pub fn judge(subject: &Subject, word: ProfileWord, operation: Operation, asked: Access, file: Typed) -> i32 {
    let kept = cache::names(word).and_then(|names| names.file(file));
    if is_kept(kept, asked).is_some() {
        return 0;
    }
    scratch::with(
        |scratch| {
            if let Some(kept) = kept
                && let Some(granted) = by_folder(word, scratch, kept)
                && access::missing(asked, granted) == 0
            {
                kept.keep(granted);
                return 0;
            }
            let steady = cache::steady();
            let resolution = path::resolve_file(scratch, file);
            let granted = by_name(word, scratch, resolution, kept, steady);
            judge::conclude(subject, word, scratch, operation, asked, resolution, granted)
        },
        || judge::busy(word, asked),
    )
}

/// What the rules grant of it, where that is kept and is all that is asked.
#[inline(always)]
pub fn is_kept(kept: Option<File>, asked: Access) -> Option<Access> {
    let granted = kept?.granted()?;
    (access::missing(asked, granted) == 0).then_some(granted)
}

/// What the rules grant of it, by where the table has come to behind its folder. `None` where that is not kept, or the name changes.
#[inline(always)]
fn by_folder(word: ProfileWord, scratch: Claim, kept: File) -> Option<Access> {
    let state = kept.folder()?.kept()?;
    scratch.set_start(PATH_MAX);
    let start = path::component(scratch, kept.dentry())?;
    scratch.set_state(State::from_raw(state));
    // Behind the slash, at which the folder's state is.
    judge::go_on(word, scratch, start + 1, PATH_MAX.wrapping_sub(start + 1));
    Some(accept(&Table { first: word.first() }, scratch.state()))
}

/// What the rules grant of the file whose name is in the scratch memory, kept from now on.
#[inline(always)]
pub fn by_name(word: ProfileWord, scratch: Claim, resolution: Resolution, kept: Option<File>, steady: Option<Steady>) -> Access {
    let (Some(kept), Some(steady), Resolution::Named) = (kept, steady, resolution) else {
        return judge::granted(word, scratch, resolution);
    };
    let start = scratch.start();
    let component = kept.dentry().member(&DENTRY_NAME).u32(&QSTR_LEN) as usize;
    // Where the last component begins. A name that has changed since it was written is kept under what is found by nobody.
    let split = PATH_MAX.wrapping_sub(component & 255);
    scratch.set_state(State::START);
    judge::go_on(word, scratch, start, split.wrapping_sub(start));
    let folder = scratch.state();
    judge::go_on(word, scratch, split, component & 255);
    let granted = accept(&Table { first: word.first() }, scratch.state());
    if steady.still() {
        kept.keep(granted);
        if let Some(key) = kept.folder() {
            key.keep(folder.raw());
        }
    }
    granted
}
