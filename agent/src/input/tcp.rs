//! Takes events over TCP: waits for connections, or connects to a server. A line is an event.
//!
//! This is how elkhound takes Logstash's seat on port 5000 while hosts are moved over. The fields tell where an event comes from: with ECS
//! `[@metadata][input][tcp][source][name]`, `[…][ip]` and `[…][port]`; without it `host`, `[@metadata][ip_address]` and `port`. Behind a proxy there
//! are `[@metadata][input][tcp][proxy][ip]` and `[…][port]`, or `proxy_host` and `proxy_port`; of a peer that shows a certificate
//! `[@metadata][input][tcp][tls][client][subject]`, or `sslsubject`. A field that the event brought along is kept.
//!
//! While the queue is full nothing is read, and the peer has to wait.
//!
//! ## Options
//!
//! - `port` (number, required): the port to listen on, or to connect to. 0 takes any that is free, and the log says which.
//! - `host` (text, default `0.0.0.0`): the address to listen on, or the server to connect to. `::` listens on IPv6 and IPv4.
//! - `mode` (`server` or `client`, default `server`).
//! - `codec` (default `line`).
//! - `dns_reverse_lookup_enabled` (default `true`): ask the name service for the peer's name, once for each connection; without an answer within two
//!   seconds the address stands for it.
//! - `proxy_protocol` (default `false`): each connection begins with a line of the PROXY protocol, version 1.
//! - `tcp_keep_alive` (default `false`): let the kernel find out that a silent peer is gone.
//! - `ecs_compatibility` (`disabled`, `v1` or `v8`, default as the pipeline's).
//!
//! With TLS:
//!
//! - `ssl_enabled` (default `false`).
//! - `ssl_certificate`, `ssl_key` (PEM files): ours; a server needs them. `ssl_key_passphrase`: what the key is encrypted with, as PKCS#8
//!   says (`BEGIN ENCRYPTED PRIVATE KEY`). `ssl_extra_chain_certs` (files): certificates between ours and the authority.
//! - `ssl_client_authentication` (`none`, `optional` or `required`, default `required`): whether a client must show a certificate that one of
//!   `ssl_certificate_authorities` (PEM files) has signed.
//! - `ssl_verification_mode` (`full` or `none`, default `full`): in client mode, whether the server's certificate is looked at.
//! - `ssl_supported_protocols` (of `TLSv1.2` and `TLSv1.3`, default both), `ssl_cipher_suites` (names, default all).
//!
//! The names `ssl_enable`, `ssl_cert` and `ssl_verify` of older files are refused with the new name, as by Logstash 9.
//!
//! What an untrusted peer can use up is bounded:
//!
//! - `max_connections` (number, default 1024): when there are as many, the one that was silent longest is closed if that was for a minute;
//!   otherwise the newcomer is turned away.
//! - `max_line_bytes` (size, default `1 MiB`): a line that has not ended by then is cut into several events. All unfinished lines together hold 64 MiB.
//! - `idle_timeout` (seconds, default 0): a connection that is silent for longer is closed; 0 never closes one.
//! - A connection that has not said its PROXY line and agreed on keys within ten seconds is closed.
//!
//! ## Example
//!
//! ```text
//! input { tcp { port => 5000 type => "syslog" } }
//! ```
//!
//! ## On failure
//!
//! A port that can't be listened on ends elkhound. Trouble with one connection ends that connection, and the log says why. What a peer has sent and
//! elkhound has not handed to an output when it is killed is lost, for TCP has no receipts; to send it again is the peer's part. With `queue.type: persisted`
//! what was written to the queue on disk is not lost, and the peer need not wait while outputs are away.
//!
//! ## Differences from Logstash
//!
//! `max_connections`, `max_line_bytes` and `idle_timeout` are elkhound's own; Logstash has no such limits. TLSv1.1 is not offered. The line of
//! the PROXY protocol is expected before TLS begins, as HAProxy sends it. The authorities of the public are Mozilla's, not the JVM's.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use elkhound_config::options::{OptionKind, OptionSpec, Options as Cursor};
use elkhound_pipeline::codec::{self, Codec, Usage};
use elkhound_pipeline::flow::queue::Queue;
use tokio_util::sync::CancellationToken;

use super::{Input, Kind, Port, Running, World, option, port};
use crate::tls::options::{self as tls, Mode, Tls};

mod connection;
mod fields;
mod proxy;
mod seats;
mod server;
mod subject;

