//! The event: fields, `@metadata`, and where it came from.
//!
//! An event has fields of its own and, below them, a [`Layer`]: what all events of one container share (its name, image,
//! labels, host), made and serialised once per container. Reading falls through to the layer; writing below one of its
//! fields copies that field into the event and hides it in the layer, so a filter never sees the difference and an event
//! that nobody touches there costs a reference count.
//!
//! An event carries a [`Receipt`], to be acknowledged when an output has it safe or a filter has dropped it on purpose, and a
//! [`DocumentId`], which makes sending it twice harmless.

use std::fmt;
use std::sync::Arc;

use crate::flow::receipt::Receipt;
use crate::map::Map;
use crate::path::{Key, Path, Root};
use crate::text::Text;
use crate::time::Timestamp;
use crate::value::Value;

mod decode;
mod identity;
mod layer;
pub mod stored;

pub use identity::DocumentId;
pub use layer::Layer;

/// One log event on its way through a pipeline.
#[derive(Debug, Default)]
pub struct Event {
    fields: Map,
    metadata: Map,
    layer: Option<Arc<Layer>>,
    hidden: u64,
    cancelled: bool,
    id: Option<DocumentId>,
    receipt: Option<Receipt>,
}

/// A field that can't be set: a step of its path is neither a map nor a list, or it is one of the two fields that take only
/// some values: `@timestamp` a timestamp, `tags` a text, a list of texts or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAContainer;

impl fmt::Display for NotAContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the field can't be set: a step of its path is a plain value, or `@timestamp` or `tags` can't hold it",
        )
    }
}

impl std::error::Error for NotAContainer {}

impl Event {
    /// An event with these fields and nothing shared.
    pub fn new(fields: Map) -> Self {
        Self { fields, ..Self::default() }
    }

    /// An event with `fields` of its own above a shared layer.
    pub fn layered(fields: Map, layer: Arc<Layer>) -> Self {
        Self { fields, layer: Some(layer), ..Self::default() }
    }

    /// The value at `path`.
    #[inline]
    pub fn get(&self, path: &Path) -> Option<&Value> {
        let tree = match path.root() {
            Root::Fields => return self.lookup(path.keys()),
            Root::Metadata => &self.metadata,
        };
        let (first, rest) = path.keys().split_first()?;
        descend(tree.find(first)?, rest)
    }

    #[inline]
    fn lookup(&self, keys: &[Key]) -> Option<&Value> {
        let (first, rest) = keys.split_first()?;
        let top = self.fields.find(first).or_else(|| self.layer.as_ref()?.find(first, self.hidden))?;
        descend(top, rest)
    }

    /// The value at `path`, to be changed in place.
    pub fn get_mut(&mut self, path: &Path) -> Option<&mut Value> {
        let (first, rest) = path.keys().split_first()?;
        let top = match path.root() {
            Root::Metadata => self.metadata.get_mut(&first.name)?,
            Root::Fields => {
                self.own(&first.name);
                self.fields.get_mut(&first.name)?
            }
        };
        rest.iter().try_fold(top, |value, key| match value {
            Value::Map(map) => map.get_mut(&key.name),
            Value::List(list) => index_of(list.len(), key).map(|at| &mut list[at]),
            _ => None,
        })
    }

