//! The files of a file output: which one an event goes to, what is gathered for each, and how it is brought there.
//!
//! What is gathered for a file is written in one go. Trouble with one file keeps none of the others waiting: it stays gathered, and the next
//! flush tries it again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::mem;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use elkhound_pipeline::text::Text;

use super::disk;
use crate::output::batches::Batch;
use crate::output::retry::Trouble;

/// What the options say.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The folder that no event may leave, when the path depends on events.
    pub(super) root: Option<PathBuf>,
    /// The file for events that have no other.
    pub(super) failure: PathBuf,
    /// Which of its events a file holds.
    pub(super) behavior: Behavior,
    /// Compress.
    pub(super) gzip: bool,
    /// Make files that are not there.
    pub(super) create: bool,
    /// Rights of folders that are made.
    pub(super) folder_mode: Option<u32>,
    /// Rights of files that are made.
    pub(super) file_mode: Option<u32>,
    /// Files that were not used for so long are closed.
    pub(super) stale: Duration,
}

/// Which of its events a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Behavior {
    /// All of them.
    #[default]
    Append,
    /// The latest.
    Overwrite,
}

/// An event that went to the file for failures.
#[derive(Debug)]
pub(super) struct Stray {
    /// The path that it had.
    pub(super) path: String,
    /// What is wrong with it.
    pub(super) reason: String,
    /// Where it went.
    pub(super) failure: PathBuf,
}

/// The folder that holds everything an absolute path can mean: the folders before its first reference, or the folder of its file. Nothing when
/// not even the first of them is fixed.
pub(super) fn root(path: &Path) -> Option<PathBuf> {
    let text = path.to_str()?;
    let Some(start) = reference(text) else { return path.parent().map(Path::to_owned) };
    let root = Path::new(text[..start].rsplit_once('/')?.0);
    root.file_name().is_some().then(|| root.to_owned())
}

/// Whether `%{…}` stands in a path.
pub(super) fn has_reference(path: &Path) -> bool {
    path.to_str().and_then(reference).is_some()
}

/// Where the first `%{…}` begins.
fn reference(text: &str) -> Option<usize> {
    text.match_indices("%{")
        .map(|(start, _)| start)
        .find(|start| text[start + 2..].find('}').is_some_and(|end| end > 0))
}

/// The path without `.` and `..`, as far as that can be told from its text.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// What is to be written to a file.
struct Gathered {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Whether the bytes are what goes into the file, or must be compressed before.
    packed: bool,
}

struct Open {
    file: File,
    used: Instant,
}

/// The files, and what is gathered for them.
pub(super) struct Files {
    rules: Rules,
    open: HashMap<PathBuf, Open>,
    gathered: Vec<Gathered>,
    /// The bytes of all that is gathered.
    size: usize,
    /// The places in `gathered`, by what events have as their path.
    places: HashMap<Text, usize>,
    /// The same, by the file that this means.
    by_file: HashMap<PathBuf, usize>,
    stray: Option<Stray>,
}

