//! Takes events as UDP datagrams: a datagram is an event.
//!
//! The sender's address is in `[host][ip]`, without ECS in `host`, unless the event brought such a field along.
//!
//! ## Options
//!
//! - `port` (number, required): the port to listen on. 0 takes any that is free, and the log says which.
//! - `host` (text, default `0.0.0.0`): the address to listen on.
//! - `codec` (default `plain`).
//! - `buffer_size` (bytes, default 65536): a longer datagram is cut there.
//! - `queue_size` (number, default 2000): datagrams that wait to be decoded; 16 MiB of them at most.
//! - `workers` (number, default 2): how many decode.
//! - `receive_buffer_bytes` (bytes, default the system's): the kernel's buffer, which bridges the moments in which elkhound is busy.
//! - `source_ip_fieldname` (field, default `[host][ip]`, without ECS `host`): where the sender's address goes.
//! - `ecs_compatibility` (`disabled`, `v1` or `v8`, default as the pipeline's).
//!
//! ## Example
//!
//! ```text
//! input { udp { port => 5000 type => "syslog" receive_buffer_bytes => 4194304 } }
//! ```
//!
//! ## On failure
//!
//! UDP can't make a sender wait. Datagrams that come while `queue_size` of them wait are dropped, and the log says how many. What the kernel drops
//! before that is counted by the kernel (`/proc/net/udp`, last column). A port that can't be listened on ends elkhound.
//!
//! ## Differences from Logstash
//!
//! Logstash stops receiving when its queue is full and leaves the dropping to the kernel; elkhound drops by itself, so that it can say so.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::Context;
use elkhound_config::options::{OptionKind, OptionSpec, Options as Cursor};
use elkhound_pipeline::codec::{self, Codec, Usage};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::path::Path;
use elkhound_pipeline::value::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Input, Kind, Port, Running, World, cost, fill, hand_on, option, port};
use crate::clock;
use crate::limit::Limit;
use crate::stats::InputStats;

/// The row of the table.
pub(crate) const KIND: Kind = Kind {
    name: "udp",
    options: &[
        option("buffer_size", OptionKind::Number, "65536", "the longest datagram, in bytes"),
        option("codec", OptionKind::Codec, "plain", "how a datagram becomes events"),
        option("ecs_compatibility", super::ECS_MODES, "", "default as the pipeline's"),
        option("host", OptionKind::String, "0.0.0.0", "the address to listen on"),
        OptionSpec { name: "port", kind: OptionKind::Number, default: "", required: true, help: "the port" },
        option("queue_size", OptionKind::Number, "2000", "datagrams that wait to be decoded"),
        option("receive_buffer_bytes", OptionKind::Number, "", "the kernel's buffer, in bytes"),
        option("source_ip_fieldname", OptionKind::String, "", "where the sender's address goes"),
        option("workers", OptionKind::Number, "2", "how many decode"),
    ],
    docs: elkhound_pipeline::docs::head(include_str!("udp.rs")),
    build,
};

struct Options {
    host: String,
    port: u16,
    codec: Arc<dyn Codec>,
    buffer: usize,
    queue: usize,
    workers: usize,
    kernel_buffer: Option<usize>,
    source: Path,
    /// Counts datagrams that found no room.
    dropped: Arc<AtomicU64>,
}

fn build(options: &mut Cursor<'_>, world: &World<'_>) -> Option<Box<dyn Input>> {
    let port = port(options, Port::Here);
    let buffer = within(options, "buffer_size", 65_536, 1 << 20);
    let queue = within(options, "queue_size", 2000, 1 << 20);
    let workers = within(options, "workers", 2, 256);
    let kernel_buffer = options.was_set("receive_buffer_bytes");
    let kernel_buffer = kernel_buffer.then(|| within(options, "receive_buffer_bytes", 0, i64::from(i32::MAX)));
    let ecs = world.setup.ecs_of(options);
    let source = options.text_or("source_ip_fieldname", if ecs.is_enabled() { "[host][ip]" } else { "host" });
    let source = Path::parse(&source).map_err(|_| {
        let message = format!("`{source}` is no field reference");
        options.fail("source_ip_fieldname", &message, "write [outer][inner] or name");
    });
    let codec = codec::read(options, "plain", Usage::Messages, world.setup);
    if options.has_failed() {
        return None;
    }
    let kernel_buffer = kernel_buffer.flatten();
    let host = options.text_or("host", "0.0.0.0");
    let (port, codec, buffer, queue, workers) = (port?, codec?, buffer?, queue?, workers?);
    let source = source.ok()?;
    let dropped = Arc::default();
    Some(Box::new(Udp(Options { host, port, codec, buffer, queue, workers, kernel_buffer, source, dropped })))
}

fn within(options: &mut Cursor<'_>, name: &str, default: i64, most: i64) -> Option<usize> {
    let number = options.integer(name, default);
    if !(1..=most).contains(&number) {
        options.fail(name, &format!("{name} can't be {number}"), &format!("use a number from 1 to {most}"));
    }
    usize::try_from(number).ok()
}

struct Udp(Options);

impl Input for Udp {
    fn run(self: Box<Self>, queue: Queue, stop: CancellationToken) -> Running {
        Box::pin(self.0.run(queue, stop))
    }

    fn observe(&mut self, stats: &Arc<InputStats>) {
        // It is shown once, before the start.
        let _once = stats.dropped.set(Arc::clone(&self.0.dropped));
    }
}

/// The most bytes of datagrams that wait to be decoded.
const WAITING: usize = 16 << 20;

/// Datagrams that are decoded into one chunk.
const BATCH: usize = 256;

