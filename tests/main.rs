//! The one integration binary: it speaks only to the built agent, as an operator would.
//!
//! Tests marked `ignored` need a real Docker engine and a real Elasticsearch; `make test` provides both and runs them. They fail,
//! and never pass quietly, where a part is missing.

#![allow(clippy::unwrap_used, reason = "in a test a panic is how failure is told")]

mod api;
mod cases;
mod cli;
mod conformance;
mod contained;
mod crates;
mod dashboards;
mod dead_letters;
mod delivery;
mod deploy;
mod diagnostics;
mod docker;
mod docs;
mod doctor;
mod faults;
mod harness;
mod indexing;
mod inputs;
mod lifecycle;
mod outputs;
mod page;
mod pipelines;
mod queue;
mod rejection;
mod reload;
mod settings;
mod setup;
mod several;
mod shutdown;
mod spill;
mod tidy;
mod versions;
