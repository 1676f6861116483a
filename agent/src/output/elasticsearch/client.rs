//! The hosts: connections, login, and which of them is asked next.
//!
//! Each host has a transport of its own (the official client's, which is reqwest with a connection pool and resolves names at each new
//! connection). Hosts are taken in turn; one that fails is left alone for a while ([`super::breaker`]) as long as another is left.

mod examine;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use elasticsearch::auth::{ClientCertificate, Credentials};
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use elasticsearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use elasticsearch::http::{Method, Url};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::OnceCell;
use tracing::{info, warn};

use super::answer::{FILTER_PATH, ItemError};
use super::breaker::Breaker;
use super::fingerprint::{self, Fingerprint};
use super::managed::Product;
use crate::finding::Finding;
use crate::percent::percent_decoded;

/// How to connect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    /// Base URLs.
    pub(crate) hosts: Vec<Url>,
    /// How to log in.
    pub(crate) login: Option<Credentials>,
    /// Files with the agent's own certificate and its key, in PEM.
    pub(crate) identity: Option<[String; 2]>,
    /// Files with the certificates to trust, in PEM.
    pub(crate) authorities: Vec<String>,
    /// What is known of certificates to trust that hosts show themselves.
    pub(crate) fingerprints: Vec<Fingerprint>,
    /// Whether certificates are checked.
    pub(crate) trust: Trust,
    /// A proxy for all requests.
    pub(crate) proxy: Option<Url>,
    /// Headers for each request.
    pub(crate) headers: Vec<(String, String)>,
    /// Added to the URL of each request.
    pub(crate) parameters: Vec<(String, String)>,
    /// Where bulk requests go, below the host; by the version when it is not said.
    pub(crate) bulk_path: Option<String>,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    /// Whether bodies are sent with gzip.
    pub(crate) gzip: bool,
}

/// Whether certificates are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Chain and name.
    #[default]
    Full,
    /// Nothing.
    None,
}

/// Why a request has no answer that can be read.
#[derive(Debug, Error)]
pub(crate) enum RequestError {
    /// No connection, or it broke, or the answer took too long.
    #[error("{host} can't be reached: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// The chain of causes.
        reason: String,
        /// Whether the answer took too long.
        late: bool,
    },
    /// An answer for the whole request.
    #[error("{host} answered with status {status}: {reason}")]
    Refused {
        /// The host.
        host: String,
        /// HTTP status.
        status: u16,
        /// Elasticsearch's name of the error; empty when somebody else answered.
        kind: String,
        /// Elasticsearch's sentence, or the beginning of the answer.
        reason: String,
    },
}

impl RequestError {
    /// Whether another host may do better with the same request.
    fn blames_the_host(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => !matches!(status, 400 | 413 | 429),
        }
    }
}

/// All hosts of an output.
pub(crate) struct Client {
    hosts: Vec<Host>,
    turn: AtomicUsize,
    timeout: Duration,
}

struct Host {
    url: Url,
    transport: Transport,
    /// What the transport is made of, where the certificate to trust has to be found first.
    pinned: Option<Pinned>,
    breaker: Breaker,
    /// Added to the URL of each request.
    parameters: Vec<(String, String)>,
    /// Where bulk requests go, if the settings say so.
    bulk_path: Option<String>,
    /// Who answers there; the path of bulk requests depends on it otherwise.
    product: OnceCell<Product>,
}

/// A host of whose certificates only fingerprints are known.
struct Pinned {
    connection: Connection,
    login: Option<Credentials>,
    /// Made when the certificate is found; gone again when the host could not be reached, for it may have another one then.
    transport: Mutex<Option<Transport>>,
}

impl Pinned {
    fn made(&self) -> MutexGuard<'_, Option<Transport>> {
        self.transport.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Root {
    #[serde(default)]
    version: Version,
}

#[derive(Default, Deserialize)]
struct Version {
    #[serde(default)]
    number: String,
    #[serde(default)]
    distribution: String,
}

impl Client {
    /// Prepares the connections; nothing is sent yet.
    ///
    /// # Errors
    /// A sentence about a certificate file, header or URL that can't be used.
    pub(crate) fn new(connection: &Connection) -> Result<Self, String> {
        let hosts = connection.hosts.iter().map(|url| Host::new(url, connection)).collect::<Result<_, _>>()?;
        Ok(Self { hosts, turn: AtomicUsize::new(0), timeout: connection.timeout })
    }

