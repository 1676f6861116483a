//! Plugins that no table of elkhound has: those that Logstash brings along, and those that others offer for it, are told apart from slips of
//! the pen.

use elkhound_config::ast::Plugin;
use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::suggest;

/// The code of the diagnostic for a plugin that Logstash has and elkhound doesn't.
pub const NOT_THERE_YET: &str = "plugin-not-there-yet";

/// The diagnostic for a plugin that is in none of elkhound's tables; the agent uses it for its own tables. Nothing for a name in
/// quotes: the parser has reported those.
pub fn unknown(kind: &str, plugin: &Plugin, known: impl Iterator<Item = &'static str>) -> Option<Diagnostic> {
    (!plugin.name.starts_with(['"', '\''])).then(|| missing(kind, plugin, known))
}

fn missing(kind: &str, plugin: &Plugin, known: impl Iterator<Item = &'static str>) -> Diagnostic {
    let known: Vec<&str> = known.collect();
    if of_logstash(kind).binary_search(&plugin.name.as_str()).is_ok() {
        return not_there_yet(kind, plugin, &known);
    }
    if of_others(kind).binary_search(&plugin.name.as_str()).is_ok() {
        return foreign(kind, plugin, &known);
    }
    let message = format!("there is no {kind} called `{}`", plugin.name);
    let help = match suggest::near(&plugin.name, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("elkhound has: {}", known.join(", ")),
    };
    Diagnostic::error("unknown-plugin", plugin.name_span, message).with_help(help)
}

fn not_there_yet(kind: &str, plugin: &Plugin, known: &[&str]) -> Diagnostic {
    let message = format!("Logstash's {kind} `{}` is not there yet in elkhound", plugin.name);
    let help = format!("take it out, or let a Logstash do its work; elkhound has: {}", known.join(", "));
    Diagnostic::error(NOT_THERE_YET, plugin.name_span, message).with_help(help)
}

/// A plugin that a Logstash has only when someone has installed it.
fn foreign(kind: &str, plugin: &Plugin, known: &[&str]) -> Diagnostic {
    let message = format!("the {kind} `{}` does not come with Logstash, and elkhound does not have it", plugin.name);
    let help = format!("take it out, or let a Logstash that has it do its work; elkhound has: {}", known.join(", "));
    Diagnostic::error("unknown-plugin", plugin.name_span, message).with_help(help)
}

/// Plugins of a kind that pipeline files name and that have to be installed, sorted; some came with a Logstash of old.
fn of_others(kind: &str) -> &'static [&'static str] {
    match kind {
        "input" => &[
            "amqp",
            "collectd",
            "dynamodb",
            "eventlog",
            "google_analytics",
            "heroku",
            "journald",
            "log4j2",
            "mongodb",
            "mqtt",
            "okta",
            "opensearch",
            "perfmon",
            "rackspace",
            "sqs_s3",
            "syslog_ng",
            "zenoss",
            "zeromq",
        ],
        "filter" => &[
            "accumulate",
            "base64",
            "checksum",
            "collate",
            "emoji",
            "fuzzyhash",
            "gelfify",
            "grep",
            "hashid",
            "ipip",
            "json_diff",
            "math",
            "metaevent",
            "multiline",
            "oui",
            "phpipam",
            "punct",
            "sleep_until",
            "uaparser",
            "unique",
            "yaml",
            "zeromq",
        ],
        "output" => &[
            "amazon_es",
            "azure_blob",
            "azure_loganalytics",
            "clickhouse",
            "dynamodb",
            "elasticsearch_http",
            "elasticsearch_river",
            "gemfire",
            "hipchat",
            "honeycomb_json_batch",
            "jdbc",
            "jira",
            "jms",
            "journald",
            "kinesis",
            "logentries",
            "logzio",
            "loki",
            "microsoft-logstash-output-azure-loganalytics",
            "microsoft-sentinel-log-analytics-logstash-output-plugin",
            "mqtt",
            "neo4j",
            "newrelic",
            "rackspace",
            "rocketmq",
            "sentry",
            "slack",
            "splunk",
            "sumologic",
            "telegram",
            "zeromq",
        ],
        "codec" => &["cloudwatch_logs", "csv_lines", "gzip", "json_gz", "kafka_json", "snappy", "xml"],
        _ => &[],
    }
}

/// The plugins of a kind that come with Logstash 9.5, sorted.
fn of_logstash(kind: &str) -> &'static [&'static str] {
    match kind {
        "input" => INPUTS,
        "filter" => FILTERS,
        "output" => OUTPUTS,
        "codec" => CODECS,
        _ => &[],
    }
}

