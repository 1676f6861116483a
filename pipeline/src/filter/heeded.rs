//! Options that no example and no recorded case shows at work: each has its effect, or its acceptance, here.

use std::io;
use std::path::{Path, PathBuf};

use super::geoip::city_database;
use super::testing::{Loaded, filtered_with};
use crate::setup::{Ecs, Setup};

/// The files that plugins find: two of grok's patterns under one name, user agents, networks, a dictionary, a database.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("/own/first.grok") => Ok(b"LETTERS a+".to_vec()),
        Some("/own/second.txt") => Ok(b"LETTERS b+".to_vec()),
        Some("/agents.yml") => Ok(AGENTS.as_bytes().to_vec()),
        Some("/nets") => Ok(b"10.0.0.0/8".to_vec()),
        Some("/words.csv") => Ok(b"a,1\nb,2".to_vec()),
        Some("/city.mmdb") => Ok(city_database()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

const AGENTS: &str = "user_agent_parsers:\n  - regex: '(Shop)/(\\d+)'\nos_parsers:\n  - regex: '(Nix)'\ndevice_parsers:\n  - regex: '(Box)'\n";

fn list_files(names: &str) -> io::Result<Vec<PathBuf>> {
    Ok(match names {
        "/own/*" => vec!["/own/first.grok".into(), "/own/second.txt".into()],
        "/own/*.grok" | "/own/first.grok" => vec!["/own/first.grok".into()],
        _ => Vec::new(),
    })
}

fn setup() -> Setup<'static> {
    Setup { read_file: &read_file, list_files: &list_files, ..Setup::without_files(Ecs::V8) }
}

/// Sections with an event and what becomes of it.
fn check(cases: &[(&str, &str, &str)]) {
    for (section, event, expected) in cases {
        assert_eq!(filtered_with(section, event, &setup()), *expected, "{section}");
    }
}

#[test]
fn a_filter_has_an_ecs_mode_of_its_own() {
    check(&[
        ("clone { clones => 'x' }", r#"{"m":1}"#, "{\"m\":1}\n{\"m\":1,\"tags\":[\"x\"]}"),
        ("clone { clones => 'x' ecs_compatibility => disabled }", r#"{"m":1}"#, "{\"m\":1}\n{\"m\":1,\"type\":\"x\"}"),
        (
            "fingerprint { source => 'm' method => PUNCTUATION ecs_compatibility => disabled }",
            r#"{"m":"a,b!"}"#,
            r#"{"m":"a,b!","fingerprint":",!"}"#,
        ),
        (
            "fingerprint { source => 'm' method => PUNCTUATION ecs_compatibility => v1 }",
            r#"{"m":"a,b!"}"#,
            r#"{"m":"a,b!","event":{"hash":",!"}}"#,
        ),
        (
            "syslog_pri { use_labels => false ecs_compatibility => disabled }",
            r#"{"syslog_pri":"34"}"#,
            r#"{"syslog_pri":"34","syslog_severity_code":2,"syslog_facility_code":4}"#,
        ),
        ("split { field => 'l' ecs_compatibility => disabled }", r#"{"l":["a","b"]}"#, "{\"l\":\"a\"}\n{\"l\":\"b\"}"),
        (
            "geoip { source => ip database => '/city.mmdb' fields => city_name ecs_compatibility => disabled }",
            r#"{"ip":"10.1.1.1"}"#,
            r#"{"ip":"10.1.1.1","geoip":{"city_name":"Linz"}}"#,
        ),
    ]);
}

#[test]
fn useragent_takes_patterns_and_a_prefix() {
    check(&[(
        "useragent { source => ua ecs_compatibility => disabled prefix => 'x_' regexes => '/agents.yml' lru_cache_size => 1 }",
        r#"{"ua":"Shop/7 Nix Box"}"#,
        r#"{"ua":"Shop/7 Nix Box","x_name":"Shop","x_device":"Box","x_major":"7","x_version":"7","x_os_name":"Nix","x_os":"Nix","x_os_full":"Nix"}"#,
    )]);
    let refused = Loaded::new("useragent { source => ua lru_cache_size => 0 }", &setup()).mistakes;
    assert_eq!(refused, ["the cache can't hold 0 answers"]);
}

#[test]
fn grok_takes_the_files_that_the_glob_names() {
    let section = |options: &str| format!("grok {{ {options} match => {{ 'm' => '^%{{LETTERS:x}}$' }} }}");
    for (options, matched) in [
        ("patterns_dir => '/own' patterns_files_glob => '*.grok'", "aa"),
        ("patterns_dir => '/own/first.grok'", "aa"),
        ("patterns_dir => '/own/'", "bb"),
    ] {
        for text in ["aa", "bb"] {
            let shown = filtered_with(&section(options), &format!(r#"{{"m":"{text}"}}"#), &setup());
            assert_eq!(shown.contains(r#""x":"#), text == matched, "{options}: {shown}");
        }
    }
}

#[test]
fn tags_of_failures_can_be_named() {
    check(&[
        (
            "urldecode { field => '[a][b]' tag_on_failure => ['u', 'v'] }",
            r#"{"a":"x"}"#,
            r#"{"a":"x","tags":["u","v"]}"#,
        ),
        (
            "geoip { source => ip target => 'g' database => '/city.mmdb' cache_size => 10 tag_on_failure => nowhere }",
            r#"{"ip":"11.1.1.1"}"#,
            r#"{"ip":"11.1.1.1","g":{},"tags":["nowhere"]}"#,
        ),
    ]);
    let event = format!(r#"{{"message":"k={}"}}"#, "a".repeat(4 << 10));
    let slow = r"kv { field_split_pattern => '(?:(?=(a+))a\1?)*b' timeout_millis => 5 tag_on_timeout => slow }";
    assert!(filtered_with(slow, &event, &setup()).ends_with(r#""tags":["slow"]}"#));
}

#[test]
fn files_are_read_again_as_the_options_say() {
    let every = |section: &str| {
        let loaded = Loaded::new(section, &setup());
        assert_eq!(loaded.mistakes, Vec::<String>::new(), "{section}");
        loaded.plan.filters()[0].watched().map(|watched| watched.every.as_secs())
    };
    let translate = "source => 'm' target => 'n' dictionary_path => '/words.csv'";
    assert_eq!(every(&format!("translate {{ {translate} }}")), Some(300));
    assert_eq!(every(&format!("translate {{ {translate} refresh_interval => 7 }}")), Some(7));
    assert_eq!(every(&format!("translate {{ {translate} refresh_interval => 0 }}")), None);
    assert_eq!(every("cidr { address => '%{ip}' network_path => '/nets' }"), Some(600));
    assert_eq!(every("cidr { address => '%{ip}' network_path => '/nets' refresh_interval => 9 }"), Some(9));
}

#[test]
fn a_dictionary_that_is_read_again_replaces_the_old_one_or_is_merged_into_it() {
    let translate = "source => 'm' target => 'n' dictionary_path => '/words.csv' yaml_load_strategy => streaming yaml_dictionary_code_point_limit => 5";
    for (behaviour, kept) in [("", true), ("refresh_behaviour => merge", true), ("refresh_behaviour => replace", false)]
    {
        let loaded = Loaded::new(&format!("translate {{ {translate} {behaviour} }}"), &setup());
        loaded.plan.filters()[0].refresh(b"b,3").unwrap();
        assert_eq!(loaded.filtered(r#"{"m":"b"}"#), r#"{"m":"b","n":"3"}"#, "{behaviour}");
        assert_eq!(loaded.filtered(r#"{"m":"a"}"#).contains(r#""n":"1""#), kept, "{behaviour}");
    }
}
