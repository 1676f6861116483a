//! Any bytes are packed events or are refused, in memory and time of their size. What was read and packed is read as the same again.

#![no_main]

use elkhound_pipeline::event::Event;
use elkhound_pipeline::event::stored::{Pack, unpack};
use elkhound_pipeline::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((count, bytes)) = bytes.split_first() else { return };
    let mut events = Vec::new();
    if unpack(bytes, usize::from(*count), &mut events).is_err() {
        return;
    }
    let (mut pack, mut packed, mut again) = (Pack::default(), Vec::new(), Vec::new());
    events.iter().for_each(|event| pack.push(event));
    pack.write(&mut packed);
    assert_eq!(unpack(&packed, events.len(), &mut again), Ok(()));
    assert_eq!(shown(&events), shown(&again));
});

/// All that can be seen of them.
fn shown(events: &[Event]) -> Vec<(Vec<u8>, String, Option<String>)> {
    let show = |event: &Event| {
        let mut fields = Vec::new();
        json::write_event(event, &mut fields);
        (fields, format!("{:?}", event.metadata()), event.id().map(|id| id.as_str().to_owned()))
    };
    events.iter().map(show).collect()
}
