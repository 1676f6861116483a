//! Looks whether addresses lie in networks, and then does what its common options say: adds tags or fields.
//!
//! ## Options
//!
//! - `address`: texts with addresses, as `["%{src_ip}"]`. An address may be a network itself, and is then wholly inside or not.
//! - `address_field`: instead, a field that holds an address or a list of them.
//! - `network`: networks as `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `2001:db8::/32` or a single address; several in one text are separated by commas,
//!   and `%{field}` is put in for each event.
//! - `network_path`: instead, a file with networks; `separator` (default a newline) stands between them.
//! - `refresh_interval` (default 600, in seconds): how often to look whether the file has changed, at most once a second. It is read anew
//!   when it has.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   cidr { address => ["%{[source][ip]}"] network => ["10.0.0.0/8", "192.168.0.0/16", "fc00::/7"] add_tag => ["internal"] }
//! }
//! ```
//!
//! ```json
//! {"source":{"ip":"10.1.2.3"}}
//! =>
//! {"source":{"ip":"10.1.2.3"},"tags":["internal"]}
//! ```
//!
//! ## On failure
//!
//! What is no address or network is skipped without a tag. IPv4 addresses written as IPv6 (`::ffff:10.1.2.3`) are IPv6. A file that can't be
//! read keeps the pipeline from starting; once running, one that is gone or empty is a warning in elkhound's log, and the last networks stay.

use std::sync::{PoisonError, RwLock};

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::{Context, Filter, Kind, Outcome, Watched, optional};
use crate::event::Event;
use crate::path::Path;
use crate::ruby;
use crate::setup::Setup;
use crate::template::{BrokenTemplate, Template};
use crate::value::Value;

mod network;

