//! Finding the bytes that end or interrupt a JSON string, sixteen at a time: most strings are shorter than a call costs.

/// How many bytes are looked at together.
pub const WIDTH: usize = 16;

/// So many bytes.
pub type Block = [u8; WIDTH];

#[cfg(target_arch = "x86_64")]
use sse2 as lanes;
#[cfg(not(target_arch = "x86_64"))]
use words as lanes;

/// Where the first quote or backslash is.
#[inline]
pub fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((block, after)) = rest.split_first_chunk() {
        let before = before_quote_or_backslash(block);
        if before < WIDTH {
            return Some(bytes.len() - rest.len() + before);
        }
        rest = after;
    }
    let before = rest.iter().position(|&byte| byte == b'"' || byte == b'\\')?;
    Some(bytes.len() - rest.len() + before)
}

/// How many bytes of the block stand before the first quote or backslash; all of them when there is none.
#[inline]
pub fn before_quote_or_backslash(block: &Block) -> usize {
    lanes::before_quote_or_backslash(block)
}

/// How many bytes of the block stand before the first backslash; all of them when there is none.
#[inline]
pub fn before_backslash(block: &Block) -> usize {
    lanes::before_backslash(block)
}

/// How many bytes of the block stand before the first that must be escaped: below 0x20, a quote, or a backslash.
#[inline]
pub fn before_special(block: &Block) -> usize {
    lanes::before_special(block)
}

/// What every x86-64 processor has.
#[cfg(target_arch = "x86_64")]
mod sse2 {
    #![allow(unsafe_code)] // The compiler wants to be told that these instructions are there; on x86-64 they always are.

    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    use super::{Block, WIDTH};

    #[inline]
    pub(super) fn before_quote_or_backslash(block: &Block) -> usize {
        // SAFETY: x86-64 has SSE2.
        before(unsafe { quotes_and_backslashes(block) })
    }

    #[inline]
    pub(super) fn before_backslash(block: &Block) -> usize {
        // SAFETY: x86-64 has SSE2.
        before(unsafe { backslashes(block) })
    }

    #[inline]
    pub(super) fn before_special(block: &Block) -> usize {
        // SAFETY: x86-64 has SSE2.
        before(unsafe { specials(block) })
    }

    #[inline]
    fn before(mask: i32) -> usize {
        (mask | 1 << WIDTH).trailing_zeros() as usize
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn quotes_and_backslashes(block: &Block) -> i32 {
        let bytes = load(block);
        _mm_movemask_epi8(_mm_or_si128(equal(bytes, b'"'), equal(bytes, b'\\')))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn backslashes(block: &Block) -> i32 {
        _mm_movemask_epi8(equal(load(block), b'\\'))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn specials(block: &Block) -> i32 {
        let bytes = load(block);
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        let spelled = _mm_or_si128(equal(bytes, b'"'), equal(bytes, b'\\'));
        _mm_movemask_epi8(_mm_or_si128(control, spelled))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(block: &Block) -> __m128i {
        let whole = u128::from_le_bytes(*block);
        _mm_set_epi64x((whole >> 64) as i64, whole as i64)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn equal(bytes: __m128i, byte: u8) -> __m128i {
        _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()))
    }
}

/// Two plain words, for other processors.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    use super::Block;

    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;

    #[inline]
    pub(super) fn before_quote_or_backslash(block: &Block) -> usize {
        before(block, |word| zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64)))
    }

    #[inline]
    pub(super) fn before_backslash(block: &Block) -> usize {
        before(block, |word| zeros(word ^ (ONES * b'\\' as u64)))
    }

    #[inline]
    pub(super) fn before_special(block: &Block) -> usize {
        before(block, |word| {
            let control = word.wrapping_sub(ONES * 0x20) & !word;
            control | zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64))
        })
    }

    /// The high bit of each zero byte; bits above the first one may be false, so only the first one counts.
    #[inline]
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word
    }

    #[inline]
    fn before(block: &Block, find: impl Fn(u64) -> u64) -> usize {
        let whole = u128::from_le_bytes(*block);
        let first = find(whole as u64) & HIGH;
        if first != 0 {
            return first.trailing_zeros() as usize / 8;
        }
        8 + (find((whole >> 64) as u64) & HIGH).trailing_zeros() as usize / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_at_every_offset() {
        for offset in 0..40 {
            for byte in [b'"', b'\\'] {
                let mut bytes = vec![b'x'; 40];
                bytes[offset] = byte;
                assert_eq!(quote_or_backslash(&bytes), Some(offset));
            }
        }
        assert_eq!(quote_or_backslash(&[0x80, 0xff, 0xa2, 0xdc, 0x21, 0x23, 0x5b, 0x5d, 0]), None);
        assert_eq!(quote_or_backslash(b""), None);
    }

    #[test]
    fn every_byte_is_told_apart_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for at in 0..WIDTH {
                let mut block = *b"abc\x7f\x80\xff\xa2\xdc 0123!#]";
                block[at] = byte;
                let before = |ends: bool| if ends { at } else { WIDTH };
                let ends = [byte == b'\\', matches!(byte, b'"' | b'\\'), byte < 0x20 || matches!(byte, b'"' | b'\\')];
                let expected = ends.map(before);
                let words = [words::before_backslash, words::before_quote_or_backslash, words::before_special];
                assert_eq!(words.map(|count| count(&block)), expected, "{byte:#x} at {at}");
                let lanes = [lanes::before_backslash, lanes::before_quote_or_backslash, lanes::before_special];
                assert_eq!(lanes.map(|count| count(&block)), expected, "{byte:#x} at {at}");
            }
        }
    }
}
