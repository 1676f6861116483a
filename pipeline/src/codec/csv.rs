//! CSV: each line is an event with a field for each column. Writes an event's values as a line.
//!
//! ## Options
//!
//! - `columns` (list of texts): the columns' names; those beyond are `column4` and so on.
//! - `separator` (text, default `,`), `quote_char` (one character, default `"`).
//! - `autodetect_column_names` (default false): the first line of a stream has the names, unless `columns` is set.
//! - `autogenerate_column_names` (default true): columns without a name are kept as `column4` and so on.
//! - `skip_empty_columns` (default false): leave out columns that are empty.
//! - `convert` (column → `integer`, `float`, `boolean`, `date`, `date_time`): what a column becomes; what can't be converted stays text.
//! - `include_headers` (default false): when writing, the names come first, once for each output.
//! - `charset` (default `UTF-8`): the encoding of what is read, by Ruby's name.
//! - `target` (field reference): the field that gets the columns; without it, the event.
//! - `ecs_compatibility` (default: the pipeline's): unless `disabled`, `[event][original]` is the line, too.
//!
//! ## Example
//!
//! ```text
//! input { stdin { codec => csv { columns => ["user", "bytes"] convert => { "bytes" => "integer" } } } }
//! ```
//!
//! ## On failure
//!
//! A line that is no CSV is an event with the line as `message` and the tag `_csvparsefailure`.
//!
//! ## Differences from Logstash
//!
//! In a stream, lines are cut as with `line`; Logstash takes each read for one line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use elkhound_config::options::{OptionKind, Options};

use super::charset::{self, Charset};
use super::lines::{ByLine, EachLine, Lines};
use super::{Codec, Decoder, Kind, Usage, message, objects, optional};
use crate::event::Event;
use crate::filter::csv::cell::Cell;
use crate::filter::csv::row::{Format, Row};
use crate::map::Map;
use crate::path::Path;
use crate::print;
use crate::setup::Setup;
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

/// The row of the table.
pub(super) const KIND: Kind = Kind {
    name: "csv",
    options: &[
        optional("autodetect_column_names", OptionKind::Boolean, "false", "the first line has the names"),
        optional("autogenerate_column_names", OptionKind::Boolean, "true", "keep columns without a name"),
        charset::OPTION,
        optional("columns", OptionKind::Array, "[]", "the columns' names"),
        optional("convert", OptionKind::Hash, "{}", "column → what it becomes"),
        super::ECS,
        optional("include_headers", OptionKind::Boolean, "false", "write the names first"),
        optional("quote_char", OptionKind::String, "\"", "what stands around a value"),
        optional("separator", OptionKind::String, ",", "what stands between two values"),
        optional("skip_empty_columns", OptionKind::Boolean, "false", "leave out columns that are empty"),
        objects::TARGET,
    ],
    reads: true,
    writes: true,
    docs: crate::docs::head(include_str!("csv.rs")),
    build,
};

/// The longest line.
const LIMIT: usize = 1 << 20;

const FAILED: &str = "_csvparsefailure";

fn build(options: &mut Options<'_>, setup: &Setup<'_>, usage: Usage) -> Option<Arc<dyn Codec>> {
    let (separator, quote) = (options.text_or("separator", ","), options.text_or("quote_char", "\""));
    let Some(format) = Format::new(&separator, &quote) else {
        let message = format!("columns can't be told apart by the separator `{separator}` and the quote `{quote}`");
        options.fail("quote_char", &message, "quote_char is one character, and separator is not empty");
        return None;
    };
    let columns: Vec<Text> = options.texts("columns").into_iter().map(Text::from).collect();
    let settings = Settings {
        format,
        convert: conversions(options)?,
        detect: options.boolean("autodetect_column_names", false) && columns.is_empty(),
        columns,
        generate: options.boolean("autogenerate_column_names", true),
        skip_empty: options.boolean("skip_empty_columns", false),
        charset: Charset::read(options)?,
        target: objects::target(options)?,
        original: setup.ecs_of(options).is_enabled(),
        messages: usage == Usage::Messages,
    };
    let headers = AtomicBool::new(options.boolean("include_headers", false));
    Some(Arc::new(Csv { settings: Arc::new(settings), separator, quote, headers }))
}

