//! The server: every client that is connected gets every event.
//!
//! Each client has a task that writes to it and notices when it has gone. A batch is handed to all of them at once, and is done when each has it
//! written or is gone; so the slowest client sets the pace, and none can make elkhound keep more than one batch.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flume::{Receiver, Sender};
use tokio::io::{AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{FAREWELL, PATIENCE, Stream, end, greeted};
use crate::limit::Limit;
use crate::output::batches::Batch;
use crate::output::retry::{Retry, Trouble};
use crate::tls::options::Tls;

/// The most clients at a time; others are turned away.
const CLIENTS: usize = 256;

/// The pause after the kernel could not give us a connection, as when file descriptors have run out.
const NO_CONNECTION: Duration = Duration::from_millis(100);

/// What becomes of events while no client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    /// They wait, and with them the pipeline.
    Wait,
    /// They are dropped, which is logged and counted.
    Drop,
}

/// The server.
pub(super) struct Server {
    /// The address to listen on.
    pub(super) host: String,
    /// The port, 0 for any.
    pub(super) port: u16,
    /// The encryption.
    pub(super) tls: Tls,
    /// What becomes of events without a client.
    pub(super) nobody: Nobody,
    /// The tries to listen.
    pub(super) retry: Retry,
    /// Counts events that are dropped.
    pub(super) dropped: Arc<AtomicU64>,
}

impl Server {
    /// Sends all batches, unless it is time to give up before.
    pub(super) async fn run(mut self, batches: Receiver<Batch<()>>) {
        let give_up = self.retry.give_up();
        tokio::select! {
            () = self.work(&batches) => {}
            () = give_up.cancelled() => {}
        }
    }

