//! One connection, from its greeting (the proxy's line, TLS) to its last byte: what is read goes through the connection's own decoder, and the
//! events into the queue. While the queue is full nothing is read, so that the pressure goes to the peer.
//!
//! What an untrusted peer can take is bounded: the greeting must be over within [`GREETING`], an unfinished line is cut at `max_line_bytes`, and
//! earlier when the unfinished lines of all connections together hold more than [`HELD`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use elkhound_pipeline::codec::{Codec, Decoder};
use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::queue::Queue;
use elkhound_pipeline::value::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::fields::{Names, Origin};
use super::proxy::{self, Header};
use super::seats::Seat;
use super::subject::subject;
use crate::clock;
use crate::input::{cost, hand_on};
use crate::limit::Limit;
use crate::tls::options::Tls;

/// How long the proxy's line, the agreement on keys, and the look-up of the peer's name may take together.
const GREETING: Duration = Duration::from_secs(10);

/// How long the name service may take; the address stands for the name after that.
const LOOKUP: Duration = Duration::from_secs(2);

/// What is read in one go, as in Logstash.
const READ: usize = 16 << 10;

/// The most bytes of unfinished lines of all connections together.
const HELD: usize = 64 << 20;

/// What all connections of an input need.
pub(super) struct Shared {
    /// Makes a decoder for each connection.
    pub(super) codec: Arc<dyn Codec>,
    /// The names of the fields that tell where an event comes from.
    pub(super) names: Names,
    /// Where events go.
    pub(super) queue: Queue,
    /// The end.
    pub(super) stop: CancellationToken,
    /// The encryption.
    pub(super) tls: Tls,
    /// The longest unfinished line, in bytes.
    pub(super) longest: usize,
    /// Silence after which a connection is closed.
    pub(super) idle: Option<Duration>,
    /// Whether the PROXY protocol is spoken.
    pub(super) proxy: bool,
    /// Whether the peer's name is looked up.
    pub(super) reverse_lookup: bool,
    /// Whether the kernel looks after silent peers.
    pub(super) keep_alive: bool,
    /// Bytes of unfinished lines.
    pub(super) held: Arc<AtomicUsize>,
}

/// What is read from, plain or through TLS.
type Stream = Box<dyn AsyncRead + Send + Unpin>;

/// Reads a connection to its end. `number` tells it from the others; a client has no `seat`.
pub(super) async fn serve(shared: &Shared, stream: TcpStream, peer: SocketAddr, number: u64, seat: Option<Seat>) {
    static LIMIT: Limit = Limit::new();
    let greeted = tokio::select! {
        greeted = timeout(GREETING, greet(shared, stream, peer)) => greeted,
        () = shared.stop.cancelled() => return,
    };
    let trouble = match greeted {
        Ok(Ok((stream, origin))) => {
            let held = Held { bytes: 0, all: Arc::clone(&shared.held) };
            let decoder = shared.codec.decoder();
            return Reader { shared, origin, decoder, held, number, seat }.read(stream, peer).await;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it said nothing that makes a connection within {} seconds", GREETING.as_secs()),
    };
    if let Some(suppressed) = LIMIT.pass() {
        warn!(peer = %peer, reason = trouble, suppressed, "a connection was refused");
    }
}

async fn greet(shared: &Shared, mut stream: TcpStream, peer: SocketAddr) -> io::Result<(Stream, Origin)> {
    if shared.keep_alive {
        socket2::SockRef::from(&stream).set_keepalive(true)?;
    }
    let proxied = if shared.proxy { read_header(&mut stream).await? } else { None };
    let named = match &proxied {
        None if shared.reverse_lookup => host_name(peer).await,
        _ => None,
    };
    let mut origin = Origin::new(&shared.names, peer, named, proxied.as_ref());
    let stream: Stream = match &shared.tls {
        Tls::Off => Box::new(stream),
        Tls::Accept(acceptor, authenticated) => {
            let stream = acceptor.accept(stream).await?;
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            if let (true, Some(subject)) = (authenticated, shown.and_then(|certificate| subject(certificate))) {
                origin.add(&shared.names.subject, Value::from(subject));
            }
            Box::new(stream)
        }
        Tls::Connect(connector, server, verified) => {
            let stream = connector.connect(server.clone(), stream).await?;
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            if let (true, Some(subject)) = (verified, shown.and_then(|certificate| subject(certificate))) {
                origin.add(&shared.names.subject, Value::from(subject));
            }
            Box::new(stream)
        }
    };
    Ok((stream, origin))
}

/// The proxy's line, byte by byte: what follows it is not ours to read, but TLS's. An unknown origin is the proxy itself.
async fn read_header(stream: &mut TcpStream) -> io::Result<Option<proxy::Addresses>> {
    let mut header = Vec::with_capacity(proxy::LONGEST);
    loop {
        header.push(stream.read_u8().await?);
        match proxy::parse(&header) {
            Header::Unfinished => {}
            Header::Known(addresses, _) => return Ok(Some(addresses)),
            Header::Unknown(_) => return Ok(None),
            Header::Wrong(why) => return Err(io::Error::new(io::ErrorKind::InvalidData, why)),
        }
    }
}

/// The peer's name. A name service that does not answer must not use up the threads, so only some may wait for it at a time.
async fn host_name(peer: SocketAddr) -> Option<String> {
    static LOOKUPS: Semaphore = Semaphore::const_new(16);
    let permit = LOOKUPS.try_acquire().ok()?;
    let lookup = spawn_blocking(move || {
        let name = dns_lookup::lookup_addr(&peer.ip());
        drop(permit);
        name
    });
    timeout(LOOKUP, lookup).await.ok()?.ok()?.ok()
}

/// Reads a connection that has been greeted.
struct Reader<'a> {
    shared: &'a Shared,
    origin: Origin,
    decoder: Box<dyn Decoder>,
    held: Held,
    number: u64,
    seat: Option<Seat>,
}