fn conversions(options: &mut Options<'_>) -> Option<Vec<(String, Cell)>> {
    let mut conversions = Vec::new();
    for (column, kind) in options.hash("convert") {
        let Some(cell) = Cell::parse(&kind.text()) else {
            let message = format!("`{}` is nothing that a column can be converted to", kind.text());
            options.fail("convert", &message, "use integer, float, boolean, date or date_time");
            return None;
        };
        conversions.push((column, cell));
    }
    Some(conversions)
}

struct Settings {
    format: Format,
    convert: Vec<(String, Cell)>,
    detect: bool,
    columns: Vec<Text>,
    generate: bool,
    skip_empty: bool,
    charset: Charset,
    target: Option<Path>,
    original: bool,
    messages: bool,
}

struct Csv {
    settings: Arc<Settings>,
    separator: String,
    quote: String,
    /// The names are still to be written.
    headers: AtomicBool,
}

impl Codec for Csv {
    fn decoder(&self) -> Box<dyn Decoder> {
        let settings = Arc::clone(&self.settings);
        let (charset, messages) = (settings.charset, settings.messages);
        // Of a message the first row counts, wherever its lines end.
        let lines = if messages { Lines::new("", charset, usize::MAX) } else { Lines::new("\n", charset, LIMIT) };
        let rows = Rows { columns: settings.columns.clone(), detect: settings.detect, settings };
        Box::new(ByLine::new(lines, charset, messages, rows))
    }

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let columns = &self.settings.columns;
        if self.headers.swap(false, Ordering::Relaxed) {
            let names = columns.iter().cloned();
            let all = event.fields().map(|(name, _)| name.clone()).filter(|_| columns.is_empty());
            self.write(names.chain(all).map(Some), out);
        }
        if columns.is_empty() {
            self.write(event.fields().map(|(_, value)| Some(print::ruby_text(value))), out);
        } else {
            let value = |name: &Text| Path::parse(name).ok().and_then(|path| event.get(&path).map(print::ruby_text));
            self.write(columns.iter().map(value), out);
        }
    }
}

impl Csv {
    fn write(&self, values: impl Iterator<Item = Option<Text>>, out: &mut Vec<u8>) {
        for (at, value) in values.enumerate() {
            if at > 0 {
                out.extend_from_slice(self.separator.as_bytes());
            }
            if let Some(value) = value {
                self.write_value(&value, out);
            }
        }
        out.push(b'\n');
    }

    /// Values that could be read as something else stand in quotes, as Ruby writes them.
    fn write_value(&self, value: &str, out: &mut Vec<u8>) {
        let quoted = value.is_empty()
            || value.starts_with([' ', '\t'])
            || value.ends_with([' ', '\t'])
            || value.contains(['\r', '\n'])
            || value.contains(&self.separator)
            || value.contains(&self.quote);
        if quoted {
            let doubled = value.replace(&self.quote, &self.quote.repeat(2));
            [&self.quote, &doubled, &self.quote].iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        } else {
            out.extend_from_slice(value.as_bytes());
        }
    }
}

/// Makes an event of each row of one stream.
struct Rows {
    settings: Arc<Settings>,
    columns: Vec<Text>,
    /// The next line has the names.
    detect: bool,
}

impl EachLine for Rows {
    fn line(&mut self, text: Text, cut: bool, now: Timestamp, out: &mut Vec<Event>) {
        out.extend(self.row(&text, cut, now));
    }
}

