//! The answer to a `_bulk` request, trimmed by [`FILTER_PATH`]: whether anything went wrong, and each item's status and error.

use serde::Deserialize;
use std::collections::HashMap;

/// Asks Elasticsearch for no more than is read here; the number and the order of items stay.
pub(crate) const FILTER_PATH: &str = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*._index";

/// What happened to one item.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Item {
    /// HTTP status of this item.
    pub(crate) status: u16,
    /// Whether a new document was asked for, so that a conflict means that it is there.
    #[serde(skip)]
    pub(crate) create: bool,
    /// The index it was meant for.
    #[serde(default, rename = "_index")]
    pub(crate) index: String,
    /// What went wrong.
    #[serde(default)]
    pub(crate) error: Option<ItemError>,
}

impl Item {
    /// Elasticsearch's name of the error, and its sentence; both empty where it told none.
    pub(crate) fn told(&self) -> (&str, &str) {
        self.error.as_ref().map_or(("", ""), |error| (error.kind.as_str(), error.reason.as_str()))
    }
}

/// Why an item was not taken.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct ItemError {
    /// Elasticsearch's name of the error.
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    /// Elasticsearch's sentence.
    #[serde(default)]
    pub(crate) reason: String,
}

/// A parsed answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Every item was taken.
    AllDone,
    /// Each item's outcome, in the order of the request.
    Items(Vec<Item>),
}

#[derive(Deserialize)]
struct Written {
    errors: bool,
    #[serde(default)]
    items: Vec<HashMap<String, Item>>,
}

/// Reads an answer to a request of `expected` items.
///
/// # Errors
/// A sentence about an answer that is cut off, is no bulk answer, or has another number of items; the request is sent again then.
pub(crate) fn parse(bytes: &[u8], expected: usize) -> Result<Answer, String> {
    if nothing_went_wrong(bytes) {
        return Ok(Answer::AllDone);
    }
    let written: Written =
        serde_json::from_slice(bytes).map_err(|error| format!("the answer can't be read: {error}"))?;
    if !written.errors {
        return Ok(Answer::AllDone);
    }
    let items: Vec<Item> = written.items.into_iter().filter_map(named).collect();
    if items.len() != expected {
        return Err(format!("the answer has {} items for a request of {expected}", items.len()));
    }
    Ok(Answer::Items(items))
}

/// An item stands below the name of its action.
fn named(item: HashMap<String, Item>) -> Option<Item> {
    item.into_iter().next().map(|(action, item)| Item { create: action == "create", ..item })
}

/// The usual case, told from the head and the end of the answer without parsing thousands of items: no errors, and not cut off.
fn nothing_went_wrong(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(64)];
    let told = head.windows(14).any(|window| window == b"\"errors\":false");
    told && bytes.trim_ascii_end().ends_with(b"}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_answer_is_not_parsed() {
        assert_eq!(parse(br#"{"errors":false,"items":[{"create":{"status":201}}]}"#, 1), Ok(Answer::AllDone));
        assert_eq!(parse(br#"{"took":3,"errors":false,"items":[]}"#, 0), Ok(Answer::AllDone));
        assert_eq!(parse(br#"{ "errors" : false, "items" : [] }"#, 0), Ok(Answer::AllDone));
    }

    #[test]
    fn items_keep_their_order() {
        let text = br#"{"errors":true,"items":[{"create":{"status":201,"_index":"a"}},{"create":{"status":400,"_index":"a","error":{"type":"t","reason":"r"}}}]}"#;
        let Ok(Answer::Items(items)) = parse(text, 2) else { panic!("not parsed") };
        assert_eq!(items[0].status, 201);
        assert_eq!(items[1].error, Some(ItemError { kind: "t".into(), reason: "r".into() }));
    }

    #[test]
    fn a_cut_answer_is_told() {
        let whole = br#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#;
        for end in 0..whole.len() {
            assert!(parse(&whole[..end], 2).is_err(), "cut at {end}");
        }
        assert!(parse(whole, 3).is_err());
        assert!(parse(br#"{"errors":false,"items":[{"create""#, 1).is_err());
    }
}
