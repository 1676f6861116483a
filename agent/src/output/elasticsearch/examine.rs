//! What `elkhound doctor` finds out about an output's indices: whether the user may write to them, and whether a template says what their fields are.
//!
//! Sources: Elasticsearch's "Has privileges API", which every user may ask of himself (OpenSearch has none), and "Get index template API". Where security is off, or a
//! user may not list templates, Elasticsearch refuses the question; that is no mistake, and nothing is said of it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::action::{Action, Choice};
use super::client::Client;
use super::managed::{Managed, Product};
use super::outfit::Outfit;
use crate::files;
use crate::finding::Finding;

/// How long one question may take. Somebody waits for the report; what is not answered by then is left out of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// An output's indices, and what it does there.
pub(super) struct Indices<'a> {
    /// What is to be there, with the pattern of the names.
    pub(super) outfit: &'a Outfit,
    /// What is done to documents.
    pub(super) action: &'a Choice,
    /// What the output installs when it starts.
    pub(super) managed: &'a Managed,
}

/// An answer to `_has_privileges`.
#[derive(Deserialize)]
struct Privileges {
    username: String,
    #[serde(default)]
    cluster: BTreeMap<String, bool>,
    #[serde(default)]
    index: BTreeMap<String, BTreeMap<String, bool>>,
}

/// An answer to `GET _index_template`.
#[derive(Deserialize)]
struct Composable {
    #[serde(default)]
    index_templates: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    index_template: Template,
}

/// A template, of whichever kind.
#[derive(Deserialize)]
struct Template {
    index_patterns: Vec<String>,
    /// There where it makes data streams.
    data_stream: Option<Value>,
}

/// All that is found about these indices; nothing of a cluster that does not say what it is.
pub(super) async fn examine(client: &Client, indices: &Indices<'_>) -> Vec<Finding> {
    let Ok(product) = client.product().await else { return Vec::new() };
    let mut found = Vec::new();
    if !product.opensearch {
        let path = if product.major < 7 { "_xpack/security" } else { "_security" };
        let path = format!("{path}/user/_has_privileges");
        let privileges: Option<Privileges> = told(client, Method::Post, &path, Some(&indices.needed(product))).await;
        found.extend(privileges.as_ref().map(of_privileges));
    }
    if let Some(names) = templates_for(client, product, indices).await {
        let is_there = indices.outfit.is_stream() && is_stream(client, &indices.outfit.pattern()).await;
        found.extend(indices.of_templates(&names, is_there));
    }
    found
}

impl Indices<'_> {
    /// The question whether the user has what the output needs.
    fn needed(&self, product: Product) -> Value {
        let is_new = product.is_at_least(7, 9);
        let write = match self.action {
            Choice::Always(Action::Create) if is_new => "create_doc",
            Choice::Always(Action::Create) => "create",
            Choice::Always(Action::Index | Action::Update) => "index",
            Choice::Always(Action::Delete) => "delete",
            Choice::ByEvent(_) => "write",
        };
        let make = if is_new { "auto_configure" } else { "create_index" };
        let installs = [
            self.managed.template.as_ref().map(|_| "manage_index_templates"),
            self.managed.lifecycle.as_ref().map(|_| "manage_ilm"),
        ];
        let cluster: Vec<&str> = [Some("monitor")].into_iter().chain(installs).flatten().collect();
        json!({ "cluster": cluster, "index": [{ "names": [self.outfit.pattern()], "privileges": [write, make] }] })
    }

    /// What it means that templates of these `names` are for the indices; `is_there` is whether their data stream is.
    fn of_templates(&self, names: &[String], is_there: bool) -> Option<Finding> {
        let pattern = self.outfit.pattern();
        if !names.is_empty() {
            return Some(Finding::good(format!("{pattern} has an index template: {}", names.join(", "))));
        }
        if is_there || self.managed.template.is_some() {
            return None;
        }
        Some(if self.outfit.is_stream() {
            Finding::bad(
                format!("no index template makes the data stream {pattern}, and all documents will be refused"),
                "run `elkhound setup` with the same pipeline file, or install a template with `data_stream`",
            )
        } else {
            Finding::warning(
                format!(
                    "{pattern} has no index template: what its fields are is guessed by the first document that has them, and others may be refused"
                ),
                "run `elkhound setup` with the same pipeline file, or install a template of your own",
            )
        })
    }
}

