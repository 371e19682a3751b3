//! The loaded configuration of a TLS client, which has no value in a build without TLS.

use std::fmt;

/// The loaded configuration of a TLS client: trusted authorities, and the client's certificate.
///
/// [`TlsFiles::load`](crate::TlsFiles::load) creates it. Later changes of the files do not affect it.
/// Without the Cargo feature `tls`, no value of this type exists.
#[derive(Clone)]
pub struct TlsConfig(
    #[cfg(feature = "tls")] pub(super) tokio_rustls::TlsConnector,
    #[cfg(not(feature = "tls"))] pub(super) std::convert::Infallible,
);

/// Shows no certificate and no key.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").finish_non_exhaustive()
    }
}
