//! Everything goes wrong at once: seeded runs in which the agent is killed and stopped, the Docker engine killed, Elasticsearch frozen, restarted, killed and moved
//! to another address, containers removed, logs rotated, the disk filled, the clock set, pipelines changed, soundly and not, and requests broken by a proxy, while
//! lines are written. In the end every line that Docker took is indexed exactly once.
//!
//! A seed chooses what happens and in which order; when exactly it hits is up to the machine, as the parts are real. `make soak` runs further seeds for as long as
//! wished and prints a table.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::harness::{Clock, Dice, Difference, Elasticsearch, Engine, Names, Proxy, Running, Scenario, eventually};

/// The seeds of `make test`.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=10;

/// How the agent sends in these runs: quick to try again, and with answers awaited for less time than the proxy stalls.
const OUTPUT: &str = "timeout => 2 retry_initial_interval => 0.1 retry_max_interval => 1";

/// How large the disk of the agent's state is.
const DISK: usize = 4 << 20;

/// What can happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    KillAgent,
    StopAgent,
    KillEngine,
    RemoveContainer,
    FillDisk,
    SetClock,
    FreezeElasticsearch,
    MoveElasticsearch,
    StopElasticsearch,
    KillElasticsearch,
    BreakRequests,
    MendRequests,
    Reload,
    ReloadBroken,
}

// What a run survives often stands here more than once.
const TROUBLES: [Trouble; 16] = [
    Trouble::KillAgent,
    Trouble::KillAgent,
    Trouble::StopAgent,
    Trouble::KillEngine,
    Trouble::RemoveContainer,
    Trouble::FillDisk,
    Trouble::SetClock,
    Trouble::FreezeElasticsearch,
    Trouble::MoveElasticsearch,
    Trouble::BreakRequests,
    Trouble::BreakRequests,
    Trouble::BreakRequests,
    Trouble::MendRequests,
    Trouble::Reload,
    Trouble::Reload,
    Trouble::ReloadBroken,
];

/// How many seconds the agent's clock is set ahead: not at all, a little, over a change of day, and back.
const STEPS: [i64; 5] = [0, 7, -7, 90_000, -90_000];

/// Elasticsearch takes up to a minute to come back, so it is stopped once in so many troubles, and only where there is time.
const RESTART: u64 = 16;

/// What the runs of a test share.
struct Stage {
    /// A node whose write queue is so small that it refuses documents by itself.
    node: Elasticsearch,
    proxy: Proxy,
    names: Rc<Names>,
    clock: Clock,
    /// An engine whose containers outlive it.
    engine: Engine,
    /// Whether there is time: for more lines, and for a node that is stopped and started, too.
    long: bool,
}

/// What a run has shown.
struct Outcome {
    seed: u64,
    troubles: Vec<Trouble>,
    broken: usize,
    difference: Difference,
    peak: usize,
    took: Duration,
}

impl Stage {
    const SETTINGS: [&str; 1] = ["thread_pool.write.queue_size=4"];

    fn new(name: &str, long: bool) -> Self {
        let node = Elasticsearch::own(name, &Self::SETTINGS);
        let proxy = Proxy::new(node.url());
        let names = Rc::new(Names::new(name, &proxy.address().ip().to_string()));
        let engine = Engine::start(name, vec!["--live-restore".to_owned()]);
        Self { node, proxy, names, clock: Clock::new(name), engine, long }
    }

    fn play(&mut self, seed: u64) -> Outcome {
        let (begun, broken, mut dice) = (Instant::now(), self.proxy.faults(), Dice::new(seed));
        self.proxy.seed(seed);
        self.proxy.set_broken(dice.once_in(2));
        self.clock.set(0);
        let mut run = self.scenario(seed).start(self.node.guest());
        let (mut troubles, mut peak) = (Vec::new(), 0);
        while run.is_writing() {
            // Trouble comes at any moment; there is nothing to wait for.
            std::thread::sleep(Duration::from_millis(dice.within(200..1_500)));
            let trouble = self.choose(&mut dice);
            peak = peak.max(run.agent.peak_memory());
            self.make(trouble, &mut run, &mut dice);
            troubles.push(trouble);
        }
        self.proxy.set_broken(false);
        run.settle();
        peak = peak.max(run.agent.peak_memory());
        let status = run.agent.stop(Duration::from_secs(30));
        assert!(status.success(), "seed {seed}: the agent ended with {status}");
        let (broken, took, difference) = (self.proxy.faults() - broken, begun.elapsed(), run.difference());
        if !difference.is_none() {
            println!("{}\nseed {seed}, {troubles:?}: {difference}", run.agent.end_of_log(100_000));
        }
        Outcome { seed, troubles, broken, difference, peak, took }
    }

    fn scenario(&self, seed: u64) -> Scenario {
        let url = format!("http://{}:{}", Names::NAME, self.proxy.address().port());
        // Every third agent has its events wait on disk, which is the one that is filled.
        let spills = if seed.is_multiple_of(3) { " id => es when_full => spill" } else { "" };
        let scenario = Scenario::new(&format!("faults-{seed}"))
            .engine(&self.engine)
            .names(&self.names)
            .disk(DISK)
            .containers(4)
            .lines(if self.long { 48_000 } else { 9_600 })
            .rate(1_200)
            .option("--log-opt=max-size=32k")
            .option("--log-opt=max-file=100")
            .environment("CONFIG_RELOAD_AUTOMATIC", "true")
            .environment("CONFIG_RELOAD_INTERVAL", "100ms")
            .environment("QUEUE_PAGE_CAPACITY", "128kb")
            .environment("QUEUE_MAX_BYTES", "1mb")
            .through(url, &format!("{OUTPUT}{spills}"));
        let clock = self.clock.environment();
        clock.iter().fold(scenario, |scenario, (name, value)| scenario.environment(name, &value.to_string_lossy()))
    }

