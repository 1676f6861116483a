//! Takes a line of comma-separated values apart.
//!
//! Only the first row of a text counts. A column without a value becomes null, an empty pair of quotes an empty text.
//!
//! ## Options
//!
//! - `source` (default `message`), `target`: the field to read, and the one under which columns are put.
//! - `columns`: names in order; further ones are called `column5`, unless `autogenerate_column_names` (default true) is off.
//! - `separator` (default `,`), `quote_char` (default `"`; `\x00` for none).
//! - `autodetect_column_names` (default false): the first event gives the names and is dropped.
//! - `skip_header` (default false): drop events that hold just the names.
//! - `skip_empty_columns`, `skip_empty_rows` (default false): leave columns without a value out; tag an empty text `_csvskippedemptyfield`
//!   instead of `_csvparsefailure`.
//! - `convert`: column → `integer`, `float`, `boolean`, `date` or `date_time`; what can't be converted stays text.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   csv { columns => ["user", "amount"] convert => { "amount" => "float" } }
//! }
//! ```
//!
//! ```json
//! {"message":"ann,12.50"}
//! =>
//! {"message":"ann,12.50","user":"ann","amount":12.5}
//! ```
//!
//! ## On failure
//!
//! What is no row, and a value that can't be put into its field, tag the event `_csvparsefailure`; columns before stay.
//!
//! ## Differences from Logstash
//!
//! With `autodetect_column_names` an empty first event is dropped, and the next one gives the names; there, all further
//! events would fail. Names that are found are shared by all workers.

use std::sync::OnceLock;

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::setup::Setup;
use crate::text::Text;
use crate::value::Value;

pub(crate) mod cell;
pub(crate) mod row;

use cell::Cell;
use row::{Format, Row};

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "csv", options: OPTIONS, docs: crate::docs::head(include_str!("csv.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    optional("autodetect_column_names", OptionKind::Boolean, "false", "the first event gives the names"),
    optional("autogenerate_column_names", OptionKind::Boolean, "true", "call further columns `column5`"),
    optional("columns", OptionKind::Array, "[]", "the names, in order"),
    optional("convert", OptionKind::Hash, "{}", "column → what it becomes"),
    optional("quote_char", OptionKind::String, "\"", "what stands around values; `\\x00` for none"),
    optional("separator", OptionKind::String, ",", "what stands between values"),
    optional("skip_empty_columns", OptionKind::Boolean, "false", "leave columns without a value out"),
    optional("skip_empty_rows", OptionKind::Boolean, "false", "an empty text is no failure"),
    optional("skip_header", OptionKind::Boolean, "false", "drop events that hold just the names"),
    optional("source", OptionKind::String, "message", "the field to read"),
    optional("target", OptionKind::String, "", "the field under which columns are put"),
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let convert = conversions(options)?;
    let target =
        options.text("target").map(|target| if target.starts_with('[') { target } else { format!("[{target}]") });
    let layout = Layout { target: target.unwrap_or_default(), convert };
    let names: Vec<String> = options.texts("columns");
    let columns = names.iter().map(|name| layout.column(name)).collect();
    Some(Box::new(Csv {
        source: Reference::plain(&options.text_or("source", "message")),
        format: Format::new(&options.text_or("separator", ","), &options.text_or("quote_char", "\"")),
        columns,
        layout,
        found: OnceLock::new(),
        autodetect: options.boolean("autodetect_column_names", false),
        autogenerate: options.boolean("autogenerate_column_names", true),
        skip_header: options.boolean("skip_header", false),
        skip_empty_columns: options.boolean("skip_empty_columns", false),
        skip_empty_rows: options.boolean("skip_empty_rows", false),
        failure_tag: vec!["_csvparsefailure".to_owned()],
    }))
}

fn conversions(options: &mut Options<'_>) -> Option<Vec<(String, Cell)>> {
    let mut conversions = Vec::new();
    for (column, written) in options.hash("convert") {
        let name = written.text();
        let Some(cell) = Cell::parse(&name) else {
            let help = "write `integer`, `float`, `boolean`, `date` or `date_time`";
            options.fail_at(written.span, &format!("csv can't convert to `{name}`"), help);
            return None;
        };
        conversions.push((column, cell));
    }
    Some(conversions)
}

struct Csv {
    source: Reference,
    /// Nothing when separator or quote can't be used, which Ruby finds out with each event.
    format: Option<Format>,
    columns: Vec<Column>,
    layout: Layout,
    /// The columns of the first event, with `autodetect_column_names`.
    found: OnceLock<Vec<Column>>,
    autodetect: bool,
    autogenerate: bool,
    skip_header: bool,
    skip_empty_columns: bool,
    skip_empty_rows: bool,
    failure_tag: Vec<String>,
}

/// Where columns go and what becomes of them, by their names.
struct Layout {
    target: String,
    convert: Vec<(String, Cell)>,
}

struct Column {
    name: Text,
    field: Reference,
    cell: Cell,
}

impl Layout {
    fn column(&self, name: &str) -> Column {
        let reference =
            if name.starts_with('[') { format!("{}{name}", self.target) } else { format!("{}[{name}]", self.target) };
        let cell = self.convert.iter().find(|(column, _)| column == name).map_or(Cell::Text, |(_, cell)| *cell);
        Column { name: Text::new(name), field: Reference::plain(&reference), cell }
    }

    fn numbered(&self, at: usize) -> Column {
        self.column(&format!("column{}", at + 1))
    }
}

impl Filter for Csv {
    fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
        let value = match self.source.path(event) {
            Ok(source) => event.get(&source).cloned(),
            Err(Raised(reason)) => return Outcome::Failed(reason),
        };
        let Some(value) = value.filter(|value| !matches!(value, Value::Null | Value::Bool(false))) else {
            return Outcome::Passed;
        };
        self.separate(&value, event).unwrap_or_else(|Raised(_)| {
            event.tag(&self.failure_tag[0]);
            Outcome::Passed
        })
    }

    fn rescue_tags(&self) -> Option<&[String]> {
        Some(&self.failure_tag)
    }
}

