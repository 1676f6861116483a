//! An event from a decoded map, with Logstash's rules for the fields that mean something: `@timestamp`, `@version`, `@metadata`, `tags`.

use super::Event;
use crate::map::Map;
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

impl Event {
    /// Makes an event of `fields`, as inputs and codecs do with a decoded object; `now` is for an event without a usable `@timestamp`.
    ///
    /// An `@timestamp` that is no time is kept as `_@timestamp` and tagged `_timestampparsefailure`; `tags` that are neither a text nor a
    /// list are kept as `_tags` and tagged `_tagsparsefailure`.
    pub fn from_fields(mut fields: Map, now: Timestamp) -> Self {
        let metadata = match fields.remove("@metadata") {
            Some(Value::Map(map)) => *map,
            _ => Map::new(),
        };
        let written = fields.get("@timestamp").cloned();
        let timestamp = written.as_ref().and_then(timestamp);
        fields.insert("@timestamp".into(), Value::Timestamp(timestamp.unwrap_or(now)));
        if !fields.contains("@version") {
            fields.push("@version".into(), "1".into());
        }
        let tags = take_bad_tags(&mut fields);
        let mut event = Self { fields, metadata, ..Self::default() };
        if let (Some(written), None) = (written, timestamp) {
            event.tag("_timestampparsefailure");
            event.set_field("_@timestamp".into(), written);
        }
        if let Some(tags) = tags {
            event.tag("_tagsparsefailure");
            event.set_field("_tags".into(), tags);
        }
        event
    }
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Timestamp(timestamp) => Some(*timestamp),
        Value::Text(text) => Timestamp::parse(text),
        _ => None,
    }
}

/// Takes out `tags` that can't be tags.
fn take_bad_tags(fields: &mut Map) -> Option<Value> {
    match fields.get("tags") {
        None | Some(Value::Null | Value::Text(_)) => None,
        Some(Value::List(list)) if list.iter().all(|tag| matches!(tag, Value::Text(_))) => None,
        Some(_) => fields.remove("tags"),
    }
}

impl Event {
    /// All fields as one map, `@metadata` left out.
    pub fn to_map(&self) -> Map {
        self.fields().map(|(name, value)| (Text::clone(name), value.clone())).collect()
    }

    /// All fields as one map, `@metadata` among them where it holds anything.
    pub fn to_whole_map(&self) -> Map {
        let mut fields = self.to_map();
        if !self.metadata.is_empty() {
            fields.insert("@metadata".into(), self.metadata.clone().into());
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fields: &[(&str, Value)]) -> Event {
        let fields = fields.iter().map(|(name, value)| (Text::new(name), value.clone())).collect();
        Event::from_fields(fields, Timestamp::from_nanos(0))
    }

    #[test]
    fn a_time_as_text_becomes_a_timestamp() {
        let event = event(&[("@timestamp", "2026-01-15T08:30:00.5Z".into())]);
        assert_eq!(event.timestamp(), Some(Timestamp::from_nanos(1_768_465_800_500_000_000)));
        assert_eq!(event.field("@version"), Some(&"1".into()));
    }

    #[test]
    fn what_is_no_time_is_kept_and_tagged() {
        let event = event(&[("@timestamp", "yesterday".into())]);
        assert_eq!(event.timestamp(), Some(Timestamp::from_nanos(0)));
        assert_eq!(event.field("_@timestamp"), Some(&"yesterday".into()));
        assert_eq!(event.field("tags"), Some(&Value::list(vec!["_timestampparsefailure".into()])));
    }

    #[test]
    fn what_are_no_tags_is_kept_and_tagged() {
        let event = event(&[("tags", 5.into())]);
        assert_eq!(event.field("_tags"), Some(&5.into()));
        assert_eq!(event.field("tags"), Some(&Value::list(vec!["_tagsparsefailure".into()])));
    }
}
