//! What is accepted, what is refused, what the tree looks like, and that nothing makes the parser fall over.

use super::*;
use crate::ast::{CompareOp, Condition, NumberValue, Rvalue, SectionKind, Statement, Value, ValueKind};
use crate::render;

fn parsed(text: &str) -> Parsed {
    parse(&Source::of("c", text), Escapes::Kept)
}

fn codes(text: &str) -> Vec<&'static str> {
    parsed(text).diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

fn rendered(text: &str) -> String {
    let source = Source::of("c", text);
    render::all(&parse(&source, Escapes::Kept).diagnostics, &source, false)
}

/// The value of the one setting of the one plugin.
fn value(text: &str) -> ValueKind {
    let parsed = parsed(&format!("filter {{ m {{ a => {text} }} }}"));
    assert_eq!(parsed.diagnostics, [], "{text}");
    let Statement::Plugin(plugin) = &parsed.document.sections[0].body[0] else { panic!("{text}") };
    plugin.settings[0].value.kind.clone()
}

/// A condition in a short form of its own, with parentheses everywhere.
fn condition(text: &str) -> String {
    let parsed = parsed(&format!("filter {{ if {text} {{ }} }}"));
    assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
    let Statement::Branch(branch) = &parsed.document.sections[0].body[0] else { panic!("{text}") };
    short(&branch.arms[0].condition)
}

fn short(condition: &Condition) -> String {
    let two = |left: &Condition, word: &str, right: &Condition| format!("({} {word} {})", short(left), short(right));
    match condition {
        Condition::And(left, right) => two(left, "and", right),
        Condition::Or(left, right) => two(left, "or", right),
        Condition::Xor(left, right) => two(left, "xor", right),
        Condition::Nand(left, right) => two(left, "nand", right),
        Condition::Not(inner) => format!("!{}", short(inner)),
        Condition::Compare(left, op, right) => format!("{} {op:?} {}", side(left), side(right)),
        Condition::Match(left, negated, right) => {
            format!("{} {} {}", side(left), if *negated { "!~" } else { "=~" }, side(right))
        }
        Condition::In(left, negated, right) => {
            format!("{} {} {}", side(left), if *negated { "not-in" } else { "in" }, side(right))
        }
        Condition::Truthy(value) => side(value),
    }
}

fn side(value: &Rvalue) -> String {
    match value {
        Rvalue::Field(reference, _) => reference.clone(),
        Rvalue::String(text, _) => format!("'{text}'"),
        Rvalue::Number(number, _) => number.text.clone(),
        Rvalue::Regex(text, _) => format!("/{text}/"),
        Rvalue::Array(values, _) => format!("{:?}", values.iter().map(Value::text).collect::<Vec<_>>()),
    }
}

#[test]
fn odd_but_legal_configurations_are_accepted() {
    let accepted = [
        "",
        "# only a comment",
        "\r\n\t # x\n",
        "filter{}",
        "filter{}filter { }input{}",
        "filter { mutate{}mutate { } mutate {\n} }",
        "filter{mutate{add_field=>{\"a\"=>\"b\"\"c\"=>'d'}}}",
        "filter { m { \"a\" => 1 'b' => -2.5 c-d => [ ] 5 => {} } }",
        "filter { m { a # x\n => # y\n [ # z\n \"b\" # u\n , c1 ] # v\n } } # }",
        "filter { m { a => if b => and c => filter } }",
        "filter { m { a => { \"x\" => 1 'x' => 2 } } }",
        "filter { if [a] { } else { } }",
        "filter { if[a]{}else if[b]{}elseif[c]{}else{} }",
        "filter { if2 { } ifconfig { } else_thing { } }",
        "filter { m { a => \"multi\nline\" } }",
        "input { x1 { codec => json { a => b1 } codec => c1 } }",
        "output { m { a => [x1 { b => c1 }] } }",
        "filter { filter { } }",
    ];
    for text in accepted {
        assert_eq!(parsed(text).diagnostics, [], "{text}");
    }
}

