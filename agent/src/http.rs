//! One small HTTP request over a connection of its own, for what is asked once in a while.

use anyhow::{Result, anyhow};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, client};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Sends a request, and reads the answer as text.
///
/// # Errors
/// A connection that breaks, and an answer of more than `most` bytes.
pub(crate) async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
    most: usize,
) -> Result<(StatusCode, String)> {
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), most).collect().await.map_err(|error| anyhow!(error))?;
    connection.abort();
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).trim().to_owned()))
}
