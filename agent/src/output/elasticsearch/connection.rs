//! What the options say about the way to Elasticsearch: addresses, login, certificates, proxy.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use elasticsearch::auth::Credentials;
use elasticsearch::http::Url;
use elkhound_config::ast::Span;
use elkhound_config::options::Options;

use super::client::{Connection, Trust};
use super::fingerprint::Fingerprint;
use super::seconds;

/// Reads everything that has to do with the way to Elasticsearch.
pub(super) fn read(options: &mut Options<'_>) -> Option<Connection> {
    let trusting = options.text_or("ssl_verification_mode", "full") == "none";
    // All is read before what is wrong with one part ends it, so that all mistakes are told.
    refuse_key_stores(options);
    let (hosts, login, identity) = (hosts(options), login(options), identity(options));
    let (fingerprints, proxy) = (fingerprints(options, trusting), proxy(options));
    Some(Connection {
        hosts: hosts?,
        login: login?,
        identity: identity?,
        authorities: options.texts("ssl_certificate_authorities"),
        fingerprints: fingerprints?,
        trust: if trusting { Trust::None } else { Trust::Full },
        proxy: proxy?,
        headers: texts(options, "custom_headers"),
        parameters: texts(options, "parameters"),
        bulk_path: options.text("bulk_path").map(|path| path.trim_start_matches('/').to_owned()),
        timeout: seconds(options, "timeout", 60.0),
        gzip: options.boolean("http_compression", false) || options.integer("compression_level", 0) > 0,
    })
}

fn texts(options: &Options<'_>, name: &str) -> Vec<(String, String)> {
    options.hash_of_texts(name).into_iter().filter_map(|(name, mut texts)| Some((name, texts.pop()?))).collect()
}

/// The fingerprints; nothing at all when one is none, or when nobody would look at it.
fn fingerprints(options: &mut Options<'_>, trusting: bool) -> Option<Vec<Fingerprint>> {
    let written = options.texts("ca_trusted_fingerprint");
    let mut read = Vec::new();
    for text in written.iter().filter(|text| !text.is_empty()) {
        let Some(fingerprint) = Fingerprint::parse(text) else {
            let message = format!("`{text}` is no SHA-256 of a certificate");
            options.fail("ca_trusted_fingerprint", &message, "write its 64 hexadecimal digits");
            return None;
        };
        read.push(fingerprint);
    }
    let other = if trusting { "`ssl_verification_mode => none`" } else { "`proxy`" };
    if !read.is_empty() && (trusting || !options.text_or("proxy", "").is_empty()) {
        let message = format!("`ca_trusted_fingerprint` does not go with {other}");
        options.fail("ca_trusted_fingerprint", &message, "take one of them out, or give ssl_certificate_authorities");
        return None;
    }
    Some(read)
}

/// Java's key stores are for Java: whoever has one is told how to take it apart.
fn refuse_key_stores(options: &mut Options<'_>) {
    for (store, remedy) in [
        (
            "ssl_truststore_path",
            "write its certificates to a PEM file, as `openssl pkcs12 -in STORE -nokeys -out ca.pem` does (a JKS needs `keytool -importkeystore` before), and name that in `ssl_certificate_authorities`",
        ),
        (
            "ssl_keystore_path",
            "write certificate and key to PEM files with `openssl pkcs12`, and name them in `ssl_certificate` and `ssl_key`",
        ),
    ] {
        if options.was_set(store) {
            options.fail(store, "key stores of Java can't be read", remedy);
        }
    }
}

/// The agent's own certificate and its key, when there are any; nothing at all when one is missing.
fn identity(options: &mut Options<'_>) -> Option<Option<[String; 2]>> {
    match (options.text("ssl_certificate"), options.text("ssl_key")) {
        (Some(certificate), Some(key)) => Some(Some([certificate, key])),
        (None, None) => Some(None),
        (Some(_), None) => {
            options.fail("ssl_certificate", "a certificate without its key", "set ssl_key, too");
            None
        }
        (None, Some(_)) => {
            options.fail("ssl_key", "a key without its certificate", "set ssl_certificate, too");
            None
        }
    }
}

