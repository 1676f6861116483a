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

/// Variables of Logspout and logspout-logstash that have no effect here, each with what to do instead. A `*` at the end stands for what all of a family begin with.
const REPLACED: &[(&str, &str)] = &[
    ("ALLOW_TTY", "containers with a terminal are always read"),
    ("BACKLOG", "say where to begin by start_position"),
    ("DEBUG", "set log.level, as by LOG_LEVEL=debug"),
    ("HTTP_BIND_ADDRESS", "set api.http.host, as by API_HTTP_HOST"),
    ("HTTP_PORT", "set api.http.port, as by API_HTTP_PORT"),
    ("INACTIVITY_TIMEOUT", "a log that is silent for long is opened again without it"),
    ("INCLUDE_CONTAINERS*", "say which containers are read by filter_name, or by a condition on [container][name]"),
    ("LOGSPOUT_MULTILINE", "have a container ask for it by the labels co.elastic.logs/multiline.*"),
    ("LOGSPOUT_TLS_*", "set ssl_certificate_authorities, ssl_certificate and ssl_key of the output"),
    ("MULTILINE_*", "have a container ask for it by the labels co.elastic.logs/multiline.*"),
    ("PORT", "set api.http.port, as by API_HTTP_PORT"),
    ("RAW_FORMAT", "shape events by filters"),
    ("RETRY_COUNT", AGAIN),
    ("RETRY_SEND", AGAIN),
    ("RETRY_STARTUP", AGAIN),
    ("ROUTESPATH", "name the target in the pipeline's output"),
    (
        "ROUTE_URIS",
        "name the target in the pipeline, as in output { elasticsearch { hosts => \"elasticsearch:9200\" } }; the filters in its query are heeded",
    ),
    ("SYSLOG_*", "shape events by filters"),
    ("TAIL", "say where to begin by start_position"),
];

const AGAIN: &str = "what can't be read or sent is tried again for as long as it takes";

/// Those among them that others than Logspout have as well: alone they are nobody's business.
const COMMON: &[&str] = &["DEBUG", "PORT"];

/// Variables that have an effect with `format => logspout` only.
const OF_ITS_FORMAT: &[&str] = &["DECODE_JSON_LOGS", "DOCKER_LABELS", "LOGSTASH_FIELDS", "LOGSTASH_TAGS"];

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

/// What to write in place of Logspout's variables that are set and have no effect, where events have its format or another one.
pub(crate) fn advice(set: impl Iterator<Item = (String, String)>, its_format: bool) -> Vec<String> {
    let mut names: Vec<String> = set.filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect();
    names.retain(|name| instead_of(name, its_format).is_some());
    names.sort_unstable();
    if names.iter().all(|name| COMMON.contains(&name.as_str())) {
        return Vec::new();
    }
    let told = names.iter().filter_map(|name| Some(format!("{name} is not read; {}", instead_of(name, its_format)?)));
    told.collect()
}

fn instead_of(name: &str, its_format: bool) -> Option<&'static str> {
    let is_it = |(row, _): &&(&str, &str)| match row.strip_suffix('*') {
        Some(family) => name.starts_with(family),
        None => *row == name,
    };
    if !its_format && OF_ITS_FORMAT.contains(&name) {
        return Some("write format => logspout for the events that it shapes");
    }
    REPLACED.iter().find(is_it).map(|(_, instead)| *instead)
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

    fn told(set: &[(&str, &str)], its_format: bool) -> Vec<String> {
        advice(set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())), its_format)
    }

    #[test]
    fn what_has_no_effect_is_told_with_what_to_do() {
        let told = told(&[("ROUTE_URIS", "logstash://logstash:5000"), ("TAIL", ""), ("PATH", "/bin")], false);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("ROUTE_URIS is not read; name the target in the pipeline"), "{told:?}");
    }

    /// Those in the READMEs of Logspout and logspout-logstash, but for EXCLUDE_LABEL and EXCLUDE_LABELS, which are heeded.
    #[test]
    fn each_variable_has_an_effect_or_is_told() {
        let all = "ALLOW_TTY BACKLOG TAIL DEBUG INACTIVITY_TIMEOUT HTTP_BIND_ADDRESS PORT HTTP_PORT ROUTESPATH RETRY_COUNT RAW_FORMAT \
            SYSLOG_DATA SYSLOG_FORMAT SYSLOG_HOSTNAME SYSLOG_PID SYSLOG_PRIORITY SYSLOG_STRUCTURED_DATA SYSLOG_TAG SYSLOG_TCP_FRAMING \
            SYSLOG_TIMESTAMP MULTILINE_ENABLE_DEFAULT MULTILINE_MATCH MULTILINE_PATTERN MULTILINE_FLUSH_AFTER MULTILINE_SEPARATOR \
            LOGSPOUT_MULTILINE LOGSPOUT_TLS_CA_CERTS LOGSPOUT_TLS_HARDENING INCLUDE_CONTAINERS INCLUDE_CONTAINERS_REGEX RETRY_STARTUP RETRY_SEND";
        for name in all.split_whitespace() {
            assert_eq!(told(&[(name, "1"), ("ROUTE_URIS", "raw://a:1")], true).len(), 2, "{name}");
        }
        assert_eq!(told(&[("PORT", "80"), ("DEBUG", "1")], true), [""; 0], "these are others' too");
        for name in OF_ITS_FORMAT {
            assert_eq!((told(&[(name, "1")], true).len(), told(&[(name, "1")], false).len()), (0, 1), "{name}");
        }
    }
}
