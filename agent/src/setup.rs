//! `elkhound setup`: has Elasticsearch hold what the outputs of a pipeline need (index template, lifecycle policy, data stream or alias), and Kibana show it.
//!
//! It takes the same flags, files and environment as a run, so it connects as the outputs do. What an output needs is known by its own plugin
//! ([`Output::set_up`]). Running it again changes nothing that is as it should be; nothing is ever removed.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::SetupArgs;
use crate::finding::{Finding, Grade};
use crate::line::Line;
use crate::output::Output;
use crate::output::elasticsearch::{Order, SetUp, kibana};
use crate::settings::table;

/// Where it connects to, for `--help`.
pub(crate) const CONNECTION: &str = "\
Elasticsearch is where the elasticsearch outputs of the pipelines say (-f, -e, or the pipelines of the settings): their hosts, login and certificates.
Kibana is logged in to with the same user. For another user than the one that ships, let the outputs read it from the environment, as
user => \"${ES_USER}\" and password => \"${ES_PASSWORD}\", and set ES_USER and ES_PASSWORD, or ES_PASSWORD_FILE, for this command.
Without a pipeline file: elkhound setup -e 'output { elasticsearch { hosts => [\"https://es:9200\"] index => \"logs-%{+YYYY.MM.dd}\" } }'";

/// Makes all that is needed, and says what was done. Fails when something could not be.
///
/// # Errors
/// Standard output that can't be written to, or a runtime that can't be started.
pub(crate) fn run(args: SetupArgs) -> Result<ExitCode> {
    let SetupArgs { kibana, keep, overwrite, dry_run, run } = args;
    if let Some(finding) = keep.as_deref().and_then(wrong_age) {
        return tell(&[finding]);
    }
    let Some(prepared) = crate::prepare(run, |_, _| {})? else { return Ok(ExitCode::FAILURE) };
    let order = Order { dry_run, overwrite, keep };
    let found = prepared.runtime.block_on(set_up(&prepared.made.lines, kibana.as_deref(), &order));
    tell(&found)
}

/// Elasticsearch takes days, hours and minutes.
fn wrong_age(written: &str) -> Option<Finding> {
    let unit = written.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let right = matches!(unit, "d" | "h" | "m") && table::time(written).is_some_and(|time| !time.is_zero());
    let finding =
        || Finding::bad(format!("--keep: `{written}` is no age"), "write a number of days or hours, as 30d or 12h");
    (!right).then(finding)
}

async fn set_up(lines: &[Line], kibana: Option<&str>, order: &Order) -> Vec<Finding> {
    let mut done: Vec<SetUp> = Vec::new();
    for output in lines.iter().flat_map(|line| &line.outputs) {
        done.extend(Output::set_up(output.as_ref(), order).await);
    }
    let mut found: Vec<Finding> = Vec::new();
    let mut patterns: Vec<String> = Vec::new();
    for set_up in &done {
        found.extend_from_slice(&set_up.found);
        patterns.extend(set_up.pattern.clone().filter(|pattern| !patterns.contains(pattern)));
    }
    let Some(first) = done.first() else {
        return vec![Finding::bad(
            "no pipeline has an elasticsearch output, so there is nothing to set up",
            "give the pipeline file with -f, or an output with -e 'output { elasticsearch { … } }'",
        )];
    };
    match kibana {
        Some(_) if patterns.is_empty() => found.push(Finding::warning(
            "nothing is imported into Kibana: a data view needs indices whose names have a common beginning",
            "begin the name of the output's index with a word",
        )),
        Some(url) => found.extend(kibana::import(url, &first.connection, &patterns, order).await),
        None => {}
    }
    found
}

fn tell(found: &[Finding]) -> Result<ExitCode> {
    let mut out = stdout().lock();
    for finding in found {
        writeln!(out, "{}", crate::secret::mask(&finding.to_string()))?;
    }
    Ok(crate::exit_code(found.iter().all(|finding| finding.grade != Grade::Bad)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_a_unit_that_elasticsearch_takes() {
        for (written, right) in
            [("30d", true), ("12h", true), ("0d", false), ("30", false), ("d", false), ("2w", false)]
        {
            assert_eq!(wrong_age(written).is_none(), right, "{written}");
        }
    }

    #[test]
    fn a_pipeline_without_elasticsearch_has_nothing_to_set_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(set_up(&[], None, &Order::default()));
        assert_eq!((found.len(), found[0].grade), (1, Grade::Bad));
    }
}
