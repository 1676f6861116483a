//! Makes a fingerprint of fields: a hash, the punctuation of a text, the network of an address, or a random UUID.
//!
//! ## Options
//!
//! - `method` (default `SHA1`): `SHA1`, `SHA256`, `SHA384`, `SHA512`, `MD5`, `MURMUR3` (32 bits, a number), `MURMUR3_128`, `IPV4_NETWORK`, `UUID`,
//!   `PUNCTUATION` (what is left of a text without letters, digits and white space).
//! - `source` (default `["message"]`): the fields. Each is hashed for itself, and the last one that is there stays; a list gives a list.
//! - `target` (default `fingerprint`, with ECS `[event][hash]`): where the fingerprint goes.
//! - `key`: makes an HMAC of `SHA1` to `MD5`; for `IPV4_NETWORK` it is the length of the prefix, in bits.
//! - `base64encode` (default false): `SHA1` to `MD5` and `MURMUR3_128` in base64 instead of hexadecimal digits.
//! - `concatenate_sources` (default false): one fingerprint of `|name|value|name|value|`, names sorted. Lists and maps are
//!   what they hold, joined by `|`, names sorted.
//! - `concatenate_all_fields` (default false): the same of all fields of the event.
//! - `ecs_compatibility`: see `target`.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   fingerprint { source => ["host", "message"] concatenate_sources => true method => "SHA256" target => "[@metadata][id]" }
//! }
//! ```
//!
//! ```json
//! {"host":"web1","message":"m"}
//! =>
//! {"host":"web1","message":"m","@metadata":{"id":"fd7202c1078c42b7ff887cd2fbc2ba6c0983cbb680111741329e874e82d5fb1a"}}
//! ```
//!
//! ## On failure
//!
//! A missing field makes no fingerprint, and the common options are applied all the same. What ends Logstash's worker (the punctuation
//! of a number, the network of what is no address) tags the event `_elkhound_filter_failure` here.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::cidr::Network;
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::map::Map;
use crate::number;
use crate::path::Path;
use crate::print;
use crate::regex::{Budget, Flags, Regex, Replacement};
use crate::setup::{Ecs, Setup};
use crate::text::Text;
use crate::value::Value;

mod digest;
mod murmur;

use digest::{Algorithm, Digest, Encoding};

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "fingerprint", options: OPTIONS, docs: crate::docs::head(include_str!("fingerprint.rs")), build };

const METHODS: OptionKind = OptionKind::OneOf(&[
    "SHA1",
    "SHA256",
    "SHA384",
    "SHA512",
    "MD5",
    "MURMUR3",
    "MURMUR3_128",
    "IPV4_NETWORK",
    "UUID",
    "PUNCTUATION",
]);

const ECS_MODES: OptionKind = OptionKind::OneOf(&["disabled", "v1", "v8"]);

const OPTIONS: &[OptionSpec] = &[
    optional("base64encode", OptionKind::Boolean, "false", "base64 instead of hexadecimal digits"),
    optional("concatenate_all_fields", OptionKind::Boolean, "false", "one fingerprint of all fields"),
    optional("concatenate_sources", OptionKind::Boolean, "false", "one fingerprint of all sources"),
    optional("ecs_compatibility", ECS_MODES, "the pipeline's", "which default target"),
    optional("key", OptionKind::Password, "", "the key of an HMAC, or the length of a network's prefix"),
    optional("method", METHODS, "SHA1", "how the fingerprint is made"),
    optional("source", OptionKind::Array, "[\"message\"]", "the fields of which it is made"),
    optional("target", OptionKind::String, "fingerprint, with ECS [event][hash]", "where it goes"),
];

