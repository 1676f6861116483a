//! Who has a follower: every container that is not left out, from the moment it is created until its log is read and it is gone.
//!
//! Events are subscribed to before the list is taken, so no container falls between; and the list is taken again every minute,
//! because the engine keeps only 256 events for one that was away. When the engine goes away, followers keep trying by
//! themselves; the supervisor says so once and comes back with a new subscription and a new list.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use elkhound_pipeline::flow::queue::Queue;
use tokio::sync::{OwnedMutexGuard, Semaphore, watch};
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::again::Successor;
use super::api::{ApiError, Engine, Environment, Event, Listed};
use super::chunk::Layers;
use super::cursor::Cursors;
use super::files::{Order, claimed};
use super::follow::early::Early;
use super::follow::{Follower, Habit, Signals, Start};
use super::ledger::ContainerLedger;
use super::metadata::{Container, Host, own_container};
use super::position::Marks;
use super::screen::Screen;
use super::select::{Own, Wanted};
use super::unproved::Unproved;
use crate::backoff::Backoff;
use crate::claim;
use crate::random;

/// How often the list is taken.
const RECONCILE: Duration = Duration::from_secs(60);

/// How long a container may be in the list before it can be described.
const MAKING: Duration = Duration::from_secs(1);

/// How long followers may take to stop; they only have to let go of their streams.
const STOPPING: Duration = Duration::from_secs(2);

/// What all followers share.
pub(crate) struct Shared {
    /// Where the engine is.
    pub(crate) environment: Environment,
    /// Makes what the events of a container share.
    pub(crate) describe: Describe,
    /// The longest line, in bytes.
    pub(crate) limit: usize,
    /// Leaves out terminal control sequences.
    pub(crate) strip_ansi: bool,
    /// How many lines a second a container may write; 0 for any number.
    pub(crate) rate_limit: u64,
    /// Whether containers' hints are heeded.
    pub(crate) hints: bool,
    /// Where to begin with containers that were there before the agent and have no cursor.
    pub(crate) start: Start,
    /// Which containers are left out.
    pub(crate) wanted: Wanted,
    /// The cursors.
    pub(crate) cursors: Arc<Cursors>,
    /// How often pipelines were loaded before this one.
    pub(crate) round: u64,
    /// The reader of files, for logs whose files can be read.
    pub(crate) files: Option<LogFiles>,
    /// Whose turn it is to catch up with a log through the API.
    pub(crate) turns: Arc<Semaphore>,
    /// Who may ask for logs of containers that do not run yet.
    pub(crate) places: Arc<Semaphore>,
    /// Where lines go.
    pub(crate) queue: Queue,
    /// The end of everything.
    pub(crate) stop: CancellationToken,
}

impl Shared {
    /// Whether cursors without a reader are nobody's: logs that were read from their files may still be taken over.
    fn can_tell_orphans(&self) -> bool {
        match &self.files {
            Some(files) => files.has_taken_over.load(Ordering::Acquire),
            None => claim::is_left_to(&claimed(self.cursors.path()), self.round),
        }
    }

    /// What takes the place of the input before this one.
    fn successor<'a>(&'a self, own: &'a Own) -> Successor<'a> {
        let Self { cursors, round, wanted, describe, .. } = self;
        Successor { cursors, round: *round, wanted, own, describe }
    }
}

/// The thread that reads log files.
pub(crate) struct LogFiles {
    /// Takes its orders.
    pub(crate) orders: flume::Sender<Order>,
    /// Where a log is, `*` standing for its container's id; below the engine's own folder if not given.
    pub(crate) pattern: Option<String>,
    /// It goes on with what the reader before it had open.
    pub(crate) has_taken_over: Arc<AtomicBool>,
}

impl LogFiles {
    /// The log file of `container`, if it can be read here.
    fn log_of(&self, host: &Host, container: &Container) -> Option<PathBuf> {
        if container.driver != "json-file" {
            return None;
        }
        let path = PathBuf::from(self.pattern(host).replace('*', &container.id));
        // The log itself comes with the container's start; its folder tells that this is the right engine's.
        Self::is_there(&path).then_some(path)
    }

    /// Whether the folder can be read in which this log file stands, or will.
    pub(crate) fn is_there(path: &Path) -> bool {
        path.parent().is_some_and(|folder| std::fs::read_dir(folder).is_ok())
    }

