//! What `elkhound dlq list` and `show` print.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use elkhound_pipeline::json;
use elkhound_pipeline::time::Timestamp;

use super::entry::{Entry, Refusal};
use super::segments::{self, Lines, Segment};
use crate::cli::DlqShow;
use crate::paint::Paint;

/// What is in a segment.
#[derive(Debug, Default)]
struct Contents {
    entries: usize,
    damaged: usize,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// How often each kind of error is there.
    errors: BTreeMap<String, usize>,
}

/// Lists the segments of a queue: entries, times and kinds of errors.
pub(super) fn list(folder: &Path, out: &mut impl Write) -> Result<()> {
    let mut rows = Vec::new();
    let (mut entries, mut bytes) = (0, 0);
    for segment in segments::list(folder)? {
        let contents = contents(folder, &segment)?;
        entries += contents.entries;
        bytes += segment.bytes;
        rows.push((segment, contents));
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let title = format!("{name}: {entries} entries in {} segments, {bytes} bytes", rows.len());
    writeln!(out, "{}", Paint::of_stdout().bold(&title))?;
    for (Segment { number, bytes, .. }, contents) in rows {
        let Contents { entries, damaged, first, last, errors } = contents;
        let time =
            |time: Option<Timestamp>| time.map_or_else(|| "-".into(), |time| time.truncated_to_millis().to_string());
        let mut errors: Vec<(String, usize)> = errors.into_iter().collect();
        errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut told: Vec<String> = errors.iter().map(|(error, count)| format!("{count} x {error}")).collect();
        if damaged > 0 {
            told.push(format!("{damaged} damaged"));
        }
        writeln!(
            out,
            "  segment {number:<4} {entries:>8} entries {bytes:>10} bytes  {} to {}  {}",
            time(first),
            time(last),
            told.join(", ")
        )?;
    }
    Ok(())
}

fn contents(folder: &Path, segment: &Segment) -> io::Result<Contents> {
    let mut contents = Contents::default();
    each_line(folder, segment.number, |line| {
        let Some(entry) = Entry::parse(line) else {
            contents.damaged += 1;
            return Ok(());
        };
        contents.entries += 1;
        contents.first = contents.first.or(Some(entry.refusal.time));
        contents.last = Some(entry.refusal.time);
        *contents.errors.entry(entry.refusal.kind()).or_default() += 1;
        Ok(())
    })?;
    Ok(contents)
}

fn each_line(folder: &Path, number: u64, mut act: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let Some(mut lines) = Lines::open(folder, number, 0)? else { return Ok(()) };
    let mut line = Vec::new();
    while lines.next(&mut line)? {
        act(&line)?;
    }
    Ok(())
}

/// Prints entries: for people, as they stand in their segment, or their events alone.
pub(super) fn show(folder: &Path, args: &DlqShow, out: &mut impl Write) -> Result<()> {
    let mut kept = VecDeque::new();
    for segment in segments::list(folder)? {
        each_line(folder, segment.number, |line| {
            let Some(entry) = Entry::parse(line) else { return Ok(()) };
            if args.reason.as_ref().is_some_and(|text| !entry.refusal.mentions(text)) {
                return Ok(());
            }
            let Some(last) = args.last else { return print(line, &entry, args, out) };
            kept.push_back(line.to_vec());
            if kept.len() > last {
                kept.pop_front();
            }
            Ok(())
        })?;
    }
    for line in &kept {
        if let Some(entry) = Entry::parse(line) {
            print(line, &entry, args, out)?;
        }
    }
    Ok(())
}

fn print(line: &[u8], entry: &Entry, args: &DlqShow, out: &mut impl Write) -> io::Result<()> {
    let mut event = Vec::new();
    json::write_map(&entry.fields, &mut event);
    event.push(b'\n');
    if args.json || args.events {
        out.write_all(if args.json { line } else { event.trim_ascii_end() })?;
        return out.write_all(b"\n");
    }
    let Refusal { time, plugin, plugin_id, action, index, document_id, status, reason, .. } = &entry.refusal;
    let paint = Paint::of_stdout();
    let head = format!("{time}  {status} {}", entry.refusal.kind());
    writeln!(out, "{}", paint.bold(&head))?;
    writeln!(out, "  {action} {document_id} in {index}, by {plugin} {plugin_id}")?;
    writeln!(out, "  {}", paint.red(reason))?;
    out.write_all(b"  ")?;
    out.write_all(&event)
}

impl Refusal {
    /// The kind of error; the status where Elasticsearch named none.
    fn kind(&self) -> String {
        if self.error.is_empty() { format!("status {}", self.status) } else { self.error.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::RunArgs;
    use crate::scratch::Folder;
    use std::fs;

    fn folder(name: &str) -> Folder {
        let folder = Folder::new(name);
        let entry = |number: i64, error: &str| {
            let refusal = Refusal {
                time: Timestamp::new(1_800_000_000 + number, 0),
                plugin: "elasticsearch".into(),
                plugin_id: "out".into(),
                action: "create".into(),
                index: format!("i{number}"),
                document_id: "x".into(),
                status: 400,
                error: error.into(),
                reason: "no".into(),
            };
            String::from_utf8(refusal.entry(format!("{{\"n\":{number}}}").as_bytes(), b"")).unwrap()
        };
        let texts = [entry(1, "a") + &entry(2, "b") + &entry(3, "b"), entry(4, "") + "torn"];
        for (number, text) in (1..).zip(texts) {
            fs::write(segments::path(&folder.0, number), text).unwrap();
        }
        folder
    }

    fn shown(folder: &Folder, reason: Option<&str>, last: Option<usize>, json: bool) -> String {
        let reason = reason.map(str::to_owned);
        let args = DlqShow { run: RunArgs::default(), reason, last, json, events: !json };
        let mut out = Vec::new();
        show(&folder.0, &args, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn segments_are_listed_with_what_is_in_them() {
        let folder = folder("list");
        let mut out = Vec::new();
        list(&folder.0, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains(": 4 entries in 2 segments, "), "{text}");
        assert!(lines[1].ends_with("2027-01-15T08:00:01.000Z to 2027-01-15T08:00:03.000Z  2 x b, 1 x a"), "{text}");
        assert!(lines[2].ends_with("1 x status 400"), "{text}");
    }

    #[test]
    fn entries_are_chosen_by_what_they_say_and_from_the_end() {
        let folder = folder("show");
        assert_eq!(shown(&folder, Some("b"), None, false), "{\"n\":2}\n{\"n\":3}\n");
        assert_eq!(shown(&folder, None, Some(2), false), "{\"n\":3}\n{\"n\":4}\n");
        let line = shown(&folder, Some("i4"), Some(9), true);
        assert_eq!(Entry::parse(line.trim_end().as_bytes()).unwrap().refusal.index, "i4");
    }

    #[test]
    fn an_entry_is_shown_to_people_with_its_reason() {
        let folder = folder("people");
        let args =
            DlqShow { run: RunArgs::default(), reason: Some("i1".into()), last: None, json: false, events: false };
        let mut out = Vec::new();
        show(&folder.0, &args, &mut out).unwrap();
        let expected = "2027-01-15T08:00:01.000Z  400 a\n  create x in i1, by elasticsearch out\n  no\n  {\"n\":1}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
