//! Any bytes are a log stream of the Docker API, with a terminal or without one. Read in pieces it has the messages that it has when it is read at once, and the
//! same trouble.

#![no_main]

use libfuzzer_sys::fuzz_target;

mod agent;

use agent::input;
use input::docker::frames::{CorruptHeader, Decoder, Kind};

type Read = (Vec<(Kind, Vec<u8>)>, Option<CorruptHeader>);

fuzz_target!(|bytes: &[u8]| {
    let [first, second, stream @ ..] = bytes else { return };
    let (terminal, piece) = (first % 2 == 1, usize::from(*second).max(1));
    let whole = read(terminal, [stream].into_iter());
    let cut = read(terminal, stream.chunks(piece));
    assert_eq!(whole, cut);
});

fn read<'a>(terminal: bool, pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    let (mut decoder, mut messages) = (Decoder::new(terminal), Vec::new());
    let mut keep = |kind, message: &[u8]| messages.push((kind, message.to_vec()));
    for piece in pieces {
        if let Err(corrupt) = decoder.decode(piece, &mut keep) {
            return (messages, Some(corrupt));
        }
    }
    decoder.finish(&mut keep);
    (messages, None)
}
