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
        "input" => OTHER_INPUTS,
        "filter" => OTHER_FILTERS,
        "output" => OTHER_OUTPUTS,
        "codec" => OTHER_CODECS,
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
    "dots",
    "edn",
    "edn_lines",
    "es_bulk",
    "fluent",
    "graphite",
    "java_line",
    "java_plain",
    "jdots",
    "json",
    "json_lines",
    "line",
    "msgpack",
    "multiline",
    "netflow",
    "plain",
    "rubydebug",
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
    "graphite",
    "heartbeat",
    "http",
    "http_poller",
    "java_generator",
    "java_stdin",
    "jdbc",
    "jms",
    "kafka",
    "logstash",
    "pipe",
    "pipeline",
    "rabbitmq",
    "redis",
    "s3",
    "snmp",
    "snmptrap",
    "sqs",
    "stdin",
    "syslog",
    "tcp",
    "twitter",
    "udp",
    "unix",
];

const FILTERS: &[&str] = &[
    "aggregate",
    "anonymize",
    "cidr",
    "clone",
    "csv",
    "date",
    "de_dot",
    "dissect",
    "dns",
    "drop",
    "elastic_integration",
    "elasticsearch",
    "fingerprint",
    "geoip",
    "grok",
    "http",
    "java_uuid",
    "jdbc_static",
    "jdbc_streaming",
    "json",
    "kv",
    "memcached",
    "metrics",
    "mutate",
    "prune",
    "ruby",
    "sleep",
    "split",
    "syslog_pri",
    "throttle",
    "translate",
    "truncate",
    "urldecode",
    "useragent",
    "uuid",
    "xml",
];

const OUTPUTS: &[&str] = &[
    "cloudwatch",
    "csv",
    "elasticsearch",
    "email",
    "file",
    "graphite",
    "http",
    "java_stdout",
    "kafka",
    "logstash",
    "lumberjack",
    "nagios",
    "null",
    "pipe",
    "pipeline",
    "rabbitmq",
    "redis",
    "s3",
    "sink",
    "sns",
    "sqs",
    "stdout",
    "tcp",
    "udp",
    "webhdfs",
];

const OTHER_CODECS: &[&str] = &[
    "cloudwatch_logs",
    "compress_spooler",
    "csv_lines",
    "gzip",
    "gzip_lines",
    "json_gz",
    "json_pretty",
    "kafka_json",
    "nmap",
    "oldlogstashjson",
    "protobuf",
    "s3plain",
    "sflow",
    "snappy",
    "spool",
    "xml",
];

const OTHER_INPUTS: &[&str] = &[
    "amqp",
    "collectd",
    "dynamodb",
    "eventlog",
    "github",
    "google_analytics",
    "google_cloud_storage",
    "google_pubsub",
    "heroku",
    "imap",
    "irc",
    "jmx",
    "journald",
    "kinesis",
    "log4j",
    "log4j2",
    "lumberjack",
    "meetup",
    "mongodb",
    "mqtt",
    "okta",
    "opensearch",
    "perfmon",
    "puppet_facter",
    "rackspace",
    "relp",
    "rss",
    "s3-sns-sqs",
    "salesforce",
    "sqlite",
    "sqs_s3",
    "stomp",
    "syslog_ng",
    "varnishlog",
    "websocket",
    "wmi",
    "xmpp",
    "zenoss",
    "zeromq",
];

const OTHER_FILTERS: &[&str] = &[
    "accumulate",
    "age",
    "alter",
    "base64",
    "bytes",
    "checksum",
    "cipher",
    "collate",
    "elapsed",
    "emoji",
    "environment",
    "extractnumbers",
    "fuzzyhash",
    "gelfify",
    "grep",
    "hashid",
    "i18n",
    "ipip",
    "json_diff",
    "math",
    "metaevent",
    "metricize",
    "multiline",
    "oui",
    "phpipam",
    "punct",
    "range",
    "sleep_until",
    "threats_classifier",
    "tld",
    "uaparser",
    "unique",
    "wurfl_device_detection",
    "yaml",
    "zeromq",
];

const OTHER_OUTPUTS: &[&str] = &[
    "amazon_es",
    "azure_blob",
    "azure_loganalytics",
    "boundary",
    "circonus",
    "clickhouse",
    "datadog",
    "datadog_metrics",
    "dynamodb",
    "dynatrace",
    "elastic_app_search",
    "elastic_workplace_search",
    "elasticsearch_http",
    "elasticsearch_river",
    "exec",
    "ganglia",
    "gelf",
    "gemfire",
    "google_bigquery",
    "google_cloud_storage",
    "google_pubsub",
    "graphtastic",
    "hipchat",
    "honeycomb_json_batch",
    "influxdb",
    "irc",
    "jdbc",
    "jira",
    "jms",
    "journald",
    "juggernaut",
    "kinesis",
    "librato",
    "logentries",
    "loggly",
    "logzio",
    "loki",
    "metriccatcher",
    "microsoft-logstash-output-azure-loganalytics",
    "microsoft-sentinel-log-analytics-logstash-output-plugin",
    "mongodb",
    "mqtt",
    "nagios_nsca",
    "neo4j",
    "newrelic",
    "opensearch",
    "opentsdb",
    "pagerduty",
    "rackspace",
    "redmine",
    "riak",
    "riemann",
    "rocketmq",
    "sentry",
    "slack",
    "solr_http",
    "splunk",
    "statsd",
    "stomp",
    "sumologic",
    "syslog",
    "telegram",
    "timber",
    "websocket",
    "xmpp",
    "zabbix",
    "zeromq",
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