#[test]
fn what_logstash_refuses_is_refused() {
    let refused = [
        ("filter { m { a => b } }", "one-letter"),
        ("filter { m { a => foo-bar } }", "unexpected"),
        ("filter { m { a => 1e5 } }", "unexpected"),
        ("filter { m { a => +5 } }", "missing-value"),
        ("filter { m { a => 5. } }", "bad-number"),
        ("filter { m { a => 089 } }", "bad-number"),
        ("filter { m { a => 9223372036854775808 } }", "bad-number"),
        ("filter { m { a => { 1 => 2 } } }", "number-key"),
        ("filter { m { a => { \"b\" => c1 { } } } }", "plugin-in-hash"),
        ("filter { m { a => { \"b\" => 1 \"b\" => 2 } } }", "duplicate-key"),
        ("filter { m { a => { \"b\" => 1, \"c\" => 2 } } }", "stray-comma"),
        ("filter { m { a => 1, b => 2 } }", "stray-comma"),
        ("filter { m { a => [1, 2,] } }", "trailing-comma"),
        ("filter { m { a => [1 2] } }", "unexpected"),
        ("filter { m { a => 1b1 => 2 } }", "unexpected"),
        ("filter { m { a => \"1\"b1 => 2 } }", "open-string"),
        ("filter { m { a => \"1\"# x\n b1 => 2 } }", "missing-space"),
        ("filter { m { a : 1 } }", "other-arrow"),
        ("filter { m { a = > 1 } }", "other-arrow"),
        ("filter { m { a 1 } }", "missing-arrow"),
        ("filter { m { a => } }", "unexpected"),
        ("filter { \"m\" { } }", "quoted-plugin"),
        ("filter { m { a => \"x\\\\\" } }", "open-string"),
        ("filter { m { a => \"x } }", "open-string"),
        ("filter { m { } ", "unclosed-block"),
        ("filter { m { } } }", "stray-brace"),
        ("filters { m { } }", "unexpected"),
        ("Filter { m { } }", "unexpected"),
        ("hello filter { }", "unexpected"),
        ("filter filter { }", "unexpected"),
        ("\u{feff}filter { }", "unexpected"),
        ("filter {\u{a0}}", "unexpected"),
        ("# a\rb\nfilter { }", "unexpected"),
        ("// no\nfilter { }", "unexpected"),
        ("filter { filter { m { } } }", "unclosed-block"),
        ("filter { else { } }", "stray-else"),
        ("filter { if [a] { } else { } else { } }", "stray-else"),
        ("filter { if [a] { } elsif [b] { } }", "unexpected"),
        ("filter { if { } }", "unexpected"),
        ("filter { if () { } }", "unexpected"),
        ("filter { if [a { } }", "open-field"),
        ("filter { if ([a] { } }", "open-parenthesis"),
        ("filter { if [a] = 1 { } }", "unexpected"),
        ("filter { if [a] == yes { } }", "unexpected"),
        ("filter { if [a] && [b] { } }", "unexpected"),
        ("filter { if [a] AND [b] { } }", "unexpected"),
        ("filter { if not [a] { } }", "unexpected"),
        ("filter { if not ([a] == 1) { } }", "unexpected"),
        ("filter { if !\"a\" in [b] { } }", "bad-negation"),
        ("filter { if [a] not\tin [b] { } }", "unexpected"),
        ("filter { if [a] in (\"b\") { } }", "unexpected"),
        ("filter { if [a] =~ [b] { } }", "unexpected"),
        ("filter { if [a] =~ /b { } }", "open-regex"),
        ("filter { if /a/ { } }", "lonely-regex"),
        ("filter { if [a] and \"b\" { } }", "lonely-constant"),
        ("filter { if !(1) { } }", "lonely-constant"),
        ("filter { if [a] and [b] xor [c] { } }", "mixed-operators"),
        ("filter { if [a] nand [b] nand [c] { } }", "mixed-operators"),
        ("filter { if [\"a\", \"b\"] == [c] { } }", "bad-operand"),
        ("filter { if [a] == [b1, c1] { } }", "bad-operand"),
        ("filter { if 5 =~ /a/ { } }", "bad-operand"),
        ("filter { if foo([a], [b]) { } }", "bad-operand"),
        ("filter { if foo([a], \"b\") == 5 { } }", "bad-operand"),
    ];
    for (text, code) in refused {
        assert!(parsed(text).has_errors(), "{text}");
        assert_eq!(codes(text).first(), Some(&code), "{text}\n{}", rendered(text));
    }
}