    fn pattern(&self, host: &Host) -> String {
        Self::pattern_of(self.pattern.as_deref(), host)
    }

    /// The same for a pattern that may have been given.
    pub(crate) fn pattern_of(given: Option<&str>, host: &Host) -> String {
        given.map_or_else(|| format!("{}/containers/*/*-json.log", host.root), str::to_owned)
    }

    /// Whether the folder of all containers can be read.
    fn can_read(&self, host: &Host) -> bool {
        std::fs::read_dir(Self::folder(&self.pattern(host))).is_ok()
    }

    /// The folder of all containers: where the containers' ids begin in a pattern.
    pub(crate) fn folder(pattern: &str) -> &Path {
        Path::new(pattern.split('*').next().unwrap_or_default())
    }
}

/// Makes what the events of a container share.
pub(crate) type Describe = Arc<dyn Fn(&Host, &Container) -> Layers + Send + Sync>;

/// Gives containers their followers.
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    known: HashMap<String, Known>,
    running: JoinSet<(String, Ending)>,
    own: Own,
    /// True until the first list was taken.
    first: bool,
}

/// How following a container has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// There is nothing more to do: it is left out, or was read to its end.
    Done,
    /// The engine does not know it. One that is only being made is tried again when it starts, or is in the next list.
    Unknown,
}

/// A container that has, or had, a follower.
struct Known {
    signals: watch::Sender<Signals>,
    /// Its follower.
    task: task::Id,
    /// Its follower has ended: it is left out, or gone.
    done: bool,
}

impl Supervisor {
    /// A supervisor that knows no container.
    pub(crate) fn new(shared: Shared) -> Self {
        let own = Own::default();
        Self { shared: Arc::new(shared), known: HashMap::new(), running: JoinSet::new(), own, first: true }
    }

    /// Supervises until the agent stops.
    ///
    /// # Errors
    /// An address or a certificate that can't be used: trying again does not help.
    pub(crate) async fn run(mut self) -> Result<(), ApiError> {
        let mut delay = super::pauses();
        let stop = self.shared.stop.clone();
        while !stop.is_cancelled() {
            let ended = tokio::select! {
                () = stop.cancelled() => break,
                ended = self.session(&mut delay) => ended,
            };
            match ended {
                Err(error @ (ApiError::Address { .. } | ApiError::Certificate { .. })) => return Err(error),
                Err(error) => warn!(reason = %error, "the Docker engine can't be read; it is tried again"),
                Ok(()) => info!("the Docker engine has closed its events, as it does when it stops; it is tried again"),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(delay.next(random::fraction())) => {}
            }
        }
        if timeout(STOPPING, async { while self.running.join_next().await.is_some() {} }).await.is_err() {
            self.running.shutdown().await;
        }
        Ok(())
    }

    /// From connecting to the end of the events.
    async fn session(&mut self, delay: &mut Backoff) -> Result<(), ApiError> {
        let engine = Engine::connect(&self.shared.environment).await?;
        let host = Host::new(engine.info().await?);
        let mut events = engine.events().await?;
        if self.first {
            self.own = find_own(&engine).await;
        }
        let mut reconcile = interval(RECONCILE);
        reconcile.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let files = self.shared.files.as_ref().is_some_and(|files| files.can_read(&host));
        info!(address = %engine.address(), api = format!("1.{}", engine.version()), host = host.name, files, "reading containers' logs");
        delay.reset();
        let session = Session { engine, host: Arc::new(host), files };
        loop {
            tokio::select! {
                event = events.next() => match event? {
                    Some(event) => self.react(&session, &event),
                    None => return Ok(()),
                },
                _ = reconcile.tick() => {
                    let list = session.engine.containers().await?;
                    self.reconcile(&session, &list);
                }
                Some(ended) = self.running.join_next() => self.ended(ended),
            }
        }
    }

    fn react(&mut self, session: &Session, event: &Event) {
        let id = event.container();
        match event.action.as_str() {
            "create" => self.ensure(session, id, Start::Beginning, true),
            "start" => {
                self.ensure(session, id, Start::Beginning, false);
                self.tell(id, |signals| signals.starts += 1);
            }
            "rename" | "update" => self.tell(id, |signals| signals.changes += 1),
            "destroy" => self.destroyed(id),
            _ => {}
        }
    }

