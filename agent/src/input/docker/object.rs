//! A line that is a JSON object, as the fields of its event.

use elkhound_pipeline::json::{Numbers, parse_text};
use elkhound_pipeline::map::Map;
use elkhound_pipeline::text::Text;
use elkhound_pipeline::time::Timestamp;
use elkhound_pipeline::value::Value;

use super::hints::Json;

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

/// The same as the container asks for it by its labels.
pub(crate) fn decode_as_hinted(line: &Text, fields: &mut Map, json: &Json, taken: impl Fn(&str) -> bool) {
    let value = parse_text(line, Numbers::Doubles).ok();
    let Some(object) = value.as_ref().and_then(Value::as_map) else {
        if json.add_error {
            let mut error = Map::with_capacity(2);
            error.push("message".into(), "the line is no JSON object".into());
            error.push("type".into(), "json".into());
            fields.insert("error".into(), error.into());
        }
        return;
    };
    fields.remove("message");
    if json.under_root {
        for (name, value) in object.iter().filter(|(name, _)| !taken(name.as_str())) {
            put(fields, name, value, json.overwrite);
        }
    } else {
        fields.insert("json".into(), object.clone().into());
    }
    if let Some(message) = object.get(json.message_key.as_str()) {
        fields.insert("message".into(), message.clone());
    }
}

/// A time that can't be read would leave the event without one.
fn put(fields: &mut Map, name: &Text, value: &Value, overwrite: bool) {
    if !overwrite && fields.get(name.as_str()).is_some() {
        return;
    }
    if name.as_str() != "@timestamp" {
        fields.insert(name.clone(), value.clone());
    } else if let Value::Text(text) = value
        && let Some(time) = Timestamp::parse(text.as_str())
    {
        fields.insert("@timestamp".into(), Value::Timestamp(time));
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
    fn an_object_goes_where_the_container_asks_and_its_own_description_stays() {
        let line = r#"{"@timestamp":"2026-11-21T08:00:00.000Z","msg":"m","container":"x","log":1}"#;
        let decoded = |line: &str, json: Json| {
            let mut fields = Map::new();
            fields.push("@timestamp".into(), Value::Timestamp(Timestamp::from_nanos(0)));
            fields.push("message".into(), line.into());
            fields.push("log".into(), "flags".into());
            decode_as_hinted(&line.into(), &mut fields, &json, |name| name == "container");
            shown(&fields)
        };
        let time = r#""@timestamp":"1970-01-01T00:00:00.000Z""#;
        let below = decoded(line, Json { message_key: "msg".into(), ..Json::default() });
        assert_eq!(below, format!(r#"{{{time},"log":"flags","json":{line},"message":"m"}}"#));
        let root = decoded(line, Json { under_root: true, ..Json::default() });
        assert_eq!(root, format!(r#"{{{time},"log":"flags","msg":"m"}}"#));
        let over = decoded(line, Json { under_root: true, overwrite: true, ..Json::default() });
        assert_eq!(over, r#"{"@timestamp":"2026-11-21T08:00:00.000Z","log":1,"msg":"m"}"#);
        let plain = decoded("[1]", Json { add_error: true, ..Json::default() });
        let error = r#""error":{"message":"the line is no JSON object","type":"json"}"#;
        assert_eq!(plain, format!(r#"{{{time},"message":"[1]","log":"flags",{error}}}"#));
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
