//! Drives a request until each of its items is done or will never be: the thin caller that acts on [`super::verdict`].
//!
//! Items that are done are acknowledged at once; those to be sent again are copied into a smaller request. Pauses grow and are jittered. When
//! the deadline of a stop has passed, what is left is dropped unacknowledged: it is read again after the next start.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use elkhound_pipeline::flow::meter::add;
use elkhound_pipeline::flow::receipt::Receipt;
use flume::{Receiver, Sender as Channel};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::answer::{self, Answer, Item, ItemError};
use super::bulk::Body;
use super::client::{Client, RequestError};
use super::install::Ready;
use super::pace::{Pace, Sign};
use super::refused::{self, Letterbox, Refused};
use super::verdict::{self, RequestVerdict, Verdict};
use crate::backoff::Backoff;
use crate::haste;
use crate::limit::Limit;
use crate::output::guard::Guard;
use crate::random;
use crate::stats::delivery::Delivery as Stats;

/// Types of Elasticsearch's errors that the operator does not want to hear of.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    /// Counted and not logged (`silence_errors_in_log`).
    pub(crate) silenced: Vec<String>,
    /// The event is given up, whatever the status says, and not logged (`drop_error_types`).
    pub(crate) dropped: Vec<String>,
}

impl Quiet {
    /// Whether the refusal of this item is not to be logged.
    pub(crate) fn silences(&self, item: &Item) -> bool {
        self.drops(item) || lists(&self.silenced, item)
    }

    /// Whether the event of this item is to be given up.
    pub(crate) fn drops(&self, item: &Item) -> bool {
        lists(&self.dropped, item)
    }
}

fn lists(kinds: &[String], item: &Item) -> bool {
    item.error.as_ref().is_some_and(|error| kinds.contains(&error.kind))
}

/// Sends bodies, one at a time.
pub(crate) struct Sender {
    /// Which of the output's senders it is, from 0.
    pub(crate) number: usize,
    /// How many of them may send, and how much.
    pub(crate) pace: Arc<Pace>,
    /// What has to be there before the first document.
    pub(crate) ready: Arc<Ready>,
    /// Where to.
    pub(crate) client: Arc<Client>,
    /// Which errors are not told, and which end an event without a word.
    pub(crate) quiet: Arc<Quiet>,
    /// The pauses between tries.
    pub(crate) backoff: Backoff,
    /// Cancelled when it is time to give up.
    pub(crate) give_up: CancellationToken,
    /// Cancelled when it panics.
    pub(crate) broken: CancellationToken,
    /// Statuses beside 400 and 404 on which a document is refused for good (`dlq_custom_codes`).
    pub(crate) never: Arc<[u16]>,
    /// Where refused events go.
    pub(crate) letters: Option<Letterbox>,
    /// Shared with the other senders of the output.
    pub(crate) stats: Arc<Stats>,
    /// Takes bodies that are done with, so that the writers need not ask the allocator for megabytes again and again.
    pub(crate) spare: Channel<Body>,
}