    /// Makes what is known agree with the list.
    fn reconcile(&mut self, session: &Session, list: &[Listed]) {
        let start = if std::mem::take(&mut self.first) { self.shared.start } else { Start::Beginning };
        for container in list {
            self.ensure(session, &container.id, start, false);
            if container.running {
                self.tell(&container.id, |signals| signals.starts += 1);
            }
        }
        let listed: HashSet<&str> = list.iter().map(|container| container.id.as_str()).collect();
        let missing: Vec<String> = self.known.keys().filter(|id| !listed.contains(id.as_str())).cloned().collect();
        missing.iter().for_each(|id| self.destroyed(id));
        // Asked first: what is taken over meanwhile has a reader by then.
        let can_tell_orphans = self.shared.can_tell_orphans();
        for id in self.shared.cursors.without_reader() {
            if listed.contains(id.as_str()) || self.known.contains_key(&id) {
                continue;
            }
            if let Some(ledger) = self.shared.cursors.ledger(&id) {
                self.shared.successor(&self.own).bury(&ledger);
            } else if can_tell_orphans {
                debug!(container = id, "the container is gone, and its cursor with it");
                self.shared.cursors.remove(&id);
            }
        }
    }

    /// Lets the follower read what is left, and forgets the container when there is no follower.
    fn destroyed(&mut self, id: &str) {
        self.tell(id, |signals| signals.destroyed = true);
        if self.known.get(id).is_some_and(|known| known.done) {
            self.known.remove(id);
        }
    }

    fn tell(&self, id: &str, change: impl FnOnce(&mut Signals)) {
        if let Some(known) = self.known.get(id) {
            known.signals.send_modify(change);
        }
    }

    /// Gives the container a follower if it has none. One that `is_new` was created a moment ago.
    fn ensure(&mut self, session: &Session, id: &str, start: Start, is_new: bool) {
        if id.is_empty() || self.known.contains_key(id) {
            return;
        }
        let (sender, signals) = watch::channel(Signals::default());
        let shared = Arc::clone(&self.shared);
        let early = if is_new { session.ask_early(id, &shared.places) } else { None };
        let (session, own, followed) = (session.clone(), self.own.clone(), id.to_owned());
        let born = Born { start, early };
        let follower = self.running.spawn(async move {
            let ending = follow(&shared, session, &own, followed.clone(), signals, born).await;
            (followed, ending)
        });
        self.known.insert(id.to_owned(), Known { signals: sender, task: follower.id(), done: false });
    }

    fn ended(&mut self, ended: Result<(String, Ending), task::JoinError>) {
        match ended {
            Ok((id, Ending::Done)) => self.done(&id),
            Ok((id, Ending::Unknown)) => drop(self.known.remove(&id)),
            // The next list takes it up again, behind its cursor.
            Err(error) => {
                for (id, _) in self.known.extract_if(|_, known| known.task == error.id()) {
                    self.shared.cursors.lose_reader(&id);
                }
                warn!(
                    reason = %error,
                    "following a container ended by a panic, which is a defect of elkhound; it is read again within a minute"
                );
            }
        }
    }

    fn done(&mut self, id: &str) {
        debug!(container = id, "this container's log is done with");
        let Some(known) = self.known.get_mut(id) else { return };
        known.done = true;
        if known.signals.borrow().destroyed {
            self.known.remove(id);
        }
    }
}

/// An engine and its host.
#[derive(Clone)]
struct Session {
    engine: Engine,
    host: Arc<Host>,
    /// The folder of the log files can be read.
    files: bool,
}

impl Session {
    /// Asks for the log of a container that was created a moment ago, unless it is read from its files.
    fn ask_early(&self, id: &str, places: &Arc<Semaphore>) -> Option<Early> {
        if self.files { None } else { Early::begin(&self.engine, id, places) }
    }
}

/// Where reading begins in a log that was not read before.
struct Born {
    start: Start,
    /// What was asked for already.
    early: Option<Early>,
}

