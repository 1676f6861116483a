//! The objects of `deploy/kibana`: their form, as Kibana documents it, and the queries behind them, run on a real node.
//!
//! No Kibana can be run where these tests run. So each object is held against what Kibana 7.0 writes, and each panel's query is put together as Kibana does:
//! the panel's own query, the time range, and its aggregations one in the other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::harness::{Elasticsearch, repository};

const FILES: [&str; 4] = ["data-view", "overview", "errors", "agents"];
/// What stands for documents without the field.
const MISSING: &str = "__missing__";

/// All objects of all files, in the order in which they are imported.
fn objects() -> Vec<Value> {
    let text = |file: &&str| std::fs::read_to_string(repository(&format!("deploy/kibana/{file}.ndjson"))).unwrap();
    let all: String = FILES.iter().map(text).collect();
    all.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What stands as JSON in a text of an object.
fn inner(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap_or_else(|| panic!("{value} is no text"))).unwrap()
}

fn source(object: &Value) -> Value {
    inner(&object["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Fails unless every panel and every search of the dashboards finds something in the last day of these indices.
pub(crate) fn find_data(node: &Elasticsearch, indices: &str, version: &str) {
    let asked = objects().into_iter().filter(|object| object["type"] == "visualization" || object["type"] == "search");
    let mut count = 0;
    for object in asked {
        let title = object["attributes"]["title"].as_str().unwrap();
        let aggregations = aggregations(&object, version);
        let answer = node.expect("POST", &format!("{indices}/_search"), Some(&request(&object, &aggregations)));
        let total = &answer["hits"]["total"];
        let found = total.as_u64().or_else(|| total["value"].as_u64()).unwrap();
        assert!(found > 0, "{version}: nothing for {title}: {answer}");
        if object["type"] == "search" {
            columns(&object, &answer);
        } else {
            let buckets = inner(&object["attributes"]["visState"])["aggs"].clone();
            holds_data(&answer["aggregations"], list(&buckets), title);
        }
        count += 1;
    }
    assert_eq!(count, 17, "an object more or less");
}

fn request(object: &Value, aggregations: &Value) -> Value {
    let written = source(object)["query"]["query"].as_str().unwrap().to_owned();
    let query = if written.is_empty() {
        json!({ "match_all": {} })
    } else {
        json!({ "query_string": { "query": written, "analyze_wildcard": true } })
    };
    let range = json!({ "range": { "@timestamp": { "gte": "now-24h", "lte": "now" } } });
    let mut request = json!({ "query": { "bool": { "must": [query], "filter": [range] } } });
    match object["attributes"]["sort"].as_array() {
        Some(sort) => request["sort"] = json!([{ sort[0].as_str().unwrap(): { "order": sort[1] } }]),
        None => (request["size"], request["aggs"]) = (json!(0), aggregations.clone()),
    }
    request
}

/// The aggregations of a panel: each bucket in the one before it, the figures in the innermost.
fn aggregations(object: &Value, version: &str) -> Value {
    if object["type"] == "search" {
        return Value::Null;
    }
    let state = inner(&object["attributes"]["visState"]);
    let is_metric = |agg: &&Value| agg["schema"] == "metric";
    let figures = list(&state["aggs"]).iter().filter(is_metric).filter_map(figure);
    let innermost: Map<String, Value> = figures.collect();
    let buckets = list(&state["aggs"]).iter().filter(|agg| !is_metric(agg)).rev();
    buckets.fold(Value::Object(innermost), |inner, agg| {
        let mut bucket = bucket(agg, version);
        if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
            bucket["aggs"] = inner;
        }
        json!({ agg["id"].as_str().unwrap(): bucket })
    })
}

fn figure(agg: &Value) -> Option<(String, Value)> {
    let kind = agg["type"].as_str().unwrap();
    let figure = json!({ kind: { "field": agg["params"]["field"] } });
    (kind != "count").then(|| (agg["id"].as_str().unwrap().to_owned(), figure))
}

fn bucket(agg: &Value, version: &str) -> Value {
    let parameters = &agg["params"];
    match agg["type"].as_str().unwrap() {
        "date_histogram" => {
            // Renamed in 7.2; 6 knows the old name only.
            let interval = if version == "6" { "interval" } else { "fixed_interval" };
            json!({ "date_histogram": { "field": parameters["field"], interval: "1h", "min_doc_count": 1 } })
        }
        "terms" => {
            let mut terms = json!({ "field": parameters["field"], "size": parameters["size"] });
            if parameters["missingBucket"] == true {
                terms["missing"] = json!(MISSING);
            }
            json!({ "terms": terms })
        }
        other => panic!("no panel has buckets of the kind {other}"),
    }
}

/// Fails unless each bucket aggregation has a bucket of its own and each figure a value.
fn holds_data(answer: &Value, aggs: &[Value], title: &str) {
    let mut level = vec![answer.clone()];
    for agg in aggs.iter().filter(|agg| agg["schema"] != "metric") {
        let id = agg["id"].as_str().unwrap();
        level = level.iter().flat_map(|answer| list(&answer[id]["buckets"])).cloned().collect();
        let named = level.iter().any(|bucket| bucket["key"] != MISSING);
        assert!(named, "{title}: no bucket for {}: {answer}", agg["params"]["field"]);
    }
    for agg in aggs.iter().filter(|agg| agg["schema"] == "metric" && agg["type"] != "count") {
        let id = agg["id"].as_str().unwrap();
        let some = level.iter().any(|answer| answer[id]["value"].as_f64().is_some_and(|value| value > 0.0));
        assert!(some, "{title}: no value for {}: {answer}", agg["params"]["field"]);
    }
}

/// Fails unless each column of a search has a value in one of the hits.
fn columns(object: &Value, answer: &Value) {
    for column in list(&object["attributes"]["columns"]) {
        let path = format!("/{}", column.as_str().unwrap().replace('.', "/"));
        let has = |hit: &Value| hit["_source"].pointer(&path).is_some();
        assert!(list(&answer["hits"]["hits"]).iter().any(has), "{}: no {column}", object["attributes"]["title"]);
    }
}

#[test]
fn every_object_has_the_form_that_kibana_documents() {
    let all = objects();
    let ids: BTreeSet<&str> = all.iter().map(|object| object["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), all.len(), "an id is there twice");
    let types: BTreeMap<&str, &str> =
        all.iter().map(|object| (object["id"].as_str().unwrap(), object["type"].as_str().unwrap())).collect();
    for object in &all {
        let (id, kind) = (object["id"].as_str().unwrap(), object["type"].as_str().unwrap());
        assert!(id.starts_with("elkhound-"), "{id}");
        // A version of Kibana 7.0 at most: an older one refuses what is newer than itself.
        let form = object["migrationVersion"][kind].as_str().unwrap();
        assert!(["6.5.0", "7.0.0"].contains(&form), "{id}: {form}");
        for reference in list(&object["references"]) {
            let target = reference["id"].as_str().unwrap();
            assert_eq!(types.get(target), Some(&reference["type"].as_str().unwrap()), "{id}: {target}");
        }
        assert_eq!(names(object), names_used(object), "{id}: references");
        match kind {
            "index-pattern" => assert_eq!(object["attributes"]["timeFieldName"], "@timestamp"),
            "visualization" => visualization(object),
            "search" => assert_eq!(list(&object["attributes"]["sort"]).len(), 2, "{id}"),
            "dashboard" => dashboard(object),
            other => panic!("{id}: no object is a {other}"),
        }
    }
}

fn names(object: &Value) -> BTreeSet<String> {
    list(&object["references"]).iter().map(|reference| reference["name"].as_str().unwrap().to_owned()).collect()
}

/// The names of references that the object's texts have.
fn names_used(object: &Value) -> BTreeSet<String> {
    if object["type"] == "index-pattern" {
        return BTreeSet::new();
    }
    let mut used: Vec<Value> = vec![source(object)["indexRefName"].clone()];
    if object["type"] == "dashboard" {
        let panels = inner(&object["attributes"]["panelsJSON"]);
        used.extend(list(&panels).iter().map(|panel| panel["panelRefName"].clone()));
    }
    used.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn visualization(object: &Value) {
    let (id, attributes) = (&object["id"], &object["attributes"]);
    let state = inner(&attributes["visState"]);
    assert_eq!(state["title"], attributes["title"], "{id}");
    assert_eq!(state["type"], state["params"].get("type").unwrap_or(&json!("table")).clone(), "{id}");
    inner(&attributes["uiStateJSON"]);
    let mut ids = BTreeSet::new();
    for agg in list(&state["aggs"]) {
        assert!(ids.insert(agg["id"].as_str().unwrap().to_owned()), "{id}: {agg}");
        assert!(agg["enabled"] == true && agg["params"].is_object(), "{id}: {agg}");
        let schemas: &[&str] = if ["count", "max", "sum", "cardinality"].contains(&agg["type"].as_str().unwrap()) {
            &["metric"]
        } else {
            &["segment", "group", "bucket"]
        };
        assert!(schemas.contains(&agg["schema"].as_str().unwrap()), "{id}: {agg}");
        if agg["type"] == "terms" {
            assert!(ids.contains(agg["params"]["orderBy"].as_str().unwrap()), "{id}: sorted by nothing: {agg}");
        }
    }
}

/// Panels lie within the 48 columns, none on another, and all of them can be put on the grid of Kibana 6.1, which is 12 wide.
fn dashboard(object: &Value) {
    let id = &object["id"];
    let (mut taken, panels) = (BTreeSet::new(), inner(&object["attributes"]["panelsJSON"]));
    for panel in list(&panels) {
        let grid = &panel["gridData"];
        let at = |name: &str| grid[name].as_u64().unwrap();
        assert_eq!(grid["i"], panel["panelIndex"], "{id}");
        assert!(at("x") + at("w") <= 48 && at("w") > 0 && at("h") > 0, "{id}: {panel}");
        assert!(
            [at("x"), at("w")].iter().all(|n| n % 4 == 0) && [at("y"), at("h")].iter().all(|n| n % 5 == 0),
            "{id}: {panel}"
        );
        for cell in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{id}: two panels at {cell:?}");
        }
    }
    assert!(inner(&object["attributes"]["optionsJSON"])["useMargins"].is_boolean());
    assert!(object["attributes"]["timeFrom"].is_string() && object["attributes"]["timeRestore"] == true, "{id}");
}
