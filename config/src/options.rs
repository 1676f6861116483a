//! How a plugin reads its settings.
//!
//! A plugin declares its options in a table. [`Options::new`] holds the settings of one plugin against the tables, by
//! Logstash's rules: settings that come twice are merged, each value is made what its option wants, unknown and missing
//! ones are reported. After that the getters can't fail: a setting that was wrong counts as unset, and its mistake
//! has been reported.
//!
//! Variables (`${NAME}`) have been replaced before, by [`crate::env`].

mod coerce;
mod java_order;
mod ruby;

use crate::ast::{Plugin, Setting, Span, Value, ValueKind};
use crate::diagnostic::Diagnostic;
use crate::suggest;

/// One row of a plugin's table.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// The name in pipeline files.
    pub name: &'static str,
    /// What may be given.
    pub kind: OptionKind,
    /// What holds when it is not set, for the documentation; the plugin's own code gives it to the getter.
    pub default: &'static str,
    /// Whether the plugin can't do without it.
    pub required: bool,
    /// One line, lower case, for the documentation.
    pub help: &'static str,
}

impl OptionSpec {
    /// Whether it is known only to say what took its place.
    pub fn is_obsolete(&self) -> bool {
        matches!(self.kind, OptionKind::Obsolete(_))
    }
}

/// What may be given for an option; Logstash's validators.
#[derive(Clone, Copy, Debug)]
pub enum OptionKind {
    /// Whatever is written.
    Any,
    /// One text. A number is one; a list of one element, too.
    String,
    /// A number, or a text that spells one exactly.
    Number,
    /// `true` or `false`, with or without quotes.
    Boolean,
    /// A list; anything else is a list of one.
    Array,
    /// A hash, or a list of pairs, which keeps its order.
    Hash,
    /// A file's path; whether the file exists is not looked at here.
    Path,
    /// A secret: one text, and no number.
    Password,
    /// A URI; it is not taken apart here.
    Uri,
    /// A size: `500`, `10 KiB`, `10mb`.
    Bytes,
    /// A codec, by its name or with settings.
    Codec,
    /// A field reference: `name` or `[outer][inner]`.
    FieldReference,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// A list of values of one kind.
    List(&'static OptionKind),
    /// It works, but a warning says what to use instead.
    Deprecated(&'static str, &'static OptionKind),
    /// It is refused; the text says what to use instead.
    Obsolete(&'static str),
}

/// The settings of one plugin, held against its tables.
#[derive(Debug)]
pub struct Options<'a> {
    plugin: &'a Plugin,
    diagnostics: &'a mut Vec<Diagnostic>,
    known: Vec<&'static OptionSpec>,
    taken: Vec<Taken>,
    failed: bool,
}

/// An option that was set.
#[derive(Debug)]
struct Taken {
    name: String,
    span: Span,
    /// Nothing when the value was wrong, or an empty list where one value is wanted.
    value: Option<Value>,
}

impl<'a> Options<'a> {
    /// Holds the settings of `plugin` against its tables; what is wrong is added to `diagnostics`.
    pub fn new(plugin: &'a Plugin, tables: &[&'static [OptionSpec]], diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        let known = tables.iter().flat_map(|table| table.iter()).collect();
        let mut options = Self { plugin, diagnostics, known, taken: Vec::new(), failed: false };
        for (setting, value) in merged(&plugin.settings) {
            options.take(setting, value);
        }
        options.report_missing();
        options
    }

