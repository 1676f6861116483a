//! What the settings say about the monitoring API: where it listens, who may ask, and TLS.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::written::{Layers, Mistake, Written};
use crate::secret;

/// How the monitoring API is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiSettings {
    /// Whether it is.
    pub(crate) enabled: bool,
    /// The address that it listens on.
    pub(crate) host: String,
    /// The ports that it may take, the first free one.
    pub(crate) ports: RangeInclusive<u16>,
    /// What it calls this environment.
    pub(crate) environment: String,
    /// Who may ask; anybody without.
    pub(crate) login: Option<Login>,
    /// Its certificate, if it speaks TLS.
    pub(crate) tls: Option<Pem>,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// The user.
    pub(crate) user: String,
    /// The password.
    pub(crate) password: String,
}

impl Login {
    /// As the header `Authorization: Basic` has it (RFC 7617).
    pub(crate) fn encoded(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.user, self.password))
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pem {
    /// The certificate, those that it needs behind it.
    pub(crate) certificate: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
}

/// Logstash's own range.
const PORTS: RangeInclusive<u16> = 9600..=9700;

/// What `layers` say; what is wrong with it is added to `mistakes`.
pub(super) fn read(layers: Layers<'_>, mistakes: &mut Vec<Mistake>) -> ApiSettings {
    let find = |name: &str, old: &str| layers.find(name).or_else(|| layers.find(old));
    let login = login(layers, mistakes);
    let tls = tls(layers, mistakes);
    // As in Logstash: what is guarded may be reached from everywhere.
    let default = if login.is_some() && tls.is_some() { "0.0.0.0" } else { "127.0.0.1" };
    let host = find("api.http.host", "http.host").map_or(default, |written| &written.value).to_owned();
    let ports = find("api.http.port", "http.port").map_or(PORTS, |written| {
        ports(&written.value).unwrap_or_else(|| {
            mistakes.push(written.refused("it takes a port, or the first and the last of several as in 9600-9700"));
            PORTS
        })
    });
    let environment = layers.value("api.environment").unwrap_or_default().to_owned();
    ApiSettings { enabled: layers.is_on("api.enabled"), host, ports, environment, login, tls }
}

fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some(first..=last)
}

fn login(layers: Layers<'_>, mistakes: &mut Vec<Mistake>) -> Option<Login> {
    let kind = layers.find("api.auth.type").filter(|written| written.value == "basic")?;
    let mut part = |name: &str| {
        let found = layers.value(name).filter(|value| !value.is_empty());
        if found.is_none() {
            mistakes.push(kind.refused(&format!("`{name}` is missing")));
        }
        found.unwrap_or_default().to_owned()
    };
    let (user, password) = (part("api.auth.basic.username"), part("api.auth.basic.password"));
    secret::remember("api.auth.basic.password", &password);
    Some(Login { user, password })
}

fn tls(layers: Layers<'_>, mistakes: &mut Vec<Mistake>) -> Option<Pem> {
    if let Some(written) = layers.find("api.ssl.keystore.path") {
        mistakes.push(written.refused("elkhound reads no Java key stores").with_help(converted(written)));
    }
    let enabled = layers.find("api.ssl.enabled").filter(|written| written.value == "true")?;
    let (certificate, key) = (layers.value("api.ssl.certificate"), layers.value("api.ssl.key"));
    if let (Some(certificate), Some(key)) = (certificate, key) {
        return Some(Pem { certificate: certificate.into(), key: key.into() });
    }
    if layers.find("api.ssl.keystore.path").is_none() {
        let message = "`api.ssl.enabled` needs a certificate and its key";
        let help = "name PEM files in api.ssl.certificate and api.ssl.key";
        mistakes.push(Mistake::error("bad-setting", enabled.origin.clone(), message).with_help(help));
    }
    // Nobody may take for guarded what is not.
    Some(Pem { certificate: PathBuf::new(), key: PathBuf::new() })
}

/// How to make PEM files of a key store.
fn converted(written: &Written) -> String {
    let store = &written.value;
    let jks = store.to_ascii_lowercase().ends_with(".jks");
    let store = if jks { "store.p12" } else { store.as_str() };
    let first =
        if jks { "`keytool -importkeystore -srckeystore STORE.jks -destkeystore store.p12`, then " } else { "" };
    format!(
        "convert it: {first}`openssl pkcs12 -in {store} -nokeys -out api.crt` and `openssl pkcs12 -in {store} -nocerts -nodes -out api.key`, and name those in api.ssl.certificate and api.ssl.key"
    )
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::super::written::Origin;
    use super::*;

    fn meant(given: &[(&str, &str)]) -> (ApiSettings, Vec<String>) {
        let layer = given.iter().map(|(name, value)| Written {
            name: (*name).into(),
            row: table::find(name).unwrap(),
            value: (*value).into(),
            origin: Origin::Flag(format!("--{name}")),
        });
        let (layer, mut mistakes) = (layer.collect(), Vec::new());
        let meant = read(Layers(&[&layer]), &mut mistakes);
        (meant, mistakes.iter().map(|mistake| mistake.shown(false)).collect())
    }

    #[test]
    fn nothing_given_is_the_loopback_and_logstashs_ports() {
        let (api, mistakes) = meant(&[]);
        assert_eq!((api.enabled, api.host.as_str(), api.ports, api.login), (true, "127.0.0.1", 9600..=9700, None));
        assert!(mistakes.is_empty());
        let (api, _) = meant(&[("http.port", "9601"), ("api.http.host", "::1")]);
        assert_eq!((api.host.as_str(), api.ports), ("::1", 9601..=9601));
    }

    #[test]
    fn what_is_guarded_listens_everywhere() {
        let login = [
            ("api.auth.type", "basic"),
            ("api.auth.basic.username", "u"),
            ("api.auth.basic.password", "secret-of-api"),
            ("api.ssl.enabled", "true"),
            ("api.ssl.certificate", "a.crt"),
            ("api.ssl.key", "a.key"),
        ];
        let (api, mistakes) = meant(&login);
        assert_eq!((api.host.as_str(), mistakes.len()), ("0.0.0.0", 0));
        assert!(!format!("{api:?}").contains("secret-of-api"));
    }

    #[test]
    fn what_is_missing_or_java_s_is_told_with_the_way_out() {
        let (_, mistakes) = meant(&[("api.http.port", "9700-9600")]);
        assert!(mistakes[0].contains("as in 9600-9700"), "{mistakes:?}");
        let (_, mistakes) = meant(&[("api.auth.type", "basic"), ("api.auth.basic.username", "u")]);
        assert_eq!(mistakes, ["elkhound: `--api.auth.type basic`: `api.auth.basic.password` is missing\n"]);
        let (_, mistakes) = meant(&[("api.ssl.enabled", "true")]);
        assert!(mistakes[0].contains("name PEM files in api.ssl.certificate and api.ssl.key"), "{mistakes:?}");
        let (_, mistakes) = meant(&[("api.ssl.enabled", "true"), ("api.ssl.keystore.path", "/x/api.p12")]);
        assert!(mistakes.len() == 1 && mistakes[0].contains("openssl pkcs12 -in /x/api.p12"), "{mistakes:?}");
    }
}
