//! Every setting in one table: flags, environment variables, settings files, `--help` and `elkhound settings` are all read from it.
//!
//! The names are Logstash's. A setting that elkhound does not act on is in the table too, so that an old `logstash.yml` is taken as it is; whoever
//! sets one to something else than what happens anyway is told so.

use std::time::Duration;

use elkhound_config::suggest;

/// A setting.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name in settings files, and the flag's; `name.*` is a whole family.
    pub(crate) name: &'static str,
    /// The flag's letter.
    pub(crate) short: Option<char>,
    /// What may be given.
    pub(crate) kind: Kind,
    /// What holds when nothing is given; empty for nothing.
    pub(crate) default: &'static str,
    /// One line for `--help`.
    pub(crate) help: &'static str,
    /// What comes of it.
    pub(crate) effect: Effect,
    /// Whether pipelines can differ in it.
    pub(crate) scope: Scope,
}

/// What may be given for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything, lists and maps too.
    Any,
    /// One text.
    Text,
    /// One text that nobody else is shown.
    Secret,
    /// A whole number, at least this.
    Number(usize),
    /// `true` or `false`; the flag alone is `true`.
    Switch,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A size: `1024`, `64mb`.
    Size,
    /// A time: `3s`, `500ms`.
    Time,
}

/// What comes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// What its help says.
    Works,
    /// Nothing yet; with these values nothing is missing.
    NotYet(&'static [&'static str]),
    /// Nothing, for this reason.
    None(&'static str),
}

/// Where a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// For the whole of elkhound.
    Process,
    /// For a pipeline; `pipelines.yml` may set it.
    Pipeline,
}

use Effect::{NotYet, Works};
use Kind::{Any, Number, OneOf, Secret, Size, Switch, Text, Time};
use Scope::{Pipeline, Process};

