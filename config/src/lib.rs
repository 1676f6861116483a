//! The configuration language of Logstash: text in, tree and mistakes out.
//!
//! - [`source`]: the files of a pipeline, joined; the way from an offset back to file, line and column.
//! - [`lexer`], [`token`]: pieces of text.
//! - [`parser`], [`ast`]: the tree. Parsing never stops at the first mistake.
//! - [`env`](mod@env): `${NAME:default}`, with the lookup passed in.
//! - [`options`]: how a plugin reads its settings.
//! - [`diagnostic`], [`render`]: a mistake as a value and as text.
//! - [`print`](mod@print): the tree as text again.
//! - [`suggest`]: the name that was probably meant.
//!
//! The crate knows no plugin, opens no file and has no dependencies. What a pipeline means is the business of
//! `elkhound-pipeline`.
//!
//! ```
//! use elkhound_config::ast::Statement;
//! use elkhound_config::parser::Escapes;
//! use elkhound_config::source::Source;
//!
//! let source = Source::of("nginx.conf", r#"filter { if [type] == "nginx" { grok { match => { message => "%{WORD:verb}" } } } }"#);
//! let parsed = elkhound_config::parse(&source, Escapes::Kept);
//! assert!(!parsed.has_errors());
//! let [Statement::Branch(branch)] = parsed.document.sections[0].body.as_slice() else { panic!() };
//! let [Statement::Plugin(grok)] = branch.arms[0].body.as_slice() else { panic!() };
//! assert_eq!(grok.name, "grok");
//! assert_eq!(source.place(grok.span.start).to_string(), "nginx.conf:1:33");
//! ```

pub mod ast;
pub mod diagnostic;
pub mod env;
pub mod lexer;
pub mod options;
pub mod parser;
pub mod print;
pub mod render;
pub mod source;
pub mod suggest;
pub mod token;

pub use parser::parse;
