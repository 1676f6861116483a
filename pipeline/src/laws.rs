//! Laws that hold for all inputs, tried on random ones: what is written is read back, and what is taken apart is put together again.
//!
//! Where a law has an exception, the strategy leaves it out and says which. What random bytes find is the business of the fuzz targets.

use elkhound_config::parser::{self, Escapes};
use elkhound_config::print as render;
use elkhound_config::source::Source;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::codec::Usage;
use crate::codec::testing::{codec, shown};
use crate::event::Event;
use crate::event::stored::{Pack, unpack};
use crate::filter::testing::filtered;
use crate::json::{self, Numbers};
use crate::map::Map;
use crate::number::{Decimal, FloatText, parse_float};
use crate::path::Path;
use crate::regex::{Budget, Flags, Regex, Scratch};
use crate::time::{JodaFormat, Locale, Timestamp, Zone};
use crate::value::Value;

/// Enough to meet every alternative, and few enough that all laws together take seconds.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Names of fields that mean nothing to Logstash itself.
fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z_]{0,8}".prop_filter("tags are watched over", |name| name != "tags")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_filter("JSON has no other", |float| float.is_finite()).prop_map(Value::Float),
        ".{0,12}".prop_map(|text| Value::text(&text)),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::list),
            btree_map(".{0,6}", inner, 0..6).prop_map(|entries| map(entries).into()),
        ]
    })
}

fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Map {
    entries.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

fn event() -> impl Strategy<Value = Event> {
    btree_map(name(), value(), 0..6).prop_map(|fields| Event::from_fields(map(fields), Timestamp::default()))
}

/// A filter section of the language, in one of the ways in which it can be written.
fn section() -> impl Strategy<Value = String> {
    let plugin = (name(), vec((name(), setting()), 0..4)).prop_map(|(plugin, settings)| {
        let settings: Vec<_> = settings.iter().map(|(name, value)| format!("{name} => {value}")).collect();
        format!("{plugin}_x {{ {} }} ", settings.join(" "))
    });
    plugin.prop_recursive(3, 16, 3, |inner| {
        (condition(), vec(inner.clone(), 0..3), condition(), inner.clone(), inner).prop_map(
            |(first, body, second, other, last)| {
                format!("if {first} {{ {} }} else if {second} {{ {other} }} else {{ # why\n {last} }} ", body.concat())
            },
        )
    })
}

fn setting() -> impl Strategy<Value = String> {
    let text =
        prop_oneof!["\"[^\"\\\\]{0,8}\"", "'[^'\\\\]{0,8}'", "[a-z]{2,6}", "-?[1-9][0-9]{0,5}", "[1-9]\\.[0-9]{1,3}"];
    text.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| format!("[{}]", values.join(", "))),
            vec(inner, 0..3).prop_map(|values| {
                let entries = values.iter().enumerate().map(|(at, value)| format!("\"k{at}\" => {value} "));
                format!("{{ {} }}", entries.collect::<String>())
            }),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    let test = prop_oneof![
        "\\[[a-z]{1,4}\\]( (==|!=|<|>|<=|>=) ([1-9]|\"[a-z]{0,3}\"))?",
        "\\[[a-z]\\]\\[[a-z]\\] (=~|!~) /[a-z.]{1,4}/",
        "\"[a-z]{1,3}\" (in|not in) \\[[a-z]{1,4}\\]",
    ];
    test.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) and ({right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} or {right}")),
            inner.prop_map(|inner| format!("!({inner})")),
        ]
    })
}

/// The tree of a text without mistakes, printed.
fn printed(text: &str) -> String {
    let parsed = parser::parse(&Source::of("law.conf", text), Escapes::Kept);
    assert!(!parsed.has_errors(), "{text}\n{:?}", parsed.diagnostics);
    render::document(&parsed.document).unwrap_or_else(|| panic!("{text} can't be printed"))
}

/// What a filter section makes of the field `message`.
fn message(section: &str, text: &str) -> Value {
    made(section, text, "message")
}