/// All settings, sorted by name.
pub(crate) const ROWS: &[Row] = &[
    row("allow_superuser", Switch, "true", "run as root", NO_SUPERUSER),
    row("api.auth.*", Any, "", "who may ask the monitoring API", Effect::None("any password is taken")),
    row("api.auth.basic.password", Secret, "", "Password of the monitoring API", Works),
    row("api.auth.basic.username", Text, "", "User of the monitoring API", Works),
    row("api.auth.type", OneOf(&["none", "basic"]), "none", "Login of the monitoring API: none, basic", Works),
    row("api.enabled", OneOf(BOTH), "true", "Whether the monitoring API answers", Works),
    row("api.environment", Text, "production", "What the monitoring API calls this environment", Works),
    row("api.http.host", Text, "", "Address of the monitoring API [default: 127.0.0.1]", Works),
    row(
        "api.http.port",
        Text,
        "9600-9700",
        "Port of the monitoring API, or several of which the first free one is taken",
        Works,
    ),
    row("api.ssl.*", Any, "", "TLS of the monitoring API", NotYet(&[])),
    row("api.ssl.certificate", Text, "", "Certificate of the monitoring API, a PEM file", Works),
    row("api.ssl.enabled", OneOf(BOTH), "false", "Whether the monitoring API speaks TLS", Works),
    row("api.ssl.key", Text, "", "Private key of the monitoring API, a PEM file", Works),
    row("api.ssl.keystore.password", Secret, "", "password of the API's key store", NO_JAVA_STORE),
    row("api.ssl.keystore.path", Text, "", "the API's key store", NO_JAVA_STORE),
    row("cloud.auth", Secret, "", "login at a hosted Elasticsearch", NO_CLOUD),
    row("cloud.id", Text, "", "a hosted Elasticsearch", NO_CLOUD),
    of_pipeline("config.debug", Switch, "false", "log the compiled pipeline", Effect::None("use log.level: debug")),
    row(
        "config.field_reference.escape_style",
        OneOf(&["none", "percent", "ampersand"]),
        "none",
        "how brackets in names of fields are written",
        NotYet(&["none"]),
    ),
    row("config.reload.automatic", Switch, "false", "Load pipelines again when their files change", Works).short('r'),
    row("config.reload.interval", Time, "3s", "How often changes are looked for", Works),
    of_pipeline("config.string", Text, "", "Pipeline text", Works).short('e'),
    of_pipeline("config.support_escapes", Switch, "false", "Interpret \\n, \\t, \\\" and the like in strings", Works),
    row(
        "config.test_and_exit",
        Switch,
        "false",
        "Check settings and pipelines, print all mistakes, and exit: 0 when there are none, else 1",
        Works,
    )
    .short('t'),
    of_pipeline("dead_letter_queue.enable", Switch, "false", "Keep documents that are refused for good", Works),
    of_pipeline("dead_letter_queue.flush_check_interval", Number(0), "1000", "part of the dead letter queue", NO_CHECK),
    of_pipeline(
        "dead_letter_queue.flush_interval",
        Number(0),
        "5000",
        "Milliseconds after which a segment is closed that nothing is written to",
        Works,
    ),
    of_pipeline("dead_letter_queue.max_bytes", Size, "1024mb", "How large the dead letter queue may become", Works),
    of_pipeline("dead_letter_queue.retain.age", Time, "", "How long refused documents are kept, such as 7d", Works),
    of_pipeline(
        "dead_letter_queue.storage_policy",
        OneOf(&["drop_newer", "drop_older"]),
        "drop_newer",
        "What is lost when the dead letter queue is full",
        Works,
    ),
    row(
        "event_api.tags.illegal",
        OneOf(&["rename", "warn"]),
        "rename",
        "what becomes of bad tags",
        NotYet(&["rename"]),
    ),
    row("http.host", Text, "", "old name of api.http.host", Works),
    row("http.port", Text, "", "old name of api.http.port", Works),
    row("interactive", Any, "", "a Ruby shell", Effect::None("elkhound has no Ruby shell")).short('i'),
    row("keystore.*", Any, "", "Java's key store", NO_KEYSTORE),
    row("log.format", OneOf(&["plain", "json"]), "plain", "plain or json", Works),
    row(
        "log.format.json.fix_duplicate_message_fields",
        Switch,
        "true",
        "keep messages of JSON logs apart",
        Effect::None("elkhound's JSON logs have no such fields"),
    ),
    row(
        "log.level",
        OneOf(&["error", "warn", "info", "debug", "trace", "fatal"]),
        "info",
        "error, warn, info, debug or trace",
        Works,
    ),
    row(
        "memory.max_in_flight",
        Size,
        "",
        "Bytes between inputs and outputs, over all pipelines [default: 24mb, or an eighth of the container's memory if that is less]",
        Works,
    ),
    of_pipeline("metric.collect", Switch, "true", "keep figures", Effect::None("elkhound always counts")),
    row("modules", Any, "", "Logstash's modules", Effect::None("set up pipelines in their place")).short('M'),
    row("monitoring.*", Any, "", "Logstash's monitoring", NO_MONITORING),
    row(
        "node.name",
        Text,
        "",
        "This host's name in events [default: the file /etc/host_hostname or the kernel's]",
        Works,
    )
    .short('n'),
    row("otel.*", Any, "", "OpenTelemetry", NotYet(&[])),
    of_pipeline(
        "path.config",
        Text,
        "",
        "Pipeline file, directory or glob; several files are joined in name order",
        Works,
    )
    .short('f'),
    row("path.data", Text, "/var/lib/elkhound", "Folder for cursors and other state", Works),
    of_pipeline(
        "path.dead_letter_queue",
        Text,
        "",
        "Folder of the dead letter queues; without it `dead_letter_queue` in path.data",
        Works,
    ),
    row("path.logs", Text, "", "a folder for logs", Effect::None("elkhound logs on standard error")).short('l'),
    row("path.plugins", Any, "", "plugins in Ruby", Effect::None("elkhound's plugins are built in")).short('p'),
    of_pipeline("path.queue", Text, "", "Folder of the queues on disk; without it `queue` in path.data", Works),
    row("path.settings", Text, "/etc/elkhound", "Folder with elkhound.yml or logstash.yml, and pipelines.yml", Works),
    of_pipeline(
        "pipeline.batch.delay",
        Number(0),
        "0",
        "How many milliseconds a worker waits for a batch to fill",
        Works,
    )
    .short('u'),
    of_pipeline("pipeline.batch.metrics.sampling_mode", Text, "", "how batches are measured", NO_JVM),
    row("pipeline.batch.output_chunking.growth_threshold_factor", Number(1), "1000", "how batches are cut", NO_JVM),
    of_pipeline("pipeline.batch.size", Number(1), "125", "The most events that a worker takes up at a time", Works)
        .short('b'),
    row("pipeline.buffer.type", OneOf(&["direct", "heap"]), "heap", "Java's buffers", NO_JVM),
    of_pipeline(
        "pipeline.ecs_compatibility",
        OneOf(&["disabled", "v1", "v8"]),
        "v8",
        "Names and defaults of plugins: disabled, v1, v8",
        Works,
    ),
    of_pipeline("pipeline.id", Text, "main", "The pipeline's name", Works),
    of_pipeline(
        "pipeline.ordered",
        OneOf(&["auto", "true", "false"]),
        "auto",
        "Keep the order of each source: auto (with one worker), true, false",
        Works,
    ),
    of_pipeline("pipeline.plugin_classloaders", Switch, "false", "Java's class loaders", NO_JVM),
    row("pipeline.recoverable", OneOf(&["auto", "true", "false"]), "false", "start again", NotYet(&["false"])),
    of_pipeline("pipeline.reloadable", Switch, "true", "Whether the pipeline may be loaded again", Works),
    row("pipeline.separate_logs", Switch, "false", "a log for each pipeline", NotYet(&["false"])),
    of_pipeline("pipeline.system", Switch, "false", "a pipeline of Logstash's own", NO_JVM),
    row("pipeline.unsafe_shutdown", Switch, "false", "end although events are under way", NO_HANG),
    of_pipeline("pipeline.workers", Number(1), "", "Worker threads that run filters [default: number of cores]", Works)
        .short('w'),
    of_pipeline(
        "queue.checkpoint.acks",
        Number(0),
        "1024",
        "Events taken out of the queue on disk after which its checkpoint is written; 0 for any number",
        Works,
    ),
    of_pipeline(
        "queue.checkpoint.interval",
        Number(0),
        "1000",
        "Milliseconds after which the queue on disk is synced and its checkpoint written; 0 for any time",
        Works,
    ),
    of_pipeline("queue.checkpoint.retry", Switch, "true", "try a checkpoint again", ALWAYS_AGAIN),
    of_pipeline(
        "queue.checkpoint.writes",
        Number(0),
        "1024",
        "Events written to the queue on disk after which it is synced; 0 for any number",
        Works,
    ),
    of_pipeline(
        "queue.compression",
        OneOf(&["none", "speed", "balanced", "size", "disabled"]),
        "none",
        "What is written to the queue on disk is compressed for this: none, speed, balanced, size",
        Works,
    ),
    of_pipeline("queue.drain", Switch, "false", "Whether a stop waits until the queue on disk is empty", Works),
    of_pipeline("queue.max_bytes", Size, "1024mb", "How large the queue on disk may become; then inputs wait", Works),
    of_pipeline("queue.max_events", Number(0), "0", "The most events in the queue on disk; 0 for any number", Works),
    of_pipeline("queue.page_capacity", Size, "64mb", "The size of a file of the queue on disk", Works),
    of_pipeline(
        "queue.type",
        OneOf(&["memory", "persisted"]),
        "memory",
        "Where events wait between inputs and filters: memory, or persisted on disk",
        Works,
    ),
    row(
        "shutdown.timeout",
        Time,
        "8s",
        "How long a stop may take; keep it below the ten seconds after which Docker kills",
        Works,
    ),
    row("slowlog.*", Any, "", "a log of slow events", NotYet(&[])),
    row(
        "spot.notice",
        OneOf(&["off", "aws", "gcp"]),
        "off",
        "Make haste when the cloud gives notice of the host's end: off, aws, gcp",
        Works,
    ),
    row("ssl.reload.automatic", Switch, "false", "load changed certificates", NotYet(&["false"])),
    row("xpack.*", Any, "", "Elastic's extensions", NO_MONITORING),
];

