//! Everything goes wrong at once: seeded runs in which the agent is killed and stopped, Elasticsearch frozen and restarted, logs
//! rotated, pipelines changed, soundly and not, and requests broken by a proxy, while lines are written. In the end every line is indexed exactly once.
//!
//! A seed chooses what happens and in which order; when exactly it hits is up to the machine, as the parts are real. `make soak` runs further seeds for as long as
//! wished and prints a table.

use std::time::{Duration, Instant};

use crate::harness::{Dice, Difference, Elasticsearch, Proxy, Running, Scenario, eventually};

/// The seeds of `make test`.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=10;

/// How the agent sends in these runs: quick to try again, and with answers awaited for less time than the proxy stalls.
const OUTPUT: &str = "timeout => 2 retry_initial_interval => 0.1 retry_max_interval => 1";

/// What can happen to a run.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    KillAgent,
    StopAgent,
    FreezeElasticsearch,
    RestartElasticsearch,
    BreakRequests,
    MendRequests,
    Reload,
    ReloadBroken,
}

// What a run survives often stands here more than once.
const TROUBLES: [Trouble; 11] = [
    Trouble::KillAgent,
    Trouble::KillAgent,
    Trouble::StopAgent,
    Trouble::FreezeElasticsearch,
    Trouble::BreakRequests,
    Trouble::BreakRequests,
    Trouble::BreakRequests,
    Trouble::MendRequests,
    Trouble::Reload,
    Trouble::Reload,
    Trouble::ReloadBroken,
];

/// Elasticsearch takes up to a minute to come back, so it is stopped once in so many troubles, and only where there is time.
const RESTART: u64 = 16;

/// A node whose write queue is so small that it refuses documents by itself, and the proxy in front of it.
struct Stage {
    node: Elasticsearch,
    proxy: Proxy,
    /// Whether the node is stopped and started, too.
    restarts: bool,
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

    fn new(name: &str, restarts: bool) -> Self {
        let node = Elasticsearch::own(name, &Self::SETTINGS);
        let proxy = Proxy::new(node.url());
        Self { node, proxy, restarts }
    }

    fn play(&mut self, seed: u64) -> Outcome {
        let (begun, broken, mut dice) = (Instant::now(), self.proxy.faults(), Dice::new(seed));
        self.proxy.seed(seed);
        self.proxy.set_broken(dice.once_in(2));
        let mut run = Scenario::new(&format!("faults-{seed}"))
            .containers(3)
            .lines(9_000)
            .rate(900)
            .option("--log-opt=max-size=32k")
            .option("--log-opt=max-file=100")
            .environment("CONFIG_RELOAD_AUTOMATIC", "true")
            .environment("CONFIG_RELOAD_INTERVAL", "100ms")
            .through(self.proxy.url(), OUTPUT)
            .start(self.node.guest());
        let (mut troubles, mut peak) = (Vec::new(), 0);
        while run.is_writing() {
            // Trouble comes at any moment; there is nothing to wait for.
            std::thread::sleep(Duration::from_millis(dice.within(200..1_500)));
            let restart = self.restarts && dice.once_in(RESTART);
            let trouble = if restart { Trouble::RestartElasticsearch } else { dice.one_of(&TROUBLES) };
            peak = peak.max(run.agent.peak_memory());
            self.make(trouble, &mut run, &mut dice);
            troubles.push(trouble);
        }
        self.proxy.set_broken(false);
        run.settle();
        peak = peak.max(run.agent.peak_memory());
        let status = run.agent.stop(Duration::from_secs(30));
        assert!(status.success(), "seed {seed}: the agent ended with {status}");
        let (broken, took) = (self.proxy.faults() - broken, begun.elapsed());
        Outcome { seed, troubles, broken, difference: run.difference(), peak, took }
    }

    fn make(&mut self, trouble: Trouble, run: &mut Running, dice: &mut Dice) {
        match trouble {
            Trouble::KillAgent => {
                run.agent.kill();
                run.agent.start();
            }
            Trouble::StopAgent => {
                let status = run.agent.stop(Duration::from_secs(30));
                assert!(status.success(), "the agent ended with {status}");
                run.agent.start();
            }
            Trouble::FreezeElasticsearch => {
                self.node.pause();
                std::thread::sleep(Duration::from_millis(dice.within(500..4_000)));
                self.node.resume();
            }
            Trouble::RestartElasticsearch => {
                self.node.stop();
                self.node.start(&Self::SETTINGS);
            }
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
    let (mut runs, mut lines, mut lost, mut doubled) = (0, 0, 0, 0);
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
        doubled += outcome.difference.doubled.len();
    }
    println!("{runs} runs, {lines} lines, {lost} lost, {doubled} doubled, {} s", begun.elapsed().as_secs());
    assert_eq!((lost, doubled), (0, 0));
}
