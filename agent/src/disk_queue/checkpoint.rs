//! The checkpoint: up to where the queue's events are safe at the outputs, in one small file.
//!
//! It has two slots that are written in turns, each with its checksum and a number that grows. A crash tears one at most; the other one is the checkpoint
//! before. So a checkpoint costs one write and one sync, and needs no renaming.

use std::io;

use flate2::Crc;

use super::storage::{Medium, Storage};
use crate::input::window::Mark;

/// The file's name.
pub(crate) const NAME: &str = "checkpoint";

const MAGIC: &[u8; 5] = b"EHQC\x01";
const SLOT: usize = 44;
/// Apart by what disks write at once.
const DISTANCE: u64 = 4096;

/// A place in the queue: everything before it has been taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// A page.
    pub(crate) page: u64,
    /// A place in it at which a frame begins, or its end.
    pub(crate) offset: u64,
    /// How many events there were before, since the queue was made.
    pub(crate) events: u64,
}

impl Mark for Place {
    fn advance(&mut self, end: &Self) {
        *self = *end;
    }
}

/// The file.
pub(crate) struct Checkpoint {
    medium: Box<dyn Medium>,
    written: u64,
}

impl Checkpoint {
    /// Opens the checkpoint of a queue, which is made when it is not there, and reads it; nothing when there is none.
    ///
    /// # Errors
    /// When the file can't be made or read.
    pub(crate) fn open(storage: &dyn Storage) -> io::Result<(Self, Option<Place>)> {
        let known = storage.names()?.iter().any(|name| name == NAME);
        let medium = if known { storage.open(NAME)? } else { storage.create(NAME)? };
        let (written, place) = last(&*medium)?.map_or((0, None), |(number, place)| (number, Some(place)));
        Ok((Self { medium, written }, place))
    }

    /// Writes it; it is safe when this returns.
    ///
    /// # Errors
    /// When the disk does not take it. The one before is still there then.
    pub(crate) fn write(&mut self, place: Place) -> io::Result<()> {
        let number = self.written + 1;
        self.medium.write_at(number % 2 * DISTANCE, &encode(number, place))?;
        self.medium.sync()?;
        self.written = number;
        Ok(())
    }
}

/// The last checkpoint in the file, with its number.
///
/// # Errors
/// When the file can't be read.
pub(crate) fn last(medium: &dyn Medium) -> io::Result<Option<(u64, Place)>> {
    let mut slots = Vec::new();
    for number in 0..2 {
        let mut bytes = [0; SLOT];
        let read = medium.read_at(number * DISTANCE, &mut bytes)?;
        slots.extend(decode(&bytes[..read]));
    }
    Ok(slots.into_iter().max_by_key(|(number, _)| *number))
}

fn encode(number: u64, place: Place) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..5].copy_from_slice(MAGIC);
    for (at, number) in [number, place.page, place.offset, place.events].into_iter().enumerate() {
        slot[8 + 8 * at..16 + 8 * at].copy_from_slice(&number.to_le_bytes());
    }
    let sum = checksum(&slot);
    slot[40..].copy_from_slice(&sum.to_le_bytes());
    slot
}

/// Reads a slot; nothing when it is none.
pub(crate) fn decode(slot: &[u8]) -> Option<(u64, Place)> {
    let slot: &[u8; SLOT] = slot.first_chunk()?;
    let number = |at: usize| slot[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let sum = u32::from_le_bytes(*slot[40..].first_chunk()?);
    if !slot.starts_with(MAGIC) || checksum(slot) != sum {
        return None;
    }
    Some((number(8)?, Place { page: number(16)?, offset: number(24)?, events: number(32)? }))
}

fn checksum(slot: &[u8; SLOT]) -> u32 {
    let mut sum = Crc::new();
    sum.update(&slot[..40]);
    sum.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk_queue::simulated::Simulated;

    fn place(number: u64) -> Place {
        Place { page: number, offset: number * 10, events: number * 100 }
    }

    #[test]
    fn the_last_one_is_read_and_the_one_before_when_it_is_torn() {
        let disk = Simulated::default();
        let (mut checkpoint, none) = Checkpoint::open(&disk).unwrap();
        assert_eq!(none, None);
        for number in 1..=3 {
            checkpoint.write(place(number)).unwrap();
            assert_eq!(Checkpoint::open(&disk).unwrap().1, Some(place(number)));
        }
        for at in 0..SLOT as u64 {
            let disk = disk.copy();
            disk.open(NAME).unwrap().write_at(DISTANCE + at, b"\xf0").unwrap();
            assert_eq!(Checkpoint::open(&disk).unwrap().1, Some(place(2)), "{at}");
        }
    }

    #[test]
    fn a_write_that_fails_leaves_the_one_before_and_takes_its_place_later() {
        let disk = Simulated::default();
        let (mut checkpoint, _) = Checkpoint::open(&disk).unwrap();
        checkpoint.write(place(1)).unwrap();
        disk.fail(true);
        for _ in 0..2 {
            assert!(checkpoint.write(place(2)).is_err());
        }
        disk.fail(false);
        assert_eq!(Checkpoint::open(&disk).unwrap().1, Some(place(1)));
        checkpoint.write(place(3)).unwrap();
        assert_eq!(Checkpoint::open(&disk).unwrap().1, Some(place(3)));
    }
}
