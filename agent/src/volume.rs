//! The disk behind a folder: how much room there is, and of what kind its file system is.

use std::fs;
use std::path::Path;

/// Bytes that may still be written below a folder by whoever is not root; nothing where nobody can tell.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let volume = rustix::fs::statvfs(folder).ok()?;
    Some(volume.f_bavail.saturating_mul(volume.f_frsize))
}

/// The name of the file system, such as `ext4`.
pub(crate) fn kind(folder: &Path) -> Option<String> {
    let folder = fs::canonicalize(folder).ok()?;
    kind_in(&fs::read_to_string("/proc/self/mounts").ok()?, &folder)
}

/// The kind of the mount with the longest path above the folder; of several at one place the last, which covers the others.
fn kind_in(mounts: &str, folder: &Path) -> Option<String> {
    let row = |line: &str| {
        let mut columns = line.split(' ').skip(1);
        Some((columns.next()?.replace("\\040", " "), columns.next()?.to_owned()))
    };
    let above = mounts.lines().filter_map(row).filter(|(place, _)| folder.starts_with(place));
    above.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_says_the_kind() {
        let mounts = "overlay / overlay rw 0 0\n/dev/a /var ext4 rw 0 0\n/dev/b /var/lib\\040x xfs rw 0 0\n/dev/c /var btrfs rw 0 0\n";
        let kind = |folder: &str| kind_in(mounts, Path::new(folder));
        assert_eq!(kind("/var/lib x/queue").as_deref(), Some("xfs"));
        assert_eq!(kind("/var/lib").as_deref(), Some("btrfs"));
        assert_eq!(kind("/variable").as_deref(), Some("overlay"));
        assert_eq!(kind_in("", Path::new("/")), None);
    }
}
