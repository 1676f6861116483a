//! The client: one connection, which is made anew whenever it is lost, and what may not have been read is sent again.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use flume::Receiver;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::unacknowledged::unacknowledged;
use super::window::Window;
use super::{Ended, FAREWELL, GREETING, PATIENCE, Stream, end, greeted};
use crate::output::batches::Batch;
use crate::output::retry::{Retry, Trouble};
use crate::tls::options::Tls;

/// How often a server that resets the last connection of an output that ends gets what it may not have read once more.
const FAREWELLS: usize = 3;

/// The client of one server.
pub(super) struct Client {
    host: String,
    port: u16,
    tls: Tls,
    retry: Retry,
    window: Window,
    connection: Option<Connection>,
}

struct Connection {
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    /// Our address and the server's.
    ends: (SocketAddr, SocketAddr),
    since: Instant,
}

impl Client {
    /// Not connected yet.
    pub(super) fn new(host: String, port: u16, tls: Tls, retry: Retry) -> Self {
        Self { host, port, tls, retry, window: Window::new(), connection: None }
    }

    /// Sends all batches, unless it is time to give up before.
    pub(super) async fn run(mut self, batches: Receiver<Batch<()>>) {
        let give_up = self.retry.give_up();
        tokio::select! {
            () = self.work(&batches) => {}
            () = give_up.cancelled() => {}
        }
    }

    async fn work(&mut self, batches: &Receiver<Batch<()>>) {
        loop {
            tokio::select! {
                batch = batches.recv_async() => match batch {
                    Ok(batch) => self.window.push(batch),
                    Err(_) => break,
                },
                ended = ended(&mut self.connection) => {
                    self.lose(&ended);
                }
            }
            self.send_all().await;
        }
        for _ in 0..FAREWELLS {
            self.send_all().await;
            let Some(ended) = self.say_farewell().await else { return };
            if self.lose(&ended) == 0 {
                return;
            }
        }
    }

    /// Returns when everything is written.
    async fn send_all(&mut self) {
        // The end of a connection that has come already is noticed before something is written into it, which would have the server's kernel reset it,
        // and us not know what was read.
        yield_now().await;
        while let Some(unsent) = self.window.unsent() {
            let Some(connection) = &mut self.connection else {
                self.connect().await;
                continue;
            };
            let server = connection.ends.1;
            let sent = tokio::select! {
                // What is written to a connection that has ended already is lost time.
                biased;
                ended = end(&mut connection.reader) => Err(ended),
                sent = send(&mut connection.writer, unsent, server) => sent.map_err(Ended::Broken),
            };
            match sent {
                Ok(count) => {
                    self.window.advance(count);
                    self.window.settle();
                }
                Err(ended) => {
                    self.lose(&ended);
                    self.pause(&ended).await;
                }
            }
        }
    }

    async fn connect(&mut self) {
        match timeout(GREETING, TcpStream::connect((self.host.as_str(), self.port))).await {
            Ok(Ok(stream)) => match Connection::new(stream, &self.tls).await {
                Ok(connection) => {
                    info!(server = %connection.ends.1, "the tcp output is connected");
                    self.connection = Some(connection);
                }
                Err(error) => self.wait(&error, greeting_remedy(&error, &self.tls)).await,
            },
            Ok(Err(error)) => self.wait(&error, connect_remedy(&error)).await,
            Err(_) => self.wait("no answer", "let this host reach the server through firewalls and routers").await,
        }
    }

    async fn wait(&mut self, reason: impl std::fmt::Display, remedy: &'static str) {
        let trouble = Trouble::new(format_args!("{}:{}", self.host, self.port), reason, remedy);
        // A false answer means that it is time to give up, which `run` sees for itself.
        let _on = self.retry.failed(&trouble).await;
    }

    /// The connection is gone: goes back to what the server may not have read, and gives the number of events that are sent again.
    fn lose(&mut self, ended: &Ended) -> usize {
        let Some(connection) = self.connection.take() else { return 0 };
        // A server that hangs up on every connection is not asked in a tight loop.
        if connection.since.elapsed() > GREETING {
            self.retry.succeeded();
        }
        let unread = match ended {
            Ended::Closed => unacknowledged(connection.ends.0, connection.ends.1),
            Ended::Broken(_) => None,
        };
        let (server, again) = (connection.ends.1, self.window.rewind(unread));
        match ended {
            Ended::Closed if again == 0 => info!(%server, "the server has closed the connection"),
            Ended::Closed => {
                warn!(%server, again, "the server has closed the connection; what was on its way is sent again");
            }
            Ended::Broken(reason) => {
                warn!(%server, %reason, again, "the connection is lost; events that it may have cost are sent again");
            }
        }
        again
    }

    async fn pause(&mut self, ended: &Ended) {
        let remedy = "look at what the server says about the connection";
        match ended {
            Ended::Closed => self.wait("the connection was closed", remedy).await,
            Ended::Broken(error) => self.wait(error, remedy).await,
        }
    }