/// Follows one container, unless it is left out; then nothing happens until it is gone.
async fn follow(
    shared: &Arc<Shared>,
    session: Session,
    own: &Own,
    id: String,
    signals: watch::Receiver<Signals>,
    Born { start, early }: Born,
) -> Ending {
    let Some(container) = inspect(&session.engine, &id, &shared.stop).await else {
        if let Some(ledger) = shared.cursors.ledger(&id).filter(|_| !shared.stop.is_cancelled()) {
            shared.successor(own).bury(&ledger);
        }
        return Ending::Unknown;
    };
    if let Some(reason) = shared.wanted.exclusion(&container, own) {
        debug!(container = container.name, reason, "this container is left out");
        // What the pipeline before this one still has may come to be wanted again.
        if rests(shared, &id).await.is_some() {
            shared.cursors.drop_ledger(&id);
        }
        return Ending::Done;
    }
    if let Some(risk) = container.risk() {
        warn!(container = container.name, risk, "this container's log settings lose lines");
    }
    if let Some(path) = shared.files.as_ref().and_then(|files| files.log_of(&session.host, &container)) {
        debug!(container = container.name, path = %path.display(), "this container's log is read from its files");
        if let Some(ledger) = rests(shared, &id).await
            && !shared.successor(own).leave_to_file(&ledger, &path)
        {
            return Ending::Done;
        }
        by_files(shared, session, path, container, signals, start).await;
        return Ending::Done;
    }
    let begun = tokio::select! {
        () = shared.stop.cancelled() => return Ending::Done,
        begun = begin_reading(shared, &id) => begun,
    };
    let (ledger, mut unproved) = begun;
    unproved.expect_rotation_at(container.log_file_size().unwrap_or_default());
    let start = shared.cursors.begin(&id, &container.driver, start);
    let described = signals.borrow().changes;
    let host = session.host;
    ledger.describe(&host, &container);
    let describer = Arc::clone(shared);
    let describer_host = Arc::clone(&host);
    let describe = Arc::new(move |container: &Container| (describer.describe)(&describer_host, container));
    let hints = container.hints(shared.hints, shared.limit);
    let layers = describe(&container);
    let read = ledger.inherit(shared.round, layers.clone());
    let follower = Follower {
        layers,
        ledger,
        host,
        described,
        engine: session.engine,
        waits: false,
        troubles: 0,
        complaints: Vec::new(),
        screen: Screen::new(shared.wanted.streams(&container), hints.picks.clone(), shared.rate_limit),
        hints,
        unproved,
        unreadable: false,
        gaps: (0, None),
        habit: Habit::default(),
        torn: Marks::default(),
        rested: None,
        left: false,
        finished: 0,
        early: early.filter(|_| read.is_empty()),
        turns: Arc::clone(&shared.turns),
        container,
        describe,
        limit: shared.limit,
        strip_ansi: shared.strip_ansi,
        queue: shared.queue.clone(),
        stop: shared.stop.clone(),
        id,
        signals,
        read,
        start,
    };
    follower.run().await;
    Ending::Done
}

/// Waits until nobody else reads the container's log or, where that was read from its files, has receipts of it out. Returns its ledger, with the right to read.
async fn begin_reading(shared: &Shared, id: &str) -> (Arc<ContainerLedger>, OwnedMutexGuard<Unproved>) {
    if shared.cursors.ledger(id).is_none() && shared.cursors.of(id).is_some() {
        claim::left_to(&claimed(shared.cursors.path()), shared.round).await;
    }
    let ledger = shared.cursors.ledger_or_new(id);
    let reading = ledger.begin_reading().await;
    (ledger, reading)
}

/// Waits until what was read of the container's log through the API is safe or was given up. Its ledger, if there is one and no stop came first.
async fn rests(shared: &Shared, id: &str) -> Option<Arc<ContainerLedger>> {
    let ledger = shared.cursors.ledger(id)?;
    tokio::select! {
        () = shared.stop.cancelled() => None,
        () = ledger.rests() => Some(ledger),
    }
}

/// Has the container's log read from its files, and passes on when its description changes.
async fn by_files(
    shared: &Shared,
    session: Session,
    path: PathBuf,
    container: Container,
    mut signals: watch::Receiver<Signals>,
    start: Start,
) {
    let Some(files) = &shared.files else { return };
    let (id, mut described) = (container.id.clone(), signals.borrow().changes);
    let host = session.host;
    let mut order = Some(Order::Read { path: path.clone(), container: Box::new(container), host, start });
    loop {
        if let Some(order) = order.take()
            && files.orders.send_async(order).await.is_err()
        {
            return;
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            changed = signals.changed() => if changed.is_err() { return },
        }
        let now = *signals.borrow_and_update();
        if now.destroyed {
            return;
        }
        if std::mem::replace(&mut described, now.changes) != now.changes
            && let Some(container) = inspect(&session.engine, &id, &shared.stop).await
        {
            order = Some(Order::Describe { path: path.clone(), container: Box::new(container) });
        }
    }
}

