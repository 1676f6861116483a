//! A plugin's documentation, taken from the plugin's own file: the `//!` lines at its head are the manual.

/// The `//!` lines at the head of a source file, as they stand there.
pub const fn head(source: &str) -> &str {
    let bytes = source.as_bytes();
    let mut end = 0;
    while starts_doc_line(bytes, end) {
        while end < bytes.len() && bytes[end] != b'\n' {
            end += 1;
        }
        end += 1;
    }
    source.split_at(if end > bytes.len() { bytes.len() } else { end }).0
}

const fn starts_doc_line(bytes: &[u8], at: usize) -> bool {
    at + 2 < bytes.len() && bytes[at] == b'/' && bytes[at + 1] == b'/' && bytes[at + 2] == b'!'
}

/// The documentation as Markdown: without the comment marks.
pub fn markdown(head: &str) -> String {
    let lines = head.lines().map(|line| line.trim_start_matches("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// An example of a plugin's documentation: a ```` ```text ```` block with a part of a pipeline file, and behind it, in a
/// ```` ```json ```` block, the events that go in, `=>`, and those that come out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Example {
    /// The part of a pipeline file.
    pub pipeline: String,
    /// Events in, an object on each line.
    pub events: Vec<String>,
    /// Events out. A text `…` stands for any text.
    pub results: Vec<String>,
}

/// The examples under the heading `## Example`.
pub fn examples(head: &str) -> Vec<Example> {
    let text = markdown(head);
    let section = text.split("\n## ").find(|section| section.starts_with("Example")).unwrap_or_default();
    let mut examples: Vec<Example> = Vec::new();
    // Between fences every other part is a block, which begins with its kind.
    for block in section.split("```").skip(1).step_by(2) {
        let Some((kind, body)) = block.split_once('\n') else { continue };
        match (kind, examples.last_mut()) {
            ("text", _) => examples.push(Example { pipeline: body.to_owned(), ..Example::default() }),
            ("json", Some(example)) => {
                let (events, results) = body.split_once("=>\n").unwrap_or((body, ""));
                example.events = events.lines().map(str::to_owned).collect();
                example.results = results.lines().map(str::to_owned).collect();
            }
            _ => {}
        }
    }
    examples
}

/// The options that the list under `## Options` promises: what stands in backticks before each colon, remarks in parentheses left out.
pub fn promised_options(head: &str) -> Vec<String> {
    let text = markdown(head);
    let section = text.split("\n## ").find(|section| section.starts_with("Options")).unwrap_or_default();
    section.lines().filter_map(|line| line.strip_prefix("- ")).flat_map(promised).collect()
}

fn promised(entry: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let plain: String = entry
        .chars()
        .filter(|letter| {
            depth += usize::from(*letter == '(');
            let outside = depth == 0;
            depth -= usize::from(*letter == ')' && depth > 0);
            outside
        })
        .collect();
    let names = plain.split(':').next().unwrap_or_default().split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = "//! Does.\n//!\n//! ## Options\n//!\n//! - `a` (once `b`): c `d`.\n//! - `e` (default `x (y)`), `f`.\n//!\n//! ## Example\n//!\n//! ```text\n//! filter { }\n//! ```\n//!\n//! ```json\n//! {}\n//! =>\n//! {\"a\":1}\n//! {}\n//! ```\n//!\n//! ## On failure\n//!\n//! ```text\n//! none\n//! ```\n";

    #[test]
    fn finds_examples_with_their_events() {
        let example = Example {
            pipeline: "filter { }\n".into(),
            events: vec!["{}".into()],
            results: vec!["{\"a\":1}".into(), "{}".into()],
        };
        assert_eq!(examples(DOCS), [example]);
    }

    #[test]
    fn finds_the_options_that_are_promised() {
        assert_eq!(promised_options(DOCS), ["a", "e", "f"]);
    }

    #[test]
    fn takes_the_lines_at_the_head_only() {
        let source = "//! Drops.\n//!\n//!   indented\n\nuse x; //! not this\n";
        assert_eq!(markdown(head(source)), "Drops.\n\n  indented");
        assert_eq!(head("use x;"), "");
    }
}