const CODECS: &[&str] = &[
    "avro",
    "cef",
    "cloudfront",
    "cloudtrail",
    "collectd",
    "compress_spooler",
    "csv",
    "dots",
    "edn",
    "edn_lines",
    "es_bulk",
    "fluent",
    "graphite",
    "gzip_lines",
    "java_line",
    "java_plain",
    "jdots",
    "json",
    "json_lines",
    "json_pretty",
    "line",
    "msgpack",
    "multiline",
    "netflow",
    "nmap",
    "oldlogstashjson",
    "plain",
    "protobuf",
    "rubydebug",
    "s3plain",
    "sflow",
    "spool",
];

const INPUTS: &[&str] = &[
    "azure_event_hubs",
    "beats",
    "cloudwatch",
    "couchdb_changes",
    "dead_letter_queue",
    "elastic_agent",
    "elastic_serverless_forwarder",
    "elasticsearch",
    "exec",
    "file",
    "ganglia",
    "gelf",
    "generator",
    "github",
    "google_cloud_storage",
    "google_pubsub",
    "graphite",
    "heartbeat",
    "http",
    "http_poller",
    "imap",
    "irc",
    "java_generator",
    "java_stdin",
    "jdbc",
    "jms",
    "jmx",
    "kafka",
    "kinesis",
    "log4j",
    "logstash",
    "lumberjack",
    "meetup",
    "pipe",
    "pipeline",
    "puppet_facter",
    "rabbitmq",
    "redis",
    "relp",
    "rss",
    "s3",
    "s3-sns-sqs",
    "salesforce",
    "snmp",
    "snmptrap",
    "sqlite",
    "sqs",
    "stdin",
    "stomp",
    "syslog",
    "tcp",
    "twitter",
    "udp",
    "unix",
    "varnishlog",
    "websocket",
    "wmi",
    "xmpp",
];

const FILTERS: &[&str] = &[
    "age",
    "aggregate",
    "alter",
    "anonymize",
    "bytes",
    "cidr",
    "cipher",
    "clone",
    "csv",
    "date",
    "de_dot",
    "dissect",
    "dns",
    "drop",
    "elapsed",
    "elastic_integration",
    "elasticsearch",
    "environment",
    "extractnumbers",
    "fingerprint",
    "geoip",
    "grok",
    "http",
    "i18n",
    "java_uuid",
    "jdbc_static",
    "jdbc_streaming",
    "json",
    "json_encode",
    "kv",
    "memcached",
    "metricize",
    "metrics",
    "mutate",
    "prune",
    "range",
    "ruby",
    "sleep",
    "split",
    "syslog_pri",
    "threats_classifier",
    "throttle",
    "tld",
    "translate",
    "truncate",
    "urldecode",
    "useragent",
    "uuid",
    "wurfl_device_detection",
    "xml",
];

const OUTPUTS: &[&str] = &[
    "boundary",
    "circonus",
    "cloudwatch",
    "csv",
    "datadog",
    "datadog_metrics",
    "dynatrace",
    "elastic_app_search",
    "elastic_workplace_search",
    "elasticsearch",
    "email",
    "exec",
    "file",
    "ganglia",
    "gelf",
    "google_bigquery",
    "google_cloud_storage",
    "google_pubsub",
    "graphite",
    "graphtastic",
    "http",
    "influxdb",
    "irc",
    "java_stdout",
    "juggernaut",
    "kafka",
    "librato",
    "loggly",
    "logstash",
    "lumberjack",
    "metriccatcher",
    "mongodb",
    "nagios",
    "nagios_nsca",
    "null",
    "opensearch",
    "opentsdb",
    "pagerduty",
    "pipe",
    "pipeline",
    "rabbitmq",
    "redis",
    "redmine",
    "riak",
    "riemann",
    "s3",
    "sink",
    "sns",
    "solr_http",
    "sqs",
    "statsd",
    "stdout",
    "stomp",
    "syslog",
    "tcp",
    "timber",
    "udp",
    "webhdfs",
    "websocket",
    "xmpp",
    "zabbix",
];

#[cfg(test)]
mod tests {
    use elkhound_config::ast::Span;

    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        for kind in ["input", "filter", "output", "codec"] {
            assert!(of_logstash(kind).is_sorted() && of_others(kind).is_sorted(), "{kind}");
            assert!(!of_others(kind).iter().any(|name| of_logstash(kind).contains(name)), "{kind}");
        }
    }

    #[test]
    fn logstashs_plugins_are_told_apart_from_slips() {
        let told = |name: &str| {
            let plugin =
                Plugin { name: name.into(), name_span: Span::new(0, 1), settings: Vec::new(), span: Span::new(0, 1) };
            let mistake = unknown("filter", &plugin, ["date", "grok"].into_iter()).unwrap();
            (mistake.code, mistake.message)
        };
        assert_eq!(told("xml").0, NOT_THERE_YET);
        assert_eq!(told("grk"), ("unknown-plugin", "there is no filter called `grk`".to_owned()));
        let message = "the filter `math` does not come with Logstash, and elkhound does not have it".to_owned();
        assert_eq!(told("math"), ("unknown-plugin", message));
    }
}
