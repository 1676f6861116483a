//! Text with references: `%{field}`, `%{[a][b]}`, `%{+YYYY.MM.dd}` (Joda-Time), `%{{yyyy-MM-dd}}` (java.time), `%{{TIME_NOW}}` (the current time in
//! place of the event's), compiled once.

use std::fmt;

use crate::event::Event;
use crate::path::Path;
use crate::print;
use crate::text::Text;
use crate::time::{self, DateTimeFormat, JodaFormat, Zone};
use crate::value::Value;

/// A compiled text with references.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
    written: Text,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Text),
    Field {
        path: Path,
        written: Text,
    },
    Joda(Box<JodaFormat>),
    Java(Box<DateTimeFormat>),
    Epoch,
    Now,
    /// Can't be rendered: Logstash finds that out with each event, and so do we.
    Broken(Text),
}

/// A reference in a template that can't be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenTemplate {
    /// The reference as written.
    pub reference: Text,
}

impl Template {
    /// Compiles a text. There are no errors at this point: what can't be rendered is reported when it is rendered, as in Logstash.
    pub fn parse(written: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some((literal, reference, after)) = next_reference(rest) {
            push_literal(literal, &mut parts);
            parts.push(reference);
            rest = after;
        }
        push_literal(rest, &mut parts);
        Self { parts, written: Text::new(written) }
    }

    /// A text in which `%{}` means nothing.
    pub fn plain(written: &str) -> Self {
        Self { parts: vec![Part::Literal(Text::new(written))], written: Text::new(written) }
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The text, when it holds no reference.
    pub fn literal(&self) -> Option<&Text> {
        match self.parts.as_slice() {
            [] => Some(&self.written),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The references that can't be rendered, for warnings when the pipeline is loaded.
    pub fn broken(&self) -> impl Iterator<Item = &Text> {
        self.parts.iter().filter_map(|part| if let Part::Broken(text) = part { Some(text) } else { None })
    }

    /// What every event's text has: all but the references.
    pub fn fixed(&self) -> String {
        self.parts.iter().filter_map(|part| if let Part::Literal(text) = part { Some(&**text) } else { None }).collect()
    }

    /// A reference that has another one in its name, since its own brace is missing.
    pub fn swallowing(&self) -> Option<&Text> {
        self.parts.iter().find_map(|part| match part {
            Part::Field { written, .. } if written[2..].contains("%{") => Some(written),
            _ => None,
        })
    }

    /// What begins as a reference behind the last one and never ends.
    pub fn unclosed(&self) -> Option<&str> {
        let Some(Part::Literal(last)) = self.parts.last() else { return None };
        let open = &last[last.find("%{")?..];
        let end = open[2..]
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '%'))
            .map_or(open.len(), |at| at + 2);
        Some(&open[..end])
    }

    /// The text for `event`.
    ///
    /// # Errors
    /// [`BrokenTemplate`] when a reference is no field reference or no date pattern.
    pub fn render(&self, event: &Event) -> Result<Text, BrokenTemplate> {
        if let Some(text) = self.literal() {
            return Ok(text.clone());
        }
        if let [Part::Field { path, .. }] = self.parts.as_slice()
            && let Some(Value::Text(text)) = event.get(path)
        {
            return Ok(text.clone());
        }
        let mut out = String::new();
        self.render_into(event, &mut out)?;
        Ok(out.into())
    }

    /// Appends the text for `event` to `out`.
    ///
    /// # Errors
    /// As [`Template::render`]; what was appended before stays.
    pub fn render_into(&self, event: &Event, out: &mut String) -> Result<(), BrokenTemplate> {
        self.parts.iter().try_for_each(|part| part.render(event, out))
    }
}

impl Part {
    fn render(&self, event: &Event, out: &mut String) -> Result<(), BrokenTemplate> {
        match self {
            Self::Literal(text) => out.push_str(text),
            Self::Field { path, written } => match event.get(path) {
                None | Some(Value::Null) => out.push_str(written),
                Some(value) => print::template_text(value, out),
            },
            Self::Epoch => {
                if let Some(timestamp) = event.timestamp() {
                    out.push_str(&timestamp.seconds().to_string());
                }
            }
            Self::Now => time::now().write_str(out),
            Self::Joda(format) => {
                if let Some(timestamp) = event.timestamp() {
                    format.format(timestamp, &Zone::UTC, out);
                }
            }
            Self::Java(format) => {
                if let Some(timestamp) = event.timestamp() {
                    format.format(timestamp, &Zone::UTC, out);
                }
            }
            Self::Broken(reference) => return Err(BrokenTemplate { reference: reference.clone() }),
        }
        Ok(())
    }
}

/// The text before the next reference, the reference, and the text behind it.
fn next_reference(text: &str) -> Option<(&str, Part, &str)> {
    let start = text.find("%{")?;
    let inner = &text[start + 2..];
    if let Some(java) = inner.strip_prefix('{') {
        if let Some(end) = java.find("}}") {
            return Some((&text[..start], java_part(&java[..end]), &java[end + 2..]));
        }
        // Closed once only, it is neither the one nor the other.
        let end = start + 3 + java.find('}')? + 1;
        return Some((&text[..start], Part::Broken(Text::new(&text[start..end])), &text[end..]));
    }
    let end = inner.find('}')?;
    let written = &text[start..start + 2 + end + 1];
    Some((&text[..start], part(&inner[..end], written), &inner[end + 1..]))
}

fn push_literal(literal: &str, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Literal(Text::new(literal)));
    }
}

