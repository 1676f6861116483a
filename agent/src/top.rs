//! `elkhound top`: what the elkhound on this host does, in the terminal, as it goes.
//!
//! It asks the monitoring API, as any poller would, so it may be ended and started at any time and costs an answer every two seconds. Where the output is no
//! terminal, or with `--once`, the screen is printed once as text.
//!
//! | key | what |
//! |---|---|
//! | `q`, Esc, Ctrl-C | end |
//! | Tab | containers by rate, lag, lines or name |
//! | ↑ ↓ PgUp PgDn Home | other containers |

mod look;
mod screen;

use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hyper::StatusCode;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::asking;
use crate::cli::TopArgs;
use crate::settings::Given;
use crate::settings::api::ApiSettings;
use look::Look;
use screen::{Screen, View};

/// How wide and how high a screen is that is printed: all columns, and fifty containers.
const PRINTED: (u16, u16) = (140, 80);

/// Shows it until it is told to end.
///
/// # Errors
/// Nobody who answers at the start, or a terminal that can't be used.
pub(crate) fn run(args: TopArgs) -> Result<()> {
    let TopArgs { url, once, every, run } = args;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asker = Asker { runtime, url, api: Given::collect(run).api() };
    let every = Duration::from_secs(every);
    let first = asker.look(None)?;
    if once || !stdout().is_terminal() {
        // Two looks make a rate.
        std::thread::sleep(Duration::from_secs(1));
        return print(&asker.look(Some(&first))?);
    }
    let mut terminal = ratatui::try_init().context("the terminal can't be used")?;
    let ended = follow(&mut terminal, &asker, first, every);
    ratatui::try_restore().context("the terminal can't be put back")?;
    ended
}

/// Prints one screen as text.
fn print(look: &Look) -> Result<()> {
    let mut terminal = Terminal::new(TestBackend::new(PRINTED.0, PRINTED.1))?;
    terminal.draw(|frame| Screen { look, trouble: None, keys: false }.draw(frame, &mut View::default()))?;
    let mut out = stdout().lock();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(PRINTED.0));
    let lines: Vec<String> = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect()).collect();
    let text = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
    Ok(writeln!(out, "{}", text.trim_end())?)
}

/// Draws, looks again when it is time, and heeds keys in between.
fn follow(terminal: &mut ratatui::DefaultTerminal, asker: &Asker, first: Look, every: Duration) -> Result<()> {
    let (mut look, mut trouble, mut view) = (first, None, View::default());
    let mut due = Instant::now() + Duration::from_millis(500);
    loop {
        terminal
            .draw(|frame| Screen { look: &look, trouble: trouble.as_deref(), keys: true }.draw(frame, &mut view))?;
        if event::poll(due.saturating_duration_since(Instant::now()))? {
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
            {
                let ends = matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
                    || key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if ends {
                    return Ok(());
                }
                view.heed(key.code);
            }
            continue;
        }
        match asker.look(Some(&look)) {
            Ok(next) => (look, trouble) = (next, None),
            // It may be restarted just now; what was seen last stays.
            Err(error) => trouble = Some(format!("{error:#}")),
        }
        due = Instant::now() + every;
    }
}

struct Asker {
    runtime: Runtime,
    url: Option<String>,
    api: ApiSettings,
}

impl Asker {
    fn look(&self, before: Option<&Look>) -> Result<Look> {
        let url = self.url.as_deref();
        let asked = asking::ask(url, "/_node/stats", &self.api, |said| said.contains("\"elkhound\""));
        let (status, said) = self.runtime.block_on(asked).context("elkhound does not answer")?;
        if status == StatusCode::UNAUTHORIZED {
            bail!("elkhound wants a login; give api.auth.basic.username and api.auth.basic.password as it has them");
        }
        let answer: Value = serde_json::from_str(&said).context("its answer is no JSON")?;
        Ok(Look::new(&answer, Instant::now(), before))
    }
}