fn build(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let method = Method::read(options)?;
    let default = if setup.ecs_of(options) == Ecs::Disabled { "fingerprint" } else { "[event][hash]" };
    let mut sources: Vec<Source> = options.texts_or("source", &["message"]).into_iter().map(Source::new).collect();
    let scope = if options.boolean("concatenate_all_fields", false) {
        Scope::AllFields
    } else if options.boolean("concatenate_sources", false) {
        Scope::AllSources
    } else {
        Scope::EachSource
    };
    if matches!(method, Method::Punctuation(_)) || scope == Scope::AllSources {
        sources.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Some(Box::new(Fingerprint { method, scope, sources, target: Source::new(options.text_or("target", default)) }))
}

impl Method {
    fn read(options: &mut Options<'_>) -> Option<Self> {
        Some(match options.text_or("method", "SHA1").as_str() {
            "MURMUR3" => Self::Murmur32,
            "MURMUR3_128" => Self::Murmur128(Encoding::read(options)),
            "UUID" => Self::Uuid,
            "PUNCTUATION" => Self::punctuation(),
            "IPV4_NETWORK" => Self::Network(prefix(options)?),
            "SHA256" => Self::digest(Algorithm::Sha256, options),
            "SHA384" => Self::digest(Algorithm::Sha384, options),
            "SHA512" => Self::digest(Algorithm::Sha512, options),
            "MD5" => Self::digest(Algorithm::Md5, options),
            _ => Self::digest(Algorithm::Sha1, options),
        })
    }

    fn digest(algorithm: Algorithm, options: &Options<'_>) -> Self {
        Self::Digest(Digest {
            algorithm,
            encoding: Encoding::read(options),
            key: options.text("key").map(String::into_bytes),
        })
    }

    fn punctuation() -> Self {
        let regex = Regex::new(r"[^\p{P}\p{S}]", Flags::default()).expect("the pattern is fixed and tested");
        Self::Punctuation(Box::new(regex))
    }
}

impl Encoding {
    fn read(options: &Options<'_>) -> Self {
        if options.boolean("base64encode", false) { Self::Base64 } else { Self::Hex }
    }
}

/// The prefix length that the key of a network spells, as Ruby's `to_i` reads it.
fn prefix(options: &mut Options<'_>) -> Option<Prefix> {
    let Some(key) = options.text("key") else {
        if !options.has_failed() {
            let help = "give the length of the prefix, as `key => \"24\"`";
            options.fail("key", "IPV4_NETWORK needs the option `key`", help);
        }
        return None;
    };
    let bits = match number::to_i(&key) {
        number::Integer::Small(bits) => u32::try_from(bits).ok(),
        number::Integer::Big(_) => None,
    };
    if bits.is_none_or(|bits| bits > 32) {
        let message = format!("no IPv4 network has a prefix of `{key}` bits; every event will fail");
        options.warn("key", &message, "give a length from 0 to 32");
    }
    Some(Prefix(bits))
}

struct Fingerprint {
    method: Method,
    scope: Scope,
    sources: Vec<Source>,
    target: Source,
}

enum Method {
    Digest(Digest),
    Murmur32,
    Murmur128(Encoding),
    Network(Prefix),
    Punctuation(Box<Regex>),
    Uuid,
}

/// A prefix length in bits; nothing when it is negative or far too large.
struct Prefix(Option<u32>);

/// What one fingerprint is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    EachSource,
    AllSources,
    AllFields,
}

/// A field as it was written. A broken reference is trouble with each event, as in Logstash, and no mistake of the file.
struct Source {
    name: String,
    path: Option<Path>,
}

impl Source {
    fn new(name: String) -> Self {
        let path = Path::parse(&name).ok();
        Self { name, path }
    }

    fn path(&self) -> Result<&Path, String> {
        self.path
            .as_ref()
            .ok_or_else(|| format!("`{}` is not a field reference; write `name` or `[outer][inner]`", self.name))
    }
}

impl Filter for Fingerprint {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        let done = match &self.method {
            Method::Uuid => {
                let uuid = cx.random.uuid();
                self.put(event, uuid.into())
            }
            Method::Punctuation(letters) => self.punctuation(letters, event, cx),
            _ if self.scope == Scope::EachSource => self.each_source(event),
            _ => self.all_in_one(event),
        };
        match done {
            Ok(()) => Outcome::Matched,
            Err(reason) => Outcome::Failed(reason),
        }
    }
}

impl Fingerprint {
    fn put(&self, event: &mut Event, value: Value) -> Result<(), String> {
        let path = self.target.path()?;
        event.set(path, value).map_err(|_| format!("`{path}` can't be set, because a field on its way is no map"))
    }

    fn punctuation(&self, letters: &Regex, event: &mut Event, cx: &mut Context) -> Result<(), String> {
        for source in &self.sources {
            let text = match event.get(source.path()?) {
                None => continue,
                Some(Value::Text(text)) => text,
                Some(_) => return Err(format!("`{}` is no text, so it has no punctuation", source.name)),
            };
            let kept = letters
                .replace_all(text, &Replacement::parse(""), &mut cx.scratch, Budget::UNLIMITED)
                .map_err(|error| error.to_string())?
                .map_or_else(|| text.clone(), Text::from);
            self.put(event, kept.into())?;
        }
        Ok(())
    }

