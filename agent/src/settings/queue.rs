//! A pipeline's queue on disk, as the settings mean it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::table;
use super::written::{Layers, Mistake, Origin};
use crate::disk_queue::{self, Compression, Limits, Settings};
use crate::line::folder_name;

/// The queue, unless it is to be in memory. Pages larger than the queue are a mistake, as in Logstash: no room could be made in it.
pub(super) fn read(layers: Layers<'_>, mistakes: &mut Vec<Mistake>) -> Option<Settings> {
    let folder = folder(layers).join(folder_name(layers.value("pipeline.id").unwrap_or_default()));
    if layers.value("queue.type") != Some("persisted") {
        mistakes.extend(left(layers, &folder));
        return None;
    }
    let limits = limits(layers);
    mistakes.extend(too_small(layers, &limits));
    let (compression, drain) = (compression(layers), layers.is_on("queue.drain"));
    Some(Settings { folder, limits, compression, drain })
}

/// The queues of outputs that spill, each of which has a folder in this one. What the settings say of queues holds for each of them.
pub(super) fn of_outputs(layers: Layers<'_>) -> Settings {
    // No pipeline is called so: dots of their names are written otherwise.
    let name = format!("{}.outputs", folder_name(layers.value("pipeline.id").unwrap_or_default()));
    let folder = folder(layers).join(name);
    Settings { folder, limits: limits(layers), compression: compression(layers), drain: false }
}

fn limits(layers: Layers<'_>) -> Limits {
    let size = |name: &str, default: u64| layers.value(name).and_then(table::size).unwrap_or(default);
    let number = |name: &str| layers.number(name).unwrap_or_default() as u64;
    let interval = number("queue.checkpoint.interval");
    Limits {
        page: size("queue.page_capacity", 64 << 20),
        bytes: size("queue.max_bytes", 1 << 30),
        events: number("queue.max_events"),
        acks: number("queue.checkpoint.acks"),
        writes: number("queue.checkpoint.writes"),
        interval: (interval > 0).then(|| Duration::from_millis(interval)),
    }
}

fn compression(layers: Layers<'_>) -> Compression {
    Compression::named(layers.value("queue.compression").unwrap_or_default())
}

/// The folder of all queues.
fn folder(layers: Layers<'_>) -> PathBuf {
    let of_data = || Path::new(layers.value("path.data").unwrap_or_default()).join("queue");
    layers.value("path.queue").filter(|path| !path.is_empty()).map_or_else(of_data, PathBuf::from)
}

/// Events that wait where nobody reads them.
fn left(layers: Layers<'_>, folder: &Path) -> Option<Mistake> {
    let bytes = Some(disk_queue::left_in(folder)).filter(|bytes| *bytes > 0)?;
    let origin = layers.find("queue.type").map_or(Origin::Nowhere, |given| given.origin.clone());
    let message = format!("{} holds {bytes} bytes of events, which a queue in memory leaves there", folder.display());
    let help = "set `queue.type: persisted` to have them delivered, or remove the folder";
    Some(Mistake::warning("left-queue", origin, message).with_help(help))
}

fn too_small(layers: Layers<'_>, limits: &Limits) -> Option<Mistake> {
    if limits.page <= limits.bytes {
        return None;
    }
    let value = |name: &str| layers.value(name).unwrap_or_default();
    let (page, bytes) = (value("queue.page_capacity"), value("queue.max_bytes"));
    let given = layers.find("queue.page_capacity").or_else(|| layers.find("queue.max_bytes"));
    let origin = given.map_or(Origin::Nowhere, |given| given.origin.clone());
    let message = format!("queue.page_capacity ({page}) is larger than queue.max_bytes ({bytes})");
    let help = "give the queue room for several pages, for room is made by removing whole ones";
    Some(Mistake::error("bad-setting", origin, message).with_help(help))
}