const BOTH: &[&str] = &["true", "false"];
const ALWAYS_AGAIN: Effect = Effect::None("what fails is always tried again");
const NO_SUPERUSER: Effect = Effect::None("elkhound runs as whoever starts it");
const NO_CHECK: Effect = Effect::None("segments are looked at as often as dead_letter_queue.flush_interval says");
const NO_CLOUD: Effect = Effect::None("set hosts, user and password of the elasticsearch output");
const NO_KEYSTORE: Effect = Effect::None("secrets are read from NAME_FILE or /run/secrets/NAME");
const NO_JAVA_STORE: Effect = Effect::None("elkhound reads PEM files: api.ssl.certificate and api.ssl.key");
const NO_MONITORING: Effect = Effect::None("elkhound does not ship figures about itself into a cluster");
const NO_JVM: Effect = Effect::None("it steers machinery that elkhound does not have");
const NO_HANG: Effect = Effect::None("a stop always ends within shutdown.timeout, and what was not safe is read again");

const fn row(name: &'static str, kind: Kind, default: &'static str, help: &'static str, effect: Effect) -> Row {
    Row { name, short: None, kind, default, help, effect, scope: Process }
}

const fn of_pipeline(name: &'static str, kind: Kind, default: &'static str, help: &'static str, effect: Effect) -> Row {
    Row { scope: Pipeline, ..row(name, kind, default, help, effect) }
}