impl Rows {
    fn row(&mut self, line: &Text, cut: bool, now: Timestamp) -> Option<Event> {
        if cut {
            let mut event = message::failure(line.clone(), FAILED, now);
            event.tag(message::CUT);
            return Some(event);
        }
        match self.settings.format.first_row(line) {
            Err(_) => Some(message::failure(line.clone(), FAILED, now)),
            Ok(None) => None,
            Ok(Some(row)) if self.detect => {
                self.columns = row.into_iter().map(Option::unwrap_or_default).collect();
                self.detect = false;
                None
            }
            Ok(Some(row)) => {
                let mut event = objects::placed(self.fields(row), self.settings.target.as_ref(), now);
                if self.settings.original {
                    objects::keep_original(&mut event, line);
                }
                Some(event)
            }
        }
    }

    fn fields(&self, row: Row) -> Map {
        let mut fields = Map::with_capacity(row.len());
        for (at, text) in row.into_iter().enumerate() {
            let empty = text.as_ref().is_none_or(|text| text.is_empty());
            let named = self.columns.get(at).cloned();
            if (self.settings.skip_empty && empty) || (named.is_none() && !self.settings.generate) {
                continue;
            }
            let name = named.unwrap_or_else(|| format!("column{}", at + 1).into());
            let cell = self.settings.convert.iter().find(|(column, _)| *column == *name).map(|(_, cell)| *cell);
            // What is empty can't be made a boolean, and stays nothing.
            let value = cell.unwrap_or(Cell::Text).value(text).unwrap_or(Value::Null);
            fields.insert(name, value);
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::testing::{codec, decoded, encoded, mistakes};

    #[test]
    fn columns_become_fields() {
        let read = |options: &str, bytes: &[u8]| decoded(&format!("csv {{ {options} }}"), Usage::Stream, &[bytes]);
        assert_eq!(read("", b"a,\"b,c\",\n"), r#"{"column1":"a","column2":"b,c","column3":null}"#);
        assert_eq!(read("columns => ['x'] autogenerate_column_names => false", b"a,b"), r#"{"x":"a"}"#);
        assert_eq!(read("skip_empty_columns => true separator => ';'", b"a;;c"), r#"{"column1":"a","column3":"c"}"#);
        assert_eq!(read("columns => ['x'] convert => { 'x' => integer }", b"1\nz\n"), "{\"x\":1}\n{\"x\":\"z\"}");
        assert_eq!(read("target => '[t]' columns => ['x']", b"1"), r#"{"t":{"x":"1"}}"#);
    }

    #[test]
    fn the_first_line_may_have_the_names() {
        let events = decoded("csv { autodetect_column_names => true }", Usage::Messages, &[b"a,b", b"1,2", b"3"]);
        assert_eq!(events, "{\"a\":\"1\",\"b\":\"2\"}\n{\"a\":\"3\"}");
    }

    #[test]
    fn of_a_message_the_first_row_counts() {
        let events = decoded("csv", Usage::Messages, &[b"1,\"2\n3\"\n4,5\n", b"", b"6"]);
        assert_eq!(events, "{\"column1\":\"1\",\"column2\":\"2\\n3\"}\n{\"column1\":\"6\"}");
    }

    #[test]
    fn what_is_no_csv_keeps_its_text() {
        let events = decoded("csv", Usage::Stream, &[b"a\"b\n"]);
        assert_eq!(events, r#"{"message":"a\"b","tags":["_csvparsefailure"]}"#);
        assert_eq!(mistakes("csv { quote_char => 'ab' }", Usage::Stream).len(), 1);
        assert_eq!(mistakes("csv { convert => { aa => bb } }", Usage::Stream).len(), 1);
    }

    #[test]
    fn values_are_written_so_that_they_can_be_read() {
        let mut event = Event::default();
        event.set_field("a".into(), "x,\"y\"".into());
        event.set_field("b".into(), 1.into());
        event.set_field("c".into(), Value::Null);
        assert_eq!(encoded("csv", &event), "\"x,\"\"y\"\"\",1,\"\"\n");
        assert_eq!(encoded("csv { columns => ['b', none] separator => ';' }", &event), "1;\n");
        let written = codec("csv { columns => ['b'] include_headers => true }", Usage::Write);
        let mut out = Vec::new();
        written.encode(&event, &mut out);
        written.encode(&event, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "b\n1\n1\n");
    }
}