    async fn work(&mut self, batches: &Receiver<Batch<()>>) {
        let Some(listener) = self.listen().await else { return };
        // A client that is accepted waits here while a batch is being written; more of them wait with the kernel.
        let (arrivals, newcomers) = flume::bounded(1);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, self.tls.clone(), arrivals));
        let mut clients = Clients { newcomers, there: Vec::new(), tasks: JoinSet::new() };
        while let Some(batch) = clients.next(batches).await {
            self.deliver(batch, &mut clients).await;
        }
        // From here on nobody is let in.
        drop(accepting);
        clients.say_farewell().await;
    }

    /// Listens as soon as the port is free. Nothing when it is time to give up.
    async fn listen(&mut self) -> Option<TcpListener> {
        loop {
            match TcpListener::bind((self.host.as_str(), self.port)).await {
                Ok(listener) => {
                    let address =
                        listener.local_addr().map_or_else(|_| self.host.clone(), |address| address.to_string());
                    info!(%address, "the tcp output listens");
                    return Some(listener);
                }
                Err(error) => {
                    let remedy = "free the port, or give the output another `port` or `host`";
                    let trouble = Trouble::new(format_args!("{}:{}", self.host, self.port), error, remedy);
                    if !self.retry.failed(&trouble).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Writes a batch to all clients, at least to one, and acknowledges it.
    async fn deliver(&self, mut batch: Batch<()>, clients: &mut Clients) {
        let bytes: Arc<[u8]> = std::mem::take(&mut batch.bytes).into();
        while !clients.write(&bytes).await {
            if self.nobody == Nobody::Drop {
                report_dropped(&self.dropped, batch.events.len());
                break;
            }
            report_waiting(&self.host, self.port);
            clients.wait().await;
        }
        batch.receipts.acknowledge();
    }
}

/// A batch's bytes on their way to one client, and whom to tell when they are written.
struct Parcel {
    bytes: Arc<[u8]>,
    written: oneshot::Sender<()>,
}

/// Who has connected and agreed on keys.
struct Newcomer {
    stream: Stream,
    address: SocketAddr,
    /// His place among [`CLIENTS`], for as long as he is connected.
    seat: OwnedSemaphorePermit,
}

struct Client {
    address: SocketAddr,
    parcels: Sender<Parcel>,
}

/// Those who are connected.
struct Clients {
    newcomers: Receiver<Newcomer>,
    there: Vec<Client>,
    tasks: JoinSet<()>,
}

impl Clients {
    /// The next batch; whoever connects until then is let in.
    async fn next(&mut self, batches: &Receiver<Batch<()>>) -> Option<Batch<()>> {
        loop {
            tokio::select! {
                // Whoever is there before a batch gets it.
                biased;
                Ok(newcomer) = self.newcomers.recv_async() => self.admit(newcomer),
                Some(_) = self.tasks.join_next() => self.there.retain(Client::is_there),
                batch = batches.recv_async() => return batch.ok(),
            }
        }
    }

    /// Returns when somebody has connected.
    async fn wait(&mut self) {
        if let Ok(newcomer) = self.newcomers.recv_async().await {
            self.admit(newcomer);
        }
    }

    fn admit(&mut self, newcomer: Newcomer) {
        let address = newcomer.address;
        info!(client = %address, "a client of the tcp output is connected");
        let (parcels, waiting) = flume::bounded(1);
        self.tasks.spawn(serve(newcomer, waiting));
        self.there.push(Client { address, parcels });
    }

    /// Writes bytes to all clients; false when none of them has got them as a whole.
    async fn write(&mut self, bytes: &Arc<[u8]>) -> bool {
        let mut on_their_way = Vec::new();
        for client in &self.there {
            let (written, told) = oneshot::channel();
            // The channel is empty, for the batch before is done.
            if client.parcels.send_async(Parcel { bytes: Arc::clone(bytes), written }).await.is_ok() {
                on_their_way.push((client.address, told));
            }
        }
        let mut got = false;
        for (address, told) in on_their_way {
            got |= has_got(address, told).await;
        }
        self.there.retain(Client::is_there);
        got
    }

    /// Ends all connections when what was written to them is read, or after a while.
    async fn say_farewell(mut self) {
        self.there.clear();
        let _in_time = timeout(FAREWELL, async { while self.tasks.join_next().await.is_some() {} }).await;
    }
}

impl Client {
    fn is_there(&self) -> bool {
        !self.parcels.is_disconnected()
    }
}

/// Whether a client has got its parcel. One that lets the others wait for long is named.
async fn has_got(client: SocketAddr, mut told: oneshot::Receiver<()>) -> bool {
    loop {
        match timeout(PATIENCE, &mut told).await {
            Ok(told) => return told.is_ok(),
            Err(_) => warn!(
                %client,
                seconds = PATIENCE.as_secs(),
                "a client takes nothing and holds up the pipeline; let it read, or end its connection"
            ),
        }
    }
}

/// Writes to a client until it has gone, or until nothing more comes and it has read everything.
async fn serve(newcomer: Newcomer, parcels: Receiver<Parcel>) {
    let Newcomer { stream, address: client, seat: _seat } = newcomer;
    let (mut reader, mut writer) = split(stream);
    let mut gone = pin!(end(&mut reader));
    loop {
        let Parcel { bytes, written } = tokio::select! {
            parcel = parcels.recv_async() => match parcel {
                Ok(parcel) => parcel,
                Err(_) => break,
            },
            _ = &mut gone => return info!(%client, "a client of the tcp output has gone"),
        };
        // One who has gone already is noticed before he is written to, which would count as written.
        yield_now().await;
        let result = tokio::select! {
            biased;
            _ = &mut gone => return info!(%client, "a client of the tcp output has gone, and the last batch did not reach it"),
            result = async { writer.write_all(&bytes).await?; writer.flush().await } => result,
        };
        if let Err(reason) = result {
            return info!(%client, %reason, "a client of the tcp output is lost");
        }
        // Nobody listens any more when it is time to give up.
        let _heard = written.send(());
    }
    if writer.shutdown().await.is_ok() {
        gone.await;
    }
}

/// Accepts clients and agrees on keys with them, with each on its own, so that none can hold up another.
async fn accept(listener: TcpListener, tls: Tls, arrivals: Sender<Newcomer>) {
    let (seats, done) = (Arc::new(Semaphore::new(CLIENTS)), CancellationToken::new());
    let _ended_with_this = done.clone().drop_guard();
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                static LIMIT: Limit = Limit::new();
                if let Some(suppressed) = LIMIT.pass() {
                    warn!(reason = %error, suppressed, "a client could not be accepted; it is tried again");
                }
                sleep(NO_CONNECTION).await;
                continue;
            }
        };
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            turned_away(address);
            continue;
        };
        let (tls, arrivals, done) = (tls.clone(), arrivals.clone(), done.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = greet(stream, address, seat, &tls, &arrivals) => {}
                () = done.cancelled() => {}
            }
        });
    }
}

async fn greet(
    stream: TcpStream,
    address: SocketAddr,
    seat: OwnedSemaphorePermit,
    tls: &Tls,
    arrivals: &Sender<Newcomer>,
) {
    match greeted(stream, tls).await {
        Ok(stream) => {
            let _too_late = arrivals.send_async(Newcomer { stream, address, seat }).await;
        }
        Err(error) => {
            static LIMIT: Limit = Limit::new();
            if let Some(suppressed) = LIMIT.pass() {
                warn!(client = %address, reason = %error, suppressed, "a client was refused");
            }
        }
    }
}

