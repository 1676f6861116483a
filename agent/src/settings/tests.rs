//! Settings over all their places: which holds, and what is told of a mistake.
use elkhound_config::env::Lookup;

use super::*;
use crate::disk_queue::{Compression, Limits};
use crate::scratch::Folder;
use crate::settings::table;

/// A folder of settings files.
fn folder(name: &str, files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new(name);
    files.iter().for_each(|(name, text)| folder.write(name, text));
    folder
}

fn args(flags: &[(&str, &str)]) -> RunArgs {
    RunArgs { given: flags.iter().map(|(name, value)| (table::find(name).unwrap(), (*value).to_owned())).collect() }
}

fn nothing(_: &str) -> Result<Option<String>, String> {
    Ok(None)
}

fn given(flags: &[(&str, &str)], environment: &Lookup<'_>) -> Given {
    Given::collect_from(args(flags), environment, &nothing)
}

fn complaints(given: &Given) -> String {
    given.mistakes.iter().map(|mistake| mistake.shown(false)).collect()
}

fn mistakes(flags: &[(&str, &str)]) -> String {
    let mut given = given(flags, &nothing);
    given.meant();
    assert!(!given.is_sound());
    complaints(&given)
}

#[test]
fn what_is_in_flight_fits_into_the_container() {
    assert_eq!(budget(None, None), 24 << 20);
    assert_eq!(budget(None, Some(4 << 30)), 24 << 20);
    assert_eq!(budget(None, Some(64 << 20)), 8 << 20);
    assert_eq!(budget(None, Some(1 << 20)), 1 << 20);
    assert_eq!(budget(Some(100 << 20), Some(64 << 20)), 100 << 20);
    let meant = given(&[("memory.max_in_flight", "5mb"), ("shutdown.timeout", "2m")], &nothing).meant();
    assert_eq!((meant.budget, meant.grace), (5 << 20, Duration::from_secs(120)));
}

#[test]
fn flags_hold_before_the_environment_and_that_before_files() {
    let folder = folder(
        "layers",
        &[(
            "logstash.yml",
            "pipeline: { workers: 2, batch.size: 20, batch.delay: 5 }\npath.data: /file\nlog.level: warn\n",
        )],
    );
    let environment = |name: &str| match name {
        "LS_SETTINGS_DIR" => Ok(Some(folder.0.to_string_lossy().into_owned())),
        "PIPELINE_WORKERS" => Ok(Some("3".to_owned())),
        "PIPELINE_BATCH_SIZE" => Ok(Some("30".to_owned())),
        _ => Ok(None),
    };
    let mut given = given(&[("pipeline.workers", "4"), ("config.string", "input {}")], &environment);
    let settings = given.meant();
    let pipeline = &settings.pipelines[0];
    assert_eq!((pipeline.workers, pipeline.batch_size, pipeline.batch_delay.as_millis()), (4, 30, 5));
    assert_eq!((settings.data, settings.log.level.as_str()), (PathBuf::from("/file"), "warn"));
    assert_eq!((pipeline.id.as_str(), complaints(&given)), ("main", String::new()));
    let shown = given.shown();
    let line = |name: &str| shown.iter().find(|line| line[0] == name).unwrap()[1..].to_vec();
    assert_eq!(line("pipeline.batch.size"), ["30", "environment PIPELINE_BATCH_SIZE"]);
    assert_eq!(line("pipeline.workers"), ["4", "flag -w"]);
    assert_eq!(line("pipeline.ordered"), ["auto", "default"]);
    assert!(line("log.level")[1].ends_with("/logstash.yml:3:12"), "{shown:?}");
}

#[test]
fn elkhounds_own_file_holds_alone() {
    let folder = folder("own", &[("elkhound.yml", "pipeline.workers: 2\n"), ("logstash.yml", "nonsense: 1\n")]);
    let path = folder.0.to_string_lossy().into_owned();
    let mut given = given(&[("path.settings", &path), ("config.string", "")], &nothing);
    assert_eq!(given.meant().pipelines[0].workers, 2);
}