/// The container's description; tried again until the engine has an answer. `None` when the engine still does not know the container after a second:
/// it is gone then, for one that is being made is in the list a moment before it can be described.
async fn inspect(engine: &Engine, id: &str, stop: &CancellationToken) -> Option<Container> {
    let (mut delay, since) = (super::pauses(), Instant::now());
    loop {
        let error = match engine.inspect(id).await {
            Ok(answer) => return Container::new(answer),
            Err(error) if error.status() == Some(404) && since.elapsed() >= MAKING => return None,
            Err(error) => error,
        };
        debug!(container = id, reason = %error, "describing a container failed; it is tried again");
        tokio::select! {
            () = stop.cancelled() => return None,
            () = sleep(delay.next(random::fraction())) => {}
        }
    }
}

/// Finds out which container the agent itself runs in, if any.
async fn find_own(engine: &Engine) -> Own {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let Some(id) = own_container(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")) else {
        return Own::default();
    };
    let described = engine.inspect(&id).await.ok().and_then(Container::new);
    let labels = described.map(|container| container.labels).unwrap_or_default();
    Own::new(Some(id), &labels)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::AtomicUsize;

    use elkhound_pipeline::flow::budget::Budget;
    use elkhound_pipeline::flow::queue;

    use super::*;
    use crate::input::docker::api::fake::answering;

    /// An engine that answers 404 so many times before it describes a container.
    async fn engine(unknown: usize) -> Engine {
        let mut asked = 0;
        answering(move || {
            let (status, body) = match asked < unknown {
                true => (404, r#"{"message":"No such container: ab"}"#),
                false => (200, r#"{"Id":"ab","Name":"/web"}"#),
            };
            asked += 1;
            let kind = "Content-Type: application/json";
            format!("HTTP/1.1 {status} \r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        })
        .await
    }

    #[tokio::test]
    async fn a_container_that_is_listed_before_it_can_be_described_is_not_gone() {
        let stop = CancellationToken::new();
        let found = inspect(&engine(1).await, "ab", &stop).await.unwrap();
        assert_eq!((found.id.as_str(), found.name.as_str()), ("ab", "web"));
    }

    #[tokio::test]
    async fn a_container_that_stays_unknown_is_gone() {
        let stop = CancellationToken::new();
        assert!(inspect(&engine(usize::MAX).await, "ab", &stop).await.is_none());
    }

    /// A supervisor whose followers begin by describing their container so.
    fn supervisor(describe: Describe) -> Supervisor {
        let cursors = Cursors::open(Path::new("/nowhere/elkhound.cursors")).unwrap().0;
        Supervisor::new(Shared {
            environment: Environment::default(),
            describe,
            limit: 1 << 20,
            strip_ansi: false,
            rate_limit: 0,
            hints: false,
            start: Start::Beginning,
            wanted: Wanted::default(),
            cursors: Arc::new(cursors),
            round: 0,
            files: None,
            turns: super::super::follow::turns(),
            places: super::super::follow::early::places(),
            queue: queue::queue(1, queue::Order::Free, Budget::new(1 << 20)).0,
            stop: CancellationToken::new(),
        })
    }

    #[tokio::test]
    async fn a_container_whose_follower_panics_is_taken_up_by_the_next_list() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let mut supervisor = supervisor(Arc::new(move |_, _| {
            assert!(counted.fetch_add(1, Ordering::Relaxed) >= 2, "a defect");
            Layers::plain()
        }));
        let other = supervisor.running.spawn(pending()).id();
        let signals = watch::channel(Signals::default()).0;
        supervisor.known.insert("cd".to_owned(), Known { signals, task: other, done: false });
        let session = Session { engine: engine(0).await, host: Arc::default(), files: false };
        let list = ["ab", "cd"].map(|id| Listed { id: id.to_owned(), running: true });
        for times in 1..=2 {
            supervisor.reconcile(&session, &list);
            let ended = supervisor.running.join_next().await.unwrap();
            supervisor.ended(ended);
            assert_eq!(begun.load(Ordering::Relaxed), times);
            assert_eq!(supervisor.known.keys().collect::<Vec<_>>(), ["cd"]);
        }
        assert!(supervisor.shared.cursors.of("ab").is_some());
        supervisor.reconcile(&session, &list[1..]);
        assert!(supervisor.shared.cursors.of("ab").is_none(), "the container is gone, and nothing of it is on its way");
    }
}
