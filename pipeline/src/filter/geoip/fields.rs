//! What can be known of an address: the options' words, the fields they become, and where a database keeps them.

use maxminddb::PathElement::{self, IndexFromEnd, Key};

/// One thing that can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// How the option `fields` calls it.
    pub(super) word: &'static str,
    /// The field below the target, without ECS.
    pub(super) legacy: &'static str,
    /// The field below the target, with ECS; empty for what ECS has no field for.
    pub(super) ecs: &'static str,
    pub(super) content: Content,
}

/// How a field is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The address itself.
    Address,
    /// The network of the address.
    Network,
    /// A value of the record.
    Record(Shape, &'static [PathElement<'static>]),
    /// Latitude and longitude in one map.
    Location,
    /// Country and region in one code.
    RegionIso,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Integer,
    Float,
    Truth,
}

use Content::Record;
use Shape::{Float, Integer, Text, Truth};

pub(super) const LATITUDE: &[PathElement<'_>] = &[Key("location"), Key("latitude")];
pub(super) const LONGITUDE: &[PathElement<'_>] = &[Key("location"), Key("longitude")];
pub(super) const COUNTRY_CODE: &[PathElement<'_>] = &[Key("country"), Key("iso_code")];
pub(super) const REGION_CODE: &[PathElement<'_>] = &[Key("subdivisions"), IndexFromEnd(0), Key("iso_code")];

const fn field(word: &'static str, legacy: &'static str, ecs: &'static str, content: Content) -> Field {
    Field { word, legacy, ecs, content }
}

/// All of them. Source: the GeoIP2 database formats of MaxMind, and the plugin's documentation for the names.
pub(super) const FIELDS: &[Field] = &[
    field("autonomous_system_number", "asn", "[as][number]", Record(Integer, &[Key("autonomous_system_number")])),
    field(
        "autonomous_system_organization",
        "as_org",
        "[as][organization][name]",
        Record(Text, &[Key("autonomous_system_organization")]),
    ),
    field("city_name", "city_name", "[geo][city_name]", Record(Text, &[Key("city"), Key("names"), Key("en")])),
    field(
        "country_name",
        "country_name",
        "[geo][country_name]",
        Record(Text, &[Key("country"), Key("names"), Key("en")]),
    ),
    field("continent_code", "continent_code", "[geo][continent_code]", Record(Text, &[Key("continent"), Key("code")])),
    field(
        "continent_name",
        "continent_name",
        "[geo][continent_name]",
        Record(Text, &[Key("continent"), Key("names"), Key("en")]),
    ),
    field("country_code2", "country_code2", "[geo][country_iso_code]", Record(Text, COUNTRY_CODE)),
    field("country_code3", "country_code3", "", Record(Text, COUNTRY_CODE)),
    field("domain", "domain", "[domain]", Record(Text, &[Key("domain")])),
    field("ip", "ip", "[ip]", Content::Address),
    field("isp", "isp", "[mmdb][isp]", Record(Text, &[Key("isp")])),
    field("postal_code", "postal_code", "[geo][postal_code]", Record(Text, &[Key("postal"), Key("code")])),
    field("dma_code", "dma_code", "[mmdb][dma_code]", Record(Integer, &[Key("location"), Key("metro_code")])),
    field(
        "region_name",
        "region_name",
        "[geo][region_name]",
        Record(Text, &[Key("subdivisions"), IndexFromEnd(0), Key("names"), Key("en")]),
    ),
    field("region_code", "region_code", "[geo][region_code]", Record(Text, REGION_CODE)),
    field("region_iso_code", "region_iso_code", "[geo][region_iso_code]", Content::RegionIso),
    field("timezone", "timezone", "[geo][timezone]", Record(Text, &[Key("location"), Key("time_zone")])),
    field("location", "location", "[geo][location]", Content::Location),
    field("latitude", "latitude", "[geo][location][lat]", Record(Float, LATITUDE)),
    field("longitude", "longitude", "[geo][location][lon]", Record(Float, LONGITUDE)),
    field("organization", "organization", "[mmdb][organization]", Record(Text, &[Key("organization")])),
    field("network", "network", "[traits][network]", Content::Network),
    field(
        "hosting_provider",
        "hosting_provider",
        "[traits][hosting_provider]",
        Record(Truth, &[Key("is_hosting_provider")]),
    ),
    field("tor_exit_node", "tor_exit_node", "[traits][tor_exit_node]", Record(Truth, &[Key("is_tor_exit_node")])),
    field("anonymous_vpn", "anonymous_vpn", "[traits][anonymous_vpn]", Record(Truth, &[Key("is_anonymous_vpn")])),
    field("anonymous", "anonymous", "[traits][anonymous]", Record(Truth, &[Key("is_anonymous")])),
    field("public_proxy", "public_proxy", "[traits][public_proxy]", Record(Truth, &[Key("is_public_proxy")])),
    field(
        "residential_proxy",
        "residential_proxy",
        "[traits][residential_proxy]",
        Record(Truth, &[Key("is_residential_proxy")]),
    ),
];

/// The field called `word`, in whatever letter case.
pub(super) fn find(word: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.word.eq_ignore_ascii_case(word))
}

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Database {
    City,
    Country,
    Domain,
    Asn,
    Isp,
    Enterprise,
    AnonymousIp,
}

impl Database {
    /// The kind of a database that says it is a `name`; nothing for a kind that the filter does not know. As in Logstash, a part of the
    /// name is enough, so that databases in this format by others are taken, too (`DBIP-City-Lite`).
    pub(super) fn of(name: &str) -> Option<Self> {
        let kinds = [
            ("City", Self::City),
            ("Country", Self::Country),
            ("GeoIP2-Domain", Self::Domain),
            ("GeoLite2-ASN", Self::Asn),
            ("GeoIP2-ISP", Self::Isp),
            ("Enterprise", Self::Enterprise),
            ("GeoIP2-Anonymous-IP", Self::AnonymousIp),
        ];
        kinds.into_iter().find(|(part, _)| name.contains(part)).map(|(_, kind)| kind)
    }

    /// What it is asked for when `fields` is not set.
    pub(super) fn defaults(self, ecs: bool) -> &'static [&'static str] {
        match self {
            Self::City if ecs => CITY_ECS,
            Self::City => CITY,
            Self::Country => COUNTRY,
            Self::Domain => DOMAIN,
            Self::Asn => &["ip", "autonomous_system_number", "autonomous_system_organization"],
            Self::Isp => ISP,
            Self::Enterprise => ENTERPRISE,
            Self::AnonymousIp => TRAITS,
        }
    }

    /// Whether Logstash takes `word` from a database of this kind; what it does not take is never set.
    pub(super) fn answers(self, word: &str) -> bool {
        let among = |lists: &[&[&str]]| lists.iter().any(|list| list.contains(&word));
        match self {
            Self::City => among(&[CITY, CITY_ECS, &["continent_name"]]),
            Self::Country => among(&[COUNTRY]),
            Self::Domain => among(&[DOMAIN]),
            Self::Asn => among(&[AUTONOMOUS_SYSTEM, &["ip"]]),
            Self::Isp => among(&[ISP]),
            Self::Enterprise => among(&[ENTERPRISE, AUTONOMOUS_SYSTEM, TRAITS, &["timezone"]]),
            Self::AnonymousIp => among(&[TRAITS, &["ip"]]),
        }
    }
}

const CITY: &[&str] = &[
    "ip",
    "city_name",
    "continent_code",
    "country_name",
    "country_code2",
    "country_code3",
    "postal_code",
    "dma_code",
    "region_name",
    "region_code",
    "timezone",
    "location",
    "latitude",
    "longitude",
];

/// That one could ask for `country_code3`, latitude and longitude as well makes no difference with ECS.
const CITY_ECS: &[&str] = &[
    "ip",
    "city_name",
    "continent_code",
    "country_name",
    "country_code2",
    "postal_code",
    "dma_code",
    "region_name",
    "region_iso_code",
    "timezone",
    "location",
];

const COUNTRY: &[&str] = &["ip", "country_code2", "country_name", "continent_name"];

const DOMAIN: &[&str] = &["domain"];

const ISP: &[&str] = &["ip", "autonomous_system_number", "autonomous_system_organization", "isp", "organization"];

const ENTERPRISE: &[&str] = &[
    "ip",
    "country_code2",
    "country_name",
    "continent_name",
    "region_iso_code",
    "region_name",
    "city_name",
    "location",
];

const AUTONOMOUS_SYSTEM: &[&str] = &["autonomous_system_number", "autonomous_system_organization", "network"];

const TRAITS: &[&str] =
    &["hosting_provider", "tor_exit_node", "anonymous_vpn", "anonymous", "public_proxy", "residential_proxy"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_defaults_are_fields_that_the_database_answers() {
        for name in [
            "GeoLite2-City",
            "GeoIP2-Country",
            "GeoIP2-ISP",
            "GeoLite2-ASN",
            "GeoIP2-Domain",
            "GeoIP2-Anonymous-IP",
            "GeoIP2-Enterprise",
        ] {
            let kind = Database::of(name).unwrap();
            for word in kind.defaults(false).iter().chain(kind.defaults(true)) {
                assert!(find(word).is_some() && kind.answers(word), "{name} {word}");
            }
        }
        assert_eq!(find("City_Name").map(|field| field.legacy), Some("city_name"));
    }

    #[test]
    fn a_part_of_the_name_says_the_kind() {
        assert_eq!(Database::of("DBIP-City-Lite"), Some(Database::City));
        assert_eq!(Database::of("DBIP-ASN-Lite"), None);
    }
}
