//! TLS: the client's configuration, and its failures in the user's terms.
//!
//! One provider of cryptography (ring) for the whole workspace, passed explicitly and never installed
//! as the process's default, which belongs to the host program. The peer's certificate and host name
//! are always verified; there is no option against it and no way back to plain text.

use std::io;
use std::path::PathBuf;

use notify_core::{Error, Result};

use crate::Host;

/// Whether TLS is compiled in: the Cargo feature `tls`.
pub(crate) const HAS_TLS: bool = cfg!(feature = "tls");

/// The files of a TLS client. They are read at every connect, so that they can be renewed while the
/// program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: whom to trust, instead of the system's certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// PEM: our certificate and its chain, for a broker that asks for one.
    pub cert_file: Option<PathBuf>,
    /// PEM: the key of our certificate.
    pub key_file: Option<PathBuf>,
}

#[cfg(feature = "tls")]
pub use with::{TlsConfig, explain_tls_error};
#[cfg(not(feature = "tls"))]
pub use without::{TlsConfig, explain_tls_error};

#[cfg(not(feature = "tls"))]
mod without {
    use notify_core::ErrorKind;
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::{Error, Host, Result, TlsFiles, io};
    use crate::connect::ByteStream;

    /// A TLS client's configuration. There is none without the Cargo feature `tls`.
    #[derive(Clone, Debug)]
    pub enum TlsConfig {}

    impl TlsFiles {
        /// Fails: TLS is not compiled in.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Config`], always.
        #[expect(clippy::unused_async, reason = "the same signature as with the feature")]
        pub async fn load(&self) -> Result<TlsConfig> {
            Err(Error::new(
                ErrorKind::Config,
                "TLS is not compiled in: enable the Cargo feature `tls`",
            ))
        }
    }

    impl TlsConfig {
        /// There is nothing to be called on.
        pub(crate) fn handshake(
            &self,
            _: TcpStream,
            _: &Host,
            _: Instant,
        ) -> std::future::Ready<Result<(Box<dyn ByteStream>, String)>> {
            match *self {}
        }
    }

    /// What a failure of TLS means; nothing without the Cargo feature `tls`.
    pub fn explain_tls_error(_: &io::Error, _: &Host) -> Option<Error> {
        None
    }
}

#[cfg(feature = "tls")]
mod with {
    use std::fmt;
    use std::path::Path;
    use std::sync::Arc;

    use notify_core::ErrorKind;
    use rustls::pki_types::pem::{self, PemObject};
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
    use tokio::net::TcpStream;
    use tokio::time::{Instant, timeout_at};
    use tokio_rustls::TlsConnector;

    use super::{Error, Host, Result, TlsFiles, io};
    use crate::connect::ByteStream;

    /// A TLS client's configuration, as the files said when it was read.
    #[derive(Clone)]
    pub struct TlsConfig(TlsConnector);

    impl TlsFiles {
        /// Reads the files.
        ///
        /// # Errors
        ///
        /// [`ErrorKind::Access`] naming the option, the file and what is wrong with it.
        pub async fn load(&self) -> Result<TlsConfig> {
            let files = self.clone();
            crate::blocking::run_blocking(move || {
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let builder = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .map_err(|error| access("cannot set up TLS").with_source(error))?
                    .with_root_certificates(files.roots()?);
                let config = match files.identity()? {
                    None => builder.with_no_client_auth(),
                    Some((chain, key)) => {
                        builder.with_client_auth_cert(chain, key).map_err(|error| {
                            access("`cert_file` and `key_file` do not belong together")
                                .with_source(error)
                        })?
                    }
                };
                Ok(TlsConfig(TlsConnector::from(Arc::new(config))))
            })
            .await
        }

        fn roots(&self) -> Result<RootCertStore> {
            let mut roots = RootCertStore::empty();
            if let Some(path) = &self.ca_file {
                for certificate in certificates("ca_file", path)? {
                    roots.add(certificate).map_err(|error| {
                        file_error("ca_file", path, "a certificate in it cannot be used")
                            .with_source(error)
                    })?;
                }
                return Ok(roots);
            }
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(access(
                    "this system trusts no certificate authority: install its CA certificates or \
                     set `ca_file`",
                ));
            }
            Ok(roots)
        }

