//! A container as the files say that dockerd keeps beside its log, for when no engine is asked.

use std::path::Path;
use std::time::SystemTime;

use super::super::metadata::{Container, own_container};
use super::super::select::Own;
use crate::files;

/// Where dockerd keeps it.
const CONFIG: &str = "config.v2.json";

/// When what is known of a log's container was written last, as dockerd does when the container has another name.
pub(super) fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path.with_file_name(CONFIG)).ok()?.modified().ok()
}

/// The container that a log belongs to. A log that stands alone is a container named like its file.
pub(super) fn described(path: &Path) -> Container {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let id = stem.strip_suffix("-json").unwrap_or(&stem).to_owned();
    let config = path.with_file_name(CONFIG);
    let written = std::fs::read(config).ok().and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let Some(written) = written else {
        return Container { name: id.clone(), id, driver: "json-file".into(), ..Container::default() };
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let settings = &written["Config"];
    let host = std::fs::read(path.with_file_name("hostconfig.json")).unwrap_or_default();
    let host: serde_json::Value = serde_json::from_slice(&host).unwrap_or_default();
    let log = host["LogConfig"]["Config"].as_object().into_iter().flatten();
    let labels = settings["Labels"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
    Container {
        id: text(&written["ID"]),
        name: text(&written["Name"]).trim_start_matches('/').to_owned(),
        hostname: text(&settings["Hostname"]),
        image: text(&settings["Image"]),
        labels: labels.collect(),
        environment: settings["Env"].as_array().into_iter().flatten().map(text).collect(),
        tty: settings["Tty"].as_bool().unwrap_or_default(),
        driver: "json-file".into(),
        log_options: log.map(|(name, value)| (name.clone(), text(value))).collect(),
        ..Container::default()
    }
}

/// The container that the agent itself runs in, if its log is among those that match `pattern`.
pub(super) fn own(pattern: &str) -> Own {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let Some(id) = own_container(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")) else {
        return Own::default();
    };
    let logs = files::matching(pattern).unwrap_or_default();
    let log = logs.into_iter().find(|path| path.to_string_lossy().contains(&id));
    let labels = log.map(|path| described(&path).labels).unwrap_or_default();
    Own::new(Some(id), &labels)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::scratch::Folder;

    #[test]
    fn a_container_is_described_by_the_files_beside_its_log() {
        let folder = Folder::new("described");
        let log = folder.join("abc-json.log");
        assert_eq!(described(&log).name, "abc");
        let config = r#"{"ID":"abcdef","Name":"/web","Config":{"Image":"web:1","Env":["A=b"],"Labels":{"team":"shop"},"Tty":false}}"#;
        fs::write(folder.join("config.v2.json"), config).unwrap();
        let host = r#"{"LogConfig":{"Type":"json-file","Config":{"max-size":"1m","max-file":"3"}}}"#;
        fs::write(folder.join("hostconfig.json"), host).unwrap();
        let container = described(&log);
        assert_eq!(container.log_files(), Some(3));
        assert_eq!(
            (container.id.as_str(), container.name.as_str(), container.image.as_str()),
            ("abcdef", "web", "web:1")
        );
        assert_eq!(
            (container.variable("A"), container.labels.get("team").map(String::as_str)),
            (Some("b"), Some("shop"))
        );
    }
}