#[test]
fn values_are_what_ruby_makes_of_them() {
    let number = |text: &str| match value(text) {
        ValueKind::Number(number) => number.value,
        other => panic!("{other:?}"),
    };
    assert_eq!(number("010"), NumberValue::Integer(8));
    assert_eq!(number("-010"), NumberValue::Integer(-8));
    assert_eq!(number("00"), NumberValue::Integer(0));
    assert_eq!(number("-9223372036854775808"), NumberValue::Integer(i64::MIN));
    assert_eq!(number("010.50"), NumberValue::Float(10.5));
    assert_eq!(value(r#""a\"b\n""#), ValueKind::String(r#"a\"b\n"#.to_owned()));
    assert_eq!(value("_1"), ValueKind::Bareword("_1".to_owned()));
}

#[test]
fn escapes_are_processed_on_demand() {
    let source = Source::of("c", r#"filter { m { "a\n" => "b\n" } if [c] == 'd\t' { } }"#);
    let printed = format!("{:?}", parse(&source, Escapes::Processed).document);
    assert!(
        printed.contains(r#"String("b\n")"#)
            && printed.contains(r#"String("d\t""#)
            && printed.contains(r#"name: "a\\n""#),
        "{printed}"
    );
}

#[test]
fn precedence_is_that_of_logstash() {
    let cases = [
        ("[a] and [b] or [c]", "(([a] and [b]) or [c])"),
        ("[a] or [b] and [c]", "([a] or ([b] and [c]))"),
        ("[a] and [b] and [c] or [d]", "([a] and (([b] and [c]) or [d]))"),
        ("[a] and [b] or [c] and [d]", "(([a] and [b]) or ([c] and [d]))"),
        ("[a] or [b] or [c]", "([a] or ([b] or [c]))"),
        ("[a] xor ([b] nand [c])", "([a] xor ([b] nand [c]))"),
        ("![a] and !([b] or ![c])", "(![a] and !([b] or ![c]))"),
        ("([a])", "[a]"),
        ("[a]and[b]or or([c])", "(([a] and [b]) or [c])"),
    ];
    for (text, expected) in cases {
        assert_eq!(condition(text), expected, "{text}");
    }
}

#[test]
fn comparisons_take_the_first_piece_they_know() {
    let cases = [
        ("[a][b] == \"c\"", "[a][b] Eq 'c'"),
        ("5<=[a]", "5 Le [a]"),
        ("[a] == [\"b\", \"c\"]", "[a] Eq 'b'"),
        ("[a] == [b1, 5]", "[a] Eq 5"),
        ("[a] in [\"b\"]", "[a] in [\"b\"]"),
        ("[a] in [b1, \"c\", 5]", "[a] in [\"b1\", \"c\", \"5\"]"),
        ("\"b\" not in [a]", "'b' not-in [a]"),
        ("[a] !~ /b\\/c/", "[a] !~ /b\\/c/"),
        ("[a] =~ \"b\"", "[a] =~ 'b'"),
        ("not ([a])", "[a]"),
        ("foo([a]) == 5", "[a] Eq 5"),
        ("\"x\"", "'x'"),
        ("[]", "[]"),
        ("[a\nb]", "[a\nb]"),
    ];
    for (text, expected) in cases {
        assert_eq!(condition(text), expected, "{text}");
    }
}

#[test]
fn traps_are_warned_of() {
    let cases = [
        ("[a] in [\"b\"]", "one-element-list"),
        ("[a] not in [5]", "one-element-list"),
        ("[a] == [\"b\"]", "one-element-list"),
        ("\"a\" in [\"b\", \"c\"]", "constant-membership"),
        ("[a] == [\"b\", \"c\"]", "list-comparison"),
        ("[a] and [b] and [c] or [d]", "precedence"),
        ("not ([a])", "call"),
    ];
    for (text, code) in cases {
        assert_eq!(codes(&format!("filter {{ if {text} {{ }} }}")), [code], "{text}");
    }
    assert_eq!(codes("filter { if [a] in [b] and [c] in [\"d\", \"e\"] { } }"), [""; 0]);
}

#[test]
fn spans_lead_back_to_the_text() {
    let text = "input { a1 { } }\nfilter { if [x] == 1 { m { \"n\" => [b1] } } else { } }";
    let document = parsed(text).document;
    let slice = |span: Span| &text[span.start as usize..span.end as usize];
    assert_eq!(document.sections[1].kind, SectionKind::Filter);
    assert_eq!(slice(document.sections[0].span), "input { a1 { } }");
    let Statement::Branch(branch) = &document.sections[1].body[0] else { panic!() };
    assert_eq!(slice(branch.span), "if [x] == 1 { m { \"n\" => [b1] } } else { }");
    assert_eq!(slice(branch.arms[0].span), "[x] == 1 { m { \"n\" => [b1] } }");
    assert_eq!(slice(branch.arms[0].condition.span()), "[x] == 1");
    assert!(matches!(&branch.arms[0].condition, Condition::Compare(_, CompareOp::Eq, _)));
    let Statement::Plugin(plugin) = &branch.arms[0].body[0] else { panic!() };
    assert_eq!([slice(plugin.span), slice(plugin.name_span)], ["m { \"n\" => [b1] }", "m"]);
    assert_eq!([slice(plugin.settings[0].name_span), slice(plugin.settings[0].value.span)], ["\"n\"", "[b1]"]);
}

#[test]
fn one_run_shows_all_mistakes() {
    let text = "filter {\n  grok {\n    match = > \"x\"\n    tag => [a1, b1,]\n  }\n  if [a] = 1 { }\n  m { a => { \"b\" => c } }\n}\n}\n";
    let places: Vec<(usize, &str)> = {
        let source = Source::of("c", text);
        let diagnostics = parse(&source, Escapes::Kept).diagnostics;
        diagnostics.iter().map(|found| (source.place(found.span.start).line, found.code)).collect()
    };
    let expected =
        [(3, "other-arrow"), (4, "trailing-comma"), (6, "unexpected"), (7, "one-letter"), (9, "stray-brace")];
    assert_eq!(places, expected);
}

#[test]
fn what_follows_a_mistake_is_understood() {
    let text = "filter { m { a => foo-bar b1 => 2 } x1 { c = 3 } if [d] == e { y1 { } } z1 { } }";
    let document = parsed(text).document;
    let names: Vec<&str> = document.sections[0]
        .body
        .iter()
        .map(|statement| match statement {
            Statement::Plugin(plugin) => plugin.name.as_str(),
            Statement::Branch(_) => "if",
        })
        .collect();
    assert_eq!(names, ["m", "x1", "if", "z1"]);
}

#[test]
fn mistakes_are_explained() {
    let expected = "\
c:2:23: error[open-string]: the \" of this string don't match up
  2 |   m { a => [\"x1\", b1, \"y1] }
    |                       ^^^
  3 |   n1 { b => \"z1\" }
    |              ^^ it ends right before this
  help: is a \" missing, or is there one too many in it?
";
    assert_eq!(rendered("filter {\n  m { a => [\"x1\", b1, \"y1] }\n  n1 { b => \"z1\" }\n}\n"), expected);

    let expected = "\
c:4:1: error[unclosed-block]: the file ends before the `}` of `filter`
  4 |
    | ^
  2 |   if [a] {
    |          ^ this block is probably the one that lost its `}`
  3 | }
    | ^ for it was closed here, by a brace that is indented for another block
  help: add a `}`
";
    assert_eq!(rendered("filter {\n  if [a] {\n}\n"), expected);

    let expected = "\
c:1:23: error[unexpected]: expected a setting or `}`, found `.`
  1 | filter { m { a => 10.0.0.1 } }
    |                       ^
  help: put quotes around it: \"10.0.0.1\"
";
    assert_eq!(rendered("filter { m { a => 10.0.0.1 } }"), expected);
}

const SAMPLES: [&str; 3] = [
    "input { docker { hosts => [\"a\", 'b'] codec => json { target => \"x\" } } }\n\
     filter {\n  # c\n  if ![a] and ([b][c] == \"d\" or [e] not in [f1, -5.25]) { grok { match => { \"m\" => \"%{X:y}\\\"\" n1 => [] } } }\n\
     else if \"x\" in [tags] xor [z] =~ /a\\/b/ { drop { } } else { mutate { \"add\" => 010 } }\n}\noutput { stdout { } }\n",
    "filter{mutate{add_field=>{\"a\"=>\"b\"\"c\"=>'d'}}if[a]{}elseif foo([b],1)!~'x'{}}",
    "filter { m { a => \"ż\u{feff}“\" b = > c: d == [é, %{x}] } } }",
];

#[test]
fn no_prefix_and_no_lost_character_makes_it_fall_over() {
    for sample in SAMPLES {
        for (at, letter) in sample.char_indices() {
            let rest = &sample[at + letter.len_utf8()..];
            for text in [sample[..at].to_owned(), rest.to_owned(), format!("{}{rest}", &sample[..at])] {
                rendered(&text);
            }
        }
    }
}

#[test]
fn no_inserted_character_makes_it_fall_over() {
    let intruders = [
        "\"", "'", "/", "{", "}", "[", "]", "(", ")", "#", "=>", ",", "!", "if ", "else ", "é", "\\", "\n", "%{",
        "not ",
    ];
    for sample in SAMPLES {
        for (at, _) in sample.char_indices() {
            for intruder in intruders {
                rendered(&format!("{}{intruder}{}", &sample[..at], &sample[at..]));
            }
        }
    }
}

#[test]
fn depth_and_length_are_limited() {
    for piece in ["a{", "if [a] {", "m { a => [", "m { a => {b1 => ", "if (", "if !(", "if aa(", "if [[", "else {"] {
        let text = format!("filter {{ {}", piece.repeat(20_000));
        assert!(parsed(&text).has_errors(), "{piece}");
    }
    let nested = |depth: usize| format!("filter {{ {} {} }}", "if [a] {".repeat(depth), "}".repeat(depth));
    assert_eq!(codes(&nested(DEPTH_LIMIT - 3)), [""; 0]);
    assert_eq!(codes(&nested(DEPTH_LIMIT + 1)), ["too-deep"]);
    let chain = |length: usize| format!("filter {{ if {} [b] {{ }} }}", "[a] and ".repeat(length));
    assert_eq!(codes(&chain(OPERATOR_LIMIT)), [""; 0]);
    assert_eq!(codes(&chain(OPERATOR_LIMIT + 1)), ["too-long"]);
}

#[test]
fn the_number_of_mistakes_is_limited() {
    let text = format!("filter {{ {} }}", "m { a = 1 }\n".repeat(500));
    assert_eq!(parsed(&text).diagnostics.len(), ERROR_LIMIT);
}

#[test]
fn several_files_are_one_configuration() {
    let mut source = Source::default();
    source.add("1.conf", "filter { m {");
    source.add("2.conf", "} } filter { n = 1 }");
    let diagnostics = parse(&source, Escapes::Kept).diagnostics;
    assert_eq!(source.place(diagnostics[0].span.start).to_string(), "2.conf:1:16");
}
