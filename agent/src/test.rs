//! `elkhound test DIR`: runs the cases that are kept beside pipeline files.
//!
//! A case is events in and events expected, in a YAML or JSON file called `NAME.test.yml` (`.yaml`, `.json`). Only filters run; the inputs and
//! outputs of the pipeline file are not started. `elkhound help test` shows what a file looks like.

use std::collections::HashSet;
use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use anyhow::{Context as _, Result, bail};

use crate::files;
use crate::paint::Paint;

mod case_file;
mod junit;
mod verdict;

use case_file::Case;
pub(crate) use case_file::FORMAT;

/// Some case failed.
const FAILED: u8 = 1;
/// Some case could not be run at all: its file is wrong.
const UNREADABLE: u8 = 2;

/// What became of one case.
struct Ran {
    name: String,
    line: usize,
    took: Duration,
    /// What differs, or why it could not be run; nothing when all is as expected.
    failure: Option<String>,
}

/// All cases of a file.
struct Suite {
    file: PathBuf,
    ran: Vec<Ran>,
}

/// A mistake in a case file.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    line: usize,
    message: String,
    help: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  help: {}", self.line, self.message, self.help)
    }
}

/// Runs all cases of the case files that `paths` are or hold. Files with mistakes are named, and the others run all the same.
///
/// # Errors
/// Paths without case files, and a report that can't be written.
pub(crate) fn run(paths: &[PathBuf], report: Option<&Path>) -> Result<ExitCode> {
    let paint = Paint::of_stdout();
    let mut out = stdout().lock();
    let (mut suites, mut unreadable) = (Vec::new(), false);
    for file in case_files(paths)? {
        match read(&file)? {
            Ok(cases) => {
                let suite = Suite { ran: run_cases(&cases), file };
                print_failures(&suite, paint, &mut out)?;
                suites.push(suite);
            }
            Err(mistakes) => {
                unreadable = true;
                for mistake in mistakes {
                    writeln!(out, "{} {}:{mistake}", paint.red("MISTAKE"), file.display())?;
                }
            }
        }
    }
    if let Some(report) = report {
        fs::write(report, junit::report(&suites))
            .with_context(|| format!("`--junit {}` can't be written", report.display()))?;
    }
    let ran = || suites.iter().flat_map(|suite| &suite.ran);
    let failed = ran().filter(|ran| ran.failure.is_some()).count();
    writeln!(out, "{} passed, {failed} failed", ran().count() - failed)?;
    Ok(exit_code(unreadable, failed))
}

fn exit_code(unreadable: bool, failed: usize) -> ExitCode {
    match (unreadable, failed) {
        (true, _) => UNREADABLE.into(),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => FAILED.into(),
    }
}

/// The case files that the paths name, or that lie below them.
fn case_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_file() {
            found.push(path.clone());
            continue;
        }
        let below = files::matching(&format!("{}/**/*{{{}}}", path.display(), files::CASE_FILES.join(",")))
            .with_context(|| format!("{} can't be read", path.display()))?;
        if below.is_empty() {
            let names = files::CASE_FILES.map(|ending| format!("NAME{ending}")).join(", ");
            bail!("{} holds no case files; they are called {names} (see `elkhound help test`)", path.display());
        }
        found.extend(below);
    }
    let mut seen = HashSet::new();
    found.retain(|file| seen.insert(file.clone()));
    Ok(found)
}

fn read(file: &Path) -> Result<Result<Vec<Case>, Vec<Mistake>>> {
    let text = fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    Ok(case_file::parse(file, &text))
}

fn run_cases(cases: &[Case]) -> Vec<Ran> {
    let mut told = HashSet::new();
    let run = |case: &Case| {
        let begun = Instant::now();
        let failure = verdict::of(case, &mut told);
        Ran { name: case.name.clone(), line: case.line, took: begun.elapsed(), failure }
    };
    cases.iter().map(run).collect()
}

fn print_failures(suite: &Suite, paint: Paint, out: &mut impl Write) -> io::Result<()> {
    for ran in &suite.ran {
        let Some(failure) = &ran.failure else { continue };
        writeln!(out, "{} {}:{}: {}", paint.red("FAIL"), suite.file.display(), ran.line, paint.bold(&ran.name))?;
        for line in failure.lines() {
            let line = format!("  {line}");
            let first = line.trim_start().chars().next();
            let painted = match first {
                Some('-') => paint.red(&line),
                Some('+') => paint.green(&line),
                _ => line,
            };
            writeln!(out, "{painted}")?;
        }
    }
    Ok(())
}
