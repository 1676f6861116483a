//! Reads files again that filters watch, as translate's dictionaries, when they have changed.
//!
//! The pipeline opens no files and has no clock, so that is done here: a task for each such filter looks at the file's date and length
//! every so often, and hands the filter what is in it. What can't be read or understood is logged once for each change, and the filter goes on
//! with what it had.

use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use elkhound_pipeline::plan::{PlacedFilter, Plan};
use tokio::runtime::Handle;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

/// When a file was written last, and its length; nothing while it can't be looked at.
type Stamp = Option<(SystemTime, u64)>;

/// What the last look saw; nothing before the first one.
type Last = Option<Stamp>;

/// Starts to watch; dropping the set ends it.
pub(crate) fn start(plan: &Arc<Plan>, runtime: &Handle) -> JoinSet<()> {
    let mut watching = JoinSet::new();
    for (number, filter) in plan.filters().iter().enumerate() {
        if filter.watched().is_some() {
            watching.spawn_on(watch(Arc::clone(plan), number), runtime);
        }
    }
    watching
}

async fn watch(plan: Arc<Plan>, number: usize) {
    // The pipeline may have been loaded from an older file than is there now, so the first look reads it in any case.
    let mut last = None;
    let mut due = Instant::now();
    while let Some(watched) = plan.filters()[number].watched() {
        due += watched.every;
        sleep_until(due).await;
        let (plan, seen) = (Arc::clone(&plan), last);
        match spawn_blocking(move || look(&plan.filters()[number], seen)).await {
            Ok(stamp) => last = Some(stamp),
            Err(error) => warn!(%error, "a file could not be read again"),
        }
    }
}

/// Hands the filter its file when that is not as it was `last`; returns how it is now.
fn look(filter: &PlacedFilter, last: Last) -> Stamp {
    let watched = filter.watched()?;
    let stamp = fs::metadata(&watched.path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
    // One that is still gone was warned of before.
    if last == Some(stamp) {
        return stamp;
    }
    let path = watched.path.display();
    let refreshed = fs::read(&watched.path).map_err(|error| error.to_string()).and_then(|bytes| filter.refresh(&bytes));
    match refreshed {
        Ok(()) => info!(%path, filter = filter.place, "the file was read again"),
        Err(reason) => {
            warn!(%path, filter = filter.place, reason, "the file is of no use now; the filter goes on with what it had");
        }
    }
    stamp
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use elkhound_config::parser::Escapes;
    use elkhound_config::source::Source;
    use elkhound_pipeline::event::Event;
    use elkhound_pipeline::filter::Context;
    use elkhound_pipeline::plan::compile;
    use elkhound_pipeline::setup::Ecs;

    use super::*;
    use crate::line;

    fn plan(path: &Path) -> Plan {
        let text = format!(
            "filter {{ translate {{ source => 'code' target => 'text' dictionary_path => '{}' refresh_behaviour => 'replace' }} }}",
            path.display()
        );
        let source = Source::of("test.conf", &text);
        let (document, mut diagnostics) = line::parse(&source, Escapes::Kept);
        compile(&document, &source, &line::setup(Ecs::V8), Box::new(|_| {}), &mut diagnostics).plan
    }

    fn translated(plan: &Plan) -> Option<String> {
        let mut event = Event::default();
        event.set_field("code".into(), "200".into());
        let mut events = vec![event];
        plan.filter(&mut events, &mut Context::default());
        events[0].to_map().get("text").and_then(|value| value.as_text()).map(ToString::to_string)
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_only_then() {
        let path = std::env::temp_dir().join(format!("elkhound-refresh-{}.json", std::process::id()));
        fs::write(&path, r#"{"200":"first"}"#).unwrap();
        let plan = plan(&path);
        let filter = &plan.filters()[0];
        assert_eq!(translated(&plan).as_deref(), Some("first"));

        fs::write(&path, r#"{"200":"ok"}"#).unwrap();
        let first = look(filter, None);
        assert!(first.is_some());
        assert_eq!(translated(&plan).as_deref(), Some("ok"));
        assert_eq!(look(filter, Some(first)), first);

        fs::write(&path, "no dictionary").unwrap();
        let second = look(filter, Some(first));
        assert_ne!(second, first);
        assert_eq!(translated(&plan).as_deref(), Some("ok"));

        fs::remove_file(&path).unwrap();
        assert_eq!(look(filter, Some(second)), None);
        assert_eq!(translated(&plan).as_deref(), Some("ok"));

        fs::write(&path, r#"{"200":"again"}"#).unwrap();
        assert!(look(filter, Some(None)).is_some());
        assert_eq!(translated(&plan).as_deref(), Some("again"));
        fs::remove_file(&path).unwrap();
    }
}
