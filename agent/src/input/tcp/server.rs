//! The two ways to come by connections: waiting for peers that connect, or connecting to a server again and again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::connection::{Shared, serve};
use super::seats::Seats;
use crate::backoff::Backoff;
use crate::limit::Limit;
use crate::random;

/// How long an attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(10);

/// The pause after the kernel could not give us a connection, as when file descriptors have run out.
const NO_CONNECTION: Duration = Duration::from_millis(100);

/// Waits for connections until the agent stops, then for the end of those that are there.
pub(super) async fn listen(shared: Shared, host: &str, port: u16, most: usize) -> anyhow::Result<()> {
    let listener = TcpListener::bind((host, port)).await.with_context(|| {
        format!(
            "the tcp input can't listen on {host}:{port}; free the port, or give the input another `port` or `host`"
        )
    })?;
    let address = listener.local_addr().context("the tcp input has no address")?;
    info!(address = %address, "the tcp input listens");
    let shared = Arc::new(shared);
    let seats = Seats::new(most);
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.cancelled() => break,
        };
        // What has ended is taken out, or the set would grow for ever.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                number += 1;
                seat(&shared, &seats, stream, peer, number, &mut connections);
            }
            Err(error) => {
                warn_of_accept(&error);
                sleep(NO_CONNECTION).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

fn seat(
    shared: &Arc<Shared>,
    seats: &Arc<Seats>,
    stream: TcpStream,
    peer: SocketAddr,
    number: u64,
    connections: &mut JoinSet<()>,
) {
    static LIMIT: Limit = Limit::new();
    let Some(seat) = seats.take(Instant::now()) else {
        if let Some(suppressed) = LIMIT.pass() {
            warn!(peer = %peer, suppressed, "a connection was turned away, for there are as many as max_connections lets in; raise it, or find who holds them");
        }
        return;
    };
    let shared = Arc::clone(shared);
    connections.spawn(async move { serve(&shared, stream, peer, number, Some(seat)).await });
}

fn warn_of_accept(error: &std::io::Error) {
    static LIMIT: Limit = Limit::new();
    if let Some(suppressed) = LIMIT.pass() {
        warn!(reason = %error, suppressed, "a connection could not be accepted; it is tried again");
    }
}

/// Connects to a server, reads what it sends, and connects again when it has ended.
pub(super) async fn connect(shared: Shared, host: &str, port: u16) -> anyhow::Result<()> {
    let mut pause = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    let mut number = 0;
    while !shared.stop.is_cancelled() {
        let connected = tokio::select! {
            connected = timeout(CONNECT, TcpStream::connect((host, port))) => connected,
            () = shared.stop.cancelled() => break,
        };
        let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        match connected.and_then(|stream| Ok((stream.peer_addr()?, stream))) {
            Ok((peer, stream)) => {
                info!(server = %peer, "the tcp input is connected");
                number += 1;
                let begun = Instant::now();
                serve(&shared, stream, peer, number, None).await;
                // A server that hangs up at once is not asked in a tight loop.
                if begun.elapsed() > CONNECT {
                    pause.reset();
                }
            }
            Err(error) => warn!(host, port, reason = %error, "the server can't be reached; it is tried again"),
        }
        tokio::select! {
            () = sleep(pause.next(random::fraction())) => {}
            () = shared.stop.cancelled() => {}
        }
    }
    Ok(())
}
