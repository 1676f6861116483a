//! The database of a geoip filter: the one that is named, else the one that MaxMind's updater keeps on this host.

use std::path::Path;

use elkhound_config::options::Options;
use maxminddb::Reader;

use crate::filter::read_named_file;
use crate::setup::Setup;

/// Where `geoipupdate` puts databases.
const FOLDERS: [&str; 2] = ["/var/lib/GeoIP", "/usr/share/GeoIP"];

/// A database, or none: then nothing is ever found.
pub(super) struct Database {
    /// The open database.
    pub(super) reader: Option<Reader<Vec<u8>>>,
    /// What it says it is, or what it would be if it were there.
    pub(super) kind: String,
}

/// Opens the database. One that is named must be there, as in Logstash; without one, elkhound has none of its own to fall back on, and says so.
pub(super) fn open(options: &mut Options<'_>, setup: &Setup<'_>) -> Option<Database> {
    let kind = format!("GeoLite2-{}", options.text_or("default_database_type", "City"));
    let Some(path) = options.text("database") else { return Some(kept(kind, options, setup)) };
    let remedy = "put the database there, or leave `database` out for the one that geoipupdate keeps";
    let bytes = read_named_file("database", &path, remedy, options, setup)?;
    parse(&path, bytes, options)
}

/// The database of that kind that is kept on this host.
fn kept(kind: String, options: &mut Options<'_>, setup: &Setup<'_>) -> Database {
    for folder in FOLDERS {
        let path = format!("{folder}/{kind}.mmdb");
        if let Ok(bytes) = (setup.read_file)(Path::new(&path))
            && let Some(database) = parse(&path, bytes, options)
        {
            return database;
        }
    }
    let message = format!("there is no {kind}.mmdb in {}; nothing will be found", FOLDERS.join(" or "));
    options.warn(
        "database",
        &message,
        "none comes with elkhound: fetch one, as by geoipupdate, or name it with `database`",
    );
    Database { reader: None, kind }
}

fn parse(path: &str, bytes: Vec<u8>, options: &mut Options<'_>) -> Option<Database> {
    match Reader::from_source(bytes) {
        Ok(reader) => Some(Database { kind: reader.metadata().database_type.clone(), reader: Some(reader) }),
        Err(error) => refuse(path, &error.to_string(), options),
    }
}

fn refuse(path: &str, why: &str, options: &mut Options<'_>) -> Option<Database> {
    options.fail("database", &format!("`{path}` can't be used: {why}"), "name a file in MaxMind's format (.mmdb)");
    None
}

#[cfg(test)]
mod tests {
    use std::io;

    use elkhound_config::diagnostic::Diagnostic;
    use elkhound_config::parser::{self, Escapes};
    use elkhound_config::source::Source;

    use crate::filter::geoip::city_database;
    use crate::plan::compile;
    use crate::setup::{Ecs, Setup};
    use crate::time::Timestamp;

    /// Severity and message of what is said about a filter, on a host with these files.
    fn said(filter: &str, files: &[&str]) -> Vec<(bool, String)> {
        let source = Source::of("test.conf", &format!("filter {{ {filter} }}"));
        let parsed = parser::parse(&source, Escapes::Kept);
        let read_file = |path: &std::path::Path| match path.to_str() {
            Some(path) if files.contains(&path) => Ok(if path.ends_with(".mmdb") { city_database() } else { vec![1] }),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let setup =
            Setup { ecs: Ecs::V8, now: Timestamp::default(), read_file: &read_file, list_files: &|_| Ok(Vec::new()) };
        let mut diagnostics = parsed.diagnostics;
        compile(&parsed.document, &source, &setup, Box::new(|_| {}), &mut diagnostics);
        diagnostics.iter().map(|diagnostic: &Diagnostic| (diagnostic.is_error(), diagnostic.message.clone())).collect()
    }

    #[test]
    fn without_any_database_there_is_a_warning() {
        let none = "there is no GeoLite2-City.mmdb in /var/lib/GeoIP or /usr/share/GeoIP; nothing will be found";
        assert_eq!(said("geoip { source => '[source][ip]' }", &[]), [(false, none.to_owned())]);
    }

    #[test]
    fn a_named_database_must_be_there() {
        let named = said("geoip { source => '[source][ip]' database => '/a.mmdb' }", &[]);
        assert_eq!(named, [(true, "`/a.mmdb` can't be read: entity not found".to_owned())]);
    }

    #[test]
    fn the_database_that_the_updater_keeps_is_taken() {
        let kept = ["/usr/share/GeoIP/GeoLite2-City.mmdb"];
        assert_eq!(said("geoip { source => '[source][ip]' }", &kept), []);
        let other = said("geoip { source => '[source][ip]' default_database_type => 'ASN' }", &kept);
        assert!(other[0].1.contains("GeoLite2-ASN.mmdb"), "{other:?}");
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let refused = said("geoip { source => '[source][ip]' database => '/a.dat' }", &["/a.dat"]);
        assert!(refused[0].0 && refused[0].1.starts_with("`/a.dat` can't be used: "), "{refused:?}");
    }
}
