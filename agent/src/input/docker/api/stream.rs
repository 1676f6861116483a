//! An answer that goes on: a log, or the engine's events.
//!
//! dockerd sends each line as a piece of its own. So the connection is not a task beside the reader, which would have to be switched to and back for
//! each line: whoever reads polls it, and gets all pieces that have arrived in one go.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body_util::Empty;
use hyper::body::{Body, Frame, Incoming};

use super::{ApiError, Connection, Connector, origin_form};

/// Pieces are put together up to so many bytes; a larger one is handed on as it is.
const GATHERED: usize = 64 << 10;

/// The body of an answer that goes on.
pub(crate) struct ByteStream {
    body: Incoming,
    /// Nothing once it has ended.
    connection: Option<Pin<Box<Connection<Empty<Bytes>>>>>,
    /// What was read to see whether there is anything.
    first: Option<Bytes>,
    /// How it ended, behind pieces that were handed on.
    ended: Option<Result<(), ApiError>>,
    connector: Arc<Connector>,
}

impl ByteStream {
    /// Asks for `path`.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(super) async fn open(connector: &Arc<Connector>, path: &str) -> Result<Self, ApiError> {
        let (mut sender, connection) = connector.open().await?;
        let mut connection = Box::pin(connection);
        let sent = sender.send_request(origin_form(connector.get(path)?));
        let driven = async {
            tokio::pin!(sent);
            tokio::select! {
                biased;
                answer = &mut sent => answer,
                // What it ended of is in the answer.
                _ = &mut connection => sent.await,
            }
        };
        let answer = connector.answer(driven).await?;
        if !answer.status().is_success() {
            tokio::spawn(connection);
            return Err(connector.refusal(path, answer).await);
        }
        let (body, connector) = (answer.into_body(), Arc::clone(connector));
        Ok(Self { body, connection: Some(connection), first: None, ended: None, connector })
    }

    /// Whether it ends without any bytes, once that is known. Safe to be cancelled.
    ///
    /// # Errors
    /// [`ApiError::Broken`].
    pub(crate) async fn is_empty(&mut self) -> Result<bool, ApiError> {
        self.first = self.next().await?;
        Ok(self.first.is_none())
    }

    /// The next bytes, all that are there; `None` at the end. Safe to be cancelled.
    ///
    /// # Errors
    /// [`ApiError::Broken`].
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if let Some(ended) = self.ended.take() {
            return ended.map(|()| None);
        }
        poll_fn(|cx| self.poll_gathered(cx)).await
    }

    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ApiError>> {
        let mut gathered = BytesMut::new();
        while gathered.len() < GATHERED {
            match self.poll_piece(cx) {
                Poll::Pending if gathered.is_empty() => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(Ok(Some(piece))) if gathered.is_empty() && piece.len() >= GATHERED => {
                    return Poll::Ready(Ok(Some(piece)));
                }
                Poll::Ready(Ok(Some(piece))) => gathered.extend_from_slice(&piece),
                Poll::Ready(ended) if gathered.is_empty() => return Poll::Ready(ended),
                Poll::Ready(ended) => {
                    self.ended = Some(ended.map(drop));
                    break;
                }
            }
        }
        Poll::Ready(Ok(Some(gathered.freeze())))
    }

    /// The next piece, made of what the connection has read or reads now.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ApiError>> {
        loop {
            match ready!(self.poll_frame(cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Err(error)) => return Poll::Ready(Err(self.connector.broken(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Ok(Some(data)));
                    }
                }
            }
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let read = Pin::new(&mut self.body).poll_frame(cx);
        let Some(connection) = self.connection.as_mut().filter(|_| read.is_pending()) else { return read };
        if connection.as_mut().poll(cx).is_ready() {
            self.connection = None;
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::Environment;
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    /// The two ends of a stream whose answer has begun with `head`.
    async fn begun(head: &[u8]) -> (Result<ByteStream, ApiError>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Some(format!("tcp://{}", listener.local_addr().unwrap()));
        let connector = Arc::new(Connector::new(&Environment { host, ..Environment::default() }).unwrap());
        let engine = async {
            let (mut engine, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(engine.read_u8().await.unwrap());
            }
            assert!(asked.starts_with(b"GET /logs HTTP/1.1\r\n"));
            engine.write_all(head).await.unwrap();
            engine
        };
        tokio::join!(ByteStream::open(&connector, "/logs"), engine)
    }

    async fn text(stream: &mut ByteStream) -> Option<String> {
        stream.next().await.unwrap().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_has_arrived_in_pieces_is_had_in_one_go_and_its_end_behind_it() {
        let (stream, mut engine) = begun(&[HEAD, b"4\r\none \r\n4\r\ntwo \r\n"].concat()).await;
        let mut stream = stream.unwrap();
        assert_eq!(text(&mut stream).await.as_deref(), Some("one two "));
        engine.write_all(b"6\r\nthree \r\n4\r\nfour\r\n0\r\n\r\n").await.unwrap();
        assert_eq!(text(&mut stream).await.as_deref(), Some("three four"));
        assert_eq!(text(&mut stream).await, None);
    }

    #[tokio::test]
    async fn what_was_looked_at_is_read_afterwards() {
        let (stream, mut engine) = begun(&[HEAD, b"4\r\none \r\n"].concat()).await;
        let mut stream = stream.unwrap();
        assert!(!stream.is_empty().await.unwrap());
        engine.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
        assert_eq!(text(&mut stream).await.as_deref(), Some("one "));
        assert_eq!(text(&mut stream).await.as_deref(), Some("two"));
        assert!(stream.is_empty().await.unwrap());
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_is_an_error_behind_what_had_arrived() {
        let (stream, mut engine) = begun(HEAD).await;
        let mut stream = stream.unwrap();
        engine.write_all(b"3\r\none\r\n9\r\ntw").await.unwrap();
        engine.shutdown().await.unwrap();
        let mut had = String::new();
        let error = loop {
            match stream.next().await {
                Ok(Some(bytes)) => had.push_str(std::str::from_utf8(&bytes).unwrap()),
                Ok(None) => panic!("it has no end"),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(had, "onetw");
        assert!(error.contains("127.0.0.1") && error.contains("error reading a body"), "{error}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_engines_words() {
        let head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 21\r\n\r\n{\"message\":\"no such\"}";
        let error = begun(head).await.0.err().unwrap().to_string();
        assert!(error.contains("no such") && error.contains("404"), "{error}");
    }
}