/// The login, when there is one; nothing at all when it can't be sent.
fn login(options: &mut Options<'_>) -> Option<Option<Credentials>> {
    if let Some(written) = options.text("api_key") {
        // A key read from a file brings the file's last newline with it.
        let key = written.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            options.fail(
                "api_key",
                "the key is empty or has characters that no API key has",
                "write `id:key`, or the key as Elasticsearch encoded it",
            );
            return None;
        }
        return Some(Some(match key.split_once(':') {
            Some((id, secret)) => Credentials::ApiKey(id.to_owned(), secret.to_owned()),
            None => Credentials::EncodedApiKey(key.to_owned()),
        }));
    }
    if let Some(written) = options.text("cloud_auth") {
        let Some((user, password)) = written.split_once(':') else {
            options.fail("cloud_auth", "the login has no colon", "write `user:password`");
            return None;
        };
        return Some(Some(Credentials::Basic(user.to_owned(), password.to_owned())));
    }
    let Some(user) = options.text("user") else {
        if options.was_set("password") {
            options.warn("password", "`password` without `user` is not used", "add `user`");
        }
        return Some(None);
    };
    if !options.was_set("password") {
        let message = "`user` without `password`: the login is sent with an empty one";
        options.warn("user", message, "add `password`, best as `${NAME}`");
    }
    Some(Some(Credentials::Basic(user, options.text_or("password", ""))))
}

/// `host`, `host:9200`, `https://user:password@host:9200/path`.
fn hosts(options: &mut Options<'_>) -> Option<Vec<Url>> {
    if let Some(written) = options.text("cloud_id") {
        return cloud(options, &written).map(|url| vec![url]);
    }
    let secure = options.boolean("ssl_enabled", false);
    let scheme = if secure { "https" } else { "http" };
    let path = options.text("path").map(|path| format!("/{}/", path.trim_matches('/')).replace("//", "/"));
    let written = written_hosts(options);
    if written.is_empty() {
        options.fail("hosts", "there is no address in `hosts`", "write `host:9200` or `https://host:9200`");
        return None;
    }
    let mut urls = Vec::new();
    for (place, written) in written {
        let known = of_java(&written).and_then(|()| host(&written, scheme).ok_or(Unfit::Other));
        let Ok(mut url) = known.map_err(|unfit| refuse_host(options, place, &written, unfit)) else { return None };
        if let Some(path) = &path {
            url.set_path(path);
        }
        urls.push(url);
    }
    Some(urls)
}

/// The hosts with their places, or else this one.
fn written_hosts(options: &Options<'_>) -> Vec<(Span, String)> {
    if !options.was_set("hosts") {
        return vec![(options.span("hosts"), "127.0.0.1:9200".to_owned())];
    }
    options
        .list("hosts")
        .iter()
        .flat_map(|host| addresses(&host.text()).map(|one| (host.span, one)).collect::<Vec<_>>())
        .collect()
}

/// The addresses in one text of `hosts`: Logstash takes several that blanks part, as a variable may hold them, and none.
pub(super) fn addresses(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(str::to_owned)
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    /// A port above 65535.
    Port,
    /// A name with an underscore.
    Underscore,
    Other,
}

fn refuse_host(options: &mut Options<'_>, place: Span, written: &str, unfit: Unfit) {
    let (message, help) = match unfit {
        Unfit::Port => (format!("`{written}` has a port that is none"), "ports end at 65535; Elasticsearch's is 9200"),
        Unfit::Underscore => (
            format!("the host's name in `{written}` has an underscore, which Logstash refuses, too"),
            "write it with a hyphen; a container gets such a name as a network alias",
        ),
        Unfit::Other => {
            (format!("`{written}` is no address of Elasticsearch"), "write `host:9200` or `https://host:9200`")
        }
    };
    options.fail_at(place, &message, help);
}

/// What Java, and so Logstash, finds wrong with an address.
fn of_java(written: &str) -> Result<(), Unfit> {
    // A variable without a value has been reported, and is no name.
    if written.contains("${") {
        return Ok(());
    }
    let (scheme, rest) = written.split_once("://").map_or((None, written), |(scheme, rest)| (Some(scheme), rest));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if scheme.is_none() && authority.len() < rest.len() {
        return Err(Unfit::Other);
    }
    let place = authority.rsplit('@').next().unwrap_or_default();
    let (name, port) = match place.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (place, ""),
    };
    if name.contains('_') {
        return Err(Unfit::Underscore);
    }
    let is_port = port.is_empty() || port.parse::<u16>().is_ok();
    if is_port {
        Ok(())
    } else {
        Err(if port.bytes().all(|byte| byte.is_ascii_digit()) { Unfit::Port } else { Unfit::Other })
    }
}

