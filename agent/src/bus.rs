//! The addresses between the pipelines of a process: what `pipeline` outputs send to and `pipeline` inputs listen on.
//!
//! Behind each address is a bounded channel of [`PARCELS`] parcels, each what one worker had at a time; when it is full, the sending worker
//! waits, and with it its pipeline. Events keep their receipts on the way, so the byte budget bounds them too, and the first
//! pipeline's source counts as read only when the last pipeline's output has the event.
//!
//! An address ends when everybody who sends to it has ended; so pipelines end one after the other, those that send first. That needs a
//! graph without circles, which [`Bus::mistakes`] sees to.
//!
//! A [`Bus`] is what the pipelines say when they are loaded, [`Ways`] is what the running ones use. Pipelines that are loaded again take over the
//! channels in use, with the parcels that wait in them; so the others never notice.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elkhound_config::ast::Span;
use elkhound_config::diagnostic::Diagnostic;
use elkhound_config::suggest;
use elkhound_pipeline::event::Event;
use flume::{Receiver, Sender};

/// How many parcels may wait at an address; then the sender waits.
const PARCELS: usize = 16;

/// Events on their way to another pipeline.
pub(crate) struct Parcel {
    /// The same for everything that one worker sends, so that its order can be kept.
    pub(crate) source: u64,
    /// The events.
    pub(crate) events: Vec<Event>,
}

/// The addresses, while the pipelines are made.
pub(crate) struct Bus {
    /// The pipelines' names, by their number.
    names: Vec<String>,
    addresses: Mutex<Vec<Address>>,
}

struct Address {
    name: String,
    sender: Sender<Parcel>,
    receiver: Receiver<Parcel>,
    listening: Arc<AtomicBool>,
    /// Nobody uses the channel yet, for there was no such address, or it had ended.
    is_new: bool,
    listener: Option<End>,
    senders: Vec<End>,
}

/// A plugin: the number of its pipeline, and its place there.
#[derive(Clone, Copy)]
struct End {
    pipeline: usize,
    span: Span,
}

/// A way to an address.
#[derive(Clone)]
pub(crate) struct Link {
    /// The address.
    pub(crate) address: String,
    /// The channel behind it.
    pub(crate) sender: Sender<Parcel>,
    /// Whether a pipeline listens there now.
    pub(crate) listening: Arc<AtomicBool>,
    /// How many links the pipeline had before this one.
    pub(crate) number: usize,
}

impl Bus {
    /// The bus of pipelines with these names, over the channels in use.
    pub(crate) fn over(names: Vec<String>, ways: &Ways) -> Self {
        let used = |way: &Way| {
            let sender = way.sender.clone()?;
            let (name, receiver, listening) = (way.name.clone(), way.receiver.clone(), Arc::clone(&way.listening));
            Some(Address { name, sender, receiver, listening, is_new: false, listener: None, senders: Vec::new() })
        };
        let addresses = Mutex::new(ways.all().iter().filter_map(used).collect());
        Self { names, addresses }
    }

    fn addresses(&self) -> MutexGuard<'_, Vec<Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens on an address.
    ///
    /// # Errors
    /// The name of the pipeline that listens there already.
    pub(crate) fn listen(&self, name: &str, pipeline: usize, span: Span) -> Result<Receiver<Parcel>, String> {
        let mut addresses = self.addresses();
        let address = entry(&mut addresses, name);
        if let Some(other) = address.listener {
            return Err(self.names[other.pipeline].clone());
        }
        address.listener = Some(End { pipeline, span });
        Ok(address.receiver.clone())
    }

    /// Makes a way to an address, whether or not somebody listens there yet.
    pub(crate) fn link(&self, name: &str, pipeline: usize, span: Span) -> Link {
        let mut addresses = self.addresses();
        let ends = addresses.iter().flat_map(|address| &address.senders);
        let number = ends.filter(|end| end.pipeline == pipeline).count();
        let address = entry(&mut addresses, name);
        address.senders.push(End { pipeline, span });
        let (sender, listening) = (address.sender.clone(), Arc::clone(&address.listening));
        Link { address: name.to_owned(), sender, listening, number }
    }

    /// What is wrong or odd about the addresses, each with the number of the pipeline in which it is.
    pub(crate) fn mistakes(&self) -> Vec<(usize, Diagnostic)> {
        let addresses = self.addresses();
        let mut mistakes = Vec::new();
        for address in addresses.iter() {
            match address.listener {
                None => {
                    mistakes.extend(address.senders.iter().map(|end| (end.pipeline, nobody(address, &addresses, end))));
                }
                Some(end) if address.senders.is_empty() => {
                    let message = format!("no pipeline sends to the address `{}`", address.name);
                    mistakes.push((end.pipeline, Diagnostic::warning("unused-address", end.span, message)));
                }
                Some(_) => {}
            }
        }
        mistakes.extend((0..self.names.len()).filter_map(|start| self.circle(start, &addresses)));
        mistakes
    }

