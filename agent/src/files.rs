//! Files by name, folder or glob, in name order; and a file replaced whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Case files are called `NAME` and one of these; they stand beside pipelines and are no part of them.
pub(crate) const CASE_FILES: [&str; 3] = [".test.yml", ".test.yaml", ".test.json"];

fn holds_cases(name: &str) -> bool {
    CASE_FILES.iter().any(|ending| name.ends_with(ending))
}

/// The files that a pipeline path means: the file itself, all files of a folder but case files, or those that match a glob. A file that
/// is named may be a pipe: `-t -f /dev/stdin` checks what another program writes.
///
/// # Errors
/// A folder that can't be read.
pub(crate) fn pipeline(path: &str) -> io::Result<Vec<PathBuf>> {
    if Path::new(path).is_dir() {
        return entries(Path::new(path), |name| !name.starts_with('.') && !name.ends_with('~') && !holds_cases(name));
    }
    if Path::new(path).exists() {
        return Ok(vec![path.into()]);
    }
    matching(path)
}

/// The files that match a glob, sorted. `*`, `?` and `[a-z]` match within a name, `**` any number of
/// folders, `{a,b}` either; hidden files and folders are matched by patterns that begin with a dot only.
///
/// # Errors
/// A folder that can't be read.
pub(crate) fn matching(pattern: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in alternatives(pattern) {
        let (start, parts): (&str, Vec<&str>) = match pattern.strip_prefix('/') {
            Some(rest) => ("/", rest.split('/').collect()),
            None => (".", pattern.split('/').collect()),
        };
        walk(Path::new(start), &parts, &mut found)?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn walk(folder: &Path, parts: &[&str], found: &mut Vec<PathBuf>) -> io::Result<()> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    if *part == "**" {
        walk(folder, rest, found)?;
        for child in folders(folder)?.into_iter().filter(|child| !is_hidden(child)) {
            walk(&child, parts, found)?;
        }
        return Ok(());
    }
    let candidates = if part.contains(['*', '?', '[']) { all(folder)? } else { vec![folder.join(part)] };
    let named = |path: &Path| path.file_name().is_some_and(|name| wildcard(part.as_bytes(), name.as_encoded_bytes()));
    for path in candidates.into_iter().filter(|path| !part.contains(['*', '?', '[']) || named(path)) {
        if rest.is_empty() && path.is_file() {
            found.push(path.strip_prefix("./").map(Path::to_owned).unwrap_or(path));
        } else if !rest.is_empty() && path.is_dir() {
            walk(&path, rest, found)?;
        }
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether a file's name matches a glob without folders. A dot at the beginning is matched by a dot only, so that `*` leaves hidden files out.
pub(crate) fn is_named(pattern: &str, name: &str) -> bool {
    alternatives(pattern).iter().any(|pattern| wildcard(pattern.as_bytes(), name.as_bytes()))
}

/// The same for one alternative.
fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    let is_hidden = name.first() == Some(&b'.') && pattern.first() != Some(&b'.');
    !is_hidden && glob(pattern, name)
}

/// Whether a text that is no file's name matches `*`, `?` and classes. Runs in time proportional to both lengths multiplied.
pub(crate) fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some(width) = one(&pattern[p..], name[n]) {
            p += width;
            n += 1;
        } else if let Some((after, taken)) = star {
            p = after + 1;
            n = taken + 1;
            star = Some((after, n));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How many bytes of the pattern match one byte of the name: itself, `?`, or a class such as `[a-z]` or `[^0-9]`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => class(pattern, byte),
        literal => (*literal == byte).then_some(1),
    }
}

fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    // A bracket that stands first in the class is a member of it.
    let Some(end) = pattern.iter().skip(2).position(|byte| *byte == b']').map(|at| at + 2) else {
        return (byte == b'[').then_some(1);
    };
    let members = &pattern[1..end];
    let (negated, members) = match members {
        [b'^' | b'!', rest @ ..] if !rest.is_empty() => (true, rest),
        _ => (false, members),
    };
    let mut found = false;
    let mut at = 0;
    while at < members.len() {
        let range = members.get(at + 1) == Some(&b'-') && at + 2 < members.len();
        let last = if range { members[at + 2] } else { members[at] };
        found |= (members[at]..=last).contains(&byte);
        at += if range { 3 } else { 1 };
    }
    (found != negated).then_some(end + 1)
}

/// `a{b,c}d` is `abd` and `acd`.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let Some((inner, after)) = rest.split_once('}') else { return vec![pattern.to_owned()] };
    inner.split(',').flat_map(|choice| alternatives(&format!("{before}{choice}{after}"))).collect()
}

fn entries(folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let named = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted);
    let mut files: Vec<PathBuf> = all(folder)?.into_iter().filter(|path| path.is_file() && named(path)).collect();
    files.sort();
    Ok(files)
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(all(folder)?.into_iter().filter(|path| path.is_dir() && !path.is_symlink()).collect())
}

fn all(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Replaces the file at `path` so that a crash leaves the old content or the new one.
///
/// # Errors
/// When the folder can't be written to.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Folder;

    #[test]
    fn wildcards_match_within_a_name() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("a*b*c", "axxbxbc", true),
            ("?", "ab", false),
            ("*", "", true),
            ("*", ".hidden", false),
            (".h*", ".hidden", true),
            ("app.[0-9].log", "app.7.log", true),
            ("app.[^0-9].log", "app.7.log", false),
            ("[ab-]*", "-x", true),
            ("[", "[", true),
        ] {
            assert_eq!(wildcard(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_folder_is_all_its_files_but_hidden_ones_backups_and_cases() {
        let folder = Folder::new("folder");
        for name in ["b", "a.conf", ".hidden", "a.conf~", "a.test.yml", "a.test.json"] {
            folder.write(name, "");
        }
        let found = pipeline(&folder.to_string_lossy()).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.conf", "b"]);
    }

    #[test]
    fn a_glob_goes_through_folders_in_name_order() {
        let folder = Folder::new("glob");
        for name in ["b/2.conf", "a/1.conf", "a/deep/3.conf", "a/x.txt"] {
            folder.write(name, "");
        }
        let names = |pattern: &str| -> Vec<String> {
            let found = matching(&format!("{}/{pattern}", folder.display())).unwrap();
            found.iter().map(|path| path.strip_prefix(&*folder).unwrap().display().to_string()).collect()
        };
        assert_eq!(names("*/*.conf"), ["a/1.conf", "b/2.conf"]);
        assert_eq!(names("**/*.conf"), ["a/1.conf", "a/deep/3.conf", "b/2.conf"]);
        assert_eq!(names("a/{1.conf,x.txt}"), ["a/1.conf", "a/x.txt"]);
        assert!(names("nothing/*").is_empty());
    }
}