impl Row {
    const fn short(self, letter: char) -> Self {
        Self { short: Some(letter), ..self }
    }

    /// The family's common beginning, with its dot, when the row is a family.
    pub(crate) fn family(&self) -> Option<&'static str> {
        self.name.strip_suffix('*')
    }

    /// The flag as people write it.
    pub(crate) fn flag(&self) -> String {
        self.short.map_or_else(|| format!("--{}", self.name), |letter| format!("-{letter}"))
    }

    /// The environment variable, named as in Logstash's image.
    pub(crate) fn variable(&self) -> String {
        self.name.to_ascii_uppercase().replace('.', "_")
    }

    /// Why `value` can't be taken, and nothing when it can.
    pub(crate) fn refusal(&self, value: &str) -> Option<String> {
        match self.kind {
            Any | Text | Secret => None,
            Number(least) => match value.trim().parse::<usize>() {
                Ok(number) if number >= least => None,
                Ok(_) => Some(format!("at least {least} is needed")),
                Err(_) => Some("it takes a whole number".into()),
            },
            Switch => (!BOTH.contains(&value)).then(|| "it takes true or false".into()),
            OneOf(words) => (!words.contains(&value)).then(|| format!("it takes {}", listed(words))),
            Size => size(value).is_none().then(|| "it takes a size such as 500mb".into()),
            Time => time(value).is_none().then(|| "it takes a time such as 3s or 500ms".into()),
        }
    }

    /// What to tell whoever sets it to `value` in vain.
    pub(crate) fn vain(&self, value: &str) -> Option<String> {
        match self.effect {
            Works => None,
            NotYet(harmless) => (!harmless.contains(&value)).then(|| "it has no effect yet".into()),
            Effect::None(why) => (value != self.default).then(|| format!("it has no effect: {why}")),
        }
    }
}

/// The row of the setting called `name`: its own, or that of its family.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    let own = ROWS.iter().find(|row| row.name == name);
    own.or_else(|| ROWS.iter().find(|row| row.family().is_some_and(|family| name.starts_with(family))))
}

/// The setting that was probably meant.
pub(crate) fn near(name: &str) -> Option<&'static str> {
    suggest::near(name, ROWS.iter().filter(|row| row.family().is_none()).map(|row| row.name))
}