fn turned_away(client: SocketAddr) {
    static LIMIT: Limit = Limit::new();
    if let Some(suppressed) = LIMIT.pass() {
        warn!(%client, most = CLIENTS, suppressed, "a client was turned away, for there are too many; end some of their connections");
    }
}

fn report_waiting(host: &str, port: u16) {
    static LIMIT: Limit = Limit::new();
    if let Some(suppressed) = LIMIT.pass() {
        warn!(
            host,
            port,
            suppressed,
            "no client is connected to the tcp output; events wait, and the pipeline with them: connect one, or set `ensure_delivery => false` to drop them"
        );
    }
}

fn report_dropped(dropped: &AtomicU64, count: usize) {
    static LIMIT: Limit = Limit::new();
    let dropped = dropped.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
    if let Some(suppressed) = LIMIT.pass() {
        warn!(suppressed, dropped, "no client is connected to the tcp output; events were dropped");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::backoff::Backoff;

    /// A server with a port of its own, and the address to connect to.
    async fn started(nobody: Nobody, give_up: &CancellationToken) -> (Sender<Batch<()>>, JoinSet<()>, SocketAddr) {
        counting(nobody, give_up, Arc::default()).await
    }

    async fn counting(
        nobody: Nobody,
        give_up: &CancellationToken,
        dropped: Arc<AtomicU64>,
    ) -> (Sender<Batch<()>>, JoinSet<()>, SocketAddr) {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let pause = Duration::from_millis(1);
        let retry = Retry::new("tcp", Backoff::new(pause, pause), give_up.clone());
        let server = Server { host: "127.0.0.1".into(), port: free.port(), tls: Tls::Off, nobody, retry, dropped };
        let (sender, batches) = flume::bounded(1);
        let mut running = JoinSet::new();
        running.spawn(server.run(batches));
        (sender, running, free)
    }

    async fn connected(address: SocketAddr) -> TcpStream {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    async fn send(sender: &Sender<Batch<()>>, text: &str) {
        sender.send_async(Batch::of([((), text)])).await.unwrap();
    }

    async fn read(stream: &mut TcpStream, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[tokio::test]
    async fn every_client_gets_every_event_and_the_end() {
        let (sender, mut running, address) = started(Nobody::Wait, &CancellationToken::new()).await;
        // Waits for the first client.
        send(&sender, "one\n").await;
        let mut first = connected(address).await;
        read(&mut first, "one\n").await;
        let mut second = connected(address).await;
        // The second is let in before what it is sent, or after it; it gets all from then on.
        let mut started = false;
        while !started {
            send(&sender, "x").await;
            read(&mut first, "x").await;
            started = timeout(Duration::from_millis(10), second.readable()).await.is_ok();
        }
        send(&sender, "\n").await;
        drop(sender);
        let mut rest = String::new();
        first.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "\n");
        let mut rest = String::new();
        second.read_to_string(&mut rest).await.unwrap();
        assert!(rest.starts_with('x') && rest.ends_with("x\n"), "{rest:?}");
        drop((first, second));
        running.join_next().await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn events_wait_for_the_next_client_when_the_last_has_gone() {
        let (sender, _running, address) = started(Nobody::Wait, &CancellationToken::new()).await;
        let mut client = connected(address).await;
        send(&sender, "one\n").await;
        read(&mut client, "one\n").await;
        drop(client);
        send(&sender, "two\n").await;
        send(&sender, "three\n").await;
        let mut client = connected(address).await;
        read(&mut client, "two\nthree\n").await;
    }

    #[tokio::test]
    async fn without_a_client_events_are_dropped_where_that_is_wanted() {
        let dropped = Arc::<AtomicU64>::default();
        let (sender, mut running, _) = counting(Nobody::Drop, &CancellationToken::new(), Arc::clone(&dropped)).await;
        for _ in 0..10 {
            send(&sender, "x").await;
        }
        drop(sender);
        running.join_next().await.unwrap().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 10);
    }

    #[tokio::test]
    async fn giving_up_ends_the_waiting() {
        let give_up = CancellationToken::new();
        let (sender, mut running, _) = started(Nobody::Wait, &give_up).await;
        send(&sender, "x").await;
        give_up.cancel();
        running.join_next().await.unwrap().unwrap();
    }
}