pub(super) use network::Network;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "cidr", options: OPTIONS, docs: crate::docs::head(include_str!("cidr.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    optional("address", OptionKind::Array, "[]", "texts with the addresses to look for"),
    optional("address_field", OptionKind::FieldReference, "", "the field with the addresses to look for"),
    optional("network", OptionKind::Array, "[]", "the networks, each an address with or without a prefix length"),
    optional("network_path", OptionKind::Path, "", "a file with networks"),
    optional("refresh_interval", OptionKind::Number, "600", "seconds between looks at the file"),
    optional("separator", OptionKind::String, "a newline", "what stands between the networks of the file"),
];

fn build(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let addresses = addresses(options);
    let networks = match options.text("network_path") {
        None => Some(Networks::Written(written_networks(options))),
        Some(path) => networks_in_file(path, options, setup).map(Networks::File),
    };
    Some(Box::new(Cidr { addresses: addresses?, networks: networks? }))
}

fn addresses(options: &mut Options<'_>) -> Option<Addresses> {
    let texts = options.texts("address");
    let Some(written) = options.text("address_field") else {
        return Some(Addresses::Texts(texts.iter().map(|text| Template::parse(text)).collect()));
    };
    if !texts.is_empty() {
        options.fail("address_field", "`address` and `address_field` can't both be set", "keep one of them");
        return None;
    }
    match Path::parse(&written) {
        Ok(path) => Some(Addresses::Field(path)),
        Err(error) => {
            options.fail("address_field", &error.to_string(), "");
            None
        }
    }
}

fn written_networks(options: &mut Options<'_>) -> Vec<Source> {
    let mut sources = Vec::new();
    for text in options.texts("network") {
        let template = Template::parse(&text);
        let Some(literal) = template.literal() else {
            sources.push(Source::Rendered(template));
            continue;
        };
        for part in ruby::split(literal, ",") {
            match Network::parse(ruby::strip(part)) {
                Some(network) => sources.push(Source::Fixed(network)),
                None => warn("network", part, options),
            }
        }
    }
    sources
}

fn networks_in_file(path: String, options: &mut Options<'_>, setup: &Setup<'_>) -> Option<NetworkFile> {
    if !options.texts("network").is_empty() {
        options.fail("network_path", "`network` and `network_path` can't both be set", "keep one of them");
        return None;
    }
    let bytes = super::read_named_file("network_path", &path, "put a file with networks there", options, setup)?;
    let separator = options.text_or("separator", "\n");
    let (networks, skipped) = read_networks(&bytes, &separator);
    skipped.iter().for_each(|part| warn("network_path", part, options));
    let watched = Watched::every(path, options.integer("refresh_interval", 600).max(1));
    Some(NetworkFile { watched, separator, networks: RwLock::new(networks) })
}

/// The networks of a file, and what in it is none.
fn read_networks(bytes: &[u8], separator: &str) -> (Vec<Network>, Vec<String>) {
    let (mut networks, mut skipped) = (Vec::new(), Vec::new());
    for part in ruby::split(&String::from_utf8_lossy(bytes), separator) {
        match Network::parse(part) {
            Some(network) => networks.push(network),
            None => skipped.push(part.to_owned()),
        }
    }
    (networks, skipped)
}

fn warn(name: &str, part: &str, options: &mut Options<'_>) {
    let message = format!("`{}` is no network and is skipped", part.escape_debug());
    options.warn(name, &message, "write it as `10.0.0.0/8` or `2001:db8::/32`");
}

struct Cidr {
    addresses: Addresses,
    networks: Networks,
}

/// Where the networks come from.
enum Networks {
    /// The pipeline.
    Written(Vec<Source>),
    /// A file, which is read again when it has changed.
    File(NetworkFile),
}

struct NetworkFile {
    /// Nothing when the file is read only once.
    watched: Option<Watched>,
    separator: String,
    networks: RwLock<Vec<Network>>,
}

enum Addresses {
    Texts(Vec<Template>),
    Field(Path),
}

/// Where a network comes from.
enum Source {
    /// The same for all events.
    Fixed(Network),
    /// Networks separated by commas, put together for each event.
    Rendered(Template),
}

impl Filter for Cidr {
    fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
        match self.matches(event) {
            Ok(true) => Outcome::Matched,
            Ok(false) => Outcome::Passed,
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    fn watched(&self) -> Option<&Watched> {
        match &self.networks {
            Networks::Written(_) => None,
            Networks::File(file) => file.watched.as_ref(),
        }
    }

    fn refresh(&self, bytes: &[u8]) -> Result<(), String> {
        match &self.networks {
            Networks::Written(_) => Ok(()),
            Networks::File(file) => file.refresh(bytes),
        }
    }
}

impl NetworkFile {
    /// Takes what the file holds now. An empty one is more likely being written than meant, and Logstash keeps the last networks, too.
    fn refresh(&self, bytes: &[u8]) -> Result<(), String> {
        let (networks, _) = read_networks(bytes, &self.separator);
        if networks.is_empty() {
            return Err("there is no network in it".to_owned());
        }
        *self.networks.write().unwrap_or_else(PoisonError::into_inner) = networks;
        Ok(())
    }

    fn contains(&self, addresses: &[Network]) -> bool {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        networks.iter().any(|network| addresses.iter().any(|address| network.contains(address)))
    }
}

impl Cidr {
    fn matches(&self, event: &Event) -> Result<bool, BrokenTemplate> {
        let addresses = self.addresses.of(event)?;
        let sources = match &self.networks {
            Networks::Written(sources) => sources,
            Networks::File(file) => return Ok(file.contains(&addresses)),
        };
        for source in sources {
            let within = match source {
                Source::Fixed(network) => addresses.iter().any(|address| network.contains(address)),
                Source::Rendered(template) => rendered_contains(&template.render(event)?, &addresses),
            };
            if within {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn rendered_contains(networks: &str, addresses: &[Network]) -> bool {
    ruby::split(networks, ",")
        .into_iter()
        .filter_map(|part| Network::parse(ruby::strip(part)))
        .any(|network| addresses.iter().any(|address| network.contains(address)))
}

impl Addresses {
    fn of(&self, event: &Event) -> Result<Vec<Network>, BrokenTemplate> {
        match self {
            Self::Texts(templates) => {
                let texts = templates.iter().map(|template| template.render(event)).collect::<Result<Vec<_>, _>>()?;
                Ok(texts.iter().filter_map(|text| Network::parse(text)).collect())
            }
            Self::Field(path) => Ok(event.get(path).map(of_value).unwrap_or_default()),
        }
    }
}

/// Only texts are addresses; numbers aren't, since they don't say of which family.
fn of_value(value: &Value) -> Vec<Network> {
    let values = value.as_list().unwrap_or(std::slice::from_ref(value));
    values.iter().filter_map(|value| Network::parse(value.as_text()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(address: Addresses, network: &str) -> Cidr {
        Cidr { addresses: address, networks: Networks::Written(vec![Source::Rendered(Template::parse(network))]) }
    }

    fn event() -> Event {
        let mut event = Event::default();
        event.set_field("ip".into(), "10.1.1.1".into());
        event.set_field("ips".into(), Value::list(vec![5.into(), Value::Null, "192.168.0.1".into()]));
        event.set_field("net".into(), "nonsense,10.0.0.0/8,".into());
        event
    }

    fn outcome(cidr: &Cidr) -> Outcome {
        cidr.filter(&mut event(), &mut Context::default())
    }

    fn text(address: &str) -> Addresses {
        Addresses::Texts(vec![Template::parse(address)])
    }

    #[test]
    fn addresses_and_networks_are_put_together_for_each_event() {
        assert_eq!(outcome(&cidr(text("%{ip}"), "%{net}")), Outcome::Matched);
        assert_eq!(outcome(&cidr(text("%{ip}"), " 10.1.1.1 ,x")), Outcome::Matched);
        assert_eq!(outcome(&cidr(text("%{missing}"), "%{net}")), Outcome::Passed);
        assert_eq!(outcome(&cidr(text("%{ip}"), "%{missing}")), Outcome::Passed);
    }

    #[test]
    fn a_field_may_hold_a_list() {
        assert_eq!(outcome(&cidr(Addresses::Field(Path::field("ips")), "192.168.0.0/16")), Outcome::Matched);
        assert_eq!(outcome(&cidr(Addresses::Field(Path::field("missing")), "0.0.0.0/0")), Outcome::Passed);
    }

    #[test]
    fn networks_of_a_file_are_replaced_when_it_has_changed_and_stay_when_it_is_empty() {
        let networks = RwLock::new(read_networks(b"192.168.0.0/16\nnonsense", "\n").0);
        let watched = Watched::every("nets.txt".to_owned(), 600);
        let file = NetworkFile { watched, separator: ",".to_owned(), networks };
        let cidr = Cidr { addresses: text("%{ip}"), networks: Networks::File(file) };
        assert_eq!(cidr.watched().map(|watched| watched.every.as_secs()), Some(600));
        assert_eq!(outcome(&cidr), Outcome::Passed);
        cidr.refresh(b"10.0.0.0/8,fc00::/7").unwrap();
        assert_eq!(outcome(&cidr), Outcome::Matched);
        assert!(cidr.refresh(b"").is_err());
        assert_eq!(outcome(&cidr), Outcome::Matched);
    }

    #[test]
    fn a_missing_file_is_refused() {
        let mistakes =
            crate::filter::testing::mistakes("cidr { address => ['%{ip}'] network_path => '/nowhere/nets' }");
        assert_eq!(mistakes, ["`/nowhere/nets` can't be read: entity not found"]);
    }

    #[test]
    fn a_broken_reference_fails() {
        assert!(matches!(outcome(&cidr(text("%{[a]b}"), "%{net}")), Outcome::Failed(_)));
    }
}
