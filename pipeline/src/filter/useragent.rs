//! Says what a user agent is: browser, operating system and device, by the patterns of uap-core.
//!
//! ## Options
//!
//! - `source` (needed): the field with the user agent. Of a list the first element counts.
//! - `target` (default the event's top, with ECS `user_agent`): where the answer goes.
//! - `prefix` (default empty): put before the names; without ECS only.
//! - `regexes`: a file of your own in the form of uap-core's `regexes.yaml`; it is read when the pipeline is loaded.
//! - `lru_cache_size` (default 100000): how many answers are remembered.
//! - `ecs_compatibility`: `disabled` sets `name`, `version`, `major`, `minor`, `patch`, `os`, `os_name`, `os_full`, `os_version`, `os_major`,
//!   `os_minor`, `os_patch` and `device`; otherwise they are `[name]`, `[version]`, `[os][name]`, `[os][full]`, `[os][version]` and
//!   `[device][name]`, and the parts of versions are below `[@metadata][filter][user_agent]`.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   useragent { source => "[user_agent][original]" target => "[user_agent]" }
//! }
//! ```
//!
//! ```json
//! {"user_agent":{"original":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}}
//! =>
//! {"user_agent":{"original":"…","name":"Firefox","version":"140.0","device":{"name":"Other"},"os":{"name":"Linux","full":"Linux"}},"@metadata":{"filter":{"user_agent":{"version":{"major":"140","minor":"0"}}}}}
//! ```
//!
//! ## On failure
//!
//! A missing or empty source leaves the event as it is. A number or boolean, which ends Logstash's worker, tags it
//! `_elkhound_filter_failure`. So does a user agent on which the patterns together take longer than about a second: the event stays as it is, the
//! failure is counted and logged, and that user agent is not tried again while it is remembered.
//!
//! ## Differences from Logstash
//!
//! The patterns are those of uap-core 0.18.0, so some new devices and browsers have names that Logstash does not know.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::number;
use crate::path::Path;
use crate::setup::{Ecs, Setup};
use crate::text::Text;
use crate::value::Value;

mod cache;
mod patterns;

use cache::Cache;
use patterns::{Agent, Patterns, Product};

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "useragent", options: OPTIONS, docs: crate::docs::head(include_str!("useragent.rs")), build };

const ECS_MODES: OptionKind = OptionKind::OneOf(&["disabled", "v1", "v8"]);

const OPTIONS: &[OptionSpec] = &[
    optional("ecs_compatibility", ECS_MODES, "the pipeline's", "which field names"),
    optional("lru_cache_size", OptionKind::Number, "100000", "how many answers are remembered"),
    optional("prefix", OptionKind::String, "", "put before the names, without ECS only"),
    optional("regexes", OptionKind::String, "", "a file with patterns, in place of those that are shipped"),
    OptionSpec {
        name: "source",
        kind: OptionKind::String,
        default: "",
        required: true,
        help: "the field with the user agent",
    },
    optional("target", OptionKind::String, "the event, with ECS user_agent", "where the answer goes"),
];

fn build(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let ecs = setup.ecs_of(options) != Ecs::Disabled;
    let source = options.text("source")?;
    let target = options.text("target");
    let prefix = options.text_or("prefix", "");
    if ecs && !prefix.is_empty() {
        options.warn("prefix", "`prefix` has no effect with ECS", "remove it, or set `ecs_compatibility => disabled`");
    }
    let size = options.integer("lru_cache_size", 100_000);
    if size <= 0 {
        options.fail("lru_cache_size", &format!("the cache can't hold {size} answers"), "give a number above 0");
        return None;
    }
    Some(Box::new(Useragent {
        replaces_source: target.as_deref() == Some(&source),
        fields: fields(ecs, target.as_deref(), &prefix, options)?,
        source: Reference::plain(&source),
        patterns: patterns(options, setup)?,
        cache: Cache::new(usize::try_from(size).unwrap_or(usize::MAX)),
    }))
}

