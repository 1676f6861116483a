//! How much memory this process may have, as the kernel's control groups say: what `docker run --memory` or a service's limit sets.
//!
//! Both versions are read. The limits of all groups above hold as well, so the least of them counts. Inside of a container the group is
//! usually the root of what can be seen, whatever its path is said to be; so the root is always looked at.

use std::fs;
use std::path::Path;

/// The least limit, in bytes; nothing where there is none.
pub(crate) fn memory() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    memory_of(Path::new("/sys/fs/cgroup"), &groups)
}

fn memory_of(root: &Path, groups: &str) -> Option<u64> {
    groups.lines().filter_map(|line| limit(root, line)).min()
}

/// The limit of the group in a line `NUMBER:CONTROLLERS:PATH`. Version 2 has one line, without controllers.
fn limit(root: &Path, line: &str) -> Option<u64> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    let (root, file) = match controllers {
        "" => (root.to_owned(), "memory.max"),
        named if named.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
        _ => return None,
    };
    let folder = root.join(path.trim_start_matches('/'));
    let above = folder.ancestors().take_while(|folder| folder.starts_with(&root));
    let limits = above.filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok());
    // Version 1 says a number near the largest there is where version 2 says `max`.
    limits.filter(|limit| *limit < 1 << 50).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Folder;

    /// A tree of control groups.
    fn tree(name: &str, files: &[(&str, &str)]) -> Folder {
        let root = Folder::new(name);
        files.iter().for_each(|(path, text)| root.write(path, text));
        root
    }

    #[test]
    fn the_least_limit_of_the_groups_above_counts() {
        let tree = tree(
            "cgroup-2",
            &[
                ("memory.max", "max\n"),
                ("a/memory.max", "1000\n"),
                ("a/b/memory.max", "3000\n"),
                ("c/memory.max", "1\n"),
            ],
        );
        assert_eq!(memory_of(&tree, "0::/a/b\n"), Some(1000));
        assert_eq!(memory_of(&tree, "0::/\n"), None);
        // The path is the host's, and can't be seen from within.
        tree.write("memory.max", "5000\n");
        assert_eq!(memory_of(&tree, "0::/docker/0123\n"), Some(5000));
    }

    #[test]
    fn the_first_version_has_a_tree_for_memory() {
        let none = "9223372036854771712\n";
        let tree = tree(
            "cgroup-1",
            &[("memory/memory.limit_in_bytes", none), ("memory/docker/x/memory.limit_in_bytes", "2000\n")],
        );
        let groups = "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/\n";
        assert_eq!(memory_of(&tree, groups), Some(2000));
        assert_eq!(memory_of(&tree, "4:memory:/\n"), None);
    }
}