    /// The top-level field `name`.
    #[inline]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).or_else(|| self.layer.as_ref()?.get(name, self.hidden))
    }

    /// True when there is a value at `path`, also when it is null.
    pub fn contains(&self, path: &Path) -> bool {
        self.get(path).is_some() || (path.root() == Root::Metadata && path.keys().is_empty())
    }

    /// The top-level field `name`, to be changed in place.
    pub fn field_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.own(name);
        self.fields.get_mut(name)
    }

    /// Sets the top-level field `name`, whatever it is called; [`Event::set`] is stricter.
    #[inline]
    pub fn set_field(&mut self, name: Text, value: Value) {
        if let Some(layer) = &self.layer {
            self.hidden |= layer.bit(&name);
        }
        self.fields.insert(name, value);
    }

    /// Sets the value at `path` if nothing is there yet, nor a list or a shared field on the way; otherwise gives the value back. What
    /// filters add is nearly always new, and this goes the way once.
    ///
    /// # Errors
    /// The value, when [`Event::set`] has to decide; the event is unchanged then.
    #[inline]
    pub fn add_new(&mut self, path: &Path, value: Value) -> Result<(), Value> {
        let Some((first, rest)) = path.keys().split_first() else { return Err(value) };
        let special = path.root() == Root::Metadata
            || !path.guard().admits(&value)
            || self.layer.as_ref().is_some_and(|layer| layer.has(first));
        if special {
            return Err(value);
        }
        if let Some((next, below)) = rest.split_first() {
            return add(&mut self.fields, first, next, below, value);
        }
        if self.fields.find(first).is_some() {
            return Err(value);
        }
        self.fields.push_key(first, value);
        Ok(())
    }

    /// Sets the value at `path`; missing maps on the way are made, and a list is padded with nulls up to an index.
    ///
    /// # Errors
    /// [`NotAContainer`] when a step of the path holds a scalar, or the field can't hold the value; the event is unchanged then.
    pub fn set(&mut self, path: &Path, value: Value) -> Result<(), NotAContainer> {
        let Some((first, rest)) = path.keys().split_first() else {
            return self.replace_metadata(value);
        };
        if !path.guard().admits(&value) {
            return Err(NotAContainer);
        }
        if path.root() == Root::Fields {
            if rest.is_empty() {
                self.set_field(first.name.clone(), value);
                return Ok(());
            }
            self.own(&first.name);
        }
        let tree = if path.root() == Root::Fields { &mut self.fields } else { &mut self.metadata };
        if rest.is_empty() {
            tree.insert(first.name.clone(), value);
            return Ok(());
        }
        place(tree.find_or_push(first, || Map::new().into()), rest, value)
    }

    /// Takes the value at `path` out of the event.
    pub fn remove(&mut self, path: &Path) -> Option<Value> {
        let Some((first, rest)) = path.keys().split_first() else {
            return Some(std::mem::take(&mut self.metadata).into());
        };
        if path.root() == Root::Metadata {
            return take(&mut self.metadata, first, rest);
        }
        self.own(&first.name);
        take(&mut self.fields, first, rest)
    }

    /// `@timestamp`, unless a filter removed or replaced it.
    pub fn timestamp(&self) -> Option<Timestamp> {
        match self.field("@timestamp") {
            Some(Value::Timestamp(timestamp)) => Some(*timestamp),
            _ => None,
        }
    }

    /// Adds a tag unless the event has it, as filters do for their failures.
    pub fn tag(&mut self, tag: &str) {
        self.own("tags");
        let tags = self.fields.get_or_insert_with(&Text::new("tags"), || Value::list(Vec::new()));
        let new = Value::text(tag);
        match tags {
            Value::List(list) if list.contains(&new) => {}
            Value::List(list) => list.push(new),
            Value::Null => *tags = Value::list(vec![new]),
            other if *other == new => {}
            other => *other = Value::list(vec![std::mem::take(other), new]),
        }
    }

    /// The event's own fields: everything that is not in the layer, or that covers it.
    pub fn own_fields(&self) -> &Map {
        &self.fields
    }

    /// The shared layer and the bits of its fields that are hidden in this event.
    pub fn layer(&self) -> Option<(&Layer, u64)> {
        self.layer.as_deref().map(|layer| (layer, self.hidden))
    }

    /// All fields, the event's own first.
    pub fn fields(&self) -> impl Iterator<Item = (&Text, &Value)> {
        let hidden = self.hidden;
        self.fields.iter().chain(self.layer.iter().flat_map(move |layer| layer.visible(hidden)))
    }

    /// All fields, to be changed freely: what was shared becomes the event's own.
    pub fn fields_mut(&mut self) -> &mut Map {
        if let Some(layer) = self.layer.take() {
            for (name, value) in layer.visible(self.hidden) {
                self.fields.insert(name.clone(), value.clone());
            }
        }
        &mut self.fields
    }

    /// `@metadata`.
    pub fn metadata(&self) -> &Map {
        &self.metadata
    }

    /// Drops the event at the end of the filter that is running.
    pub fn cancel(&mut self) {
        self.cancelled = true;
    }

    /// True when a filter has dropped the event.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The identity under which the event is indexed, when its input could give it one.
    pub fn id(&self) -> Option<&DocumentId> {
        self.id.as_ref()
    }

    /// Gives the event its identity and its receipt; inputs do this, once.
    pub fn set_origin(&mut self, id: Option<DocumentId>, receipt: Option<Receipt>) {
        self.id = id;
        self.receipt = receipt;
    }

    /// Takes the receipt out, to be acknowledged later than the event lives.
    pub fn take_receipt(&mut self) -> Option<Receipt> {
        self.receipt.take()
    }

    /// Another event with the same fields, as `clone` and `split` make them. `nth` (from 1) tells the copies of one event apart:
    /// the copy's identity is derived from it, so that it is the same when the line is read again. Its receipt
    /// is shared: the source's line is safe only when the original and all copies are.
    pub fn duplicate(&self, nth: usize) -> Self {
        Self {
            fields: self.fields.clone(),
            metadata: self.metadata.clone(),
            layer: self.layer.clone(),
            hidden: self.hidden,
            cancelled: false,
            id: self.id.as_ref().map(|id| id.child(nth)),
            receipt: self.receipt.clone(),
        }
    }

    /// Makes the layer's field `name` the event's own, if it is there.
    fn own(&mut self, name: &str) {
        let Some(layer) = &self.layer else { return };
        let Some(value) = layer.get(name, self.hidden) else { return };
        self.hidden |= layer.bit(name);
        self.fields.push(Text::new(name), value.clone());
    }

    fn replace_metadata(&mut self, value: Value) -> Result<(), NotAContainer> {
        let Value::Map(map) = value else { return Err(NotAContainer) };
        self.metadata = *map;
        Ok(())
    }
}

