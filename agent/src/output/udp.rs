//! Sends each event as a UDP datagram.
//!
//! ## Options
//!
//! - `host` (text, required): where to. A name is looked up again every half a minute.
//! - `port` (number or text with `%{}`, required): the port there.
//! - `codec` (default `json`): how an event is written.
//! - `retry_count` (number): how often a datagram that could not be sent is tried again before it is dropped. Unless it is set, it is tried
//!   until it is sent.
//! - `retry_backoff_ms` (milliseconds, default 100): the first pause between two tries; they grow.
//!
//! ## Example
//!
//! ```text
//! output { udp { host => "10.0.0.5" port => 5140 codec => line { format => "%{message}" } } }
//! ```
//!
//! ## On failure
//!
//! An event is acknowledged when its datagram is sent; whether it arrives nobody can tell. While this host can't send (no network, no answer from the name
//! service) events wait, and the pipeline with them. A datagram that is too large, one whose `port` is none, and one whose tries are used up
//! is dropped with its event, which is logged and counted.
//!
//! ## Differences from Logstash
//!
//! Without `retry_count` Logstash drops a datagram that could not be sent; elkhound does with `retry_count => 0`. The pauses grow.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use elkhound_config::options::{OptionKind, Options as Cursor};
use elkhound_pipeline::codec::{self, Usage};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::template::Template;
use flume::Receiver;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::Instant;
use tracing::warn;

use super::batches::{Batch, Batches};
use super::retry::{Retry, Trouble};
use super::{Kind, Output, World, option, required};
use crate::backoff::Backoff;
use crate::limit::Limit;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "udp",
    options: &[
        option("codec", OptionKind::Codec, "json", "how an event is written"),
        required("host", OptionKind::String, "where to"),
        required("port", OptionKind::String, "the port there; may have %{} in it"),
        option("retry_backoff_ms", OptionKind::Number, "100", "the first pause between two tries, in milliseconds"),
        option(
            "retry_count",
            OptionKind::Number,
            "",
            "tries before a datagram is dropped; until it is sent by default",
        ),
    ],
    docs: elkhound_pipeline::docs::head(include_str!("udp.rs")),
    build,
};

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(30);

/// How long the answer of the name service holds.
const RESOLVED: Duration = Duration::from_secs(30);

fn build(options: &mut Cursor<'_>, world: &World<'_>) -> Option<Box<dyn Output>> {
    let codec = codec::read(options, "json", Usage::Write, world.setup);
    let port = port(options);
    let pause = u64::try_from(options.integer("retry_backoff_ms", 100)).ok();
    if pause.is_none() {
        options.fail("retry_backoff_ms", "a pause can't be negative", "use milliseconds, such as 100");
    }
    let most = options.was_set("retry_count").then(|| options.integer("retry_count", 0).max(0) as u64);
    let host = options.text("host")?;
    if options.has_failed() {
        return None;
    }
    let pause = Duration::from_millis(pause?.max(1));
    let retry = Retry::new("udp", Backoff::new(pause, LONGEST), world.give_up.clone());
    let dropped = Arc::default();
    let sender = Sender { host, most, retry, target: None, dropped: Arc::clone(&dropped) };
    let port = port?;
    let about = move |event: &Event| port.render(event).ok()?.trim().parse().ok();
    Some(Box::new(Batches::new(codec?, about, world, |batches| sender.run(batches)).that_drops(dropped)))
}

fn port(options: &mut Cursor<'_>) -> Option<Template> {
    let written = options.text("port")?;
    let port = Template::parse(&written);
    let wrong = port.literal().is_some_and(|text| !text.parse::<u16>().is_ok_and(|port| port > 0));
    if wrong {
        options.fail("port", &format!("there is no port `{written}`"), "use a number from 1 to 65535, or a reference");
        return None;
    }
    Some(port)
}

/// Sends the datagrams of one output.
struct Sender {
    host: String,
    /// How often a datagram is tried again; for ever when nothing is said.
    most: Option<u64>,
    retry: Retry,
    target: Option<Target>,
    /// Counts datagrams that are dropped.
    dropped: Arc<AtomicU64>,
}

