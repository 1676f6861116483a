//! Bodies of frames, deflated (`queue.compression`) and back.
//!
//! Each body is deflated for itself: one that is damaged costs no other, and reading may begin at any frame. What gets no smaller stays as it is. Bytes that are no
//! deflated body are nothing, never a panic, and take no more memory than [`MOST`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

/// What a deflated body begins with: its length before.
const LENGTH: usize = 4;

/// A body of fewer bytes stays raw, such as that of a single line: it would get smaller by a sixth at the most, for five times
/// what deflating costs a line among others.
const LEAST: usize = 1024;

/// A body of more bytes stays raw, and one that claims to have been larger is none: frames are closed long before, so it is a single event.
const MOST: usize = 16 << 20;

/// So much memory is kept for the next body.
const SPARE: usize = 512 << 10;

/// What a byte of deflated data can make at the most: 258 bytes of every two bits.
const RATIO: usize = 1032;

/// What is wanted of compressing, under Logstash's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compression {
    /// No compression.
    #[default]
    None,
    /// The least time.
    Speed,
    /// Something between.
    Balanced,
    /// The fewest bytes.
    Size,
}

impl Compression {
    /// The one of this name. `disabled`, which in Logstash takes away reading too, is no compression here.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "speed" => Self::Speed,
            "balanced" => Self::Balanced,
            "size" => Self::Size,
            _ => Self::None,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Speed => "speed",
            Self::Balanced => "balanced",
            Self::Size => "size",
        }
    }

    /// Whether anything is compressed.
    pub(crate) fn is_on(self) -> bool {
        self != Self::None
    }

    fn level(self) -> flate2::Compression {
        flate2::Compression::new(match self {
            Self::None => 0,
            Self::Speed => 1,
            Self::Balanced => 3,
            Self::Size => 6,
        })
    }
}

/// What has gone through one direction, and how long it took.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    taken: AtomicU64,
    given: AtomicU64,
    nanos: AtomicU64,
}

impl Meter {
    /// Counts a body.
    pub(crate) fn add(&self, taken: usize, given: usize, time: Duration) {
        let add = |counter: &AtomicU64, more: u64| counter.fetch_add(more, Ordering::Relaxed);
        add(&self.taken, taken as u64);
        add(&self.given, given as u64);
        add(&self.nanos, time.as_nanos() as u64);
    }

    /// Bytes that came out for each that went in; nothing before the first.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let taken = self.taken.load(Ordering::Relaxed);
        (taken > 0).then(|| self.given.load(Ordering::Relaxed) as f64 / taken as f64)
    }

    /// How long it took altogether.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// The body of a frame: its events, in one of two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// As they were packed.
    Raw(&'a [u8]),
    /// Deflated.
    Deflated {
        /// How many bytes they were.
        length: u32,
        /// Raw deflate data (RFC 1951).
        bytes: &'a [u8],
    },
}

impl<'a> Body<'a> {
    /// The body that was written as `bytes`; nothing when a deflated one has no length.
    pub(super) fn read(bytes: &'a [u8], is_deflated: bool) -> Option<Self> {
        if !is_deflated {
            return Some(Self::Raw(bytes));
        }
        let (length, bytes) = bytes.split_first_chunk::<LENGTH>()?;
        Some(Self::Deflated { length: u32::from_le_bytes(*length), bytes })
    }

    /// Appends it to `out` as [`Body::read`] reads it.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Raw(bytes) => out.extend_from_slice(bytes),
            Self::Deflated { length, bytes } => {
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(bytes);
            }
        }
    }

    /// How many bytes it is written in.
    fn size(self) -> usize {
        match self {
            Self::Raw(bytes) => bytes.len(),
            Self::Deflated { bytes, .. } => LENGTH + bytes.len(),
        }
    }
}

/// Deflates one body after the other, with the memory of the first.
pub(crate) struct Deflater {
    encoder: Compress,
    raw: Vec<u8>,
    deflated: Vec<u8>,
    meter: Arc<Meter>,
}

