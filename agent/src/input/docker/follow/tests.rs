//! A follower and an engine that is none: in which order the log is opened, and what arrives of it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::flow::budget::Budget;
use elkhound_pipeline::flow::queue::{Lane, Order, queue};
use elkhound_pipeline::value::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::input::docker::api::Environment;
use crate::input::docker::cursor::Cursors;
use crate::input::docker::position::Stream;
use crate::stats::containers::Containers;
use crate::stats::tap::Tap;

/// The longest that anything may take here.
const LIMIT: Duration = Duration::from_secs(20);

/// One running container and its log.
#[derive(Default)]
struct Model {
    /// How many lines were written; each is stamped with its number as seconds.
    written: Mutex<u64>,
    /// So many of them were written before the clock was set back by three hours.
    ahead: u64,
    /// This one was never written to the disk.
    lost: u64,
    /// What happened, in order.
    seen: Mutex<Vec<String>>,
    /// What is written once a reading has been opened, and whether whoever follows is told of it.
    meanwhile: Mutex<Option<(u64, bool)>>,
    /// A line for whoever follows.
    line: Notify,
    /// Whoever has followed the log from its beginning was the last one: container and log are gone then.
    vanishes: bool,
    /// Its log driver keeps nothing.
    unreadable: bool,
    /// The container has died.
    dead: tokio_util::sync::CancellationToken,
}

impl Model {
    fn note(&self, what: String) {
        self.seen.lock().unwrap().push(what);
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Listens as an engine of this version of the API.
    async fn serve(self: &Arc<Self>, version: &'static str) -> Engine {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Some(format!("tcp://{}", listener.local_addr().unwrap()));
        let model = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(Arc::clone(&model).answer(stream, version));
            }
        });
        Engine::connect(&Environment { host, ..Environment::default() }).await.unwrap()
    }

    async fn answer(self: Arc<Self>, stream: TcpStream, version: &'static str) {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or_default() == 0 {
                return;
            }
        }
        if self.unreadable && head.contains("/logs?") {
            self.note("refused".into());
            let none = "HTTP/1.1 501 Not Implemented\r\nContent-Length: 2\r\n\r\n{}";
            let _ = stream.write_all(none.as_bytes()).await;
            return;
        }
        let query = head.split([' ', '?']).nth(2).unwrap_or_default().to_owned();
        let asked = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let running = !self.dead.is_cancelled();
        if self.vanishes && !running {
            let gone = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";
            let _ = stream.write_all(gone.as_bytes()).await;
            return;
        }
        let _ = match (asked("follow"), asked("tail")) {
            (Some("1"), Some("0")) => self.follow(&mut stream).await,
            (Some("0"), Some(tail)) => self.read(&mut stream, tail).await,
            (Some("1"), Some(tail)) => self.read_and_follow(&mut stream, tail).await,
            (None, None) if head.starts_with("GET /_ping") => {
                let answer = format!("HTTP/1.1 200 OK\r\nApi-Version: {version}\r\nContent-Length: 2\r\n\r\nOK");
                stream.write_all(answer.as_bytes()).await
            }
            (None, None) => {
                let body = format!(r#"{{"Id":"{ID}","State":{{"Running":{running}}}}}"#);
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await
            }
            _ => panic!("nobody asks for {head}"),
        };
    }

    fn frame(&self, number: u64) -> Vec<u8> {
        let second = if number <= self.ahead { number + 3 * 3600 } else { number };
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let message = format!("2026-11-21T{hour:02}:{minute:02}:{:02}.000000000Z {number}\n", second % 60);
        let length = (message.len() as u32).to_be_bytes();
        [&[1, 0, 0, 0], &length[..], message.as_bytes()].concat()
    }

    /// The log up to now. The end comes late, as that of an engine which is busy.
    async fn read(&self, stream: &mut BufReader<TcpStream>, tail: &str) -> std::io::Result<()> {
        self.note(format!("read {tail}"));
        let written = *self.written.lock().unwrap();
        if let Some((more, told)) = self.meanwhile.lock().unwrap().take() {
            *self.written.lock().unwrap() += more;
            if told {
                self.line.notify_one();
            }
        }
        let first = tail.parse().map_or(1, |tail: u64| (written + 1).saturating_sub(tail).max(1));
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await?;
        for number in (first..=written).filter(|number| *number != self.lost) {
            stream.write_all(&self.frame(number)).await?;
        }
        let gone = tokio::time::timeout(Duration::from_millis(300), stream.read_u8()).await.is_ok();
        self.note(if gone { "cut short".into() } else { format!("end of {tail}") });
        Ok(())
    }

    /// The log up to now, and no end.
    async fn read_and_follow(&self, stream: &mut BufReader<TcpStream>, tail: &str) -> std::io::Result<()> {
        self.note(format!("follow {tail}"));
        let written = *self.written.lock().unwrap();
        let first = tail.parse().map_or(1, |tail: u64| (written + 1).saturating_sub(tail).max(1));
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await?;
        for number in (first..=written).filter(|number| *number != self.lost) {
            stream.write_all(&self.frame(number)).await?;
        }
        match self.vanishes {
            true => self.dead.cancel(),
            false => drop(stream.read_u8().await),
        }
        Ok(())
    }

    async fn follow(&self, stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
        self.note("follow".into());
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await?;
        loop {
            tokio::select! {
                () = self.dead.cancelled() => return Ok(()),
                _ = stream.read_u8() => return Ok(()),
                () = self.line.notified() => {}
            }
            // At a rotation engines say again what they have said.
            let number = *self.written.lock().unwrap();
            stream.write_all(&self.frame(number)).await?;
            for number in 1..=number {
                stream.write_all(&self.frame(number)).await?;
            }
        }
    }
}

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A follower at work, and the other end of its queue.
struct Work {
    follower: JoinHandle<()>,
    stop: CancellationToken,
    lane: Lane,
    lines: Vec<String>,
    containers: Arc<Containers>,
    signals: &'static watch::Sender<Signals>,
}

