//! What Kibana, or OpenSearch Dashboards, shows of documents: a data view, searches and dashboards, imported through its saved-objects API.
//!
//! The objects are the files of `deploy/kibana`, in the form of Kibana 7.0, which later ones and OpenSearch Dashboards bring up to date as they import them. Kibana 6
//! has another request and knows no references, so its objects are made of the same files. Each has an id of its own: a second import replaces the first.

use bytes::Bytes;
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use elasticsearch::http::{Method, Url};
use serde_json::{Value, json};

use super::client::{Client, Connection, RequestError};
use super::outfit::Order;
use crate::finding::Finding;

/// The data view, whose title is set to what the outputs write to.
const DATA_VIEW: &str = include_str!("../../../../deploy/kibana/data-view.ndjson");
/// All other objects, by file.
const OBJECTS: [&str; 3] = [
    include_str!("../../../../deploy/kibana/overview.ndjson"),
    include_str!("../../../../deploy/kibana/errors.ndjson"),
    include_str!("../../../../deploy/kibana/agents.ndjson"),
];
/// What no object holds.
const BOUNDARY: &str = "elkhound-7f3a9c51e2d84b06";

/// Imports all objects for indices of these patterns into the Kibana at `url`, with the login and the certificates of `connection`.
pub(crate) async fn import(url: &str, connection: &Connection, patterns: &[String], order: &Order) -> Vec<Finding> {
    match try_to(url, connection, patterns, order).await {
        Ok(found) => found,
        Err(finding) => vec![finding],
    }
}

async fn try_to(
    url: &str,
    connection: &Connection,
    patterns: &[String],
    order: &Order,
) -> Result<Vec<Finding>, Finding> {
    let base = address(url).ok_or_else(|| {
        Finding::bad(
            format!("--kibana: `{url}` is no address"),
            "write http://HOST:5601, and /s/NAME behind it for a space",
        )
    })?;
    let connection = Connection {
        hosts: vec![base],
        login: connection.login.clone(),
        identity: connection.identity.clone(),
        authorities: connection.authorities.clone(),
        fingerprints: connection.fingerprints.clone(),
        trust: connection.trust,
        timeout: connection.timeout,
        ..Connection::default()
    };
    let client =
        Client::new(&connection).map_err(|reason| Finding::bad(reason, "correct the setting that is named"))?;
    let version = version(&client).await.map_err(|error| refused(&error))?;
    let objects = objects(patterns);
    let request = match version {
        Some((6, minor)) => Request::for_kibana_6(&objects, minor),
        _ => Request::current(&objects),
    };
    let title = patterns.join(",");
    if order.dry_run {
        let text = format!(
            "{} objects would be imported for {title}:\nPOST /{}\n{}",
            objects.len(),
            request.path,
            request.shown
        );
        return Ok(vec![Finding::good(text)]);
    }
    let answer = client.ask_with(Method::Post, request.path, request.headers, Some(request.body)).await;
    let answer = answer.map_err(|error| refused(&error))?;
    let failed = failures(&serde_json::from_slice(&answer).unwrap_or_default());
    if failed.is_empty() {
        let count = objects.len();
        return Ok(vec![Finding::good(format!(
            "imported {count} objects into Kibana for {title}: data view, searches, dashboards"
        ))]);
    }
    let told = |failed: &String| {
        Finding::bad(
            format!("Kibana did not take {failed}"),
            "see the reason in Kibana's own log; its version may be too new",
        )
    };
    Ok(failed.iter().map(told).collect())
}

/// The address with a slash at its end, so that paths are joined below it.
fn address(url: &str) -> Option<Url> {
    let mut url = Url::parse(url).ok().filter(|url| url.has_host() && url.scheme().starts_with("http"))?;
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}

/// Kibana's version, as far as it says so; from 8 on it only does to those who are logged in.
async fn version(client: &Client) -> Result<Option<(u32, u32)>, RequestError> {
    let answer = client.ask(Method::Get, "api/status", None).await?;
    let status: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let mut numbers = status["version"]["number"].as_str().unwrap_or_default().split('.').map(str::parse);
    Ok(match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
        _ => None,
    })
}

/// All objects, the data view first.
fn objects(patterns: &[String]) -> Vec<Value> {
    let lines = DATA_VIEW.lines().chain(OBJECTS.iter().flat_map(|file| file.lines()));
    let mut objects: Vec<Value> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
    for view in objects.iter_mut().filter(|object| object["type"] == "index-pattern") {
        view["attributes"]["title"] = json!(patterns.join(","));
    }
    objects
}

struct Request {
    path: &'static str,
    headers: HeaderMap,
    body: Bytes,
    /// The body for people.
    shown: String,
}

