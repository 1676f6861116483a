//! What a pattern of the user's may cost, and the options that say so. The sets are held against recordings in `library/tests.rs`.

use crate::filter::testing::{filtered, mistakes};

/// 64 KiB that nearly match.
fn long_line() -> String {
    format!(r#"{{"message":"{}!"}}"#, "a".repeat(64 << 10))
}

fn tags(section: &str, event: &str) -> String {
    let shown = filtered(section, event);
    shown.split_once(r#""tags":"#).map_or("none", |(_, tags)| tags).trim_end_matches('}').to_owned()
}

#[test]
fn a_pattern_that_is_only_nested_is_linear_and_never_times_out() {
    for pattern in ["^(a+)+$", "^(?:a|aa)+$", "(?:a*)*b", "^(?<x>(a|a?)+)+$"] {
        let section = format!(r#"grok {{ match => {{ "message" => "{pattern}" }} timeout_millis => 1000 }}"#);
        assert_eq!(tags(&section, &long_line()), r#"["_grokparsefailure"]"#, "{pattern}");
    }
}

#[test]
fn references_and_look_arounds_end_with_the_time_out() {
    for pattern in [r"^(a+)+\1$", r"(?:(?=(a+))a\1?)*b", r"(?:a(?=.*!)|a(?!.*c))+[^a!]", r"^(?<r>(a|a\g<r>?)+)$"] {
        let section = format!(r#"grok {{ match => {{ "message" => "{pattern}" }} timeout_millis => 20 }}"#);
        assert_eq!(tags(&section, &long_line()), r#"["_groktimeout"]"#, "{pattern}");
    }
    let section = r#"grok { match => { "message" => "^(a+)+\1$" } timeout_millis => 20 tag_on_timeout => "slow" }"#;
    assert_eq!(tags(section, &long_line()), r#"["slow"]"#);
}

#[test]
fn the_scope_says_whether_patterns_share_their_time() {
    // Each of the slow ones takes a little more than half of what 1 ms is worth.
    let event = format!(r#"{{"message":"{}"}}"#, "a".repeat(150));
    let section = |scope: &str| {
        let slow = r"^(a+)(a+)\1!";
        format!(
            r#"grok {{ match => {{ "message" => ["{slow}", "{slow}?!", "{slow}+!", "^a"] }} timeout_millis => 1 timeout_scope => "{scope}" }}"#
        )
    };
    assert_eq!(tags(&section("pattern"), &event), "none");
    assert_eq!(tags(&section("event"), &event), r#"["_groktimeout"]"#);
}

#[test]
fn what_ruby_refuses_is_refused_by_name() {
    let refused =
        |pattern: &str| mistakes(&format!(r#"grok {{ match => {{ "message" => "{pattern}" }} }}"#)).join("\n");
    for (pattern, said) in [
        ("(?<=a+)b", "look-behind"),
        ("(?<n>a", "group has no end"),
        ("[z-a]", "range z-a"),
        (r"\k<nobody>", "group `nobody`"),
        ("(?~a+)", "the absent operator"),
        (r"\p{Klingon}", "property `Klingon`"),
    ] {
        assert!(refused(pattern).contains(said), "{pattern}: {}", refused(pattern));
    }
}
