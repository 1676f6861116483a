//! Events and what happens to them: the middle of the line, between the agent's inputs and outputs.
//!
//! | module | what it holds |
//! |---|---|
//! | [`event`], [`value`], [`map`], [`text`] | the event and what it is made of |
//! | [`path`], [`template`], [`condition`] | field references, `%{}` texts, conditions: compiled once, evaluated often |
//! | [`filter`], [`codec`] | the plugins, one file each, and their tables |
//! | [`decoration`] | the common options of inputs |
//! | [`plan`] | the tree of a pipeline file made executable; the one meeting point of language and plugins |
//! | [`flow`] | queue, workers, batches and receipts |
//! | [`regex`], [`ruby`], [`time`], [`number`], [`json`], [`print`] | Ruby's regular expressions and texts, Joda's dates, Java's numbers, JSON, texts as Logstash prints them |
//! | [`yaml`] | YAML files, with the place of everything where it is needed |
//! | [`setup`], [`docs`] | what plugins are told when a pipeline is loaded, and what they tell about themselves |
//!
//! Nothing here opens a socket or a file or reads the wall clock: the agent passes those in.

pub mod codec;
pub mod condition;
pub mod decoration;
pub mod docs;
pub mod event;
pub mod filter;
pub mod flow;
pub mod json;
#[cfg(test)]
mod laws;
pub mod map;
pub mod number;
pub mod path;
pub mod plan;
pub mod print;
pub mod random;
pub mod regex;
pub mod ruby;
pub mod setup;
pub mod template;
pub mod text;
pub mod time;
pub mod value;
pub mod yaml;
