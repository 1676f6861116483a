//! The text of an event: 24 bytes that are either the characters themselves or a slice of a shared buffer.
//!
//! What it promises: cloning and slicing never copy more than 23 bytes and never allocate; a line read from a container
//! stays one slice of the read buffer until somebody changes it, and so do the fields that grok cuts out of it. Field
//! names nearly always fit inline, so that comparing them needs no interner.
//!
//! What it leaves out: mutation. A changed text is a new [`Text`]. A slice keeps its whole buffer alive; buffers are chunks
//! of at most some hundred KiB whose events travel together, so this is bounded by what is in flight anyway.
#![allow(unsafe_code)] // Inline bytes are read back as the UTF-8 they were copied from (see `as_str`), and made of whole words.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The longest text, in bytes, that is kept inline.
pub const INLINE: usize = 23;

/// An immutable UTF-8 text, cheap to clone and to slice.
#[derive(Clone)]
pub struct Text(Repr);

/// Three words. The bytes of an inline text begin at the first one, so that they are copied and compared a word at a time; which of the two it
/// is stands in the last byte, where [`Length`] leaves room for it and for the kinds of [`crate::value::Value`].
#[derive(Clone)]
enum Repr {
    /// Bytes behind the length are zero.
    Inline(Words),
    Shared {
        buffer: Arc<String>,
        start: u32,
        end: u32,
    },
}

/// The bytes of an inline text and their number.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
struct Words {
    bytes: [u8; INLINE],
    length: Length,
}

/// The length of an inline text: a number of which the compiler knows that it has no more than 24 values.
#[rustfmt::skip]
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Length { L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15, L16, L17, L18, L19, L20, L21, L22, L23 }

#[rustfmt::skip]
const LENGTHS: [Length; INLINE + 1] = {
    use Length::*;
    [L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15, L16, L17, L18, L19, L20, L21, L22, L23]
};

/// What keeps so many bytes of three words, by their number.
const MASKS: [[u64; 3]; INLINE + 1] = {
    let mut masks = [[0; 3]; INLINE + 1];
    let mut length = 1;
    while length <= INLINE {
        masks[length] = masks[length - 1];
        masks[length][(length - 1) / 8] |= 0xff << ((length - 1) % 8 * 8);
        length += 1;
    }
    masks
};

impl Words {
    const EMPTY: Words = Words { bytes: [0; INLINE], length: Length::L0 };

    /// The bytes at `range`, if they are not too many.
    #[inline]
    fn cut(bytes: &[u8], range: Range<usize>) -> Option<Self> {
        let mask = MASKS.get(range.len())?;
        Some(match bytes.get(range.start..).and_then(|from| from.first_chunk()) {
            Some(more) => Self::masked(more, mask, range.len() as u64),
            None => {
                let mut words = Self { bytes: [0; INLINE], length: LENGTHS[range.len()] };
                words.bytes[..range.len()].copy_from_slice(&bytes[range]);
                words
            }
        })
    }

    /// The same where more follows, which is nearly always: three words are taken and what is too much is cut off, because a call to copy a
    /// few bytes costs more than the copy.
    #[inline]
    fn masked(more: &[u8; INLINE + 1], mask: &[u64; 3], length: u64) -> Self {
        let mut bytes = [0; INLINE + 1];
        let words = more.as_chunks::<8>().0.iter().zip(mask).map(|(word, mask)| u64::from_le_bytes(*word) & mask);
        for (at, (to, word)) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words).enumerate() {
            *to = (word | if at == 2 { length << 56 } else { 0 }).to_le_bytes();
        }
        // SAFETY: the mask leaves the last byte free, and what is put there is the number of one of the 24 lengths.
        unsafe { std::mem::transmute::<[u8; INLINE + 1], Self>(bytes) }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }
}

impl Text {
    /// The empty text.
    pub const EMPTY: Text = Text(Repr::Inline(Words::EMPTY));

    /// A short text that is known when elkhound is compiled.
    ///
    /// # Panics
    /// When `text` is longer than [`INLINE`].
    pub const fn constant(text: &str) -> Self {
        let (from, mut bytes, mut at) = (text.as_bytes(), [0; INLINE], 0);
        while at < from.len() {
            bytes[at] = from[at];
            at += 1;
        }
        Self(Repr::Inline(Words { bytes, length: LENGTHS[at] }))
    }

    /// A copy of `text`: inline when short, else in a buffer of its own.
    pub fn new(text: &str) -> Self {
        Self::inline(text, 0..text.len()).unwrap_or_else(|| Self::whole(text.to_owned()))
    }