    /// Sends a bulk request to the next host and returns the body of its answer.
    ///
    /// # Errors
    /// [`RequestError`]; the host is put aside when it is the one to blame.
    pub(crate) async fn bulk(&self, body: Bytes) -> Result<Bytes, RequestError> {
        let host = self.next();
        let answer = host.bulk(body, self.timeout).await;
        host.remember(answer.as_ref().is_err_and(RequestError::blames_the_host));
        answer
    }

    /// Sends a small request to the next host and returns the body of its answer.
    ///
    /// # Errors
    /// As [`Client::bulk`]; a refusal is no fault of the host here.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Bytes, RequestError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.ask_with(method, path, headers, body.map(|body| Bytes::from(body.to_string()))).await
    }

    /// The same with headers and a body of other kinds, as Kibana wants them.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub(crate) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Bytes, RequestError> {
        let host = self.next();
        let answer = host.send(method, path, headers, &[], body, self.timeout).await;
        host.remember(matches!(answer, Err(RequestError::Unreachable { .. })));
        answer
    }

    /// Who answers.
    ///
    /// # Errors
    /// When nobody does, or only to refuse the login.
    pub(crate) async fn product(&self) -> Result<Product, RequestError> {
        let host = self.next();
        let product = host.product(self.timeout).await;
        host.remember(product.is_err());
        product
    }

    /// What `elkhound doctor` says of each host.
    pub(crate) async fn examine(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for host in &self.hosts {
            found.extend(host.examine().await);
        }
        found
    }

    /// The next host that may be asked, or simply the next one when none may.
    fn next(&self) -> &Host {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = |step: usize| &self.hosts[(turn + step) % self.hosts.len()];
        (0..self.hosts.len()).map(in_turn).find(|host| host.breaker.admits()).unwrap_or_else(|| in_turn(0))
    }
}

impl Host {
    fn new(url: &Url, connection: &Connection) -> Result<Self, String> {
        let mut bare = url.clone();
        let own_login = login_of(url);
        // Both can only fail for URLs without a host, which have been refused by then.
        let _set = bare.set_username("").and_then(|()| bare.set_password(None));
        let login = own_login.or_else(|| connection.login.clone());
        let transport = transport(&bare, connection, login.as_ref(), &[])?;
        let pinned = (!connection.fingerprints.is_empty() && bare.scheme() == "https").then(|| Pinned {
            connection: connection.clone(),
            login,
            transport: Mutex::new(None),
        });
        let bulk_path = connection.bulk_path.as_deref().map(|path| from_host(&bare, path));
        Ok(Self {
            url: bare,
            transport,
            pinned,
            breaker: Breaker::default(),
            parameters: connection.parameters.clone(),
            bulk_path,
            product: OnceCell::new(),
        })
    }

    async fn bulk(&self, body: Bytes, timeout: Duration) -> Result<Bytes, RequestError> {
        let by_version = if self.product(timeout).await?.has_types() { "_all/doc/_bulk" } else { "_bulk" };
        let path = self.bulk_path.as_deref().unwrap_or(by_version);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let patience = patience(timeout);
        let mut query = vec![("filter_path", FILTER_PATH)];
        if !self.parameters.iter().any(|(name, _)| name == "timeout") {
            query.push(("timeout", &patience));
        }
        self.send(Method::Post, path, headers, &query, Some(body), timeout).await
    }

    async fn product(&self, timeout: Duration) -> Result<Product, RequestError> {
        self.product.get_or_try_init(|| self.probe(timeout)).await.copied()
    }

