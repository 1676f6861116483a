//! What Elasticsearch has answered, by status, and the documents that it has refused last.

use std::collections::BTreeMap;

use elkhound_pipeline::flow::meter::read;

use super::super::untrusted;
use super::table::{Column, Table};
use super::{ago, escaped, marked, section};
use crate::stats::OutputStats;
use crate::stats::delivery::{Delivery, Rejected};

const DELIVERED: &[Column] = &[
    ("indexed", "n"),
    ("refused for good", "n"),
    ("sent again", "n"),
    ("requests without an answer", "n"),
    ("answers", "wide"),
    ("items not taken", "wide"),
];

const REJECTED: &[Column] = &[("when", "dim"), ("status", "n"), ("why", "wide")];

/// The output's answers; nothing of one that brings documents nowhere.
pub(super) fn answers(output: &OutputStats) -> Option<String> {
    let delivery = output.delivery.get()?;
    let trouble = delivery.trouble().map(|trouble| {
        format!("<p class=\"yellow\">not delivering, first {}: {}</p>", ago(trouble.since), escaped(&trouble.reason))
    });
    let mut table = Table::new(DELIVERED);
    table.row([
        read(&delivery.indexed).to_string(),
        marked(read(&delivery.refused), "red"),
        marked(read(&delivery.again), "yellow"),
        marked(unanswered(delivery), "yellow"),
        by_status(&delivery.statuses()),
        by_status(&delivery.item_statuses()),
    ]);
    Some(section(
        &format!("Output {}", escaped(&output.id)),
        &format!("{}{}", trouble.unwrap_or_default(), table.html()),
    ))
}

/// Failed requests are those that were refused, which have a status, and those that nobody answered.
fn unanswered(delivery: &Delivery) -> u64 {
    let statuses = delivery.statuses();
    let refused: u64 = statuses.iter().filter(|(status, _)| **status != 200).map(|(_, count)| count).sum();
    read(&delivery.failed).saturating_sub(refused)
}

fn by_status(statuses: &BTreeMap<u16, u64>) -> String {
    let colour = |status: u16| match status {
        200..300 => "green",
        // It was there already, or is to come again: nothing is lost.
        409 | 429 | 503 => "yellow",
        _ => "red",
    };
    let each = statuses
        .iter()
        .map(|(status, count)| format!("<span class=\"chip {}\">{status} × {count}</span>", colour(*status)));
    each.collect::<Vec<_>>().join(" ")
}

/// The last rejected documents; who is not trusted sees that there are some.
pub(super) fn rejected(output: &OutputStats, trusted: bool) -> Option<String> {
    let rejected = output.delivery.get()?.rejected();
    if rejected.is_empty() {
        return None;
    }
    let mut table = Table::new(REJECTED);
    for one in &rejected {
        table.row(row(one, trusted));
    }
    Some(section(&format!("Last rejected documents of {}", escaped(&output.id)), &table.html()))
}

fn row(one: &Rejected, trusted: bool) -> [String; 3] {
    let shown = if trusted {
        // The id is what has it stay open when the page is renewed.
        format!(
            "{}<details id=\"at-{}\"><summary>document</summary><code>{}</code></details>",
            escaped(&one.reason),
            escaped(&one.at.to_string()),
            escaped(&one.document)
        )
    } else {
        escaped(untrusted())
    };
    [ago(one.at), one.status.to_string(), format!("<b>{}</b> {shown}", escaped(&one.kind))]
}
