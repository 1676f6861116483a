//! The fixed records in `../data/`, in the shapes in which the steps of a line's way get them.

use std::sync::Arc;

use elkhound_pipeline::event::{DocumentId, Event, Layer};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::text::Text;
use elkhound_pipeline::time::Timestamp;
use elkhound_pipeline::value::Value;

/// Application lines, as json-file records.
pub(crate) const PLAIN: &str = include_str!("../data/plain.log");
/// Access lines in combined format, as json-file records.
pub(crate) const NGINX: &str = include_str!("../data/nginx.log");
/// JSON objects of eleven members, as json-file records.
pub(crate) const JSON: &str = include_str!("../data/json.log");

/// A database in MaxMind's format with one city, for 10.0.0.0/8: the one of geoip's tests.
pub(crate) const CITY: &[u8] = include_bytes!("../data/city.mmdb");

/// The `log` members of json-file records, without their newline, each in a buffer of its own.
pub(crate) fn messages(data: &str) -> Vec<Text> {
    data.lines().map(|record| owned(member(record, "log").trim_end_matches('\n'))).collect()
}

/// The times in brackets of combined lines.
pub(crate) fn times() -> Vec<Text> {
    let time = |line: &Text| {
        let inner = line.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        owned(inner.expect("an access line has a time").0)
    };
    messages(NGINX).iter().map(time).collect()
}

/// The records of `data` as the frames that the Docker API makes of them.
pub(crate) fn frames(data: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for record in data.lines() {
        // dockerd writes nine decimals here, and the records of the data have them all.
        let payload = format!("{:0<29}Z {}", member(record, "time").trim_end_matches('Z'), member(record, "log"));
        out.extend_from_slice(&[1, 0, 0, 0]);
        out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        out.extend_from_slice(payload.as_bytes());
    }
    out
}

/// An event of `text` above its container's shared fields, with an identity, as the `docker` input makes it.
pub(crate) fn event(text: &Text, layer: &Arc<Layer>) -> Event {
    let mut fields = Map::with_capacity(3);
    fields.push("@timestamp".into(), Value::Timestamp(Timestamp::from_nanos(1_795_161_600_000_779_659)));
    fields.push("message".into(), Value::Text(text.clone()));
    let mut event = Event::layered(fields, Arc::clone(layer));
    event.set_origin(Some(DocumentId::new(b"T40cmyp-YFMxr1YY0hOyAAA")), None);
    event
}

/// What all events of a container share.
pub(crate) fn layer() -> Arc<Layer> {
    let mut container = Map::new();
    container.insert("id".into(), CONTAINER.into());
    container.insert("name".into(), "web-1".into());
    container.insert("image".into(), "registry.local/web:1.2.3".into());
    let mut fields = Map::new();
    fields.insert("stream".into(), "stdout".into());
    fields.insert("container".into(), container.into());
    fields.insert("service".into(), "web".into());
    Arc::new(Layer::new(fields))
}

/// The container's id.
pub(crate) const CONTAINER: &str = "4f8d1c9b2a7e6053d1f4a8b7c6e59032fbd0a9c8e7f61524a3b2c1d0e9f8a7b6";

fn member(record: &str, name: &str) -> String {
    let record: serde_json::Value = serde_json::from_str(record).expect("the data is JSON");
    record[name].as_str().expect("every record has a line and a time").to_owned()
}

fn owned(text: &str) -> Text {
    Text::slice_of(&Arc::new(text.to_owned()), 0..text.len())
}