/// The address of a deployment: behind a label, in base64, stand its domain and the name of its Elasticsearch in it. Source: Elastic's
/// documentation of cloud ids.
fn cloud(options: &mut Options<'_>, written: &str) -> Option<Url> {
    if options.was_set("hosts") {
        options.fail("cloud_id", "both cloud_id and hosts are set", "take one of them out");
        return None;
    }
    let url = cloud_url(written);
    if url.is_none() {
        options.fail("cloud_id", &format!("`{written}` is no cloud id"), "copy it from the deployment's page");
    }
    url
}

fn cloud_url(written: &str) -> Option<Url> {
    let encoded = written.rsplit(':').next()?;
    let decoded = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let mut parts = decoded.split('$');
    let (domain, name) = (parts.next()?, parts.next()?);
    if domain.is_empty() || name.is_empty() || name == "undefined" {
        return None;
    }
    let (name, own_port) = name.split_once(':').map_or((name, None), |(name, port)| (name, Some(port)));
    let (domain, port) = domain.split_once(':').map_or((domain, None), |(domain, port)| (domain, Some(port)));
    Url::parse(&format!("https://{name}.{domain}:{}/", own_port.or(port).unwrap_or("443"))).ok()
}

/// The base URL of a host; the port is 9200 unless it is written, the path ends with a slash.
fn host(written: &str, scheme: &str) -> Option<Url> {
    let text = if written.contains("://") { written.to_owned() } else { format!("{scheme}://{written}") };
    let mut url = Url::parse(&text).ok().filter(Url::has_host)?;
    let rest = text.split("://").nth(1).unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let port_written =
        authority.rsplit('@').next().unwrap_or_default().rsplit(']').next().unwrap_or_default().contains(':');
    if !port_written {
        url.set_port(Some(9200)).ok()?;
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}

/// A proxy, when there is one; nothing at all when it can't be read.
fn proxy(options: &mut Options<'_>) -> Option<Option<Url>> {
    // As from a variable that is empty where no proxy is needed.
    let Some(written) = options.text("proxy").filter(|proxy| !proxy.is_empty()) else { return Some(None) };
    let url = Url::parse(&written);
    if url.is_err() {
        options.fail("proxy", &format!("`{written}` is no URL"), "write `http://host:port`");
    }
    url.ok().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_logstash_takes_them() {
        for (written, scheme, expected) in [
            ("es", "http", "http://es:9200/"),
            ("es:9201", "https", "https://es:9201/"),
            ("https://es", "http", "https://es:9200/"),
            ("https://es:443", "http", "https://es/"),
            ("http://u:p@es/path", "http", "http://u:p@es:9200/path/"),
            ("[::1]", "http", "http://[::1]:9200/"),
        ] {
            assert_eq!(host(written, scheme).map(|url| url.to_string()).as_deref(), Some(expected), "{written}");
        }
        assert_eq!(host("http://", "http"), None);
    }

    #[test]
    fn a_text_may_hold_several_addresses() {
        let all = |text: &str| addresses(text).collect::<Vec<_>>();
        assert_eq!(all(" http://a:9200\t b:9201 "), ["http://a:9200", "b:9201"]);
        assert!(all(" ").is_empty());
    }

    #[test]
    fn what_java_takes_for_no_address_is_none() {
        for fine in ["es", "es:9200", "http://es", "https://u:p_w@es-1.example:9200/a_b", "[::1]", "http://[::1]:9200"]
        {
            assert_eq!(of_java(fine), Ok(()), "{fine}");
        }
        for (written, unfit) in [
            ("es_1:9200", Unfit::Underscore),
            ("http://elastic_search", Unfit::Underscore),
            ("http://es:92000", Unfit::Port),
            ("es:x", Unfit::Other),
            ("es:9200/", Unfit::Other),
        ] {
            assert_eq!(of_java(written), Err(unfit), "{written}");
        }
    }

    #[test]
    fn a_cloud_id_is_an_address() {
        let id = |text: &str| format!("my-cluster:{}", BASE64.encode(text));
        for (decoded, expected) in [
            ("eu.example.net$abc$def", Some("https://abc.eu.example.net/")),
            ("eu.example.net:9243$abc$", Some("https://abc.eu.example.net:9243/")),
            ("eu.example.net$abc:1234$def", Some("https://abc.eu.example.net:1234/")),
            ("eu.example.net$undefined$def", None),
            ("eu.example.net", None),
        ] {
            assert_eq!(cloud_url(&id(decoded)).map(|url| url.to_string()).as_deref(), expected, "{decoded}");
        }
        assert_eq!(cloud_url("my-cluster:not base64"), None);
    }
}
