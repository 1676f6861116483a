//! Lines over a WebSocket (RFC 6455), as Logspout has it: each line is a message. What the viewer says is passed over, but for pings and the end.
//!
//! Any page of the web may open a WebSocket to this host, and browsers let it read what comes. So an `Origin` that is not the name which was
//! asked is refused; programs that are no browsers send none.
//!
//! What it leaves out: extensions, and messages in pieces, for what it sends is short and what it is sent is of no interest.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{Stream, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::header::{
    CONNECTION, HOST, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{self, OnUpgrade};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::answer::{self, Answer};
use super::{BODY, PATIENCE};
use crate::stats::locked;

/// What makes of a key the answer to it; the standard says so.
const SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The only version of the protocol.
const VERSION: &str = "13";

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The reasons of an end: elkhound stops; what was said is none of the protocol.
const GOING_AWAY: u16 = 1001;
const WRONG: u16 = 1002;

/// Texts of one line or several, each of which becomes a message.
pub(crate) type Texts = Pin<Box<dyn Stream<Item = String> + Send>>;

/// Where a conversation waits until its connection has become a WebSocket.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Conversation>>>);

impl Slot {
    /// The conversation, if one was agreed on.
    pub(crate) fn take(&self) -> Option<Conversation> {
        locked(&self.0).take()
    }
}

/// A request for a WebSocket.
pub(crate) struct Opening {
    key: Result<String, (StatusCode, &'static str)>,
    upgrade: OnUpgrade,
    slot: Slot,
}

impl Opening {
    /// What the request asks for, if that is a WebSocket; what is said then goes to `slot`.
    pub(crate) fn of<B>(request: &mut Request<B>, slot: &Slot) -> Option<Self> {
        let asked = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !asked.eq_ignore_ascii_case("websocket") {
            return None;
        }
        let key = key(request.headers());
        Some(Self { key, upgrade: upgrade::on(request), slot: slot.clone() })
    }

    /// Why it is refused, if it is.
    pub(crate) fn refusal(&self) -> Option<(StatusCode, &'static str)> {
        self.key.as_ref().err().copied()
    }

    /// The answer that makes a WebSocket of the connection, over which `texts` are said then.
    pub(crate) fn accept(&self, path: &str, texts: Texts) -> Answer {
        let key = match &self.key {
            Ok(key) => key,
            Err((status, message)) => return answer::error(*status, path, message),
        };
        let Ok(accepted) = HeaderValue::from_str(&accepted(key)) else {
            return answer::error(StatusCode::BAD_REQUEST, path, "sec-websocket-key is no text");
        };
        *locked(&self.slot.0) = Some(Conversation { upgrade: self.upgrade.clone(), texts });
        let mut answer = Response::new(Empty::new().boxed_unsync());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
        answer
    }
}

/// The request's key, or why there can be no WebSocket.
fn key(headers: &HeaderMap) -> Result<String, (StatusCode, &'static str)> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let origin = header(ORIGIN);
    if !origin.is_empty() && origin.split_once("://").is_none_or(|(_, name)| name != header(HOST)) {
        return Err((StatusCode::FORBIDDEN, "pages of other sites may not read lines; open a page of this address"));
    }
    if header(SEC_WEBSOCKET_VERSION) != VERSION {
        return Err((StatusCode::BAD_REQUEST, "sec-websocket-version must be 13"));
    }
    match header(SEC_WEBSOCKET_KEY) {
        "" => Err((StatusCode::BAD_REQUEST, "sec-websocket-key is missing")),
        key => Ok(key.to_owned()),
    }
}

fn accepted(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::digest(format!("{key}{SUFFIX}")))
}

/// What is said over a connection that becomes a WebSocket.
pub(crate) struct Conversation {
    upgrade: OnUpgrade,
    texts: Texts,
}

impl Conversation {
    /// Sends texts until there are no more, or the viewer is gone.
    pub(crate) async fn hold(mut self) {
        let Ok(Ok(upgraded)) = timeout(PATIENCE, self.upgrade).await else { return };
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
        let mut heard = BytesMut::new();
        loop {
            let (frames, end) = tokio::select! {
                text = self.texts.next() => match text {
                    Some(text) => (text.lines().flat_map(|line| frame(TEXT, line.as_bytes())).collect(), false),
                    None => (frame(CLOSE, &GOING_AWAY.to_be_bytes()), true),
                },
                read = read.read_buf(&mut heard) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => replies(&mut heard),
                },
            };
            if write.write_all(&frames).await.and(write.flush().await).is_err() || end {
                return;
            }
        }
    }
}

/// What is to be said to what was heard so far, and whether that is the end.
fn replies(heard: &mut BytesMut) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    loop {
        match take_frame(heard) {
            Ok(None) => return (out, false),
            Ok(Some((PING, payload))) => out.extend(frame(PONG, &payload)),
            Ok(Some((CLOSE, payload))) => {
                out.extend(frame(CLOSE, &payload[..payload.len().min(2)]));
                return (out, true);
            }
            Ok(Some(_)) => {}
            Err(Wrong) => {
                out.extend(frame(CLOSE, &WRONG.to_be_bytes()));
                return (out, true);
            }
        }
    }
}

/// A whole frame of ours, which is not masked.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | kind];
    match payload.len() {
        length @ ..=125 => out.push(length as u8),
        length @ ..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out
}

/// What was heard is no frame of a viewer, or a larger one than any that is of use.
#[derive(Debug, PartialEq, Eq)]
struct Wrong;

