//! A trace as a page for people.

use elkhound_pipeline::map::Map;
use elkhound_pipeline::plan::{Entry, Seen};
use elkhound_pipeline::value::Value;

use super::{Told, output};
use crate::difference::{Change, between, shown};
use crate::paint::Paint;

/// Characters of a value that are shown.
const WIDTH: usize = 200;

/// The whole page of one event.
pub(super) fn page(told: &Told<'_>, paint: Paint) -> String {
    let places = told.trace.entries.iter().map(|entry| entry.place.chars().count());
    let mut page =
        Page { told, paint, column: places.max().unwrap_or(0) + 6, reasons: told.reasons.iter(), out: String::new() };
    let event = shown(&told.event.clone().into());
    page.out.push_str(&format!("{} {event}\n", paint.bold("event 1")));
    told.trace.entries.iter().for_each(|entry| page.entry(entry));
    page.results();
    page.out
}

struct Page<'a> {
    told: &'a Told<'a>,
    paint: Paint,
    /// Where what happened begins, behind the place.
    column: usize,
    reasons: std::slice::Iter<'a, String>,
    out: String,
}

impl Page<'_> {
    fn entry(&mut self, entry: &Entry) {
        let about = if entry.event == 1 { String::new() } else { format!(" (event {})", entry.event) };
        match &entry.seen {
            Seen::Condition { written, values, outcome, given_up } => {
                let written = written.split_whitespace().collect::<Vec<_>>().join(" ");
                self.headline(entry, &format!("if {written}{about}"));
                let outcome = match outcome {
                    Ok(true) => self.paint.green("true"),
                    Ok(false) => self.paint.dim("false"),
                    Err(trouble) => self.paint.red(&format!("{trouble}: the event is dropped")),
                };
                let values = values.iter().map(|(field, value)| value_of(field, value.as_ref())).collect::<Vec<_>>();
                let arrow = if values.is_empty() { "" } else { " " };
                self.detail(entry, 0, &format!("{}{arrow}→ {outcome}", values.join(", ")));
                if *given_up {
                    let line = self.paint.red("a pattern took too long and counts as not matching");
                    self.detail(entry, 0, &line);
                }
            }
            Seen::Filter { number, before, after, failed, made } => {
                let filter = &self.told.trial.plan.filters()[*number];
                let id = if filter.id == format!("{}-{}", filter.name, number + 1) {
                    String::new()
                } else {
                    format!(" {}", filter.id)
                };
                self.headline(entry, &format!("{}{id}{about}", filter.name));
                self.filtered(entry, before, after.as_ref(), made);
                if *failed {
                    let reason = self.reasons.next().map(String::as_str).unwrap_or_default();
                    let line = self.paint.red(&format!("failed: {reason}"));
                    self.detail(entry, 0, &line);
                }
            }
        }
    }

    fn filtered(&mut self, entry: &Entry, before: &Map, after: Option<&Map>, made: &[(usize, Map)]) {
        match after {
            None => {
                let line = self.paint.red("drops the event");
                self.detail(entry, 0, &line);
            }
            Some(after) => self.changes(entry, 0, before, after),
        }
        for (number, event) in made {
            let line = self.paint.yellow(&format!("makes event {number}"));
            self.detail(entry, 0, &line);
            self.changes(entry, 1, before, event);
        }
    }

    fn changes(&mut self, entry: &Entry, indent: usize, before: &Map, after: &Map) {
        let changes = between(before, after);
        if changes.is_empty() {
            let line = self.paint.dim("nothing changed");
            self.detail(entry, indent, &line);
        }
        for change in &changes {
            for line in lines(change, self.paint) {
                self.detail(entry, indent, &line);
            }
        }
    }

    fn headline(&mut self, entry: &Entry, what: &str) {
        let place = format!("{:width$}", entry.place, width = self.column - 2);
        let indent = "  ".repeat(entry.depth);
        self.out.push_str(&format!("  {}{indent}{}\n", self.paint.dim(&place), self.paint.bold(what)));
    }

    fn detail(&mut self, entry: &Entry, indent: usize, text: &str) {
        self.out.push_str(&format!("{}{text}\n", " ".repeat(self.column + 2 * (entry.depth + indent) + 2)));
    }

    fn results(&mut self) {
        if self.told.trace.events.iter().all(|(number, _)| *number != 1) {
            self.out.push_str(&format!("  {} is dropped\n", self.paint.bold("event 1")));
        }
        for ((number, event), outputs) in self.told.trace.events.iter().zip(&self.told.trace.outputs) {
            let names: Vec<String> = outputs.iter().map(|number| named(self.told, *number)).collect();
            let way = if names.is_empty() { "no output".to_owned() } else { names.join(", ") };
            let head = self.paint.bold(&format!("event {number}"));
            let event = shown(&event.to_whole_map().into());
            self.out.push_str(&format!("  {head} comes out and goes to {way}\n    {event}\n"));
        }
    }
}

fn named(told: &Told<'_>, number: usize) -> String {
    let (name, place) = output(told, number);
    format!("{name} ({place})")
}

fn value_of(field: &str, value: Option<&Value>) -> String {
    value.map_or_else(|| format!("{field} is not there"), |value| format!("{field} = {}", short(value)))
}

/// A change on a line, tags one by one.
fn lines(change: &Change, paint: Paint) -> Vec<String> {
    if let Some(tags) = added_tags(change) {
        return tags.iter().map(|tag| paint.green(&format!("+ tag {tag}"))).collect();
    }
    let path = &change.path;
    vec![match (&change.before, &change.after) {
        (Some(before), Some(after)) => paint.yellow(&format!("~ {path} {} → {}", short(before), short(after))),
        (Some(before), None) => paint.red(&format!("- {path} {}", short(before))),
        (None, after) => paint.green(&format!("+ {path} {}", after.as_ref().map(short).unwrap_or_default())),
    }]
}

/// The tags behind those that were there.
fn added_tags(change: &Change) -> Option<Vec<String>> {
    if change.path != "[tags]" {
        return None;
    }
    let before = match &change.before {
        None => &[],
        Some(before) => before.as_list()?,
    };
    let added = change.after.as_ref()?.as_list()?.strip_prefix(before)?;
    added.iter().map(|tag| tag.as_text().map(ToString::to_string)).collect()
}

fn short(value: &Value) -> String {
    let text = shown(value);
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