fn patterns(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Option<Patterns>> {
    let Some(path) = options.text("regexes") else { return Some(None) };
    let remedy = "name a file in the form of uap-core's regexes.yaml";
    let bytes = super::read_named_file("regexes", &path, remedy, options, setup)?;
    match Patterns::parse(&String::from_utf8_lossy(&bytes)) {
        Ok(patterns) => Some(Some(patterns)),
        Err(why) => {
            let message = format!("`{path}` can't be used: {why}");
            options.fail("regexes", &message, remedy);
            None
        }
    }
}

struct Useragent {
    source: Reference,
    replaces_source: bool,
    fields: Fields,
    /// Nothing for those that are shipped, which are compiled at first use.
    patterns: Option<Patterns>,
    cache: Cache,
}

/// Where each part of the answer goes.
struct Fields {
    browser: ProductFields,
    system: ProductFields,
    device: Path,
    /// The system's name once more, without ECS.
    os: Option<Path>,
    os_full: Path,
}

struct ProductFields {
    name: Path,
    version: Path,
    parts: [Path; 3],
}

fn fields(ecs: bool, target: Option<&str>, prefix: &str, options: &mut Options<'_>) -> Option<Fields> {
    let base = base(target.unwrap_or(if ecs { "user_agent" } else { "" }));
    let parsed = if ecs { ecs_fields(&base) } else { legacy_fields(&base, prefix) };
    if parsed.is_none() {
        let message = format!("`{}` is not a field reference", target.unwrap_or(prefix));
        options.fail(if target.is_some() { "target" } else { "prefix" }, &message, "write `name` or `[outer][inner]`");
    }
    parsed
}

fn base(target: &str) -> String {
    let bracketed = target.starts_with('[') && target.ends_with(']');
    if target.is_empty() || bracketed { target.to_owned() } else { format!("[{target}]") }
}

const METADATA: &str = "[@metadata][filter][user_agent]";

fn ecs_fields(base: &str) -> Option<Fields> {
    let path = |name: &str| Path::parse(&format!("{base}{name}")).ok();
    let part = |name: &str| Path::parse(&format!("{METADATA}{name}")).ok();
    Some(Fields {
        browser: ProductFields {
            name: path("[name]")?,
            version: path("[version]")?,
            parts: [part("[version][major]")?, part("[version][minor]")?, part("[version][patch]")?],
        },
        system: ProductFields {
            name: path("[os][name]")?,
            version: path("[os][version]")?,
            parts: [part("[os][version][major]")?, part("[os][version][minor]")?, part("[os][version][patch]")?],
        },
        device: path("[device][name]")?,
        os: None,
        os_full: path("[os][full]")?,
    })
}

fn legacy_fields(base: &str, prefix: &str) -> Option<Fields> {
    let path = |name: &str| Path::parse(&format!("{base}[{prefix}{name}]")).ok();
    Some(Fields {
        browser: ProductFields {
            name: path("name")?,
            version: path("version")?,
            parts: [path("major")?, path("minor")?, path("patch")?],
        },
        system: ProductFields {
            name: path("os_name")?,
            version: path("os_version")?,
            parts: [path("os_major")?, path("os_minor")?, path("os_patch")?],
        },
        device: path("device")?,
        os: Some(path("os")?),
        os_full: path("os_full")?,
    })
}

impl Filter for Useragent {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        let text = match self.text(event) {
            Ok(Some(text)) => text,
            Ok(None) => return Outcome::Passed,
            Err(Raised(reason)) => return Outcome::Failed(reason),
        };
        let patterns = self.patterns.as_ref();
        let agent =
            self.cache.get_or(&text, || patterns.unwrap_or_else(|| Patterns::shipped()).agent(&text, &mut cx.scratch));
        let stored = match &*agent {
            Ok(agent) => self.store(agent, &text, event),
            Err(overrun) => Err(Raised(format!("the patterns on {text:?}: {overrun}"))),
        };
        match stored {
            Ok(()) => Outcome::Matched,
            Err(Raised(reason)) => Outcome::Failed(reason),
        }
    }
}

impl Useragent {
    /// The user agent, unless it is missing or empty.
    fn text(&self, event: &Event) -> Result<Option<Text>, Raised> {
        let path = self.source.path(event)?;
        let value = match event.get(&path) {
            Some(Value::List(list)) => list.first(),
            value => value,
        };
        match value {
            None | Some(Value::Null | Value::Map(_) | Value::List(_)) => Ok(None),
            Some(Value::Text(text)) => Ok((!text.is_empty()).then(|| text.clone())),
            Some(_) => Err(Raised(format!("`{path}` is no text, so it is no user agent"))),
        }
    }

    fn store(&self, agent: &Agent, text: &str, event: &mut Event) -> Result<(), Raised> {
        if self.replaces_source {
            let source = self.source.path(event)?;
            event.remove(&source);
        }
        let fields = &self.fields;
        event.set(&fields.browser.name, Value::text(&agent.browser.name))?;
        event.set(&fields.device, Value::text(&agent.device))?;
        fields.browser.set_version(&agent.browser, browser_version(&agent.browser, text), event)?;
        let version = system_version(&agent.system);
        let full = version.as_ref().map(|version| format!("{} {version}", agent.system.name));
        fields.system.set_version(&agent.system, version, event)?;
        event.set(&fields.system.name, Value::text(&agent.system.name))?;
        if let Some(os) = &fields.os {
            event.set(os, Value::text(&agent.system.name))?;
        }
        event.set(&fields.os_full, full.unwrap_or_else(|| agent.system.name.clone()).into())?;
        Ok(())
    }
}

impl ProductFields {
    fn set_version(&self, product: &Product, version: Option<String>, event: &mut Event) -> Result<(), Raised> {
        for (path, part) in self.parts.iter().zip(&product.version) {
            if let Some(part) = part {
                event.set(path, Value::text(part))?;
            }
        }
        if let Some(version) = version {
            event.set(&self.version, version.into())?;
        }
        Ok(())
    }
}

