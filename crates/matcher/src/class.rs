//! [`ByteClass`]: a set of byte values.

use std::fmt;
use std::ops::RangeInclusive;

/// A set of byte values, 256 bits of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteClass {
    /// Bytes 0 to 127, bit by bit.
    low: u128,
    /// Bytes 128 to 255, bit by bit.
    high: u128,
}

impl ByteClass {
    /// No byte.
    pub const EMPTY: Self = Self { low: 0, high: 0 };

    /// Every byte, NUL and `/` included: what a position of a binary key may hold where it does not matter.
    pub const ALL: Self = Self { low: u128::MAX, high: u128::MAX };

    /// Every byte but `/`: what `?` stands for.
    pub const NOT_SLASH: Self = Self::ALL.without(b'/');

    /// One byte.
    pub const fn single(byte: u8) -> Self {
        Self::EMPTY.with(byte)
    }

    /// The bytes of a range, both ends included; none where the range runs backwards.
    pub fn range(bytes: RangeInclusive<u8>) -> Self {
        bytes.collect()
    }

    /// This set and one byte more.
    pub const fn with(mut self, byte: u8) -> Self {
        if byte < 128 {
            self.low |= 1 << byte;
        } else {
            self.high |= 1 << (byte - 128);
        }
        self
    }

    /// This set and one byte less.
    pub const fn without(self, byte: u8) -> Self {
        self.difference(Self::single(byte))
    }

    /// Whether the byte is in the set.
    pub const fn contains(self, byte: u8) -> bool {
        if byte < 128 { self.low >> byte & 1 == 1 } else { self.high >> (byte - 128) & 1 == 1 }
    }

    /// The bytes that are in either set.
    pub const fn union(self, other: Self) -> Self {
        Self { low: self.low | other.low, high: self.high | other.high }
    }

    /// The bytes that are in both sets.
    pub const fn intersection(self, other: Self) -> Self {
        Self { low: self.low & other.low, high: self.high & other.high }
    }

    /// The bytes that are in this set and not in the other.
    pub const fn difference(self, other: Self) -> Self {
        self.intersection(other.complement())
    }

    /// The bytes that are not in this set.
    pub const fn complement(self) -> Self {
        Self { low: !self.low, high: !self.high }
    }

    /// How many bytes there are, at most 256.
    pub const fn len(self) -> u32 {
        self.low.count_ones() + self.high.count_ones()
    }

    /// Whether there is no byte at all.
    pub const fn is_empty(self) -> bool {
        self.low == 0 && self.high == 0
    }

    /// The only byte, if there is exactly one.
    pub const fn as_single(self) -> Option<u8> {
        if self.len() == 1 { self.first() } else { None }
    }

    /// The bytes in ascending order.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let byte = rest.first()?;
            rest = rest.without(byte);
            Some(byte)
        })
    }

    /// The smallest byte.
    #[expect(clippy::cast_possible_truncation, reason = "a half has 128 bits, and at least one is set")]
    const fn first(self) -> Option<u8> {
        if self.low != 0 {
            Some(self.low.trailing_zeros() as u8)
        } else if self.high != 0 {
            Some(self.high.trailing_zeros() as u8 + 128)
        } else {
            None
        }
    }
}

impl FromIterator<u8> for ByteClass {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        bytes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// The set as ranges in hexadecimal, as in `[00-2e 30-ff]`: what goes into an error or a test's failure.
impl fmt::Debug for ByteClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (place, range) in self.ranges().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            if range.start() == range.end() {
                write!(f, "{gap}{:02x}", range.start())?;
            } else {
                write!(f, "{gap}{:02x}-{:02x}", range.start(), range.end())?;
            }
        }
        f.write_str("]")
    }
}

impl ByteClass {
    /// The set as the fewest ranges, in ascending order.
    pub fn ranges(self) -> impl Iterator<Item = RangeInclusive<u8>> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let first = rest.first()?;
            let last = (first..=u8::MAX).take_while(|&byte| rest.contains(byte)).last()?;
            rest = rest.difference(Self::range(first..=last));
            Some(first..=last)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_else() {
        for byte in 0..=255 {
            let class = ByteClass::single(byte);
            assert_eq!(class.iter().collect::<Vec<_>>(), [byte]);
            assert_eq!(class.as_single(), Some(byte));
            assert_eq!(class.complement().len(), 255);
            assert!(!class.complement().contains(byte));
            assert!(class.without(byte).is_empty());
        }
    }

    #[test]
    fn spans_both_halves() {
        let class = ByteClass::range(120..=135);
        assert_eq!(class.iter().collect::<Vec<_>>(), (120..=135).collect::<Vec<_>>());
        assert_eq!(class.ranges().collect::<Vec<_>>(), [120..=135]);
        assert_eq!(class.as_single(), None);
    }

    #[test]
    fn shows_itself_as_ranges() {
        assert_eq!(format!("{:?}", ByteClass::NOT_SLASH), "[00-2e 30-ff]");
        assert_eq!(format!("{:?}", ByteClass::single(9)), "[09]");
        assert_eq!(format!("{:?}", ByteClass::EMPTY), "[]");
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "that is the case under test")]
    fn takes_a_backward_range_as_empty() {
        assert!(ByteClass::range(9..=3).is_empty());
    }
}