impl Request {
    /// A file with one object a line, as a form sends it.
    fn current(objects: &[Value]) -> Self {
        let shown: String = objects.iter().map(|object| format!("{object}\n")).collect();
        let body = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"elkhound.ndjson\"\r\n\
             content-type: application/ndjson\r\n\r\n{shown}\r\n--{BOUNDARY}--\r\n"
        );
        let headers = headers(&format!("multipart/form-data; boundary={BOUNDARY}"));
        Self { path: "api/saved_objects/_import?overwrite=true", headers, body: body.into(), shown }
    }

    /// One JSON object with all of them.
    fn for_kibana_6(objects: &[Value], minor: u32) -> Self {
        let objects: Vec<Value> = objects.iter().map(|object| without_references(object, minor)).collect();
        let body = json!({ "version": format!("6.{minor}.0"), "objects": objects }).to_string();
        let headers = headers("application/json");
        Self { path: "api/kibana/dashboards/import?force=true", headers, shown: body.clone(), body: body.into() }
    }
}

/// Kibana and OpenSearch Dashboards each want a header that no form on a foreign page can send.
fn headers(content: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("kbn-xsrf"), HeaderValue::from_static("true"));
    headers.insert(HeaderName::from_static("osd-xsrf"), HeaderValue::from_static("true"));
    if let Ok(content) = HeaderValue::try_from(content) {
        headers.insert(CONTENT_TYPE, content);
    }
    headers
}

/// An object as Kibana 6 has it: ids stand where later ones have the name of a reference.
fn without_references(object: &Value, minor: u32) -> Value {
    let mut object = object.clone();
    let references = object["references"].take();
    let target = |name: &Value| {
        let all = references.as_array().into_iter().flatten();
        all.into_iter().find(|reference| reference["name"] == *name).cloned().unwrap_or_default()
    };
    if let Some(fields) = object.as_object_mut() {
        fields.remove("references");
        fields.remove("migrationVersion");
    }
    let attributes = &mut object["attributes"];
    rewrite(&mut attributes["kibanaSavedObjectMeta"]["searchSourceJSON"], |source| {
        if let Some(name) = source.as_object_mut().and_then(|source| source.remove("indexRefName")) {
            source["index"] = target(&name)["id"].clone();
        }
    });
    rewrite(&mut attributes["panelsJSON"], |panels| {
        for panel in panels.as_array_mut().into_iter().flatten() {
            let name = panel.as_object_mut().and_then(|panel| panel.remove("panelRefName")).unwrap_or_default();
            let target = target(&name);
            (panel["id"], panel["type"]) = (target["id"].clone(), target["type"].clone());
            panel["version"] = json!(format!("6.{minor}.0"));
            if minor < 3 {
                coarsen(&mut panel["gridData"]);
            }
        }
    });
    object
}

/// Before 6.3 a dashboard was 12 columns wide and a row five times as high.
fn coarsen(grid: &mut Value) {
    for (name, by) in [("x", 4), ("w", 4), ("y", 5), ("h", 5)] {
        grid[name] = json!(grid[name].as_u64().unwrap_or(0) / by);
    }
}

/// Changes what stands as JSON in a text.
fn rewrite(text: &mut Value, change: impl FnOnce(&mut Value)) {
    if let Some(mut inner) = text.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        change(&mut inner);
        *text = json!(inner.to_string());
    }
}

/// The objects that were not taken, each with the reason, of either kind of answer.
fn failures(answer: &Value) -> Vec<String> {
    let listed = answer["errors"].as_array().or_else(|| answer["objects"].as_array());
    let failed = listed.into_iter().flatten().filter(|object| !object["error"].is_null());
    let told = |object: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error = &object["error"];
        let reason = if error["message"].is_string() { text(&error["message"]) } else { text(&error["type"]) };
        format!("the {} {}: {reason}", text(&object["type"]), text(&object["id"]))
    };
    let mut failures: Vec<String> = failed.map(told).collect();
    if failures.is_empty() && answer["success"] != json!(true) && !answer["objects"].is_array() {
        failures.push(format!("the objects: it answered {answer}"));
    }
    failures
}

