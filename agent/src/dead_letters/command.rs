//! `elkhound dlq`: lists, shows, replays and removes what is in dead letter queues.
//!
//! A running agent is not in the way: readers lock nothing, and the segment that it writes to is not removed.

use std::fs::File;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use elkhound_config::ast::SectionKind;
use elkhound_config::parser::{self, Escapes};
use elkhound_config::source::Source;

use super::{segments, show};
use crate::cli::{DlqCommand, DlqReplay, RunArgs};
use crate::line::{escapes, folder_name};
use crate::settings::{Given, Settings, table};

/// Does what the arguments say.
///
/// # Errors
/// A queue that can't be read, and a standard output that is closed.
pub(crate) fn run(command: DlqCommand) -> Result<ExitCode> {
    match command {
        DlqCommand::List(args) => {
            let (root, _) = place(args.clone());
            for queue in queues(&root, &args)? {
                show::list(&queue, &mut stdout().lock())?;
            }
        }
        DlqCommand::Show(args) => {
            let folder = folder(args.run.clone())?;
            show::show(&folder, &args, &mut stdout().lock())?;
        }
        DlqCommand::Remove(args) => remove(&folder(args.run)?, args.through)?,
        DlqCommand::Replay(args) => return replay(&args),
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder of all queues, and the pipeline that is meant.
fn place(args: RunArgs) -> (PathBuf, String) {
    let given = Given::collect(args);
    given.mistakes.iter().for_each(crate::complain);
    given.dead_letters()
}

fn folder(args: RunArgs) -> Result<PathBuf> {
    let (root, id) = place(args);
    let folder = root.join(folder_name(&id));
    if !folder.is_dir() {
        bail!(
            "there is no dead letter queue of the pipeline `{id}` in {}; see `--path.dead_letter_queue`, `--path.data` and `--pipeline.id`",
            root.display()
        );
    }
    Ok(folder)
}

/// The queue of the pipeline that was named, else all that are there.
fn queues(root: &Path, args: &RunArgs) -> Result<Vec<PathBuf>> {
    if args.given.iter().any(|(row, _)| row.name == "pipeline.id") {
        return folder(args.clone()).map(|folder| vec![folder]);
    }
    let entries = root.read_dir().with_context(|| {
        format!("no dead letter queues in {}; see `--path.dead_letter_queue` and `--path.data`", root.display())
    })?;
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

/// Removes segments up to a number, but not the newest one while an agent may be writing to it.
fn remove(folder: &Path, through: u64) -> Result<()> {
    let all = segments::list(folder)?;
    let lock = File::options().read(true).write(true).open(folder.join(".lock"));
    let is_written_to = lock.is_ok_and(|lock| lock.try_lock().is_err());
    let newest = all.last().map(|newest| newest.number).filter(|_| is_written_to);
    let mut removed = 0;
    for segment in all.iter().filter(|segment| segment.number <= through && Some(segment.number) != newest) {
        let path = segments::path(folder, segment.number);
        std::fs::remove_file(&path).with_context(|| format!("{} can't be removed", path.display()))?;
        removed += 1;
    }
    writeln!(stdout(), "removed {removed} of {} segments", all.len())?;
    if newest.is_some_and(|newest| newest <= through) {
        writeln!(stdout(), "the newest one stays, for an agent writes to it")?;
    }
    Ok(())
}

/// Settings of the agent that a replay must not share with the one that may be running beside it.
const APART: [(&str, &str); 4] = [
    ("api.enabled", "false"),
    ("config.reload.automatic", "false"),
    ("dead_letter_queue.enable", "false"),
    ("queue.type", "memory"),
];

/// Runs a pipeline with a dead letter queue in the place of its inputs.
fn replay(args: &DlqReplay) -> Result<ExitCode> {
    let mut run = args.run.clone();
    let (root, id) = place(run.clone());
    folder(run.clone())?;
    run.given.extend(APART.into_iter().filter_map(|(name, value)| Some((table::find(name)?, value.to_owned()))));
    if !run.given.iter().any(|(row, _)| matches!(row.name, "path.config" | "config.string")) {
        bail!("a replay needs a pipeline: name its file with `-f FILE`; its inputs are left out");
    }
    let input = input(&root, &id, args);
    let change = |settings: &Settings, sources: &mut Vec<Source>| {
        let escapes = settings.pipelines.first().map_or(Escapes::Kept, escapes);
        for source in sources {
            leave_out(source, escapes, args.outputs_only);
            source.add("replay", &input);
        }
    };
    crate::run_changed(run, change)
}

fn input(root: &Path, id: &str, args: &DlqReplay) -> String {
    let quoted = |text: &str| if text.contains('"') { format!("'{text}'") } else { format!("\"{text}\"") };
    let option = |name: &str, text: &Option<String>| {
        text.as_ref().map(|text| format!(" {name} => {}", quoted(text))).unwrap_or_default()
    };
    format!(
        "input {{ dead_letter_queue {{ path => {} pipeline_id => {} commit_offsets => false exit_after_read => true{}{} }} }}\n",
        quoted(&root.to_string_lossy()),
        quoted(id),
        option("reason", &args.reason),
        option("start_timestamp", &args.since),
    )
}

/// Blanks the sections that a replay leaves out, so that everything else keeps its place.
fn leave_out(source: &mut Source, escapes: Escapes, filters_too: bool) {
    let document = parser::parse(source, escapes).document;
    for section in &document.sections {
        let is_left_out = match section.kind {
            SectionKind::Input => true,
            SectionKind::Filter => filters_too,
            SectionKind::Output => false,
        };
        if is_left_out {
            source.blank(section.span.start, section.span.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_keeps_the_places_of_what_is_left() {
        let text = "input { stdin { } }\nfilter { drop { } }\noutput { stdout { } }\n";
        let mut source = Source::of("a.conf", text);
        leave_out(&mut source, Escapes::Kept, false);
        assert_eq!(source.text(), format!("{}\n{}", " ".repeat(19), &text[20..]));
        leave_out(&mut source, Escapes::Kept, true);
        assert_eq!(source.text().trim(), "output { stdout { } }");
        assert_eq!(source.text().len(), text.len());
    }
}