impl Work {
    /// Follows a compressed log from behind line `safe`.
    fn begin(engine: Engine, safe: u64) -> Self {
        Self::with_options(engine, safe, rotated(), None)
    }

    /// Follows a log with these options from behind line `safe`.
    fn with_options(engine: Engine, safe: u64, log_options: BTreeMap<String, String>, early: Option<Early>) -> Self {
        let (queue, mut lanes) = queue(1, Order::Free, Budget::new(1 << 20));
        let cursors = Cursors::open(std::path::Path::new("/nowhere/elkhound.cursors")).unwrap().0;
        let containers = Arc::new(Containers::new(Arc::new(Tap::new())));
        cursors.begin_anew(Some(Arc::clone(&containers)));
        let cursors = Arc::new(cursors);
        cursors.begin(ID, "json-file", Start::Beginning);
        let mut read = Marks::default();
        if safe > 0 {
            let nanos = super::super::stamp::split(&Model::default().frame(safe)[8..]).unwrap().0;
            read.set(Stream::Stdout, Position { nanos, ordinal: 0 });
        }
        let read = read.with_later(Some(Stream::Stdout));
        let container = Container { id: ID.into(), driver: "json-file".into(), log_options, ..Container::default() };
        let mut unproved = Unproved::default();
        unproved.expect_rotation_at(container.log_file_size().unwrap_or_default());
        let unproved = Arc::new(tokio::sync::Mutex::new(unproved)).try_lock_owned().unwrap();
        let layers = Layers::plain();
        let described = layers.clone();
        let started = Signals { starts: 1, ..Signals::default() };
        // A sender that is gone would be the end of everything.
        let (signals, stop) = (Box::leak(Box::new(watch::channel(started).0)), CancellationToken::new());
        let follower = Follower {
            engine,
            id: ID.into(),
            unproved,
            container,
            layers,
            host: Arc::default(),
            describe: Arc::new(move |_| described.clone()),
            limit: 1 << 20,
            strip_ansi: false,
            queue,
            ledger: Arc::new(ContainerLedger::new(ID, cursors)),
            signals: signals.subscribe(),
            stop: stop.clone(),
            read,
            start: Start::Beginning,
            described: 0,
            troubles: 0,
            complaints: Vec::new(),
            hints: Hints::default(),
            waits: false,
            screen: Screen::new([true; 2], None, 0),
            unreadable: false,
            gaps: (0, None),
            turns: turns(),
            habit: Habit::default(),
            torn: Marks::default(),
            rested: None,
            left: false,
            finished: 0,
            early,
        };
        Self {
            follower: tokio::spawn(follower.run()),
            stop,
            lane: lanes.remove(0),
            lines: Vec::new(),
            containers,
            signals,
        }
    }

