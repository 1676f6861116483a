//! `ca_trusted_fingerprint`: trust in a certificate of which only the SHA-256 is known.
//!
//! The chain that a host shows is looked at in a handshake that is broken off before anything is sent. A certificate in it with a known
//! fingerprint becomes an authority for the connections that follow, which are checked in full: chain and name.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use elasticsearch::http::Url;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::tls;

/// The SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Reads 64 hexadecimal digits, with colons or without; nothing when they are none.
    pub(crate) fn parse(written: &str) -> Option<Self> {
        let digits: Vec<u8> = written
            .bytes()
            .filter(|byte| *byte != b':' && !byte.is_ascii_whitespace())
            .map(|byte| char::from(byte).to_digit(16).map(|digit| digit as u8))
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits.chunks(2).filter_map(|pair| Some(pair.first()? << 4 | pair.get(1)?)).collect();
        if digits.len() == 64 { bytes.try_into().ok().map(Self) } else { None }
    }

    fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate.as_ref()).into())
    }
}

/// The certificate with one of these fingerprints that `host` shows, in PEM.
///
/// # Errors
/// A sentence about a host that can't be reached or shows no such certificate.
pub(crate) async fn find(host: &Url, known: &[Fingerprint], limit: Duration) -> Result<Vec<u8>, String> {
    let chain = timeout(limit, chain(host)).await.map_err(|_| "it showed no certificate in time".to_owned())??;
    match chain.iter().find(|certificate| known.contains(&Fingerprint::of(certificate))) {
        Some(certificate) => Ok(pem(certificate)),
        None => {
            let shown: Vec<String> = chain.iter().map(|certificate| hex(&Fingerprint::of(certificate))).collect();
            Err(format!(
                "none of its certificates has a fingerprint of ca_trusted_fingerprint; theirs are {}",
                shown.join(", ")
            ))
        }
    }
}

async fn chain(host: &Url) -> Result<Vec<CertificateDer<'static>>, String> {
    let name = host.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = host.port_or_known_default().unwrap_or(9200);
    let looker = Arc::new(Looker::default());
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&looker) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let server = ServerName::try_from(name.clone()).map_err(|error| error.to_string())?;
    let stream = TcpStream::connect((name, port)).await.map_err(|error| error.to_string())?;
    let broken_off = TlsConnector::from(Arc::new(config)).connect(server, stream).await;
    let chain = std::mem::take(&mut *looker.chain.lock().unwrap_or_else(PoisonError::into_inner));
    match broken_off {
        Err(error) if chain.is_empty() => Err(error.to_string()),
        _ => Ok(chain),
    }
}

fn pem(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let encoded = BASE64.encode(certificate.as_ref());
    let mut pem = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in encoded.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END CERTIFICATE-----\n");
    pem
}

fn hex(fingerprint: &Fingerprint) -> String {
    fingerprint.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Looks at the chain and breaks the handshake off: nothing is ever sent over such a connection.
#[derive(Debug, Default)]
struct Looker {
    chain: Mutex<Vec<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Looker {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = std::iter::once(own).chain(others).map(|certificate| certificate.clone().into_owned());
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = shown.collect();
        Err(Error::General("its certificates have been seen".into()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("nothing is signed in a handshake that is broken off".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::server::WebPkiClientVerifier;
    use tokio_rustls::rustls::{RootCertStore, ServerConfig};

    use super::super::client::{Client, Connection};
    use super::super::fake::Fake;
    use super::*;
    use crate::scratch;

    #[test]
    fn fingerprints_as_people_write_them() {
        let plain = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";
        let read = Fingerprint::parse(plain).unwrap();
        assert_eq!(hex(&read), plain.to_ascii_lowercase());
        let pairs: Vec<&str> = (0..32).map(|at| &plain[2 * at..2 * at + 2]).collect();
        assert_eq!(Fingerprint::parse(&pairs.join(":")), Some(read));
        for wrong in ["", "01", &plain[1..], &format!("{plain}00"), &plain.replace('0', "g")] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }

    /// An authority, and certificates that it has signed for the server and for us.
    struct Certificates(scratch::Folder);

    impl Certificates {
        fn make() -> Self {
            let made = Self(scratch::Folder::new("certificates"));
            made.openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt");
            std::fs::write(made.0.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
            for name in ["server", "agent"] {
                made.openssl(&format!(
                    "req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
                ));
                made.openssl(&format!(
                    "x509 -req -days 2 -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out {name}.crt"
                ));
            }
            made
        }

        fn openssl(&self, arguments: &str) {
            let made = Command::new("openssl").args(arguments.split(' ')).current_dir(&*self.0).output();
            let made = made.expect("the program openssl; install it");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }

        fn path(&self, name: &str) -> String {
            self.0.join(name).display().to_string()
        }

        fn of(&self, name: &str) -> CertificateDer<'static> {
            tls::certificates(&self.0.join(name)).unwrap().remove(0)
        }

        /// A server that shows its chain and wants to see a certificate of the same authority.
        fn acceptor(&self) -> TlsAcceptor {
            let mut roots = RootCertStore::empty();
            tls::trust(&self.0.join("ca.crt"), &mut roots).unwrap();
            let clients =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build().unwrap();
            let config = ServerConfig::builder_with_provider(tls::provider())
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(clients)
                .with_single_cert(
                    vec![self.of("server.crt"), self.of("ca.crt")],
                    tls::private_key(&self.0.join("server.key")).unwrap(),
                )
                .unwrap();
            TlsAcceptor::from(Arc::new(config))
        }
    }

    #[tokio::test]
    async fn certificates_are_shown_and_checked_by_file_and_by_fingerprint() {
        let made = Certificates::make();
        let node = Fake::start_secured(made.acceptor()).await;
        let ours = Some([made.path("agent.crt"), made.path("agent.key")]);
        let (right, wrong) = (Fingerprint::of(&made.of("ca.crt")), Fingerprint([7; 32]));
        let authority = made.path("ca.crt");
        for (identity, authorities, fingerprints, expected) in [
            (ours.clone(), vec![authority.clone()], vec![], ""),
            (ours.clone(), vec![], vec![wrong, right], ""),
            (ours.clone(), vec![], vec![], "can't be reached"),
            (None, vec![authority], vec![], "can't be reached"),
            (ours, vec![], vec![wrong], &hex(&right)),
        ] {
            let case = format!("{identity:?} {authorities:?} {fingerprints:?}");
            let connection = Connection {
                hosts: vec![node.url.clone()],
                timeout: Duration::from_secs(20),
                identity,
                authorities,
                fingerprints,
                ..Connection::default()
            };
            let body = bytes::Bytes::from_static(b"{\"create\":{\"_id\":\"1\"}}\n{}\n");
            let answer = Client::new(&connection).unwrap().bulk(body).await;
            let said = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert!(answer.is_ok() == expected.is_empty() && said.contains(expected), "{case}: {said}");
        }
        assert_eq!(node.seen(), ["1", "1"]);
    }

    #[test]
    fn a_certificate_in_pem_has_short_lines() {
        let text = String::from_utf8(pem(&CertificateDer::from(vec![7; 100]))).unwrap();
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [27, 64, 64, 8, 25]);
    }
}