/// The field `name` of an event with that `message`, filtered.
fn made(section: &str, text: &str, name: &str) -> Value {
    let mut event = Vec::new();
    json::write_map(&map([("message".to_owned(), Value::text(text))]), &mut event);
    let text = filtered(section, &String::from_utf8(event).unwrap());
    let Ok(Value::Map(fields)) = json::parse(&text, Numbers::Doubles) else { panic!("{text}") };
    fields.get(name).cloned().unwrap_or_default()
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_printed_tree_is_read_as_itself(body in section()) {
        let once = printed(&format!("filter {{ {body} }}"));
        prop_assert_eq!(printed(&once), once);
    }

    #[test]
    fn a_field_reference_is_made_of_its_names(names in vec("[^\\[\\],]{1,8}", 1..5)) {
        let written: String = names.iter().map(|name| format!("[{name}]")).collect();
        let path = Path::parse(&written).unwrap();
        prop_assert_eq!(path.to_string(), written.clone());
        let found: Vec<_> = path.keys().iter().map(|key| key.name.to_string()).collect();
        let expected = if names[0] == "@metadata" { &names[1..] } else { &names[..] };
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn json_reads_what_it_writes(value in value()) {
        let mut out = Vec::new();
        json::write_value(&value, &mut out);
        let text = String::from_utf8(out).unwrap();
        prop_assert_eq!(json::parse(&text, Numbers::Doubles).unwrap(), value, "{}", text);
    }

    #[test]
    fn packed_events_come_back_as_they_were(events in vec(event(), 0..5)) {
        let (mut pack, mut bytes, mut back) = (Pack::default(), Vec::new(), Vec::new());
        events.iter().for_each(|event| pack.push(event));
        pack.write(&mut bytes);
        unpack(&bytes, events.len(), &mut back).unwrap();
        let [back, events] = [&back, &events].map(|events| events.iter().map(shown).collect::<Vec<_>>());
        prop_assert_eq!(back, events);
    }

    #[test]
    fn msgpack_and_json_lines_read_what_they_write_however_it_is_cut(events in vec(event(), 1..4), cut in 1_usize..40) {
        for name in ["msgpack", "json_lines"] {
            let mut bytes = Vec::new();
            events.iter().for_each(|event| codec(name, Usage::Write).encode(event, &mut bytes));
            let (mut decoder, mut read) = (codec(name, Usage::Stream).decoder(), Vec::new());
            bytes.chunks(cut).for_each(|part| decoder.decode(part, Timestamp::default(), &mut read));
            decoder.flush(Timestamp::default(), &mut read);
            let [read, written] = [&read, &events].map(|events| events.iter().map(shown).collect::<Vec<_>>());
            prop_assert_eq!(read, written, "{}", name);
        }
    }

    #[test]
    fn csv_reads_quoted_values(values in vec("[^\0]{0,10}", 1..6)) {
        let quoted: Vec<_> = values.iter().map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
        let columns: Vec<_> = (0..values.len()).map(|at| format!("c{at}")).collect();
        let read = made(&format!("csv {{ columns => {columns:?} target => row }}"), &quoted.join(","), "row");
        let expected = values.iter().enumerate().map(|(at, value)| (format!("c{at}"), Value::text(value)));
        prop_assert_eq!(read, Value::from(map(expected)));
    }

    #[test]
    fn kv_reads_pairs(pairs in btree_map("[a-z]{1,6}", "[a-zA-Z0-9_./:-]{1,8}", 1..6)) {
        let text: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let expected = map(pairs.iter().map(|(key, value)| (key.clone(), Value::text(value))));
        prop_assert_eq!(message("kv { target => 'message' }", &text.join(" ")), Value::from(expected));
    }

    /// Empty parts at the end are dropped by Ruby.
    #[test]
    fn what_is_split_is_joined_again(text in "([a-z,é ]{0,9},)?[a-zé]{1,3}") {
        let section = "mutate { split => { 'message' => ',' } } mutate { join => { 'message' => ',' } }";
        prop_assert_eq!(message(section, &text), Value::text(&text));
    }

    #[test]
    fn urldecode_undoes_percent_encoding(text in ".{0,12}") {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        prop_assert_eq!(message("urldecode { }", &encoded), Value::text(&text));
    }

    #[test]
    fn an_escaped_text_matches_itself_and_nothing_around_it(text in ".{1,12}", before in "[a-z]{0,3}") {
        let regex = Regex::new(&Regex::escape(&text), Flags::default()).unwrap();
        let found = regex.find_at(&format!("{before}{text}"), before.len(), &mut Scratch::new(), Budget::UNLIMITED);
        prop_assert_eq!(found, Ok(Some((before.len(), before.len() + text.len()))));
    }

    #[test]
    fn a_date_is_read_as_it_was_printed(seconds in -62_135_596_800_i64..253_402_300_799, millis in 0_u32..1000) {
        let point = Timestamp::new(seconds, millis * 1_000_000);
        let zone = Zone::parse("Europe/Vienna").unwrap();
        let read = |pattern: &str, zone: &Zone| {
            let format = JodaFormat::new(pattern).unwrap();
            let mut text = String::new();
            format.format(point, zone, &mut text);
            (format.parse(&text, zone, Locale::english(), Timestamp::default()).ok(), text)
        };
        for pattern in ["yyyy-MM-dd'T'HH:mm:ss.SSSZ", "EEE, dd MMM yyyy HH:mm:ss.SSS Z", "yyyy-DDD kk:mm:ss,SSS ZZ"] {
            let (found, text) = read(pattern, &Zone::UTC);
            prop_assert_eq!(found, Some(point), "{}", text);
        }
        // Local mean time, before 1893, has offsets with seconds, and an hour that comes twice is the earlier one.
        let (found, text) = read("yyyy-MM-dd HH:mm:ss.SSS", &zone);
        let apart = found.map(|found| (point.seconds() - found.seconds()).abs());
        prop_assert!(matches!(apart, Some(0 | 3600)), "{} {:?}", text, found);
    }

    #[test]
    fn a_timestamp_is_read_as_it_was_written(seconds in 0_i64..253_402_300_799, nanos in 0_u32..1_000_000_000) {
        let point = Timestamp::new(seconds, nanos);
        let mut text = String::new();
        point.write_str(&mut text);
        prop_assert_eq!(Timestamp::parse(&text), Some(point), "{}", text);
    }

    #[test]
    fn doubles_are_read_as_they_were_printed(float in any::<f64>().prop_filter("others have no digits", |float| float.is_finite())) {
        for text in [FloatText::java(float).as_str().to_owned(), FloatText::ruby(float).as_str().to_owned()] {
            prop_assert_eq!(parse_float(&text).map(f64::to_bits), Some(float.to_bits()), "{}", text);
        }
    }

    #[test]
    fn a_decimal_is_worth_what_is_written(text in "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,12}([eE]-?[0-9]{1,2})?") {
        let decimal = Decimal::parse(&text).unwrap();
        // Java's decimals have no negative zero, so the two zeros count as one.
        prop_assert_eq!(decimal.to_f64(), text.parse::<f64>().unwrap());
        prop_assert_eq!(json::parse(&text, Numbers::Decimals).unwrap(), Value::Decimal(Box::new(decimal)));
    }
}
