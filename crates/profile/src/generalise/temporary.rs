//! Names of temporary files: what a program makes anew each time, with a number or random letters to be the first.
//!
//! Whether letters are random can only be guessed from their look. In temporary directories the guess leans to *random*: what is there is
//! data, and neither executed nor mapped by what is learned here.

use super::NUMBER;
use portcullis_matcher::pattern::escape;

/// Where temporary files lie, apart from directories that are named so.
const DIRECTORIES: [&[&[u8]]; 3] = [&[b"var", b"tmp"], &[b"dev", b"shm"], &[b"run", b"shm"]];
/// Names of directories below which files are temporary, wherever they are.
const DIRECTORY_NAMES: [&[u8]; 4] = [b"tmp", b"temp", b".tmp", b".temp"];
/// Words that say so in a file's own name.
const MARKS: [&[u8]; 2] = [b"tmp", b"temp"];
/// The fewest random characters that `mktemp`-like functions put in a name: POSIX's `mkstemp` takes exactly six.
const RANDOM_MIN: usize = 6;

/// How a well-known function names its files, which may look like words by chance.
struct Shape {
    /// What comes first, always the same.
    prefix: &'static [u8],
    /// How many random characters follow, up to the end or the extension.
    length: usize,
    /// Which characters are random.
    allowed: fn(&u8) -> bool,
    /// Whether the prefix says enough, wherever the file is: programs make a file beside the one whose place it is to take.
    anywhere: bool,
}

const SHAPES: [Shape; 4] = [
    // mktemp(1) without a template.
    Shape { prefix: b"tmp.", length: 10, allowed: u8::is_ascii_alphanumeric, anywhere: true },
    // Python's tempfile.
    Shape {
        prefix: b"tmp",
        length: 8,
        allowed: |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_',
        anywhere: true,
    },
    // PHP's uploads and tempnam.
    Shape { prefix: b"php", length: 6, allowed: u8::is_ascii_alphanumeric, anywhere: false },
    // GCC's intermediate files.
    Shape { prefix: b"cc", length: 6, allowed: u8::is_ascii_alphanumeric, anywhere: false },
];

/// The name with what is temporary in it replaced; `None` where there is no such part, or no reason to think that the file is temporary.
pub(super) fn general(parents: &[&[u8]], name: &[u8]) -> Option<String> {
    if is_temporary(parents) {
        shape(name, |_| true).or_else(|| random(name)).or_else(|| numbered(name))
    } else if is_marked(name) {
        random(name).or_else(|| numbered(name))
    } else {
        None
    }
}

fn is_temporary(parents: &[&[u8]]) -> bool {
    DIRECTORIES.iter().any(|directory| parents.starts_with(directory)) || parents.iter().any(|name| DIRECTORY_NAMES.contains(name))
}

/// Whether a mark is a word of its own in the name, and not a part of one, as in `template`.
fn is_marked(name: &[u8]) -> bool {
    let words = name.split(|byte| !byte.is_ascii_alphabetic());
    words.into_iter().any(is_mark)
}

/// Whether the word says that a file is temporary.
pub(super) fn is_mark(word: &[u8]) -> bool {
    MARKS.iter().any(|mark| word.eq_ignore_ascii_case(mark))
}

/// The name as of a file that a well-known function made, by its name alone; `None` where it does not say so.
pub(super) fn by_name(name: &[u8]) -> Option<String> {
    shape(name, |shape| shape.anywhere)
}

fn shape(name: &[u8], counts: impl Fn(&Shape) -> bool) -> Option<String> {
    SHAPES.iter().filter(|shape| counts(shape)).find_map(|Shape { prefix, length, allowed, .. }| {
        let (random, rest) = name.strip_prefix(*prefix)?.split_at_checked(*length)?;
        let ends = rest.is_empty() || rest.starts_with(b".");
        (ends && random.iter().all(allowed)).then(|| [escape(prefix), "?".repeat(*length), escape(rest)].concat())
    })
}

/// Every run of letters and digits that looks random, as `?`.
fn random(name: &[u8]) -> Option<String> {
    let mut found = false;
    let parts = name.chunk_by(|one, next| one.is_ascii_alphanumeric() == next.is_ascii_alphanumeric()).map(|part| {
        if part.len() >= RANDOM_MIN && looks_random(part) {
            found = true;
            "?".repeat(part.len())
        } else {
            escape(part)
        }
    });
    let text: String = parts.collect();
    found.then_some(text)
}

/// Letters behind digits, or letters that change between upper and lower case at every other place or more often.
fn looks_random(run: &[u8]) -> bool {
    if !run.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let letters = run.len() - run.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let head = run.get(..letters).unwrap_or_default();
    let changes =
        head.windows(2).filter(|pair| matches!(pair, [one, next] if one.is_ascii_uppercase() != next.is_ascii_uppercase())).count();
    head.iter().any(u8::is_ascii_digit) || changes > 1 && changes * 2 >= head.len()
}

/// A number at the end of the name, or of what comes before its extension: one of two digits or more, or one that stands alone.
fn numbered(name: &[u8]) -> Option<String> {
    let stem = name.iter().rposition(|byte| *byte == b'.').unwrap_or(name.len());
    [name.len(), stem].into_iter().find_map(|end| {
        let (head, extension) = name.split_at_checked(end)?;
        let digits = head.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (before, _) = head.split_at_checked(head.len().checked_sub(digits)?)?;
        let alone = !before.last().is_some_and(u8::is_ascii_alphabetic);
        (digits >= 2 || digits == 1 && alone).then(|| [escape(before).as_str(), NUMBER, &escape(extension)].concat())
    })
}
