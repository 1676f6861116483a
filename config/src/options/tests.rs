//! Settings as written, and what a plugin gets of them.

use super::*;
use crate::ast::Statement;
use crate::parser::Escapes;
use crate::render;
use crate::source::Source;

const COMMON: &[OptionSpec] =
    &[spec("add_field", OptionKind::Hash), spec("add_tag", OptionKind::Array), spec("id", OptionKind::String)];

const OWN: &[OptionSpec] = &[
    spec("any", OptionKind::Any),
    spec("codec", OptionKind::Codec),
    spec("count", OptionKind::Number),
    spec("field", OptionKind::FieldReference),
    spec("flag", OptionKind::Boolean),
    spec("mode", OptionKind::OneOf(&["fast", "slow"])),
    spec("numbers", OptionKind::List(&OptionKind::Number)),
    spec("old", OptionKind::Deprecated("use `text`", &OptionKind::String)),
    spec("size", OptionKind::Bytes),
    spec("text", OptionKind::String),
    spec("type", OptionKind::Obsolete("use `text`")),
];

const fn spec(name: &'static str, kind: OptionKind) -> OptionSpec {
    OptionSpec { name, kind, default: "", required: false, help: "" }
}

/// Reads the settings with `read`; the second part is what was reported.
fn with<T>(settings: &str, read: impl FnOnce(&Options<'_>) -> T) -> (T, String) {
    let source = Source::of("c", &format!("filter {{ x1 {{ {settings} }} }}"));
    let parsed = crate::parse(&source, Escapes::Kept);
    assert_eq!(parsed.diagnostics, [], "{settings}");
    let Statement::Plugin(plugin) = &parsed.document.sections[0].body[0] else { panic!("{settings}") };
    let mut diagnostics = Vec::new();
    let options = Options::new(plugin, &[OWN, COMMON], &mut diagnostics);
    let result = read(&options);
    options.finish();
    (result, render::all(&diagnostics, &source, false))
}

/// What the getter gives for settings without a mistake.
fn read<T>(settings: &str, read: impl FnOnce(&Options<'_>) -> T) -> T {
    let (result, mistakes) = with(settings, read);
    assert_eq!(mistakes, "", "{settings}");
    result
}

fn mistakes(settings: &str) -> usize {
    with(settings, |_| ()).1.matches(": error[").count()
}

#[test]
fn texts_are_taken_from_whatever_is_one_value() {
    let text = |settings: &str| read(settings, |options| options.text("text"));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(text(""), None);
    assert_eq!(text("text => []"), None);
    assert_eq!(text("text => word"), some("word"));
    assert_eq!(text("text => 010"), some("8"));
    assert_eq!(text("text => 1.50"), some("1.5"));
    assert_eq!(text("text => [\"a\"]"), some("a"));
    assert_eq!(text("text => [{ \"a\" => 1 }]"), some("{\"a\" => 1}"));
    assert_eq!(text("text => { \"a\" => { \"b\" => 1 } }"), some("[\"a\", {\"b\" => 1}]"));
    assert_eq!(text("text => \"a\" text => \"a\""), some("a"));
    assert_eq!(mistakes("text => [\"a\", \"b\"]"), 1);
    assert_eq!(mistakes("text => \"a\" text => \"b\""), 1);
    assert_eq!(mistakes("text => json { }"), 1);
}

#[test]
fn numbers_and_booleans_may_stand_in_quotes() {
    let numbers =
        |settings: &str| read(settings, |options| (options.integer("count", 7), options.number("count", 7.0)));
    assert_eq!(numbers(""), (7, 7.0));
    assert_eq!(numbers("count => \"12\""), (12, 12.0));
    assert_eq!(numbers("count => [2.5]"), (2, 2.5));
    assert_eq!(mistakes("count => \"1_000\" flag => 3"), 2);
    assert_eq!(mistakes("flag => maybe"), 1);
    assert_eq!(mistakes("flag => []"), 1);
    assert!(read("flag => true", |options| options.boolean("flag", false)));
    assert!(!read("flag => \"false\"", |options| options.boolean("flag", true)));
    assert!(read("", |options| options.boolean("flag", true)));
    assert_eq!(read("size => \"10 KiB\"", |options| options.bytes("size", 1)), 10_240);
    assert_eq!(mistakes("size => much"), 1);
}

#[test]
fn lists_are_made_of_anything_and_joined() {
    let texts = |settings: &str| read(settings, |options| options.texts_or("add_tag", &["default"]));
    assert_eq!(texts(""), ["default"]);
    assert_eq!(texts("add_tag => []"), [""; 0]);
    assert_eq!(texts("add_tag => aa"), ["aa"]);
    assert_eq!(texts("add_tag => [aa, 1] add_tag => bb"), ["aa", "1", "bb"]);
    assert_eq!(texts("add_tag => aa add_tag => bb add_tag => [cc]"), ["aa", "bb", "cc"]);
    assert_eq!(texts("add_tag => aa add_tag => [bb]"), ["aa", "[\"bb\"]"]);
    assert_eq!(texts("add_tag => { \"a\" => \"b\" }"), ["[\"a\", \"b\"]"]);
    let merged = texts("add_tag => { \"a\" => \"b\" } add_tag => [\"cc\"]");
    assert_eq!(merged, ["[\"cc\", nil]", "[\"a\", \"b\"]"]);
    assert_eq!(texts("add_tag => [x1 { a => b1 }, cc]"), ["b1", "cc"]);
    assert_eq!(read("numbers => [1, \"2\"]", |options| options.texts("numbers")), ["1", "2"]);
    assert_eq!(mistakes("numbers => [1, aa]"), 1);
}

#[test]
fn hashes_stand_in_the_order_of_java_and_lists_in_their_own() {
    let keys = |settings: &str| {
        read(settings, |options| options.hash("add_field").into_iter().map(|(key, _)| key).collect::<Vec<_>>())
    };
    assert_eq!(keys("add_field => { \"x1\" => 1 \"y1\" => 2 \"z1\" => 3 }"), ["z1", "y1", "x1"]);
    assert_eq!(
        keys("add_field => { \"x1\" => 1 } add_field => { \"y1\" => 2 } add_field => { \"z1\" => 3 }"),
        ["z1", "y1", "x1"]
    );
    assert_eq!(keys("add_field => [\"x1\", 1, \"y1\", 2, \"z1\", 3]"), ["x1", "y1", "z1"]);
    assert_eq!(keys("add_field => []"), [""; 0]);
    assert_eq!(mistakes("add_field => \"x\""), 1);
    assert_eq!(mistakes("add_field => [aa, bb, cc]"), 1);
}

#[test]
fn values_of_one_key_are_gathered() {
    let entries = |settings: &str| read(settings, |options| options.hash_of_texts("add_field"));
    let one =
        |values: &[&str]| vec![("k".to_owned(), values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())];
    assert_eq!(entries("add_field => { \"k\" => \"a\" } add_field => { \"k\" => \"b\" }"), one(&["a", "b"]));
    assert_eq!(entries("add_field => { \"k\" => \"a\" } add_field => { \"k\" => \"a\" }"), one(&["a"]));
    assert_eq!(
        entries("add_field => { \"k\" => [\"a\"] } add_field => { \"k\" => [\"a\", \"b\"] }"),
        one(&["a", "a", "b"])
    );
    assert_eq!(entries("add_field => [\"k\", \"a\", \"k\", \"b\"]"), one(&["a", "b"]));
    assert_eq!(entries("add_field => { \"k\" => \"a\" 'k' => \"b\" }"), one(&["b"]));
}

#[test]
fn words_codecs_and_references_are_checked() {
    assert_eq!(read("mode => slow", |options| options.text("mode")), Some("slow".to_owned()));
    assert_eq!(mistakes("mode => fasd"), 1);
    assert_eq!(mistakes("mode => []"), 1);
    assert_eq!(read("field => \"[a][b]\"", |options| options.text("field")), Some("[a][b]".to_owned()));
    assert_eq!(mistakes("field => \"[a\""), 1);
    assert_eq!(mistakes("field => -1"), 1);
    assert_eq!(mistakes("field => [[\"a\"]]"), 1);
    let codec = |settings: &str| {
        read(settings, |options| options.codec("codec").map(|codec| (codec.name.clone(), codec.settings.len())))
    };
    assert_eq!(codec("codec => json"), Some(("json".to_owned(), 0)));
    assert_eq!(codec("codec => \"json\""), Some(("json".to_owned(), 0)));
    assert_eq!(codec("codec => json { target => \"x\" }"), Some(("json".to_owned(), 1)));
    assert_eq!(mistakes("id => [\"a\"]"), 1);
    assert_eq!(mistakes("type => \"x\""), 1);
}

#[test]
fn mistakes_are_explained() {
    let expected = "\
c:1:15: error[unknown-option]: x1 has no option `ad_tag`
  1 | filter { x1 { ad_tag => aa mode => fasd old => \"x\" } }
    |               ^^^^^^
  help: did you mean `add_tag`?

c:1:36: error[bad-value]: `mode` of x1: expected `fast` or `slow`, found `fasd`
  1 | filter { x1 { ad_tag => aa mode => fasd old => \"x\" } }
    |                                    ^^^^
  help: did you mean `fast`?

c:1:41: warning[deprecated-option]: the option `old` of x1 is deprecated
  1 | filter { x1 { ad_tag => aa mode => fasd old => \"x\" } }
    |                                         ^^^
  help: use `text`
";
    assert_eq!(with("ad_tag => aa mode => fasd old => \"x\"", |_| ()).1, expected);
}

#[test]
fn required_options_must_be_given() {
    const NEEDY: &[OptionSpec] = &[OptionSpec {
        name: "source",
        kind: OptionKind::String,
        default: "",
        required: true,
        help: "the field to read",
    }];
    let report = |text: &str| {
        let source = Source::of("c", text);
        let parsed = crate::parse(&source, Escapes::Kept);
        let Statement::Plugin(plugin) = &parsed.document.sections[0].body[0] else { panic!("{text}") };
        let mut diagnostics = Vec::new();
        let mut options = Options::new(plugin, &[NEEDY], &mut diagnostics);
        options.fail("source", "it is not good", "");
        assert!(!options.finish());
        diagnostics
            .iter()
            .map(|found| format!("{}: {}", source.place(found.span.start), found.message))
            .collect::<Vec<_>>()
    };
    assert_eq!(report("filter { json { } }"), ["c:1:10: json needs the option `source`", "c:1:10: it is not good"]);
    assert_eq!(report("filter { json { source => [] } }").len(), 2);
    assert_eq!(report("filter { json { source => aa } }"), ["c:1:27: it is not good"]);
}
