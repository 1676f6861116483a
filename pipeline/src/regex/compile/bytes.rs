//! A set of bytes in 32 bytes, so that a compiler that asks what can follow at every node does not copy tables about.

use std::ops::RangeInclusive;

/// Which of the 256 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) const NONE: ByteSet = ByteSet([0; 4]);

    pub(super) const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize >> 6] & (1 << (byte & 63)) != 0
    }

    pub(super) fn add(&mut self, bytes: RangeInclusive<u8>) {
        let (low, high) = (u32::from(*bytes.start()), u32::from(*bytes.end()));
        for (at, word) in (0..).step_by(64).zip(&mut self.0) {
            let (from, to) = (low.max(at), high.min(at + 63));
            if from <= to {
                *word |= (u64::MAX >> (63 - (to - from))) << (from - at);
            }
        }
    }

    pub(super) fn and(self, other: ByteSet) -> ByteSet {
        ByteSet(std::array::from_fn(|at| self.0[at] & other.0[at]))
    }

    pub(super) fn or(self, other: ByteSet) -> ByteSet {
        ByteSet(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    pub(super) fn without(self, other: ByteSet) -> ByteSet {
        ByteSet(std::array::from_fn(|at| self.0[at] & !other.0[at]))
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == ByteSet::NONE
    }

    /// Its members, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        let mut left = self;
        std::iter::from_fn(move || {
            let first = left.first()?;
            left.0[usize::from(first >> 6)] &= !(1 << (first & 63));
            Some(first)
        })
    }

    /// The least member.
    pub(super) fn first(&self) -> Option<u8> {
        let word = self.0.iter().position(|word| *word != 0)?;
        u8::try_from(64 * word + self.0[word].trailing_zeros() as usize).ok()
    }

    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_added_across_words() {
        for (low, high) in [(0, 0), (0, 255), (60, 70), (63, 64), (128, 255), (255, 255), (5, 5)] {
            let mut set = ByteSet::NONE;
            set.add(low..=high);
            assert_eq!(set.iter().collect::<Vec<_>>(), (low..=high).collect::<Vec<_>>());
            assert_eq!((set.first(), set.len()), (Some(low), u32::from(high - low) + 1));
        }
    }

    #[test]
    fn sets_are_joined_and_taken_apart() {
        let of = |bytes: RangeInclusive<u8>| {
            let mut set = ByteSet::NONE;
            set.add(bytes);
            set
        };
        assert_eq!(of(1..=9).or(of(10..=99)), of(1..=99));
        assert_eq!(of(1..=80).and(of(70..=99)), of(70..=80));
        assert_eq!(of(1..=80).without(of(70..=99)), of(1..=69));
        assert!(of(1..=2).and(of(3..=4)).is_empty());
    }
}