/// Follows `keys` down from `value`.
#[inline]
fn descend<'a>(value: &'a Value, keys: &[Key]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| match value {
        Value::Map(map) => map.find(key),
        Value::List(list) => index_of(list.len(), key).map(|at| &list[at]),
        _ => None,
    })
}

fn index_of(length: usize, key: &Key) -> Option<usize> {
    let index = key.index?;
    let at = if index < 0 { length.checked_sub(index.unsigned_abs() as usize)? } else { index as usize };
    (at < length).then_some(at)
}

/// An index further than this beyond a list's end is refused, so that a field reference can't ask for gigabytes of nulls.
const PADDING_LIMIT: usize = 10_000;

/// Puts a value below the entry `key` of `map` where nothing is yet. It turns back only where something is, which is before anything is made.
fn add(map: &mut Map, key: &Key, next: &Key, below: &[Key], value: Value) -> Result<(), Value> {
    // Most get one field or two.
    let Value::Map(inner) = map.find_or_push(key, || Map::with_capacity(2).into()) else { return Err(value) };
    if let Some((after, rest)) = below.split_first() {
        return add(inner, next, after, rest, value);
    }
    if inner.find(next).is_some() {
        return Err(value);
    }
    inner.push_key(next, value);
    Ok(())
}

fn place(target: &mut Value, keys: &[Key], value: Value) -> Result<(), NotAContainer> {
    let Some((key, rest)) = keys.split_first() else {
        *target = value;
        return Ok(());
    };
    match target {
        Value::Map(map) if rest.is_empty() => {
            map.insert(key.name.clone(), value);
            Ok(())
        }
        Value::Map(map) => place(map.find_or_push(key, || Map::new().into()), rest, value),
        // A name finds nothing in a list; Logstash loses the value without a word.
        Value::List(_) if key.index.is_none() => Ok(()),
        Value::List(list) => {
            let filler = if rest.is_empty() { Value::Null } else { Map::new().into() };
            place(slot(list, key, filler)?, rest, value)
        }
        _ => Err(NotAContainer),
    }
}