impl Deflater {
    /// One that counts in `meter`; nothing where nothing is to be compressed.
    pub(crate) fn new(compression: Compression, meter: &Arc<Meter>) -> Option<Self> {
        compression.is_on().then(|| Self {
            encoder: Compress::new(compression.level(), false),
            raw: Vec::new(),
            deflated: Vec::new(),
            meter: Arc::clone(meter),
        })
    }

    /// The body that `write` appends, deflated where it gets smaller by that.
    pub(super) fn body(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Body<'_> {
        begin_again(&mut self.raw);
        write(&mut self.raw);
        let start = Instant::now();
        let is_smaller = self.deflate();
        let time = start.elapsed();
        let Self { raw, deflated, meter, .. } = self;
        let smaller = Body::Deflated { length: raw.len() as u32, bytes: deflated };
        let body = if is_smaller { smaller } else { Body::Raw(raw) };
        meter.add(raw.len(), body.size(), time);
        body
    }

    /// Deflates the raw bytes; false when it is given up, for they get no fewer.
    fn deflate(&mut self) -> bool {
        let Self { encoder, raw, deflated, .. } = self;
        if !(LEAST..=MOST).contains(&raw.len()) {
            return false;
        }
        encoder.reset();
        begin_again(deflated);
        deflated.reserve(raw.len() - LENGTH);
        let done = encoder.compress_vec(raw, deflated, FlushCompress::Finish);
        matches!(done, Ok(Status::StreamEnd)) && LENGTH + deflated.len() < raw.len()
    }
}

/// Empties a buffer. One that a huge event has made large does not stay so.
fn begin_again(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(SPARE);
}

/// Inflates one body after the other. Its memory is taken for the first that is deflated.
pub(crate) struct Inflater {
    decoder: Option<Decompress>,
    meter: Arc<Meter>,
}

impl Inflater {
    /// One that counts in `meter`.
    pub(crate) fn new(meter: &Arc<Meter>) -> Self {
        Self { decoder: None, meter: Arc::clone(meter) }
    }

    /// The events of a body as they were packed; nothing when it was never one.
    pub(crate) fn packed(&mut self, body: Body<'_>) -> Option<Vec<u8>> {
        let start = Instant::now();
        let (packed, time) = match body {
            Body::Raw(bytes) => (bytes.to_vec(), Duration::ZERO),
            Body::Deflated { length, bytes } => (self.inflate(length as usize, bytes)?, start.elapsed()),
        };
        self.meter.add(body.size(), packed.len(), time);
        Some(packed)
    }