impl Reader<'_> {
    async fn read(mut self, mut stream: Stream, peer: SocketAddr) {
        let mut buffer = Vec::with_capacity(READ);
        loop {
            buffer.clear();
            match self.next(&mut stream, &mut buffer).await {
                Ok(Next::Bytes) => {}
                Ok(Next::Flush) => {
                    if !self.flush().await {
                        return;
                    }
                    continue;
                }
                Ok(Next::End) => break,
                Err(error) => {
                    debug!(peer = %peer, reason = %error, "a connection has ended");
                    break;
                }
            }
            if !self.take(&buffer).await {
                return;
            }
        }
        self.flush().await;
    }

    /// Hands on what the decoder keeps back; false when the pipeline is closed.
    async fn flush(&mut self) -> bool {
        let mut rest = Vec::new();
        self.decoder.flush(clock::now(), &mut rest);
        self.held.set(self.decoder.pending(), usize::MAX);
        self.hand_on(rest, 0).await
    }

    /// Waits for what comes next.
    async fn next(&mut self, stream: &mut Stream, buffer: &mut Vec<u8>) -> io::Result<Next> {
        let left = async {
            match &self.seat {
                Some(seat) => seat.leave.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let silent = after(self.shared.idle);
        let flush = after(self.decoder.auto_flush());
        tokio::select! {
            read = stream.read_buf(buffer) => read.map(|length| if length == 0 { Next::End } else { Next::Bytes }),
            () = self.shared.stop.cancelled() => Ok(Next::End),
            () = flush => Ok(Next::Flush),
            () = left => Err(io::Error::other("silent for long, and its place was needed")),
            () = silent => Err(io::Error::other("silent for longer than idle_timeout")),
        }
    }

    /// Makes events of what was read; false when the pipeline is closed.
    async fn take(&mut self, bytes: &[u8]) -> bool {
        if let Some(seat) = &self.seat {
            seat.heard(Instant::now());
        }
        let mut events = Vec::new();
        self.decoder.decode(bytes, clock::now(), &mut events);
        if self.held.set(self.decoder.pending(), self.shared.longest) {
            self.decoder.flush(clock::now(), &mut events);
            self.held.set(self.decoder.pending(), usize::MAX);
        }
        self.hand_on(events, bytes.len()).await
    }

    async fn hand_on(&mut self, mut events: Vec<Event>, bytes: usize) -> bool {
        events.iter_mut().for_each(|event| self.origin.mark(event));
        let cost = cost(&events, bytes);
        hand_on(&self.shared.queue, self.number, events, cost).await
    }
}

/// What a connection brings next.
enum Next {
    /// Bytes.
    Bytes,
    /// Nothing for so long that the decoder wants to let go of what it keeps.
    Flush,
    /// The end, whoever ends it.
    End,
}

/// The end of a time, or never.
async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Bytes that the decoder keeps back, as part of those that all decoders keep.
struct Held {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Held {
    /// Notes what is kept back now; true when it is too much and must be let go.
    fn set(&mut self, bytes: usize, longest: usize) -> bool {
        let before = self.all.fetch_add(bytes, Ordering::Relaxed);
        let all = before + bytes - self.bytes;
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
        bytes > 0 && (bytes > longest || all > HELD)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0, usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_does_not_end_is_let_go_at_its_limit() {
        let all = Arc::new(AtomicUsize::new(0));
        let mut held = Held { bytes: 0, all: Arc::clone(&all) };
        assert!(!held.set(60, 100));
        assert!(held.set(120, 100));
        assert!(!held.set(0, 100));
        assert!(!held.set(90, 100));
        assert_eq!(all.load(Ordering::Relaxed), 90);
        drop(held);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn many_lines_together_are_bounded_too() {
        let all = Arc::new(AtomicUsize::new(HELD));
        let mut held = Held { bytes: 0, all };
        assert!(!held.set(0, 1 << 20));
        assert!(held.set(1, 1 << 20));
    }
}