    /// The circle that begins and ends at the pipeline `start`, if it is the first of its circle.
    fn circle(&self, start: usize, addresses: &[Address]) -> Option<(usize, Diagnostic)> {
        let ways = |from: usize| ways(addresses, from);
        let mut queue = VecDeque::from([vec![start]]);
        let mut seen = Vec::new();
        while let Some(way) = queue.pop_front() {
            for (next, _) in ways(*way.last()?) {
                if next == start {
                    let (_, span) = ways(start).into_iter().find(|(to, _)| *to == *way.get(1).unwrap_or(&start))?;
                    return Some((start, self.turning(&way, span)));
                }
                if next > start && !seen.contains(&next) {
                    seen.push(next);
                    queue.push_back([way.as_slice(), &[next]].concat());
                }
            }
        }
        None
    }

    fn turning(&self, way: &[usize], span: Span) -> Diagnostic {
        let names: Vec<&str> = way.iter().chain(way.first()).map(|pipeline| self.names[*pipeline].as_str()).collect();
        let message = format!("pipelines send to each other in a circle: {}", names.join(" → "));
        let help = "a full queue would make all of them wait for each other for ever; leave one of the ways out";
        Diagnostic::error("pipeline-circle", span, message).with_help(help)
    }

    /// The pipelines with an end at a channel that nobody uses yet: one that runs already has to be started anew to come by it.
    pub(crate) fn newly_connected(&self) -> BTreeSet<usize> {
        let addresses = self.addresses();
        let ends = |address: &Address| address.senders.iter().chain(&address.listener).copied().collect::<Vec<_>>();
        addresses.iter().filter(|address| address.is_new).flat_map(ends).map(|end| end.pipeline).collect()
    }

    /// Puts the addresses to use; they end with their senders. To be called when all pipelines are made and will be run.
    pub(crate) fn open(&self, ways: &Ways) {
        let name = |end: &End| self.names[end.pipeline].clone();
        let addresses = std::mem::take(&mut *self.addresses());
        let opened = addresses.into_iter().map(|address| {
            let senders: Vec<String> = address.senders.iter().map(name).collect();
            address.listening.store(address.listener.is_some(), Ordering::Relaxed);
            Way {
                sender: (!senders.is_empty()).then_some(address.sender),
                name: address.name,
                receiver: address.receiver,
                listening: address.listening,
                listener: address.listener.as_ref().map(name),
                senders,
            }
        });
        let opened = opened.filter(|way| way.listener.is_some() || !way.senders.is_empty()).collect();
        *ways.all() = opened;
    }
}

/// The addresses that running pipelines use.
#[derive(Default)]
pub(crate) struct Ways(Mutex<Vec<Way>>);

/// An address in use.
struct Way {
    name: String,
    /// Kept for pipelines that are loaded later, and as long as there is a pipeline that sends: the channel ends with its last sender.
    sender: Option<Sender<Parcel>>,
    /// Kept so that parcels can wait for a listener that is loaded later.
    receiver: Receiver<Parcel>,
    listening: Arc<AtomicBool>,
    listener: Option<String>,
    senders: Vec<String>,
}

impl Ways {
    /// A pipeline has ended, and none of its name has taken its place.
    pub(crate) fn ended(&self, pipeline: &str) {
        let mut ways = self.all();
        for way in ways.iter_mut() {
            way.senders.retain(|sender| sender != pipeline);
            if way.listener.as_deref() == Some(pipeline) {
                way.listener = None;
                way.listening.store(false, Ordering::Relaxed);
            }
            if way.senders.is_empty() {
                way.sender = None;
            }
        }
        ways.retain(|way| way.listener.is_some() || !way.senders.is_empty());
    }