fn refused(error: &RequestError) -> Finding {
    let remedy = match error {
        RequestError::Unreachable { .. } => {
            "see that Kibana runs, that its name can be looked up from here, and that --kibana has the right port"
        }
        RequestError::Refused { status: 401 | 403, .. } => {
            "the output's user logs in there, too; give it a role with all rights on saved objects, or put user:password@ into --kibana"
        }
        RequestError::Refused { status: 404, .. } => {
            "see that --kibana has the path that Kibana is served under (server.basePath)"
        }
        RequestError::Refused { status: 503, .. } => "wait until Kibana has started, and run it again",
        RequestError::Refused { .. } => "see the reason",
    };
    Finding::bad(format!("Kibana: {error}"), remedy)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::super::fake::{Fake, Reply};
    use super::*;
    use crate::finding::Grade;

    /// Imports into a Kibana that says it is of this version and answers so; the bodies that it was sent, and what was said.
    async fn imported(version: &str, answer: (u16, &str), order: Order) -> (Vec<String>, Vec<String>, Vec<Finding>) {
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (seen, status) = (Arc::clone(&bodies), format!(r#"{{"version":{{"number":"{version}"}}}}"#));
        let (code, text) = (answer.0, answer.1.to_owned());
        let fake = Fake::scripted("unused", move |_, head, body| {
            let request = head.split(' ').take(2).collect::<Vec<_>>().join(" ");
            if request == "GET /base/api/status" {
                return (request, Reply::Whole(200, status.clone()));
            }
            seen.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
            (request, Reply::Whole(code, text.clone()))
        })
        .await;
        let connection = Connection { timeout: Duration::from_secs(5), ..Connection::default() };
        let patterns = ["logs-*".to_owned(), "web-*".to_owned()];
        let found = import(&format!("{}base", fake.url), &connection, &patterns, &order).await;
        let bodies = bodies.lock().unwrap().clone();
        (fake.seen(), bodies, found)
    }

    #[tokio::test]
    async fn all_objects_are_imported_as_a_file() {
        let (seen, bodies, found) =
            imported("8.19.0", (200, r#"{"success":true,"successCount":9}"#), Order::default()).await;
        assert_eq!(seen[1], "POST /base/api/saved_objects/_import?overwrite=true");
        let file = bodies[0].split("\r\n\r\n").nth(1).unwrap().split("\r\n").next().unwrap();
        let objects: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects[0]["attributes"]["title"], "logs-*,web-*");
        assert!(objects.iter().all(|object| object["id"].as_str().unwrap().starts_with("elkhound-")));
        assert_eq!(found.len(), 1);
        assert!(found[0].grade == Grade::Good && found[0].text.contains("logs-*,web-*"), "{found:?}");
    }

    #[tokio::test]
    async fn kibana_6_gets_ids_where_later_ones_have_references() {
        let (seen, bodies, found) = imported("6.1.4", (200, r#"{"objects":[{"id":"a"}]}"#), Order::default()).await;
        assert_eq!(
            (seen[1].as_str(), found[0].grade),
            ("POST /base/api/kibana/dashboards/import?force=true", Grade::Good)
        );
        let body: Value = serde_json::from_str(&bodies[0]).unwrap();
        assert!(!bodies[0].contains("RefName") && !bodies[0].contains("references"), "{}", bodies[0]);
        let dashboards = body["objects"].as_array().unwrap().iter().filter(|object| object["type"] == "dashboard");
        for dashboard in dashboards {
            let panels: Vec<Value> =
                serde_json::from_str(dashboard["attributes"]["panelsJSON"].as_str().unwrap()).unwrap();
            assert!(panels.iter().all(|panel| panel["id"].as_str().unwrap().starts_with("elkhound-")));
            let right =
                |panel: &Value| panel["gridData"]["x"].as_u64().unwrap() + panel["gridData"]["w"].as_u64().unwrap();
            assert_eq!(panels.iter().map(right).max(), Some(12), "{dashboard}");
        }
    }

    #[tokio::test]
    async fn an_object_that_is_not_taken_is_told_with_its_reason() {
        let answer = r#"{"success":false,"errors":[{"id":"a","type":"search","error":{"type":"missing_references"}}]}"#;
        let (_, _, found) = imported("9.0.0", (200, answer), Order::default()).await;
        assert_eq!(
            (found[0].grade, found[0].text.as_str()),
            (Grade::Bad, "Kibana did not take the search a: missing_references")
        );
        let (_, _, found) = imported("9.0.0", (403, "{}"), Order::default()).await;
        assert!(found[0].text.contains("status 403") && found[0].remedy.contains("saved objects"), "{found:?}");
        let (_, _, found) = imported("9.0.0", (200, "<html>"), Order::default()).await;
        assert_eq!(found[0].grade, Grade::Bad);
    }

    #[tokio::test]
    async fn a_dry_run_imports_nothing() {
        let order = Order { dry_run: true, ..Order::default() };
        let (seen, _, found) = imported("8.19.0", (500, ""), order).await;
        assert_eq!(seen, ["GET /base/api/status"]);
        assert!(found[0].text.contains("POST /api/saved_objects/_import?overwrite=true\n{"), "{}", found[0].text);
    }

    #[tokio::test]
    async fn a_word_that_is_no_address_is_told() {
        let found = import("kibana", &Connection::default(), &[], &Order::default()).await;
        assert_eq!(found[0].text, "--kibana: `kibana` is no address");
    }
}
