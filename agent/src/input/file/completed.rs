//! What is done with a file that is read to its end, in read mode; and whether a compressed one is whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tracing::warn;

/// What is done with a file once all its lines are safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Completed {
    /// Its path is appended to this file.
    pub(super) log: Option<PathBuf>,
    /// It is deleted.
    pub(super) delete: bool,
}

impl Completed {
    /// Does it; true when the file is gone.
    pub(super) fn act(&self, path: &Path) -> bool {
        if let Some(Err(error)) = self.log.as_ref().map(|log| append(log, path)) {
            warn!(path = %path.display(), reason = %error, "a completed file can't be logged; it is not deleted; check file_completed_log_path");
            return false;
        }
        if !self.delete {
            return false;
        }
        fs::remove_file(path)
            .inspect_err(|error| {
                warn!(path = %path.display(), reason = %error, "a completed file can't be deleted; check the rights on its folder");
            })
            .is_ok()
    }
}

fn append(log: &Path, path: &Path) -> io::Result<()> {
    let mut file = File::options().create(true).append(true).open(log)?;
    file.write_all(format!("{}\n", path.display()).as_bytes())
}

/// Reads a compressed file to its end.
///
/// # Errors
/// When it is damaged or cut off.
pub(super) fn check_archive(path: &Path) -> io::Result<()> {
    io::copy(&mut MultiGzDecoder::new(File::open(path)?), &mut io::sink()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Folder;

    #[test]
    fn a_file_that_can_not_be_logged_is_not_deleted() {
        let folder = Folder::new("completed");
        let (file, log) = (folder.join("a.log"), folder.join("done"));
        fs::write(&file, "").unwrap();
        let nowhere = Completed { log: Some(folder.join("none/done")), delete: true };
        assert!(!nowhere.act(&file) && file.exists());
        let completed = Completed { log: Some(log.clone()), delete: true };
        assert!(completed.act(&file) && !file.exists());
        assert_eq!(fs::read_to_string(log).unwrap(), format!("{}\n", file.display()));
    }
}