/// However a sender ends, no other one waits for its turn any longer.
struct Last(Arc<Pace>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What is left of a body after one try.
enum Left {
    Nothing,
    /// The deadline has passed.
    GivenUp,
    /// Not one item was settled; with the reason.
    All(Body, String),
    Some(Body, String),
    Halves(Body, Body),
}

impl Sender {
    /// Installs what has to be there first, then sends bodies until the writers are gone.
    pub(crate) async fn run(mut self, bodies: Receiver<Body>) {
        let _guards = (Guard::new(&self.broken), Last(Arc::clone(&self.pace)));
        if !self.ready.wait(&self.client, &self.backoff, &self.give_up).await {
            return;
        }
        loop {
            self.pace.turn(self.number).await;
            let Ok(body) = bodies.recv_async().await else { break };
            self.deliver(body).await;
        }
    }

    async fn deliver(&mut self, body: Body) {
        let mut pending = vec![body];
        let mut failing = None;
        while let Some(body) = pending.pop() {
            let (body, reason) = match self.attempt(body).await {
                Left::Nothing => {
                    self.recovered(&mut failing);
                    continue;
                }
                Left::GivenUp => return,
                Left::Halves(first, second) => {
                    pending.extend([second, first]);
                    continue;
                }
                Left::Some(body, reason) => {
                    // Some were settled: the cluster is slow, not gone, and long pauses would only add to the backlog.
                    self.backoff.reset();
                    (body, reason)
                }
                Left::All(body, reason) => (body, reason),
            };
            add(&self.stats.again, body.items.len() as u64);
            let pause = haste::pause(self.backoff.next(random::fraction()));
            self.stats.fails(&reason);
            self.complain(&reason, body.items.len(), pause);
            failing = Some(reason);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.give_up.cancelled() => return,
            }
            pending.extend(self.sized(body));
        }
    }

    /// The body as it is sent again: in halves when requests have become much smaller than it is. The last is sent first.
    fn sized(&self, mut body: Body) -> Vec<Body> {
        if body.items.len() < 2 || body.bytes.len() < 2 * self.pace.bytes() {
            return vec![body];
        }
        let bytes = std::mem::take(&mut body.bytes);
        match halves(body, &bytes) {
            Left::Halves(first, second) => vec![second, first],
            _ => Vec::new(),
        }
    }

    fn recovered(&mut self, failing: &mut Option<String>) {
        self.backoff.reset();
        if failing.take().is_some() {
            self.stats.recovers();
            info!("elasticsearch takes documents again");
        }
    }

    fn complain(&self, reason: &str, items: usize, pause: Duration) {
        static LIMIT: Limit = Limit::new();
        if let Some(suppressed) = LIMIT.pass() {
            warn!(
                suppressed,
                items,
                seconds = pause.as_secs_f32(),
                "elasticsearch does not take documents, trying again: {reason}"
            );
        }
    }

    async fn attempt(&self, body: Body) -> Left {
        let mut refused = Vec::new();
        let left = self.send(body, &mut refused).await;
        add(&self.stats.refused, refused.len() as u64);
        for Refused { item, lines, .. } in &refused {
            let (kind, reason) = item.told();
            self.stats.reject(item.status, kind, reason, &refused::document(lines));
        }
        match refused::settle(refused, &self.quiet, self.letters.as_ref()).await {
            true => left,
            false => Left::GivenUp,
        }
    }

    /// Sends a body once; what will never be taken is put into `refused`.
    async fn send(&self, mut body: Body, refused: &mut Vec<Refused>) -> Left {
        let bytes = Bytes::from(std::mem::take(&mut body.bytes));
        let mark = self.pace.mark();
        let sent = tokio::select! {
            biased;
            () = self.give_up.cancelled() => return Left::GivenUp,
            sent = self.client.bulk(bytes.clone()) => sent,
        };
        self.count(&sent);
        let answered = sent.map(|answer| answer::parse(&answer, body.items.len()));
        if let Some(sign) = sign(&answered, bytes.len(), body.items.len()) {
            self.pace.note(sign, mark);
        }
        match answered {
            Ok(Ok(Answer::AllDone)) => self.all_done(body, bytes),
            Ok(Ok(Answer::Items(items))) => {
                add(&self.stats.with_errors, 1);
                self.stats.items(items.iter().map(|item| item.status).filter(|status| !matches!(status, 200 | 201)));
                self.judge(body, &bytes, items, refused)
            }
            Ok(Err(reason)) => all(body, bytes, reason),
            Err(trouble @ RequestError::Unreachable { .. }) => all(body, bytes, trouble.to_string()),
            Err(RequestError::Refused { host, status, kind, reason }) => {
                let error = ItemError { kind, reason };
                refuse(body, bytes, &host, status, error, refused)
            }
        }
    }

    fn count(&self, sent: &Result<Bytes, RequestError>) {
        match sent {
            Ok(_) => self.stats.answered(200),
            Err(RequestError::Refused { status, .. }) => {
                self.stats.answered(*status);
                add(&self.stats.failed, 1);
            }
            Err(RequestError::Unreachable { .. }) => add(&self.stats.failed, 1),
        }
    }

    fn all_done(&self, mut body: Body, bytes: Bytes) -> Left {
        add(&self.stats.whole, 1);
        add(&self.stats.indexed, body.items.len() as u64);
        body.attached.drain(..).filter_map(|attached| attached.receipt).for_each(Receipt::acknowledge);
        if bytes.is_unique() {
            body.reuse(bytes.into());
            // A full channel means that there are spares enough.
            let _enough = self.spare.try_send(body);
        }
        Left::Nothing
    }

    /// Acts on each item's verdict and keeps those that must be sent again.
    fn judge(&self, body: Body, bytes: &[u8], items: Vec<Item>, refused: &mut Vec<Refused>) -> Left {
        let (mut left, mut why, all) = (Body::default(), String::new(), body.items.len());
        for ((item, range), attached) in items.into_iter().zip(body.items).zip(body.attached) {
            match self.verdict(&item) {
                Verdict::Done => {
                    add(&self.stats.indexed, 1);
                    attached.receipt.into_iter().for_each(Receipt::acknowledge);
                }
                Verdict::Never => {
                    let lines = bytes[range.start as usize..range.end as usize].to_vec();
                    refused.push(Refused { item, lines, attached });
                }
                Verdict::Again => {
                    why = explained(&item);
                    left.copy(bytes, range, attached);
                }
            }
        }
        match left.items.len() {
            0 => Left::Nothing,
            again if again == all => Left::All(left, why),
            _ => Left::Some(left, why),
        }
    }

    fn verdict(&self, item: &Item) -> Verdict {
        if self.quiet.drops(item) {
            return Verdict::Never;
        }
        verdict::of_item(item.status, item.error.as_ref(), item.create, &self.never)
    }
}

