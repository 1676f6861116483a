//! The live view of containers' lines, as Logspout has it: `/logs`, `/logs/id:…`, `/logs/name:…`, `/logs/service:…`, and `/routes`.
//!
//! Plain text, or with `Accept: application/json` or `?format=json` one object a line, or with `Accept: text/event-stream` an event for each line; over
//! a WebSocket each line is a message. A viewer that does not keep up misses lines, and the stream says how many; nobody waits for it.

use std::convert::Infallible;
use std::fmt::Write;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::StatusCode;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::answer::{self, Answer};
use super::query::Query;
use crate::files::glob;
use crate::stats::containers::About;
use crate::stats::tap::{Chunk, Shown, View};

/// Which lines are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    id: Option<String>,
    name: Option<String>,
    service: Option<String>,
    source: Option<String>,
    holds: Option<String>,
}

impl Wanted {
    /// What the path below `/logs` and the parameters ask for; nothing for a path that is none.
    pub(crate) fn parse(path: &str, query: &Query) -> Option<Self> {
        let text = |name: &str| query.text(name).map(str::to_owned);
        let mut wanted = Self {
            id: text("id"),
            name: text("name"),
            service: text("service"),
            source: text("source").or_else(|| text("sources")).filter(|source| source != "stdout,stderr"),
            holds: text("filter"),
        };
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Some(wanted);
        }
        let (kind, value) = path.split_once(':')?;
        let value = Some(crate::percent::percent_decoded(value)).filter(|value| !value.is_empty());
        match kind {
            "id" => wanted.id = value,
            "name" => wanted.name = value,
            "service" => wanted.service = value,
            _ => return None,
        }
        Some(wanted)
    }

    fn takes(&self, about: &About) -> bool {
        let named = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|pattern| glob(pattern.as_bytes(), name.as_bytes()))
        };
        self.id.as_ref().is_none_or(|id| about.id.starts_with(id.as_str()))
            && named(&self.name, &about.name)
            && named(&self.service, &about.service)
    }

    fn takes_line(&self, line: &Shown) -> bool {
        self.source.as_ref().is_none_or(|source| source == line.stream)
            && self.holds.as_ref().is_none_or(|text| line.text.contains(text.as_str()))
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The container's name and the line; with colours.
    Text(bool),
    /// An object a line.
    Json,
    /// Server-sent events.
    Events,
}

impl Form {
    /// What the viewer asks for.
    pub(crate) fn asked(accept: &str, query: &Query) -> Self {
        if accept.contains("text/event-stream") {
            return Self::Events;
        }
        // Browsers can't say what they accept when they open a WebSocket.
        if query.get("format") == Some("json")
            || accept.contains("application/json")
            || accept.contains("application/x-ndjson")
        {
            return Self::Json;
        }
        // Browsers and programs show what colours are made of; whoever wants them says so, as `off` says the opposite in Logspout.
        Self::Text(query.is_set("colors"))
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Text(_) => answer::PLAIN,
            Self::Json => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }

    fn write(self, about: &About, line: &Shown, out: &mut String) {
        // Writing to a text can't fail.
        let _written = match self {
            Self::Text(false) => writeln!(out, "{}|{}", about.name, line.text),
            Self::Text(true) => writeln!(out, "\x1b[{}m{}|{}\x1b[0m", colour(&about.name), about.name, line.text),
            Self::Json => writeln!(out, "{}", object(about, line)),
            Self::Events => write!(out, "data: {}\n\n", object(about, line)),
        };
    }

    fn write_missed(self, missed: u64, out: &mut String) {
        let _written = match self {
            Self::Text(_) => writeln!(out, "elkhound|{missed} lines were left out here, for they came too fast"),
            Self::Json => writeln!(out, "{}", json!({ "skipped": missed })),
            Self::Events => write!(out, "event: skipped\ndata: {missed}\n\n"),
        };
    }
}

