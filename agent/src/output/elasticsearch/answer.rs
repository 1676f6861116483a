//! The answer to a `_bulk` request, trimmed by [`FILTER_PATH`]: whether anything went wrong, and each item's status and error.
//!
//! It is read as a stream of tokens: an item becomes an [`Item`] as it comes by, and no tree is made of the answer. Of an item that went well nothing is copied.
//!
//! What it leaves out: reading tokens while the bytes still arrive. The client's response hands out its body whole (as bytes, text or JSON) and keeps the one below it, which
//! has the frames, to itself. Trimmed, an item that went well takes some 55 bytes and one with an error some 250, so that the answer is a fraction of the request it
//! belongs to, which is in memory as well and counted in the byte budget.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Asks Elasticsearch for no more than is read here; the number and the order of items stay.
pub(crate) const FILTER_PATH: &str = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*._index";

/// What happened to one item.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    /// HTTP status of this item.
    pub(crate) status: u16,
    /// Whether a new document was asked for, so that a conflict means that it is there.
    pub(crate) create: bool,
    /// The index it was meant for; empty when it went well.
    pub(crate) index: String,
    /// What went wrong.
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
    items: Vec<One>,
}

/// An item as it stands below the name of its action.
#[derive(Deserialize)]
struct Fields<'a> {
    status: u16,
    #[serde(default, rename = "_index", borrow)]
    index: Cow<'a, str>,
    #[serde(default)]
    error: Option<ItemError>,
}

/// Reads an item from the tokens of its object, which has one entry.
struct Named;

impl<'a> Visitor<'a> for Named {
    type Value = Option<Item>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an item below the name of its action")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let Some((Key(action), Fields { status, index, error })) = map.next_entry()? else { return Ok(None) };
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        let index = if (200..300).contains(&status) { String::new() } else { index.into_owned() };
        Ok(Some(Item { status, create: action == "create", index, error }))
    }
}

/// The name of an action; borrowed, but for one that is written with escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// What stands at the place of an item: nothing, where the object there is empty.
struct One(Option<Item>);

impl<'a> Deserialize<'a> for One {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Named).map(Self)
    }
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
    let items: Vec<Item> = written.items.into_iter().filter_map(|One(item)| item).collect();
    if items.len() != expected {
        return Err(format!("the answer has {} items for a request of {expected}", items.len()));
    }
    Ok(Answer::Items(items))
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
        assert_eq!(items[0], Item { status: 201, create: true, ..Item::default() });
        assert_eq!((items[1].index.as_str(), items[1].status), ("a", 400));
        assert_eq!(items[1].error, Some(ItemError { kind: "t".into(), reason: "r".into() }));
    }

    #[test]
    fn odd_answers_are_read_as_they_stand() {
        let one = |item: &str| parse(format!(r#"{{"errors":true,"items":[{item}]}}"#).as_bytes(), 1);
        let Ok(Answer::Items(items)) = one(r#"{"\u0063reate":{"_index":"\u00e9","status":404},"more":[1]}"#) else {
            panic!("not parsed")
        };
        assert_eq!(items, [Item { status: 404, create: true, index: "é".into(), error: None }]);
        assert_eq!(one("{}"), Err("the answer has 0 items for a request of 1".into()));
        assert!(one(r#"{"create":7}"#).is_err() && one("[]").is_err());
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
