//! What `elkhound doctor` finds out about a host: who answers, whether the cluster takes documents, and how full its disks are.
//!
//! A user who may only write documents is refused what lies behind the first question; that is no mistake, and nothing is said of it.

use std::time::Duration;

use elasticsearch::http::Method;
use elasticsearch::http::headers::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Host, RequestError, Root};
use crate::finding::Finding;

/// How long an answer may take when somebody waits for it before a terminal.
const LIMIT: Duration = Duration::from_secs(5);

/// In percent of a disk: `cluster.routing.allocation.disk.watermark.high` where nobody has set it.
const FULL: u8 = 90;

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

impl Host {
    pub(super) async fn examine(&self) -> Vec<Finding> {
        let (url, who) = (&self.url, self.who().await);
        let mut found = vec![who];
        if let Some(Health { status }) = self.told("_cluster/health?filter_path=status").await {
            found.extend(of_status(url.as_str(), &status));
        }
        let disks: Option<Vec<Disk>> = self.told("_cat/allocation?format=json&h=node,disk.percent").await;
        found.extend(disks.iter().flatten().filter_map(of_disk));
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
    fn full_disks_are_told_by_their_nodes() {
        let rows = r#"[{"node":"a","disk.percent":"89"},{"node":"b","disk.percent":"90"},{"node":"UNASSIGNED","disk.percent":null}]"#;
        let disks: Vec<Disk> = serde_json::from_str(rows).unwrap();
        let found: Vec<String> = disks.iter().filter_map(of_disk).map(|finding| finding.text).collect();
        assert_eq!(found, ["the disk of the node b is 90 percent full"]);
    }
}
