//! Has Elasticsearch hold what an output needs, for `elkhound setup`: asks what is there, makes what is missing, and says of each thing what became of it.
//!
//! What is there already and is not elkhound's, or was made by a newer one, is kept unless it was asked to be overwritten. A node that lacks
//! something (policies, data streams) is told so, and all else is made.

use elasticsearch::http::Method;
use serde_json::Value;

use super::client::{Client, RequestError};
use super::managed::Product;
use super::outfit::{Kind, Order, Outfit, Thing, VERSION};
use super::verdict;
use crate::finding::{Finding, Grade};

/// Makes all that `outfit` names, and says what was done.
pub(super) async fn set_up(outfit: &Outfit, client: &Client, order: &Order) -> Vec<Finding> {
    let mut found = client.examine().await;
    if found.iter().all(|finding| finding.grade == Grade::Bad) {
        return found;
    }
    let product = match client.product().await {
        Ok(product) => product,
        Err(error) => return vec![refused("the version", &error)],
    };
    if outfit.is_stream() && !product.is_at_least(7, 9) {
        found.push(no_streams(outfit, product));
        return found;
    }
    let maker = Maker { client, order };
    let managed = match outfit.policy(product, order) {
        Some(policy) => maker.make(&policy, &mut found).await,
        None => {
            let pattern = outfit.pattern();
            found
                .push(Finding::good(format!("{pattern} needs no lifecycle policy: nothing is removed without --keep")));
            false
        }
    };
    maker.make(&outfit.template(product, managed), &mut found).await;
    if let Some(first) = outfit.first() {
        maker.make(&first, &mut found).await;
    }
    found
}

/// What is said of an output whose indices can have any name.
pub(super) fn nameless(written: &str) -> Finding {
    Finding::warning(
        format!("there is no index template for `{written}`: its names have no common beginning"),
        "begin the name with a word, as `logs-%{[service][name]}`, or install templates of your own",
    )
}

fn no_streams(outfit: &Outfit, product: Product) -> Finding {
    let (stream, Product { major, minor, .. }) = (outfit.pattern(), product);
    Finding::bad(
        format!("the data stream {stream} can't be made: Elasticsearch {major}.{minor} has none"),
        "name an index in the elasticsearch output, as `index => \"logs-%{+YYYY.MM.dd}\"`",
    )
}

struct Maker<'a> {
    client: &'a Client,
    order: &'a Order,
}

/// How what is there compares with what is to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Same,
    /// Ours, of this version or an older one, and made of something else.
    Outdated,
    /// Of an elkhound that is newer than this one.
    Newer,
    /// Not ours, or changed.
    Other,
}

impl Maker<'_> {
    /// Has the node hold `thing`; true when it does then, or would.
    async fn make(&self, thing: &Thing, found: &mut Vec<Finding>) -> bool {
        let what = format!("the {} {}", thing.kind.name(), thing.name);
        let finding = match self.client.ask(Method::Get, &thing.path, None).await {
            Ok(body) => {
                let there: Value = serde_json::from_slice(&body).unwrap_or_default();
                self.keep_or_replace(thing, &what, &there).await
            }
            Err(RequestError::Refused { status: 404, .. }) => self.put(thing, &what, "made", &thing.target).await,
            Err(error) if lacks(&error) => lacking(thing, &what),
            Err(error) => refused(&what, &error),
        };
        let holds = finding.grade == Grade::Good;
        found.push(finding);
        holds
    }

    async fn keep_or_replace(&self, thing: &Thing, what: &str, there: &Value) -> Finding {
        match state(thing, there) {
            State::Same => Finding::good(format!("kept {what}, which is as it should be")),
            State::Outdated => self.put(thing, what, "replaced", &thing.target).await,
            State::Newer | State::Other if self.order.overwrite => {
                self.put(thing, what, "replaced", &replacing(thing, there)).await
            }
            State::Newer => {
                Finding::good(format!("kept {what}, which a newer elkhound has made; --overwrite replaces it"))
            }
            State::Other => {
                Finding::good(format!("kept {what}, which is another than elkhound's; --overwrite replaces it"))
            }
        }
    }

    /// Puts the first body that the node takes.
    async fn put(&self, thing: &Thing, what: &str, done: &str, path: &str) -> Finding {
        if self.order.dry_run {
            return Finding::good(format!("{what} would be {done}:\n{}", shown(path, &thing.bodies[0])));
        }
        let mut first = None;
        for body in &thing.bodies {
            let body = Some(body).filter(|body| !body.is_null());
            let Err(error) = self.client.ask(Method::Put, path, body).await else {
                return Finding::good(format!("{done} {what}{}", without(first.as_ref())));
            };
            let by_body = matches!(error, RequestError::Refused { status: 400, .. });
            let error = first.get_or_insert(error);
            if !by_body || lacks(error) {
                break;
            }
        }
        match first {
            Some(error) if lacks(&error) => lacking(thing, what),
            Some(error) => refused(what, &error),
            None => Finding::good(format!("{done} {what}")),
        }
    }
}

