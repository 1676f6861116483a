//! From `%{NAME:field}` to one regular expression with named groups.

use std::collections::HashMap;
use std::sync::Arc;

use elkhound_config::ast::Value as Setting;
use elkhound_config::options::Options;

use super::Mistake;
use super::library::{self, Library};
use crate::regex::{Flags, Regex};
use crate::setup::{Ecs, Setup};

/// Expands references with the patterns of one filter.
pub(super) struct Expander {
    library: &'static Library,
    own: HashMap<String, String>,
    named_only: bool,
}

/// References that are expanded in one pattern at most; a pattern that refers to itself ends here.
const REFERENCES: usize = 10_000;

/// The regular expression of a pattern, and what its generated groups are called.
type Compiled = (Arc<Regex>, HashMap<String, String>);

/// The longest expression that a pattern may expand to, in bytes.
const LENGTH: usize = 1 << 20;

impl Expander {
    /// Reads the options that say which patterns there are.
    pub(super) fn read(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Self> {
        let ecs = options.text("ecs_compatibility").and_then(|mode| Ecs::parse(&mode)).unwrap_or(setup.ecs);
        let mut own = HashMap::new();
        let glob = options.text_or("patterns_files_glob", "*");
        for folder in options.texts("patterns_dir") {
            own.extend(files(&folder, &glob, options, setup)?);
        }
        own.extend(
            options
                .hash("pattern_definitions")
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.texts().pop()?))),
        );
        let named_only = options.boolean("named_captures_only", true);
        Some(Self { library: library::of(ecs), own, named_only })
    }

    /// One that knows only a set of ours.
    #[cfg(test)]
    pub(super) fn of_set(ecs: Ecs) -> Self {
        Self { library: library::of(ecs), own: HashMap::new(), named_only: true }
    }

    /// Compiles a pattern, or says all that is wrong with it.
    pub(super) fn compile(&self, written: &str) -> Result<Compiled, Vec<Mistake>> {
        let mut state =
            State { names: HashMap::new(), left: REFERENCES, inline: HashMap::new(), undefined: Vec::new() };
        let mut expression = String::new();
        self.expand(written, &mut state, &mut expression, 0).map_err(|mistake| vec![mistake])?;
        if !state.undefined.is_empty() {
            return Err(state.undefined.iter().map(|name| self.undefined(name)).collect());
        }
        let flags = Flags { multiline: true, ..Flags::default() };
        let regex = Regex::shared(&expression, flags).map_err(|error| {
            vec![Mistake {
                message: format!("the pattern `{written}` can't be compiled: {}", error.message),
                help: format!("it expands to `{}`, see byte {}", shortened(&expression), error.offset),
                name: None,
            }]
        })?;
        Ok((regex, state.names))
    }

    fn expand(&self, text: &str, state: &mut State, out: &mut String, depth: usize) -> Result<(), Mistake> {
        let mut rest = text;
        while let Some((before, reference, after)) = next_reference(rest) {
            out.push_str(before);
            self.expand_reference(&reference, state, out, depth)?;
            rest = after;
        }
        out.push_str(rest);
        Ok(())
    }

    fn expand_reference(
        &self,
        reference: &Reference<'_>,
        state: &mut State,
        out: &mut String,
        depth: usize,
    ) -> Result<(), Mistake> {
        if state.left == 0 || depth > 100 || out.len() > LENGTH {
            return Err(Mistake {
                message: format!("`%{{{}}}` expands without end", reference.name),
                help: "a pattern refers to itself, directly or through others".into(),
                name: Some(reference.name.to_owned()),
            });
        }
        state.left -= 1;
        if let Some(definition) = reference.definition {
            state.inline.insert(reference.name.to_owned(), definition.to_owned());
        }
        let inline = state.inline.get(reference.name).cloned();
        let Some(expression) = inline.or_else(|| self.lookup(reference.name).map(str::to_owned)) else {
            state.miss(reference.name);
            return Ok(());
        };
        if reference.field.is_none() && self.named_only {
            out.push_str("(?:");
        } else {
            let group = format!("_{}", state.names.len());
            out.push_str(&format!("(?<{group}>"));
            state.names.insert(group, reference.full());
        }
        self.expand(&expression, state, out, depth + 1)?;
        out.push(')');
        Ok(())
    }

    fn lookup(&self, name: &str) -> Option<&str> {
        self.own.get(name).map(String::as_str).or_else(|| self.library.get(name).copied())
    }

    fn undefined(&self, name: &str) -> Mistake {
        let known = self.own.keys().map(String::as_str).chain(self.library.keys().copied());
        let help = match elkhound_config::suggest::near(name, known) {
            Some(near) => format!("did you mean `%{{{near}}}`?"),
            None => "define it in pattern_definitions or in a file of patterns_dir".into(),
        };
        Mistake { message: format!("there is no pattern called `{name}`"), help, name: Some(name.to_owned()) }
    }
}

/// What one pattern's expansion remembers.
struct State {
    /// Generated group → `NAME:field:cast`.
    names: HashMap<String, String>,
    left: usize,
    inline: HashMap<String, String>,
    /// Names that no pattern has.
    undefined: Vec<String>,
}

