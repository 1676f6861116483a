//! Says where an address is: city, country, network owner, from a database in MaxMind's format.
//!
//! ## Options
//!
//! - `source` (needed): the field with the address. Of a list the first element counts.
//! - `database`: the file, as `GeoLite2-City.mmdb`; without it, what `geoipupdate` keeps in `/var/lib/GeoIP` or `/usr/share/GeoIP`. City, Country, ASN, ISP, Domain, Enterprise and Anonymous-IP databases are known, and others with these words in their kind (`DBIP-City-Lite`).
//! - `target` (default `geoip`; with ECS what stands before `[ip]` in the source): below which field the answer goes.
//! - `fields`: what is wanted, as `["city_name", "location"]`; by default what the kind of database is used for. What Logstash does not take from
//!   a database of that kind is a warning and never set.
//! - `tag_on_failure` (default `["_geoip_lookup_failure"]`).
//! - `cache_size` (default 1000): accepted; a look-up takes about a microsecond.
//! - `default_database_type` (`City`, the default, or `ASN`): which one is taken where `database` is not set.
//! - `ecs_compatibility`: with ECS the fields are `[geo][city_name]`, `[as][number]` and so on, otherwise `city_name`, `asn`.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   geoip { source => "[source][ip]" database => "/usr/share/GeoIP/GeoLite2-City.mmdb" }
//! }
//! ```
//!
//! ```json
//! {"source":{"ip":"10.1.2.3"}}
//! =>
//! {"source":{"ip":"10.1.2.3","geo":{"city_name":"Linz","country_name":"Austria","country_iso_code":"AT","region_iso_code":"AT-4","location":{"lat":48.3,"lon":14.3}},"mmdb":{"dma_code":501}}}
//! ```
//!
//! ## On failure
//!
//! What is missing, no address, or not in the database is tagged `_geoip_lookup_failure`. A number or a map, which ends Logstash's worker,
//! is tagged `_elkhound_filter_failure`.
//!
//! ## Differences from Logstash
//!
//! No database comes with elkhound and none is downloaded: where `database` is not set and there is none, `-t` warns and every event is tagged as a
//! failure. A host name is not looked up. The file is read when the pipeline is loaded. A database of another kind is refused then; Logstash ends with
//! the first event.

use std::net::IpAddr;

use elkhound_config::options::{OptionKind, OptionSpec, Options};
use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader};

use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::map::Map;
use crate::path::Path;
use crate::setup::{Ecs, Setup};
use crate::text::Text;
use crate::value::Value;

mod database;
mod fields;

use fields::{COUNTRY_CODE, Content, Database, Field, LATITUDE, LONGITUDE, REGION_CODE, Shape};

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "geoip", options: OPTIONS, docs: crate::docs::head(include_str!("geoip.rs")), build };

const ECS_MODES: OptionKind = OptionKind::OneOf(&["disabled", "v1", "v8"]);
const TYPES: OptionKind = OptionKind::OneOf(&["City", "ASN"]);

const OPTIONS: &[OptionSpec] = &[
    optional("cache_size", OptionKind::Number, "1000", "accepted; see above"),
    optional("database", OptionKind::Path, "what geoipupdate keeps", "the database's file"),
    optional("default_database_type", TYPES, "City", "which database is taken where none is named"),
    optional("ecs_compatibility", ECS_MODES, "the pipeline's", "which field names"),
    optional("fields", OptionKind::Array, "by the database's kind", "what is wanted"),
    OptionSpec {
        name: "source",
        kind: OptionKind::String,
        default: "",
        required: true,
        help: "the field with the address",
    },
    optional(
        "tag_on_failure",
        OptionKind::Array,
        "[\"_geoip_lookup_failure\"]",
        "tags of an address that is not found",
    ),
    optional("target", OptionKind::String, "geoip, with ECS by the source", "below which field the answer goes"),
];