/// What was left out for the node to take the rest.
fn without(refusal: Option<&RequestError>) -> &'static str {
    if refusal.is_some() { "; this node has no type for labels, so each label is a field" } else { "" }
}

/// A request as it would be sent.
fn shown(path: &str, body: &Value) -> String {
    let body = if body.is_null() { String::new() } else { format!("\n{body:#}") };
    format!("PUT /{path}{body}")
}

fn state(thing: &Thing, there: &Value) -> State {
    match thing.kind {
        // Theirs is a name and what is behind it.
        Kind::Stream | Kind::Alias => State::Same,
        Kind::Policy => {
            let ours = &thing.bodies[0]["policy"];
            let theirs = if there["policy"].is_object() { &there["policy"] } else { &there[&thing.name]["policy"] };
            if holds(theirs, ours) { State::Same } else { State::Other }
        }
        Kind::Template => {
            let Some(theirs) = mark(there) else { return State::Other };
            let fingerprints: Vec<_> =
                thing.bodies.iter().filter_map(|body| Some(&mark(body)?["fingerprint"])).collect();
            if fingerprints.contains(&&theirs["fingerprint"]) {
                State::Same
            } else if theirs["version"].as_u64().is_some_and(|version| version > VERSION) {
                State::Newer
            } else if fingerprints.is_empty() {
                State::Other
            } else {
                State::Outdated
            }
        }
    }
}

/// The mark of a template that elkhound has made, wherever this node keeps it.
fn mark(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("_meta").and_then(|meta| meta.get("elkhound"));
            own.or_else(|| fields.values().find_map(mark))
        }
        Value::Array(values) => values.iter().find_map(mark),
        _ => None,
    }
}

/// Whether `theirs` says all that `ours` does. Nodes add what they take for granted.
fn holds(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            // What removes documents must not be there beside it.
            let phases = theirs.contains_key("hot") && theirs.len() != ours.len();
            !phases && ours.iter().all(|(name, ours)| theirs.get(name).is_some_and(|theirs| holds(theirs, ours)))
        }
        (Value::Array(theirs), Value::Array(ours)) => {
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(theirs, ours)| holds(theirs, ours))
        }
        _ => theirs == ours,
    }
}

/// Where a thing is put that is there already: OpenSearch wants to be told which policy is replaced.
fn replacing(thing: &Thing, there: &Value) -> String {
    match (there["_seq_no"].as_u64(), there["_primary_term"].as_u64()) {
        (Some(number), Some(term)) if thing.kind == Kind::Policy => {
            format!("{}?if_seq_no={number}&if_primary_term={term}", thing.target)
        }
        _ => thing.target.clone(),
    }
}

/// Whether the node has no such thing at all: it takes the path for a name, or knows no way of answering it.
fn lacks(error: &RequestError) -> bool {
    match error {
        RequestError::Refused { status: 405, .. } => true,
        RequestError::Refused { status: 400, kind, reason, .. } => {
            kind == "invalid_index_name_exception" || reason.contains("no handler found")
        }
        _ => false,
    }
}

