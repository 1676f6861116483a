//! A real Elasticsearch node: the shared one of the rig, or one of the test's own that may be stopped, killed and paused.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{eventually, from_rig, output_of, rig_path, run, signal};

/// How many documents one answer of a scroll carries.
const PAGE: usize = 10_000;

/// A node, and how to ask it.
pub(crate) struct Elasticsearch {
    url: String,
    own: Option<PathBuf>,
    version: String,
    /// What curl needs to be let in.
    login: &'static [&'static str],
}

/// What is compared of a document: where it came from and what it says. Its `_id` is kept for the message when it is doubled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Document {
    pub(crate) container: String,
    pub(crate) message: String,
    pub(crate) id: String,
}

impl Elasticsearch {
    /// The node all tests share: never stopped, never reconfigured.
    pub(crate) fn shared() -> Self {
        Self { url: from_rig("ELASTICSEARCH_URL"), own: None, version: String::new(), login: &[] }
    }

    /// The same node for somebody else, who may not start, stop or freeze it.
    pub(crate) fn guest(&self) -> Self {
        Self { url: self.url.clone(), own: None, version: self.version.clone(), login: self.login }
    }

    /// A node of its own, with further settings (`name=value`); gone when dropped.
    pub(crate) fn own(name: &str, settings: &[&str]) -> Self {
        let version = std::env::var("ELASTICSEARCH_VERSION").unwrap_or_else(|_| "8".to_owned());
        Self::launch(name, version, &[], settings)
    }

    /// A node of its own of another version, as `es-node` calls them.
    pub(crate) fn of_version(name: &str, version: &str) -> Self {
        Self::launch(name, version.to_owned(), &[], &[])
    }

    /// A node of its own with TLS and the user `rig`, password `rig-password`.
    pub(crate) fn secured(name: &str) -> Self {
        Self::launch(name, "8s".to_owned(), &["--user", "rig:rig-password"], &[])
    }

    fn launch(name: &str, version: String, login: &'static [&'static str], settings: &[&str]) -> Self {
        let folder = PathBuf::from(from_rig("RIG_NODES")).join(name);
        let mut node = Self { url: String::new(), own: Some(folder), version, login };
        node.start(settings);
        node
    }

    /// The certificate of a secured node.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder().join("config/node.crt")
    }

    /// Its address, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Starts an own node, again too: then at the same address and with the same data.
    pub(crate) fn start(&mut self, settings: &[&str]) {
        self.url = output_of(es_node("start").arg(&self.version).arg("0").arg(self.folder()).args(settings));
    }

    /// Stops an own node in good order.
    pub(crate) fn stop(&self) {
        output_of(es_node("stop").arg(self.folder()));
    }

    /// Ends an own node with SIGKILL.
    pub(crate) fn kill(&self) {
        signal(self.pid(), "KILL");
        self.stop();
    }

    /// Freezes an own node: its port still takes connections, but nothing answers.
    pub(crate) fn pause(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets a frozen node go on.
    pub(crate) fn resume(&self) {
        signal(self.pid(), "CONT");
    }

    /// How many documents of these indices can be searched now; 0 while there are none or the node is away.
    pub(crate) fn count(&self, indices: &str) -> u64 {
        self.count_by(indices, None)
    }

    /// The same for the documents of one container.
    pub(crate) fn count_of(&self, indices: &str, container: &str) -> u64 {
        self.count_by(indices, Some(&json!({ "query": { "match_phrase": { "container.name": container } } })))
    }

    fn count_by(&self, indices: &str, query: Option<&Value>) -> u64 {
        let _ = self.request("POST", &format!("{indices}/_refresh"), None);
        let answer = self.request("POST", &format!("{indices}/_count"), query);
        answer.ok().and_then(|answer| answer["count"].as_u64()).unwrap_or(0)
    }

    /// Every document of these indices, in no order.
    pub(crate) fn documents(&self, indices: &str) -> Vec<Document> {
        self.sources(indices).iter().map(document).collect()
    }

    /// Every hit of these indices as it stands in an answer, with `_id`, `_index` and `_source`.
    pub(crate) fn sources(&self, indices: &str) -> Vec<Value> {
        self.expect("POST", &format!("{indices}/_refresh"), None);
        let first = json!({ "size": PAGE, "sort": ["_doc"] });
        let mut answer = self.expect("POST", &format!("{indices}/_search?scroll=2m"), Some(&first));
        let mut all = Vec::new();
        while let Some(page) = answer["hits"]["hits"].as_array().filter(|page| !page.is_empty()) {
            all.extend(page.iter().cloned());
            let next = json!({ "scroll": "2m", "scroll_id": answer["_scroll_id"] });
            answer = self.expect("POST", "_search/scroll", Some(&next));
        }
        self.expect("DELETE", "_search/scroll", Some(&json!({ "scroll_id": answer["_scroll_id"] })));
        all
    }

    /// Removes the indices whose names begin so.
    pub(crate) fn remove(&self, prefix: &str) {
        let listed = self.request("GET", &format!("_cat/indices/{prefix}*?format=json&h=index"), None);
        for row in listed.ok().and_then(|rows| rows.as_array().cloned()).unwrap_or_default() {
            let _ = self.request("DELETE", row["index"].as_str().unwrap_or_default(), None);
        }
    }

    /// Changes a setting of the cluster while it runs.
    pub(crate) fn set(&self, setting: &str, value: &str) {
        self.expect("PUT", "_cluster/settings", Some(&json!({ "transient": { setting: value } })));
    }

    /// Creates an index with these properties in its mapping.
    pub(crate) fn create_index(&self, index: &str, properties: &Value) {
        self.expect("PUT", index, Some(&json!({ "mappings": { "properties": properties } })));
    }

    pub(crate) fn expect(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        eventually(&format!("{method} {path}"), Duration::from_secs(30), || self.request(method, path, body))
    }

    /// One request by curl, which is on every machine that has the rig.
    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--noproxy", "*", "--max-time", "60"])
            .args(self.login)
            .args(["--insecure", "--header", "content-type: application/json", "--request", method])
            .arg(format!("{}/{path}", self.url));
        if let Some(body) = body {
            curl.arg("--data").arg(body.to_string());
        }
        let output = run(&mut curl);
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("{text} {}", String::from_utf8_lossy(&output.stderr)));
        }
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }

    fn folder(&self) -> &PathBuf {
        self.own.as_ref().expect("only a node of the test's own is started and stopped")
    }

    fn pid(&self) -> u32 {
        let text = std::fs::read_to_string(self.folder().join("node.pid")).unwrap();
        text.trim().parse().unwrap()
    }
}

impl Drop for Elasticsearch {
    fn drop(&mut self) {
        if let Some(folder) = &self.own {
            let _ = run(es_node("stop").arg(folder));
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn document(hit: &Value) -> Document {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Document {
        container: text(&hit["_source"]["container"]["name"]),
        message: text(&hit["_source"]["message"]),
        id: text(&hit["_id"]),
    }
}

fn es_node(verb: &str) -> Command {
    let mut command = Command::new(rig_path("elasticsearch/es-node"));
    command.arg(verb);
    command
}