impl Files {
    /// No file is open yet.
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            open: HashMap::new(),
            gathered: Vec::new(),
            size: 0,
            places: HashMap::new(),
            by_file: HashMap::new(),
            stray: None,
        }
    }

    /// Gathers events.
    pub(super) fn add(&mut self, batch: &Batch<Text>) {
        let mut last: Option<(&Text, usize)> = None;
        for (written, bytes) in batch.iter() {
            let place = match last {
                Some((same, place)) if same == written => place,
                _ => self.place(written),
            };
            last = Some((written, place));
            let gathered = &mut self.gathered[place].bytes;
            if self.rules.behavior == Behavior::Overwrite {
                self.size -= gathered.len();
                gathered.clear();
            }
            gathered.extend_from_slice(bytes);
            self.size += bytes.len();
        }
    }

    /// How many bytes are gathered.
    pub(super) fn gathered(&self) -> usize {
        self.size
    }

    /// Writes all that is gathered. What can't be written stays; whoever calls this adds nothing until it is written.
    ///
    /// # Errors
    /// The first trouble; trying again may help.
    pub(super) fn flush(&mut self) -> Result<(), Trouble> {
        let mut first = None;
        for mut gathered in mem::take(&mut self.gathered) {
            if let Err(error) = self.deliver(&mut gathered) {
                let place = gathered.path.display();
                first.get_or_insert_with(|| Trouble::new(place, &error, disk::remedy(&error)));
                self.gathered.push(gathered);
            }
        }
        self.size = self.gathered.iter().map(|gathered| gathered.bytes.len()).sum();
        self.places.clear();
        self.by_file.clear();
        first.map_or(Ok(()), Err)
    }

    /// The last event that went to the file for failures since this was asked.
    pub(super) fn take_stray(&mut self) -> Option<Stray> {
        self.stray.take()
    }

    /// Closes files that were not used for long.
    pub(super) fn close_unused(&mut self) {
        let stale = self.rules.stale;
        self.open.retain(|_, open| open.used.elapsed() < stale);
    }

    /// How long until a file has to be closed.
    pub(super) fn next_unused(&self) -> Option<Duration> {
        self.open.values().map(|open| self.rules.stale.saturating_sub(open.used.elapsed())).min()
    }

    /// The place in `gathered` for events with this path.
    fn place(&mut self, written: &Text) -> usize {
        if let Some(place) = self.places.get(written) {
            return *place;
        }
        let path = self.file(written);
        let next = self.gathered.len();
        let place = *self.by_file.entry(path.clone()).or_insert(next);
        if place == next {
            self.gathered.push(Gathered { path, bytes: Vec::new(), packed: false });
        }
        self.places.insert(written.clone(), place);
        place
    }

    /// The file that a path means.
    fn file(&mut self, written: &Text) -> PathBuf {
        let path = normal(Path::new(written.as_str()));
        let inside = self.rules.root.as_ref().is_none_or(|root| path.starts_with(root) && path != *root);
        if inside { path } else { self.stray(written.as_str(), "it leads out of the fixed folder of `path`".into()) }
    }

    fn stray(&mut self, path: &str, reason: String) -> PathBuf {
        let failure = self.rules.failure.clone();
        self.stray = Some(Stray { path: path.to_owned(), reason, failure: failure.clone() });
        failure
    }

    /// Brings what is gathered for a file there, or to the file for failures.
    fn deliver(&mut self, gathered: &mut Gathered) -> io::Result<()> {
        if self.rules.gzip && !gathered.packed {
            gathered.bytes = disk::compressed(&gathered.bytes);
            gathered.packed = true;
        }
        let written = self.write(&gathered.path, &mut gathered.bytes);
        match written {
            Err(error) if gathered.path != self.rules.failure && self.is_hopeless(&error) => {
                gathered.path = self.stray(&gathered.path.display().to_string(), error.to_string());
                self.write(&gathered.path, &mut gathered.bytes)
            }
            written => written,
        }
    }

    /// Trying again can't help: the path is none, or what stands there is a folder, or it is below a file, or may not be made.
    fn is_hopeless(&self, error: &io::Error) -> bool {
        use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound};
        let missing = error.kind() == NotFound && !self.rules.create;
        missing || matches!(error.kind(), InvalidFilename | InvalidInput | IsADirectory | NotADirectory)
    }

    /// Writes bytes; what is left of them after trouble is what has to be written another time.
    fn write(&mut self, path: &Path, bytes: &mut Vec<u8>) -> io::Result<()> {
        if self.open.get(path).is_some_and(|open| !disk::is_at(&open.file, path)) {
            self.open.remove(path);
        }
        if !self.open.contains_key(path) {
            let file = self.opened(path)?;
            self.open.insert(path.to_owned(), Open { file, used: Instant::now() });
        }
        let Some(open) = self.open.get_mut(path) else { return Ok(()) };
        open.used = Instant::now();
        if self.rules.behavior == Behavior::Overwrite && open.file.metadata()?.is_file() {
            open.file.set_len(0)?;
        }
        disk::append(&mut open.file, bytes)
    }

    fn opened(&mut self, path: &Path) -> io::Result<File> {
        if !self.rules.create && path != self.rules.failure && !path.exists() {
            let reason = "it is not there, and `create_if_deleted` is off";
            return Err(io::Error::new(io::ErrorKind::NotFound, reason));
        }
        if let Some(folder) = path.parent() {
            disk::make_folders(folder, self.rules.folder_mode)?;
        }
        match disk::open(path, self.rules.file_mode) {
            Err(error) if disk::has_too_many_open(&error) && !self.open.is_empty() => {
                // Others can be opened again when they are needed.
                self.open.clear();
                disk::open(path, self.rules.file_mode)
            }
            opened => opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use flate2::read::MultiGzDecoder;

    use super::*;
    use crate::scratch;

    struct Folder(scratch::Folder);

    impl Folder {
        fn new(name: &str) -> Self {
            Self(scratch::Folder::new(name))
        }

        fn files(&self, change: impl FnOnce(&mut Rules)) -> Files {
            let mut rules = Rules {
                root: Some(self.0.to_path_buf()),
                failure: self.0.join("failures"),
                create: true,
                stale: Duration::from_secs(10),
                ..Rules::default()
            };
            change(&mut rules);
            Files::new(rules)
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).display().to_string()
        }

        fn text(&self, name: &str) -> String {
            fs::read_to_string(self.0.join(name)).unwrap()
        }

        fn mode(&self, name: &str) -> u32 {
            fs::metadata(self.0.join(name)).unwrap().permissions().mode() & 0o7777
        }
    }

    fn write(files: &mut Files, events: &[(String, &str)]) -> Result<(), Trouble> {
        files.add(&Batch::of(events.iter().map(|(path, text)| (Text::new(path), *text))));
        files.flush()
    }

    #[test]
    fn each_file_gets_its_events_in_order_and_the_rights_that_are_wanted() {
        let folder = Folder::new("order");
        let mut files = folder.files(|rules| (rules.file_mode, rules.folder_mode) = (Some(0o666), Some(0o2750)));
        let (one, two) = (folder.path("a/b/one"), folder.path("two"));
        write(&mut files, &[(one.clone(), "1\n"), (two, "2\n"), (one, "3\n")]).unwrap();
        assert_eq!((folder.text("a/b/one"), folder.text("two")), ("1\n3\n".into(), "2\n".into()));
        assert_eq!(["two", "a", "a/b"].map(|name| folder.mode(name)), [0o666, 0o2750, 0o2750]);
        assert!(files.take_stray().is_none());
    }

    #[test]
    fn an_event_that_has_no_file_goes_to_the_file_for_failures() {
        let folder = Folder::new("root");
        let mut files = folder.files(|_| {});
        write(&mut files, &[(folder.path("plain"), "0\n")]).unwrap();
        let paths = [
            folder.path("x/../../elkhound-outside"),
            folder.path(&"x".repeat(300)),
            folder.path("plain/file"),
            folder.path("."),
            folder.path("nul\0"),
            "/etc/elkhound-outside".into(),
            String::new(),
        ];
        for (number, path) in paths.into_iter().enumerate() {
            write(&mut files, &[(path.clone(), &format!("{number}\n"))]).unwrap();
            assert_eq!(files.take_stray().map(|stray| stray.path), Some(path));
        }
        assert_eq!(folder.text("failures"), "0\n1\n2\n3\n4\n5\n6\n");
        assert!(!std::env::temp_dir().join("elkhound-outside").exists());
    }

    #[test]
    fn the_fixed_folder_is_what_stands_before_the_first_reference() {
        let root = |path| root(Path::new(path)).map(|root| root.display().to_string());
        assert_eq!(root("/var/log/a-%{b}/c"), Some("/var/log".into()));
        assert_eq!(root("/var/log/c.log"), Some("/var/log".into()));
        assert_eq!(root("/var/100%{}/c.log"), Some("/var/100%{}".into()));
        assert_eq!(root("/var/log/%{+YYYY/MM/dd}.log"), Some("/var/log".into()));
        assert_eq!((root("/%{a}/b"), root("/x-%{a}"), root("/x.log")), (None, None, Some("/".into())));
    }

    #[test]
    fn compressed_files_are_whole_after_each_flush() {
        let folder = Folder::new("gzip");
        let mut files = folder.files(|rules| rules.gzip = true);
        let mut expected = String::new();
        for text in ["one\n", "two\n"] {
            write(&mut files, &[(folder.path("z"), text)]).unwrap();
            expected += text;
            let mut found = String::new();
            MultiGzDecoder::new(File::open(folder.0.join("z")).unwrap()).read_to_string(&mut found).unwrap();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn files_that_are_not_there_are_made_or_not() {
        let folder = Folder::new("deleted");
        let mut files = folder.files(|_| {});
        write(&mut files, &[(folder.path("f"), "1\n")]).unwrap();
        fs::remove_file(folder.0.join("f")).unwrap();
        write(&mut files, &[(folder.path("f"), "2\n")]).unwrap();
        assert_eq!(folder.text("f"), "2\n");
        let mut files = folder.files(|rules| rules.create = false);
        write(&mut files, &[(folder.path("f"), "3\n"), (folder.path("new"), "4\n")]).unwrap();
        fs::remove_file(folder.0.join("f")).unwrap();
        write(&mut files, &[(folder.path("f"), "5\n")]).unwrap();
        assert_eq!(folder.text("failures"), "4\n5\n");
        assert!(!folder.0.join("f").exists() && !folder.0.join("new").exists());
    }

    #[test]
    fn a_file_that_was_moved_away_is_left_alone() {
        let folder = Folder::new("moved");
        let mut files = folder.files(|_| {});
        write(&mut files, &[(folder.path("f"), "1\n")]).unwrap();
        fs::rename(folder.0.join("f"), folder.0.join("f.1")).unwrap();
        fs::write(folder.0.join("f"), "").unwrap();
        write(&mut files, &[(folder.path("f"), "2\n")]).unwrap();
        assert_eq!((folder.text("f.1"), folder.text("f")), ("1\n".into(), "2\n".into()));
    }

    #[test]
    fn the_latest_event_is_all_that_is_there_where_that_is_wanted() {
        let folder = Folder::new("overwrite");
        let mut files = folder.files(|rules| rules.behavior = Behavior::Overwrite);
        let event = |text| (folder.path("f"), text);
        write(&mut files, &[event("a long one\n"), event("2\n")]).unwrap();
        assert_eq!(folder.text("f"), "2\n");
        write(&mut files, &[event("3\n")]).unwrap();
        assert_eq!((folder.text("f"), files.gathered()), ("3\n".into(), 0));
    }

    #[test]
    fn trouble_with_one_file_holds_up_no_other_and_doubles_nothing() {
        let folder = Folder::new("once");
        // The file for failures can't be written either, so that this one has to wait.
        let mut files = folder.files(|rules| rules.failure = folder.0.join("plain/failures"));
        write(&mut files, &[(folder.path("plain"), "0\n")]).unwrap();
        let both = [(folder.path("plain/bad"), "1\n"), (folder.path("good"), "2\n")];
        let trouble = write(&mut files, &both).unwrap_err();
        assert_eq!(trouble.place, folder.path("plain/failures"));
        assert_eq!((folder.text("good"), files.gathered()), ("2\n".into(), 2));
        fs::remove_file(folder.0.join("plain")).unwrap();
        files.flush().unwrap();
        assert_eq!((folder.text("good"), folder.text("plain/failures")), ("2\n".into(), "1\n".into()));
    }

    #[test]
    fn unused_files_are_closed() {
        let folder = Folder::new("stale");
        let mut files = folder.files(|rules| rules.stale = Duration::ZERO);
        write(&mut files, &[(folder.path("f"), "1\n")]).unwrap();
        assert_eq!(files.next_unused(), Some(Duration::ZERO));
        files.close_unused();
        assert_eq!(files.next_unused(), None);
    }
}
