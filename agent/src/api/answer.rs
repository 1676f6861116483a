//! Answers: JSON as Logstash writes it, texts, pages, and streams that go on.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// An answer's body.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
/// An answer.
pub(crate) type Answer = Response<Body>;

/// What texts are.
pub(crate) const PLAIN: &str = "text/plain; charset=utf-8";

/// An answer with this body.
pub(crate) fn with_body(status: StatusCode, kind: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}

/// A whole text.
pub(crate) fn text(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Answer {
    with_body(status, kind, Full::new(text.into()).boxed_unsync())
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, value: &Value, pretty: bool) -> Answer {
    let written = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    let mut bytes = written.unwrap_or_default();
    if pretty {
        bytes.push(b'\n');
    }
    text(status, "application/json", bytes)
}

/// An error in Logstash's form.
pub(crate) fn error(status: StatusCode, path: &str, message: &str) -> Answer {
    let value = json!({ "path": path, "status": status.as_u16(), "error": { "message": message } });
    json(status, &value, true)
}

/// Nothing is here.
pub(crate) fn not_found(path: &str) -> Answer {
    error(StatusCode::NOT_FOUND, path, "Not Found")
}
