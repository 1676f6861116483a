//! What Logspout's users have set up: the variables that it reads, and the shape in which its adapter logspout-logstash sends an event.
//!
//! | field | from |
//! |---|---|
//! | `message` | the line; or the fields of the object that the line is, as long as `DECODE_JSON_LOGS` does not say `false` |
//! | `docker.name`, `.id`, `.image`, `.hostname` | the container; the name with its slash |
//! | `docker.labels` | its labels, `.` replaced by `_`, where `DOCKER_LABELS` is set |
//! | `stream`, `tags` | the stream, and the list in `LOGSTASH_TAGS` |
//! | any other | `LOGSTASH_FIELDS`, `name=value` with commas between |
//!
//! `LOGSTASH_TAGS`, `LOGSTASH_FIELDS` and `DECODE_JSON_LOGS` are looked for in the container's environment, then in elkhound's.

use elkhound_pipeline::map::Map;
use elkhound_pipeline::value::Value;

use super::metadata::{Container, Labels};
use super::position::Stream;

/// Variables of Logspout that have no effect here, each with what to do instead.
const REPLACED: &[(&str, &str)] = &[
    (
        "ROUTE_URIS",
        "name the target in the pipeline, as in output { elasticsearch { hosts => \"elasticsearch:9200\" } }; the filters in its query are heeded",
    ),
    ("ROUTESPATH", "name the target in the pipeline's output"),
    ("BACKLOG", "say where to begin by start_position"),
    ("TAIL", "say where to begin by start_position"),
    ("RAW_FORMAT", "shape events by filters"),
    ("SYSLOG_FORMAT", "shape events by filters"),
    ("INCLUDE_CONTAINERS", "keep what you want by a condition on [container][name]"),
];

/// Logspout's variables in elkhound's own environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logspout {
    labels: bool,
    tags: String,
    fields: String,
    decode: String,
}

impl Logspout {
    /// Reads them.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name| variable(name).unwrap_or_default();
        Self {
            labels: !text("DOCKER_LABELS").is_empty(),
            tags: text("LOGSTASH_TAGS"),
            fields: text("LOGSTASH_FIELDS"),
            decode: text("DECODE_JSON_LOGS"),
        }
    }

    /// The fields that all lines of `stream` share.
    pub(crate) fn fields(&self, container: &Container, stream: Stream, labels: &Labels) -> Map {
        let mut docker = Map::with_capacity(5);
        docker.push("name".into(), format!("/{}", container.name).into());
        docker.push("id".into(), container.id.as_str().into());
        docker.push("image".into(), container.image.as_str().into());
        docker.push("hostname".into(), container.hostname.as_str().into());
        if self.labels {
            docker.push("labels".into(), container.plain_labels(labels).into());
        }
        let mut fields = Map::new();
        fields.push("@version".into(), "1".into());
        fields.push("docker".into(), docker.into());
        fields.push("stream".into(), stream.name().into());
        let tags = container.variable("LOGSTASH_TAGS").unwrap_or(&self.tags);
        let tags = tags.split(',').filter(|tag| !tag.is_empty()).map(Value::from).collect();
        fields.push("tags".into(), Value::list(tags));
        let more = container.variable("LOGSTASH_FIELDS").unwrap_or(&self.fields);
        for (name, value) in more.split(',').filter_map(|field| field.split_once('=')) {
            fields.insert(name.into(), value.into());
        }
        fields
    }

    /// Whether lines of `container` that are objects become their fields.
    pub(crate) fn decodes(&self, container: &Container) -> bool {
        let said = container.variable("DECODE_JSON_LOGS").unwrap_or(&self.decode);
        !said.eq_ignore_ascii_case("false")
    }
}

/// What to write in place of Logspout's variables that are set and have no effect.
pub(crate) fn advice(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    REPLACED
        .iter()
        .filter(|(name, _)| is_set(name))
        .map(|(name, instead)| format!("{name} is not read; {instead}"))
        .collect()
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

    fn container(environment: &[&str]) -> Container {
        Container {
            id: "ab12".into(),
            name: "web.1.x".into(),
            image: "web:1".into(),
            hostname: "ab12".into(),
            labels: [("a.b".to_owned(), "c".to_owned())].into(),
            environment: environment.iter().map(|entry| (*entry).to_owned()).collect(),
            ..Container::default()
        }
    }

    #[test]
    fn an_event_has_the_adapters_shape() {
        let plain = Logspout::read(|_| None).fields(&container(&[]), Stream::Stderr, &Labels::default());
        let expected = r#"{"@version":"1","docker":{"name":"/web.1.x","id":"ab12","image":"web:1","hostname":"ab12"},"stream":"stderr","tags":[]}"#;
        assert_eq!(shown(&plain), expected);
        let set = Logspout::read(|name| Some(format!("global-{name}")));
        let full = set.fields(
            &container(&["LOGSTASH_TAGS=a,b", "LOGSTASH_FIELDS=env=prod,team=shop"]),
            Stream::Stdout,
            &Labels::default(),
        );
        let expected = r#"{"@version":"1","docker":{"name":"/web.1.x","id":"ab12","image":"web:1","hostname":"ab12","labels":{"a_b":"c"}},"stream":"stdout","tags":["a","b"],"env":"prod","team":"shop"}"#;
        assert_eq!(shown(&full), expected);
        assert_eq!(
            set.fields(&container(&[]), Stream::Stdout, &Labels::default()).get("tags"),
            Some(&Value::list(vec!["global-LOGSTASH_TAGS".into()]))
        );
    }

    #[test]
    fn a_container_decides_whether_its_lines_are_decoded() {
        let (on, off) = (Logspout::default(), Logspout::read(|_| Some("false".into())));
        assert!(on.decodes(&container(&[])) && !off.decodes(&container(&[])));
        assert!(
            !on.decodes(&container(&["DECODE_JSON_LOGS=False"])) && off.decodes(&container(&["DECODE_JSON_LOGS=true"]))
        );
    }

    #[test]
    fn what_has_no_effect_is_told_with_what_to_do() {
        let told = advice(|name| (name == "ROUTE_URIS").then(|| "logstash://logstash:5000".into()));
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("ROUTE_URIS is not read; name the target in the pipeline"), "{told:?}");
    }
}