impl Csv {
    fn separate(&self, value: &Value, event: &mut Event) -> Result<Outcome, Raised> {
        let text = value.as_text().ok_or_else(|| Raised("the value is no text".into()))?;
        let format = self.format.as_ref().ok_or_else(|| Raised("separator or quote_char can't be used".into()))?;
        let row = format.first_row(text).map_err(|malformed| Raised(malformed.to_string()))?;
        let columns = self.found.get().unwrap_or(&self.columns);
        if self.autodetect && columns.is_empty() {
            self.learn(row.unwrap_or_default());
            event.cancel();
            return Ok(Outcome::Passed);
        }
        let Some(row) = row else { return self.empty(event) };
        if self.skip_header && !columns.is_empty() && is_header(columns, &row) {
            event.cancel();
            return Ok(Outcome::Passed);
        }
        self.store(row, columns, event)?;
        Ok(Outcome::Matched)
    }

    fn learn(&self, row: Row) {
        let names = row.into_iter().enumerate();
        let columns: Vec<Column> = names
            .map(|(at, name)| name.map_or_else(|| self.layout.numbered(at), |name| self.layout.column(&name)))
            .collect();
        if !columns.is_empty() {
            // When two workers find names at once, those that came first stay.
            let _second = self.found.set(columns);
        }
    }

    fn empty(&self, event: &mut Event) -> Result<Outcome, Raised> {
        if !self.skip_empty_rows {
            return Err(Raised("there is no row".into()));
        }
        event.tag("_csvskippedemptyfield");
        Ok(Outcome::Passed)
    }

    fn store(&self, row: Row, columns: &[Column], event: &mut Event) -> Result<(), Raised> {
        for (at, value) in row.into_iter().enumerate() {
            let is_empty = value.as_ref().is_none_or(|value| value.is_empty());
            if self.skip_empty_columns && is_empty {
                continue;
            }
            match columns.get(at) {
                Some(column) => column.set(value, event)?,
                None if self.autogenerate => self.layout.numbered(at).set(value, event)?,
                None => {}
            }
        }
        Ok(())
    }
}

fn is_header(columns: &[Column], row: &[Option<Text>]) -> bool {
    columns.len() == row.len() && columns.iter().zip(row).all(|(column, value)| value.as_ref() == Some(&column.name))
}

impl Column {
    fn set(&self, value: Option<Text>, event: &mut Event) -> Result<(), Raised> {
        let value = self.cell.value(value)?;
        Ok(event.set(&*self.field.path(event)?, value)?)
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::{filtered, mistakes};

    fn separated(options: &str, text: &str) -> String {
        filtered(
            &format!("csv {{ {options} source => '[@metadata][t]' }}"),
            &format!(r#"{{"@metadata":{{"t":"{text}"}}}}"#),
        )
    }

    #[test]
    fn columns_have_names_or_numbers() {
        assert_eq!(separated("", "a,,\\\"\\\""), r#"{"column1":"a","column2":null,"column3":""}"#);
        assert_eq!(separated("columns => ['x', '[y][z]']", "1,2,3"), r#"{"x":"1","y":{"z":"2"},"column3":"3"}"#);
        let target = "columns => ['x', '[y][z]'] target => 't' autogenerate_column_names => false";
        assert_eq!(separated(target, "1,2,3"), r#"{"t":{"x":"1","y":{"z":"2"}}}"#);
        assert_eq!(separated("skip_empty_columns => true", "a,,b"), r#"{"column1":"a","column3":"b"}"#);
    }

    #[test]
    fn headers_are_dropped() {
        assert_eq!(separated("columns => ['x', 'y'] skip_header => true", "x,y"), "");
        assert_eq!(separated("autodetect_column_names => true", "x,y"), "");
    }

    #[test]
    fn failures_are_tagged_and_columns_before_stay() {
        assert_eq!(separated("", ""), r#"{"tags":["_csvparsefailure"]}"#);
        assert_eq!(separated("skip_empty_rows => true", ""), r#"{"tags":["_csvskippedemptyfield"]}"#);
        assert_eq!(separated("quote_char => 'ab'", "a"), r#"{"tags":["_csvparsefailure"]}"#);
        let convert = "columns => ['x', 'y'] convert => { 'x' => 'integer' 'y' => 'boolean' }";
        assert_eq!(separated(convert, "1,"), r#"{"x":1,"tags":["_csvparsefailure"]}"#);
        assert_eq!(separated("columns => ['@timestamp'] add_tag => ok", "x"), r#"{"tags":["_csvparsefailure"]}"#);
    }

    #[test]
    fn only_texts_are_read() {
        assert_eq!(filtered("csv { }", r#"{"message":5}"#), r#"{"message":5,"tags":["_csvparsefailure"]}"#);
        assert_eq!(filtered("csv { add_tag => ok }", r#"{"message":null}"#), r#"{"message":null}"#);
    }

    #[test]
    fn unknown_types_are_refused() {
        assert_eq!(mistakes("csv { convert => { 'x' => 'long' } }"), ["csv can't convert to `long`"]);
    }
}
