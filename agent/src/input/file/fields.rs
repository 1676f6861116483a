//! What an event says of the file that it comes from.

use elkhound_pipeline::event::Event;
use elkhound_pipeline::path::Path as Field;
use elkhound_pipeline::setup::Ecs;
use elkhound_pipeline::text::Text;
use elkhound_pipeline::value::Value;
use std::path::Path;

use crate::input::{fill, known};

/// The names of the fields, and the host's own.
pub(super) struct Names {
    path: Field,
    host: Field,
    metadata_path: Field,
    metadata_host: Field,
    host_name: Value,
}

impl Names {
    /// The names in this mode.
    pub(super) fn new(ecs: Ecs, host: &str) -> Self {
        let pick = |disabled: &str, enabled: &str| known(if ecs.is_enabled() { enabled } else { disabled });
        Self {
            path: pick("path", "[log][file][path]"),
            host: pick("host", "[host][name]"),
            metadata_path: known("[@metadata][path]"),
            metadata_host: known("[@metadata][host]"),
            host_name: Value::Text(Text::new(host)),
        }
    }

    /// Writes them into an event.
    pub(super) fn mark(&self, event: &mut Event, path: &Path) {
        let path = Value::from(path.to_string_lossy().as_ref());
        for (name, value) in [(&self.metadata_path, &path), (&self.metadata_host, &self.host_name)] {
            let _always_a_map = event.set(name, value.clone());
        }
        fill(event, &self.path, &path);
        fill(event, &self.host, &self.host_name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_the_host_are_named_in_either_mode() {
        for (ecs, path, host) in [(Ecs::V8, "[log][file][path]", "[host][name]"), (Ecs::Disabled, "path", "host")] {
            let mut event = Event::default();
            Names::new(ecs, "h").mark(&mut event, Path::new("/a.log"));
            assert_eq!(event.get(&known(path)), Some(&"/a.log".into()));
            assert_eq!(event.get(&known("[@metadata][path]")), Some(&"/a.log".into()));
            assert_eq!(event.get(&known(host)), Some(&"h".into()));
        }
    }
}