    /// Asks who answers. A host that may not tell is taken for a newer one, but a login that is refused is mended one day, and then the version
    /// is asked for again.
    async fn probe(&self, timeout: Duration) -> Result<Product, RequestError> {
        let answer =
            self.send(Method::Get, "", HeaderMap::new(), &[], None, timeout.min(Duration::from_secs(10))).await;
        let root = match answer {
            Ok(body) => serde_json::from_slice::<Root>(&body).ok(),
            Err(RequestError::Refused { status: 403..=405, .. }) => None,
            Err(error) => return Err(error),
        };
        let version = root.map(|root| root.version).unwrap_or_default();
        info!(host = %self.url, version = version.number, distribution = version.distribution, "connected");
        let mut numbers = version.number.split('.').map(|number| number.parse().ok());
        let (major, minor) = (numbers.next().flatten().unwrap_or(8), numbers.next().flatten().unwrap_or(0));
        Ok(Product { major, minor, opensearch: !version.distribution.is_empty() })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        query: &[(&str, &str)],
        body: Option<Bytes>,
        timeout: Duration,
    ) -> Result<Bytes, RequestError> {
        let unreachable = |error: &elasticsearch::Error| RequestError::Unreachable {
            host: self.url.to_string(),
            reason: chain(error),
            late: error.is_timeout(),
        };
        let given = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let query: Vec<(&str, &str)> = query.iter().copied().chain(given).collect();
        let answer =
            self.transport().await?.send(method, path, headers, Some(&query), body, Some(timeout)).await.map_err(
                |error| {
                    self.forget_transport();
                    unreachable(&error)
                },
            )?;
        let status = answer.status_code().as_u16();
        let bytes = answer.bytes().await.map_err(|error| unreachable(&error))?;
        if (200..300).contains(&status) {
            return Ok(bytes);
        }
        let (kind, reason) = refusal(&bytes);
        Err(RequestError::Refused { host: self.url.to_string(), status, kind, reason })
    }

    /// The host's connections. Where a certificate has to be found first, that is done here.
    async fn transport(&self) -> Result<Transport, RequestError> {
        let Some(pinned) = &self.pinned else { return Ok(self.transport.clone()) };
        if let Some(transport) = pinned.made().clone() {
            return Ok(transport);
        }
        let Pinned { connection, login, .. } = pinned;
        let limit = connection.timeout.min(Duration::from_secs(10));
        let made = match fingerprint::find(&self.url, &connection.fingerprints, limit).await {
            Ok(pem) => transport(&self.url, connection, login.as_ref(), &pem),
            Err(reason) => Err(reason),
        };
        let unreachable = |reason| RequestError::Unreachable { host: self.url.to_string(), reason, late: false };
        let transport = made.map_err(unreachable)?;
        *pinned.made() = Some(transport.clone());
        Ok(transport)
    }

    fn forget_transport(&self) {
        if let Some(pinned) = &self.pinned {
            *pinned.made() = None;
        }
    }

    fn remember(&self, failed: bool) {
        if failed { self.breaker.failed() } else { self.breaker.succeeded() }
    }
}

/// The official client's connections to a host. `more` are certificates to trust beside those of files, in PEM.
fn transport(
    host: &Url,
    connection: &Connection,
    login: Option<&Credentials>,
    more: &[u8],
) -> Result<Transport, String> {
    let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(host.clone()))
        .timeout(connection.timeout)
        .enable_meta_header(false)
        .request_body_compression(connection.gzip);
    let mut headers = headers(&connection.headers)?;
    if let Some([certificate, key]) = &connection.identity {
        // The official client takes one kind of credentials; beside a certificate, a login is a header.
        headers.extend(login.and_then(authorization).map(|value| (AUTHORIZATION, value)));
        builder = builder.auth(identity(certificate, key)?.into());
    } else if let Some(login) = login {
        builder = builder.auth(login.clone());
    }
    builder = builder.headers(headers);
    if let Some(validation) = validation(connection, more)? {
        builder = builder.cert_validation(validation);
    }
    builder = match &connection.proxy {
        Some(proxy) => builder.proxy(proxy.clone(), None, None),
        // Logstash leaves HTTP_PROXY alone, and a container that has it for other reasons must still reach its cluster.
        None => builder.disable_proxy(),
    };
    builder.build().map_err(|error| format!("the connection to {host} can't be prepared: {error}"))
}

/// How long Elasticsearch may wait for a shard. Its own default is a minute, behind half a minute for an index that it has to make: no answer of ours would
/// be in time, and its reason would never be read.
fn patience(timeout: Duration) -> String {
    format!("{}ms", timeout.as_millis() / 3)
}