fn build(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let ecs = setup.ecs_of(options) != Ecs::Disabled;
    let source = options.text("source")?;
    let target = target(&source, ecs, options);
    let database = database::open(options, setup);
    let (target, database) = (target?, database?);
    let wanted = wanted(&database.kind, &target, ecs, options)?;
    Some(Box::new(Geoip {
        source: Reference::plain(&source),
        needs_place: Database::of(&database.kind) == Some(Database::City),
        database: database.reader,
        wanted,
        failure_tags: options.texts_or("tag_on_failure", &["_geoip_lookup_failure"]),
        target: Path::parse(&target).ok()?,
    }))
}

fn target(source: &str, ecs: bool, options: &mut Options<'_>) -> Option<String> {
    let target = match options.text("target") {
        Some(target) => target,
        None if !ecs => "geoip".to_owned(),
        None => match source.strip_suffix("[ip]").filter(|before| !before.is_empty()) {
            Some(before) => before.to_owned(),
            None => {
                let message = format!("with ECS, geoip needs the option `target` for the source `{source}`");
                options.fail(
                    "target",
                    &message,
                    "name one, as `target => \"source\"`, or take a source such as `[source][ip]`",
                );
                return None;
            }
        },
    };
    if Path::parse(&target).is_err() {
        let message = format!("`{target}` is not a field reference");
        options.fail("target", &message, "write `name` or `[outer][inner]`");
        return None;
    }
    Some(target)
}

fn wanted(kind: &str, target: &str, ecs: bool, options: &mut Options<'_>) -> Option<Vec<Wanted>> {
    let Some(database) = Database::of(kind) else {
        let message = format!("a database of the kind `{kind}` is not known");
        options.fail(
            "database",
            &message,
            "take a City, Country, ASN, ISP, Domain, Enterprise or Anonymous-IP database",
        );
        return None;
    };
    let defaults = database.defaults(ecs);
    let words = options.texts_or("fields", defaults);
    let words = if words.is_empty() { defaults.iter().map(|word| (*word).to_owned()).collect() } else { words };
    let mut wanted = Vec::new();
    for word in words {
        match fields::find(&word) {
            Some(field) if database.answers(field.word) => wanted.extend(Wanted::new(field, target, ecs)),
            Some(_) => {
                let message =
                    format!("Logstash takes no `{word}` from a database of the kind `{kind}`; it is never set");
                options.warn("fields", &message, "remove it, or take a database that has it");
            }
            None => {
                let known: Vec<&str> = fields::FIELDS.iter().map(|field| field.word).collect();
                let help = format!("take some of {}", known.join(", "));
                options.fail("fields", &format!("geoip does not know the field `{word}`"), &help);
                return None;
            }
        }
    }
    Some(wanted)
}

struct Geoip {
    source: Reference,
    target: Path,
    database: Option<Reader<Vec<u8>>>,
    wanted: Vec<Wanted>,
    /// A City database's record without a place is as good as none.
    needs_place: bool,
    failure_tags: Vec<String>,
}

/// A field that is wanted, and where it goes.
struct Wanted {
    content: Content,
    path: Path,
}

impl Wanted {
    /// Nothing for a field that has no name with ECS.
    fn new(field: &Field, target: &str, ecs: bool) -> Option<Self> {
        let below = if ecs { field.ecs.to_owned() } else { format!("[{}]", field.legacy) };
        let base = if target.starts_with('[') { target.to_owned() } else { format!("[{target}]") };
        let path = Path::parse(&format!("{base}{below}")).ok()?;
        (!below.is_empty()).then_some(Self { content: field.content, path })
    }
}

impl Filter for Geoip {
    fn filter(&self, event: &mut Event, _cx: &mut Context) -> Outcome {
        let found = match self.text(event) {
            Ok(Some(text)) => self.locate(&text, event),
            Ok(None) => Ok(false),
            Err(raised) => Err(raised),
        };
        match found {
            Ok(true) => Outcome::Matched,
            Ok(false) => {
                self.failure_tags.iter().for_each(|tag| event.tag(tag));
                Outcome::Passed
            }
            Err(Raised(reason)) => Outcome::Failed(reason),
        }
    }
}