    fn spec(&self, name: &str) -> Option<&'static OptionSpec> {
        self.known.iter().find(|spec| spec.name == name).copied()
    }

    fn take(&mut self, setting: &Setting, value: Value) {
        let Some(spec) = self.spec(&setting.name) else {
            self.report_unknown(setting);
            return;
        };
        let span = value.span;
        self.warn_of_age(setting, spec.kind);
        let coerced = if spec.name == "id" { coerce::id(value) } else { coerce::coerce(spec.kind, value) };
        let value = coerced.unwrap_or_else(|wrong| {
            let message = format!("`{}` of {}: {}", spec.name, self.plugin.name, wrong.message);
            let meant = wrong.meant.map_or(String::new(), |meant| format!("did you mean `{meant}`?"));
            self.error(with_advice(Diagnostic::error("bad-value", span, message), &meant));
            None
        });
        self.taken.push(Taken { name: setting.name.clone(), span, value });
    }

    fn report_unknown(&mut self, setting: &Setting) {
        let message = format!("{} has no option `{}`", self.plugin.name, setting.name);
        let mistake = Diagnostic::error("unknown-option", setting.name_span, message);
        let mistake = match suggest::near(&setting.name, self.usable()) {
            Some(near) => mistake.with_help(format!("did you mean `{near}`?")),
            None => mistake,
        };
        self.error(mistake);
    }

    /// The names that may be written.
    fn usable(&self) -> impl Iterator<Item = &'static str> {
        self.known.iter().filter(|spec| !spec.is_obsolete()).map(|spec| spec.name)
    }

    fn warn_of_age(&mut self, setting: &Setting, kind: OptionKind) {
        let what = |age: &str| format!("the option `{}` of {} is {age}", setting.name, self.plugin.name);
        match kind {
            OptionKind::Obsolete(advice) => {
                let mistake = Diagnostic::error("obsolete-option", setting.name_span, what("obsolete"));
                self.error(with_advice(mistake, advice));
            }
            OptionKind::Deprecated(advice, _) => {
                let warning = Diagnostic::warning("deprecated-option", setting.name_span, what("deprecated"));
                self.diagnostics.push(with_advice(warning, advice));
            }
            _ => {}
        }
    }

    fn report_missing(&mut self) {
        let missing: Vec<&OptionSpec> =
            self.known.iter().copied().filter(|spec| spec.required && !self.is_given(spec)).collect();
        for spec in missing {
            let message = format!("{} needs the option `{}`", self.plugin.name, spec.name);
            let mistake = Diagnostic::error("missing-option", self.plugin.name_span, message);
            self.error(mistake.with_help(format!("`{}` is {}", spec.name, spec.help)));
        }
    }

    /// True when it was set to something, or to something wrong, which has been reported already. `[]` is nothing but for a list.
    fn is_given(&self, spec: &OptionSpec) -> bool {
        let Some(written) = self.plugin.settings.iter().find(|setting| setting.name == spec.name) else { return false };
        let is_empty = matches!(&written.value.kind, ValueKind::Array(values) if values.is_empty());
        !is_empty || matches!(spec.kind, OptionKind::Array)
    }

    fn error(&mut self, mistake: Diagnostic) {
        self.failed = true;
        self.diagnostics.push(mistake);
    }

    /// The plugin whose settings these are.
    pub fn plugin(&self) -> &'a Plugin {
        self.plugin
    }

    /// The value of an option, whatever its kind.
    pub fn value(&self, name: &str) -> Option<&Value> {
        debug_assert!(self.spec(name).is_some(), "{} reads `{name}`, which is in none of its tables", self.plugin.name);
        self.taken.iter().find(|taken| taken.name == name)?.value.as_ref()
    }

    /// One text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(Value::text)
    }

    /// One text, or `default`.
    pub fn text_or(&self, name: &str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// `true` or `false`.
    pub fn boolean(&self, name: &str, default: bool) -> bool {
        self.value(name).map_or(default, |value| value.as_str() == Some("true"))
    }

    /// A whole number; what stands behind the point is cut off.
    pub fn integer(&self, name: &str, default: i64) -> i64 {
        self.value(name).and_then(coerce::integer).unwrap_or(default)
    }

    /// A number.
    pub fn number(&self, name: &str, default: f64) -> f64 {
        self.value(name).and_then(coerce::float).unwrap_or(default)
    }

    /// A size in bytes.
    pub fn bytes(&self, name: &str, default: u64) -> u64 {
        let size = self.value(name).and_then(coerce::integer);
        size.and_then(|size| u64::try_from(size).ok()).unwrap_or(default)
    }

    /// The elements of a list, empty when it was not set; of a hash, its pairs.
    pub fn list(&self, name: &str) -> Vec<Value> {
        self.value(name).cloned().map(ruby::splat).unwrap_or_default()
    }

    /// The texts of a list, empty when it was not set.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).iter().map(Value::text).collect()
    }

    /// The texts of a list, or `default` when it was not set; a list that was set empty stays empty.
    pub fn texts_or(&self, name: &str, default: &[&str]) -> Vec<String> {
        if self.value(name).is_some() {
            self.texts(name)
        } else {
            default.iter().map(|text| (*text).to_owned()).collect()
        }
    }

    /// The entries of a hash in the order in which Logstash works through them: Java's order for one in braces,
    /// the order of the file for one that is written as a list.
    pub fn hash(&self, name: &str) -> Vec<(String, Value)> {
        match self.value(name).map(|value| &value.kind) {
            Some(ValueKind::Hash(entries)) => entries.iter().map(|(key, value)| (key.text(), value.clone())).collect(),
            _ => Vec::new(),
        }
    }

    /// The entries of a hash with their values as texts: several for a list, one for anything else.
    pub fn hash_of_texts(&self, name: &str) -> Vec<(String, Vec<String>)> {
        self.hash(name).into_iter().map(|(key, value)| (key, value.texts())).collect()
    }

    /// A codec; one given by its name alone has no settings.
    pub fn codec(&self, name: &str) -> Option<&Plugin> {
        match &self.value(name)?.kind {
            ValueKind::Plugin(plugin) => Some(plugin),
            _ => None,
        }
    }

    /// Where the value of an option stands; the plugin's name when it was not set.
    pub fn span(&self, name: &str) -> Span {
        self.taken.iter().find(|taken| taken.name == name).map_or(self.plugin.name_span, |taken| taken.span)
    }

    /// What the plugin's table says holds for an option that is not set; nothing for an option that the plugin does not have. For code that
    /// several plugins share.
    pub fn default(&self, name: &str) -> Option<&'static str> {
        self.spec(name).map(|spec| spec.default)
    }

    /// True when the option was written down, and rightly.
    pub fn was_set(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Reports what the plugin itself finds wrong with an option. An empty `help` is left out.
    pub fn fail(&mut self, name: &str, message: &str, help: &str) {
        self.fail_at(self.span(name), message, help);
    }

    /// Reports what the plugin itself finds wrong at a place, as that of one element of a list.
    pub fn fail_at(&mut self, place: Span, message: &str, help: &str) {
        let mistake = Diagnostic::error("bad-value", place, message);
        self.error(with_advice(mistake, help));
    }

    /// Reports a mistake that somebody else has found in one of the values, as in a plugin within a plugin.
    pub fn report(&mut self, mistake: Diagnostic) {
        self.error(mistake);
    }

    /// Reads the settings of a plugin that stands in one of the values; its mistakes count as mistakes of this plugin, too.
    pub fn nested<T>(
        &mut self,
        plugin: &Plugin,
        tables: &[&'static [OptionSpec]],
        read: impl FnOnce(&mut Options<'_>) -> T,
    ) -> T {
        let mut inner = Options::new(plugin, tables, self.diagnostics);
        let result = read(&mut inner);
        let fine = inner.finish();
        self.failed |= !fine;
        result
    }

    /// Reports what is legal and seldom meant.
    pub fn warn(&mut self, name: &str, message: &str, help: &str) {
        self.warn_at(self.span(name), message, help);
    }

    /// Reports what is legal and seldom meant at a place, as that of one element of a list.
    pub fn warn_at(&mut self, place: Span, message: &str, help: &str) {
        let warning = Diagnostic::warning("odd-value", place, message);
        self.diagnostics.push(with_advice(warning, help));
    }

    /// True when something was wrong so far.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Ends the reading; true when nothing was wrong.
    pub fn finish(self) -> bool {
        !self.failed
    }
}

fn with_advice(mistake: Diagnostic, advice: &str) -> Diagnostic {
    if advice.is_empty() { mistake } else { mistake.with_help(advice) }
}

/// The settings, each name once and with all its values, in the order of their first appearance.
fn merged(settings: &[Setting]) -> Vec<(&Setting, Value)> {
    let mut merged: Vec<(&Setting, Value)> = Vec::new();
    for setting in settings {
        let value = ruby::normal(&setting.value);
        match merged.iter_mut().find(|(known, _)| known.name == setting.name) {
            Some((_, known)) => *known = ruby::merge(known.clone(), value),
            None => merged.push((setting, value)),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