fn of_privileges(Privileges { username, cluster, index }: &Privileges) -> Finding {
    let cluster = cluster.iter().filter(|(_, has)| !**has).map(|(name, _)| format!("{name} on the cluster"));
    let on_index = |(names, privileges): (&String, &BTreeMap<String, bool>)| {
        let missing = privileges.iter().filter(|(_, has)| !**has);
        missing.map(|(name, _)| format!("{name} on {names}")).collect::<Vec<_>>()
    };
    let missing: Vec<String> = cluster.chain(index.iter().flat_map(on_index)).collect();
    if missing.is_empty() {
        let names: Vec<&str> = index.keys().map(String::as_str).collect();
        return Finding::good(format!("the user {username} may write to {}", names.join(", ")));
    }
    Finding::bad(
        format!("the user {username} lacks {}", missing.join(", ")),
        "add these privileges to a role of the user's, or of the API key's; until then documents are refused, or wait",
    )
}

/// The names of the templates that are for the indices; nothing where they can't be listed.
async fn templates_for(client: &Client, product: Product, indices: &Indices<'_>) -> Option<Vec<String>> {
    // Any name that the pattern matches will do.
    let (name, stream) = (indices.outfit.pattern().replace('*', "0"), indices.outfit.is_stream());
    let mut all: Vec<Named> = Vec::new();
    if product.is_at_least(7, 8) {
        let path = "_index_template?filter_path=index_templates.name,index_templates.index_template.index_patterns,index_templates.index_template.data_stream";
        all.extend(told::<Composable>(client, Method::Get, path, None).await?.index_templates);
    }
    let legacy: BTreeMap<String, Template> =
        told(client, Method::Get, "_template?filter_path=*.index_patterns", None).await?;
    all.extend(legacy.into_iter().map(|(name, index_template)| Named { name, index_template }));
    all.retain(|template| template.index_template.is_for(&name, stream));
    Some(all.into_iter().map(|template| template.name).collect())
}

impl Template {
    fn is_for(&self, name: &str, stream: bool) -> bool {
        // A pattern of everything is for settings such as the number of replicas.
        let says = |pattern: &String| pattern != "*" && files::glob(pattern.as_bytes(), name.as_bytes());
        (self.data_stream.is_some() || !stream) && self.index_patterns.iter().any(says)
    }
}

async fn is_stream(client: &Client, name: &str) -> bool {
    asked(client, Method::Get, &format!("_data_stream/{name}"), None).await.is_some()
}

async fn told<T: DeserializeOwned>(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Option<T> {
    serde_json::from_slice(&asked(client, method, path, body).await?).ok()
}

async fn asked(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Option<Bytes> {
    timeout(PATIENCE, client.ask(method, path, body)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::super::client::Connection;
    use super::super::fake::{Fake, Reply};
    use super::*;

    #[tokio::test]
    async fn a_node_that_answers_nothing_keeps_nobody_waiting() {
        let fake = Fake::start_plain("8.0.0", |_, _| Reply::Stall).await;
        let hour = Duration::from_secs(3600);
        let connection = Connection { hosts: vec![fake.url.clone()], timeout: hour, ..Connection::default() };
        let client = Client::new(&connection).unwrap();
        tokio::time::pause();
        let began = Instant::now();
        assert_eq!(asked(&client, Method::Get, "_template", None).await, None);
        assert!(began.elapsed() < 2 * PATIENCE, "{:?}", began.elapsed());
    }

    fn privileges(answer: &str) -> Finding {
        of_privileges(&serde_json::from_str(answer).unwrap())
    }

    #[test]
    fn what_a_user_lacks_is_named_with_its_place() {
        let answer = r#"{"username":"rig","has_all_requested":false,"cluster":{"monitor":true,"manage_ilm":false},
            "index":{"logs-*":{"create_doc":true,"auto_configure":false}},"application":{}}"#;
        let found = privileges(answer);
        assert_eq!(found.text, "the user rig lacks manage_ilm on the cluster, auto_configure on logs-*");
        let found = privileges(&answer.replace("false", "true"));
        assert_eq!(found, Finding::good("the user rig may write to logs-*"));
    }

    #[test]
    fn a_template_is_for_names_and_for_streams_only_where_it_makes_them() {
        let template = |text: &str| serde_json::from_str::<Template>(text).unwrap();
        let plain = template(r#"{"index_patterns":["a-*","logs-*"]}"#);
        let stream = template(r#"{"index_patterns":["logs-*"],"data_stream":{}}"#);
        let all = template(r#"{"index_patterns":["*"]}"#);
        let of = |template: &Template| [template.is_for("logs-0", false), template.is_for("logs-0", true)];
        assert_eq!([of(&plain), of(&stream), of(&all)], [[true, false], [true, true], [false, false]]);
        assert!(!plain.is_for("metrics-0", false));
    }
}