/// A datagram and who sent it.
type Datagram = (Vec<u8>, SocketAddr);

impl Options {
    async fn run(self, queue: Queue, stop: CancellationToken) -> anyhow::Result<()> {
        let socket = self.bind()?;
        let address = socket.local_addr().context("the udp input has no address")?;
        info!(address = %address, "the udp input listens");
        let (sender, receiver) = flume::bounded(self.queue);
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for number in 0..self.workers as u64 {
            let worker = Worker {
                codec: Arc::clone(&self.codec),
                source: self.source.clone(),
                receiver: receiver.clone(),
                waiting: Arc::clone(&waiting),
                queue: queue.clone(),
                number,
            };
            workers.spawn(worker.run());
        }
        drop(receiver);
        let ends = Ends { sender: &sender, waiting: &waiting, dropped: &self.dropped };
        let received = receive(&socket, self.buffer, &ends, &stop).await;
        // The port is free from here on, for whoever takes this input's place.
        drop(socket);
        // The workers end when nothing waits any more.
        drop(sender);
        while workers.join_next().await.is_some() {}
        received
    }

    fn bind(&self) -> anyhow::Result<UdpSocket> {
        let (host, port) = (&self.host, self.port);
        let bind = || {
            let address = (host.as_str(), port).to_socket_addrs()?.next();
            let address = address.ok_or_else(|| std::io::Error::other("the name has no address"))?;
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
            if let Some(bytes) = self.kernel_buffer {
                enlarge(&socket, bytes);
            }
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            UdpSocket::from_std(socket.into())
        };
        bind().with_context(|| {
            format!(
                "the udp input can't listen on {host}:{port}; free the port, or give the input another `port` or `host`"
            )
        })
    }
}

/// Asks the kernel for a buffer. It doubles what it is asked for, and gives no more than `net.core.rmem_max`.
fn enlarge(socket: &Socket, bytes: usize) {
    let given = socket.set_recv_buffer_size(bytes).and_then(|()| socket.recv_buffer_size());
    match given {
        Ok(given) if given >= bytes => {}
        Ok(given) => warn!(
            wanted = bytes,
            given,
            "the kernel gives a smaller receive buffer than receive_buffer_bytes; raise net.core.rmem_max on the host"
        ),
        Err(error) => warn!(wanted = bytes, reason = %error, "the receive buffer can't be set"),
    }
}

/// Where datagrams go.
struct Ends<'a> {
    sender: &'a flume::Sender<Datagram>,
    /// How many bytes wait.
    waiting: &'a AtomicUsize,
    /// Counts those that found no room.
    dropped: &'a AtomicU64,
}

/// Receives until the agent stops. What comes while the queue is full is dropped and said.
async fn receive(
    socket: &UdpSocket,
    longest: usize,
    Ends { sender, waiting, dropped }: &Ends<'_>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    static LIMIT: Limit = Limit::new();
    let mut buffer = vec![0; longest];
    loop {
        let (length, peer) = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok(received) => received,
                Err(error) => {
                    warn!(reason = %error, "a datagram could not be received");
                    continue;
                }
            },
            () = stop.cancelled() => return Ok(()),
        };
        if length == 0 {
            continue;
        }
        let fits = waiting.fetch_add(length, Ordering::Relaxed) + length <= WAITING;
        if !fits || sender.try_send((buffer[..length].to_vec(), peer)).is_err() {
            waiting.fetch_sub(length, Ordering::Relaxed);
            let dropped = dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if LIMIT.pass().is_some() {
                warn!(
                    dropped,
                    "datagrams are dropped, for more come than the pipeline takes; send over tcp, or make the output faster"
                );
            }
        }
    }
}

struct Worker {
    codec: Arc<dyn Codec>,
    source: Path,
    receiver: flume::Receiver<Datagram>,
    waiting: Arc<AtomicUsize>,
    queue: Queue,
    number: u64,
}

impl Worker {
    /// Decodes what waits until nothing more will come.
    async fn run(self) {
        let mut decoder = self.codec.decoder();
        while let Ok(first) = self.receiver.recv_async().await {
            let (mut events, mut bytes) = (Vec::new(), 0);
            let more = std::iter::from_fn(|| self.receiver.try_recv().ok()).take(BATCH - 1);
            for (datagram, peer) in std::iter::once(first).chain(more) {
                self.waiting.fetch_sub(datagram.len(), Ordering::Relaxed);
                bytes += datagram.len();
                let start = events.len();
                decoder.decode(&datagram, clock::now(), &mut events);
                decoder.flush(clock::now(), &mut events);
                let source = Value::from(peer.ip().to_canonical().to_string());
                let mark = |event: &mut Event| fill(event, &self.source, &source);
                events[start..].iter_mut().for_each(mark);
            }
            let cost = cost(&events, bytes);
            if !hand_on(&self.queue, self.number, events, cost).await {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn datagrams_that_find_no_room_are_counted() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (sender, receiver) = flume::bounded(1);
        let (waiting, dropped, stop) = (AtomicUsize::new(0), AtomicU64::new(0), CancellationToken::new());
        let ends = Ends { sender: &sender, waiting: &waiting, dropped: &dropped };
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for text in ["one", "two", "three"] {
            other.send_to(text.as_bytes(), socket.local_addr().unwrap()).await.unwrap();
        }
        let all = async {
            while dropped.load(Ordering::Relaxed) < 2 {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        let (received, ()) = tokio::join!(receive(&socket, 100, &ends, &stop), all);
        received.unwrap();
        assert_eq!((receiver.try_recv().unwrap().0, waiting.load(Ordering::Relaxed)), (b"one".to_vec(), 3));
    }
}
