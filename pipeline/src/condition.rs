//! Conditions: `if [status] >= 500 and "slow" in [tags]`, compiled once, with Logstash's truth tables.
//!
//! What surprises people is Logstash's and kept: equality is typed, membership is textual, a list of one element is a field
//! reference, and a comparison that can't be made drops the event. `-t` warns where a file runs into one of these.

use std::fmt;

use elkhound_config::ast::CompareOp;

use crate::event::Event;
use crate::filter::Context;
use crate::path::Path;
use crate::print;
use crate::regex::{Budget, Regex};
use crate::value::Value;

mod compare;
mod compile;

/// A compiled condition.
#[derive(Debug)]
pub enum Condition {
    /// Both.
    And(Box<Condition>, Box<Condition>),
    /// One or both.
    Or(Box<Condition>, Box<Condition>),
    /// Exactly one.
    Xor(Box<Condition>, Box<Condition>),
    /// Not both.
    Nand(Box<Condition>, Box<Condition>),
    /// Not.
    Not(Box<Condition>),
    /// The value is there and neither false, `""` nor `"false"`.
    Truthy(Operand),
    /// `==`, `!=`.
    Equal(Operand, Operand, Sense),
    /// `<`, `>`, `<=`, `>=`.
    Compare(Operand, CompareOp, Operand),
    /// `=~`, `!~`.
    Match(Operand, Box<Regex>, Sense),
    /// `in`, `not in`.
    In(Operand, Operand, Sense),
    /// Known when the pipeline is loaded.
    Constant(bool),
}

/// Whether a test asks for a thing or for its absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sense {
    /// `==`, `=~`, `in`.
    Is,
    /// `!=`, `!~`, `not in`.
    IsNot,
}

/// One side of a test.
#[derive(Debug)]
pub enum Operand {
    /// A field of the event.
    Field(Path),
    /// A constant.
    Constant(Value),
}

/// A comparison that can't be made: the event is dropped, as Logstash does, and the place is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomparable {
    /// The left side, as it reads in the file.
    pub left: String,
    /// The right side.
    pub right: String,
    /// What kinds of values met.
    pub kinds: (&'static str, &'static str),
}

impl Condition {
    /// Evaluates the condition.
    ///
    /// # Errors
    /// [`Incomparable`] when `<` and its like meet a missing value or values of different kinds.
    pub fn evaluate(&self, event: &Event, cx: &mut Context) -> Result<bool, Incomparable> {
        Ok(match self {
            Self::And(left, right) => left.evaluate(event, cx)? && right.evaluate(event, cx)?,
            Self::Or(left, right) => left.evaluate(event, cx)? || right.evaluate(event, cx)?,
            Self::Xor(left, right) => left.evaluate(event, cx)? ^ right.evaluate(event, cx)?,
            Self::Nand(left, right) => !(left.evaluate(event, cx)? && right.evaluate(event, cx)?),
            Self::Not(inner) => !inner.evaluate(event, cx)?,
            Self::Truthy(operand) => operand.value(event).is_some_and(compare::truthy),
            Self::Equal(left, right, sense) => sense.holds(compare::equal(left.value(event), right.value(event))),
            Self::Compare(left, op, right) => return compare_operands(left, *op, right, event),
            Self::Match(operand, regex, sense) => sense.holds(matches(operand.value(event), regex, cx)),
            Self::In(needle, hay, sense) => sense.holds(is_in(needle, hay, event)),
            Self::Constant(truth) => *truth,
        })
    }
}

impl Condition {
    /// The field references that it looks at, each once, in the order in which they stand there.
    pub fn fields(&self) -> Vec<&Path> {
        let mut fields = Vec::new();
        self.collect_fields(&mut fields);
        fields
    }

    fn collect_fields<'a>(&'a self, fields: &mut Vec<&'a Path>) {
        let mut operands = |operands: &[&'a Operand]| {
            for operand in operands {
                if let Operand::Field(path) = operand
                    && !fields.iter().any(|known| known.to_string() == path.to_string())
                {
                    fields.push(path);
                }
            }
        };
        match self {
            Self::And(left, right) | Self::Or(left, right) | Self::Xor(left, right) | Self::Nand(left, right) => {
                left.collect_fields(fields);
                right.collect_fields(fields);
            }
            Self::Not(inner) => inner.collect_fields(fields),
            Self::Truthy(operand) | Self::Match(operand, ..) => operands(&[operand]),
            Self::Equal(left, right, _) | Self::Compare(left, _, right) | Self::In(left, right, _) => {
                operands(&[left, right]);
            }
            Self::Constant(_) => {}
        }
    }
}

fn is_in(needle: &Operand, hay: &Operand, event: &Event) -> bool {
    let (left, right) = (needle.value(event), hay.value(event));
    let fields = matches!((needle, hay), (Operand::Field(_), Operand::Field(_)));
    // A field that holds no list and no text has another one in it when they are equal, null and null too.
    let plain = right.is_some_and(|right| !matches!(right, Value::List(_) | Value::Text(_)));
    compare::contains(left, right) || (fields && plain && compare::equal(left, right))
}

fn compare_operands(left: &Operand, op: CompareOp, right: &Operand, event: &Event) -> Result<bool, Incomparable> {
    let (a, b) = (left.value(event), right.value(event));
    let incomparable = || Incomparable {
        left: left.to_string(),
        right: right.to_string(),
        kinds: (compare::kind(a), compare::kind(b)),
    };
    let ordering = compare::order(a, b).ok_or_else(incomparable)?;
    Ok(ordering.is_some_and(|ordering| match op {
        CompareOp::Lt => ordering.is_lt(),
        CompareOp::Gt => ordering.is_gt(),
        CompareOp::Le => ordering.is_le(),
        CompareOp::Ge => ordering.is_ge(),
        CompareOp::Eq => ordering.is_eq(),
        CompareOp::Ne => ordering.is_ne(),
    }))
}

/// Only texts match; a pattern that uses up its budget counts as not matching: it must not stall other containers. That it did is left in the
/// context, for whoever knows the condition's place to tell.
fn matches(value: Option<&Value>, regex: &Regex, cx: &mut Context) -> bool {
    let Some(Value::Text(text)) = value else { return false };
    let found = regex.is_match(text, &mut cx.scratch, Budget::for_text(text.len()));
    found.unwrap_or_else(|_| {
        cx.given_up = true;
        false
    })
}

impl Sense {
    fn holds(self, truth: bool) -> bool {
        truth == (self == Self::Is)
    }
}

impl Operand {
    #[inline]
    fn value<'a>(&'a self, event: &'a Event) -> Option<&'a Value> {
        match self {
            Self::Field(path) => event.get(path),
            Self::Constant(value) => Some(value),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(path) => write!(f, "{path}"),
            Self::Constant(Value::Text(text)) => write!(f, "{:?}", text.as_str()),
            Self::Constant(value) => f.write_str(&print::ruby_text(value)),
        }
    }
}

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (left, right) = self.kinds;
        write!(f, "can't compare {} ({left}) with {} ({right})", self.left, self.right)
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::filtered;

    #[test]
    fn a_pattern_that_goes_astray_counts_as_no_match() {
        let event = format!(r#"{{"message":"{}!"}}"#, "a".repeat(16 << 10));
        let tagged = |tag: &str| format!("mutate {{ add_tag => '{tag}' }}");
        let section = format!(r"if [message] =~ /^(a+)+\1$/ {{ {} }} else {{ {} }}", tagged("yes"), tagged("no"));
        assert!(filtered(&section, &event).ends_with(r#""tags":["no"]}"#));
    }
}