/// Where datagrams go.
struct Target {
    socket: UdpSocket,
    address: SocketAddr,
    since: Instant,
}

impl Sender {
    async fn run(mut self, batches: Receiver<Batch<Option<u16>>>) {
        while let Ok(mut batch) = batches.recv_async().await {
            for (port, datagram) in batch.iter() {
                match port {
                    Some(port) if !self.deliver(datagram, *port).await => return,
                    Some(_) => {}
                    None => self.drops("its `port` is no port", "set the field that `port` refers to"),
                }
            }
            batch.receipts.acknowledge();
        }
    }

    fn drops(&self, reason: impl std::fmt::Display, remedy: &'static str) {
        static LIMIT: Limit = Limit::new();
        let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(suppressed) = LIMIT.pass() {
            warn!(%reason, remedy, dropped, suppressed, "a datagram was dropped, and its event with it");
        }
    }

    /// Sends or drops a datagram; false when it is time to give up.
    async fn deliver(&mut self, datagram: &[u8], port: u16) -> bool {
        let give_up = self.retry.give_up();
        let mut tries = 0;
        loop {
            let sent = tokio::select! {
                sent = self.send(datagram, port) => sent,
                () = give_up.cancelled() => return false,
            };
            let Err(error) = sent else {
                self.retry.succeeded();
                return true;
            };
            if is_too_large(&error) {
                self.drops(error, "send less of the event, or send it over tcp");
                return true;
            }
            self.target = None;
            if self.most.is_some_and(|most| tries >= most) {
                self.drops(error, "raise `retry_count`, or leave it out to try until it is sent");
                return true;
            }
            tries += 1;
            let place = format!("{}:{port}", self.host);
            if !self.retry.failed(&Trouble::new(place, error, "let this host reach that one, or correct `host`")).await
            {
                return false;
            }
        }
    }

    async fn send(&mut self, datagram: &[u8], port: u16) -> io::Result<()> {
        if self.target.as_ref().is_some_and(|target| target.since.elapsed() > RESOLVED) {
            self.target = None;
        }
        let target = match &mut self.target {
            Some(target) => target,
            none => none.insert(Target::of(&self.host).await?),
        };
        target.address.set_port(port);
        target.socket.send_to(datagram, target.address).await.map(|_| ())
    }
}

impl Target {
    async fn of(host: &str) -> io::Result<Self> {
        let address = lookup_host((host, 0)).await?.next();
        let address = address.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
        let socket = match address {
            SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?,
            SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await?,
        };
        // As in Logstash, an address may stand for all hosts of a network.
        socket.set_broadcast(true)?;
        Ok(Self { socket, address, since: Instant::now() })
    }
}

/// EMSGSIZE, for which the standard library has no name.
fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(90)
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn sender(host: &str, most: Option<u64>, give_up: CancellationToken) -> Sender {
        let pause = Duration::from_millis(1);
        let retry = Retry::new("udp", Backoff::new(pause, pause), give_up);
        Sender { host: host.into(), most, retry, target: None, dropped: Arc::default() }
    }

    #[tokio::test]
    async fn datagrams_arrive_and_one_that_is_too_large_holds_up_none() {
        let there = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = there.local_addr().unwrap().port();
        let mut sender = sender("127.0.0.1", None, CancellationToken::new());
        assert!(sender.deliver(b"one", port).await);
        assert!(sender.deliver(&vec![b'x'; 100_000], port).await);
        assert!(sender.deliver(b"two", port).await);
        let mut buffer = [0; 16];
        for expected in [b"one", b"two"] {
            let length = there.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], expected);
        }
        assert_eq!(sender.dropped.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_datagram_is_dropped_only_when_that_is_wanted() {
        // An address of IPv6 with a zone that there is not can't be sent to.
        let nowhere = "fe80::1%4000000";
        let mut dropping = sender(nowhere, Some(2), CancellationToken::new());
        assert!(dropping.deliver(b"one", 9).await);
        let give_up = CancellationToken::new();
        let mut waiting = sender(nowhere, None, give_up.clone());
        tokio::select! {
            _ = waiting.deliver(b"one", 9) => panic!("it was dropped"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        give_up.cancel();
        assert!(!waiting.deliver(b"one", 9).await);
    }
}
