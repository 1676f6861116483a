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

/// What a port is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// For listening, where 0 is any that is free.
    Here,
    /// For connecting to.
    There,
}

/// The option `port`.
pub(crate) fn port(options: &mut Options<'_>, wanted: Port) -> Option<u16> {
    let number = options.integer("port", 0);
    let port = u16::try_from(number).ok().filter(|port| *port > 0 || wanted == Port::Here);
    if options.was_set("port") && port.is_none() {
        let help = match wanted {
            Port::Here => "use a port from 1 to 65535, or 0 for any that is free",
            Port::There => "write the port that the server listens on, from 1 to 65535",
        };
        options.fail("port", &format!("there is no port {number}"), help);
    }
    port
}