    fn choose(&self, dice: &mut Dice) -> Trouble {
        if self.long && dice.once_in(RESTART) {
            return dice.one_of(&[Trouble::StopElasticsearch, Trouble::KillElasticsearch]);
        }
        dice.one_of(&TROUBLES)
    }

    fn make(&mut self, trouble: Trouble, run: &mut Running, dice: &mut Dice) {
        match trouble {
            Trouble::KillAgent => {
                self.secure(run);
                run.agent.kill();
                run.agent.start();
            }
            Trouble::StopAgent => {
                self.secure(run);
                let status = run.agent.stop(Duration::from_secs(30));
                assert!(status.success(), "the agent ended with {status}");
                run.agent.start();
            }
            Trouble::FreezeElasticsearch => {
                self.node.pause();
                std::thread::sleep(Duration::from_millis(dice.within(500..4_000)));
                self.node.resume();
            }
            Trouble::MoveElasticsearch => self.names.set(&self.proxy.move_on().to_string()),
            Trouble::StopElasticsearch => {
                self.node.stop();
                self.node.start(&Self::SETTINGS);
            }
            Trouble::KillElasticsearch => {
                self.node.kill();
                self.node.start(&Self::SETTINGS);
            }
            Trouble::KillEngine => self.engine.kill(),
            Trouble::RemoveContainer => run.remove_container(),
            Trouble::FillDisk => {
                let disk = run.disk.as_ref().expect("the scenario has one");
                disk.fill();
                std::thread::sleep(Duration::from_millis(dice.within(500..3_000)));
                disk.clear();
            }
            Trouble::SetClock => self.clock.set(dice.one_of(&STEPS)),
            Trouble::Reload => {
                let filter =
                    format!("filter {{ mutate {{ add_field => {{ version => {} }} }} }}\n", dice.within(0..1_000));
                run.agent.set_pipeline(&(filter + &run.pipeline));
            }
            Trouble::ReloadBroken => {
                let told = |run: &Running| run.agent.log().matches("the old one goes on").count();
                let before = told(run);
                run.agent.set_pipeline(&run.pipeline.replace("hosts", "hots"));
                eventually("a word about the broken pipeline", Duration::from_secs(30), || {
                    run.agent.assert_running();
                    if told(run) > before { Ok(()) } else { Err(run.agent.end_of_log(2_000)) }
                });
                // The next agent has to start with a sound one.
                run.agent.set_pipeline(&run.pipeline);
            }
            Trouble::BreakRequests => self.proxy.set_broken(true),
            Trouble::MendRequests => self.proxy.set_broken(false),
        }
    }

    /// Lets all arrive that nobody holds but the agent: lines of containers that have been removed. An agent that ends has lost them.
    fn secure(&self, run: &mut Running) {
        if run.at_risk {
            self.proxy.set_broken(false);
            run.secure_removed();
        }
    }
}

impl Outcome {
    const HEAD: &str = "  seed    lines  troubles  requests broken  lost  doubled  peak MiB  seconds";

    fn row(&self) -> String {
        format!(
            "{:>6}  {:>7}  {:>8}  {:>15}  {:>4}  {:>7}  {:>8}  {:>7}",
            self.seed,
            self.difference.written,
            self.troubles.len(),
            self.broken,
            self.difference.missing.len(),
            self.difference.doubled.len(),
            self.peak >> 20,
            self.took.as_secs(),
        )
    }

    fn assert_exactly_once(&self) {
        assert!(self.difference.is_none(), "seed {}, {:?}: {}", self.seed, self.troubles, self.difference);
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn whatever_goes_wrong_nothing_is_lost_and_nothing_doubled() {
    let mut stage = Stage::new("faults", false);
    println!("{}", Outcome::HEAD);
    for seed in SEEDS {
        let outcome = stage.play(seed);
        println!("{}", outcome.row());
        outcome.assert_exactly_once();
    }
}

/// `SOAK_SECONDS` is how long it goes on, `SOAK_SEED` with which seed it begins.
#[test]
#[ignore = "make soak"]
fn soak() {
    let setting = |name: &str| std::env::var(name).expect("`make soak` says for how long").parse().unwrap();
    let limit = Duration::from_secs(setting("SOAK_SECONDS"));
    let (mut stage, begun) = (Stage::new("soak", true), Instant::now());
    let (mut runs, mut lines, mut lost, mut doubled, mut broken, mut peak) = (0, 0, 0, 0, 0, 0);
    let mut troubles: BTreeMap<Trouble, usize> = BTreeMap::new();
    println!("{}", Outcome::HEAD);
    for seed in setting("SOAK_SEED").. {
        if begun.elapsed() > limit {
            break;
        }
        let outcome = stage.play(seed);
        println!("{}", outcome.row());
        runs += 1;
        lines += outcome.difference.written;
        lost += outcome.difference.missing.len();
        doubled += outcome.difference.doubled.len() + outcome.difference.foreign.len();
        broken += outcome.broken;
        peak = peak.max(outcome.peak);
        outcome.troubles.into_iter().for_each(|it| *troubles.entry(it).or_default() += 1);
    }
    let all: usize = troubles.values().sum();
    println!(
        "{runs} runs, {lines} lines, {all} troubles, {broken} requests broken, {lost} lost, {doubled} doubled, peak {} MiB, {} s",
        peak >> 20,
        begun.elapsed().as_secs()
    );
    println!("{troubles:?}");
    assert_eq!((lost, doubled), (0, 0));
}