/// The parts up to the first that is missing. When the patterns give three and the text goes on with a fourth, that one belongs to it.
fn browser_version(product: &Product, text: &str) -> Option<String> {
    let parts: Vec<&str> = product.version.iter().map_while(Option::as_deref).collect();
    let version = (!parts.is_empty()).then(|| parts.join("."))?;
    let fourth = if parts.len() == 3 { fourth_part(&version, text) } else { None };
    Some(fourth.map_or_else(|| version.clone(), |fourth| format!("{version}.{fourth}")))
}

fn fourth_part<'a>(version: &str, text: &'a str) -> Option<&'a str> {
    let (_, rest) = text.split_once(version)?;
    let (fourth, _) = rest.strip_prefix('.')?.split_once(' ')?;
    is_plain_number(fourth).then_some(fourth)
}

/// Named versions (`Vista`) are set off by a blank.
fn system_version(product: &Product) -> Option<String> {
    let parts: Vec<&str> = product.version.iter().map_while(Option::as_deref).collect();
    let (major, rest) = parts.split_first()?;
    let separator = if is_plain_number(major) { "." } else { " " };
    Some(if rest.is_empty() { (*major).to_owned() } else { format!("{major}{separator}{}", rest.join(".")) })
}

/// True when Ruby's `text.to_i.to_s` is the text.
fn is_plain_number(text: &str) -> bool {
    let mut printed = String::new();
    match number::to_i(text) {
        number::Integer::Small(small) => printed.push_str(&small.to_string()),
        number::Integer::Big(big) => printed.push_str(big.as_str()),
    }
    printed == text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Numbers};

    fn useragent(fields: Fields) -> Useragent {
        let source = Reference::plain("ua");
        Useragent { source, replaces_source: false, fields, patterns: None, cache: Cache::new(100) }
    }

    fn filtered(useragent: &Useragent, text: &str) -> (String, Outcome) {
        let Value::Map(fields) = json::parse(text, Numbers::Doubles).unwrap() else { panic!("{text} is no map") };
        let mut event = Event::new(*fields);
        let outcome = useragent.filter(&mut event, &mut Context::default());
        event.remove(&Path::field("ua"));
        let mut bytes = Vec::new();
        json::write_event(&event, &mut bytes);
        (String::from_utf8(bytes).unwrap(), outcome)
    }

    #[test]
    fn the_answer_has_the_names_of_its_mode() {
        let ecs = useragent(ecs_fields("[user_agent]").unwrap());
        let expected = r#"{"user_agent":{"name":"curl","device":{"name":"Other"},"version":"8.5.0","os":{"name":"Other","full":"Other"}}}"#;
        assert_eq!(filtered(&ecs, r#"{"ua":["curl/8.5.0"]}"#), (expected.to_owned(), Outcome::Matched));
        let legacy = useragent(legacy_fields("", "x_").unwrap());
        let expected = r#"{"x_name":"curl","x_device":"Other","x_major":"8","x_minor":"5","x_patch":"0","x_version":"8.5.0","x_os_name":"Other","x_os":"Other","x_os_full":"Other"}"#;
        assert_eq!(filtered(&legacy, r#"{"ua":"curl/8.5.0"}"#), (expected.to_owned(), Outcome::Matched));
    }

    #[test]
    fn what_is_no_text_is_passed_or_fails() {
        let ecs = useragent(ecs_fields("[user_agent]").unwrap());
        for event in [r#"{}"#, r#"{"ua":""}"#, r#"{"ua":null}"#, r#"{"ua":[]}"#, r#"{"ua":{"a":1}}"#] {
            assert_eq!(filtered(&ecs, event), ("{}".to_owned(), Outcome::Passed), "{event}");
        }
        assert!(matches!(filtered(&ecs, r#"{"ua":5}"#).1, Outcome::Failed(_)));
    }

    #[test]
    fn versions_are_put_together() {
        let product = |parts: [&str; 4]| Product {
            name: "x".to_owned(),
            version: parts.map(|part| (!part.is_empty()).then(|| part.to_owned())),
        };
        let browser = |parts, text| browser_version(&product(parts), text);
        assert_eq!(browser(["1", "2", "3", ""], "x/1.2.3.44 y").as_deref(), Some("1.2.3.44"));
        assert_eq!(browser(["1", "2", "3", ""], "x/1.2.3.4a y").as_deref(), Some("1.2.3"));
        assert_eq!(browser(["", "2", "3", ""], "x"), None);
        assert_eq!(system_version(&product(["Vista", "1", "", ""])).as_deref(), Some("Vista 1"));
        assert_eq!(system_version(&product(["10", "15", "7", ""])).as_deref(), Some("10.15.7"));
    }
}