/// Takes a frame, its kind and its payload, if all of it has been heard.
fn take_frame(heard: &mut BytesMut) -> Result<Option<(u8, Bytes)>, Wrong> {
    let &[first, second, ..] = &heard[..] else { return Ok(None) };
    if second & 0x80 == 0 {
        return Err(Wrong); // viewers mask
    }
    let (length, head) = match second & 0x7f {
        126 => (heard.get(2..4).map(|bytes| u64::from(u16::from_be_bytes([bytes[0], bytes[1]]))), 4),
        127 => (heard.get(2..10).map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))), 10),
        length => (Some(u64::from(length)), 2),
    };
    let Some(length) = length else { return Ok(None) };
    let length = usize::try_from(length).ok().filter(|length| *length <= BODY).ok_or(Wrong)?;
    if heard.len() < head + 4 + length {
        return Ok(None);
    }
    heard.advance(head);
    let mask = heard.split_to(4);
    let mut payload = heard.split_to(length);
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(Some((first & 0x0f, payload.freeze())))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;
    use crate::api::testing;
    use crate::stats::tap::Shown;

    /// A frame as a viewer sends it.
    fn masked(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = frame(kind, payload);
        let head = out.len() - payload.len();
        out[1] |= 0x80;
        let hidden: Vec<u8> = payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        out.truncate(head);
        out.extend([1, 2, 3, 4]);
        out.extend(hidden);
        out
    }

    #[test]
    fn a_key_is_answered_as_the_standard_has_it() {
        assert_eq!(accepted("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_frame_of_any_length_is_read_back_however_it_is_cut() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let bytes = masked(TEXT, &payload);
            for cut in [1, 2, 3, 9, bytes.len() - 1] {
                let mut heard = BytesMut::from(&bytes[..cut.min(bytes.len() - 1)]);
                assert_eq!(take_frame(&mut heard), Ok(None), "{length} cut at {cut}");
                heard.extend_from_slice(&bytes[heard.len()..]);
                assert_eq!(take_frame(&mut heard), Ok(Some((TEXT, Bytes::from(payload.clone())))));
                assert!(heard.is_empty());
            }
        }
    }

    #[test]
    fn pings_and_the_end_are_answered_and_all_else_is_passed_over() {
        let mut heard =
            BytesMut::from(&[masked(TEXT, b"hello"), masked(PING, b"x"), masked(CLOSE, b"\x03\xe8bye")].concat()[..]);
        assert_eq!(replies(&mut heard), ([frame(PONG, b"x"), frame(CLOSE, b"\x03\xe8")].concat(), true));
        let wrong = (frame(CLOSE, &WRONG.to_be_bytes()), true);
        assert_eq!(replies(&mut BytesMut::from(&frame(TEXT, b"not masked")[..])), wrong);
        let huge = [&[0x81, 0xff], &u64::MAX.to_be_bytes()[..]].concat();
        assert_eq!(replies(&mut BytesMut::from(&huge[..])), wrong);
    }

    async fn connected(head: &str) -> (Arc<crate::api::State>, DuplexStream, String) {
        let state = Arc::new(testing::state());
        let (mut viewer, server) = tokio::io::duplex(1 << 16);
        tokio::spawn(crate::api::talk(server, [127, 0, 0, 1].into(), Arc::clone(&state)));
        viewer.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(viewer.read_u8().await.unwrap());
        }
        (state, viewer, String::from_utf8(answer).unwrap().to_ascii_lowercase())
    }

    const HEAD: &str = "GET /logs/name:web-1?source=stdout HTTP/1.1\r\nHost: localhost:9600\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    #[tokio::test]
    async fn each_line_is_a_message_until_the_viewer_goes() {
        let (state, mut viewer, answer) = connected(&format!("{HEAD}Origin: http://localhost:9600\r\n\r\n")).await;
        assert!(answer.starts_with("http/1.1 101 ") && answer.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
        let about = crate::stats::containers::About { name: "web-1".into(), ..Default::default() };
        let line = |stream, text: &str| Shown { time: Default::default(), stream, text: text.into() };
        state
            .stats
            .tap
            .show(&Arc::new(about), vec![line("stdout", "one"), line("stderr", "no"), line("stdout", "two")]);
        let expected = [frame(TEXT, b"web-1|one"), frame(TEXT, b"web-1|two")].concat();
        let mut seen = vec![0; expected.len()];
        viewer.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, expected);
        viewer.write_all(&masked(CLOSE, b"")).await.unwrap();
        let mut end = Vec::new();
        viewer.read_to_end(&mut end).await.unwrap();
        assert_eq!(end, frame(CLOSE, b""));
        assert_eq!(state.viewers.available_permits(), 1, "the seat is given back");
    }

    #[tokio::test]
    async fn pages_of_other_sites_and_other_versions_are_refused() {
        for (more, without, status) in [
            ("Origin: https://evil.example\r\n", "", 403),
            ("Origin: null\r\n", "", 403),
            ("", "Sec-WebSocket-Version: 13\r\n", 400),
            ("", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400),
        ] {
            let head = HEAD.replace(without, "");
            let (state, _viewer, answer) = connected(&format!("{head}{more}\r\n")).await;
            assert!(answer.starts_with(&format!("http/1.1 {status} ")), "{answer}");
            assert_eq!(state.viewers.available_permits(), 1);
        }
    }
}
