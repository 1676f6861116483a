//! A file that is only bytes, for tests, benches and fuzz targets that read pages.

use std::io;

use super::storage::Medium;

/// The bytes, and how many of them a single read gives at most.
pub(crate) struct Memory {
    bytes: Vec<u8>,
    at_once: usize,
}

impl Memory {
    /// A file with these bytes, of which a read gives so many at most, as a file may.
    pub(crate) fn of(bytes: Vec<u8>, at_once: usize) -> Self {
        Self { bytes, at_once }
    }
}

impl Medium for Memory {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn write_at(&self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let some = into.len().min(self.at_once);
        Ok(read(&self.bytes, offset, &mut into[..some]))
    }

    fn cut(&self, _length: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// Reads what `file` has at `offset`.
pub(super) fn read(file: &[u8], offset: u64, into: &mut [u8]) -> usize {
    let rest = file.get(offset as usize..).unwrap_or_default();
    let length = rest.len().min(into.len());
    into[..length].copy_from_slice(&rest[..length]);
    length
}