    fn all(&self) -> MutexGuard<'_, Vec<Way>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry<'a>(addresses: &'a mut Vec<Address>, name: &str) -> &'a mut Address {
    let at = addresses.iter().position(|address| address.name == name).unwrap_or_else(|| {
        let (sender, receiver) = flume::bounded(PARCELS);
        let (name, listening) = (name.to_owned(), Arc::new(AtomicBool::new(false)));
        addresses.push(Address {
            name,
            sender,
            receiver,
            listening,
            is_new: true,
            listener: None,
            senders: Vec::new(),
        });
        addresses.len() - 1
    });
    &mut addresses[at]
}

/// The pipelines that `from` sends to, each with the place where it says so.
fn ways(addresses: &[Address], from: usize) -> Vec<(usize, Span)> {
    let to = |address: &Address| {
        let listener = address.listener?;
        let sender = address.senders.iter().find(|end| end.pipeline == from)?;
        Some((listener.pipeline, sender.span))
    };
    addresses.iter().filter_map(to).collect()
}

fn nobody(address: &Address, addresses: &[Address], end: &End) -> Diagnostic {
    let message = format!("no pipeline listens on the address `{}`", address.name);
    let warning = Diagnostic::warning("unknown-address", end.span, message);
    let known = addresses.iter().filter(|other| other.listener.is_some()).map(|other| other.name.as_str());
    match suggest::near(&address.name, known) {
        Some(near) => warning.with_help(format!("did you mean `{near}`?")),
        None => warning.with_help("events wait for one that does; add a `pipeline` input with this address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus(pipelines: usize, listeners: &[(usize, &str)], senders: &[(usize, &str)]) -> Bus {
        let bus = Bus::over((0..pipelines).map(|number| format!("p{number}")).collect(), &Ways::default());
        for (pipeline, name) in senders {
            bus.link(name, *pipeline, Span::default());
        }
        for (pipeline, name) in listeners {
            bus.listen(name, *pipeline, Span::default()).unwrap();
        }
        bus
    }

    fn messages(bus: &Bus) -> Vec<(usize, String)> {
        bus.mistakes().into_iter().map(|(pipeline, mistake)| (pipeline, mistake.message)).collect()
    }

    #[test]
    fn a_chain_and_a_fork_that_joins_again_are_no_circles() {
        let bus = bus(4, &[(1, "one"), (2, "two"), (3, "end")], &[(0, "one"), (0, "two"), (1, "end"), (2, "end")]);
        assert_eq!(messages(&bus), []);
    }

    #[test]
    fn a_circle_is_told_once_with_its_names() {
        let bus = bus(4, &[(1, "a"), (2, "b"), (3, "c")], &[(0, "a"), (1, "b"), (2, "c"), (3, "a")]);
        let expected = (1, "pipelines send to each other in a circle: p1 → p2 → p3 → p1".to_owned());
        assert_eq!(messages(&bus), [expected]);
    }

    #[test]
    fn a_pipeline_that_sends_to_itself_is_a_circle() {
        let bus = bus(1, &[(0, "me")], &[(0, "me")]);
        let expected = (0, "pipelines send to each other in a circle: p0 → p0".to_owned());
        assert_eq!(messages(&bus), [expected]);
    }

    #[test]
    fn addresses_without_one_of_their_ends_are_told() {
        let bus = bus(2, &[(1, "intake")], &[(0, "intak")]);
        let expected = [
            (0, "no pipeline listens on the address `intak`".to_owned()),
            (1, "no pipeline sends to the address `intake`".to_owned()),
        ];
        assert_eq!(messages(&bus), expected);
        assert_eq!(bus.mistakes()[0].1.help.as_deref(), Some("did you mean `intake`?"));
    }

    #[test]
    fn an_address_is_listened_on_once_and_links_are_counted_by_pipeline() {
        let bus = bus(2, &[(1, "a")], &[(0, "a"), (0, "b")]);
        assert_eq!(bus.listen("a", 0, Span::default()).err().as_deref(), Some("p1"));
        assert_eq!((bus.link("a", 0, Span::default()).number, bus.link("a", 1, Span::default()).number), (2, 0));
    }

    fn over(ways: &Ways) -> Bus {
        Bus::over(vec!["in".into(), "out".into()], ways)
    }

    #[test]
    fn an_address_ends_with_its_senders() {
        let ways = Ways::default();
        let bus = over(&ways);
        let receiver = bus.listen("a", 1, Span::default()).unwrap();
        let link = bus.link("a", 0, Span::default());
        bus.open(&ways);
        assert!(link.listening.load(Ordering::Relaxed));
        drop(link);
        assert!(!receiver.is_disconnected());
        ways.ended("in");
        assert!(receiver.is_disconnected());
    }

    #[test]
    fn a_pipeline_that_is_loaded_again_takes_over_what_waits() {
        let ways = Ways::default();
        let bus = over(&ways);
        let (old, link) = (bus.listen("a", 1, Span::default()).unwrap(), bus.link("a", 0, Span::default()));
        assert_eq!(bus.newly_connected(), BTreeSet::from([0, 1]));
        bus.open(&ways);
        link.sender.send(Parcel { source: 7, events: Vec::new() }).unwrap();
        drop(old);

        let again = over(&ways);
        let new = again.listen("a", 1, Span::default()).unwrap();
        again.link("a", 0, Span::default());
        assert_eq!(again.newly_connected(), BTreeSet::new());
        again.open(&ways);
        assert_eq!(new.try_recv().map(|parcel| parcel.source), Ok(7));
    }

    #[test]
    fn parcels_wait_for_a_listener_that_comes_later_and_an_ended_address_begins_anew() {
        let ways = Ways::default();
        let bus = over(&ways);
        let link = bus.link("a", 0, Span::default());
        bus.open(&ways);
        assert!(!link.listening.load(Ordering::Relaxed));
        link.sender.send(Parcel { source: 7, events: Vec::new() }).unwrap();

        let with_listener = over(&ways);
        let listener = with_listener.listen("a", 1, Span::default()).unwrap();
        drop(with_listener.link("a", 0, Span::default()));
        with_listener.open(&ways);
        assert!(link.listening.load(Ordering::Relaxed) && listener.try_recv().is_ok());

        ways.ended("in");
        let again = over(&ways);
        again.listen("a", 1, Span::default()).unwrap();
        again.link("a", 0, Span::default());
        assert_eq!(again.newly_connected(), BTreeSet::from([0, 1]));
    }
}
