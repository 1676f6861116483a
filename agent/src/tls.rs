//! Certificates and keys from PEM files, for whoever speaks TLS: what can't be used is named with its file and the reason.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use thiserror::Error;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) mod options;

/// A file that can't be used.
#[derive(Debug, Error)]
#[error("{path}: {reason}")]
pub(crate) struct FileError {
    /// Its path.
    pub(crate) path: String,
    /// Why.
    pub(crate) reason: String,
}

impl FileError {
    /// `path` can't be used for this reason.
    pub(crate) fn new(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self { path: path.display().to_string(), reason: format!("{reason}") }
    }
}

/// The cryptography that everything here uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// All certificates of a file, at least one.
///
/// # Errors
/// A file that can't be read or holds none.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| FileError::new(path, error))?;
    if found.is_empty() { Err(FileError::new(path, "no certificate in it")) } else { Ok(found) }
}

/// The private key of a file, which must not be encrypted.
///
/// # Errors
/// A file that can't be read or holds none.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| FileError::new(path, error))
}

/// What begins and ends a key that is encrypted as PKCS#8 says.
const ENCRYPTED: [&str; 2] = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----"];

/// Whether a file holds an encrypted private key.
pub(crate) fn is_encrypted(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The second is OpenSSL's older way, which has its name but not its rules from RFC 1421.
    text.contains(ENCRYPTED[0]) || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// The encrypted private key of a file.
///
/// # Errors
/// A file that can't be read or holds no such key, and a passphrase that is not the key's.
pub(crate) fn encrypted_key(path: &Path, passphrase: &str) -> Result<PrivateKeyDer<'static>, FileError> {
    let text = fs::read_to_string(path).map_err(|error| FileError::new(path, error))?;
    let section = text.find(ENCRYPTED[0]).and_then(|start| {
        let end = text[start..].find(ENCRYPTED[1])? + ENCRYPTED[1].len();
        Some(&text[start..start + end])
    });
    let section = section.ok_or_else(|| FileError::new(path, "no key in it that is encrypted as PKCS#8 says"))?;
    let (_, sealed) = SecretDocument::from_pem(section).map_err(|error| FileError::new(path, error))?;
    let sealed =
        EncryptedPrivateKeyInfoRef::try_from(sealed.as_bytes()).map_err(|error| FileError::new(path, error))?;
    let key = sealed.decrypt(passphrase).map_err(|_| FileError::new(path, "the passphrase does not open it"))?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// Adds the certificates of a file to those that are trusted.
///
/// # Errors
/// A file that can't be read, or a certificate that can't be an authority's.
pub(crate) fn trust(path: &Path, roots: &mut RootCertStore) -> Result<(), FileError> {
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| FileError::new(path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    fn openssl(arguments: &[&str]) {
        let made = Command::new("openssl").args(arguments).output().expect("the program openssl; install it");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("elkhound-key-{}-{name}", std::process::id()))
    }

    #[test]
    fn an_encrypted_key_is_opened_by_its_passphrase_only() {
        let (plain, sealed, older) = (path("plain"), path("sealed"), path("older"));
        let [p, s, o] = [&plain, &sealed, &older].map(|path| path.to_str().unwrap());
        openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", p]);
        for way in [["-v2", "aes-256-cbc"], ["-v2", "aes-128-cbc"]] {
            openssl(&["pkcs8", "-topk8", "-in", p, "-out", s, way[0], way[1], "-passout", "pass:open sesame"]);
            // A certificate in the same file changes nothing.
            let text = fs::read_to_string(&sealed).unwrap();
            fs::write(&sealed, format!("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n{text}"))
                .unwrap();
            let opened = encrypted_key(&sealed, "open sesame").unwrap();
            assert_eq!(opened.secret_der(), private_key(&plain).unwrap().secret_der(), "{way:?}");
            assert_eq!(encrypted_key(&sealed, "x").unwrap_err().reason, "the passphrase does not open it");
        }
        openssl(&["rsa", "-traditional", "-aes256", "-in", p, "-out", o, "-passout", "pass:x"]);
        assert_eq!([&plain, &sealed, &older].map(|path| is_encrypted(path)), [false, true, true]);
        assert!(encrypted_key(&older, "x").is_err());
        [plain, sealed, older].iter().for_each(|path| fs::remove_file(path).unwrap());
    }
}
