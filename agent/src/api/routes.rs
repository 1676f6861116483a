//! Where events go, as Logspout lists its routes: an entry for each output of each pipeline.
//!
//! They can be looked at and not changed: outputs stand in the pipeline file, and who asks for more is told what to write there.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::{Asked, State};
use crate::stats::PipelineStats;

/// What to do in place of changing a route here.
const INSTEAD: &str = "routes are the outputs of the pipeline file and can't be changed here; write or remove one in its `output` section, with an `if` around it or \
    the docker input's filter_name, filter_id, filter_labels and filter_sources for a filter, and load it with SIGHUP, PUT /_node/reload or config.reload.automatic";

/// All routes, or the one of this id, which is `PIPELINE/OUTPUT`.
pub(super) fn routes(state: &State, asked: &Asked, id: &[&str]) -> Answer {
    if asked.method != Method::GET && asked.method != Method::HEAD {
        return answer::error(StatusCode::METHOD_NOT_ALLOWED, &asked.path, INSTEAD);
    }
    let pretty = asked.query.is_set("pretty");
    let routes: Vec<Value> = state.stats.pipelines().iter().flat_map(of_pipeline).collect();
    if id.is_empty() {
        return answer::json(StatusCode::OK, &routes.into(), pretty);
    }
    match routes.iter().find(|route| route["id"] == id.join("/")) {
        Some(route) => answer::json(StatusCode::OK, route, pretty),
        None => answer::not_found(&asked.path),
    }
}

fn of_pipeline(pipeline: &Arc<PipelineStats>) -> Vec<Value> {
    let outputs = pipeline.outputs.iter();
    outputs.map(|output| json!({ "id": format!("{}/{}", pipeline.id, output.id), "adapter": output.name })).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ask, state};
    use super::*;

    #[tokio::test]
    async fn routes_can_be_looked_at() {
        let state = state();
        let (status, all) = ask(&state, Method::GET, "/routes").await;
        let all: Value = serde_json::from_str(&all).unwrap();
        assert_eq!((status, &all[0]), (200, &json!({ "id": "main/es", "adapter": "elasticsearch" })));
        let (status, one) = ask(&state, Method::GET, "/routes/main/es").await;
        assert_eq!((status, serde_json::from_str::<Value>(&one).unwrap()), (200, all[0].clone()));
        assert_eq!(ask(&state, Method::GET, "/routes/main/other").await.0, 404);
    }

    #[tokio::test]
    async fn who_would_change_them_is_told_what_to_write() {
        let state = state();
        for (method, path) in [(Method::POST, "/routes"), (Method::PUT, "/routes"), (Method::DELETE, "/routes/main/es")]
        {
            let (status, said) = ask(&state, method.clone(), path).await;
            assert!(
                status == 405 && said.contains("filter_name") && said.contains("SIGHUP"),
                "{method} {path}: {said}"
            );
        }
    }
}
