//! What is done to single files: making, opening, appending.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::net::unix::pipe;

/// Makes a folder and those above it, as far as they are not there, with exactly these rights.
pub(super) fn make_folders(folder: &Path, mode: Option<u32>) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folders(above, mode)?;
    }
    let made = DirBuilder::new().mode(mode.unwrap_or(0o777)).create(folder);
    match (made, mode) {
        // Somebody else was faster.
        (Err(error), _) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        (Err(error), _) if error.kind() == ErrorKind::AlreadyExists => Err(ErrorKind::NotADirectory.into()),
        (Ok(()), Some(mode)) => fs::set_permissions(folder, Permissions::from_mode(mode)),
        (made, _) => made,
    }
}

/// Opens a file to append to it. One that is made has exactly these rights. A named pipe without a reader is an error, and not waited for.
pub(super) fn open(path: &Path, mode: Option<u32>) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo()) {
        return pipe::OpenOptions::new().open_sender(path)?.into_nonblocking_fd().map(File::from);
    }
    let made = OpenOptions::new().append(true).create_new(true).mode(mode.unwrap_or(0o666)).open(path);
    match (made, mode) {
        (Err(error), _) if error.kind() == ErrorKind::AlreadyExists => OpenOptions::new().append(true).open(path),
        (Ok(file), Some(mode)) => file.set_permissions(Permissions::from_mode(mode)).map(|()| file),
        (made, _) => made,
    }
}

/// Whether what stands at `path` still is this file, and not another one, or none.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Appends bytes. After trouble the file is as it was before, and so are the bytes; where the file can't be cut back, the bytes that are in it are
/// taken out of `bytes`, so that going on with the rest makes it whole.
pub(super) fn append(file: &mut File, bytes: &mut Vec<u8>) -> io::Result<()> {
    let before = file.metadata()?.len();
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return leave(file, bytes, written, before, ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return leave(file, bytes, written, before, error),
        }
    }
    bytes.clear();
    Ok(())
}

fn leave(file: &File, bytes: &mut Vec<u8>, written: usize, before: u64, error: io::Error) -> io::Result<()> {
    // Where somebody else has written as well, his part must not be cut off.
    let ours_alone = file.metadata().is_ok_and(|now| now.is_file() && now.len() == before + written as u64);
    if !(ours_alone && file.set_len(before).is_ok()) {
        bytes.drain(..written);
    }
    Err(error)
}

/// The bytes as a member of a gzip file.
pub(super) fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}

/// EMFILE and ENFILE, for which the standard library has no names.
pub(super) fn has_too_many_open(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// What an operator can do about trouble with a file.
pub(super) fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull => "free some space on the disk of this file",
        ErrorKind::QuotaExceeded => "free some space, or raise the quota of elkhound's user",
        ErrorKind::PermissionDenied => "let elkhound's user write there, or write `path` with another folder",
        ErrorKind::ReadOnlyFilesystem => "mount the folder so that it can be written to",
        ErrorKind::FileTooLarge => "raise the limit on file sizes, or write smaller files with a date in `path`",
        ErrorKind::WouldBlock => "let the pipe's reader go on",
        _ if has_too_many_open(error) => "raise the limit on open files (ulimit -n)",
        // ENXIO, which is said of a pipe that nobody has open for reading.
        _ if error.raw_os_error() == Some(6) => "start what reads from this pipe",
        _ => "make the folder of this file fit to be written to",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_was_not_written_is_left_to_be_written() {
        // A disk that is always full.
        let mut full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut bytes = b"line\n".to_vec();
        let error = append(&mut full, &mut bytes).unwrap_err();
        assert_eq!((error.kind(), &*bytes), (ErrorKind::StorageFull, &b"line\n"[..]));
        assert_eq!(remedy(&error), "free some space on the disk of this file");
    }

    #[test]
    fn a_file_is_cut_back_unless_somebody_else_has_written_to_it() {
        let path = std::env::temp_dir().join(format!("elkhound-cut-back-{}", std::process::id()));
        let full = || io::Error::from(ErrorKind::StorageFull);
        let mut file = open(&path, None).unwrap();
        file.write_all(b"old\nne").unwrap();
        let mut bytes = b"new\n".to_vec();
        assert!(leave(&file, &mut bytes, 2, 4, full()).is_err());
        assert_eq!((fs::read(&path).unwrap(), bytes.as_slice()), (b"old\n".to_vec(), &b"new\n"[..]));
        file.write_all(b"ne").unwrap();
        open(&path, None).unwrap().write_all(b"theirs\n").unwrap();
        assert!(leave(&file, &mut bytes, 2, 4, full()).is_err());
        assert_eq!((fs::read(&path).unwrap(), bytes.as_slice()), (b"old\nnetheirs\n".to_vec(), &b"w\n"[..]));
        fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_pipe_is_not_waited_for() {
        let path = std::env::temp_dir().join(format!("elkhound-pipe-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert_eq!(remedy(&open(&path, None).unwrap_err()), "start what reads from this pipe");
        let reader = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        let mut pipe = open(&path, None).unwrap();
        let mut bytes = vec![b'x'; 1 << 20];
        assert_eq!(append(&mut pipe, &mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
        let taken = (1 << 20) - bytes.len();
        let mut found = vec![0; taken];
        File::from(reader.into_blocking_fd().unwrap()).read_exact(&mut found).unwrap();
        assert!(taken > 0 && found.iter().all(|byte| *byte == b'x'));
        fs::remove_file(path).unwrap();
    }
}
