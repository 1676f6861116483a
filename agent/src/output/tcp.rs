//! Sends events over TCP: to a server, or to all clients that connect.
//!
//! The codec says what stands between two events: `json`, the default as in Logstash, writes nothing there; `json_lines` and `line` write a line feed.
//!
//! ## Options
//!
//! - `host` (text, required): the server to connect to, or the address to listen on.
//! - `port` (number, required): the port to connect to, or to listen on. To listen, 0 takes any that is free, and the log says which.
//! - `mode` (`client` or `server`, default `client`).
//! - `codec` (default `json`): how an event is written.
//! - `reconnect_interval` (seconds, default 10): the longest pause before the server is tried again; the first ones are shorter.
//! - `ensure_delivery` (default `true`): in server mode, whether events wait while no client is connected, or else are dropped, which is logged
//!   and counted.
//!
//! With TLS:
//!
//! - `ssl_enabled` (default `false`).
//! - `ssl_certificate`, `ssl_key` (PEM files): ours; a server needs them. `ssl_key_passphrase`: what the key is encrypted with, as PKCS#8
//!   says (`BEGIN ENCRYPTED PRIVATE KEY`).
//! - `ssl_certificate_authorities` (PEM files, default those of the public): who may sign the peer's certificate.
//! - `ssl_verification_mode` (`full` or `none`, default `full`): in client mode, whether the server's certificate is looked at.
//! - `ssl_client_authentication` (`none`, `optional` or `required`, default `none`): in server mode, whether a client must show a certificate.
//! - `ssl_supported_protocols` (of `TLSv1.2` and `TLSv1.3`, default both), `ssl_cipher_suites` (names, default all).
//!
//! The names `ssl_enable`, `ssl_cert`, `ssl_cacert` and `ssl_verify` of older files are refused with the new name, as by Logstash 9.
//!
//! ## Example
//!
//! ```text
//! output { tcp { host => "logs.example.org" port => 5000 codec => json_lines } }
//! ```
//!
//! ## On failure
//!
//! As a client: while the server can't be reached or takes nothing, events wait, and the pipeline with them; `when_full => drop_newest` or `spill`, an option of every
//! output, has its new events dropped and counted instead, once 4 MiB of them wait, while the other outputs go on. TCP does not tell what a server has read
//! before its connection was lost. So what it may not have read is sent again over the next one: all that its kernel had not acknowledged, and, when
//! it has reset the connection, the last 12 MiB. Some events may come twice; none is missed. What was sent when elkhound itself ends, and
//! not read before the server ends too, is lost.
//!
//! As a server: an event is acknowledged when it is written to all clients that are connected, at least to one. A client that takes nothing holds up
//! the pipeline, and the log names it. What a client has not read when its connection is lost, it has missed. One that closes its own sending side has
//! gone.
//!
//! ## Differences from Logstash
//!
//! `ensure_delivery` is elkhound's own: Logstash's server drops what comes while no client is there, and keeps any number of events in memory for
//! a client that reads slowly. Logstash's client sends nothing again but the event that failed. TLSv1.1 is not offered. The
//! authorities of the public are Mozilla's, not the JVM's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use elkhound_config::options::{OptionKind, Options as Cursor};
use elkhound_pipeline::codec::{self, Usage};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::batches::Batches;
use super::retry::{Retry, seconds};
use super::{Kind, Output, World, option, required};
use crate::backoff::Backoff;
use crate::option::{Port, port};
use crate::tls::options::{self as tls, Mode, Tls};

mod client;
mod server;
mod unacknowledged;
mod window;