/// The element at an index; behind the end nulls are added, and then `filler`.
fn slot<'a>(list: &'a mut Vec<Value>, key: &Key, filler: Value) -> Result<&'a mut Value, NotAContainer> {
    if let Some(at) = index_of(list.len(), key) {
        return Ok(&mut list[at]);
    }
    let at = key.index.and_then(|index| usize::try_from(index).ok()).ok_or(NotAContainer)?;
    if at > list.len() + PADDING_LIMIT {
        return Err(NotAContainer);
    }
    list.resize(at, Value::Null);
    list.push(filler);
    Ok(&mut list[at])
}

fn take(tree: &mut Map, first: &Key, rest: &[Key]) -> Option<Value> {
    let Some((last, between)) = rest.split_last() else { return tree.remove(&first.name) };
    let mut parent = tree.get_mut(&first.name)?;
    for key in between {
        parent = match parent {
            Value::Map(map) => map.get_mut(&key.name)?,
            Value::List(list) => index_of(list.len(), key).map(|at| &mut list[at])?,
            _ => return None,
        };
    }
    match parent {
        Value::Map(map) => map.remove(&last.name),
        Value::List(list) => index_of(list.len(), last).map(|at| list.remove(at)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(written: &str) -> Path {
        Path::parse(written).unwrap()
    }

    fn container() -> Arc<Layer> {
        let mut labels = Map::new();
        labels.insert("team".into(), "shop".into());
        let mut container = Map::new();
        container.insert("name".into(), "web-1".into());
        container.insert("labels".into(), labels.into());
        let entries = [("container", Value::from(container)), ("stream", "stdout".into())];
        Arc::new(Layer::new(entries.into_iter().map(|(name, value)| (name.into(), value)).collect()))
    }

    #[test]
    fn reading_falls_through_to_the_layer() {
        let event = Event::layered(Map::new(), container());
        assert_eq!(event.get(&path("[container][labels][team]")), Some(&"shop".into()));
        assert_eq!(event.get(&path("stream")), Some(&"stdout".into()));
        assert_eq!(event.get(&path("[container][image]")), None);
    }

    #[test]
    fn writing_below_a_shared_field_leaves_the_layer_alone() {
        let layer = container();
        let mut event = Event::layered(Map::new(), Arc::clone(&layer));
        event.set(&path("[container][image]"), "web:1".into()).unwrap();
        assert_eq!(event.remove(&path("[container][name]")), Some("web-1".into()));
        assert_eq!(event.get(&path("[container][labels][team]")), Some(&"shop".into()));
        assert_eq!(event.fields().count(), 2);
        let other = Event::layered(Map::new(), layer);
        assert_eq!(other.get(&path("[container][name]")), Some(&"web-1".into()));
    }

    #[test]
    fn a_removed_shared_field_is_gone_from_this_event_only() {
        let mut event = Event::layered(Map::new(), container());
        assert!(event.remove(&path("container")).is_some());
        assert_eq!(event.field("container"), None);
        assert_eq!(event.fields().map(|(name, _)| name.to_string()).collect::<Vec<_>>(), ["stream"]);
    }

    #[test]
    fn setting_makes_maps_pads_lists_and_stops_at_scalars() {
        let mut event = Event::default();
        event.set(&path("[a][b]"), 1.into()).unwrap();
        event.set(&path("list"), Value::list(vec![1.into()])).unwrap();
        event.set(&path("[list][2]"), 3.into()).unwrap();
        assert_eq!(event.get(&path("list")), Some(&Value::list(vec![1.into(), Value::Null, 3.into()])));
        assert_eq!(event.get(&path("[list][-1]")), Some(&3.into()));
        event.set(&path("[list][3][x]"), 4.into()).unwrap();
        assert_eq!(event.get(&path("[list][3][x]")), Some(&4.into()));
        event.set(&path("[list][x]"), 5.into()).unwrap();
        assert_eq!(event.get(&path("[list]")).and_then(Value::as_list).map(<[Value]>::len), Some(4));
        event.set(&path("none"), Value::Null).unwrap();
        assert_eq!(event.set(&path("[none][x]"), 2.into()), Err(NotAContainer));
        assert_eq!(event.set(&path("[a][b][c]"), 2.into()), Err(NotAContainer));
        assert!(event.set(&path("[list][999999999]"), 1.into()).is_err());
    }

    #[test]
    fn adding_what_is_new_is_setting_it_and_else_changes_nothing() {
        let names = [
            "a",
            "[a][b]",
            "[a][b][c]",
            "[a][x][y]",
            "n",
            "[n][x]",
            "[l][0]",
            "[l][x][y]",
            "[new][0][deep]",
            "s",
            "[s][x]",
        ];
        let special = ["[container][new]", "stream", "[@metadata][x]", "@timestamp", "tags", "[tags][x]"];
        for name in names.into_iter().chain(special) {
            let mut event = Event::layered(Map::new(), container());
            event.set(&path("[a][b]"), 1.into()).unwrap();
            event.set(&path("n"), Value::Null).unwrap();
            event.set(&path("l"), Value::list(vec![1.into()])).unwrap();
            event.set(&path("s"), "text".into()).unwrap();
            let (before, was) = (event.to_map(), event.get(&path(name)).cloned());
            match event.add_new(&path(name), 7.into()) {
                Ok(()) => {
                    assert_eq!((was, event.get(&path(name))), (None, Some(&7.into())), "{name}");
                    let mut set = Event::layered(before, Arc::new(Layer::new(Map::new())));
                    set.set(&path(name), 7.into()).unwrap();
                    assert_eq!(event.to_map(), set.to_map(), "{name}");
                }
                Err(value) => assert_eq!((value, event.to_map()), (7.into(), before), "{name}"),
            }
            let added = ["[a][x][y]", "[new][0][deep]"].contains(&name);
            assert_eq!(event.get(&path(name)) == Some(&7.into()), added, "{name}");
        }
    }

    #[test]
    fn timestamp_and_tags_take_some_values_only() {
        let mut event = Event::default();
        assert_eq!(event.set(&path("@timestamp"), "2026".into()), Err(NotAContainer));
        assert_eq!(event.set(&path("[tags]"), 5.into()), Err(NotAContainer));
        assert_eq!(event.set(&path("[tags][x]"), "y".into()), Err(NotAContainer));
        assert_eq!(event.set(&path("tags"), Value::list(vec!["a".into(), 1.into()])), Err(NotAContainer));
        assert_eq!(event.fields().count(), 0);
        event.set(&path("tags"), Value::list(vec!["a".into()])).unwrap();
        event.set(&path("[@timestamp]"), Timestamp::default().into()).unwrap();
        assert_eq!(event.fields().count(), 2);
    }

    #[test]
    fn metadata_is_apart_from_the_fields() {
        let mut event = Event::default();
        event.set(&path("[@metadata][index]"), "x".into()).unwrap();
        assert_eq!(event.get(&path("[@metadata][index]")), Some(&"x".into()));
        assert_eq!(event.fields().count(), 0);
    }

    #[test]
    fn a_failure_tag_is_added_once() {
        let mut event = Event::default();
        event.tag("_x");
        event.tag("_x");
        assert_eq!(event.field("tags"), Some(&Value::list(vec!["_x".into()])));
        event.set_field("tags".into(), "one".into());
        event.tag("_x");
        assert_eq!(event.field("tags"), Some(&Value::list(vec!["one".into(), "_x".into()])));
    }
}
