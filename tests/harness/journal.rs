//! systemd's journal, which the log driver journald writes to; started here where no service manager has.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{eventually, rig_path, signal};

/// Where the engine hands lines over.
const SOCKET: &str = "/run/systemd/journal/socket";

/// A journal; one that was started here ends when this is dropped, and what it kept is removed.
pub(crate) struct Journal(Option<Child>);

impl Journal {
    /// Makes sure that there is one, which is installed if need be.
    pub(crate) fn start() -> Self {
        if answers() {
            return Self(None);
        }
        let mut journal = Self(Some(Command::new(rig_path("journal")).stdin(Stdio::null()).spawn().unwrap()));
        eventually("a journal", Duration::from_secs(300), || {
            let ended = journal.0.as_mut().and_then(|child| child.try_wait().unwrap());
            assert_eq!(ended, None, "the journal has ended; what it said is above");
            if answers() { Ok(()) } else { Err(SOCKET.into()) }
        });
        journal
    }
}

fn answers() -> bool {
    UnixDatagram::unbound().is_ok_and(|socket| socket.connect(SOCKET).is_ok())
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            signal(child.id(), "TERM");
            let _ = child.wait();
            let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
            if !machine.trim().is_empty() {
                let _ = std::fs::remove_dir_all(Path::new("/run/log/journal").join(machine.trim()));
            }
        }
    }
}
