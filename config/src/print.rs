//! A tree as text again, laid out anew: what is read from that text is the same tree.
//!
//! Comments are not in the tree and are lost; so are the quotes that a text had, and parentheses that say nothing.

use std::fmt::Write;

use crate::ast::{
    Branch, CompareOp, Condition, Document, Plugin, Rvalue, SectionKind, Setting, Statement, Value, ValueKind,
};

/// The whole text; nothing when a text of the tree can't be put in quotes, as one with both kinds of them that was made by escapes.
pub fn document(document: &Document) -> Option<String> {
    let mut printer = Printer { out: String::new(), depth: 0, quotable: true };
    for section in &document.sections {
        printer.open(match section.kind {
            SectionKind::Input => "input",
            SectionKind::Filter => "filter",
            SectionKind::Output => "output",
        });
        printer.statements(&section.body);
        printer.close();
    }
    printer.quotable.then_some(printer.out)
}

struct Printer {
    out: String,
    depth: usize,
    quotable: bool,
}

impl Printer {
    fn line(&mut self, text: &str) {
        // Writing to a String never fails.
        let _ = writeln!(self.out, "{:indent$}{text}", "", indent = 2 * self.depth);
    }

    fn open(&mut self, head: &str) {
        self.line(&format!("{head} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    fn statements(&mut self, statements: &[Statement]) {
        for statement in statements {
            match statement {
                Statement::Plugin(plugin) => self.plugin(plugin),
                Statement::Branch(branch) => self.branch(branch),
            }
        }
    }

    fn plugin(&mut self, plugin: &Plugin) {
        self.open(&plugin.name);
        for setting in &plugin.settings {
            let text = self.setting(setting);
            self.line(&text);
        }
        self.close();
    }

    fn branch(&mut self, branch: &Branch) {
        for (at, arm) in branch.arms.iter().enumerate() {
            let condition = self.condition(&arm.condition);
            self.open(&format!("{} {condition}", if at == 0 { "if" } else { "else if" }));
            self.statements(&arm.body);
            self.close();
        }
        if let Some(otherwise) = &branch.otherwise {
            self.open("else");
            self.statements(otherwise);
            self.close();
        }
    }

    fn setting(&mut self, setting: &Setting) -> String {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        let bare = !setting.name.is_empty() && setting.name.chars().all(plain);
        let name = if bare { setting.name.clone() } else { self.quoted(&setting.name) };
        format!("{name} => {}", self.value(&setting.value))
    }

    fn value(&mut self, value: &Value) -> String {
        match &value.kind {
            ValueKind::Bareword(word) => word.clone(),
            ValueKind::String(text) => self.quoted(text),
            ValueKind::Number(number) => number.text.clone(),
            ValueKind::Array(values) => format!("[{}]", self.values(values)),
            ValueKind::Hash(entries) => {
                let entry = |(key, value): &(Value, Value)| format!("{} => {}", self.value(key), self.value(value));
                format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
            ValueKind::Plugin(plugin) => {
                let settings = plugin.settings.iter().map(|setting| self.setting(setting)).collect::<Vec<_>>();
                format!("{} {{ {} }}", plugin.name, settings.join(" "))
            }
        }
    }

    fn values(&mut self, values: &[Value]) -> String {
        values.iter().map(|value| self.value(value)).collect::<Vec<_>>().join(", ")
    }

    /// In the quotes that it does not hold itself, but behind a backslash, where they close nothing.
    fn quoted(&mut self, text: &str) -> String {
        match ['"', '\''].into_iter().find(|quote| !closes_early(text, *quote)) {
            Some(quote) => format!("{quote}{text}{quote}"),
            None => {
                self.quotable = false;
                String::new()
            }
        }
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Or(left, right) => self.pair(left, "or", right),
            Condition::And(left, right) => self.pair(left, "and", right),
            Condition::Xor(left, right) => self.pair(left, "xor", right),
            Condition::Nand(left, right) => self.pair(left, "nand", right),
            Condition::Not(inner) => format!("!({})", self.condition(inner)),
            Condition::Compare(left, op, right) => {
                format!("{} {} {}", self.rvalue(left), operator(*op), self.rvalue(right))
            }
            Condition::Match(left, negated, right) => {
                let op = if *negated { "!~" } else { "=~" };
                format!("{} {op} {}", self.rvalue(left), self.rvalue(right))
            }
            Condition::In(left, negated, right) => {
                let op = if *negated { "not in" } else { "in" };
                format!("{} {op} {}", self.rvalue(left), self.rvalue(right))
            }
            Condition::Truthy(value) => self.rvalue(value),
        }
    }

    fn pair(&mut self, left: &Condition, operator: &str, right: &Condition) -> String {
        format!("({}) {operator} ({})", self.condition(left), self.condition(right))
    }

    fn rvalue(&mut self, value: &Rvalue) -> String {
        match value {
            Rvalue::Field(reference, _) => reference.clone(),
            Rvalue::String(text, _) => self.quoted(text),
            Rvalue::Number(number, _) => number.text.clone(),
            Rvalue::Array(values, _) => format!("[{}]", self.values(values)),
            Rvalue::Regex(pattern, _) => format!("/{pattern}/"),
        }
    }
}

/// Whether a text in these quotes would end before its end, or not at its end.
fn closes_early(text: &str, quote: char) -> bool {
    let mut before = None;
    for letter in text.chars() {
        if letter == quote && before != Some('\\') {
            return true;
        }
        before = Some(letter);
    }
    before == Some('\\')
}

fn operator(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "==",
        CompareOp::Ne => "!=",
        CompareOp::Lt => "<",
        CompareOp::Gt => ">",
        CompareOp::Le => "<=",
        CompareOp::Ge => ">=",
    }
}

#[cfg(test)]
mod tests {
    use crate::parser::Escapes;
    use crate::source::Source;

    fn printed(text: &str) -> String {
        let parsed = crate::parse(&Source::of("a.conf", text), Escapes::Kept);
        assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
        super::document(&parsed.document).unwrap()
    }

    #[test]
    fn a_printed_tree_is_read_as_the_same_tree() {
        let text = r#"input{stdin{codec=>json{charset=>"UTF-8"}}} # lost
filter { if [a] and [b] and [c] or ![d] { mutate{ "add_field"=>{"a"=>'say "b"' c1=>[1, -2.50,dd]} rename=>{'x'=>"y\"z"} } }
  else if [e] not in ["f","g"] or [h] =~ /i\/j/ { drop{} } else if !([k] == 010 or "l" in [m]) { } else { } } output { }"#;
        let once = printed(text);
        assert_eq!(printed(&once), once);
        let expected = "input {\n  stdin {\n    codec => json { charset => \"UTF-8\" }\n  }\n}\n";
        assert!(once.starts_with(expected), "{once}");
        assert!(once.contains("  if ([a]) and ((([b]) and ([c])) or (!([d]))) {\n"), "{once}");
    }

    #[test]
    fn a_text_that_no_quotes_can_hold_is_said() {
        let parsed = crate::parse(&Source::of("a.conf", r#"filter { drop { id => "a\"b'c" } }"#), Escapes::Processed);
        assert_eq!(super::document(&parsed.document), None);
    }
}