    fn each_source(&self, event: &mut Event) -> Result<(), String> {
        for source in &self.sources {
            let fingerprint = match event.get(source.path()?) {
                None => continue,
                Some(Value::List(list)) => {
                    Value::list(list.iter().map(|value| self.method.of(value)).collect::<Result<_, _>>()?)
                }
                Some(value) => self.method.of(value)?,
            };
            self.put(event, fingerprint)?;
        }
        Ok(())
    }

    fn all_in_one(&self, event: &mut Event) -> Result<(), String> {
        let mut text = String::new();
        if self.scope == Scope::AllFields {
            let mut fields: Vec<(&Text, &Value)> = event.fields().collect();
            fields.sort_by(|a, b| a.0.cmp(b.0));
            fields.iter().for_each(|(name, value)| append(name, value, &mut text));
        } else {
            for source in &self.sources {
                append(&source.name, event.get(source.path()?).unwrap_or(&Value::Null), &mut text);
            }
        }
        text.push('|');
        let fingerprint = self.method.of(&text.into())?;
        self.put(event, fingerprint)
    }
}

fn append(name: &str, value: &Value, text: &mut String) {
    text.push('|');
    text.push_str(name);
    text.push('|');
    text.push_str(&ruby_text(value));
}

impl Method {
    fn of(&self, value: &Value) -> Result<Value, String> {
        match self {
            Self::Digest(digest) => Ok(digest.of(ruby_text(value).as_bytes()).into()),
            Self::Murmur32 => Ok(Value::Integer(murmur32(value).into())),
            Self::Murmur128(encoding) => Ok(encoding.text(&murmur128(value)).into()),
            Self::Network(prefix) => prefix.network(value),
            // Both are made in `filter`, before it comes to values.
            Self::Punctuation(_) | Self::Uuid => Ok(Value::Null),
        }
    }
}

impl Prefix {
    fn network(&self, value: &Value) -> Result<Value, String> {
        let no_address = || format!("`{}` is no address", print::ruby_text(value));
        let address = value.as_text().and_then(|text| Network::parse(text)).ok_or_else(no_address)?;
        let network = self.0.and_then(|bits| address.masked(bits));
        network
            .map(|network| network.to_string().into())
            .ok_or_else(|| "the prefix in `key` is longer than the address".to_owned())
    }
}

/// Ruby's text of a value. Of lists and maps it is what they hold, names sorted, joined by `|`.
fn ruby_text(value: &Value) -> Text {
    match value {
        Value::List(_) | Value::Map(_) => {
            let mut text = String::new();
            flatten(value, &mut text);
            text.into()
        }
        other => print::ruby_text(other),
    }
}

fn flatten(value: &Value, text: &mut String) {
    match value {
        Value::List(list) => {
            for (at, value) in list.iter().enumerate() {
                text.push_str(if at > 0 { "|" } else { "" });
                flatten(value, text);
            }
        }
        Value::Map(map) => flatten_map(map, text),
        other => text.push_str(&print::ruby_text(other)),
    }
}

fn flatten_map(map: &Map, text: &mut String) {
    let mut entries: Vec<(&Text, &Value)> = map.iter().collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    for (at, (name, value)) in entries.into_iter().enumerate() {
        text.push_str(if at > 0 { "|" } else { "" });
        text.push_str(name);
        text.push('|');
        flatten(value, text);
    }
}

/// Whole numbers are hashed as 64 bits, the lowest ones of larger numbers; everything else as text.
fn murmur32(value: &Value) -> u32 {
    match value {
        Value::Integer(integer) => murmur::of_32(&integer.to_le_bytes(), 0),
        Value::Big(big) => murmur::of_32(&lowest_64(big.as_str()).to_le_bytes(), 0),
        other => murmur::of_32(ruby_text(other).as_bytes(), 0),
    }
}

/// The seed of Logstash's MURMUR3_128.
const SEED_128: u64 = 2;

/// Whole numbers are hashed as 32 or 64 bits, whichever holds them; everything else as text.
fn murmur128(value: &Value) -> [u8; 16] {
    match value {
        Value::Integer(integer) => match i32::try_from(*integer) {
            Ok(small) => murmur::of_128(&small.to_le_bytes(), SEED_128),
            Err(_) => murmur::of_128(&integer.to_le_bytes(), SEED_128),
        },
        other => murmur::of_128(ruby_text(other).as_bytes(), SEED_128),
    }
}

