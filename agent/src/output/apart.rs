//! An output that is not written to by the pipeline's workers: a thread of its own takes events out of a lane and hands them to the output's writer. What stands
//! before the lane decides what happens while the output takes nothing.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use elkhound_pipeline::flow::meter::FlowMeter;
use elkhound_pipeline::flow::queue::Lane;
use elkhound_pipeline::flow::worker::Worker;
use elkhound_pipeline::plan::Plan;
use tokio::task::spawn_blocking;
use tracing::error;

use super::Output;
use crate::clock;

/// How many events the thread takes up at a time.
const BATCH: usize = 125;

/// The output and its thread.
pub(super) struct Apart {
    /// The output itself.
    pub(super) inner: Box<dyn Output>,
    /// What the log calls it.
    name: String,
    /// What the thread needs; taken when it starts.
    ends: Option<(Arc<Plan>, Lane)>,
    thread: Option<JoinHandle<()>>,
}

impl Apart {
    /// Has `inner`, which is all that `plan` leads to, take what comes through `lane`; nothing is started.
    pub(super) fn new(name: String, inner: Box<dyn Output>, plan: Arc<Plan>, lane: Lane) -> Self {
        Self { inner, name, ends: Some((plan, lane)), thread: None }
    }

    /// Starts the output and its thread.
    pub(super) fn start(&mut self) {
        self.inner.start();
        let Some((plan, lane)) = self.ends.take() else { return };
        let worker = Worker {
            lane,
            plan,
            writers: vec![self.inner.writer()],
            batch_size: BATCH,
            batch_delay: Duration::ZERO,
            clock: clock::now,
            meter: Arc::new(FlowMeter::new(1)),
        };
        match thread::Builder::new().name("output".into()).spawn(|| worker.run()) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => {
                error!(output = self.name, reason = %error, "an output's thread could not be started; it gets no events");
            }
        }
    }

    /// Waits until the thread has worked off what comes before its lane is closed, and the output is rid of it or has given up.
    pub(super) async fn close(self) {
        let Self { inner, name, thread, .. } = self;
        let joined = spawn_blocking(move || thread.map(JoinHandle::join)).await;
        if !matches!(joined, Ok(None | Some(Ok(())))) {
            error!(
                output = name,
                "an output's thread ended by a panic, which is a defect of elkhound; it got no more events"
            );
        }
        inner.close().await;
    }
}
