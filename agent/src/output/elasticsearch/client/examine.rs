//! What `elkhound doctor` finds out about a host: who answers, whether the cluster takes documents, how full its disks are, and what time it is there.
//!
//! A user who may only write documents is refused what lies behind the first question; that is no mistake, and nothing is said of it.

use std::collections::BTreeMap;
use std::time::Duration;

use elasticsearch::http::Method;
use elasticsearch::http::headers::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Host, RequestError, Root};
use crate::amounts::lasting;
use crate::clock;
use crate::finding::Finding;

/// How long an answer may take when somebody waits for it before a terminal.
const LIMIT: Duration = Duration::from_secs(5);

/// In percent of a disk: `cluster.routing.allocation.disk.watermark.high` where nobody has set it.
const FULL: u8 = 90;

/// In milliseconds: clocks that are apart by more have lines appear where nobody looks for them.
const APART: i64 = 30_000;

/// An answer to `GET _cluster/health`.
#[derive(Deserialize)]
struct Health {
    status: String,
}

/// A row of `GET _cat/allocation`. The row of shards without a place has no disk.
#[derive(Deserialize)]
struct Disk {
    node: String,
    #[serde(rename = "disk.percent")]
    percent: Option<String>,
}

/// An answer to `GET _nodes/stats/os`.
#[derive(Deserialize)]
struct Nodes {
    nodes: BTreeMap<String, Node>,
}

#[derive(Deserialize)]
struct Node {
    name: String,
    /// Its time, in milliseconds since 1970.
    timestamp: i64,
}

impl Host {
    pub(super) async fn examine(&self) -> Vec<Finding> {
        let (url, who) = (&self.url, self.who().await);
        let mut found = vec![who];
        if let Some(Health { status }) = self.told("_cluster/health?filter_path=status").await {
            found.extend(of_status(url.as_str(), &status));
        }
        let disks: Option<Vec<Disk>> = self.told("_cat/allocation?format=json&h=node,disk.percent").await;
        found.extend(disks.iter().flatten().filter_map(of_disk));
        if let Some(Nodes { nodes }) = self.told("_nodes/stats/os?filter_path=nodes.*.name,nodes.*.timestamp").await {
            let now = clock::now().millis();
            found.extend(nodes.values().filter_map(|node| of_clock(node, now)));
        }
        found
    }

    async fn who(&self) -> Finding {
        let url = &self.url;
        match self.send(Method::Get, "", HeaderMap::new(), &[], None, LIMIT).await {
            Ok(body) => match serde_json::from_slice::<Root>(&body) {
                Ok(Root { version }) if !version.number.is_empty() => {
                    let name = if version.distribution.is_empty() { "Elasticsearch" } else { &version.distribution };
                    Finding::good(format!("{url} is {name} {}", version.number))
                }
                _ => Finding::bad(format!("{url} answers, but not as Elasticsearch does"), "correct `hosts`"),
            },
            Err(error @ RequestError::Refused { status: 401 | 403, .. }) => Finding::bad(
                error.to_string(),
                "correct user and password, or api_key; the user needs `monitor` on the cluster, and `create_doc` and `auto_configure` on its indices",
            ),
            Err(error) => Finding::bad(
                error.to_string(),
                "see that it runs, that its name can be looked up from here, and that `hosts` has the right scheme and port",
            ),
        }
    }

    async fn told<T: DeserializeOwned>(&self, path: &str) -> Option<T> {
        let body = self.send(Method::Get, path, HeaderMap::new(), &[], None, LIMIT).await.ok()?;
        serde_json::from_slice(&body).ok()
    }
}

/// Yellow is no trouble: documents are taken, and a single node can't hold replicas.
fn of_status(url: &str, status: &str) -> Option<Finding> {
    (status == "red").then(|| {
        Finding::warning(
            format!("the cluster at {url} is red: some of its indices take no documents"),
            "ask GET _cluster/allocation/explain for the reason; documents for these indices wait until they are mended",
        )
    })
}

fn of_clock(node: &Node, now: i64) -> Option<Finding> {
    let apart = node.timestamp - now;
    (apart.abs() > APART).then(|| {
        let (apart, side) = (lasting(apart.unsigned_abs() as f64 / 1e3), if apart > 0 { "ahead of" } else { "behind" });
        Finding::warning(
            format!("the clock of the node {} is {apart} {side} this host's", node.name),
            "set both by NTP: until then lines stand at other times in Kibana than they were written",
        )
    })
}

fn of_disk(disk: &Disk) -> Option<Finding> {
    let percent: u8 = disk.percent.as_ref()?.parse().ok()?;
    (percent >= FULL).then(|| {
        Finding::warning(
            format!("the disk of the node {} is {percent} percent full", disk.node),
            "make room: unless its watermarks are set otherwise, a node takes no new index at 90 percent, and blocks all that it has at 95",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_red_cluster_is_told() {
        assert_eq!((of_status("u", "green"), of_status("u", "yellow")), (None, None));
        assert!(of_status("http://es/", "red").unwrap().text.contains("http://es/ is red"));
    }

    #[test]
    fn clocks_that_are_apart_are_told() {
        let answer = r#"{"nodes":{"x":{"name":"a","timestamp":100000},"y":{"name":"b","timestamp":130001}}}"#;
        let Nodes { nodes } = serde_json::from_str(answer).unwrap();
        let told = |now| nodes.values().filter_map(|node| of_clock(node, now)).map(|one| one.text).collect::<Vec<_>>();
        assert_eq!(told(100_000), ["the clock of the node b is 30.0 s ahead of this host's"]);
        assert_eq!(told(130_001), ["the clock of the node a is 30.0 s behind this host's"]);
        assert!(told(120_000).is_empty());
    }

    #[test]
    fn full_disks_are_told_by_their_nodes() {
        let rows = r#"[{"node":"a","disk.percent":"89"},{"node":"b","disk.percent":"90"},{"node":"UNASSIGNED","disk.percent":null}]"#;
        let disks: Vec<Disk> = serde_json::from_str(rows).unwrap();
        let found: Vec<String> = disks.iter().filter_map(of_disk).map(|finding| finding.text).collect();
        assert_eq!(found, ["the disk of the node b is 90 percent full"]);
    }
}
