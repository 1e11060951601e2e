//! What may have been meant.

/// Mistakes that a name may have to be taken for another.
const MISTAKES: usize = 2;

/// The known name that is nearest to a wrong one.
pub(super) fn nearest<'k>(wrong: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let longest = wrong.len() / 2;
    let near = known.map(|name| (distance(wrong, name), name)).filter(|(distance, _)| *distance <= MISTAKES.min(longest));
    near.min().map(|(_, name)| name)
}

/// Letters to be replaced, added or removed; of names only, which are short.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    if a.len().abs_diff(b.len()) > MISTAKES {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, letter) in a.bytes().enumerate() {
        let mut next = vec![at + 1];
        for ((other, diagonal), above) in b.bytes().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((diagonal + usize::from(letter != other)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_or_two_letters_away() {
        let known = || ["object", "oldObject", "params"].into_iter();
        assert_eq!(nearest("objekt", known()), Some("object"));
        assert_eq!(nearest("oldobject", known()), Some("oldObject"));
        assert_eq!(nearest("request", known()), None);
        assert_eq!(nearest("x", ["y"].into_iter()), None);
    }
}
