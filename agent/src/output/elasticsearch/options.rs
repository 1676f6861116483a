//! The table of the output's options: Logstash's, by Logstash's names, and a few of our own (`bulk_…`).

use elkhound_config::options::{OptionKind, OptionSpec, Options};

/// Settings that say how to reach Elasticsearch; they go with an index and with a data stream.
pub(super) fn of_connection(name: &str) -> bool {
    let ours = name.starts_with("bulk_") || name.starts_with("retry_") && name != "retry_on_conflict";
    let common = matches!(name, "id" | "enable_metric" | "codec" | "workers");
    ours || common || name.starts_with("ssl_") || name.starts_with("pool_") || CONNECTION.contains(&name)
}

const CONNECTION: &[&str] = &[
    "api_key",
    "ca_trusted_fingerprint",
    "cloud_auth",
    "cloud_id",
    "compression_level",
    "custom_headers",
    "dlq_custom_codes",
    "dlq_on_failed_indexname_interpolation",
    "failure_type_logging_whitelist",
    "healthcheck_path",
    "hosts",
    "http_compression",
    "parameters",
    "password",
    "path",
    "proxy",
    "resurrect_delay",
    "silence_errors_in_log",
    "sniffing",
    "sniffing_delay",
    "sniffing_path",
    "timeout",
    "user",
    "validate_after_inactivity",
];

