//! What the tables of inputs and outputs, and the reading of their options, have in common.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

/// A row of an option's table, for options that are not required.
pub(crate) const fn option(
    name: &'static str,
    kind: OptionKind,
    default: &'static str,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, default, required: false, help }
}

/// A row for an option that the plugin can't do without.
pub(crate) const fn required(name: &'static str, kind: OptionKind, help: &'static str) -> OptionSpec {
    OptionSpec { name, kind, default: "", required: true, help }
}

/// The option `port` of who listens.
pub(crate) fn port(options: &mut Options<'_>) -> Option<u16> {
    let port = options.integer("port", 0);
    if options.was_set("port") && u16::try_from(port).is_err() {
        options.fail(
            "port",
            &format!("there is no port {port}"),
            "use a port from 1 to 65535, or 0 for any that is free",
        );
    }
    u16::try_from(port).ok()
}
