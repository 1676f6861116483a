//! `${NAME}` and `${NAME:default}` in the values of settings and in the strings of conditions.
//!
//! Names of settings and keys of hashes are left alone, as Logstash does. What is put in is not looked through again.
//! The crate reads no environment and no file of a secret: the lookup is passed in.

use std::fmt;

use crate::ast::{Condition, Document, Plugin, Rvalue, Span, Statement, Value, ValueKind};
use crate::diagnostic::Diagnostic;

/// Finds a variable's value. It may be none; an error says why there should be one that can't be read.
pub type Lookup<'a> = dyn Fn(&str) -> Result<Option<String>, String> + 'a;

/// A variable without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    name: String,
    /// Why it can't be read; nothing when it is not set.
    reason: Option<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            None => write!(f, "the variable `{}` is not set and has no default", self.name),
            Some(reason) => write!(f, "the variable `{}` has no value: {reason}", self.name),
        }
    }
}

impl Missing {
    /// The diagnostic's short name.
    pub fn code(&self) -> &'static str {
        if self.reason.is_some() { "unreadable-variable" } else { "unset-variable" }
    }

    /// The way out.
    pub fn help(&self) -> String {
        match &self.reason {
            None => format!("set it, or write a default: ${{{}:default}}", self.name),
            Some(_) => "make the file one that elkhound may read".to_owned(),
        }
    }
}

/// Replaces all variables of a pipeline; one without value and default is reported.
pub fn substitute(document: &mut Document, lookup: &Lookup<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut substitution = Substitution { lookup, diagnostics };
    for section in &mut document.sections {
        substitution.statements(&mut section.body);
    }
}

/// The text with its variables replaced.
///
/// # Errors
/// The first variable that has neither a value nor a default, or whose value can't be read.
pub fn expand(text: &str, lookup: &Lookup<'_>) -> Result<String, Missing> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        expanded.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(variable) = Variable::parse(rest) else {
            expanded.push_str("${");
            rest = &rest[2..];
            continue;
        };
        let missing = |reason| Missing { name: variable.name.to_owned(), reason };
        let value = lookup(variable.name).map_err(|reason| missing(Some(reason)))?;
        let value = value.or_else(|| variable.default.map(str::to_owned));
        expanded.push_str(&value.ok_or_else(|| missing(None))?);
        rest = &rest[variable.length..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A variable at the beginning of a text.
struct Variable<'a> {
    name: &'a str,
    default: Option<&'a str>,
    length: usize,
}

impl<'a> Variable<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let inner = text.strip_prefix("${")?;
        let end = inner.find(|next: char| !(next.is_ascii_alphanumeric() || next == '_' || next == '.'))?;
        let (name, rest) = inner.split_at(end);
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        if rest.starts_with('}') {
            return Some(Self { name, default: None, length: end + 3 });
        }
        let default = rest.strip_prefix(':')?;
        let default = &default[..default.find('}')?];
        Some(Self { name, default: Some(default), length: end + default.len() + 4 })
    }
}

struct Substitution<'a> {
    lookup: &'a Lookup<'a>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Substitution<'_> {
    fn statements(&mut self, statements: &mut [Statement]) {
        for statement in statements {
            match statement {
                Statement::Plugin(plugin) => self.plugin(plugin),
                Statement::Branch(branch) => {
                    for arm in &mut branch.arms {
                        self.condition(&mut arm.condition);
                        self.statements(&mut arm.body);
                    }
                    self.statements(branch.otherwise.as_deref_mut().unwrap_or_default());
                }
            }
        }
    }

    fn plugin(&mut self, plugin: &mut Plugin) {
        plugin.settings.iter_mut().for_each(|setting| self.value(&mut setting.value));
    }

    fn value(&mut self, value: &mut Value) {
        match &mut value.kind {
            ValueKind::String(text) => self.text(text, value.span),
            ValueKind::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            ValueKind::Hash(entries) => entries.iter_mut().for_each(|(_, value)| self.value(value)),
            ValueKind::Plugin(plugin) => self.plugin(plugin),
            ValueKind::Bareword(_) | ValueKind::Number(_) => {}
        }
    }

    fn condition(&mut self, condition: &mut Condition) {
        match condition {
            Condition::Or(left, right)
            | Condition::And(left, right)
            | Condition::Xor(left, right)
            | Condition::Nand(left, right) => {
                self.condition(left);
                self.condition(right);
            }
            Condition::Not(inner) => self.condition(inner),
            Condition::Compare(left, _, right) | Condition::Match(left, _, right) | Condition::In(left, _, right) => {
                self.rvalue(left);
                self.rvalue(right);
            }
            Condition::Truthy(value) => self.rvalue(value),
        }
    }

    fn rvalue(&mut self, value: &mut Rvalue) {
        match value {
            Rvalue::String(text, span) => self.text(text, *span),
            Rvalue::Array(values, _) => values.iter_mut().for_each(|value| self.value(value)),
            Rvalue::Field(..) | Rvalue::Number(..) | Rvalue::Regex(..) => {}
        }
    }

    fn text(&mut self, text: &mut String, span: Span) {
        if !text.contains("${") {
            return;
        }
        match expand(text, self.lookup) {
            Ok(expanded) => *text = expanded,
            Err(missing) => {
                let mistake = Diagnostic::error(missing.code(), span, missing.to_string());
                self.diagnostics.push(mistake.with_help(missing.help()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::Escapes;
    use crate::source::Source;

    fn lookup(name: &str) -> Result<Option<String>, String> {
        match name {
            "SET" | "a.b" => Ok(Some(format!("<{name}>"))),
            "LOST" => Err("f can't be read".to_owned()),
            _ => Ok(None),
        }
    }

    #[test]
    fn variables_are_replaced() {
        let expanded = |text: &str| expand(text, &lookup).map_err(|missing| missing.to_string());
        assert_eq!(expanded("x${SET}y${a.b}"), Ok("x<SET>y<a.b>".to_owned()));
        assert_eq!(expanded("${SET:d} ${NOT:d e} ${NOT:}."), Ok("<SET> d e .".to_owned()));
        assert_eq!(expanded("${NOT}"), Err("the variable `NOT` is not set and has no default".to_owned()));
        assert_eq!(expanded("${LOST:d}"), Err("the variable `LOST` has no value: f can't be read".to_owned()));
        assert_eq!(
            expanded("$SET ${} ${1A} ${SET ${-} ${é} ${SET:x"),
            Ok("$SET ${} ${1A} ${SET ${-} ${é} ${SET:x".to_owned())
        );
        assert_eq!(expand("${X}", &|_| Ok(Some("${SET}".to_owned()))), Ok("${SET}".to_owned()));
    }

    #[test]
    fn values_and_conditions_are_substituted_and_keys_are_not() {
        let text = r#"filter { if [a] == "${SET}" { x1 { "${SET}" => { "${SET}" => ["${SET}"] } codec => json { c => "${NOT}" } } } }"#;
        let source = Source::of("c", text);
        let mut parsed = crate::parse(&source, Escapes::Kept);
        substitute(&mut parsed.document, &lookup, &mut parsed.diagnostics);
        let printed = format!("{:?}", parsed.document);
        assert_eq!(printed.matches("<SET>").count(), 2);
        assert_eq!(printed.matches("${SET}").count(), 2);
        let [mistake] = parsed.diagnostics.as_slice() else { panic!("{:?}", parsed.diagnostics) };
        assert_eq!(mistake.message, "the variable `NOT` is not set and has no default");
    }
}