const NO_EFFECT_YET: &str = "taken from old files, without effect yet";
const NO_EFFECT: &str = "taken from old files; there is nothing here that it would steer";
const LISTS: OptionKind = OptionKind::List(&OptionKind::String);
const NOT_JAVA: &str = "Java's key stores can't be read; use PEM files";
const OLD: &str = "old name";
const NO_NODE: &str = "take it out, and name the nodes in `hosts`; elkhound is no node of the cluster";
const STORES: &[&str] = &["pkcs12", "jks"];
const LEVELS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// The table, sorted by name.
pub(super) const OPTIONS: &[OptionSpec] = &[
    option(
        "action",
        OptionKind::String,
        "create",
        "create, index, update, delete, or references that give one of them; with create, sending an event twice is harmless",
    ),
    option("api_key", OptionKind::Password, "", "`id:key`, or the same in base64"),
    option("bind_host", OptionKind::Obsolete(NO_NODE), "", OLD),
    option("bind_port", OptionKind::Obsolete(NO_NODE), "", OLD),
    option(
        "bulk_ids",
        OptionKind::Boolean,
        "true",
        "whether documents get an _id from elkhound; without, an event that is sent twice is there twice",
    ),
    option(
        "bulk_max_bytes",
        OptionKind::Bytes,
        "1mib",
        "a request is sent when it is this large; it becomes smaller while Elasticsearch does not keep up",
    ),
    option(
        "bulk_max_delay",
        OptionKind::Number,
        "0.5",
        "a request is sent when its first event has waited this many seconds",
    ),
    option("bulk_path", OptionKind::String, "`path` and `_bulk`", "where bulk requests go"),
    option("bulk_requests", OptionKind::Number, "2", "how many requests are under way at once"),
    option(
        "ca_trusted_fingerprint",
        LISTS,
        "",
        "SHA-256 of a certificate in the chain that the host shows, which is trusted then as an authority",
    ),
    option("cacert", OptionKind::Obsolete("write `ssl_certificate_authorities`"), "", OLD),
    option("cloud_auth", OptionKind::Password, "", "`user:password` for a cloud_id"),
    option("cloud_id", OptionKind::String, "", "an Elastic Cloud deployment, in place of hosts"),
    option("cluster", OptionKind::Obsolete(NO_NODE), "", OLD),
    option("codec", OptionKind::Codec, "plain", "accepted; documents are JSON"),
    option("compression_level", OptionKind::OneOf(LEVELS), "0", "above 0, requests are sent with gzip"),
    option("custom_headers", OptionKind::Hash, "{}", "headers for each request"),
    option(
        "data_stream",
        OptionKind::OneOf(&["true", "false", "auto"]),
        "auto",
        "whether events go to a data stream; auto: when no setting speaks for an index",
    ),
    option(
        "data_stream_auto_routing",
        OptionKind::Boolean,
        "true",
        "an event's own [data_stream] fields choose its stream",
    ),
    option("data_stream_dataset", OptionKind::String, "generic", "second part of the stream's name"),
    option("data_stream_namespace", OptionKind::String, "default", "third part of the stream's name"),
    option(
        "data_stream_sync_fields",
        OptionKind::Boolean,
        "true",
        "documents get the [data_stream] fields of their stream",
    ),
    option(
        "data_stream_type",
        OptionKind::OneOf(&["logs", "metrics", "synthetics", "traces"]),
        "logs",
        "first part of the stream's name",
    ),
    option("default_server_major_version", OptionKind::Number, "", NO_EFFECT),
    option(
        "dlq_custom_codes",
        OptionKind::List(&OptionKind::Number),
        "[]",
        "statuses beside 400 and 404 on which an event is refused for good, not tried again",
    ),
    option(
        "dlq_on_failed_indexname_interpolation",
        OptionKind::Boolean,
        "true",
        "with a dead letter queue: whether events go there that lack the field which names their index",
    ),
    option("doc_as_upsert", OptionKind::Boolean, "false", "update: the event becomes the document when there is none"),
    option("document_id", OptionKind::String, "the event's identity", "the document's _id, with references"),
    option(
        "document_type",
        OptionKind::Deprecated("types are gone since Elasticsearch 7; take it out", &OptionKind::String),
        "",
        NO_EFFECT,
    ),
    option("drop_error_types", LISTS, "[]", "types of errors on which an event is given up without a word"),
    option(
        "ecs_compatibility",
        OptionKind::OneOf(&["disabled", "v1", "v8"]),
        "the pipeline's",
        "whether events are in ECS form, as data streams need them",
    ),
    option("embedded", OptionKind::Obsolete(NO_NODE), "", OLD),
    option("failure_type_logging_whitelist", LISTS, "[]", "old name of silence_errors_in_log"),
    option("flush_size", OptionKind::Obsolete("take it out; `bulk_max_bytes` is the size of a request"), "", OLD),
    option("healthcheck_path", OptionKind::String, "", NO_EFFECT),
    option("hosts", OptionKind::Array, "[\"127.0.0.1:9200\"]", "where Elasticsearch answers"),
    option("http_compression", OptionKind::Boolean, "false", "send requests with gzip"),
    option("idle_flush_time", OptionKind::Obsolete("write `bulk_max_delay`"), "", OLD),
    option(
        "ilm_enabled",
        OptionKind::OneOf(&["true", "false", "auto"]),
        "auto",
        "whether documents go to a rollover alias; auto: when ilm_rollover_alias names one",
    ),
    option(
        "ilm_pattern",
        OptionKind::String,
        "{now/d}-000001",
        "what follows the alias in the name of its first index",
    ),
    option(
        "ilm_policy",
        OptionKind::String,
        "logstash-policy",
        "the alias's lifecycle policy; the default one is made",
    ),
    option("ilm_rollover_alias", OptionKind::String, "ecs-logstash", "the alias that documents are written to"),
    option("index", OptionKind::String, "ecs-logstash-%{+YYYY.MM.dd}", "the index, with references"),
    option("index_type", OptionKind::Obsolete("types are gone since Elasticsearch 7; take it out"), "", OLD),
    option("join_field", OptionKind::String, "", NO_EFFECT_YET),
    option("keystore", OptionKind::Obsolete("write `ssl_keystore_path`"), "", OLD),
    option("keystore_password", OptionKind::Obsolete("write `ssl_keystore_password`"), "", OLD),
    option(
        "manage_template",
        OptionKind::Boolean,
        "true",
        "install a template: that of `template`, else one for the alias or for ecs-logstash-*",
    ),
    option("max_retries", OptionKind::Obsolete("take it out; what can be tried again is, without an end"), "", OLD),
    option("node_name", OptionKind::Obsolete(NO_NODE), "", OLD),
    option("parameters", OptionKind::Hash, "{}", "added to the URL of each request"),
    option("parent", OptionKind::String, "", NO_EFFECT_YET),
    option("password", OptionKind::Password, "", "password of `user`"),
    option("path", OptionKind::String, "/", "where Elasticsearch is below its host, as behind a proxy"),
    option("pipeline", OptionKind::String, "", "ingest pipeline, with references"),
    option("pool_max", OptionKind::Number, "", NO_EFFECT),
    option("pool_max_per_route", OptionKind::Number, "", NO_EFFECT),
    option("port", OptionKind::Obsolete("write `hosts => [\"host:9200\"]`"), "", OLD),
    option("protocol", OptionKind::Obsolete("take it out; HTTP is all that is spoken"), "", OLD),
    option("proxy", OptionKind::Uri, "", "a proxy for all requests"),
    option("resurrect_delay", OptionKind::Number, "", NO_EFFECT),
    option("retry_initial_interval", OptionKind::Number, "2", "the first pause before trying again, in seconds"),
    option("retry_max_interval", OptionKind::Number, "64", "the longest pause before trying again, in seconds"),
    option("retry_on_conflict", OptionKind::Number, "1", "update: how often Elasticsearch itself tries again"),
    option("routing", OptionKind::String, "", "routing value, with references"),
    option("script", OptionKind::String, "", "update: a script, its name or its text, with references"),
    option("script_lang", OptionKind::String, "painless", "update: the script's language"),
    option(
        "script_type",
        OptionKind::List(&OptionKind::OneOf(&["inline", "indexed", "file"])),
        "[\"inline\"]",
        "update: whether `script` is a text or the name of a stored script",
    ),
    option("script_var_name", OptionKind::String, "event", "update: what the script calls the event"),
    option("scripted_upsert", OptionKind::Boolean, "false", "update: the script makes the document when there is none"),
    option("silence_errors_in_log", LISTS, "[]", "types of errors that are counted and not logged"),
    option("sniffing", OptionKind::Boolean, "", NO_EFFECT),
    option("sniffing_delay", OptionKind::Number, "", NO_EFFECT),
    option("sniffing_path", OptionKind::String, "", NO_EFFECT),
    option("ssl", OptionKind::Obsolete("write `ssl_enabled`"), "", OLD),
    option("ssl_certificate", OptionKind::Path, "", "the agent's own certificate, in PEM, with its chain"),
    option(
        "ssl_certificate_authorities",
        OptionKind::List(&OptionKind::Path),
        "",
        "PEM files with the certificates to trust",
    ),
    option(
        "ssl_certificate_verification",
        OptionKind::Obsolete("write `ssl_verification_mode`, which is `full` or `none`"),
        "",
        OLD,
    ),
    option("ssl_cipher_suites", LISTS, "", NO_EFFECT),
    option("ssl_enabled", OptionKind::Boolean, "by the URL", "https for hosts without a scheme"),
    option("ssl_key", OptionKind::Path, "", "the key of ssl_certificate, in PEM"),
    option("ssl_keystore_password", OptionKind::Password, "", NOT_JAVA),
    option("ssl_keystore_path", OptionKind::Path, "", NOT_JAVA),
    option("ssl_keystore_type", OptionKind::OneOf(STORES), "", NOT_JAVA),
    option("ssl_supported_protocols", LISTS, "", NO_EFFECT),
    option("ssl_truststore_password", OptionKind::Password, "", NOT_JAVA),
    option("ssl_truststore_path", OptionKind::Path, "", NOT_JAVA),
    option("ssl_truststore_type", OptionKind::OneOf(STORES), "", NOT_JAVA),
    option("ssl_verification_mode", OptionKind::OneOf(&["full", "none"]), "full", "whether certificates are checked"),
    option("template", OptionKind::Path, "", "a JSON file with the body of the index template to install"),
    option(
        "template_api",
        OptionKind::OneOf(&["auto", "legacy", "composable"]),
        "auto",
        "the kind of template; auto: composable from Elasticsearch 8 on",
    ),
    option("template_name", OptionKind::String, "the alias, or ecs-logstash", "the template's name"),
    option("template_overwrite", OptionKind::Boolean, "false", "replace a template of this name that is there already"),
    option(
        "timeout",
        OptionKind::Number,
        "60",
        "how long an answer may take, in seconds; a third of it may pass in waiting for a shard",
    ),
    option("truststore", OptionKind::Obsolete("write `ssl_truststore_path`"), "", OLD),
    option("truststore_password", OptionKind::Obsolete("write `ssl_truststore_password`"), "", OLD),
    option("upsert", OptionKind::String, "", "update: the document when there is none, as JSON, with references"),
    option("user", OptionKind::String, "", "user name"),
    option("validate_after_inactivity", OptionKind::Number, "", NO_EFFECT),
    option("version", OptionKind::String, "", "the document's version, with references"),
    option(
        "version_type",
        OptionKind::OneOf(&["internal", "external", "external_gt", "external_gte", "force"]),
        "",
        "how `version` is compared",
    ),
];

