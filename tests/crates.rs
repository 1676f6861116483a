//! Whose work elkhound is built of: what may be given on under which licence, and where it comes from. As `cargo deny` checks it, which is no tool of Rust's own.
//!
//! Whether a crate has become known as vulnerable, it leaves out: the list of these is on the web and not in a registry.

use std::process::Command;

use serde_json::Value;

use crate::harness::repository;

/// Licences that let a program be given on under Apache-2.0, with no more than their texts.
const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// The one registry.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn crates() -> Vec<Value> {
    // Of other platforms nothing has been fetched by whoever built this test.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", &platform])
        .arg("--manifest-path")
        .arg(repository("Cargo.toml"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Whether one of the alternatives of each part is accepted.
fn is_accepted(licence: &str) -> bool {
    let licence = licence.replace('/', " OR ");
    let named = |word: &str| ACCEPTED.contains(&word.trim_matches(['(', ')', ' ']));
    licence.split(" AND ").all(|part| part.split(" OR ").any(named))
}

#[test]
fn every_crate_may_be_given_on_and_comes_from_the_registry() {
    let all = crates();
    assert!(all.len() > 100, "only {} crates", all.len());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for one in &all {
        let (name, licence) = (text(&one["name"]), text(&one["license"]));
        assert!(is_accepted(&licence), "{name}: the licence `{licence}` was not thought about");
        assert!(one["source"].is_null() || one["source"] == REGISTRY, "{name} comes from {}", one["source"]);
    }
    let own = all.iter().filter(|one| one["source"].is_null()).count();
    assert_eq!(own, 3, "the three packages of the workspace are here, and all others come from elsewhere");
}

#[test]
fn a_licence_is_accepted_by_all_its_parts() {
    for (licence, accepted) in [
        ("MIT OR GPL-3.0", true),
        ("MIT/Apache-2.0", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("", false),
    ] {
        assert_eq!(is_accepted(licence), accepted, "{licence}");
    }
}
