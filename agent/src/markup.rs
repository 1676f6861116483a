//! Text between tags and in attributes, for HTML and XML.

/// What the two have in common, escaped; `own` says what else is replaced in the one that is written.
pub(crate) fn escaped(text: &str, own: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => match own(letter) {
                Some(replacement) => out.push_str(replacement),
                None => out.push(letter),
            },
        }
    }
    out
}
