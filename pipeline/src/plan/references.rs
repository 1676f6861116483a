//! Warnings of references that are none: `%{host` without its brace, `%{[a}`. Logstash takes them without a word; the first stands for itself
//! then, and an event for which the second is to be rendered fails.

use elkhound_config::ast::{Document, Plugin, Value, ValueKind};
use elkhound_config::diagnostic::Diagnostic;

use super::ids::plugins;
use crate::path::Path;
use crate::template::Template;

/// The options in which `%{}` is put in, whatever plugin they are of.
const RENDERED: &[&str] = &[
    "action",
    "add_field",
    "add_tag",
    "address",
    "coerce",
    "document_id",
    "exclude_keys",
    "fallback",
    "format",
    "include_keys",
    "index",
    "path",
    "pipeline",
    "prefix",
    "remove_field",
    "remove_tag",
    "rename",
    "replace",
    "routing",
    "tags",
    "timezone",
    "update",
    "version",
];

/// Warns of each reference that can't be rendered.
pub(super) fn warn_of_broken(document: &Document, diagnostics: &mut Vec<Diagnostic>) {
    for plugin in document.sections.iter().flat_map(|section| plugins(&section.body)) {
        look_at(plugin, diagnostics);
    }
}

fn look_at(plugin: &Plugin, diagnostics: &mut Vec<Diagnostic>) {
    for setting in &plugin.settings {
        match &setting.value.kind {
            ValueKind::Plugin(codec) => look_at(codec, diagnostics),
            _ if RENDERED.contains(&setting.name.as_str()) => look_into(&setting.value, diagnostics),
            _ => {}
        }
    }
}

fn look_into(value: &Value, diagnostics: &mut Vec<Diagnostic>) {
    match &value.kind {
        ValueKind::String(text) => diagnostics.extend(broken(value, text)),
        ValueKind::Array(values) => values.iter().for_each(|value| look_into(value, diagnostics)),
        ValueKind::Hash(entries) => {
            for (key, value) in entries {
                diagnostics.extend(no_name(key));
                look_into(key, diagnostics);
                look_into(value, diagnostics);
            }
        }
        ValueKind::Bareword(_) | ValueKind::Number(_) | ValueKind::Plugin(_) => {}
    }
}

/// What stands for a field's name and is none. With references in it, only events can tell.
fn no_name(key: &Value) -> Option<Diagnostic> {
    let name = key.as_str().filter(|name| !name.contains("%{"))?;
    Path::parse(name).is_err().then(|| {
        let message = format!("`{name}` is no field reference, so no event has or gets this field");
        Diagnostic::warning("broken-reference", key.span, message).with_help("write `name` or `[outer][inner]`")
    })
}

/// The first reference in a text that is none.
fn broken(value: &Value, text: &str) -> Option<Diagnostic> {
    let template = Template::parse(text);
    let (reference, what) = if let Some(broken) = template.broken().next() {
        (&**broken, "is neither a field reference nor a date pattern: no event can fill it in")
    } else if let Some(swallowing) = template.swallowing() {
        (&**swallowing, "is one reference, to a field with this name: a `}` is missing in it")
    } else {
        (template.unclosed()?, "has no `}` and stands for itself")
    };
    let message = format!("`{reference}` {what}");
    let at = text.find(reference)?;
    let warning = Diagnostic::warning("broken-reference", value.place_of(at..at + reference.len()), message);
    Some(warning.with_help("write `%{field}`, `%{[outer][inner]}` or `%{+YYYY.MM.dd}`"))
}

#[cfg(test)]
mod tests {
    use elkhound_config::parser::Escapes;
    use elkhound_config::source::Source;

    use super::*;

    fn warnings(pipeline: &str) -> Vec<String> {
        let source = Source::of("c", pipeline);
        let mut diagnostics = Vec::new();
        warn_of_broken(&elkhound_config::parse(&source, Escapes::Kept).document, &mut diagnostics);
        let marked = |span: elkhound_config::ast::Span| &source.text()[span.start as usize..span.end as usize];
        diagnostics.iter().map(|found| marked(found.span).to_owned()).collect()
    }

    #[test]
    fn references_that_are_none_are_found_wherever_they_are_rendered() {
        let found = warnings(
            "input { stdin { codec => line { format => \"%{message\" } tags => ['a', '%{[b}'] } }
             filter { if [a] { mutate { add_field => { \"%{x\" => \"1\" \"y\" => [\"2\", \"%{+YYYY.MM.dd\"] } } } }
             output { elasticsearch { index => \"a-%{[c]d}-%{e\" document_id => \"%{f-%{g}\" } }",
        );
        assert_eq!(warnings("filter { mutate { rename => { '[a' => '[b]' 'c' => 'd' } } }"), ["'[a'"]);
        assert_eq!(found, ["%{message", "%{[b}", "%{x", "%{+YYYY.MM.dd", "%{[c]d}", "%{f-%{g}"]);
    }

    #[test]
    fn whatever_is_rendered_or_no_reference_is_left_alone() {
        let fine = "filter { mutate { replace => { 'a' => '100% %{b} {%} %{[c][d]} %{+HH} %{{yyyy}}' } gsub => ['a', '[%{]', '%{'] } }";
        assert_eq!(warnings(fine), Vec::<String>::new());
    }
}