use client::Client;
use server::{Nobody, Server};

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "tcp",
    options: &[
        option("codec", OptionKind::Codec, "json", "how an event is written"),
        option("ensure_delivery", OptionKind::Boolean, "true", "in server mode, wait while nobody is there, or drop"),
        required("host", OptionKind::String, "the server, or the address to listen on"),
        option("mode", OptionKind::OneOf(&["server", "client"]), "client", "connect, or wait for connections"),
        required("port", OptionKind::Number, "the port"),
        option("reconnect_interval", OptionKind::Number, "10", "the longest pause before the next try, in seconds"),
        tls::gone("ssl_cacert", "write `ssl_certificate_authorities`"),
        tls::OLD_CERTIFICATE,
        tls::CERTIFICATE,
        tls::AUTHORITIES,
        tls::CIPHER_SUITES,
        tls::authentication("none"),
        tls::OLD_ENABLED,
        tls::ENABLED,
        tls::KEY,
        tls::KEY_PASSPHRASE,
        tls::PROTOCOLS,
        tls::VERIFICATION,
        tls::OLD_VERIFICATION,
    ],
    docs: elkhound_pipeline::docs::head(include_str!("tcp.rs")),
    build,
};

/// The first pause before something is tried again; it grows up to `reconnect_interval`.
const PAUSE: Duration = Duration::from_millis(100);

/// The shortest `reconnect_interval`, lest a server that is away costs all of a processor.
const SHORTEST: Duration = Duration::from_millis(10);

fn build(options: &mut Cursor<'_>, world: &World<'_>) -> Option<Box<dyn Output>> {
    let codec = codec::read(options, "json", Usage::Write, world.setup);
    let mode = if options.text_or("mode", "client") == "server" { Mode::Server } else { Mode::Client };
    let wanted = if mode == Mode::Client { Port::There } else { Port::Here };
    let (port, host) = (port(options, wanted), options.text("host")?);
    if mode == Mode::Client && options.was_set("ensure_delivery") {
        options.warn("ensure_delivery", "`ensure_delivery` is for `mode => server`", "leave it out: a client waits");
    }
    let nobody = if options.boolean("ensure_delivery", true) { Nobody::Wait } else { Nobody::Drop };
    let longest = seconds(options.number("reconnect_interval", 10.0)).max(SHORTEST);
    let tls = tls::read(options, mode, &host);
    if options.has_failed() {
        return None;
    }
    let retry = Retry::new("tcp", Backoff::new(PAUSE.min(longest), longest), world.give_up.clone());
    let (codec, port, tls) = (codec?, port?, tls?);
    Some(match mode {
        Mode::Client => {
            let client = Client::new(host, port, tls, retry);
            Box::new(Batches::new(codec, |_| (), world, |batches| client.run(batches)))
        }
        Mode::Server => {
            let dropped = Arc::default();
            let server = Server { host, port, tls, nobody, retry, dropped: Arc::clone(&dropped) };
            let output = Batches::new(codec, |_| (), world, |batches| server.run(batches));
            Box::new(if nobody == Nobody::Drop { output.that_drops(dropped) } else { output })
        }
    })
}

/// A connection, plain or through TLS.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

type Stream = Box<dyn Duplex>;

/// How long a connection, and the agreement on keys, may take to come about.
const GREETING: Duration = Duration::from_secs(10);

/// How long an output that ends waits for its peers to read what is on its way.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long a peer may take nothing before the log says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// Agrees on keys, where keys are wanted. Also has the kernel look after a peer that is silent, so that a connection that a router has forgotten is
/// found before an event is sent into it.
async fn greeted(stream: TcpStream, tls: &Tls) -> io::Result<Stream> {
    let alive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(60));
    socket2::SockRef::from(&stream).set_tcp_keepalive(&alive)?;
    let greeting = async {
        Ok(match tls {
            Tls::Off => Box::new(stream) as Stream,
            Tls::Accept(acceptor, _) => Box::new(acceptor.accept(stream).await?),
            Tls::Connect(connector, name, _) => Box::new(connector.connect(name.clone(), stream).await?),
        })
    };
    timeout(GREETING, greeting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// How a peer has ended its side.
#[derive(Debug)]
enum Ended {
    /// In order: it has read what had come to it by then.
    Closed,
    /// Not so; what it has read nobody knows.
    Broken(io::Error),
}

/// Reads what a peer says, which is nothing to us, until it ends the connection.
async fn end(reader: &mut (impl AsyncRead + Unpin)) -> Ended {
    let mut ignored = [0; 4096];
    loop {
        match reader.read(&mut ignored).await {
            Ok(0) => return Ended::Closed,
            Ok(_) => {}
            Err(error) => return Ended::Broken(error),
        }
    }
}
