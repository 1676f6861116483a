//! What one agent believes of the world and nobody else: what time it is, and where a name leads.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Folder, output_of};

/// A wall clock that is set by hand. It needs a binary that asks the C library for the time, so not a static one.
pub(crate) struct Clock(Folder);

impl Clock {
    /// One that is right.
    pub(crate) fn new(name: &str) -> Self {
        let clock = Self(Folder::new(&format!("clock-{name}")));
        clock.set(0);
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/harness/clock.c");
        output_of(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(clock.library()).arg(source));
        clock
    }

    /// Has it stand so many seconds ahead, or back.
    pub(crate) fn set(&self, ahead: i64) {
        use std::os::unix::fs::FileExt;
        // In its place: the agent looks at these bytes all the time.
        let file = fs::File::options().create(true).truncate(false).write(true).open(self.offset()).unwrap();
        file.write_all_at(&ahead.to_ne_bytes(), 0).unwrap();
    }

    /// The environment of whoever is to go by it.
    pub(crate) fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.library()), ("ELKHOUND_TEST_CLOCK", self.offset())]
    }

    fn library(&self) -> PathBuf {
        self.0.0.join("clock.so")
    }

    fn offset(&self) -> PathBuf {
        self.0.0.join("ahead")
    }
}

/// A hosts file, with one name that leads elsewhere from one moment to the next.
pub(crate) struct Names(Folder);

impl Names {
    /// The name.
    pub(crate) const NAME: &str = "elasticsearch.test";

    /// Has the name lead to this address.
    pub(crate) fn new(name: &str, address: &str) -> Self {
        let names = Self(Folder::new(&format!("names-{name}")));
        names.set(address);
        names
    }

    /// Has the name lead elsewhere.
    pub(crate) fn set(&self, address: &str) {
        // In its place: this very file is mounted.
        fs::write(self.file(), format!("127.0.0.1 localhost\n{address} {}\n", Self::NAME)).unwrap();
    }

    /// What runs a program with this file as `/etc/hosts`, under the same process number. Needs root, as the rig does.
    pub(crate) fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new("unshare");
        let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        command.args(["--mount", "sh", "-c", script]).arg(self.file()).arg(program);
        command
    }

    fn file(&self) -> PathBuf {
        self.0.0.join("hosts")
    }
}