    /// Says that nothing more comes, and waits for a while until the server has read everything and closes. Nothing when it does not, or is gone.
    async fn say_farewell(&mut self) -> Option<Ended> {
        let connection = self.connection.as_mut()?;
        let farewell = async {
            match connection.writer.shutdown().await {
                Ok(()) => end(&mut connection.reader).await,
                Err(error) => Ended::Broken(error),
            }
        };
        timeout(FAREWELL, farewell).await.ok()
    }
}

impl Connection {
    async fn new(stream: TcpStream, tls: &Tls) -> io::Result<Self> {
        let ends = (stream.local_addr()?, stream.peer_addr()?);
        let (reader, writer) = split(greeted(stream, tls).await?);
        Ok(Self { reader, writer, ends, since: Instant::now() })
    }
}

/// Writes some of these bytes, as many as the kernel takes, and says how many. A server that takes none for long is named.
async fn send(writer: &mut WriteHalf<Stream>, bytes: &[u8], server: SocketAddr) -> io::Result<usize> {
    let mut sending = pin!(async {
        let count = writer.write(bytes).await?;
        // TLS keeps what the socket did not take; it is written when the socket has it.
        writer.flush().await?;
        Ok(count)
    });
    loop {
        match timeout(PATIENCE, &mut sending).await {
            Ok(sent) => return sent,
            Err(_) => warn!(%server, seconds = PATIENCE.as_secs(), "the server takes nothing; events wait"),
        }
    }
}

/// When the server ends the connection; never without one.
async fn ended(connection: &mut Option<Connection>) -> Ended {
    match connection {
        Some(connection) => end(&mut connection.reader).await,
        None => pending().await,
    }
}

fn connect_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "start what listens there, or correct `host` and `port`",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => "give this host a way to the server",
        _ => "correct `host` and `port`, and let this host reach the server",
    }
}

fn greeting_remedy(error: &io::Error, tls: &Tls) -> &'static str {
    match (error.kind(), tls) {
        (_, Tls::Off) => "look at what the server says about the connection",
        (io::ErrorKind::InvalidData, _) => {
            "name the authority of the server's certificate in `ssl_certificate_authorities`, and the server in `host` as its certificate does"
        }
        _ => "let the server speak TLS on this port, or leave out `ssl_enabled`",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::backoff::Backoff;

    struct Bench {
        listener: TcpListener,
        sender: flume::Sender<Batch<()>>,
        give_up: CancellationToken,
        client: JoinHandle<()>,
    }

    async fn bench() -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (give_up, pause) = (CancellationToken::new(), Duration::from_millis(1));
        let retry = Retry::new("tcp", Backoff::new(pause, pause), give_up.clone());
        let client = Client::new("127.0.0.1".into(), listener.local_addr().unwrap().port(), Tls::Off, retry);
        let (sender, batches) = flume::bounded(1);
        Bench { listener, sender, give_up, client: tokio::spawn(client.run(batches)) }
    }

    impl Bench {
        async fn send(&self, text: &str) {
            self.sender.send_async(Batch::of([((), text)])).await.unwrap();
        }

        async fn accept(&self) -> TcpStream {
            self.listener.accept().await.unwrap().0
        }
    }

    async fn read(stream: &mut TcpStream, length: usize) -> String {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_server_that_has_read_everything_gets_nothing_twice() {
        let bench = bench().await;
        for text in ["one\n", "two\n"] {
            bench.send(text).await;
            let mut stream = bench.accept().await;
            assert_eq!(read(&mut stream, 4).await, text);
        }
    }

    #[tokio::test]
    async fn what_a_server_has_not_read_is_sent_again() {
        let bench = bench().await;
        bench.send("one\n").await;
        bench.send("two\n").await;
        let mut stream = bench.accept().await;
        assert_eq!(read(&mut stream, 4).await, "one\n");
        let mut peeked = [0; 4];
        while stream.peek(&mut peeked).await.unwrap() < 4 {}
        // With something unread, the connection is reset.
        drop(stream);
        let mut stream = bench.accept().await;
        assert_eq!(read(&mut stream, 8).await, "one\ntwo\n");
        bench.send("three\n").await;
        assert_eq!(read(&mut stream, 6).await, "three\n");
    }

    #[tokio::test]
    async fn an_output_that_ends_waits_until_the_server_has_read() {
        let bench = bench().await;
        bench.send("one\n").await;
        let Bench { listener, sender, client, .. } = bench;
        drop(sender);
        let (stream, _) = listener.accept().await.unwrap();
        let mut peeked = [0; 4];
        while stream.peek(&mut peeked).await.unwrap() < 4 {}
        drop(stream);
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "one\n");
        drop(stream);
        client.await.unwrap();
    }

    #[tokio::test]
    async fn giving_up_ends_the_tries() {
        let Bench { listener, sender, give_up, client } = bench().await;
        drop(listener);
        sender.send_async(Batch::of([((), "one\n")])).await.unwrap();
        give_up.cancel();
        client.await.unwrap();
        assert!(sender.is_disconnected());
    }
}