fn object(about: &About, line: &Shown) -> Value {
    json!({
        "container": { "id": about.id, "name": about.name, "image": { "name": about.image } },
        "service": { "name": about.service },
        "stream": line.stream,
        "@timestamp": line.time.to_string(),
        "message": line.text,
    })
}

/// One of six colours, the same for a name each time.
fn colour(name: &str) -> u32 {
    31 + name.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 6
}

/// What a chunk shows of itself.
fn written(chunk: &Chunk, missed: u64, wanted: &Wanted, form: Form) -> String {
    let mut out = String::new();
    if missed > 0 {
        form.write_missed(missed, &mut out);
    }
    if wanted.takes(&chunk.about) {
        let lines = chunk.lines.iter().filter(|line| wanted.takes_line(line));
        lines.for_each(|line| form.write(&chunk.about, line, &mut out));
    }
    out
}

/// What `texts` say, as an answer that goes on.
pub(crate) fn follow(texts: impl Stream<Item = String> + Send + 'static, form: Form) -> Answer {
    let frames = texts.map(|text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    answer::with_body(StatusCode::OK, form.kind(), StreamBody::new(frames).boxed_unsync())
}

/// The lines from now on. `seat` is given back when the viewer goes.
pub(crate) fn texts(
    view: View,
    wanted: Wanted,
    form: Form,
    seat: OwnedSemaphorePermit,
) -> impl Stream<Item = String> + Send + 'static {
    stream::unfold((view, wanted, seat), move |(mut view, wanted, seat)| async move {
        loop {
            let (chunk, missed) = view.next().await?;
            let text = written(&chunk, missed, &wanted, form);
            if !text.is_empty() {
                return Some((text, (view, wanted, seat)));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use elkhound_pipeline::time::Timestamp;

    use super::*;
    use crate::stats::tap::Tap;

    fn wanted(path: &str, query: &str) -> Option<Wanted> {
        Wanted::parse(path, &Query::parse(query))
    }

    async fn shown(wanted: Wanted, form: Form) -> String {
        let tap = Tap::new();
        let mut view = tap.look();
        let about =
            About { id: "0123456789ab".into(), name: "web-1".into(), service: "shop_web".into(), ..About::default() };
        let line = |stream, text: &str| Shown { time: Timestamp::from_millis(1500), stream, text: text.into() };
        tap.show(&Arc::new(about), vec![line("stdout", "one"), line("stderr", "two")]);
        let (chunk, missed) = view.next().await.unwrap();
        written(&chunk, missed, &wanted, form)
    }

    #[tokio::test]
    async fn containers_and_streams_are_picked_as_in_logspout() {
        for (path, query, expected) in [
            ("", "", "web-1|one\nweb-1|two\n"),
            ("/id:0123", "", "web-1|one\nweb-1|two\n"),
            ("/id:99", "", ""),
            ("/name:web-*", "source=stderr", "web-1|two\n"),
            ("/name:db", "", ""),
            ("/service:shop_web", "sources=stdout,stderr&filter=n", "web-1|one\n"),
        ] {
            let shown = shown(wanted(path, query).unwrap(), Form::asked("", &Query::parse(query))).await;
            assert_eq!(shown, expected, "{path} {query}");
        }
        assert_eq!(wanted("/nothing", ""), None);
    }

    #[tokio::test]
    async fn lines_are_written_as_asked() {
        let json =
            shown(wanted("", "source=stdout").unwrap(), Form::asked("application/json", &Query::default())).await;
        let object: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&object["message"], &object["stream"], &object["container"]["name"]),
            (&json!("one"), &json!("stdout"), &json!("web-1"))
        );
        let events =
            shown(wanted("", "source=stdout").unwrap(), Form::asked("text/event-stream", &Query::default())).await;
        assert_eq!(events, format!("data: {}\n\n", json.trim_end()));
        let colours = shown(wanted("", "source=stdout").unwrap(), Form::asked("", &Query::parse("colors=on"))).await;
        assert!(colours.starts_with("\x1b[3") && colours.ends_with("web-1|one\x1b[0m\n"), "{colours:?}");
    }
}
