//! The interface of TLS in a build without the Cargo feature `tls`: no client exists.

use std::io;

use notify_core::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::host::Host;
use crate::stream::ByteStream;
use crate::tls::config::TlsConfig;
use crate::tls::files::TlsFiles;

impl TlsFiles {
    /// Fails, because this build has no TLS.
    ///
    /// # Errors
    ///
    /// Always [`ErrorKind::Config`].
    #[expect(clippy::unused_async, reason = "the same signature as with the feature")]
    pub async fn load(&self) -> Result<TlsConfig> {
        Err(Error::new(ErrorKind::Config, "TLS is not compiled in: enable the Cargo feature `tls`"))
    }
}

impl TlsConfig {
    /// Never runs: the type has no value.
    pub(crate) fn handshake(
        &self,
        _: TcpStream,
        _: &Host,
        _: Instant,
    ) -> std::future::Ready<Result<(Box<dyn ByteStream>, String)>> {
        match self.0 {}
    }
}

/// Returns `None`: without the Cargo feature `tls` no error comes from TLS.
pub fn explain_tls_error(_: &io::Error, _: &Host) -> Option<Error> {
    None
}
