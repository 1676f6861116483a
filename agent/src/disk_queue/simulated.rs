//! A disk for tests that writes down what is done to it, so that it can be seen as a crash would leave it at any point.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::memory::read;
use super::storage::{Medium, Storage};

/// Something that was done to a disk.
#[derive(Clone, Debug)]
enum Done {
    Create(String),
    Remove(String),
    Write(String, u64, Vec<u8>),
    Cut(String, u64),
    Sync(String),
}

/// What a crash leaves of that which was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    /// Everything, for only the process was killed.
    Everything,
    /// Nothing, and files that were removed are there again.
    Nothing,
    /// Some writes, whole or torn, by chance.
    Some(u64),
}

type Files = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Debug, Default)]
struct Inner {
    /// What was safe before anything was done.
    safe: Files,
    files: Files,
    done: Vec<Done>,
    fails: bool,
    /// How often something was tried in vain.
    tried: usize,
}

/// The disk. Clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Simulated(Arc<Mutex<Inner>>);

impl Simulated {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Another disk with the same files.
    pub(super) fn copy(&self) -> Self {
        Self::with(self.inner().files.clone(), Vec::new())
    }

    /// A disk with files that are safe, and things that were done to them and are not.
    fn with(safe: Files, done: Vec<Done>) -> Self {
        let files = done.iter().fold(safe.clone(), applied);
        Self(Arc::new(Mutex::new(Inner { safe, files, done, ..Inner::default() })))
    }

    /// Has every write and sync fail from now on, or not any more. A write that fails has been half done.
    pub(super) fn fail(&self, fails: bool) {
        self.inner().fails = fails;
    }

    /// How often something was tried in vain.
    pub(super) fn tried(&self) -> usize {
        self.inner().tried
    }

    /// How much was done so far.
    pub(super) fn done(&self) -> usize {
        self.inner().done.len()
    }

    /// A file's bytes.
    pub(super) fn file(&self, name: &str) -> Vec<u8> {
        self.inner().files[name].clone()
    }

    /// The disk as a crash leaves it after so much was done, half-way into what came next.
    pub(super) fn crashed(&self, after: usize, left: Left) -> Self {
        let Inner { safe, done, .. } = self.inner().clone();
        let mut crash = Crash { safe, pending: Vec::new() };
        done[..after].iter().for_each(|done| crash.take(done));
        if let Some(Done::Write(name, offset, bytes)) = done.get(after) {
            let torn = bytes[..bytes.len() / 2].to_vec();
            crash.take(&Done::Write(name.clone(), *offset, torn));
        }
        crash.left(left)
    }
}

/// What is safe of a disk, and what is not yet.
struct Crash {
    safe: Files,
    pending: Vec<Done>,
}

impl Crash {
    fn take(&mut self, done: &Done) {
        match done {
            Done::Create(name) => {
                self.settle(|other| matches!(other, Done::Remove(_)));
                self.safe.insert(name.clone(), Vec::new());
            }
            Done::Sync(name) => {
                self.settle(|other| matches!(other, Done::Write(file, ..) | Done::Cut(file, _) if file == name));
            }
            other => self.pending.push(other.clone()),
        }
    }

    fn settle(&mut self, which: impl Fn(&Done) -> bool) {
        let (safe, pending) = std::mem::take(&mut self.pending).into_iter().partition(which);
        self.pending = pending;
        let safe: Vec<Done> = safe;
        safe.iter().for_each(|done| apply(done, &mut self.safe));
    }

    fn left(mut self, left: Left) -> Simulated {
        let mut dice = match left {
            // The kernel still has it, and the power may be cut later.
            Left::Everything => return Simulated::with(self.safe, self.pending),
            Left::Nothing => return Simulated::with(self.safe, Vec::new()),
            Left::Some(seed) => seed,
        };
        for done in &self.pending {
            dice = next(dice);
            let torn = match done {
                Done::Write(name, offset, bytes) if dice % 4 == 1 => {
                    let length = (dice >> 8) as usize % (bytes.len() + 1);
                    Done::Write(name.clone(), *offset, bytes[..length].to_vec())
                }
                whole => whole.clone(),
            };
            if dice % 4 != 0 {
                apply(&torn, &mut self.safe);
            }
        }
        Simulated::with(self.safe, Vec::new())
    }
}

/// The next of a row of numbers that look like chance.
pub(super) fn next(dice: u64) -> u64 {
    let next = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (next ^ (next >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (next >> 17)
}

fn applied(mut files: Files, done: &Done) -> Files {
    apply(done, &mut files);
    files
}

fn apply(done: &Done, files: &mut Files) {
    match done {
        Done::Create(name) => {
            files.insert(name.clone(), Vec::new());
        }
        Done::Remove(name) => {
            files.remove(name);
        }
        Done::Write(name, offset, bytes) => {
            let Some(file) = files.get_mut(name) else { return };
            let (start, end) = (*offset as usize, *offset as usize + bytes.len());
            file.resize(file.len().max(end), 0);
            file[start..end].copy_from_slice(bytes);
        }
        Done::Cut(name, length) => {
            if let Some(file) = files.get_mut(name) {
                file.truncate(*length as usize);
            }
        }
        Done::Sync(_) => {}
    }
}

impl Storage for Simulated {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.inner().files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn Medium>> {
        self.act(Done::Create(name.into()))?;
        self.open(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Medium>> {
        let known = self.inner().files.contains_key(name);
        if !known {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(Open { disk: self.clone(), name: name.into() }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.act(Done::Remove(name.into()))
    }
}

impl Simulated {
    fn act(&self, done: Done) -> io::Result<()> {
        let mut inner = self.inner();
        inner.tried += usize::from(inner.fails);
        let (fails, done) = match done {
            Done::Write(name, offset, bytes) if inner.fails => {
                (true, Done::Write(name, offset, bytes[..bytes.len() / 2].to_vec()))
            }
            _ if inner.fails => return Err(io::ErrorKind::StorageFull.into()),
            done => (false, done),
        };
        apply(&done, &mut inner.files);
        inner.done.push(done);
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

/// A file of the disk.
struct Open {
    disk: Simulated,
    name: String,
}

impl Medium for Open {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.inner().files.get(&self.name).map_or(0, Vec::len) as u64)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.act(Done::Write(self.name.clone(), offset, bytes.to_vec()))
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.act(Done::Sync(self.name.clone()))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let inner = self.disk.inner();
        Ok(read(inner.files.get(&self.name).map_or(&[], Vec::as_slice), offset, into))
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.disk.act(Done::Cut(self.name.clone(), length))
    }
}
