//! Runs one hot step so many times, for `benches/guard` to count its instructions: `bench-guard STEP PASSES`, or `--list`.
//!
//! `--list` prints each step's name and the records of a pass. Nothing is timed here.

mod agent;
mod hot;

use std::process::ExitCode;

use agent::{disk_queue, input, output};
use hot::filters::ROWS;
use hot::{RECORDS, STEPS};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => STEPS.iter().for_each(|step| println!("{}\t{RECORDS}", step.name)),
        [name, passes] => return run(name, passes),
        _ => return complain("write `bench-guard STEP PASSES` or `bench-guard --list`"),
    }
    ExitCode::SUCCESS
}

fn run(name: &str, passes: &str) -> ExitCode {
    let Some(mut pass) = pass_of(name) else {
        return complain(&format!(
            "there is no step `{name}`; `--list` names them, and `filter/NAME`, `bound/NAME` are there too"
        ));
    };
    let Ok(passes) = passes.parse::<usize>() else {
        return complain(&format!("`{passes}` is no number of passes"));
    };
    (0..passes).for_each(|_| pass());
    ExitCode::SUCCESS
}

/// A step that the guard counts, or a filter or bound that it does not.
fn pass_of(name: &str) -> Option<Box<dyn FnMut()>> {
    if let Some(step) = STEPS.iter().find(|step| step.name == name) {
        return Some((step.make)());
    }
    let (what, filter) = name.split_once('/')?;
    let row = ROWS.iter().find(|row| row.name == filter)?;
    match what {
        "filter" => Some(row.filter()),
        "bound" => Some(row.bound()),
        _ => None,
    }
}

#[expect(clippy::print_stderr, reason = "a program for the terminal")]
fn complain(text: &str) -> ExitCode {
    eprintln!("bench-guard: {text}");
    ExitCode::FAILURE
}
