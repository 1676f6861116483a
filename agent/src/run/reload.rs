//! The pipelines that run, and how others take their place: nothing lost, nothing doubled, and those that have not changed untouched.
//!
//! A reload is asked for by a change of content ([`crate::load`]), looked for every `config.reload.interval` where `config.reload.automatic` is
//! on, or by SIGHUP or the API, which load all pipelines again, changed or not, with the certificates and pattern files that they name.
//!
//! 1. Everything is read and compiled, and nothing is touched yet. A pipeline that is broken, or that can't be loaded again, keeps running as it
//!    was; why is logged, once for each change. Broken settings, and pipelines that don't fit together, leave everything as it was.
//! 2. Pipelines that were taken out or have changed stop their inputs, which lets go of ports. Events between pipelines wait for the new one.
//! 3. The new pipelines start, within [`SWAP`], also while an output of the old ones is blocked. Inputs that keep positions in files wait until the
//!    last receipt of the old ones is back and the positions are written ([`crate::claim`]), and go on there. Logs that come through the engine's API can't wait, for
//!    a container may be removed meanwhile: they are read on at once behind what the old input has handed on.
//! 4. The old pipelines deliver what they have. Where all their inputs can read again, they give up at the deadline of a stop; what was
//!    not delivered is read by the new pipeline. Where some can't (tcp, udp, `pipeline`), an old pipeline goes on delivering beside the new one for as
//!    long as it takes. With the next reload, whenever that is, the second gives up: there are never more than two.
//!    Docker's log files are handed over open, so that those of a container that has been removed can be read again. Of what was read through the engine's API the
//!    text is kept until it is safe, and handed on to the new pipeline when the old one gives it up.
//!    What it leaves out: lines that a container writes between a reload that changes how its log is read (`read` of the docker input) and its removal, while the old pipeline is blocked.
//! 5. A queue on disk is handed over as positions are: the new pipeline opens it when the last receipt of the old one is back, and finds in it what was not delivered.

use std::time::Duration;

use anyhow::Result;
use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::render;
use elkhound_config::source::Source;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{error, info, warn};

use super::Agent;
use super::pipeline::{self, Switch};
use crate::cli::RunArgs;
use crate::line::{Line, Made};
use crate::load::{Loaded, Look};
use crate::settings::{Mistake, PipelineSettings, Settings};

/// How long new pipelines wait for the old ones' inputs, which may be handing something on to a pipeline that is blocked.
const SWAP: Duration = Duration::from_secs(1);

/// What has changed is taken when it has stood still for so long: an editor may be in the middle of it.
const STILL: Duration = Duration::from_millis(100);

/// How often a change that does not stand still is looked at, before it is taken as it is.
const LOOKS: usize = 20;

/// The pipelines of the process.
pub(super) struct Pipelines {
    agent: Agent,
    args: RunArgs,
    /// Those of the process hold until it ends; the pipelines are those that run.
    settings: Settings,
    current: Vec<Current>,
    /// Pipelines that others have replaced, and that have not ended yet.
    replaced: Vec<Replaced>,
    running: JoinSet<Ended>,
    /// Those who wait for the deadlines of replaced ones.
    deadlines: JoinSet<()>,
    /// What was read last, whatever came of it.
    seen: Look,
    round: u64,
}

/// A pipeline under its name, running or ended.
struct Current {
    /// What it was made of.
    source: Source,
    print: u64,
    round: u64,
    reads_again: bool,
    reloadable: bool,
    /// None when it could not be started.
    switch: Option<Switch>,
    result: Option<Result<()>>,
}

struct Replaced {
    id: String,
    reads_again: bool,
    switch: Switch,
}

struct Ended {
    id: String,
    round: u64,
    result: Result<()>,
}

/// A pipeline as it is wanted, before it is made.
#[derive(Clone)]
struct Wanted {
    settings: PipelineSettings,
    source: Source,
    print: u64,
}

/// What a pipeline is to the ones that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Changed,
    Same,
}

impl Pipelines {
    /// Starts all lines.
    pub(super) fn start(agent: Agent, made: Made, loaded: Loaded, args: RunArgs) -> Result<Self> {
        let (seen, sources) = (loaded.look(), loaded.sources());
        let mut pipelines = Self {
            agent,
            args,
            settings: loaded.settings,
            current: Vec::new(),
            replaced: Vec::new(),
            running: JoinSet::new(),
            deadlines: JoinSet::new(),
            seen,
            round: 0,
        };
        made.bus.open(&pipelines.agent.ways);
        let share = share(pipelines.settings.budget, &made.lines);
        let prints: Vec<u64> = pipelines.seen.pipelines.iter().map(|(_, print)| *print).collect();
        for (at, ((line, source), print)) in made.lines.into_iter().zip(sources).zip(prints).enumerate() {
            let wanted = Wanted { settings: pipelines.settings.pipelines[at].clone(), source, print };
            let current = pipelines.start_one(line, wanted, share)?;
            pipelines.current.push(current);
        }
        Ok(pipelines)
    }

