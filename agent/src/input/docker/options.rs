//! The options of the docker input, as `elkhound docs` lists them; what they mean is told at the head of the input.

use elkhound_config::options::{OptionKind, OptionSpec};

/// Where dockerd keeps the logs of the driver json-file.
pub(super) const LOGS: &str = "/var/lib/docker/containers/*/*-json.log";

/// The table, sorted.
pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "exclude_labels",
        kind: OptionKind::Array,
        default: "",
        required: false,
        help: "containers with one of these labels are left out",
    },
    OptionSpec {
        name: "filter_id",
        kind: OptionKind::String,
        default: "",
        required: false,
        help: "what the id of a container that is read begins with",
    },
    OptionSpec {
        name: "filter_labels",
        kind: OptionKind::Array,
        default: "",
        required: false,
        help: "labels of containers that are read, with globs of their values",
    },
    OptionSpec {
        name: "filter_name",
        kind: OptionKind::String,
        default: "",
        required: false,
        help: "glob of the name of a container that is read",
    },
    OptionSpec {
        name: "filter_sources",
        kind: OptionKind::Array,
        default: "",
        required: false,
        help: "streams that are read",
    },
    OptionSpec {
        name: "format",
        kind: OptionKind::OneOf(&["ecs", "logspout"]),
        default: "ecs",
        required: false,
        help: "the fields of an event: Elastic Common Schema, or what logspout-logstash sends",
    },
    OptionSpec {
        name: "hints",
        kind: OptionKind::Boolean,
        default: "true",
        required: false,
        help: "heed what containers ask for by Filebeat's labels",
    },
    OptionSpec { name: "host", kind: OptionKind::String, default: "", required: false, help: "the engine's address" },
    OptionSpec {
        name: "labels",
        kind: OptionKind::Array,
        default: "",
        required: false,
        help: "globs of the labels that events carry",
    },
    OptionSpec {
        name: "max_line_bytes",
        kind: OptionKind::Bytes,
        default: "1 MiB",
        required: false,
        help: "the longest line",
    },
    OptionSpec {
        name: "offset",
        kind: OptionKind::Boolean,
        default: "false",
        required: false,
        help: "tell where each line begins in its log file",
    },
    OptionSpec {
        name: "opt_in",
        kind: OptionKind::Boolean,
        default: "false",
        required: false,
        help: "read only containers that ask for it",
    },
    OptionSpec {
        name: "path",
        kind: OptionKind::Path,
        default: LOGS,
        required: false,
        help: "glob of the log files, each * standing for a container's id",
    },
    OptionSpec {
        name: "rate_limit",
        kind: OptionKind::Number,
        default: "0",
        required: false,
        help: "lines a second that each container may write; 0 for any number",
    },
    OptionSpec {
        name: "read",
        kind: OptionKind::OneOf(&["auto", "api", "files"]),
        default: "auto",
        required: false,
        help: "straight from json-file's files, through the engine's API, or files where they can be read",
    },
    OptionSpec {
        name: "sequence",
        kind: OptionKind::Boolean,
        default: "false",
        required: false,
        help: "tell each line's place in its log",
    },
    OptionSpec {
        name: "start_position",
        kind: OptionKind::OneOf(&["beginning", "end"]),
        default: "beginning",
        required: false,
        help: "where to begin in logs older than elkhound's first start",
    },
    OptionSpec {
        name: "strip_ansi",
        kind: OptionKind::Boolean,
        default: "false",
        required: false,
        help: "leave out colours and other terminal control sequences",
    },
];
