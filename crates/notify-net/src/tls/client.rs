//! The TLS client: its configuration from files, and the handshake.

use std::sync::Arc;

use notify_core::{Error, ErrorKind, Result};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::blocking::{READS, run_blocking};
use crate::host::Host;
use crate::stream::ByteStream;
use crate::tls::config::TlsConfig;
use crate::tls::error::{access_error, explain_tls_error};
use crate::tls::files::TlsFiles;
use crate::tls::pem;

impl TlsFiles {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Access`] with the option, the file and the reason. The error shows no content of
    /// a file.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_net::TlsFiles;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let files = TlsFiles { ca_file: Some("/nonexistent/ca.pem".into()), ..TlsFiles::default() };
    /// let error = files.load().await.unwrap_err();
    /// assert!(error.to_string().starts_with("cannot use `ca_file` /nonexistent/ca.pem: "));
    /// # }
    /// ```
    pub async fn load(&self) -> Result<TlsConfig> {
        let files = self.clone();
        run_blocking(&READS, move || {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| access_error("cannot set up TLS").with_source(error))?
                .with_root_certificates(files.roots()?);
            let config = match files.identity()? {
                None => builder.with_no_client_auth(),
                Some((chain, key)) => {
                    builder.with_client_auth_cert(chain, key).map_err(|error| {
                        access_error(
                            "the key in `key_file` does not match the certificate in `cert_file`",
                        )
                        .with_source(error)
                    })?
                }
            };
            Ok(TlsConfig(TlsConnector::from(Arc::new(config))))
        })
        .await?
    }

    /// Reads the authorities to trust: those in `ca_file`, or else those of the system.
    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca_file {
            for certificate in pem::read_certificates("ca_file", path)? {
                roots.add(certificate).map_err(|error| {
                    pem::file_error("ca_file", path, "it contains an unusable certificate")
                        .with_source(error)
                })?;
            }
            return Ok(roots);
        }
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(access_error(
                "this system has no trusted CA certificates: install them, or set `ca_file`",
            ));
        }
        Ok(roots)
    }

    /// Reads the client's certificate chain and key, if they are configured.
    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>> {
        let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) else {
            return Ok(None);
        };
        let chain = pem::read_certificates("cert_file", cert)?;
        let key = pem::read_key("key_file", key)?;
        Ok(Some((chain, key)))
    }
}

impl TlsConfig {
    /// Encrypts `tcp`. Returns the stream, and the negotiated version and cipher suite as text.
    ///
    /// # Errors
    ///
    /// Those of [`explain_tls_error`]; [`ErrorKind::Unavailable`] if `host` closes the connection or does
    /// not answer before `deadline`.
    pub(crate) async fn handshake(
        &self,
        tcp: TcpStream,
        host: &Host,
        deadline: Instant,
    ) -> Result<(Box<dyn ByteStream>, String)> {
        let name = ServerName::try_from(host.name.clone()).map_err(|_| {
            Error::new(
                ErrorKind::Config,
                format!("cannot verify a certificate for {host}: its name is not a DNS name"),
            )
        })?;
        match timeout_at(deadline, self.0.connect(name, tcp)).await {
            Ok(Ok(stream)) => {
                let negotiated = describe(stream.get_ref().1);
                Ok((Box::new(stream), negotiated))
            }
            Ok(Err(error)) => Err(explain_tls_error(&error, host).unwrap_or_else(|| {
                Error::new(
                    ErrorKind::Unavailable,
                    format!(
                        "{host} closed the connection during the TLS handshake: does it speak TLS \
                         on this port?"
                    ),
                )
                .with_source(error)
            })),
            Err(_) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the TLS handshake with {host} timed out: does it speak TLS on this port?"),
            )),
        }
    }
}

/// Returns the negotiated version and cipher suite: `TLS 1.3, TLS13_AES_256_GCM_SHA384`.
fn describe(connection: &rustls::ClientConnection) -> String {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS",
    };
    match connection.negotiated_cipher_suite() {
        Some(suite) => format!("{version}, {:?}", suite.suite()),
        None => version.to_owned(),
    }
}
