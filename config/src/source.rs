//! The files of a pipeline, joined in order as Logstash joins them, and the way back from an offset to file, line and column.

use std::fmt;

/// The text of all files of a pipeline, with a line break between each two.
#[derive(Clone, Debug, Default)]
pub struct Source {
    text: String,
    files: Vec<File>,
    lines: Vec<u32>,
}

#[derive(Clone, Debug)]
struct File {
    name: String,
    start: u32,
}

/// A place in a file; prints as `name:line:column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The name given to [`Source::add`].
    pub file: &'a str,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Source {
    /// A source of one file.
    pub fn of(name: &str, text: &str) -> Self {
        let mut source = Self::default();
        source.add(name, text);
        source
    }

    /// Adds a file. Offsets are 32 bits wide; [`crate::parse`] refuses a source that is longer.
    pub fn add(&mut self, name: &str, text: &str) {
        if !self.files.is_empty() {
            self.text.push('\n');
        }
        let start = offset(self.text.len());
        self.files.push(File { name: name.to_owned(), start });
        self.lines.push(start);
        self.text.push_str(text);
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        self.lines.extend(breaks.map(|(at, _)| start.saturating_add(offset(at + 1))));
    }

    /// Puts spaces in the place of a stretch of the text, so that whatever stands behind it keeps its place. A stretch that does not begin and end
    /// between characters is left alone.
    pub fn blank(&mut self, start: u32, end: u32) {
        let stretch = start as usize..end as usize;
        let Some(text) = self.text.get(stretch.clone()) else { return };
        let blank: String = text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        self.text.replace_range(stretch, &blank);
    }

    /// The joined text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The place of a byte of the joined text.
    pub fn place(&self, at: u32) -> Place<'_> {
        let Some(file) = self.files[..self.files.partition_point(|file| file.start <= at)].last() else {
            return Place { file: "", line: 1, column: 1 };
        };
        let first = self.lines.partition_point(|line| *line < file.start);
        let line = self.line_index(at);
        let column = self.before(self.lines[line], at).chars().count() + 1;
        Place { file: &file.name, line: line - first + 1, column }
    }

    /// The line that a byte stands on, without its line break.
    pub fn line(&self, at: u32) -> &str {
        let Some(start) = self.lines.get(self.line_index(at)) else { return "" };
        let rest = self.text.get(*start as usize..).unwrap_or_default();
        rest.split('\n').next().unwrap_or_default().trim_end_matches('\r')
    }

    /// The blanks at the beginning of the line that a byte stands on.
    pub fn indentation(&self, at: u32) -> &str {
        let start = self.lines.get(self.line_index(at)).copied().unwrap_or_default();
        let line = self.text.get(start as usize..).unwrap_or_default();
        &line[..line.bytes().take_while(|byte| is_blank(*byte)).count()]
    }

    /// True when only blanks stand before a byte on its line.
    pub fn is_first_on_line(&self, at: u32) -> bool {
        let before = self.text.get(..at as usize).unwrap_or_default();
        !matches!(before.bytes().rev().find(|byte| !is_blank(*byte)), Some(byte) if byte != b'\n')
    }

    fn line_index(&self, at: u32) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }

    fn before(&self, start: u32, at: u32) -> &str {
        let mut end = (at as usize).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.get(start as usize..end).unwrap_or_default()
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blanked_stretch_keeps_the_places_behind_it() {
        let mut source = Source::of("a", "é {\n}\nx");
        let x = source.text().len() as u32 - 1;
        let before = source.place(x).to_string();
        source.blank(0, x);
        assert_eq!((source.text(), source.place(x).to_string()), ("    \n \nx", before));
        source.blank(0, 99);
        assert_eq!(source.text(), "    \n \nx");
    }

    #[test]
    fn offsets_lead_back_to_their_file() {
        let mut source = Source::default();
        source.add("a.conf", "input {\n}\n");
        source.add("b.conf", "# żółw x\nfilter { }");
        let at = |needle: &str| source.text().find(needle).unwrap() as u32;
        assert_eq!(source.place(0).to_string(), "a.conf:1:1");
        assert_eq!(source.place(at("}")).to_string(), "a.conf:2:1");
        assert_eq!(source.place(at("x")).to_string(), "b.conf:1:8");
        assert_eq!(source.place(at("filter")).to_string(), "b.conf:2:1");
        assert_eq!(source.place(u32::MAX).to_string(), "b.conf:2:11");
        assert_eq!(source.line(at("x")), "# żółw x");
    }

    #[test]
    fn indentation_is_what_stands_before_the_first_character() {
        let source = Source::of("a", "a {\n\t b { }\n}");
        let found: Vec<(&str, bool)> =
            [0, 6, 8, 12].map(|at| (source.indentation(at), source.is_first_on_line(at))).into();
        assert_eq!(found, [("", true), ("\t ", true), ("\t ", false), ("", true)]);
    }

    #[test]
    fn an_empty_source_has_places_too() {
        assert_eq!(Source::default().place(7).line, 1);
        assert_eq!(Source::default().line(0), "");
        assert_eq!(Source::of("e", "").place(0).to_string(), "e:1:1");
    }
}
