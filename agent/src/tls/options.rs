//! TLS as the options of the tcp input and of its twin, the tcp output, have it: what they say, held against Logstash's rules, and made ready to use
//! when the pipeline is loaded, so that a certificate that can't be used is told with its place in the pipeline file.
//!
//! The twins differ in a default and in an option or two; their tables say in which.

use std::path::Path;
use std::sync::Arc;

use elkhound_config::options::{OptionKind, OptionSpec, Options as Cursor};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::option::option;
use crate::tls;

/// What a connection is wrapped in.
#[derive(Clone)]
pub(crate) enum Tls {
    /// Nothing.
    Off,
    /// We are the server; the bool says whether clients show certificates.
    Accept(TlsAcceptor, bool),
    /// We are the client of a server with this name; the bool says whether its certificate is verified.
    Connect(TlsConnector, ServerName<'static>, bool),
}

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Clients connect to us.
    Server,
    /// We connect to a server.
    Client,
}

/// Our certificate.
pub(crate) const CERTIFICATE: OptionSpec =
    option("ssl_certificate", OptionKind::Path, "", "our certificate, a PEM file");
/// Who signs the peer's.
pub(crate) const AUTHORITIES: OptionSpec =
    option("ssl_certificate_authorities", OptionKind::Array, "[]", "who may sign the peer's certificate, PEM files");
/// Which suites are offered.
pub(crate) const CIPHER_SUITES: OptionSpec =
    option("ssl_cipher_suites", OptionKind::List(&OptionKind::String), "[]", "the cipher suites, all by default");
/// The switch.
pub(crate) const ENABLED: OptionSpec = option("ssl_enabled", OptionKind::Boolean, "false", "speak TLS");
/// Our key.
pub(crate) const KEY: OptionSpec = option("ssl_key", OptionKind::Path, "", "the certificate's key, a PEM file");
/// What our key is encrypted with.
pub(crate) const KEY_PASSPHRASE: OptionSpec =
    option("ssl_key_passphrase", OptionKind::Password, "", "what the key is encrypted with");
/// Which versions are offered.
pub(crate) const PROTOCOLS: OptionSpec = option(
    "ssl_supported_protocols",
    OptionKind::List(&OptionKind::OneOf(&["TLSv1.1", "TLSv1.2", "TLSv1.3"])),
    "[]",
    "the versions of TLS, 1.2 and 1.3 by default",
);
/// Whether a client looks at the server's certificate.
pub(crate) const VERIFICATION: OptionSpec = option(
    "ssl_verification_mode",
    OptionKind::OneOf(&["full", "none"]),
    "full",
    "in client mode, whether the server's certificate is looked at",
);
/// The old name of [`CERTIFICATE`], refused since Logstash 9 as the other old ones are.
pub(crate) const OLD_CERTIFICATE: OptionSpec = gone("ssl_cert", "write `ssl_certificate`");
/// The old name of [`ENABLED`].
pub(crate) const OLD_ENABLED: OptionSpec = gone("ssl_enable", "write `ssl_enabled`");
/// The old name of [`authentication`] and [`VERIFICATION`].
pub(crate) const OLD_VERIFICATION: OptionSpec =
    gone("ssl_verify", "write `ssl_client_authentication`, or `ssl_verification_mode` in client mode");

/// An option of old.
pub(crate) const fn gone(name: &'static str, advice: &'static str) -> OptionSpec {
    option(name, OptionKind::Obsolete(advice), "", "old name")
}

/// Whether a server asks clients for their certificates, and what it does unless it is told.
pub(crate) const fn authentication(default: &'static str) -> OptionSpec {
    let kind = OptionKind::OneOf(&["none", "optional", "required"]);
    option("ssl_client_authentication", kind, default, "whether clients must show a certificate")
}

/// The options whose names begin with `ssl_`, but for the switch itself.
const SETTINGS: [&str; 9] = [
    "ssl_certificate",
    "ssl_certificate_authorities",
    "ssl_cipher_suites",
    "ssl_client_authentication",
    "ssl_extra_chain_certs",
    "ssl_key",
    "ssl_key_passphrase",
    "ssl_supported_protocols",
    "ssl_verification_mode",
];

