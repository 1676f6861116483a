//! What plugins are called. A plugin's `id` names it in the monitoring API, so no two plugins of a pipeline may share one.

use elkhound_config::ast::{Document, Plugin, Statement, Value};
use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::source::Source;

/// Reports every `id` that was given to a plugin before.
pub(super) fn report_doubles(document: &Document, source: &Source, diagnostics: &mut Vec<Diagnostic>) {
    let mut known: Vec<(String, &Value)> = Vec::new();
    for plugin in document.sections.iter().flat_map(|section| plugins(&section.body)) {
        let Some(id) = id(plugin) else { continue };
        let text = id.text();
        match known.iter().find(|(other, _)| *other == text) {
            Some((_, first)) => diagnostics.push(double(&text, id, first, source)),
            None => known.push((text, id)),
        }
    }
}

/// What a plugin is called in messages, figures and dead letters: by its `id`, or by its name and its number among those of its section, given from 0.
pub fn called(plugin: &Plugin, number: usize) -> String {
    id(plugin).map_or_else(|| format!("{}-{}", plugin.name, number + 1), Value::text)
}

/// The `id` of a plugin, where it has one.
fn id(plugin: &Plugin) -> Option<&Value> {
    plugin.settings.iter().find(|setting| setting.name == "id").map(|setting| &setting.value)
}

fn double(text: &str, id: &Value, first: &Value, source: &Source) -> Diagnostic {
    let message = format!("the id `{text}` is taken by the plugin at {}", source.place(first.span.start));
    Diagnostic::error("duplicate-id", id.span, message)
        .with_label(first.span, "first used here")
        .with_help("give each plugin an id of its own")
}

/// All plugins of some statements, in the order of the file.
pub(super) fn plugins(statements: &[Statement]) -> Vec<&Plugin> {
    statements.iter().flat_map(plugins_of).collect()
}

fn plugins_of(statement: &Statement) -> Vec<&Plugin> {
    match statement {
        Statement::Plugin(plugin) => vec![plugin],
        Statement::Branch(branch) => {
            let bodies = branch.arms.iter().map(|arm| arm.body.as_slice()).chain(branch.otherwise.as_deref());
            bodies.flat_map(plugins).collect()
        }
    }
}