use connection::Shared;
use fields::Names;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "tcp",
    options: &[
        option("codec", OptionKind::Codec, "line", "how bytes become events"),
        option("dns_reverse_lookup_enabled", OptionKind::Boolean, "true", "ask the name service for the peer's name"),
        option("ecs_compatibility", super::ECS_MODES, "", "default as the pipeline's"),
        option("host", OptionKind::String, "0.0.0.0", "the address to listen on, or the server"),
        option("idle_timeout", OptionKind::Number, "0", "seconds of silence after which a connection is closed"),
        option("max_connections", OptionKind::Number, "1024", "the most connections at a time"),
        option("max_line_bytes", OptionKind::Bytes, "1 MiB", "the longest line"),
        option("mode", OptionKind::OneOf(&["server", "client"]), "server", "wait for connections, or connect"),
        OptionSpec { name: "port", kind: OptionKind::Number, default: "", required: true, help: "the port" },
        option("proxy_protocol", OptionKind::Boolean, "false", "a line of the PROXY protocol comes first"),
        tls::OLD_CERTIFICATE,
        tls::CERTIFICATE,
        tls::AUTHORITIES,
        tls::CIPHER_SUITES,
        tls::authentication("required"),
        tls::OLD_ENABLED,
        tls::ENABLED,
        option("ssl_extra_chain_certs", OptionKind::Array, "[]", "certificates between ours and the authority"),
        tls::KEY,
        tls::KEY_PASSPHRASE,
        tls::PROTOCOLS,
        tls::VERIFICATION,
        tls::OLD_VERIFICATION,
        option("tcp_keep_alive", OptionKind::Boolean, "false", "let the kernel look after silent peers"),
    ],
    docs: elkhound_pipeline::docs::head(include_str!("tcp.rs")),
    build,
};

struct Options {
    mode: Mode,
    host: String,
    port: u16,
    codec: Arc<dyn Codec>,
    names: Names,
    tls: Tls,
    most: usize,
    longest: usize,
    idle: Option<Duration>,
    proxy: bool,
    reverse_lookup: bool,
    keep_alive: bool,
}

fn build(options: &mut Cursor<'_>, world: &World<'_>) -> Option<Box<dyn Input>> {
    let mode = if options.text_or("mode", "server") == "client" { Mode::Client } else { Mode::Server };
    let host = options.text_or("host", "0.0.0.0");
    let port = port(options, if mode == Mode::Client { Port::There } else { Port::Here });
    let tls = tls::read(options, mode, &host);
    let most = at_least_one(options, "max_connections", 1024);
    let longest = options.bytes("max_line_bytes", 1 << 20);
    if !(1..=64 << 20).contains(&longest) {
        let message = format!("max_line_bytes can't be {longest}");
        options.fail("max_line_bytes", &message, "use a size between 1 and 64 MiB");
    }
    let idle = options.number("idle_timeout", 0.0);
    if !(0.0..=1e9).contains(&idle) {
        options.fail("idle_timeout", &format!("idle_timeout can't be {idle}"), "use seconds, or 0 for none");
    }
    let codec = codec::read(options, "line", Usage::Stream, world.setup);
    let names = Names::new(world.setup.ecs_of(options));
    let proxy = options.boolean("proxy_protocol", false);
    let reverse_lookup = options.boolean("dns_reverse_lookup_enabled", true);
    let keep_alive = options.boolean("tcp_keep_alive", false);
    if options.has_failed() {
        return None;
    }
    let idle = (idle > 0.0).then(|| Duration::from_secs_f64(idle));
    let (port, tls, codec, most, longest) = (port?, tls?, codec?, most?, longest as usize);
    Some(Box::new(Tcp(Options {
        mode,
        host,
        port,
        codec,
        names,
        tls,
        most,
        longest,
        idle,
        proxy,
        reverse_lookup,
        keep_alive,
    })))
}

fn at_least_one(options: &mut Cursor<'_>, name: &str, default: i64) -> Option<usize> {
    let number = options.integer(name, default);
    if number < 1 {
        options.fail(name, &format!("{name} can't be {number}"), "use 1 or more");
    }
    usize::try_from(number).ok()
}

struct Tcp(Options);

impl Input for Tcp {
    fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> Running {
        let Options { mode, host, port, codec, names, tls, most, longest, idle, proxy, reverse_lookup, keep_alive } =
            self.0;
        let held = Arc::new(AtomicUsize::new(0));
        let shared = Shared { codec, names, queue, stop, tls, longest, idle, proxy, reverse_lookup, keep_alive, held };
        Box::pin(async move {
            match mode {
                Mode::Server => server::listen(shared, &host, port, most).await,
                Mode::Client => server::connect(shared, &host, port).await,
            }
        })
    }
}