        fn identity(
            &self,
        ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>> {
            let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) else {
                return Ok(None);
            };
            let chain = certificates("cert_file", cert)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| pem_error("key_file", key, "key", error))?;
            Ok(Some((chain, key)))
        }
    }

    impl TlsConfig {
        /// The encrypted stream, and what was agreed on.
        pub(crate) async fn handshake(
            &self,
            tcp: TcpStream,
            host: &Host,
            deadline: Instant,
        ) -> Result<(Box<dyn ByteStream>, String)> {
            let name = ServerName::try_from(host.name.clone()).map_err(|_| {
                Error::new(
                    ErrorKind::Config,
                    format!("no certificate can be checked against the name of {host}"),
                )
            })?;
            match timeout_at(deadline, self.0.connect(name, tcp)).await {
                Ok(Ok(stream)) => {
                    let agreed = describe(stream.get_ref().1);
                    Ok((Box::new(stream), agreed))
                }
                Ok(Err(error)) => Err(explain_tls_error(&error, host).unwrap_or_else(|| {
                    Error::new(
                        ErrorKind::Unavailable,
                        format!("{host} ended the TLS handshake: does it speak TLS on this port?"),
                    )
                    .with_source(error)
                })),
                Err(_) => Err(Error::new(
                    ErrorKind::Timeout,
                    format!("{host} did not answer the TLS handshake: does it speak TLS?"),
                )),
            }
        }
    }

    impl fmt::Debug for TlsConfig {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("TlsConfig").finish_non_exhaustive()
        }
    }

    /// The version and the cipher that were agreed on.
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

    /// What a failure of TLS with `host` means and what to change; `None` where it is none of TLS.
    ///
    /// Also for errors of reading: a broker that refuses our certificate says so only after the
    /// handshake (TLS 1.3).
    pub fn explain_tls_error(error: &io::Error, host: &Host) -> Option<Error> {
        let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        let said = match error {
            rustls::Error::InvalidCertificate(error) => certificate(error, host),
            rustls::Error::AlertReceived(alert) => alert_received(*alert, host),
            rustls::Error::InvalidMessage(_) => {
                let said = format!(
                    "{host} does not speak TLS on this port: use amqp:// or the port for TLS"
                );
                return Some(Error::new(ErrorKind::Config, said));
            }
            rustls::Error::PeerIncompatible(_) => {
                format!("{host} offers no version or cipher of TLS that is safe (1.2 at least)")
            }
            _ => format!("TLS with {host} failed"),
        };
        Some(access(said).with_source(error.clone()))
    }

    fn certificate(error: &CertificateError, host: &Host) -> String {
        use CertificateError as E;
        match error {
            E::Expired | E::ExpiredContext { .. } => {
                format!("the certificate of {host} has expired")
            }
            E::NotValidYet | E::NotValidYetContext { .. } => {
                format!(
                    "the certificate of {host} is not valid yet: is this machine's clock right?"
                )
            }
            E::NotValidForName | E::NotValidForNameContext { .. } => format!(
                "the certificate of {host} is for another name: use the name it was made for"
            ),
            E::UnknownIssuer | E::BadSignature => format!(
                "the certificate of {host} is signed by nobody we trust: set `ca_file` to the \
                 certificate of its authority"
            ),
            E::Revoked => format!("the certificate of {host} is revoked"),
            _ => format!("the certificate of {host} is not acceptable"),
        }
    }

    fn alert_received(alert: AlertDescription, host: &Host) -> String {
        use AlertDescription as A;
        match alert {
            A::CertificateRequired => {
                format!("{host} wants a client certificate: set `cert_file` and `key_file`")
            }
            A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::DecryptError
            | A::AccessDenied => {
                format!("{host} does not accept the client certificate in `cert_file`")
            }
            A::HandshakeFailure => format!(
                "{host} refused the TLS handshake: it wants a client certificate (`cert_file`) or \
                 offers no version or cipher that is safe"
            ),
            A::ProtocolVersion => format!("{host} offers no version of TLS that is safe"),
            _ => format!("{host} refused TLS"),
        }
    }

    fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
        let failed = |error| pem_error(option, path, "certificate", error);
        let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
            .map_err(failed)?
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        if certificates.is_empty() {
            return Err(failed(pem::Error::NoItemsFound));
        }
        Ok(certificates)
    }

    fn pem_error(option: &str, path: &Path, item: &str, error: pem::Error) -> Error {
        match error {
            pem::Error::Io(error) => file_error(option, path, &error.to_string()),
            pem::Error::NoItemsFound => {
                file_error(option, path, &format!("there is no {item} in it (PEM is expected)"))
            }
            // Its words may repeat what stands in the file, which may be a key.
            _ => file_error(option, path, "it is not well-formed PEM"),
        }
    }

    fn file_error(option: &str, path: &Path, what: &str) -> Error {
        access(format!("cannot use `{option}` {}: {what}", path.display()))
    }

    fn access(what: impl Into<String>) -> Error {
        Error::new(ErrorKind::Access, what.into())
    }
}