/// Reads the options; nothing when one of them is wrong, which has been reported.
pub(crate) fn read(options: &mut Cursor<'_>, mode: Mode, host: &str) -> Option<Tls> {
    if !options.boolean("ssl_enabled", false) {
        if let Some(unused) = SETTINGS.into_iter().find(|name| options.default(name).is_some() && options.was_set(name))
        {
            options.warn(unused, &format!("`{unused}` has no effect without TLS"), "add `ssl_enabled => true`");
        }
        return Some(Tls::Off);
    }
    let identity = identity(options)?;
    let provider = provider(options)?;
    let versions = versions(options)?;
    match mode {
        Mode::Server => server(options, identity, provider, &versions),
        Mode::Client => client(options, identity, provider, &versions, host),
    }
}

/// Our certificate with its chain, and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// An inner nothing when no certificate is named.
fn identity(options: &mut Cursor<'_>) -> Option<Option<Identity>> {
    let (cert, key) = match (options.text("ssl_certificate"), options.text("ssl_key")) {
        (None, None) => return Some(None),
        (Some(_), None) => {
            return refuse(options, "ssl_certificate", "a certificate needs its key", "add `ssl_key`");
        }
        (None, Some(_)) => {
            return refuse(options, "ssl_key", "a key needs its certificate", "add `ssl_certificate`");
        }
        (Some(cert), Some(key)) => (cert, key),
    };
    let mut chain = file(options, "ssl_certificate", tls::certificates(Path::new(&cert)))?;
    const CHAIN: &str = "ssl_extra_chain_certs";
    let extras = if options.default(CHAIN).is_some() { options.texts(CHAIN) } else { Vec::new() };
    for extra in extras {
        chain.extend(file(options, CHAIN, tls::certificates(Path::new(&extra)))?);
    }
    Some(Some((chain, our_key(options, Path::new(&key))?)))
}