    fn inflate(&mut self, length: usize, deflated: &[u8]) -> Option<Vec<u8>> {
        if length > MOST || length > deflated.len().saturating_mul(RATIO) {
            return None;
        }
        let decoder = self.decoder.get_or_insert_with(|| Decompress::new(false));
        decoder.reset(false);
        let mut packed = Vec::with_capacity(length);
        let done = decoder.decompress_vec(deflated, &mut packed, FlushDecompress::Finish);
        let whole = matches!(done, Ok(Status::StreamEnd)) && decoder.total_in() == deflated.len() as u64;
        (whole && packed.len() == length).then_some(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 3] = [Compression::Speed, Compression::Balanced, Compression::Size];

    fn deflater(compression: Compression) -> Deflater {
        Deflater::new(compression, &Arc::default()).unwrap()
    }

    fn inflater() -> Inflater {
        Inflater::new(&Arc::default())
    }

    fn line(number: usize) -> String {
        format!("level=info session={number} path=/api/v1/items/{} took={}ms\n", number % 7, number * number % 97)
    }

    fn lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| line(number).into_bytes()).collect()
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut dice = 1_u64;
        let mut roll = || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (dice >> 56) as u8
        };
        (0..length).map(|_| roll()).collect()
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for compression in ALL {
            assert_eq!((Compression::named(compression.name()), compression.is_on()), (compression, true));
        }
        assert!(["none", "disabled"].iter().all(|name| !Compression::named(name).is_on()));
        assert!(Deflater::new(Compression::None, &Arc::default()).is_none());
    }

    #[test]
    fn what_is_deflated_comes_back_in_every_level_and_is_smaller_the_more_is_wanted() {
        let mut sizes = Vec::new();
        for compression in ALL {
            let (mut deflater, mut inflater) = (deflater(compression), inflater());
            // Two bodies, for nothing of the first may be in the second.
            for count in [2000, 20] {
                let raw = lines(count);
                let body = deflater.body(|out| out.extend_from_slice(&raw));
                assert!(matches!(body, Body::Deflated { .. }) && body.size() * 2 < raw.len(), "{compression:?}");
                sizes.push(body.size());
                let mut written = Vec::new();
                body.write(&mut written);
                assert_eq!(written.len(), body.size());
                assert_eq!(inflater.packed(Body::read(&written, true).unwrap()), Some(raw), "{compression:?}");
            }
        }
        assert!(sizes[0] > sizes[2] && sizes[2] > sizes[4], "{sizes:?}");
    }

    #[test]
    fn what_gets_no_smaller_or_is_small_or_huge_stays_raw() {
        let mut deflater = deflater(Compression::Size);
        for raw in [noise(100_000), lines(10), vec![b'x'; LEAST - 1], vec![b'x'; MOST + 1], Vec::new()] {
            let body = deflater.body(|out| out.extend_from_slice(&raw));
            assert_eq!((body, inflater().packed(body)), (Body::Raw(&raw), Some(raw.clone())), "{} bytes", raw.len());
        }
        for raw in [vec![b'x'; MOST], vec![b'x'; LEAST]] {
            let body = deflater.body(|out| out.extend_from_slice(&raw));
            assert!(matches!(body, Body::Deflated { .. }) && inflater().packed(body) == Some(raw));
        }
        assert!(deflater.raw.capacity() <= SPARE && deflater.deflated.capacity() <= SPARE);
    }

    #[test]
    fn a_length_that_lies_is_refused_and_takes_no_memory() {
        let mut deflater = deflater(Compression::Speed);
        let raw = lines(100);
        let Body::Deflated { length, bytes } = deflater.body(|out| out.extend_from_slice(&raw)) else { panic!() };
        let mut inflater = inflater();
        for lie in [0, 1, length - 1, length + 1, 2 * length, MOST as u32, MOST as u32 + 1, u32::MAX] {
            assert_eq!(inflater.packed(Body::Deflated { length: lie, bytes }), None, "{lie}");
        }
        assert_eq!(inflater.packed(Body::Deflated { length, bytes }), Some(raw));
    }

    #[test]
    fn what_is_cut_followed_by_something_or_no_deflated_body_is_none() {
        let mut deflater = deflater(Compression::Balanced);
        let raw = lines(100);
        let Body::Deflated { length, bytes } = deflater.body(|out| out.extend_from_slice(&raw)) else { panic!() };
        let mut inflater = inflater();
        for end in 0..bytes.len() {
            assert_eq!(inflater.packed(Body::Deflated { length, bytes: &bytes[..end] }), None, "{end}");
        }
        let more = [bytes, b"x"].concat();
        assert_eq!(inflater.packed(Body::Deflated { length, bytes: &more }), None);
        assert_eq!(inflater.packed(Body::Deflated { length, bytes: &noise(bytes.len()) }), None);
        assert_eq!(Body::read(b"123", true), None);
    }

    #[test]
    fn both_directions_are_counted() {
        let (encoded, decoded) = (Arc::new(Meter::default()), Arc::new(Meter::default()));
        let mut deflater = Deflater::new(Compression::Speed, &encoded).unwrap();
        let mut inflater = Inflater::new(&decoded);
        assert_eq!((encoded.ratio(), decoded.ratio()), (None, None));
        let body = deflater.body(|out| out.extend_from_slice(&noise(1000)));
        inflater.packed(body);
        assert_eq!((encoded.ratio(), decoded.ratio(), decoded.time()), (Some(1.0), Some(1.0), Duration::ZERO));
        let body = deflater.body(|out| out.extend_from_slice(&lines(200)));
        inflater.packed(body);
        let (encoded, decoded) = (encoded.ratio().unwrap(), decoded.ratio().unwrap());
        assert!(encoded < 0.5 && (encoded * decoded - 1.0).abs() < 1e-9, "{encoded} {decoded}");
        assert!(inflater.meter.time() > Duration::ZERO && deflater.meter.time() > Duration::ZERO);
    }
}
