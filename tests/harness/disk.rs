//! A disk that is small enough to be filled.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;

use super::output_of;

/// A file system in memory at a folder of its own; gone when dropped.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// One of so many bytes at `folder`, which is there and empty. Needs root, as the rig does.
    pub(crate) fn mount(folder: PathBuf, bytes: usize) -> Self {
        output_of(
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "elkhound-test"]).arg(&folder),
        );
        Self(folder)
    }

    /// Leaves not a byte on it.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        loop {
            match file.write_all(&[0; 512]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Makes room again.
    pub(crate) fn clear(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // At once, although an agent may still have a file there.
        let _ended = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