impl Geoip {
    /// The text with the address; nothing when it is missing or blank.
    fn text(&self, event: &Event) -> Result<Option<Text>, Raised> {
        let path = self.source.path(event)?;
        let text = match event.get(&path) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Text(text)) => Some(text),
            Some(Value::List(list)) => list.first().and_then(Value::as_text),
            Some(_) => None,
        };
        let text = text.ok_or_else(|| Raised(format!("`{path}` is no text, so it is no address")))?;
        Ok((!text.trim().is_empty()).then(|| text.clone()))
    }

    /// True when something is known. The target is there in any case, as an empty map if need be.
    fn locate(&self, text: &str, event: &mut Event) -> Result<bool, Raised> {
        let values = match text.parse::<IpAddr>() {
            Ok(address) => self.values(address.to_canonical()).unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        if event.get(&self.target).is_none_or(Value::is_null) {
            event.set(&self.target, Map::new().into())?;
        }
        let known = !values.is_empty();
        for (path, value) in values {
            event.set(path, value)?;
        }
        Ok(known)
    }

    fn values(&self, address: IpAddr) -> Result<Vec<(&Path, Value)>, MaxMindDbError> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let record = database.lookup(address)?;
        if !record.has_data() || (self.needs_place && !has_place(&record)?) {
            return Ok(Vec::new());
        }
        let mut values = Vec::with_capacity(self.wanted.len());
        for wanted in &self.wanted {
            if let Some(value) = wanted.content.of(address, &record)? {
                values.push((&wanted.path, value));
            }
        }
        Ok(values)
    }
}

type Record<'a> = LookupResult<'a, Vec<u8>>;

fn has_place(record: &Record<'_>) -> Result<bool, MaxMindDbError> {
    Ok(float(record, LATITUDE)?.is_some() || float(record, LONGITUDE)?.is_some())
}

impl Content {
    fn of(self, address: IpAddr, record: &Record<'_>) -> Result<Option<Value>, MaxMindDbError> {
        match self {
            Self::Address => Ok(Some(java_text(address).into())),
            Self::Network => Ok(Some(record.network()?.to_string().into())),
            Self::Record(Shape::Text, path) => Ok(text(record, path)?.map(Value::from)),
            Self::Record(Shape::Integer, path) => Ok(integer(record, path).map(Value::from)),
            Self::Record(Shape::Float, path) => Ok(float(record, path)?.map(Value::from)),
            Self::Record(Shape::Truth, path) => Ok(Some(record.decode_path::<bool>(path)?.unwrap_or(false).into())),
            Self::Location => location(record),
            Self::RegionIso => region(record),
        }
    }
}

fn text(record: &Record<'_>, path: &[PathElement<'_>]) -> Result<Option<String>, MaxMindDbError> {
    record.decode_path::<String>(path)
}

fn float(record: &Record<'_>, path: &[PathElement<'_>]) -> Result<Option<f64>, MaxMindDbError> {
    record.decode_path::<f64>(path)
}

/// A whole number, of whichever of the two widths the database has it in.
fn integer(record: &Record<'_>, path: &[PathElement<'_>]) -> Option<i64> {
    let wide = record.decode_path::<u32>(path).ok().flatten().map(i64::from);
    wide.or_else(|| record.decode_path::<u16>(path).ok().flatten().map(i64::from))
}

fn location(record: &Record<'_>) -> Result<Option<Value>, MaxMindDbError> {
    let (Some(latitude), Some(longitude)) = (float(record, LATITUDE)?, float(record, LONGITUDE)?) else {
        return Ok(None);
    };
    let entries = [("lat", latitude), ("lon", longitude)];
    Ok(Some(entries.into_iter().map(|(name, degrees)| (name.into(), degrees.into())).collect::<Map>().into()))
}

