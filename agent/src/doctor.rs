//! `elkhound doctor`: looks at all that the pipelines of this host work with, before they run or beside them, and says of each what was found and
//! what to do about it.
//!
//! It takes the same flags, files and environment as a run. Inputs and outputs are examined by their own plugins ([`Input::examine`],
//! [`Output::examine`]), which know what they need; the folder for state and the limits of this process are looked at here. Nothing is changed, and nothing but
//! answers is read: no line, no document.

use std::fs;
use std::io::{self, Write, stdout};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::Prepared;
use crate::amounts::size;
use crate::cgroup;
use crate::cli::RunArgs;
use crate::finding::{Finding, Grade};
use crate::input::Input;
use crate::line::Line;
use crate::output::Output;
use crate::volume;

/// Below this, in bytes, a busy host's bursts do not fit.
const LITTLE_MEMORY: u64 = 96 << 20;

/// Below this, in bytes, a disk is about to be full; cursors themselves take little.
const LITTLE_ROOM: u64 = 256 << 20;

/// Examines, and prints what was found. Fails when something does not work.
///
/// # Errors
/// Standard output that can't be written to, or a runtime that can't be started.
pub(crate) fn run(args: RunArgs) -> Result<ExitCode> {
    let Some(prepared) = crate::prepare(args, |_, _| {})? else { return Ok(ExitCode::FAILURE) };
    let Prepared { loaded, made, runtime, .. } = prepared;
    let mut out = stdout().lock();
    let mut worst = Grade::Good;
    let mut tell = |finding: &Finding| {
        worst = worst.max(finding.grade);
        writeln!(out, "{}", crate::secret::mask(&finding.to_string()))
    };
    let pipelines = made.lines.len();
    tell(&Finding::good(format!("{pipelines} pipeline{} can be run", if pipelines == 1 { "" } else { "s" })))?;
    tell(&data(&loaded.settings.data))?;
    cgroup::memory().map(memory).iter().try_for_each(&mut tell)?;
    for line in &made.lines {
        runtime.block_on(examine(line)).iter().try_for_each(&mut tell)?;
    }
    Ok(if worst == Grade::Bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(line: &Line) -> Vec<Finding> {
    let mut found = Vec::new();
    for (input, _) in &line.inputs {
        found.extend(Input::examine(input.as_ref()).await);
    }
    for output in &line.outputs {
        found.extend(Output::examine(output.as_ref()).await);
    }
    found
}

/// Whether cursors can be kept.
fn data(folder: &Path) -> Finding {
    let shown = folder.display();
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    let written =
        fs::create_dir_all(folder).and_then(|()| fs::write(&probe, "")).and_then(|()| fs::remove_file(&probe));
    match written {
        Ok(()) => room(folder, volume::free(folder).unwrap_or(u64::MAX)),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Finding::bad(
            format!("{shown}: {error}"),
            "make room: without it cursors stand still, and lines are read again after a restart",
        ),
        Err(error) => Finding::bad(
            format!("{shown}: {error}"),
            "give --path.data a folder that this user may write to, on a volume that outlives the container",
        ),
    }
}

/// Whether a folder that can be written to stays so, with as many bytes free.
fn room(folder: &Path, free: u64) -> Finding {
    let shown = folder.display();
    if free < LITTLE_ROOM {
        let free = size(usize::try_from(free).unwrap_or(usize::MAX));
        return Finding::warning(
            format!("{shown} can be written to, but its disk has {free} left"),
            "make room: on a full disk cursors stand still, and lines are read again after a restart",
        );
    }
    Finding::good(format!("{shown} can be written to, so cursors are kept"))
}

/// Whether `limit` bytes of memory are enough for this process.
fn memory(limit: u64) -> Finding {
    let shown = limit >> 20;
    if limit < LITTLE_MEMORY {
        Finding::warning(
            format!("this control group may use {shown} MiB of memory"),
            format!(
                "give it {} MiB: at full speed elkhound takes about 50 MiB, and bursts of large lines need room",
                LITTLE_MEMORY >> 20
            ),
        )
    } else {
        Finding::good(format!("this control group may use {shown} MiB of memory"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_to_is_bad() {
        let folder = std::env::temp_dir().join(format!("elkhound-doctor-{}", std::process::id()));
        assert_eq!(data(&folder).grade, Grade::Good);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
        fs::write(&folder, "in the way").unwrap();
        assert_eq!(data(&folder).grade, Grade::Bad);
        fs::remove_file(&folder).unwrap();
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_a_warning() {
        let folder = Path::new("/data");
        assert_eq!(room(folder, LITTLE_ROOM).grade, Grade::Good);
        let found = room(folder, 3 << 20);
        assert_eq!(
            (found.grade, &*found.text),
            (Grade::Warning, "/data can be written to, but its disk has 3.0 MiB left")
        );
    }

    #[test]
    fn little_memory_is_a_warning() {
        assert_eq!(memory(64 << 20).grade, Grade::Warning);
        assert_eq!(memory(256 << 20).grade, Grade::Good);
    }
}
