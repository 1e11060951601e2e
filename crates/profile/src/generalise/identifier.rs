//! Names that a machine gave: digests, UUIDs, the kubelet's folders.

use portcullis_matcher::pattern::escape;

/// The fewest hexadecimal digits that are taken for a digest: MD5's. Shorter ones may be words or numbers that mean something.
const DIGEST_MIN: usize = 32;
/// The lengths of a UUID's groups (RFC 9562, section 4).
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// The name with each identifier in it replaced by as many `?`; `None` where there is none.
pub(super) fn general(name: &[u8]) -> Option<String> {
    with(name, DIGEST_MIN, escape)
}

/// The same, for digests of so many digits at least, with what is between identifiers as `write` writes it.
pub(super) fn with(name: &[u8], digest_min: usize, write: impl Fn(&[u8]) -> String) -> Option<String> {
    let (mut text, mut literal, mut rest) = (String::new(), Vec::new(), name);
    let mut found = false;
    while let Some((first, after)) = rest.split_first() {
        let at_start = !literal.last().is_some_and(u8::is_ascii_alphanumeric);
        match at_start.then(|| uuid(rest).or_else(|| digest(rest, digest_min))).flatten() {
            Some((pattern, behind)) => {
                text.push_str(&write(&literal));
                text.push_str(&pattern);
                (literal, rest, found) = (Vec::new(), behind, true);
            }
            None => {
                literal.push(*first);
                rest = after;
            }
        }
    }
    text.push_str(&write(&literal));
    found.then_some(text)
}

/// Whether the name is that of a folder that the kubelet made for one edition of a projected volume: `..`, the time as
/// `2006_01_02_15_04_05`, a dot, and a random number. The link `..data` leads to it.
pub(super) fn is_projection(name: &[u8]) -> bool {
    let Some(name) = name.strip_prefix(b"..") else { return false };
    let groups: Vec<&[u8]> = name.split(|byte| matches!(byte, b'_' | b'.')).collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let [4, 2, 2, 2, 2, 2, random] = lengths.as_slice() else { return false };
    *random > 0 && name.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.')) && name.get(19) == Some(&b'.')
}

/// A UUID at the start, as a pattern, and what comes behind it.
fn uuid(name: &[u8]) -> Option<(String, &[u8])> {
    let mut rest = name;
    for (index, length) in UUID_GROUPS.into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b"-")?;
        }
        let (group, behind) = rest.split_at_checked(length)?;
        if !group.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = behind;
    }
    let ends = !rest.first().is_some_and(u8::is_ascii_alphanumeric);
    ends.then(|| (UUID_GROUPS.map(|length| "?".repeat(length)).join("-"), rest))
}

/// A digest at the start, as a pattern, and what comes behind it.
fn digest(name: &[u8], min: usize) -> Option<(String, &[u8])> {
    let length = name.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(name.len());
    let (run, behind) = name.split_at_checked(length)?;
    let one_case = !(run.iter().any(u8::is_ascii_lowercase) && run.iter().any(u8::is_ascii_uppercase));
    (length >= min && one_case && run.iter().all(u8::is_ascii_hexdigit)).then(|| ("?".repeat(length), behind))
}
