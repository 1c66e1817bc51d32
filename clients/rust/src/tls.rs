//! TLS under `tls+tcp://`.

use std::{io, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use crate::ConfigError;

/// Whom to trust at a `tls+tcp://` address, and who to be there.
#[derive(Clone)]
pub struct TlsOptions {
    authorities: Vec<u8>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
}

impl TlsOptions {
    /// Trusts servers whose certificate one of these authorities has signed; PEM.
    pub fn new(authorities_pem: impl Into<Vec<u8>>) -> Self {
        Self { authorities: authorities_pem.into(), identity: None, server_name: None }
    }

    /// Shows this certificate chain to the server; PEM, with its private key.
    #[must_use]
    pub fn identity(mut self, certificates_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificates_pem.into(), key_pem.into()));
        self
    }

    /// Expects this name in the server's certificate instead of the host of the address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Prepares connections to `host`.
    pub(crate) fn connector(&self, host: &str) -> Result<Connector, ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.authorities, "the certificate authorities")? {
            roots.add(certificate).map_err(|error| wrong("the certificate authorities", &error))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong("the protocol versions", &error))?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates(chain, "the client's certificate")?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong("the client's key", &error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| wrong("the client's identity", &error))?
            }
        };
        let name = self.server_name.as_deref().unwrap_or(host);
        Ok(Connector {
            tls: TlsConnector::from(Arc::new(config)),
            server: ServerName::try_from(name.to_owned()).map_err(|error| wrong("the server's name", &error))?,
        })
    }
}

fn wrong(what: &str, error: &dyn std::error::Error) -> ConfigError {
    ConfigError::new(format!("TLS: {what} cannot be used: {error}"))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let all: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| wrong(what, &error))?;
    if all.is_empty() {
        return Err(ConfigError::new(format!("TLS: {what}: the text has no certificate; give PEM")));
    }
    Ok(all)
}

/// Makes TLS connections to one server.
#[derive(Clone)]
pub(crate) struct Connector {
    tls: TlsConnector,
    server: ServerName<'static>,
}

impl Connector {
    pub(crate) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.tls.connect(self.server.clone(), stream).await
    }
}
