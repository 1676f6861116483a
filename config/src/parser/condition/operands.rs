//! What Logstash's compiler makes of the sides of a comparison.
//!
//! It collects the pieces it knows from both sides, however deep they are nested, and takes the first ones, whatever was
//! meant. So a list on the right of `==` means its first string or number, and a call means the field in its parentheses.

use super::super::Parser;
use crate::ast::{CompareOp, Condition, Plugin, Rvalue, Span, Value, ValueKind};
use crate::diagnostic::Diagnostic;

/// One side of a comparison, as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    /// Anything but a call.
    Plain(Rvalue),
    /// The arguments of a call.
    Call(Vec<Operand>, Span),
}

impl Operand {
    /// The value, when it is no call.
    pub(super) fn into_plain(self) -> Option<Rvalue> {
        match self {
            Self::Plain(value) => Some(value),
            Self::Call(..) => None,
        }
    }

    fn span(&self) -> Span {
        match self {
            Self::Plain(value) => value.span(),
            Self::Call(_, span) => *span,
        }
    }

    fn is_list(&self) -> bool {
        matches!(self, Self::Plain(Rvalue::Array(..)))
    }

    /// The values themselves; those of a call are its arguments.
    fn collect<'a>(&'a self, found: &mut Vec<&'a Rvalue>) {
        match self {
            Self::Plain(value) => found.push(value),
            Self::Call(arguments, _) => arguments.iter().for_each(|argument| argument.collect(found)),
        }
    }

    fn all(&self) -> Vec<&Rvalue> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    /// What can be compared: fields, strings and numbers, those within lists included.
    fn comparands(&self) -> Vec<Rvalue> {
        let mut found = Vec::new();
        for value in self.all() {
            match value {
                Rvalue::Array(values, _) => values.iter().for_each(|value| constants(value, true, &mut found)),
                Rvalue::Regex(..) => {}
                other => found.push(other.clone()),
            }
        }
        found
    }

    /// What can be matched: fields, strings and regexes, strings within lists included.
    fn matchable(&self) -> Vec<Rvalue> {
        let mut found = Vec::new();
        for value in self.all() {
            match value {
                Rvalue::Array(values, _) => values.iter().for_each(|value| constants(value, false, &mut found)),
                Rvalue::Number(..) => {}
                other => found.push(other.clone()),
            }
        }
        found
    }
}

/// The strings, and the numbers if wanted, of a value in the order of the source.
fn constants(value: &Value, numbers: bool, found: &mut Vec<Rvalue>) {
    match &value.kind {
        ValueKind::String(text) => found.push(Rvalue::String(text.clone(), value.span)),
        ValueKind::Number(number) if numbers => found.push(Rvalue::Number(number.clone(), value.span)),
        ValueKind::Number(_) | ValueKind::Bareword(_) => {}
        ValueKind::Array(values) => values.iter().for_each(|value| constants(value, numbers, found)),
        ValueKind::Hash(entries) => {
            for (key, value) in entries {
                constants(key, numbers, found);
                constants(value, numbers, found);
            }
        }
        ValueKind::Plugin(plugin) => constants_of_plugin(plugin, numbers, found),
    }
}

fn constants_of_plugin(plugin: &Plugin, numbers: bool, found: &mut Vec<Rvalue>) {
    plugin.settings.iter().for_each(|setting| constants(&setting.value, numbers, found));
}

/// A string, a number, a list or a regex that stands for itself.
pub(super) fn constant(condition: &Condition) -> Option<Span> {
    match condition {
        Condition::Truthy(Rvalue::Field(..)) => None,
        Condition::Truthy(value) => Some(value.span()),
        _ => None,
    }
}