/// What a request's fate says about the pace; nothing when Elasticsearch had no say in it.
fn sign(answered: &Result<Result<Answer, String>, RequestError>, bytes: usize, items: usize) -> Option<Sign> {
    match answered {
        Ok(Ok(Answer::Items(items))) if items.iter().any(|item| item.status == 429) => Some(Sign::Slow),
        Ok(Ok(_)) => Some(Sign::Good),
        Err(RequestError::Refused { status: 413, .. }) if items > 1 => Some(Sign::TooLarge(bytes)),
        Err(RequestError::Refused { status: 429, .. } | RequestError::Unreachable { late: true, .. }) => {
            Some(Sign::Slow)
        }
        Ok(Err(_)) | Err(_) => None,
    }
}

/// What to do about a body that was refused as a whole.
fn refuse(body: Body, bytes: Bytes, host: &str, status: u16, error: ItemError, refused: &mut Vec<Refused>) -> Left {
    match verdict::of_request(status, &error.kind, &error.reason) {
        RequestVerdict::Split if body.items.len() > 1 => halves(body, &bytes),
        RequestVerdict::Split => {
            // Alone in its request, the document is what the refusal is about.
            let item = Item { status, error: Some(error), ..Item::default() };
            let of = |attached| Refused { item, lines: bytes.to_vec(), attached };
            refused.extend(body.attached.into_iter().next().map(of));
            Left::Nothing
        }
        RequestVerdict::Again => {
            let remedy = verdict::remedy(status, &error.kind);
            all(body, bytes, format!("{host} answered with status {status} ({remedy}): {}", error.reason))
        }
    }
}

/// An item's error with what can be done about it.
fn explained(item: &Item) -> String {
    let Some(error) = &item.error else { return format!("status {}", item.status) };
    format!("{}: {} ({})", error.kind, error.reason, verdict::remedy(item.status, &error.kind))
}

fn all(mut body: Body, bytes: Bytes, reason: String) -> Left {
    body.bytes = bytes.into();
    Left::All(body, reason)
}