    /// Runs them until all have ended; where they are loaded again by themselves, until a stop.
    pub(super) async fn run(mut self) -> Result<()> {
        let (stop, reload) = (self.agent.stop.clone(), self.agent.reload.clone());
        let automatic = self.settings.reload;
        let mut looks = interval(automatic.unwrap_or(Duration::from_secs(3600)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        while !self.running.is_empty() || (automatic.is_some() && !stop.is_cancelled()) {
            let stopped = stop.is_cancelled();
            tokio::select! {
                Some(ended) = self.running.join_next() => self.ended(ended?),
                _ = looks.tick(), if automatic.is_some() && !stopped => {
                    if let Some(loaded) = self.look().await {
                        self.reload(loaded, false).await;
                    }
                }
                () = reload.notified(), if !stopped => {
                    info!("all pipelines are loaded again, as SIGHUP or the API asks");
                    let loaded = Loaded::read(self.args.clone());
                    self.seen = loaded.look();
                    self.reload(loaded, true).await;
                }
                () = stop.cancelled(), if !stopped => {}
            }
        }
        self.current.into_iter().filter_map(|current| current.result).collect()
    }

    /// What is there now, if it is not what was seen last.
    async fn look(&mut self) -> Option<Loaded> {
        let mut loaded = Loaded::read(self.args.clone());
        let mut look = loaded.look();
        if look == self.seen {
            return None;
        }
        for _ in 0..LOOKS {
            sleep(STILL).await;
            loaded = Loaded::read(self.args.clone());
            let before = std::mem::replace(&mut look, loaded.look());
            if before == look {
                break;
            }
        }
        (std::mem::replace(&mut self.seen, look) != self.seen).then_some(loaded)
    }

    /// Puts in the place of those that run what is sound of what was loaded.
    async fn reload(&mut self, loaded: Loaded, all: bool) {
        let mistakes: Vec<String> = loaded.given.mistakes.iter().filter(|it| it.is_error()).map(shown).collect();
        if !mistakes.is_empty() {
            self.agent.stats.reloads.failed(&mistakes.concat());
            return error!("the settings are broken; all pipelines go on as they were\n{}", mistakes.concat());
        }
        self.round += 1;
        let (wanted, made) = self.sound(&loaded, all);
        if !made.is_sound() {
            let shown = wanted.iter().zip(&made.diagnostics).map(|(wanted, found)| rendered(found, &wanted.source));
            let shown: String = shown.collect();
            self.agent.stats.reloads.failed(&shown);
            return error!("the changed pipelines don't fit those that stay; all go on as they were\n{shown}");
        }
        self.put_in_place(wanted, made, all).await;
    }

    /// What is wanted, with what runs now in place of what is broken or can't be loaded again.
    fn sound(&mut self, loaded: &Loaded, all: bool) -> (Vec<Wanted>, Made) {
        let given = loaded.settings.pipelines.iter().zip(loaded.sources()).zip(&self.seen.pipelines);
        let wanted: Vec<Wanted> = given
            .map(|((settings, source), (_, print))| Wanted { settings: settings.clone(), source, print: *print })
            .collect();
        let made = self.make(&wanted);
        let results = made.lines.iter().zip(&made.diagnostics);
        let refusals =
            wanted.iter().zip(&loaded.texts).zip(results).map(|((wanted, text), (line, found))| match text {
                Err(mistake) => Some(shown(mistake)),
                Ok(_) => self.refusal(wanted, line, found, all),
            });
        let refusals: Vec<Option<String>> = refusals.collect();
        if refusals.iter().all(Option::is_none) {
            return (wanted, made);
        }
        let usable = |(wanted, refusal): (Wanted, Option<String>)| match refusal {
            Some(why) => self.kept(&wanted.settings.id, &why),
            None => Some(wanted),
        };
        let wanted: Vec<Wanted> = wanted.into_iter().zip(refusals).filter_map(usable).collect();
        let made = self.make(&wanted);
        (wanted, made)
    }

    /// The pipeline of this name as it runs, when there is one.
    fn kept(&self, id: &str, why: &str) -> Option<Wanted> {
        self.agent.stats.reloads.failed(why);
        let Some(at) = self.place(id) else {
            error!(pipeline = id, "the new pipeline can't be used, and is left out\n{why}");
            return None;
        };
        self.agent.stats.reloads_of(id).failed(why);
        error!(pipeline = id, "the changed pipeline can't be used; the old one goes on\n{why}");
        let (settings, current) = (self.settings.pipelines[at].clone(), &self.current[at]);
        Some(Wanted { settings, source: current.source.clone(), print: current.print })
    }

    /// Why a pipeline may not take its place; what is odd in one that may is logged.
    fn refusal(&self, wanted: &Wanted, line: &Line, found: &[Diagnostic], all: bool) -> Option<String> {
        if found.iter().any(Diagnostic::is_error) {
            return Some(rendered(found, &wanted.source));
        }
        let change = self.change(wanted, all);
        let stays = self.must_stay(wanted, line, change);
        if stays.is_none() && change != Change::Same && !found.is_empty() {
            warn!(pipeline = wanted.settings.id, "odd in the changed pipeline\n{}", rendered(found, &wanted.source));
        }
        stays.map(str::to_owned)
    }

    /// Why the old pipeline stays though the new one is sound.
    fn must_stay(&self, wanted: &Wanted, line: &Line, change: Change) -> Option<&'static str> {
        let old = self.place(&wanted.settings.id).map(|at| &self.current[at])?;
        let new = wanted.settings.reloadable && line.is_reloadable();
        let refused = change == Change::Changed && !(new && (old.reloadable || old.result.is_some()));
        refused.then_some("it has `pipeline.reloadable: false`, or an input that can't be loaded again, such as stdin; restart elkhound")
    }

    fn change(&self, wanted: &Wanted, all: bool) -> Change {
        let Some(at) = self.place(&wanted.settings.id) else { return Change::Added };
        let current = &self.current[at];
        let changed = current.print != wanted.print || (all && current.reloadable);
        if changed { Change::Changed } else { Change::Same }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.settings.pipelines.iter().position(|pipeline| pipeline.id == id)
    }

    fn make(&mut self, wanted: &[Wanted]) -> Made {
        let sources: Vec<Source> = wanted.iter().map(|wanted| wanted.source.clone()).collect();
        let pipelines = wanted.iter().map(|wanted| wanted.settings.clone()).collect();
        let running = std::mem::replace(&mut self.settings.pipelines, pipelines);
        let made = self.agent.make(&sources, &self.settings, self.round);
        self.settings.pipelines = running;
        made
    }

    /// Stops what has changed or was taken out, and starts what takes its place.
    async fn put_in_place(&mut self, wanted: Vec<Wanted>, made: Made, all: bool) {
        let new_ways = made.bus.newly_connected();
        let change = |(number, wanted): (usize, &Wanted)| match self.change(wanted, all) {
            Change::Same if new_ways.contains(&number) => Change::Changed,
            change => change,
        };
        let changes: Vec<Change> = wanted.iter().enumerate().map(change).collect();
        made.bus.open(&self.agent.ways);
        let names: Vec<String> = self.settings.pipelines.iter().map(|pipeline| pipeline.id.clone()).collect();
        let mut old: Vec<Option<Current>> = std::mem::take(&mut self.current).into_iter().map(Some).collect();
        let stays = |name: &String| {
            let same = wanted.iter().zip(&changes).find(|(wanted, _)| wanted.settings.id == *name);
            same.is_some_and(|(_, change)| *change == Change::Same)
        };
        let mut reading = Vec::new();
        for (name, old) in names.iter().zip(&mut old).filter(|(name, _)| !stays(name)) {
            if wanted.iter().all(|wanted| wanted.settings.id != *name) {
                info!(pipeline = name, "the pipeline was taken out");
                self.agent.stats.remove(name);
                self.agent.stats.reloads.succeeded();
            }
            reading.extend(old.take().and_then(|old| self.replace(name, old)));
        }
        let all_read = async {
            for switch in &reading {
                switch.read.cancelled().await;
            }
        };
        // When it takes longer, what the inputs still have is handed on beside the new pipelines.
        let _in_time = timeout(SWAP, all_read).await;
        let share = share(self.settings.budget, &made.lines);
        self.settings.pipelines = wanted.iter().map(|wanted| wanted.settings.clone()).collect();
        for ((line, wanted), change) in made.lines.into_iter().zip(wanted).zip(changes) {
            let kept = names.iter().position(|name| *name == wanted.settings.id).and_then(|at| old[at].take());
            let current = kept.unwrap_or_else(|| self.start_again(line, wanted, share, change));
            self.current.push(current);
        }
    }

    fn start_again(&mut self, line: Line, wanted: Wanted, share: usize, change: Change) -> Current {
        let (id, print, source) = (wanted.settings.id.clone(), wanted.print, wanted.source.clone());
        match self.start_one(line, wanted, share) {
            Ok(current) => {
                self.agent.stats.reloads.succeeded();
                if change == Change::Changed {
                    self.agent.stats.reloads_of(&id).succeeded();
                }
                info!(pipeline = id, new = change == Change::Added, "the pipeline was loaded");
                current
            }
            Err(trouble) => {
                error!(pipeline = id, reason = format!("{trouble:#}"), "the pipeline could not be started");
                let result = Some(Err(trouble));
                let round = self.round;
                Current { source, print, round, reads_again: true, reloadable: true, switch: None, result }
            }
        }
    }

    fn start_one(&mut self, line: Line, wanted: Wanted, share: usize) -> Result<Current> {
        let Wanted { settings, source, print } = wanted;
        // What was not delivered stays in a queue on disk, for the next pipeline.
        let reads_again = line.reads_again() || settings.queue.is_some();
        let reloadable = settings.reloadable && line.is_reloadable();
        let (running, switch) =
            pipeline::start(line, &settings, share, &self.agent.stop, &self.agent.runtime, &self.agent.stats)?;
        let (id, round) = (settings.id, self.round);
        self.running.spawn(async move { Ended { id, round, result: running.run().await } });
        Ok(Current { source, print, round, reads_again, reloadable, switch: Some(switch), result: None })
    }

    /// Stops a pipeline that was replaced or taken out; what it has is delivered, or read again.
    fn replace(&mut self, id: &str, old: Current) -> Option<Switch> {
        let switch = old.switch.filter(|switch| !switch.ended.is_cancelled())?;
        self.replaced.retain(|replaced| !replaced.switch.ended.is_cancelled());
        for second in self.replaced.iter().filter(|replaced| replaced.id == id) {
            if second.reads_again {
                warn!(
                    pipeline = id,
                    "an earlier pipeline of this name could not deliver everything until now; the rest is read again by the new one"
                );
            } else {
                warn!(pipeline = id, "what an earlier pipeline of this name could not deliver until now is given up");
            }
            second.switch.give_up();
        }
        switch.leave();
        while self.deadlines.try_join_next().is_some() {}
        let grace = self.settings.grace;
        self.deadlines.spawn(see_off(id.to_owned(), switch.clone(), old.reads_again, grace));
        self.replaced.push(Replaced { id: id.to_owned(), reads_again: old.reads_again, switch: switch.clone() });
        Some(switch)
    }

    fn ended(&mut self, ended: Ended) {
        let Ended { id, round, result } = ended;
        match self.place(&id).map(|at| &mut self.current[at]).filter(|current| current.round == round) {
            Some(current) => {
                current.result = Some(result);
                self.agent.ways.ended(&id);
            }
            None => {
                if let Err(trouble) = result {
                    warn!(
                        pipeline = id,
                        reason = format!("{trouble:#}"),
                        "a pipeline that was replaced has ended badly"
                    );
                }
            }
        }
    }
}

/// Waits for the end of a pipeline that was replaced, and sets its deadline.
async fn see_off(pipeline: String, switch: Switch, reads_again: bool, grace: Duration) {
    if timeout(grace, switch.ended.cancelled()).await.is_ok() {
        return;
    }
    let seconds = grace.as_secs_f32();
    if reads_again {
        warn!(
            pipeline,
            seconds, "the old pipeline could not deliver everything in time; the rest is read again by the new one"
        );
        switch.give_up();
    } else {
        warn!(
            pipeline,
            seconds,
            "the old pipeline could not deliver everything in time; it goes on beside the new one, for its input can't read again"
        );
    }
}

/// The bytes in flight that each pipeline with a source of its own may have: an even share, so that one whose output stalls stops its own
/// inputs only, and all together stay within the budget. What comes from another pipeline is charged there.
fn share(budget: usize, lines: &[Line]) -> usize {
    let reads = |line: &&Line| line.inputs.iter().any(|(input, _)| !input.ends_with_its_senders());
    budget / lines.iter().filter(reads).count().max(1)
}

fn shown(mistake: &Mistake) -> String {
    mistake.shown(false)
}

fn rendered(found: &[Diagnostic], source: &Source) -> String {
    if found.is_empty() { String::new() } else { render::all(found, source, false) }
}