impl Parser<'_> {
    pub(super) fn compare(&mut self, left: &Operand, operator: CompareOp, right: &Operand) -> Option<Condition> {
        let mut lefts = left.comparands();
        let mut rights = right.comparands();
        if lefts.len() != 1 {
            self.no_side(left.span(), "on the left of a comparison");
            return None;
        }
        if rights.is_empty() {
            self.no_side(right.span(), "on the right of a comparison");
            return None;
        }
        if right.is_list() {
            let message = "a list is not compared as a whole: only its first element is looked at";
            let warning = Diagnostic::warning("list-comparison", right.span(), message);
            self.remark(warning.with_help("use `in` to look for one of several values"));
        }
        let (left, right) = (lefts.remove(0), rights.remove(0));
        self.warn_of_lone_element(&left, "write the element without brackets");
        self.warn_of_lone_element(&right, "write the element without brackets");
        Some(Condition::Compare(left, operator, right))
    }

    pub(super) fn matches(&mut self, left: &Operand, negated: bool, pattern: Rvalue) -> Option<Condition> {
        let mut lefts = left.matchable();
        if lefts.len() != 1 {
            self.no_side(left.span(), "on the left of a match");
            return None;
        }
        Some(Condition::Match(lefts.remove(0), negated, pattern))
    }

    pub(super) fn membership(&mut self, left: &Operand, negated: bool, right: &Operand) -> Option<Condition> {
        let span = left.span().to(right.span());
        let mut both = Vec::new();
        left.collect(&mut both);
        right.collect(&mut both);
        let [item, list, ..] = both.as_slice() else {
            self.no_side(span, "with `in`");
            return None;
        };
        self.warn_of_membership(item, list);
        Some(Condition::In((*item).clone(), negated, (*list).clone()))
    }

    fn warn_of_membership(&mut self, item: &Rvalue, list: &Rvalue) {
        match (item, list) {
            (_, list @ Rvalue::Field(..)) => {
                self.warn_of_lone_element(list, "compare with `==`, or name the element twice");
            }
            (Rvalue::Field(..), _) => {}
            (item, list) => {
                let message = "`in` with constants on both sides is always false";
                self.remark(Diagnostic::warning("constant-membership", item.span().to(list.span()), message));
            }
        }
    }

    fn warn_of_lone_element(&mut self, value: &Rvalue, help: &str) {
        let Rvalue::Field(reference, span) = value else { return };
        if is_quoted_list(reference) {
            let message = format!("{reference} is a reference to a field, not a list of one element");
            self.remark(Diagnostic::warning("one-element-list", *span, message).with_help(help));
        }
    }

    /// An operand without any operator.
    pub(super) fn truth(&mut self, operand: Operand) -> Option<Condition> {
        match operand {
            Operand::Plain(Rvalue::Regex(_, span)) => {
                let mistake = Diagnostic::error("lonely-regex", span, "a regex alone is no condition");
                self.remark(mistake.with_help("match a field with it: [message] =~ /…/"));
                None
            }
            Operand::Plain(value) => Some(Condition::Truthy(value)),
            Operand::Call(_, span) => {
                let fields: Vec<&Rvalue> =
                    operand.all().into_iter().filter(|value| matches!(value, Rvalue::Field(..))).collect();
                let [field] = fields.as_slice() else {
                    self.no_side(span, "as a condition");
                    return None;
                };
                let message = "Logstash takes this call for the field in its parentheses";
                let warning = Diagnostic::warning("call", span, message);
                self.remark(warning.with_help("to negate a condition, write !( … )"));
                Some(Condition::Truthy((*field).clone()))
            }
        }
    }

    fn no_side(&mut self, place: Span, what: &str) {
        let text = self.lexer.slice(place).to_owned();
        let message = format!("`{text}` can't stand {what}");
        self.remark(Diagnostic::error("bad-operand", place, message).with_help("write a field, a string or a number"));
    }

    /// Logstash refuses a constant beside any operator.
    pub(super) fn refuse_constant(&mut self, condition: &Condition, operator: &str) {
        let Some(place) = constant(condition) else { return };
        let text = self.lexer.slice(place).to_owned();
        let message = format!("the constant {text} can't stand beside {operator}");
        let mistake = Diagnostic::error("lonely-constant", place, message);
        self.remark(mistake.with_help("compare a field with it"));
    }
}

/// `["x"]` or `[5]`: looks like a list, and is a field.
fn is_quoted_list(reference: &str) -> bool {
    let inner = reference[1..].trim_start();
    inner.starts_with(['"', '\'']) || inner.trim_end_matches(']').trim().parse::<f64>().is_ok()
}