/// `a, b or c`.
fn listed(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// The bytes of a size such as `64mb`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let unit = if unit == "b" { "" } else { unit.as_str() };
    let power = ["", "kb", "mb", "gb", "tb", "pb"].iter().position(|name| *name == unit)?;
    number.checked_mul(1 << (10 * power))
}

/// The duration of a time such as `500ms`; a bare number counts nanoseconds, as in Logstash.
pub(crate) fn time(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit.as_str() {
        "d" => seconds(86_400),
        "h" => seconds(3600),
        "m" => seconds(60),
        "s" => seconds(1),
        "ms" => Some(Duration::from_millis(number)),
        "micros" => Some(Duration::from_micros(number)),
        "" | "nanos" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// `64 MB` is 64 and `mb`.
fn number_and_unit(text: &str) -> Option<(u64, String)> {
    let (number, unit) = text.split_at(text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len()));
    Some((number.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_letters_are_unique() {
        assert!(ROWS.is_sorted_by(|a, b| a.name < b.name), "{:?}", ROWS.iter().map(|row| row.name).collect::<Vec<_>>());
        let mut letters: Vec<char> = ROWS.iter().filter_map(|row| row.short).collect();
        letters.sort_unstable();
        assert!(letters.is_sorted_by(|a, b| a < b), "{letters:?}");
    }

    #[test]
    fn every_default_is_one_that_may_be_given_and_needs_no_warning() {
        for row in ROWS.iter().filter(|row| !row.default.is_empty()) {
            assert_eq!(row.refusal(row.default), None, "{}", row.name);
            assert!(row.vain(row.default).is_none(), "{}", row.name);
        }
    }

    #[test]
    fn a_family_takes_what_has_no_row_of_its_own() {
        assert_eq!(find("xpack.monitoring.enabled").map(|row| row.name), Some("xpack.*"));
        assert_eq!(find("api.auth.basic.password").map(|row| row.kind), Some(Secret));
        assert!(find("pipeline.worker").is_none() && find("xpack").is_none());
        assert_eq!(near("pipeline.worker"), Some("pipeline.workers"));
    }

    #[test]
    fn values_are_held_against_their_kind() {
        let refusal = |name: &str, value: &str| find(name).and_then(|row| row.refusal(value)).unwrap_or_default();
        assert_eq!(refusal("pipeline.workers", "0"), "at least 1 is needed");
        assert_eq!(refusal("pipeline.workers", "two"), "it takes a whole number");
        assert_eq!(refusal("pipeline.ordered", "yes"), "it takes auto, true or false");
        assert_eq!(refusal("config.reload.automatic", "maybe"), "it takes true or false");
        for (name, value) in [("queue.max_bytes", "1 GB"), ("config.reload.interval", "500ms"), ("path.data", "")] {
            assert_eq!(refusal(name, value), "", "{name}");
        }
        for (name, value) in [("queue.max_bytes", "much"), ("config.reload.interval", "soon")] {
            assert_ne!(refusal(name, value), "", "{name}");
        }
    }

    #[test]
    fn sizes_and_times_have_units() {
        for (text, expected) in [("64mb", Some(64 << 20)), ("1 GB", Some(1 << 30)), ("7", Some(7)), ("7b", Some(7))] {
            assert_eq!(size(text), expected, "{text}");
        }
        for (text, expected) in [("7d", Some(604_800_000)), ("500ms", Some(500)), ("3 s", Some(3000)), ("3 w", None)] {
            assert_eq!(time(text).map(|time| time.as_millis()), expected, "{text}");
        }
        assert_eq!(size("9999999pb"), None);
    }

    #[test]
    fn what_happens_anyway_needs_no_warning() {
        let vain = |name: &str, value: &str| find(name).and_then(|row| row.vain(value));
        assert_eq!(vain("pipeline.separate_logs", "false"), None);
        assert_eq!(vain("pipeline.separate_logs", "true").as_deref(), Some("it has no effect yet"));
        assert_eq!(vain("path.logs", "/x").as_deref(), Some("it has no effect: elkhound logs on standard error"));
    }
}
