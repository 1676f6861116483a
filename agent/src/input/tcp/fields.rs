//! What an event says of the connection that it came over, under the names of either ECS mode. Nothing is overwritten that the event brought along.

use std::net::SocketAddr;

use elkhound_pipeline::event::Event;
use elkhound_pipeline::path::Path;
use elkhound_pipeline::setup::Ecs;
use elkhound_pipeline::value::Value;

use super::proxy::Addresses;
use crate::input::{fill, known};

/// The names of the fields.
pub(super) struct Names {
    name: Path,
    ip: Path,
    port: Path,
    proxy_ip: Path,
    proxy_port: Path,
    /// The subject of the peer's certificate.
    pub(super) subject: Path,
}

impl Names {
    /// The names in this mode.
    pub(super) fn new(ecs: Ecs) -> Self {
        let pick = |disabled: &str, enabled: &str| known(if ecs.is_enabled() { enabled } else { disabled });
        Self {
            name: pick("host", "[@metadata][input][tcp][source][name]"),
            ip: pick("[@metadata][ip_address]", "[@metadata][input][tcp][source][ip]"),
            port: pick("port", "[@metadata][input][tcp][source][port]"),
            proxy_ip: pick("proxy_host", "[@metadata][input][tcp][proxy][ip]"),
            proxy_port: pick("proxy_port", "[@metadata][input][tcp][proxy][port]"),
            subject: pick("sslsubject", "[@metadata][input][tcp][tls][client][subject]"),
        }
    }
}

/// What all events of one connection share.
pub(super) struct Origin(Vec<(Path, Value)>);

impl Origin {
    /// Of a peer whose name is `named`, or who is the proxy of somebody else.
    pub(super) fn new(names: &Names, peer: SocketAddr, named: Option<String>, proxied: Option<&Addresses>) -> Self {
        let Some(Addresses { client, proxy }) = proxied else {
            let ip = peer.ip().to_canonical().to_string();
            let name = named.unwrap_or_else(|| ip.clone());
            return Self(vec![
                (names.name.clone(), name.into()),
                (names.ip.clone(), ip.into()),
                (names.port.clone(), i64::from(peer.port()).into()),
            ]);
        };
        // Ports that a proxy has told are texts, as in Logstash.
        Self(vec![
            (names.proxy_ip.clone(), proxy.0.as_str().into()),
            (names.proxy_port.clone(), proxy.1.to_string().into()),
            (names.name.clone(), client.0.as_str().into()),
            (names.ip.clone(), client.0.as_str().into()),
            (names.port.clone(), client.1.to_string().into()),
        ])
    }

    /// Adds a field.
    pub(super) fn add(&mut self, name: &Path, value: Value) {
        self.0.push((name.clone(), value));
    }

    /// Writes them into an event.
    pub(super) fn mark(&self, event: &mut Event) {
        for (name, value) in &self.0 {
            fill(event, name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(ecs: Ecs, proxied: Option<&Addresses>) -> Event {
        let names = Names::new(ecs);
        let peer = "[::ffff:10.0.0.7]:5123".parse().unwrap();
        let mut event = Event::default();
        event.set_field("message".into(), "m".into());
        Origin::new(&names, peer, Some("web".into()), proxied).mark(&mut event);
        event
    }

    fn text(event: &Event, name: &str) -> Option<String> {
        event.get(&known(name)).and_then(Value::as_text).map(ToString::to_string)
    }

    #[test]
    fn with_the_schema_the_source_is_metadata() {
        let event = marked(Ecs::V8, None);
        assert_eq!(event.fields().count(), 1);
        assert_eq!(text(&event, "[@metadata][input][tcp][source][name]").as_deref(), Some("web"));
        assert_eq!(text(&event, "[@metadata][input][tcp][source][ip]").as_deref(), Some("10.0.0.7"));
        assert_eq!(event.get(&known("[@metadata][input][tcp][source][port]")), Some(&Value::Integer(5123)));
    }

    #[test]
    fn without_it_the_source_is_in_the_fields() {
        let event = marked(Ecs::Disabled, None);
        assert_eq!((text(&event, "host").as_deref(), event.field("port")), (Some("web"), Some(&Value::Integer(5123))));
        assert_eq!(text(&event, "[@metadata][ip_address]").as_deref(), Some("10.0.0.7"));
    }

    #[test]
    fn a_proxy_speaks_for_its_client() {
        let proxied = Addresses { client: ("192.0.2.1".into(), 1000), proxy: ("192.0.2.2".into(), 5000) };
        let event = marked(Ecs::Disabled, Some(&proxied));
        let names = ["host", "port", "proxy_host", "proxy_port", "[@metadata][ip_address]"];
        let found: Vec<_> = names.iter().filter_map(|name| text(&event, name)).collect();
        assert_eq!(found, ["192.0.2.1", "1000", "192.0.2.2", "5000", "192.0.2.1"]);
    }

    #[test]
    fn what_the_event_brought_along_is_kept() {
        let mut event = Event::default();
        event.set_field("host".into(), "its own".into());
        let names = Names::new(Ecs::Disabled);
        Origin::new(&names, "10.0.0.7:1".parse().unwrap(), None, None).mark(&mut event);
        assert_eq!(text(&event, "host").as_deref(), Some("its own"));
    }
}
