//! The log of a container that has just been created, opened before the container starts.
//!
//! With `docker run --rm`, container and log may be gone some hundredths of a second after the start, sooner than whoever hears of it can describe the container and ask for its
//! log. But while an engine is starting a container, it lets all requests for its log wait, and answers them as soon as it runs. So the log is asked for from the
//! creation on, again and again while there is nothing to follow yet: one of these requests is waiting when the container writes its first line.
//!
//! What it promises: it costs nothing where files are read, no more than some requests for each container else, and of those only so many at once; and what it opens begins with the
//! log's first line.
//! What it leaves out: containers that are started later than [`PATIENCE`] after they were created, whose start is waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::super::api::{ByteStream, Engine, LogRequest};
use crate::backoff::Backoff;
use crate::random;

/// How long a container may take from its creation to its start.
const PATIENCE: Duration = Duration::from_secs(3);

/// The pauses between two requests. A start takes an engine longer than that, so none is missed between two.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(50)];

/// An answer that has neither bytes nor an end after so long is followed.
const FOLLOWED: Duration = Duration::from_millis(100);

/// How many containers may be asked for at once in this way: some six hundred requests a second at most.
const AT_ONCE: usize = 32;

/// Lets so many be asked for at once.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(AT_ONCE))
}

/// A log that is being opened. Given up when dropped.
pub(crate) struct Early(AbortOnDropHandle<Option<ByteStream>>);

impl Early {
    /// Begins to ask for the log of the container `id`, if there is a place.
    pub(crate) fn begin(engine: &Engine, id: &str, places: &Arc<Semaphore>) -> Option<Self> {
        let place = Arc::clone(places).try_acquire_owned().ok()?;
        let (engine, id) = (engine.clone(), id.to_owned());
        let opening = async move {
            let opened = open(&engine, &id).await;
            drop(place);
            opened
        };
        Some(Self(AbortOnDropHandle::new(tokio::spawn(opening))))
    }

    /// The log from its first line on, followed; `None` when there is none, or nothing to follow for too long.
    pub(super) async fn opened(self) -> Option<ByteStream> {
        self.0.await.ok()?
    }
}

async fn open(engine: &Engine, id: &str) -> Option<ByteStream> {
    let request = LogRequest { follow: true, tail: None, only: None };
    let (begun, mut pauses) = (Instant::now(), Backoff::new(PAUSES[0], PAUSES[1]));
    while begun.elapsed() < PATIENCE {
        let mut stream = engine.logs(id, request).await.ok()?;
        match timeout(FOLLOWED, stream.is_empty()).await {
            // Of a container that does not run yet there is nothing to follow.
            Ok(Ok(true)) => sleep(pauses.next(random::fraction())).await,
            Ok(Err(_)) => return None,
            Ok(Ok(false)) | Err(_) => return Some(stream),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::docker::api::fake::answering;

    const NOTHING: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    const FIRST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst";
    const GONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";

    /// An engine that gives these answers to those who ask for a log, one after the other.
    async fn engine(answers: &'static [&'static str]) -> Engine {
        let mut answers = answers.iter();
        answering(move || (*answers.next().expect("nobody asks again")).to_owned()).await
    }

    async fn opened(answers: &'static [&'static str]) -> Option<String> {
        let early = Early::begin(&engine(answers).await, "ab", &places()).unwrap();
        let bytes = early.opened().await?.next().await.unwrap();
        Some(String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_log_is_asked_for_until_its_container_runs() {
        assert_eq!(opened(&[NOTHING, NOTHING, FIRST]).await.as_deref(), Some("first"));
    }

    #[tokio::test]
    async fn a_container_that_is_gone_is_not_asked_again() {
        assert_eq!(opened(&[NOTHING, GONE]).await, None);
    }

    #[tokio::test]
    async fn where_all_places_are_taken_nobody_asks_and_who_is_done_gives_his_back() {
        let (engine, places) = (engine(&[NOTHING, FIRST]).await, Arc::new(Semaphore::new(1)));
        let first = Early::begin(&engine, "ab", &places).unwrap();
        assert!(Early::begin(&engine, "cd", &places).is_none());
        assert!(first.opened().await.is_some());
        assert_eq!(places.available_permits(), 1);
    }
}
