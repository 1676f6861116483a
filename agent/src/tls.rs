//! Certificates and keys from PEM files, for whoever speaks TLS: what can't be used is named with its file and the reason.

use std::path::Path;
use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

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
