//! Names that a program counts: the next file, table, segment or worker has the next number.
//!
//! Only below directories that are made for data: there a number is what the program counts, and elsewhere it may be a version or a name.
//! What is there is neither executed nor mapped by what is learned here.
//!
//! | seen below them | becomes | as |
//! |---|---|---|
//! | a number between other characters than letters and digits | `[0-9]*` | `base/5/16384_fsm`, `appendonly.aof.2.incr.aof` |
//! | the same behind one letter, or behind a word for *temporary* | the letter or word, `[0-9]*` | `t3_16401`, `pgsql_tmp77.0` |
//! | four or more upper-case hexadecimal digits that begin with 0 | `[0-9]*` | `pg_xact/000A` |
//! | 16 or more hexadecimal digits | as many `?` | WAL segments |
//! | in a cache, one or two lower-case hexadecimal digits | `[0-9a-f]`, twice for two | `nginx/c/29/…` |

use super::{NUMBER, identifier, temporary};
use portcullis_matcher::pattern::escape;

/// Directories for data, by the Filesystem Hierarchy Standard, and as images have them.
const ROOTS: [&[&[u8]]; 7] =
    [&[b"var", b"lib"], &[b"var", b"cache"], &[b"var", b"spool"], &[b"var", b"opt"], &[b"var", b"log"], &[b"srv"], &[b"data"]];
/// Names of such directories, wherever they are.
const NAMES: [&[u8]; 9] = [b"data", b"cache", b".cache", b"db", b"log", b"logs", b"spool", b"storage", b"uploads"];
/// Those of them that hold caches, whose files many spread over directories by digits of a digest.
const CACHES: [&[u8]; 2] = [b"cache", b".cache"];
const CACHE_DIGIT: &str = "[0-9a-f]";
/// The fewest hexadecimal digits that are no word and no number that means something, where files are counted.
const DIGEST_MIN: usize = 16;
/// The fewest digits of a number that is written with zeros in front.
const PADDED_MIN: usize = 4;

/// The name with what is counted in it replaced; `None` where there is no such part, or no reason to think that names are counted.
pub(super) fn general(parents: &[&[u8]], name: &[u8]) -> Option<String> {
    if !ROOTS.iter().any(|root| parents.starts_with(root)) && !parents.iter().any(|parent| NAMES.contains(parent)) {
        return None;
    }
    if parents.iter().any(|parent| CACHES.contains(parent)) && fans_out(name) {
        return Some(CACHE_DIGIT.repeat(name.len()));
    }
    let text = identifier::with(name, DIGEST_MIN, numbers).unwrap_or_else(|| numbers(name));
    (text != escape(name)).then_some(text)
}

fn fans_out(name: &[u8]) -> bool {
    (1..=2).contains(&name.len()) && name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Every number in the text, as the table says.
fn numbers(text: &[u8]) -> String {
    let parts = text.chunk_by(|one, next| one.is_ascii_alphanumeric() == next.is_ascii_alphanumeric());
    parts.map(|part| number(part).unwrap_or_else(|| escape(part))).collect()
}

/// A run of letters and digits that is a number, or ends with one.
fn number(run: &[u8]) -> Option<String> {
    let digits = run.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, number) = run.split_at_checked(run.len().checked_sub(digits)?)?;
    let is_padded = run.len() >= PADDED_MIN && run.starts_with(b"0") && run.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    if is_padded {
        return Some(NUMBER.to_owned());
    }
    let is_counted = before.len() <= 1 && before.iter().all(u8::is_ascii_alphabetic) || temporary::is_mark(before);
    (!number.is_empty() && is_counted).then(|| escape(before) + NUMBER)
}
