//! What the queue needs of a disk: a folder of files that grow. The tests put one in its place that crashes.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A folder.
pub(crate) trait Storage: Send + Sync {
    /// The names of its files.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file. It is there after a crash when this has returned.
    fn create(&self, name: &str) -> io::Result<Box<dyn Medium>>;

    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Box<dyn Medium>>;

    /// Removes a file; one that has gone already is no trouble. After a crash it may be there again.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// A file. What was written is there after a crash when [`Medium::sync`] has returned; before, any part of it may be.
pub(crate) trait Medium: Send + Sync {
    /// Its size.
    fn length(&self) -> io::Result<u64>;

    /// Writes all of the bytes at a place.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Waits until all that was written is safe.
    fn sync(&self) -> io::Result<()>;

    /// Reads what there is at a place, at most as much as `into` holds; 0 at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Forgets what is behind a place.
    fn cut(&self, length: u64) -> io::Result<()>;
}

/// A folder on a disk, which no other process writes to.
pub(super) struct Folder {
    path: PathBuf,
    /// Held as long as this lives; the kernel lets go of it with the process.
    _lock: File,
}

impl Folder {
    /// Opens a folder, which is made when it is not there.
    ///
    /// # Errors
    /// When it can't be written to, or another process has it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let lock = File::options().write(true).create(true).truncate(false).open(path.join(".lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let message = "another elkhound has this queue; give each its own path.queue or path.data";
                Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Storage for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.path)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Medium>> {
        let path = self.path.join(name);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        File::open(&self.path)?.sync_all()?;
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(File::options().read(true).write(true).open(self.path.join(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

impl Medium for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(self, into, offset)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch;

    #[test]
    fn a_folder_belongs_to_one() {
        let folder = scratch::Folder::new("queue-lock");
        let first = Folder::open(&folder).unwrap();
        let second = Folder::open(&folder).map(|_| ()).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
        assert!(second.to_string().contains("another elkhound"), "{second}");
        drop(first);
        Folder::open(&folder).unwrap();
    }

    #[test]
    fn a_file_is_written_read_and_cut_at_any_place() {
        let scratch = scratch::Folder::new("queue-file");
        let folder = Folder::open(&scratch).unwrap();
        let file = folder.create("1.page").unwrap();
        file.write_at(4, b"ef").unwrap();
        file.write_at(0, b"abcd").unwrap();
        file.sync().unwrap();
        let mut read = [0; 9];
        assert_eq!((file.read_at(2, &mut read).unwrap(), &read[..4]), (4, &b"cdef"[..]));
        folder.open("1.page").unwrap().cut(3).unwrap();
        assert_eq!((file.length().unwrap(), file.read_at(3, &mut read).unwrap()), (3, 0));
        folder.remove("1.page").unwrap();
        folder.remove("1.page").unwrap();
        assert_eq!(folder.names().unwrap(), [".lock"]);
    }
}
