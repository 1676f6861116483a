//! An engine that is none, for tests that only care for what it answers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Engine, Environment};

/// An engine of version 1.41 of the API that gives one answer on each connection: what `next` says, but for the first, by which the version is agreed.
pub(crate) async fn answering(mut next: impl FnMut() -> String + Send + 'static) -> Engine {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = Some(format!("tcp://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        loop {
            let (mut stream, mut head) = (listener.accept().await.unwrap().0, [0; 4096]);
            let length = stream.read(&mut head).await.unwrap();
            let answer = match head[..length].starts_with(b"GET /_ping") {
                true => "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK".to_owned(),
                false => next(),
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    Engine::connect(&Environment { host, ..Environment::default() }).await.unwrap()
}