    fn take(&mut self) {
        let mut events = Vec::new();
        while let Some(chunk) = self.lane.try_next() {
            chunk.chunk.unpack(&mut events);
        }
        let text = |event: &Event| event.field("message").and_then(Value::as_text).unwrap().to_string();
        self.lines.extend(events.iter().map(text));
    }

    /// Waits for so many lines.
    async fn until(&mut self, lines: usize) {
        let all = async {
            while self.lines.len() < lines {
                tokio::time::sleep(Duration::from_millis(5)).await;
                self.take();
            }
        };
        timeout(LIMIT, all).await.unwrap_or_else(|_| panic!("{lines} lines did not come"));
    }

    /// Waits until the follower has ended by itself; tells all that came, and how many containers were not read to their end.
    async fn gone(mut self) -> (Vec<String>, u64) {
        timeout(LIMIT, &mut self.follower).await.unwrap().unwrap();
        self.take();
        (self.lines, self.containers.unread())
    }

    /// Stops and tells all that came.
    async fn end(mut self) -> Vec<String> {
        self.stop.cancel();
        timeout(LIMIT, &mut self.follower).await.unwrap().unwrap();
        self.take();
        self.lines
    }
}

/// The options of a log that is rotated and compressed.
fn rotated() -> BTreeMap<String, String> {
    let options = [("max-size", "1m"), ("max-file", "5"), ("compress", "true")];
    options.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// What happened while a log of 300 lines was read from behind the fiftieth by an engine of this version.
async fn read_back(version: &'static str) -> Vec<String> {
    let model = Arc::new(Model { written: Mutex::new(300), ..Model::default() });
    let mut work = Work::begin(model.serve(version).await, 50);
    work.until(250).await;
    let seen = model.seen();
    assert_eq!(work.end().await, numbers(51..=300));
    seen
}

#[tokio::test]
async fn where_copies_are_mixed_up_a_reading_of_a_compressed_log_is_at_its_end_before_the_next_one_begins() {
    assert_eq!(read_back("1.41").await[..3], ["read 100", "end of 100", "read 1600"]);
}

#[tokio::test]
async fn a_reading_that_begins_too_late_is_given_up_at_once_elsewhere() {
    let seen = read_back("1.42").await;
    assert!(seen.contains(&"cut short".to_owned()) && !seen.contains(&"end of 100".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn a_stop_waits_for_the_end_of_a_reading_where_copies_are_mixed_up() {
    let model = Arc::new(Model { written: Mutex::new(3), ..Model::default() });
    let mut work = Work::begin(model.serve("1.41").await, 0);
    work.until(3).await;
    let _ = work.end().await;
    let seen = model.seen();
    let begun = seen.iter().filter(|what| what.starts_with("read ")).count();
    let ended = seen.iter().filter(|what| what.starts_with("end of ")).count();
    assert_eq!(begun, ended, "{seen:?}");
}

#[tokio::test]
async fn lines_written_since_the_clock_was_set_back_arrive_however_many_they_are() {
    let model = Arc::new(Model { written: Mutex::new(3), ahead: 3, ..Model::default() });
    let mut work = Work::begin(model.serve("1.42").await, 0);
    work.until(3).await;
    *model.written.lock().unwrap() = 300;
    work.until(300).await;
    assert_eq!(work.end().await, numbers(1..=300));
    let seen = model.seen();
    let first = seen.iter().position(|what| what == "read 1600").expect("100 were too few");
    assert!(seen[..first].contains(&"read 100".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn of_a_log_that_is_not_rotated_and_lost_its_marked_line_in_a_power_cut_the_lines_behind_it_arrive_once() {
    let model = Arc::new(Model { written: Mutex::new(8), lost: 5, ..Model::default() });
    let mut work = Work::with_options(model.serve("1.42").await, 5, Default::default(), None);
    work.until(3).await;
    assert_eq!(work.end().await, numbers(6..=8));
    assert_eq!(model.seen()[..2], ["follow 100", "read 100"], "following comes to no end");
}

#[tokio::test]
async fn a_stream_that_hangs_is_opened_again_when_it_was_silent_for_long() {
    let model = Arc::new(Model { written: Mutex::new(3), ..Model::default() });
    let mut work = Work::with_options(model.serve("1.42").await, 0, Default::default(), None);
    work.until(3).await;
    // The engine has forgotten whoever follows, and tells nobody.
    *model.written.lock().unwrap() = 4;
    tokio::time::pause();
    tokio::time::advance(reading::SILENT).await;
    tokio::time::resume();
    work.until(4).await;
    assert_eq!(work.end().await, numbers(1..=4));
    assert_eq!(model.seen(), ["follow all", "follow 100"]);
}

#[tokio::test]
async fn what_is_written_between_reading_and_following_arrives_at_once_and_once() {
    let model = Arc::new(Model { written: Mutex::new(3), ..Model::default() });
    let mut work = Work::begin(model.serve("1.41").await, 0);
    work.until(3).await;
    // The next reading comes with following before it, and is behind the log as soon as it begins.
    *model.meanwhile.lock().unwrap() = Some((1, true));
    work.until(4).await;
    let seen = model.seen();
    let followed = seen.iter().position(|what| what == "follow").expect("followed");
    assert_eq!(seen[followed + 1], "read 100", "{seen:?}");
    assert_eq!(work.end().await, numbers(1..=4));
    assert!(model.seen().len() > seen.len(), "what was followed is proved at the end");
}

#[tokio::test]
async fn a_last_line_that_following_has_passed_over_arrives_after_the_containers_end() {
    let model = Arc::new(Model { written: Mutex::new(3), ..Model::default() });
    let mut work = Work::begin(model.serve("1.41").await, 0);
    work.until(3).await;
    *model.meanwhile.lock().unwrap() = Some((1, false));
    let died = async {
        while !model.seen().iter().any(|what| what == "end of 100") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        model.dead.cancel();
    };
    timeout(LIMIT, died).await.unwrap();
    work.until(4).await;
    assert_eq!(work.end().await, numbers(1..=4));
}

#[tokio::test]
async fn a_container_that_is_removed_at_once_is_whole_if_its_log_was_opened_before_its_start() {
    for options in [BTreeMap::new(), rotated()] {
        let model = Arc::new(Model { written: Mutex::new(3), vanishes: true, ..Model::default() });
        let engine = model.serve("1.41").await;
        let early = Early::begin(&engine, ID, &early::places());
        assert_eq!(Work::with_options(engine, 0, options, early).gone().await, (numbers(1..=3), 0));
        assert_eq!(model.seen(), ["follow all"]);
    }
}

#[tokio::test]
async fn a_container_that_is_removed_before_its_log_was_read_is_counted() {
    let model = Arc::new(Model { written: Mutex::new(3), vanishes: true, ..Model::default() });
    let engine = model.serve("1.41").await;
    model.dead.cancel();
    assert_eq!(Work::with_options(engine, 0, rotated(), None).gone().await, (Vec::new(), 1));
}

#[tokio::test]
async fn a_container_whose_log_can_never_be_read_is_not_counted_when_it_is_removed() {
    let model = Arc::new(Model { unreadable: true, ..Model::default() });
    let work = Work::with_options(model.serve("1.41").await, 0, Default::default(), None);
    let refused = async {
        while model.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, refused).await.unwrap();
    work.signals.send_modify(|signals| signals.destroyed = true);
    assert_eq!(work.gone().await, (Vec::new(), 0));
}