fn lacking(thing: &Thing, what: &str) -> Finding {
    match thing.kind {
        Kind::Policy => Finding::warning(
            format!("{what} can't be made: this node has no lifecycle policies"),
            "nothing is rolled over and nothing removed there; do it from outside, or use a distribution with ILM or ISM",
        ),
        Kind::Stream => Finding::good(format!("{what} is made with its first document: this node is not asked for it")),
        Kind::Template | Kind::Alias => Finding::bad(
            format!("{what} can't be made: this node has none"),
            "see that `hosts` is Elasticsearch 6 to 9 or OpenSearch, and not a proxy that lets only some requests through",
        ),
    }
}

fn refused(what: &str, error: &RequestError) -> Finding {
    let remedy = match error {
        RequestError::Unreachable { .. } => "see that it runs and can be reached from here",
        RequestError::Refused { status: 401 | 403, .. } => {
            "give the output's user `manage_index_templates`, `manage_ilm` and, on the indices, `manage`; or run setup as another user"
        }
        RequestError::Refused { status: 400, .. } => {
            "see the reason; another template may have the same patterns and priority"
        }
        RequestError::Refused { status, kind, .. } => verdict::remedy(*status, kind),
    };
    Finding::bad(format!("{what} can't be made: {error}"), remedy)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use elkhound_pipeline::template::Template as Name;
    use serde_json::json;

    use super::super::client::Connection;
    use super::super::fake::{Fake, Reply};
    use super::super::managed::Managed;
    use super::super::target::Target;
    use super::*;

    const REFUSED: &str = r#"{"error":{"type":"t","reason":"r"}}"#;
    const NO_HANDLER: &str = r#"{"error":"no handler found for uri [/x] and method [GET]"}"#;

    fn outfit() -> Outfit {
        Outfit::new(&Target::Index(Name::parse("logs-%{+YYYY}")), &Managed::default(), true).unwrap()
    }

    fn keeping() -> Order {
        Order { keep: Some("30d".into()), ..Order::default() }
    }

    /// What a node is asked to find out how it is.
    fn examines(request: &str) -> bool {
        ["_cluster/health", "_cat/allocation", "_nodes/stats"]
            .iter()
            .any(|path| request.starts_with(&format!("GET /{path}")))
    }

    /// Sets up on a node of this version that is well; what else it was asked, and what was said.
    async fn run(
        version: &str,
        order: &Order,
        script: impl FnMut(usize, &str) -> (u16, String) + Send + 'static,
    ) -> (Vec<String>, Vec<Finding>) {
        let (mut script, mut examined) = (script, 0);
        let fake = Fake::start_plain(version, move |number, request| {
            if examines(request) {
                examined += 1;
                return Reply::Whole(404, String::new());
            }
            let (status, body) = script(number - examined, request);
            Reply::Whole(status, body)
        })
        .await;
        let connection =
            Connection { hosts: vec![fake.url.clone()], timeout: Duration::from_secs(5), ..Connection::default() };
        let found = set_up(&outfit(), &Client::new(&connection).unwrap(), order).await;
        (fake.seen().into_iter().filter(|request| !examines(request)).collect(), found)
    }

    fn texts(found: &[Finding]) -> Vec<(Grade, &str)> {
        found[1..].iter().map(|finding| (finding.grade, finding.text.as_str())).collect()
    }

    #[tokio::test]
    async fn what_is_missing_is_made() {
        let (seen, found) =
            run("8.1.0", &keeping(), |_, request| (if request.starts_with("GET") { 404 } else { 200 }, REFUSED.into()))
                .await;
        let (policy, template) = ("/_ilm/policy/elkhound-logs", "/_index_template/elkhound-logs");
        let expected = ["GET", "PUT"].map(|method| format!("{method} {policy}"));
        assert_eq!(seen[..2], expected);
        assert_eq!(seen[2..], ["GET", "PUT"].map(|method| format!("{method} {template}")));
        let made = ["made the lifecycle policy elkhound-logs", "made the index template elkhound-logs"];
        assert_eq!(texts(&found), made.map(|text| (Grade::Good, text)));
    }

    #[tokio::test]
    async fn a_dry_run_sends_nothing_and_shows_what_would_be_sent() {
        let order = Order { dry_run: true, ..keeping() };
        let (seen, found) = run("8.1.0", &order, |_, _| (404, REFUSED.into())).await;
        assert!(seen.iter().all(|request| request.starts_with("GET")), "{seen:?}");
        assert!(found[1].text.contains("would be made:\nPUT /_ilm/policy/elkhound-logs\n{"), "{}", found[1].text);
        assert!(found[2].text.contains("\"index.lifecycle.name\": \"elkhound-logs\""), "{}", found[2].text);
    }

    #[tokio::test]
    async fn a_node_without_policies_is_told_so_and_the_template_is_made_without_one() {
        let (seen, found) = run("8.1.0", &keeping(), |_, request| match request {
            _ if request.contains("_ilm") => (400, NO_HANDLER.into()),
            _ if request.starts_with("GET") => (404, REFUSED.into()),
            _ => (200, String::new()),
        })
        .await;
        assert_eq!((found[1].grade, found[2].grade, seen.len()), (Grade::Warning, Grade::Good, 3));
        assert!(found[1].text.ends_with("this node has no lifecycle policies"), "{}", found[1].text);
    }

    #[tokio::test]
    async fn a_node_without_a_type_for_labels_gets_the_template_without_it() {
        let (seen, found) = run("7.10.2", &Order::default(), |number, request| match request {
            _ if request.starts_with("GET") => (404, REFUSED.into()),
            _ => (if number == 1 { 400 } else { 200 }, REFUSED.into()),
        })
        .await;
        assert_eq!((seen.len(), found[2].grade), (3, Grade::Good));
        assert!(found[2].text.contains("each label is a field"), "{}", found[2].text);
    }

    #[tokio::test]
    async fn a_refusal_is_told_with_its_reason_and_what_to_do() {
        let (_, found) = run("8.1.0", &Order::default(), |_, _| (403, REFUSED.into())).await;
        assert_eq!(found[2].grade, Grade::Bad);
        assert!(found[2].text.contains("status 403: r") && found[2].remedy.contains("manage_index_templates"));
    }

    #[test]
    fn a_template_is_known_by_its_mark_wherever_it_stands() {
        let es8 = Product { major: 8, minor: 0, opensearch: false };
        let thing = outfit().template(es8, false);
        let there = |body: &Value| json!({ "index_templates": [{ "index_template": body }] });
        assert_eq!(state(&thing, &there(&thing.bodies[0])), State::Same);
        assert_eq!(state(&thing, &there(&thing.bodies[1])), State::Same);
        assert_eq!(state(&thing, &there(&outfit().template(es8, true).bodies[0])), State::Outdated);
        let mut newer = thing.bodies[0].clone();
        newer["template"]["mappings"]["_meta"]["elkhound"] = json!({ "version": VERSION + 1, "fingerprint": "x" });
        assert_eq!(state(&thing, &there(&newer)), State::Newer);
        assert_eq!(state(&thing, &there(&json!({ "template": {} }))), State::Other);
    }

    #[test]
    fn a_policy_is_the_same_when_the_node_has_only_added_to_it() {
        let es8 = Product { major: 8, minor: 0, opensearch: false };
        let thing = outfit().policy(es8, &keeping()).unwrap();
        let there = |keep: &str, more: Value| {
            let delete = json!({ "min_age": keep, "actions": { "delete": { "delete_searchable_snapshot": true } } });
            let mut phases = json!({ "hot": { "min_age": "0ms", "actions": {} }, "delete": delete });
            if !more.is_null() {
                phases["warm"] = more;
            }
            json!({ "elkhound-logs": { "version": 3, "policy": { "phases": phases } } })
        };
        assert_eq!(state(&thing, &there("30d", Value::Null)), State::Same);
        assert_eq!(state(&thing, &there("60d", Value::Null)), State::Other);
        assert_eq!(state(&thing, &there("30d", json!({}))), State::Other);
    }

    #[test]
    fn a_policy_of_opensearch_is_replaced_by_its_number() {
        let os2 = Product { major: 2, minor: 19, opensearch: true };
        let thing = outfit().policy(os2, &keeping()).unwrap();
        let there = json!({ "_seq_no": 7, "_primary_term": 1, "policy": { "states": [] } });
        assert_eq!(state(&thing, &there), State::Other);
        assert_eq!(replacing(&thing, &there), "_plugins/_ism/policies/elkhound-logs?if_seq_no=7&if_primary_term=1");
    }
}