impl State {
    fn miss(&mut self, name: &str) {
        if !self.undefined.iter().any(|known| known == name) {
            self.undefined.push(name.to_owned());
        }
    }
}

/// `%{NAME:field=definition}`
struct Reference<'a> {
    name: &'a str,
    field: Option<&'a str>,
    definition: Option<&'a str>,
}

impl Reference<'_> {
    fn full(&self) -> String {
        match self.field {
            Some(field) => format!("{}:{field}", self.name),
            None => self.name.to_owned(),
        }
    }
}

/// The next reference with the text before and behind it.
fn next_reference(text: &str) -> Option<(&str, Reference<'_>, &str)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("%{")?;
        if let Some((reference, length)) = reference(&text[start + 2..]) {
            return Some((&text[..start], reference, &text[start + 2 + length..]));
        }
        from = start + 2;
    }
}

/// Tells what looks like a reference in a pattern and is none, or swallows the next one. Logstash takes both, and so do we.
pub(super) fn warn_of_odd_references(written: &Setting, text: &str, options: &mut Options<'_>) {
    let mut from = 0;
    while let Some(start) = text[from..].find("%{").map(|at| from + at) {
        let inner = &text[start + 2..];
        let Some((_, length)) = reference(inner) else {
            let end = start
                + 2
                + inner
                    .find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':' | '[' | ']'))
                    .unwrap_or(inner.len());
            let message = format!("`{}` is no reference, so this text itself is looked for", &text[start..end]);
            options.warn_at(written.place_of(start..end), &message, "write `%{NAME}` or `%{NAME:field}`");
            from = start + 2;
            continue;
        };
        let whole = &text[start..start + 2 + length];
        if whole[2..].contains("%{") && !whole.contains('=') {
            let message = format!("`{whole}` is one reference, and what stands behind the field's name means nothing");
            options.warn_at(written.place_of(start..start + whole.len()), &message, "a `}` is missing in it");
        }
        from = start + whole.len();
    }
}

/// A reference behind its `%{`, and its length with the closing brace. What stands between the name and the brace and is neither field nor
/// definition is skipped, as in Logstash.
fn reference(text: &str) -> Option<(Reference<'_>, usize)> {
    let is_name = |c: char| matches!(c, 'A'..='z' | '0'..='9');
    let name_end = text.find(|c| !is_name(c)).filter(|end| *end > 0)?;
    let (name, mut rest) = text.split_at(name_end);
    let mut field = None;
    if let Some(behind) = rest.strip_prefix(':') {
        let is_field = |c: char| is_name(c) || matches!(c, '@' | ':' | '.' | '-');
        let end = behind.find(|c| !is_field(c)).filter(|end| *end > 0);
        if let Some(end) = end {
            field = Some(&behind[..end]);
            rest = &behind[end..];
        }
    }
    let mut definition = None;
    if let Some(behind) = rest.strip_prefix('=') {
        let end = definition_end(behind)?;
        definition = Some(&behind[..end]);
        rest = &behind[end..];
    }
    let close = rest.find('}')?;
    let length = text.len() - rest.len() + close + 1;
    Some((Reference { name, field, definition }, length))
}

/// Where an inline definition ends: at the first closing brace that has no opening one in it.
fn definition_end(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at).filter(|at| *at > 0),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The expression of a pattern outside of grok, as in the codec multiline: references are expanded with our patterns and those of the option
/// `patterns_dir`, and nothing is captured. What is wrong is reported for the option `name`.
pub(crate) fn expression(
    written: &str,
    name: &str,
    options: &mut Options<'_>,
    setup: &Setup<'_>,
) -> Option<Arc<Regex>> {
    let mut own = HashMap::new();
    for folder in options.texts("patterns_dir") {
        own.extend(files(&folder, "*", options, setup)?);
    }
    let expander = Expander { library: library::of(setup.ecs_of(options)), own, named_only: true };
    let place = options.value(name)?.clone();
    warn_of_odd_references(&place, written, options);
    match expander.compile(written) {
        Ok((regex, _)) => Some(regex),
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| mistake.report(&place, written, options));
            None
        }
    }
}

/// The patterns of a folder's files, or of the files that `place` itself names: the listing finds nothing below a file, and no file in a folder's
/// place. What can't be listed is no mistake, as in Logstash; a pattern that is missing then will be one.
fn files(place: &str, glob: &str, options: &mut Options<'_>, setup: &Setup<'_>) -> Option<HashMap<String, String>> {
    let mut patterns = HashMap::new();
    let below = format!("{}/{glob}", place.trim_end_matches('/'));
    for file in [place, &below].into_iter().flat_map(|names| (setup.list_files)(names).unwrap_or_default()) {
        match (setup.read_file)(&file) {
            Ok(bytes) => patterns.extend(library::lines(&String::from_utf8_lossy(&bytes))),
            Err(error) => {
                options.fail(
                    "patterns_dir",
                    &format!("{} can't be read: {error}", file.display()),
                    "check the path and its rights",
                );
                return None;
            }
        }
    }
    Some(patterns)
}

fn shortened(expression: &str) -> String {
    let short: String = expression.chars().take(120).collect();
    if short.len() < expression.len() { format!("{short}…") } else { short }
}
