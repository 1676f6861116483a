//! Plans for tests.

use elkhound_config::parser::{self, Escapes};
use elkhound_config::source::Source;

use super::{Plan, compile};
use crate::setup::{Ecs, Setup};

/// The plan of a text without a mistake.
pub(super) fn plan(text: &str) -> Plan {
    let source = Source::of("p.conf", text);
    let parsed = parser::parse(&source, Escapes::Kept);
    let setup = Setup::without_files(Ecs::V8);
    let mut diagnostics = parsed.diagnostics;
    let plan = compile(&parsed.document, &source, &setup, Box::new(|_| {}), &mut diagnostics).plan;
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    plan
}
