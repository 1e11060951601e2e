//! What the rules grant of an open file: by what is kept of it, by what is kept of its folder and the last component of its name, or by the
//! whole of its name.

use portcullis_abi::{
    Operation, PATH_MAX, ProfileWord, Resolution,
    access::{self, Access},
};
use portcullis_matcher::{State, accept};

use crate::{
    cache::{self, File},
    judge::{self, Table},
    kernel::{DENTRY_NAME, QSTR_LEN, Typed},
    path,
    scratch::{self, Claim},
    subject::Subject,
};

/// Judges what is asked of an open file.
#[inline(always)]
pub fn judge(subject: &Subject, word: ProfileWord, operation: Operation, asked: Access, file: Typed) -> i32 {
    let at = cache::file(word, file);
    if kept(at, asked) != 0 {
        return 0;
    }
    scratch::with(
        |scratch| {
            if let Some(at) = at
                && let Some(granted) = by_folder(word, scratch, at)
                && access::missing(asked, granted) == 0
            {
                at.keep(granted);
                return 0;
            }
            let (resolution, granted) = by_walk(word, scratch, file, at, 0);
            judge::conclude(subject, word, scratch, operation, asked, resolution, granted)
        },
        || judge::busy(word, asked),
    )
}

/// What the rules grant of it, where that is kept and is all that is asked; or else nothing.
// VERIFIER: an option here is kept in two registers, of which the compiler stores the second where it was never set.
#[inline(always)]
pub fn kept(file: Option<File>, asked: Access) -> Access {
    match file.and_then(File::granted) {
        Some(granted) if access::missing(asked, granted) == 0 => granted,
        _ => 0,
    }
}

/// What the rules grant of it, by where the table has come to behind its folder. `None` where that is not kept, or the name changes.
#[inline(always)]
fn by_folder(word: ProfileWord, scratch: Claim, at: File) -> Option<Access> {
    let folder = at.folder()?;
    let state = folder.key.kept()?;
    scratch.set_start(PATH_MAX);
    let start = path::component(scratch, folder.dentry, at.dentry())?;
    scratch.set_state(State::from_raw(state));
    // Behind the slash, at which the folder's state is.
    judge::go_on(word, scratch, start + 1, PATH_MAX.wrapping_sub(start + 1));
    Some(accept(&Table { first: word.first() }, scratch.state()))
}

/// Writes the name of an open file into the scratch memory. What the rules grant of it: what is `known` of a file that has a name, unless that is
/// nothing, or else what the table says, kept from now on.
#[inline(always)]
pub fn by_walk(word: ProfileWord, scratch: Claim, file: Typed, at: Option<File>, known: Access) -> (Resolution, Access) {
    let steady = at.and_then(File::steady);
    let resolution = path::resolve_file(scratch, file);
    let granted = match (resolution, at, steady) {
        (Resolution::Named, ..) if known != 0 => known,
        (Resolution::Named, Some(at), Some(steady)) => {
            let (state, granted) = by_name(word, scratch, at);
            if steady.still() {
                at.keep(granted);
                if let Some(folder) = at.folder() {
                    folder.key.keep(state.raw());
                }
            }
            granted
        }
        _ => judge::granted(word, scratch, resolution),
    };
    (resolution, granted)
}

/// Where the table has come to behind the folder of the name in the scratch memory, and what it says of the whole.
#[inline(always)]
fn by_name(word: ProfileWord, scratch: Claim, at: File) -> (State, Access) {
    let start = scratch.start();
    let component = at.dentry().member(&DENTRY_NAME).u32(&QSTR_LEN) as usize;
    // Where the last component begins, unless it was renamed since it was written.
    let split = PATH_MAX.wrapping_sub(component & 255);
    scratch.set_state(State::START);
    judge::go_on(word, scratch, start, split.wrapping_sub(start));
    let folder = scratch.state();
    judge::go_on(word, scratch, split, component & 255);
    (folder, accept(&Table { first: word.first() }, scratch.state()))
}
