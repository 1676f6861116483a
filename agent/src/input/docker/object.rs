//! A line that is a JSON object, as the fields of its event.

use elkhound_pipeline::json::{Numbers, parse_text};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::text::Text;
use elkhound_pipeline::time::Timestamp;
use elkhound_pipeline::value::Value;

/// Replaces the message in `fields` by the fields of the object that it is, if it is one. What `taken` says is the container's is not
/// replaced by what the line says.
pub(crate) fn decode(line: &Text, fields: &mut Map, taken: impl Fn(&str) -> bool) {
    if !line.as_str().trim_start().starts_with('{') {
        return;
    }
    let Ok(value) = parse_text(line, Numbers::Doubles) else { return };
    let Some(object) = value.as_map() else { return };
    fields.remove("message");
    for (name, value) in object.iter() {
        match (name.as_str(), value) {
            (name, _) if taken(name) => {}
            // A time that can't be read would leave the event without one.
            ("@timestamp", Value::Text(text)) => {
                if let Some(time) = Timestamp::parse(text.as_str()) {
                    fields.insert("@timestamp".into(), Value::Timestamp(time));
                }
            }
            ("@timestamp", _) => {}
            _ => drop(fields.insert(name.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elkhound_pipeline::json::write_map;

    fn shown(fields: &Map) -> String {
        let mut out = Vec::new();
        write_map(fields, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_object_becomes_fields_and_the_containers_own_stay() {
        let decoded = |line: &str| {
            let mut fields = Map::new();
            fields.push("@timestamp".into(), Value::Timestamp(Timestamp::from_nanos(5)));
            fields.push("message".into(), line.into());
            decode(&line.into(), &mut fields, |name| name == "docker");
            shown(&fields)
        };
        let time = r#""@timestamp":"1970-01-01T00:00:00.000000005Z""#;
        assert_eq!(decoded("plain"), format!(r#"{{{time},"message":"plain"}}"#));
        assert_eq!(decoded("{broken"), format!(r#"{{{time},"message":"{{broken"}}"#));
        assert_eq!(decoded(r#"{"a":1,"docker":"x","@timestamp":"soon"}"#), format!(r#"{{{time},"a":1}}"#));
        let stamped = r#"{"@timestamp":"2026-11-21T08:00:00.000Z","message":"m"}"#;
        assert_eq!(decoded(stamped), stamped);
    }
}