fn region(record: &Record<'_>) -> Result<Option<Value>, MaxMindDbError> {
    let (country, region) = (text(record, COUNTRY_CODE)?, text(record, REGION_CODE)?);
    Ok(country.zip(region).map(|(country, region)| format!("{country}-{region}").into()))
}

/// An address as Java prints it: IPv6 without any shortening.
fn java_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|group| format!("{group:x}")).join(":"),
    }
}

#[cfg(test)]
pub(crate) use tests::city_database;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Numbers};

    /// The smallest database there can be: one record for 10.0.0.0/8, none for the rest.
    fn database(kind: &str, record: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for bit in 0..8_u32 {
            let (next, none) = (if bit == 7 { 8 + 16 } else { bit + 1 }, 8);
            let children = if 10 >> (7 - bit) & 1 == 1 { [none, next] } else { [next, none] };
            children.iter().for_each(|child| bytes.extend_from_slice(&child.to_be_bytes()[1..]));
        }
        bytes.extend_from_slice(&[0; 16]);
        encode(&json::parse(record, Numbers::Doubles).unwrap(), &mut bytes);
        bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        let metadata = format!(
            r#"{{"binary_format_major_version":2,"binary_format_minor_version":1,"build_epoch":0,"database_type":"{kind}",
                "description":{{}},"ip_version":4,"languages":[],"node_count":8,"record_size":24}}"#
        );
        encode(&json::parse(&metadata, Numbers::Doubles).unwrap(), &mut bytes);
        bytes
    }

    /// For the example in the documentation.
    pub(crate) fn city_database() -> Vec<u8> {
        database("GeoLite2-City", CITY)
    }

    /// MaxMind's data format, for texts below 285 bytes and maps below 29 entries.
    fn encode(value: &Value, out: &mut Vec<u8>) {
        let control = |kind: u8, length: usize| kind << 5 | length as u8;
        match value {
            Value::Text(text) => {
                out.push(control(2, text.len().min(29)));
                out.extend(text.len().checked_sub(29).map(|more| more as u8));
                out.extend_from_slice(text.as_bytes());
            }
            Value::Float(float) => {
                out.push(control(3, 8));
                out.extend_from_slice(&float.to_be_bytes());
            }
            // Readers insist on the width: 16 bits in general, but 32 for counts and numbers of networks, 64 for points in time.
            Value::Integer(integer) if *integer == 0 => out.extend_from_slice(&[0, 9 - 7]),
            Value::Integer(integer) if matches!(integer, 8 | 64_512) => {
                out.push(control(6, 4));
                out.extend_from_slice(&(*integer as u32).to_be_bytes());
            }
            Value::Integer(integer) => {
                out.push(control(5, 2));
                out.extend_from_slice(&(*integer as u16).to_be_bytes());
            }
            Value::Map(map) => {
                out.push(control(7, map.len()));
                for (name, value) in map.iter() {
                    encode(&Value::Text(name.clone()), out);
                    encode(value, out);
                }
            }
            Value::List(list) => {
                out.extend_from_slice(&[list.len() as u8, 11 - 7]);
                list.iter().for_each(|value| encode(value, out));
            }
            other => panic!("{other:?} is not needed"),
        }
    }

    const CITY: &str = r#"{"city":{"names":{"en":"Linz"}},"country":{"iso_code":"AT","names":{"en":"Austria"}},
        "location":{"latitude":48.3,"longitude":14.3,"metro_code":501},"subdivisions":[{"iso_code":"4"}]}"#;

    fn geoip(kind: &str, record: &str, ecs: bool) -> Geoip {
        let database = Reader::from_source(database(kind, record)).unwrap();
        let words = Database::of(kind).unwrap().defaults(ecs);
        Geoip {
            source: Reference::plain("ip"),
            target: Path::parse("geo_of").unwrap(),
            wanted: words.iter().filter_map(|word| Wanted::new(fields::find(word).unwrap(), "geo_of", ecs)).collect(),
            database: Some(database),
            needs_place: kind.contains("City"),
            failure_tags: vec!["_geoip_lookup_failure".to_owned()],
        }
    }

    fn filtered(geoip: &Geoip, text: &str) -> (String, Outcome) {
        let Value::Map(fields) = json::parse(text, Numbers::Doubles).unwrap() else { panic!("{text} is no map") };
        let mut event = Event::new(*fields);
        let outcome = geoip.filter(&mut event, &mut Context::default());
        event.remove(&Path::field("ip"));
        let mut bytes = Vec::new();
        json::write_event(&event, &mut bytes);
        (String::from_utf8(bytes).unwrap(), outcome)
    }

    #[test]
    fn a_city_database_gives_a_place() {
        let expected = r#"{"geo_of":{"ip":"10.1.2.3","geo":{"city_name":"Linz","country_name":"Austria","country_iso_code":"AT","region_iso_code":"AT-4","location":{"lat":48.3,"lon":14.3}},"mmdb":{"dma_code":501}}}"#;
        let ecs = geoip("GeoLite2-City", CITY, true);
        assert_eq!(filtered(&ecs, r#"{"ip":["10.1.2.3"]}"#), (expected.to_owned(), Outcome::Matched));
        let expected = r#"{"geo_of":{"ip":"10.1.2.3","city_name":"Linz","country_name":"Austria","country_code2":"AT","country_code3":"AT","dma_code":501,"region_code":"4","location":{"lat":48.3,"lon":14.3},"latitude":48.3,"longitude":14.3}}"#;
        let legacy = geoip("GeoIP2-City", CITY, false);
        assert_eq!(filtered(&legacy, r#"{"ip":"::ffff:10.1.2.3"}"#), (expected.to_owned(), Outcome::Matched));
    }

    #[test]
    fn an_asn_database_gives_the_owner() {
        let record = r#"{"autonomous_system_number":64512,"autonomous_system_organization":"Example"}"#;
        let expected = r#"{"geo_of":{"ip":"10.0.0.1","as":{"number":64512,"organization":{"name":"Example"}}}}"#;
        assert_eq!(filtered(&geoip("GeoLite2-ASN", record, true), r#"{"ip":"10.0.0.1"}"#).0, expected);
    }

    #[test]
    fn an_enterprise_database_gives_what_logstash_takes_from_it() {
        let expected = r#"{"geo_of":{"ip":"10.0.0.1","country_code2":"AT","country_name":"Austria","region_iso_code":"AT-4","city_name":"Linz","location":{"lat":48.3,"lon":14.3}}}"#;
        assert_eq!(filtered(&geoip("GeoIP2-Enterprise", CITY, false), r#"{"ip":"10.0.0.1"}"#).0, expected);
    }

    #[test]
    fn what_is_not_found_is_tagged() {
        let ecs = geoip("GeoLite2-City", CITY, true);
        let tagged = r#"{"geo_of":{},"tags":["_geoip_lookup_failure"]}"#.to_owned();
        assert_eq!(filtered(&ecs, r#"{"ip":"11.0.0.1"}"#), (tagged.clone(), Outcome::Passed));
        assert_eq!(filtered(&ecs, r#"{"ip":"example.com"}"#), (tagged.clone(), Outcome::Passed));
        assert_eq!(
            filtered(&geoip("GeoLite2-City", r#"{"city":{}}"#, true), r#"{"ip":"10.0.0.1"}"#),
            (tagged, Outcome::Passed)
        );
        let missing = r#"{"tags":["_geoip_lookup_failure"]}"#.to_owned();
        assert_eq!(filtered(&ecs, r#"{"ip":" "}"#), (missing.clone(), Outcome::Passed));
        assert_eq!(filtered(&ecs, r#"{}"#), (missing, Outcome::Passed));
        assert!(matches!(filtered(&ecs, r#"{"ip":5}"#).1, Outcome::Failed(_)));
    }

    #[test]
    fn addresses_are_printed_as_java_does() {
        assert_eq!(java_text("2001:db8::1".parse().unwrap()), "2001:db8:0:0:0:0:0:1");
    }
}