fn part(inner: &str, written: &str) -> Part {
    let broken = || Part::Broken(Text::new(written));
    match inner {
        "" | "+" | "+%s" | "+%" => Part::Epoch,
        _ => match inner.strip_prefix('+') {
            Some(pattern) => JodaFormat::new(pattern).map_or_else(|_| broken(), |format| Part::Joda(Box::new(format))),
            None => {
                Path::parse(inner).map_or_else(|_| broken(), |path| Part::Field { path, written: Text::new(written) })
            }
        },
    }
}

fn java_part(pattern: &str) -> Part {
    if pattern == "TIME_NOW" {
        return Part::Now;
    }
    let broken = || Part::Broken(Text::from(format!("%{{{{{pattern}}}}}")));
    DateTimeFormat::new(pattern).map_or_else(|_| broken(), |format| Part::Java(Box::new(format)))
}

impl fmt::Display for BrokenTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is neither a field reference nor a date pattern", self.reference)
    }
}

impl std::error::Error for BrokenTemplate {}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let mut event = Event::default();
        event.set_field("host".into(), "web-1".into());
        event.set_field("n".into(), 5.into());
        event.set_field("none".into(), Value::Null);
        event
    }

    fn render(template: &str) -> String {
        Template::parse(template).render(&event()).unwrap().to_string()
    }

    #[test]
    fn fields_are_put_in_and_missing_ones_stay_as_written() {
        assert_eq!(render("%{host}-%{n}"), "web-1-5");
        assert_eq!(render("%{host}"), "web-1");
        assert_eq!(render("<%{missing}%{none}>"), "<%{missing}%{none}>");
        assert_eq!(render("100%{"), "100%{");
    }

    #[test]
    fn the_current_time_is_not_the_events() {
        time::set_clock(|| time::Timestamp::from_nanos(1_737_046_632_488_955_000));
        let mut event = event();
        event.set_field("@timestamp".into(), time::Timestamp::default().into());
        let text = Template::parse("%{{TIME_NOW}} %{{yyyy}} %{+YYYY}").render(&event).unwrap();
        assert_eq!(text, "2025-01-16T16:57:12.488955Z 1970 1970");
        let error = Template::parse("%{{TIME_THEN}}").render(&event).unwrap_err();
        assert_eq!(error.reference, "%{{TIME_THEN}}");
    }

    #[test]
    fn a_reference_that_is_none_breaks_when_rendered() {
        let error = Template::parse("x%{[a]b}").render(&event()).unwrap_err();
        assert_eq!(error.reference, "%{[a]b}");
        let error = Template::parse("%{{yyyy} x").render(&event()).unwrap_err();
        assert_eq!(error.reference, "%{{yyyy}");
    }
}