fn our_key(options: &mut Cursor<'_>, path: &Path) -> Option<PrivateKeyDer<'static>> {
    if !tls::is_encrypted(path) {
        return file(options, "ssl_key", tls::private_key(path));
    }
    let Some(passphrase) = options.text("ssl_key_passphrase") else {
        let message = format!("the key `{}` is encrypted", path.display());
        return refuse(options, "ssl_key", &message, "add `ssl_key_passphrase`");
    };
    tls::encrypted_key(path, &passphrase)
        .map_err(|error| {
            let help = "correct the passphrase; a key that is encrypted in an older way is made a newer one with `openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW`";
            options.fail("ssl_key_passphrase", &format!("`{}` can't be used: {}", error.path, error.reason), help);
        })
        .ok()
}

fn server(
    options: &mut Cursor<'_>,
    identity: Option<Identity>,
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
) -> Option<Tls> {
    if options.was_set("ssl_verification_mode") {
        let message = "`ssl_verification_mode` is for `mode => client`";
        return refuse(options, "ssl_verification_mode", message, "use `ssl_client_authentication`");
    }
    let Some((chain, key)) = identity else {
        return refuse(options, "ssl_enabled", "a server needs a certificate", "add `ssl_certificate` and `ssl_key`");
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
    let builder = usable(options, "ssl_cipher_suites", builder)?;
    let wanted = client_authentication(options)?;
    let builder = if wanted == Authentication::None {
        builder.with_no_client_auth()
    } else {
        let roots = Arc::new(roots(options)?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let verifier =
            if wanted == Authentication::Optional { verifier.allow_unauthenticated() } else { verifier }.build();
        builder.with_client_cert_verifier(usable(options, "ssl_certificate_authorities", verifier)?)
    };
    let config = usable(options, "ssl_key", builder.with_single_cert(chain, key))?;
    Some(Tls::Accept(TlsAcceptor::from(Arc::new(config)), wanted != Authentication::None))
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Authentication {
    None,
    Optional,
    Required,
}

fn client_authentication(options: &mut Cursor<'_>) -> Option<Authentication> {
    let name = "ssl_client_authentication";
    let unless_told = options.default(name).unwrap_or_default();
    let wanted = match options.text_or(name, unless_told).as_str() {
        "none" => Authentication::None,
        "optional" => Authentication::Optional,
        _ => Authentication::Required,
    };
    if wanted != Authentication::None && options.texts("ssl_certificate_authorities").is_empty() {
        if options.was_set(name) {
            let message = "clients can't be authenticated without an authority";
            return refuse(options, name, message, "add `ssl_certificate_authorities`");
        }
        let message = "clients must show a certificate of a public authority, as in Logstash";
        let help =
            "add `ssl_certificate_authorities`, or `ssl_client_authentication => none` if any client may connect";
        options.warn(name, message, help);
    }
    Some(wanted)
}

fn client(
    options: &mut Cursor<'_>,
    identity: Option<Identity>,
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    host: &str,
) -> Option<Tls> {
    if options.was_set("ssl_client_authentication") {
        let message = "`ssl_client_authentication` is for `mode => server`";
        return refuse(options, "ssl_client_authentication", message, "use `ssl_verification_mode`");
    }
    let verified = options.text_or("ssl_verification_mode", "full") != "none";
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
    let builder = usable(options, "ssl_cipher_suites", builder)?;
    let builder = if verified {
        builder.with_root_certificates(roots(options)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    };
    let config = match identity {
        Some((chain, key)) => usable(options, "ssl_key", builder.with_client_auth_cert(chain, key))?,
        None => builder.with_no_client_auth(),
    };
    let Ok(server) = ServerName::try_from(host.to_owned()) else {
        return refuse(options, "host", &format!("`{host}` is no name that a certificate can have"), "name a host");
    };
    Some(Tls::Connect(TlsConnector::from(Arc::new(config)), server, verified))
}

/// The authorities that the options name, or else the public ones.
fn roots(options: &mut Cursor<'_>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for authority in options.texts("ssl_certificate_authorities") {
        file(options, "ssl_certificate_authorities", tls::trust(Path::new(&authority), &mut roots))?;
    }
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Some(roots)
}

fn versions(options: &mut Cursor<'_>) -> Option<Vec<&'static SupportedProtocolVersion>> {
    let wanted = options.texts("ssl_supported_protocols");
    let has = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let versions: Vec<_> =
        [("TLSv1.2", &TLS12), ("TLSv1.3", &TLS13)].into_iter().filter(|(name, _)| has(name)).collect();
    if versions.is_empty() {
        let message = "TLSv1.1 is not safe and not offered";
        return refuse(options, "ssl_supported_protocols", message, "use TLSv1.2 or TLSv1.3");
    }
    if wanted.iter().any(|name| name == "TLSv1.1") {
        options.warn("ssl_supported_protocols", "TLSv1.1 is not safe and not offered", "leave it out");
    }
    Some(versions.into_iter().map(|(_, version)| version).collect())
}

/// The provider with the suites that are wanted, in the order in which they are.
fn provider(options: &mut Cursor<'_>) -> Option<Arc<CryptoProvider>> {
    let all = tls::provider();
    let wanted = options.texts("ssl_cipher_suites");
    if wanted.is_empty() {
        return Some(all);
    }
    // Java calls the suites of TLS 1.3 `TLS_…`, rustls `TLS13_…`.
    let java =
        |suite: &tokio_rustls::rustls::SupportedCipherSuite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
    let find = |name: &String| all.cipher_suites.iter().find(|suite| java(suite) == *name).copied();
    let suites: Vec<_> = wanted.iter().filter_map(find).collect();
    let names = all.cipher_suites.iter().map(java).collect::<Vec<_>>().join(", ");
    let missing = wanted.iter().find(|name| find(name).is_none());
    match missing {
        Some(name) if suites.is_empty() => {
            let message = format!("none of the cipher suites is offered, not `{name}` either");
            return refuse(options, "ssl_cipher_suites", &message, &format!("there are {names}"));
        }
        Some(name) => {
            let message = format!("the cipher suite `{name}` is not offered; the others are");
            options.warn("ssl_cipher_suites", &message, &format!("there are {names}"));
        }
        None => {}
    }
    Some(Arc::new(CryptoProvider { cipher_suites: suites, ..CryptoProvider::clone(&all) }))
}

fn refuse<T>(options: &mut Cursor<'_>, name: &str, message: &str, help: &str) -> Option<T> {
    options.fail(name, message, help);
    None
}

/// What was read from a file, or a mistake at the option that names it.
fn file<T>(options: &mut Cursor<'_>, name: &str, read: Result<T, tls::FileError>) -> Option<T> {
    read.map_err(|error| {
        let help = "name a PEM file that elkhound may read";
        options.fail(name, &format!("`{}` can't be used: {}", error.path, error.reason), help);
    })
    .ok()
}

/// What was made, or a mistake at the option that it was made of.
fn usable<T, E: std::fmt::Display>(options: &mut Cursor<'_>, name: &str, made: Result<T, E>) -> Option<T> {
    made.map_err(|error| options.fail(name, &format!("TLS can't be set up: {error}"), "")).ok()
}

/// For `ssl_verification_mode => none`, and for who knows the certificate that is to come: whoever answers is taken for the server; only that he holds his own key is looked at.
#[derive(Debug)]
pub(crate) struct Anybody(pub(crate) Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