/// The lowest 64 bits of a number in decimal digits, as two's complement.
fn lowest_64(text: &str) -> u64 {
    let digits = text.trim_start_matches('-');
    let value = digits.bytes().fold(0_u64, |sum, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    if digits.len() < text.len() { value.wrapping_neg() } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Numbers};

    fn fingerprint(method: Method, scope: Scope, sources: &[&str]) -> Fingerprint {
        let sources = sources.iter().map(|name| Source::new((*name).to_owned())).collect();
        Fingerprint { method, scope, sources, target: Source::new("h".to_owned()) }
    }

    fn digest(algorithm: Algorithm) -> Method {
        Method::Digest(Digest { algorithm, encoding: Encoding::Hex, key: None })
    }

    fn event(text: &str) -> Event {
        let Value::Map(fields) = json::parse(text, Numbers::Doubles).unwrap() else { panic!("{text} is no map") };
        Event::new(*fields)
    }

    /// The target after the filter has run.
    fn made(fingerprint: &Fingerprint, text: &str) -> Option<Value> {
        let mut event = event(text);
        assert_eq!(fingerprint.filter(&mut event, &mut Context::default()), Outcome::Matched);
        event.remove(&Path::field("h"))
    }

    #[test]
    fn sources_are_concatenated_with_their_names_and_maps_sorted() {
        let both = fingerprint(digest(Algorithm::Md5), Scope::AllSources, &["a", "b"]);
        assert_eq!(made(&both, r#"{"b":"y","a":"x"}"#), Some("a9e9342482a28b507bb7e273355fdd85".into()));
        assert_eq!(made(&both, r#"{}"#), Some("db4dbbdbb576f7eaf25c872945345e09".into()));
        let nested = r#"{"a":["p","q"],"b":{"k":1,"j":[2]}}"#;
        assert_eq!(made(&both, nested), Some("0e46ac6e13dfac9bfc80e0c4535ab3ff".into()));
    }

    #[test]
    fn each_source_is_hashed_for_itself_and_the_last_stays() {
        let each = fingerprint(digest(Algorithm::Md5), Scope::EachSource, &["a", "b"]);
        let of_y = Some(Value::from("415290769594460e2e485922904f345d"));
        assert_eq!(made(&each, r#"{"a":"x","b":"y"}"#), of_y);
        assert_eq!(made(&each, r#"{"b":["y"]}"#), of_y.map(|value| Value::list(vec![value])));
        assert_eq!(made(&each, r#"{}"#), None);
    }

    #[test]
    fn punctuation_is_what_is_neither_letter_digit_nor_space() {
        let punctuation = fingerprint(Method::punctuation(), Scope::EachSource, &["m"]);
        assert_eq!(made(&punctuation, r#"{"m":"€ + ¥ = ? «ü»"}"#), Some("€+¥=?«»".into()));
        let number = punctuation.filter(&mut event(r#"{"m":1}"#), &mut Context::default());
        assert!(matches!(number, Outcome::Failed(_)));
    }

    #[test]
    fn numbers_have_murmur_hashes_of_their_own() {
        let number = |text: &str| json::parse(text, Numbers::Doubles).unwrap();
        let murmur128 = |value: &Value| Encoding::Hex.text(&murmur128(value));
        assert_eq!(murmur128(&number("1")), "bc01c6a775429cbf3610cb78f2aae933");
        assert_eq!(murmur128(&number("-1")), "4bbd36365bfca85f807d284928c4b2fe");
        assert_eq!(murmur128(&number("2147483648")), "5d85231eb8dc14599d6f5f7e1f49f784");
        assert_eq!(murmur128(&"1".into()), "95c1483f09c429557f808b63b1fb865a");
        assert_eq!(lowest_64("18446744073709551617"), 1);
        assert_eq!(lowest_64("-18446744073709551617"), u64::MAX);
    }

    #[test]
    fn a_network_needs_an_address() {
        let network = fingerprint(Method::Network(Prefix(Some(16))), Scope::EachSource, &["ip"]);
        assert_eq!(made(&network, r#"{"ip":["10.1.2.3"]}"#), Some(Value::list(vec!["10.1.0.0".into()])));
        let failed = network.filter(&mut event(r#"{"ip":"x"}"#), &mut Context::default());
        assert_eq!(failed, Outcome::Failed("`x` is no address".into()));
    }
}
