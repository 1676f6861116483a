//! A viewer of lines over a WebSocket: as much of RFC 6455 as it takes to open one and to be told something.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An open WebSocket; closed when dropped.
pub(crate) struct WebSocket(BufReader<TcpStream>);

impl WebSocket {
    /// Opens one, with the key and the answer to it that the standard gives as an example.
    pub(crate) fn open(address: &str, path: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut socket = BufReader::new(stream);
        let asked = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.get_mut().write_all(asked.as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            assert!(socket.read_line(&mut answer).unwrap() > 0, "the connection has ended: {answer}");
        }
        let answer = answer.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 101 "), "{answer}");
        assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
        Self(socket)
    }

    /// Waits for the next message.
    pub(crate) fn message(&mut self) -> String {
        let [first, second] = self.bytes();
        assert_eq!(first, 0x81, "a whole text is expected");
        let length = match second {
            126 => u16::from_be_bytes(self.bytes()).into(),
            127 => u64::from_be_bytes(self.bytes()),
            length => length.into(),
        };
        let mut text = String::new();
        self.0.by_ref().take(length).read_to_string(&mut text).unwrap();
        text
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}