#[test]
fn each_pipeline_has_settings_of_its_own_above_the_common_ones() {
    let list = "- pipeline.id: a\n  path.config: /a\n  pipeline.workers: 1\n- pipeline.id: b\n  config.string: b\n";
    let folder = folder("pipelines", &[("pipelines.yml", list), ("elkhound.yml", "pipeline.batch.size: 9\n")]);
    let path = folder.0.to_string_lossy().into_owned();
    let mut several = given(&[("path.settings", &path), ("pipeline.workers", "3")], &nothing);
    let settings = several.meant();
    let found: Vec<_> =
        settings.pipelines.iter().map(|each| (each.id.as_str(), each.workers, each.batch_size, each.order)).collect();
    assert_eq!(found, [("a", 1, 9, Order::BySource), ("b", 3, 9, Order::Free)]);
    assert!(matches!(&settings.pipelines[1].text, PipelineText::Inline(text) if text.value == "b"));

    let mut one = given(&[("path.settings", &path), ("path.config", "x")], &nothing);
    assert_eq!(one.meant().pipelines.len(), 1);
    assert!(
        complaints(&one).ends_with("pipelines.yml is ignored, for `-f x` gives a pipeline\n"),
        "{}",
        complaints(&one)
    );
}

#[test]
fn a_queue_on_disk_has_a_folder_and_limits_of_its_pipeline() {
    let list = "- pipeline.id: a/b\n  config.string: a\n  queue: { type: persisted, max_bytes: 2gb, compression: balanced, checkpoint: { acks: 0, interval: 0 } }\n- pipeline.id: c\n  config.string: c\n";
    let folder =
        folder("queues", &[("pipelines.yml", list), ("elkhound.yml", "path.data: /data\nqueue.drain: true\n")]);
    let path = folder.0.to_string_lossy().into_owned();
    let mut several = given(&[("path.settings", &path)], &nothing);
    let settings = several.meant();
    let queue = settings.pipelines[0].queue.clone().unwrap();
    let limits = Limits { page: 64 << 20, bytes: 2 << 30, events: 0, acks: 0, writes: 1024, interval: None };
    let expected = disk_queue::Settings {
        folder: "/data/queue/a%2fb".into(),
        limits,
        compression: Compression::Balanced,
        drain: true,
    };
    assert_eq!((queue, settings.pipelines[1].queue.clone()), (expected, None));
    assert_eq!(complaints(&several), "");
}

#[test]
fn a_page_must_fit_into_its_queue() {
    let flags = [("config.string", "input {}"), ("queue.type", "persisted"), ("queue.max_bytes", "10mb")];
    let expected = "elkhound: queue.page_capacity (64mb) is larger than queue.max_bytes (10mb); give the queue room for several pages, for room is made by removing whole ones\n";
    assert_eq!(mistakes(&flags), expected);
    let in_memory = given(&[flags[0], flags[2]], &nothing).meant();
    assert!(in_memory.pipelines[0].queue.is_none());
}

#[test]
fn mistakes_name_the_flag_and_the_remedy() {
    let text = ("config.string", "input {}");
    assert_eq!(mistakes(&[("pipeline.workers", "0"), text]), "elkhound: `-w 0`: at least 1 is needed\n");
    let expected = "elkhound: no pipeline given; name a file with `-f FILE` or give its text with `-e TEXT`; or list pipelines in /etc/elkhound/pipelines.yml\n";
    assert_eq!(mistakes(&[]), expected);
    let expected = "elkhound: `--log.level loud`: it takes error, warn, info, debug, trace or fatal\n";
    assert_eq!(mistakes(&[("log.level", "loud"), text]), expected);
    let expected = "elkhound: `--queue.compression zstd`: it takes none, speed, balanced, size or disabled\n";
    assert_eq!(mistakes(&[("queue.compression", "zstd"), text]), expected);
    let expected = "elkhound: `--path.settings /nowhere/at/all`: there is no such folder\n";
    assert_eq!(mistakes(&[("path.settings", "/nowhere/at/all"), text]), expected);
    let expected = "elkhound: `-f x` and `-e input {}` exclude each other\n";
    assert_eq!(mistakes(&[("path.config", "x"), text]), expected);
}

#[test]
fn a_variable_whose_file_cannot_be_read_is_a_mistake() {
    let environment = |name: &str| match name {
        "NODE_NAME" => Err("/lost can't be read".to_owned()),
        _ => Ok(None),
    };
    let mut given = given(&[("config.string", "input {}")], &environment);
    given.meant();
    assert!(!given.is_sound());
    assert_eq!(complaints(&given), "elkhound: `NODE_NAME` has no value: /lost can't be read\n");
}