const fn option(name: &'static str, kind: OptionKind, default: &'static str, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, help }
}

/// Warns of each option without effect that was set to more than `false`.
pub(super) fn warn_of_what_has_no_effect(options: &mut Options<'_>) {
    for spec in OPTIONS.iter().filter(|spec| spec.help == NO_EFFECT_YET || spec.help == NO_EFFECT) {
        let name = spec.name;
        if matches!(spec.kind, OptionKind::Deprecated(..)) || options.text(name).is_none_or(|text| text == "false") {
            continue;
        }
        let (message, remedy) = if spec.help == NO_EFFECT_YET {
            (format!("`{name}` has no effect yet"), "set the fields of the relation in the filter section")
        } else {
            (format!("`{name}` has no effect: {}", reason(name)), "take it out")
        };
        options.warn(name, &message, remedy);
    }
}

fn reason(name: &str) -> &'static str {
    match name {
        "sniffing" | "sniffing_delay" | "sniffing_path" => "the hosts are those of the file; name several",
        "ssl_cipher_suites" | "ssl_supported_protocols" => "TLS 1.2 and 1.3 with safe suites are what there is",
        "default_server_major_version" => "Elasticsearch is asked for its version",
        _ => "connections are kept, checked and made again as they are needed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_option_of_the_connection_is_in_it() {
        assert!(OPTIONS.is_sorted_by_key(|spec| spec.name));
        for name in CONNECTION {
            assert!(OPTIONS.iter().any(|spec| spec.name == *name), "{name}");
        }
    }

    #[test]
    fn what_speaks_for_an_index() {
        let index: Vec<&str> = OPTIONS
            .iter()
            .map(|spec| spec.name)
            .filter(|name| !of_connection(name) && !name.starts_with("data_stream"))
            .collect();
        assert!(
            ["index", "action", "ilm_enabled", "manage_template", "retry_on_conflict"]
                .iter()
                .all(|name| index.contains(name))
        );
        assert!(!index.contains(&"hosts") && !index.contains(&"ssl_key") && !index.contains(&"bulk_max_bytes"));
    }
}