fn login_of(url: &Url) -> Option<Credentials> {
    let password = url.password()?;
    Some(Credentials::Basic(percent_decoded(url.username()), percent_decoded(password)))
}

fn headers(written: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is not a header name"))?;
        let value = HeaderValue::try_from(value.as_str())
            .map_err(|_| format!("the value of the header {name} has characters that headers can't carry"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn validation(connection: &Connection, more: &[u8]) -> Result<Option<CertificateValidation>, String> {
    if connection.trust == Trust::None {
        warn!("certificates of Elasticsearch are not checked (ssl_verification_mode => none)");
        return Ok(Some(CertificateValidation::None));
    }
    if connection.authorities.is_empty() && more.is_empty() {
        return Ok(None);
    }
    let mut all = more.to_vec();
    for path in &connection.authorities {
        let pem = read(path)?;
        Certificate::from_pem(&pem).map_err(|error| format!("{path} holds no certificate in PEM form: {error}"))?;
        all.extend_from_slice(&pem);
        all.push(b'\n');
    }
    let certificates =
        Certificate::from_pem(&all).map_err(|error| format!("the certificates can't be used together: {error}"))?;
    Ok(Some(CertificateValidation::Full(certificates)))
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(Path::new(path)).map_err(|error| format!("the certificate file {path} can't be read: {error}"))
}

/// The agent's own certificate.
fn identity(certificate: &str, key: &str) -> Result<ClientCertificate, String> {
    let mut pem = read(certificate)?;
    pem.push(b'\n');
    pem.extend(read(key)?);
    Ok(ClientCertificate::Pem(pem))
}

/// The header that a login is sent in.
fn authorization(login: &Credentials) -> Option<HeaderValue> {
    let text = match login {
        Credentials::Basic(user, password) => format!("Basic {}", BASE64.encode(format!("{user}:{password}"))),
        Credentials::ApiKey(id, key) => format!("ApiKey {}", BASE64.encode(format!("{id}:{key}"))),
        Credentials::EncodedApiKey(key) => format!("ApiKey {key}"),
        _ => return None,
    };
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `path` counts from the host, and joined it would count from the base URL.
fn from_host(url: &Url, path: &str) -> String {
    format!("{}{path}", "../".repeat(url.path().matches('/').count().saturating_sub(1)))
}

/// An error and its causes in one line. The host is named beside it, and the rest of the URL is ours.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = without_url(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = without_url(error);
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

fn without_url(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let around = text.split_once(" for url (").and_then(|(before, rest)| Some((before, rest.split_once(')')?.1)));
    around.map_or_else(|| text.clone(), |(before, after)| format!("{before}{after}"))
}

/// The type and reason of Elasticsearch's error; for the answer of anything else, its beginning.
fn refusal(body: &[u8]) -> (String, String) {
    #[derive(Deserialize)]
    struct Refusal {
        error: ItemError,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error }) if !error.reason.is_empty() => (error.kind, error.reason),
        _ => (String::new(), beginning(body)),
    }
}

fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(500)]);
    if text.trim().is_empty() { "(no text)".into() } else { text.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::super::fake::{Fake, Reply};
    use super::*;

    #[test]
    fn a_bulk_path_counts_from_the_host() {
        for (base, expected) in
            [("http://h:9200/", "http://h:9200/b/_bulk"), ("http://h:9200/a/c/", "http://h:9200/b/_bulk")]
        {
            let base = Url::parse(base).unwrap();
            assert_eq!(base.join(&from_host(&base, "b/_bulk")).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn an_error_is_told_without_the_url() {
        let told = |text: &str| chain(&std::io::Error::other(text.to_owned()));
        assert_eq!(
            told("error sending request for url (http://h/_bulk?filter_path=errors): too late"),
            "error sending request: too late"
        );
        assert_eq!(told("closed"), "closed");

        // The official client wraps an error of its own transport that says the same.
        #[derive(Debug, Error)]
        #[error("{0}")]
        struct Wrapping(String, #[source] std::io::Error);
        let inner = "error sending request for url (http://h/)";
        let wrapping = Wrapping(inner.to_owned(), std::io::Error::other(inner));
        assert_eq!(chain(&wrapping), "error sending request");
    }

    #[test]
    fn logins_in_urls_are_decoded() {
        let url = Url::parse("http://us%40er:p%3Ass@host:9200").unwrap();
        let Some(Credentials::Basic(user, password)) = login_of(&url) else { panic!("no login") };
        assert_eq!((user.as_str(), password.as_str()), ("us@er", "p:ss"));
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_who_refused() {
        let error = br#"{"error":{"root_cause":[],"type":"parse_exception","reason":"bad line"},"status":400}"#;
        assert_eq!(refusal(error), ("parse_exception".into(), "bad line".into()));
        assert_eq!(refusal(b"<h1>busy</h1>\n"), (String::new(), "<h1>busy</h1>".into()));
        assert_eq!(refusal(br#"{"error":"plain","status":500}"#).1, r#"{"error":"plain","status":500}"#);
        assert_eq!(refusal(b""), (String::new(), "(no text)".into()));
    }

    /// A bulk request as it arrives over this connection, its head and its body. The node is its own proxy.
    async fn sent(change: impl FnOnce(&mut Connection, &Url)) -> (String, String) {
        let node = Fake::scripted("8.0.0", |_, head, body| {
            let mut text = String::new();
            match head.contains("content-encoding: gzip") {
                true => GzDecoder::new(body).read_to_string(&mut text).map(drop).unwrap(),
                false => text.push_str(std::str::from_utf8(body).unwrap()),
            }
            (format!("{head}\r\n{text}"), Reply::Whole(200, r#"{"errors":false,"items":[]}"#.into()))
        })
        .await;
        let mut connection =
            Connection { hosts: vec![node.url.clone()], timeout: Duration::from_secs(20), ..Connection::default() };
        change(&mut connection, &node.url);
        let body = Bytes::from_static(b"{\"create\":{}}\n{}\n");
        Client::new(&connection).unwrap().bulk(body).await.unwrap();
        let seen = node.seen().pop().unwrap();
        let (head, body) = seen.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn a_request_carries_the_login_and_all_else_that_is_set() {
        type Change = fn(&mut Connection, &Url);
        let login = |login| move |connection: &mut Connection, _: &Url| connection.login = Some(login);
        let (basic, key) = (Credentials::Basic("u".into(), "p".into()), Credentials::ApiKey("i".into(), "k".into()));
        let encoded = Credentials::EncodedApiKey("aTpr".into());
        assert!(sent(login(basic)).await.0.contains("\r\nauthorization: Basic dTpw"));
        assert!(sent(login(key)).await.0.contains("\r\nauthorization: ApiKey aTpr"));
        assert!(sent(login(encoded)).await.0.contains("\r\nauthorization: ApiKey aTpr"));
        let cases: [(Change, &str); 5] = [
            (
                |it, url| it.hosts = vec![Url::parse(&url.as_str().replace("//", "//a%40b:c@")).unwrap()],
                "Basic YUBiOmM=",
            ),
            (|it, _| it.headers = vec![("Authorization".into(), "Bearer t".into())], "\r\nauthorization: Bearer t"),
            (|it, _| it.parameters = vec![("refresh".into(), "true".into())], "&refresh=true HTTP/1.1\r\n"),
            (|it, _| it.gzip = true, "\r\ncontent-encoding: gzip"),
            (
                |it, url| {
                    it.proxy = Some(url.clone());
                    it.hosts = vec![Url::parse("http://elasticsearch.invalid:9200/").unwrap()];
                },
                "POST http://elasticsearch.invalid:9200/_bulk?",
            ),
        ];
        for (change, expected) in cases {
            let (head, body) = sent(change).await;
            assert!(head.contains(expected) && body == "{\"create\":{}}\n{}\n", "{expected}: {head}\n{body}");
        }
    }

    #[test]
    fn only_a_host_at_fault_is_put_aside() {
        let refused =
            |status| RequestError::Refused { host: String::new(), status, kind: String::new(), reason: String::new() };
        let blamed: Vec<u16> = [400, 401, 403, 404, 413, 429, 500, 503]
            .into_iter()
            .filter(|&status| refused(status).blames_the_host())
            .collect();
        assert_eq!(blamed, [401, 403, 404, 500, 503]);
        assert!(
            RequestError::Unreachable { host: String::new(), reason: String::new(), late: false }.blames_the_host()
        );
    }
}