    /// A slice of a shared buffer; short slices are copied inline, so that they do not keep the buffer alive.
    ///
    /// # Panics
    /// When `range` is not on character boundaries of `buffer`, as slicing a `str` does.
    #[inline]
    pub fn slice_of(buffer: &Arc<String>, range: Range<usize>) -> Self {
        Self::inline(buffer, range.clone()).unwrap_or_else(|| {
            assert!(buffer.get(range.clone()).is_some(), "a slice ends between characters");
            Self::shared(Arc::clone(buffer), range)
        })
    }

    /// A part of this text, sharing its buffer.
    ///
    /// # Panics
    /// When `range` is not on character boundaries, as slicing a `str` does.
    #[inline]
    pub fn slice(&self, range: Range<usize>) -> Self {
        match &self.0 {
            Repr::Shared { buffer, start, end } => {
                assert!(range.end <= (end - start) as usize, "a slice ends behind its text");
                let base = *start as usize;
                Self::slice_of(buffer, base + range.start..base + range.end)
            }
            Repr::Inline(_) => Self::new(&self.as_str()[range]),
        }
    }

    /// The characters.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // SAFETY: `inline` is the only place that makes this variant, and it copies the whole bytes of a `str`.
            Repr::Inline(words) => unsafe { std::str::from_utf8_unchecked(words.as_bytes()) },
            Repr::Shared { buffer, start, end } => &buffer[*start as usize..*end as usize],
        }
    }

    /// A short text's bytes with zeros behind them, and their number.
    #[inline]
    pub(crate) fn padded(&self) -> Option<(&[u8; INLINE], usize)> {
        match &self.0 {
            Repr::Inline(words) => Some((&words.bytes, words.length as usize)),
            Repr::Shared { .. } => None,
        }
    }

    /// A small number that equal texts share, for telling in one step that a name is not there: see [`crate::map`].
    #[inline]
    pub(crate) fn mark(text: &str) -> u64 {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return 1 };
        let middle = bytes[bytes.len() / 2];
        let mixed =
            (*first as u32) ^ (*last as u32).rotate_left(2) ^ (middle as u32).rotate_left(4) ^ (bytes.len() as u32);
        1 << (mixed & 63)
    }

    /// The part of `text` at `range`, when it is short.
    ///
    /// # Panics
    /// When a short `range` is not on character boundaries.
    #[inline]
    fn inline(text: &str, range: Range<usize>) -> Option<Self> {
        let words = Words::cut(text.as_bytes(), range.clone())?;
        let whole = text.is_char_boundary(range.start) && text.is_char_boundary(range.end);
        assert!(whole, "a slice ends between characters");
        Some(Self(Repr::Inline(words)))
    }

    fn whole(text: String) -> Self {
        let end = text.len();
        Self::shared(Arc::new(text), 0..end)
    }

    /// Offsets are 32 bits: an event's text is bounded far below 4 GiB by `max_line_bytes` and the inputs' limits.
    fn shared(buffer: Arc<String>, range: Range<usize>) -> Self {
        let end = u32::try_from(range.end).expect("read buffers are bounded far below 4 GiB");
        Self(Repr::Shared { buffer, start: range.start as u32, end })
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::inline(&text, 0..text.len()).unwrap_or_else(|| Self::whole(text))
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    /// Inline bytes beyond the length are always zero, so two inline texts are compared whole, without a call.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Inline(words), Repr::Inline(others)) => words == others,
            _ => self.as_str() == other.as_str(),
        }
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    #[inline]
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_24_bytes() {
        assert_eq!(size_of::<Text>(), 24);
        assert_eq!(size_of::<Option<Text>>(), 24);
    }

    #[test]
    fn keeps_every_length_around_the_inline_limit() {
        for length in 0..64 {
            let text = "x".repeat(length);
            assert_eq!(Text::new(&text), *text.as_str());
            assert_eq!(Text::from(text.clone()), *text.as_str());
        }
    }

    #[test]
    fn slices_share_the_buffer_when_long_and_copy_when_short() {
        let buffer = Arc::new("naïve ".repeat(20));
        let long = Text::slice_of(&buffer, 7..70);
        assert_eq!(Arc::strong_count(&buffer), 2);
        let part = long.slice(0..40);
        assert_eq!(Arc::strong_count(&buffer), 3);
        assert_eq!(part.as_str(), &buffer[7..47]);
        assert_eq!(long.slice(0..5).as_str(), "naïv");
        assert_eq!(Arc::strong_count(&buffer), 3);
    }
}
