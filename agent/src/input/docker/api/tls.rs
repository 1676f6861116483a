//! TLS to an engine on a port, with the three files that Docker's client uses.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{ApiError, Transport};
use crate::tls::{FileError, certificates, private_key, provider, trust};

/// The engine's authority, our certificate, and the name that the engine's certificate must have.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// Reads `ca.pem`, and `cert.pem` with `key.pem` where they are there, from `folder`.
    pub(super) fn load(folder: &Path, host: &str) -> Result<Self, ApiError> {
        let mut roots = RootCertStore::empty();
        trust(&folder.join("ca.pem"), &mut roots)?;
        let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| FileError::new(folder, error))?.with_root_certificates(roots);
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let config = if cert.exists() {
            builder
                .with_client_auth_cert(certificates(&cert)?, private_key(&key)?)
                .map_err(|error| FileError::new(&cert, error))?
        } else {
            builder.with_no_client_auth()
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| FileError::new(folder, format!("`{host}`: {error}")))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Agrees on keys over a plain connection.
    pub(super) async fn wrap(&self, plain: Box<dyn Transport>) -> io::Result<TlsStream<Box<dyn Transport>>> {
        self.connector.connect(self.name.clone(), plain).await
    }
}

impl From<FileError> for ApiError {
    fn from(FileError { path, reason }: FileError) -> Self {
        Self::Certificate { path, reason }
    }
}
