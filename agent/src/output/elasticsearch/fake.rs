//! A node that is none, for tests: it answers requests as a function of their lines, and can reset, cut and stall.

use std::sync::{Arc, Mutex};

use elasticsearch::http::Url;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the node does with a request.
pub(crate) enum Reply {
    /// A status and a body.
    Whole(u16, String),
    /// The first half of a body, then the connection is closed.
    Cut(String),
    /// The connection is closed before a word.
    Reset,
    /// No answer, ever.
    Stall,
}

/// Makes of a request, its number among those so far, the lines of its head and its body, what is remembered of it and the reply.
type Script = dyn FnMut(usize, &str, &[u8]) -> (String, Reply) + Send;

/// A node that listens; it ends with the test's runtime.
pub(crate) struct Fake {
    /// Where it listens.
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Starts a node that says it is `version` and answers bulk requests by `script`.
    pub(crate) async fn start(
        version: &str,
        mut script: impl FnMut(usize, &[String]) -> Reply + Send + 'static,
    ) -> Self {
        Self::scripted(version, move |number, head, body| {
            let ids = ids(body);
            let path = head.split([' ', '?']).nth(1).unwrap_or_default();
            (format!("{path} {}", ids.join(" ")), script(number, &ids))
        })
        .await
    }

    /// Starts one that answers requests of other kinds, which are remembered as `GET /path`.
    pub(crate) async fn start_plain(
        version: &str,
        mut script: impl FnMut(usize, &str) -> Reply + Send + 'static,
    ) -> Self {
        Self::scripted(version, move |number, head, _| {
            let request = head.split([' ', '?']).take(2).collect::<Vec<_>>().join(" ");
            let reply = script(number, &request);
            (request, reply)
        })
        .await
    }

    /// Starts one that speaks TLS and takes whatever it is sent.
    pub(crate) async fn start_secured(acceptor: TlsAcceptor) -> Self {
        let taken = |_: usize, _: &str, body: &[u8]| {
            (ids(body).join(" "), Reply::Whole(200, r#"{"errors":false,"items":[]}"#.into()))
        };
        Self::listening("8.0.0", Some(acceptor), taken).await
    }

    pub(crate) async fn scripted(
        version: &str,
        script: impl FnMut(usize, &str, &[u8]) -> (String, Reply) + Send + 'static,
    ) -> Self {
        Self::listening(version, None, script).await
    }

    async fn listening(
        version: &str,
        acceptor: Option<TlsAcceptor>,
        script: impl FnMut(usize, &str, &[u8]) -> (String, Reply) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let url = Url::parse(&format!("{scheme}://{}/", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
        let root = format!(r#"{{"version":{{"number":"{version}"}}}}"#);
        let requests = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (root, script, requests) = (root.clone(), Arc::clone(&script), Arc::clone(&requests));
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, root, script, requests).await,
                        Some(acceptor) => {
                            // A client that does not show what is asked for gets no further.
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            serve(stream, root, script, requests).await;
                        }
                    }
                });
            }
        });
        Self { url, seen }
    }

    /// The requests so far; a bulk request by its path and ids, as `/_bulk a b c`.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    root: String,
    script: Arc<Mutex<Box<Script>>>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = request(&mut stream).await {
        let reply = if head.starts_with("GET / ") {
            Reply::Whole(200, root.clone())
        } else {
            let mut seen = seen.lock().unwrap();
            let (request, reply) = script.lock().unwrap()(seen.len(), &head, &body);
            seen.push(request);
            reply
        };
        let (status, text, length) = match reply {
            Reply::Whole(status, text) => (status, text.clone(), text.len()),
            Reply::Cut(text) => (200, text[..text.len() / 2].to_owned(), text.len()),
            Reply::Reset => return,
            Reply::Stall => return std::future::pending().await,
        };
        let answer =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{text}");
        if stream.write_all(answer.as_bytes()).await.is_err() || text.len() < length {
            return;
        }
    }
}

/// The lines of the head, the request line first, and the body; nothing when the connection is closed.
async fn request(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        head.push_str(&line);
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// The `_id` of each action line.
fn ids(body: &[u8]) -> Vec<String> {
    let action = |line: &[u8]| {
        let action: serde_json::Value = serde_json::from_slice(line).ok()?;
        Some(action.get("create")?.get("_id")?.as_str()?.to_owned())
    };
    body.split(|&byte| byte == b'\n').filter_map(action).collect()
}
