//! How elkhound is: live, ready, and the health report in Logstash's shape.
//!
//! Live means that the process answers; only that may make an orchestrator end it, for a restart heals nothing at the far end. Ready means that
//! all pipelines run and that the last request reached its Elasticsearch, or that there was nothing to send.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::State;
use crate::stats::delivery::Trouble;
use crate::stats::{PipelineStats, State as Doing};

/// Worse is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// All is well.
    Green,
    /// It works, but needs an eye.
    Yellow,
    /// It does not work.
    Red,
}

impl Status {
    /// As Logstash writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// What is wrong with a pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    id: &'static str,
    status: Status,
    cause: String,
    action: &'static str,
    impact: &'static str,
}

/// A pipeline's health.
pub(crate) struct Health {
    /// The worst of what was found.
    pub(crate) status: Status,
    /// What was found, each in a sentence.
    pub(crate) causes: Vec<String>,
}

/// How elkhound is as a whole.
pub(crate) fn judge(state: &State) -> Health {
    let examined = examined(state);
    let mut causes: Vec<String> = examined.iter().flat_map(Examined::causes).collect();
    if examined.is_empty() {
        causes.push("no pipeline runs yet".to_owned());
    }
    Health { status: overall(&examined), causes }
}

/// A pipeline, and what is wrong with it.
struct Examined {
    pipeline: Arc<PipelineStats>,
    findings: Vec<Finding>,
}

impl Examined {
    fn causes(&self) -> impl Iterator<Item = String> {
        self.findings.iter().map(|finding| format!("pipeline `{}`: {}", self.pipeline.id, finding.cause))
    }
}

fn examined(state: &State) -> Vec<Examined> {
    let stopping = state.stats.is_stopping();
    let examine = |pipeline: Arc<PipelineStats>| Examined { findings: findings(&pipeline, stopping), pipeline };
    state.stats.pipelines().into_iter().map(examine).collect()
}

fn overall(examined: &[Examined]) -> Status {
    if examined.is_empty() { Status::Yellow } else { worst(examined.iter().flat_map(|one| &one.findings)) }
}

fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Status {
    findings.into_iter().map(|finding| finding.status).max().unwrap_or(Status::Green)
}

/// Whether elkhound is ready, and why it is not.
pub(crate) fn ready(state: &State) -> Result<(), String> {
    if state.stats.is_stopping() {
        return Err("elkhound is stopping".into());
    }
    let Health { status, causes } = judge(state);
    if status == Status::Green { Ok(()) } else { Err(causes.join("; ")) }
}

fn findings(pipeline: &PipelineStats, stopping: bool) -> Vec<Finding> {
    let mut found: Vec<Finding> = ended(pipeline, stopping).into_iter().collect();
    for output in &pipeline.outputs {
        let trouble = output.delivery.get().and_then(|delivery| delivery.trouble());
        found.extend(trouble.map(|trouble| not_delivering(&output.id, &trouble)));
    }
    found
}

fn ended(pipeline: &PipelineStats, stopping: bool) -> Option<Finding> {
    let (id, status, cause) = match pipeline.state() {
        Doing::Running => return None,
        Doing::Finished if stopping => return None,
        Doing::Finished => ("finished", Status::Yellow, "its inputs have ended"),
        Doing::Failed => ("failed", Status::Red, "an input had trouble that it can't heal, and the pipeline has ended"),
    };
    let action = "see elkhound's log for the reason, and start elkhound again";
    Some(Finding { id, status, cause: cause.into(), action, impact: "its events are not read" })
}

fn not_delivering(output: &str, trouble: &Trouble) -> Finding {
    Finding {
        id: "output_blocked",
        status: Status::Yellow,
        cause: format!("output `{output}` can't deliver since {}: {}", trouble.since, trouble.reason),
        action: "make Elasticsearch reachable and able to take documents; nothing is lost meanwhile, lines wait in Docker's files",
        impact: "events arrive late",
    }
}

/// `GET /_health_report`.
pub(crate) fn report(state: &State) -> Value {
    let examined = examined(state);
    let status = overall(&examined).name();
    let ill = examined.iter().filter(|one| !one.findings.is_empty()).count();
    let symptom = match (ill, examined.len()) {
        (_, 0) => "no pipeline runs".to_owned(),
        (0, count) => format!("{count} of {count} pipelines are healthy"),
        (ill, count) => format!("{ill} of {count} pipelines need attention"),
    };
    let indicators = examined.iter().map(|one| (one.pipeline.id.clone(), indicator(state, one)));
    let indicators: Map<String, Value> = indicators.collect();
    json!({
        "status": status,
        "symptom": symptom,
        "indicators": {
            "pipelines": { "status": status, "symptom": symptom, "indicators": indicators },
        },
    })
}

fn indicator(state: &State, Examined { pipeline, findings }: &Examined) -> Value {
    let diagnosis = |finding: &Finding| {
        let id = format!("elkhound:health:pipeline:{}", finding.id);
        json!({ "id": id, "cause": finding.cause, "action": finding.action })
    };
    let impact = |finding: &Finding| {
        let id = format!("elkhound:health:pipeline:{}:impact", finding.id);
        let severity = if finding.status == Status::Red { 1 } else { 2 };
        json!({ "id": id, "severity": severity, "description": finding.impact, "impact_areas": ["pipeline_execution"] })
    };
    let doing = match pipeline.state() {
        Doing::Running => "RUNNING",
        Doing::Finished => "FINISHED",
        Doing::Failed => "TERMINATED",
    };
    let mut indicator = json!({
        "status": worst(findings).name(),
        "symptom": if findings.is_empty() { "The pipeline is healthy".into() } else { format!("The pipeline needs attention: {}", findings[0].cause) },
        "details": { "status": { "state": doing }, "flow": state.history.of(pipeline) },
    });
    if !findings.is_empty() {
        indicator["diagnosis"] = findings.iter().map(diagnosis).collect();
        indicator["impacts"] = findings.iter().map(impact).collect();
    }
    indicator
}

#[cfg(test)]
mod tests {
    use super::super::testing::state;
    use super::*;

    #[test]
    fn trouble_at_the_far_end_is_no_readiness_and_heals() {
        let state = state();
        assert_eq!((ready(&state), report(&state)["status"].as_str()), (Ok(()), Some("green")));
        let pipeline = state.stats.pipelines().remove(0);
        let delivery = Arc::clone(pipeline.outputs[0].delivery.get().unwrap());
        delivery.fails("http://es:9200 can't be reached");
        let told = ready(&state).unwrap_err();
        assert!(told.contains("http://es:9200 can't be reached"), "{told}");
        let report = report(&state);
        let indicator = &report["indicators"]["pipelines"]["indicators"]["main"];
        assert_eq!((report["status"].as_str(), indicator["status"].as_str()), (Some("yellow"), Some("yellow")));
        assert_eq!(indicator["diagnosis"][0]["id"], "elkhound:health:pipeline:output_blocked");
        delivery.recovers();
        assert_eq!(ready(&state), Ok(()));
    }

    #[test]
    fn a_pipeline_that_has_failed_is_red_and_one_that_was_stopped_is_not() {
        let state = state();
        let pipeline = state.stats.pipelines().remove(0);
        pipeline.ended(Doing::Failed);
        assert_eq!(judge(&state).status, Status::Red);
        pipeline.ended(Doing::Finished);
        assert_eq!(judge(&state).status, Status::Yellow);
        state.stats.stop();
        assert_eq!(judge(&state).status, Status::Green);
        assert_eq!(ready(&state), Err("elkhound is stopping".into()));
    }
}