fn halves(body: Body, bytes: &[u8]) -> Left {
    let middle = body.items.len() / 2;
    let (mut first, mut second) = (Body::default(), Body::default());
    for (at, (range, attached)) in body.items.into_iter().zip(body.attached).enumerate() {
        let half = if at < middle { &mut first } else { &mut second };
        half.copy(bytes, range, attached);
    }
    Left::Halves(first, second)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::Mutex;
    use std::sync::atomic::Ordering;

    use elkhound_pipeline::flow::receipt::Ledger;

    use super::super::attached::Attached;
    use super::super::client::Connection;
    use super::super::fake::{Fake, Reply};
    use super::*;

    /// Writes down which receipts were acknowledged.
    #[derive(Default)]
    struct Book(Mutex<Vec<(u64, bool)>>);

    impl Ledger for Book {
        fn settled(&self, chunk: u64) {
            self.0.lock().unwrap().push((chunk, true));
        }

        fn abandoned(&self, chunk: u64) {
            self.0.lock().unwrap().push((chunk, false));
        }
    }

    /// A body of documents called 0, 1, 2 and so on, each with a receipt of its own.
    fn documents(count: u64, book: &Arc<Book>) -> Body {
        let mut body = Body::default();
        for number in 0..count {
            let lines = format!("{{\"create\":{{\"_index\":\"i\",\"_id\":\"{number}\"}}}}\n{{\"n\":{number}}}\n");
            let receipt = Receipt::open(Arc::clone(book) as Arc<dyn Ledger>, number, None);
            let attached = Attached { receipt: Some(receipt), aside: None };
            body.copy(lines.as_bytes(), 0..lines.len() as u32, attached);
        }
        body
    }

    fn sender(hosts: &[&Fake]) -> Sender {
        let connection = Connection {
            hosts: hosts.iter().map(|fake| fake.url.clone()).collect(),
            timeout: Duration::from_millis(500),
            ..Connection::default()
        };
        Sender {
            number: 0,
            pace: Arc::new(Pace::new(1 << 20, 2)),
            ready: Arc::default(),
            client: Arc::new(Client::new(&connection).unwrap()),
            quiet: Arc::new(Quiet::default()),
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(4)),
            give_up: CancellationToken::new(),
            broken: CancellationToken::new(),
            never: Arc::from([]),
            letters: None,
            stats: Arc::new(Stats::default()),
            spare: flume::bounded(1).0,
        }
    }

    /// Delivers as many documents as told; the requests seen and, in order, the documents acknowledged.
    async fn deliver(count: u64, fake: &Fake) -> (Vec<String>, Vec<(u64, bool)>, [u64; 3]) {
        let (book, mut sender) = (Arc::new(Book::default()), sender(&[fake]));
        sender.deliver(documents(count, &book)).await;
        let ends = book.0.lock().unwrap().clone();
        let stats = [&sender.stats.indexed, &sender.stats.refused, &sender.stats.again];
        (fake.seen(), ends, stats.map(|stat| stat.load(Ordering::Relaxed)))
    }

    fn taken() -> Reply {
        Reply::Whole(200, r#"{"errors":false,"items":[]}"#.into())
    }

    fn statuses(statuses: &[u16]) -> String {
        let mut items = String::new();
        for status in statuses {
            let error = if *status < 300 { "" } else { r#","error":{"type":"t","reason":"r"}"# };
            write!(items, r#"{{"create":{{"_index":"i","status":{status}{error}}}}},"#).unwrap();
        }
        format!(r#"{{"errors":true,"items":[{}]}}"#, items.trim_end_matches(','))
    }

    fn acknowledged(numbers: &[u64]) -> Vec<(u64, bool)> {
        numbers.iter().map(|&number| (number, true)).collect()
    }

    #[tokio::test]
    async fn only_what_can_be_mended_is_sent_again_and_the_rest_is_acknowledged_at_once() {
        let long = format!("\"{}\"", "r".repeat(300_000));
        let fake = Fake::start("8.0.0", move |number, _| match number {
            // Nobody counts on an answer being short.
            0 => Reply::Whole(200, statuses(&[201, 429, 400, 409, 403, 503]).replace(r#""r""#, &long)),
            1 => Reply::Whole(200, statuses(&[201, 201, 429])),
            _ => taken(),
        })
        .await;
        let (seen, ends, stats) = deliver(6, &fake).await;
        assert_eq!(seen, ["/_bulk 0 1 2 3 4 5", "/_bulk 1 4 5", "/_bulk 5"]);
        assert_eq!(ends, acknowledged(&[0, 3, 2, 1, 4, 5]));
        assert_eq!(stats, [5, 1, 4]);
    }

    #[tokio::test]
    async fn a_type_of_error_that_the_operator_gives_up_ends_its_event() {
        let fake = Fake::start("8.0.0", |_, _| Reply::Whole(200, statuses(&[201, 503, 400]))).await;
        let (book, mut sender) = (Arc::new(Book::default()), sender(&[&fake]));
        sender.quiet = Arc::new(Quiet { silenced: Vec::new(), dropped: vec!["t".into()] });
        sender.deliver(documents(3, &book)).await;
        assert_eq!(*book.0.lock().unwrap(), acknowledged(&[0, 1, 2]));
        assert_eq!((fake.seen().len(), sender.stats.refused.load(Ordering::Relaxed)), (1, 2));
    }

    #[tokio::test]
    async fn a_conflict_means_that_the_document_is_there_only_where_a_new_one_was_asked_for() {
        let answer = r#"{"errors":true,"items":[{"create":{"status":409,"error":{"type":"t","reason":"r"}}},{"index":{"status":409,"error":{"type":"t","reason":"r"}}}]}"#;
        let fake = Fake::start("8.0.0", |_, _| Reply::Whole(200, answer.into())).await;
        let (_, ends, stats) = deliver(2, &fake).await;
        assert_eq!((ends, stats), (acknowledged(&[0, 1]), [1, 1, 0]));
    }

    #[tokio::test]
    async fn a_line_that_spoils_its_request_is_found_and_costs_no_other() {
        let spoiled = r#"{"error":{"type":"illegal_argument_exception","reason":"Malformed action"},"status":400}"#;
        let fake = Fake::start("8.0.0", |_, ids| match ids.iter().any(|id| id == "2") {
            true => Reply::Whole(400, spoiled.into()),
            false => taken(),
        })
        .await;
        let (seen, ends, stats) = deliver(5, &fake).await;
        assert_eq!(seen, ["/_bulk 0 1 2 3 4", "/_bulk 0 1", "/_bulk 2 3 4", "/_bulk 2", "/_bulk 3 4"]);
        assert_eq!((ends, stats), (acknowledged(&[0, 1, 2, 3, 4]), [4, 1, 0]));
    }

    #[tokio::test]
    async fn a_request_too_large_is_halved_until_it_fits() {
        let fake = Fake::start("8.0.0", |_, ids| match ids.len() > 1 || ids[0] == "3" {
            true => Reply::Whole(413, String::new()),
            false => taken(),
        })
        .await;
        let (_, ends, stats) = deliver(4, &fake).await;
        assert_eq!((ends, stats), (acknowledged(&[0, 1, 2, 3]), [3, 1, 0]));
    }

    #[tokio::test]
    async fn what_says_nothing_about_the_documents_costs_none() {
        let type_is_missing = r#"{"error":{"type":"action_request_validation_exception","reason":"Validation Failed: 1: type is missing;"}}"#;
        let fake = Fake::start("8.0.0", move |number, _| match number {
            0 => Reply::Reset,
            1 => Reply::Cut(statuses(&[201, 201])),
            2 => Reply::Stall,
            3 => Reply::Whole(200, "<html>maintenance</html>".into()),
            4 => Reply::Whole(200, statuses(&[201])),
            5 => Reply::Whole(400, "bad gateway configuration".into()),
            6 => Reply::Whole(400, type_is_missing.into()),
            number @ 7..=14 => Reply::Whole([401, 403, 404, 406, 429, 500, 502, 503][number - 7], String::new()),
            _ => taken(),
        })
        .await;
        let (seen, ends, stats) = deliver(2, &fake).await;
        assert_eq!(seen, vec!["/_bulk 0 1"; 16]);
        assert_eq!((ends, stats), (acknowledged(&[0, 1]), [2, 0, 30]));
    }

    #[tokio::test]
    async fn a_host_that_fails_is_left_alone_while_another_answers() {
        let failing = Fake::start("8.0.0", |_, _| Reply::Whole(503, String::new())).await;
        let healthy = Fake::start("8.0.0", |_, _| taken()).await;
        let (book, mut sender) = (Arc::new(Book::default()), sender(&[&failing, &healthy]));
        for _ in 0..6 {
            sender.deliver(documents(1, &book)).await;
        }
        assert_eq!((failing.seen().len(), healthy.seen().len()), (1, 6));
        assert_eq!(*book.0.lock().unwrap(), vec![(0, true); 6]);
    }

    /// Where an index is blocked, or all queues are full, each item is refused by itself in an answer that is a 200.
    #[tokio::test]
    async fn pauses_grow_while_not_one_item_is_taken() {
        for (last, expected) in [(403, 8), (429, 8), (201, 2)] {
            let fake = Fake::start("8.0.0", move |number, ids| {
                let mut all = vec![503; ids.len()];
                all[ids.len() - 1] = last;
                if number < 3 { Reply::Whole(200, statuses(&all)) } else { Reply::Stall }
            })
            .await;
            let (book, mut sender) = (Arc::new(Book::default()), sender(&[&fake]));
            sender.backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(64));
            let give_up = sender.give_up.clone();
            let stalls = async {
                while fake.seen().len() < 4 {
                    tokio::task::yield_now().await;
                }
                give_up.cancel();
            };
            tokio::join!(sender.deliver(documents(4, &book)), stalls);
            assert_eq!(sender.backoff.next(1.0), Duration::from_millis(expected), "{last}");
        }
    }

    #[tokio::test]
    async fn a_request_that_was_too_much_comes_again_in_smaller_ones() {
        let fake = Fake::start("8.0.0", |_, ids| match ids.len() {
            0..=1000 => taken(),
            _ => Reply::Whole(429, String::new()),
        })
        .await;
        let (book, mut sender) = (Arc::new(Book::default()), sender(&[&fake]));
        sender.pace = Arc::new(Pace::new(64 << 10, 2));
        // Documents of some 47 bytes, so that all of them have 94,000.
        sender.deliver(documents(2000, &book)).await;
        let sizes: Vec<usize> = fake.seen().iter().map(|request| request.split(' ').count() - 1).collect();
        assert_eq!((sizes, book.0.lock().unwrap().len()), (vec![2000, 1000, 1000], 2000));
    }

    #[test]
    fn what_a_fate_says_about_the_pace() {
        let item = |status| Item { status, ..Item::default() };
        let refused = |status| {
            Err(RequestError::Refused { host: String::new(), status, kind: String::new(), reason: String::new() })
        };
        let unreachable = |late| Err(RequestError::Unreachable { host: String::new(), reason: String::new(), late });
        for (answered, items, expected) in [
            (Ok(Ok(Answer::AllDone)), 2, Some(Sign::Good)),
            (Ok(Ok(Answer::Items(vec![item(201), item(400)]))), 2, Some(Sign::Good)),
            (Ok(Ok(Answer::Items(vec![item(201), item(429)]))), 2, Some(Sign::Slow)),
            (Ok(Err("cut".into())), 2, None),
            (refused(429), 2, Some(Sign::Slow)),
            (refused(413), 2, Some(Sign::TooLarge(9))),
            (refused(413), 1, None),
            (refused(503), 2, None),
            (unreachable(true), 2, Some(Sign::Slow)),
            (unreachable(false), 2, None),
        ] {
            assert_eq!(sign(&answered, 9, items), expected, "{answered:?}");
        }
    }

    #[tokio::test]
    async fn elasticsearch_6_is_given_a_type() {
        let fake = Fake::start("6.1.4", |_, _| taken()).await;
        assert_eq!(deliver(1, &fake).await.0, ["/_all/doc/_bulk 0"]);
    }

    #[tokio::test]
    async fn at_the_deadline_what_is_left_stays_unacknowledged() {
        let fake = Fake::start("8.0.0", |_, ids| match ids.len() {
            4 => Reply::Whole(413, String::new()),
            _ => Reply::Stall,
        })
        .await;
        let (book, mut sender) = (Arc::new(Book::default()), sender(&[&fake]));
        let give_up = sender.give_up.clone();
        let stalls = async {
            while fake.seen().len() < 2 {
                tokio::task::yield_now().await;
            }
            give_up.cancel();
        };
        tokio::join!(sender.deliver(documents(4, &book)), stalls);
        let mut ends = book.0.lock().unwrap().clone();
        ends.sort_unstable();
        assert_eq!(ends, [(0, false), (1, false), (2, false), (3, false)]);
        assert_eq!(fake.seen(), ["/_bulk 0 1 2 3", "/_bulk 0 1"]);
    }

    #[tokio::test]
    async fn a_sender_that_panics_breaks_its_output_and_keeps_no_other_waiting() {
        let fake = Fake::start("8.0.0", |_, _| Reply::Whole(200, statuses(&[400]))).await;
        let (book, sender) = (Arc::new(Book::default()), sender(&[&fake]));
        // No body is like this: there are no such bytes to be told of.
        let mut body = documents(1, &book);
        body.items[0] = 0..u32::MAX;
        let (bodies, waiting) = flume::bounded(1);
        bodies.send(body).unwrap();
        let (broken, pace) = (sender.broken.clone(), Arc::clone(&sender.pace));
        assert!(tokio::spawn(sender.run(waiting)).await.unwrap_err().is_panic());
        assert!(broken.is_cancelled());
        pace.turn(64).await;
        assert_eq!(*book.0.lock().unwrap(), [(0, false)]);
    }

    fn body() -> (Body, Vec<u8>) {
        let mut body = Body::default();
        let bytes = b"a1\na2\nb1\nb2\nc1\nc2\n".to_vec();
        body.items = vec![0..6, 6..12, 12..18];
        body.attached.resize_with(3, Attached::default);
        (body, bytes)
    }

    #[test]
    fn a_request_that_is_too_large_is_sent_in_halves() {
        let (body, bytes) = body();
        let Left::Halves(first, second) = halves(body, &bytes) else { panic!("not split") };
        assert_eq!((first.bytes.as_slice(), second.bytes.as_slice()), (&b"a1\na2\n"[..], &b"b1\nb2\nc1\nc2\n"[..]));
        assert_eq!(second.items, [0..6, 6..12]);
    }
}
