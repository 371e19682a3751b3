//! TLS: the files, the client, and the meaning of its errors.
//!
//! * ring is the only provider of cryptography in the workspace. This crate passes it explicitly and
//!   never installs a default for the process, which belongs to the host program.
//! * The client always verifies the broker's certificate and host name. No option disables that, and
//!   nothing falls back to plain text.
//! * Without the Cargo feature `tls`, [`TlsConfig`] has no value and [`TlsFiles::check`] fails.

#[cfg(feature = "tls")]
mod client;
pub(crate) mod config;
#[cfg(not(feature = "tls"))]
mod disabled;
#[cfg(feature = "tls")]
mod error;
pub(crate) mod files;
#[cfg(feature = "tls")]
mod pem;

pub use config::TlsConfig;
#[cfg(not(feature = "tls"))]
pub use disabled::explain_tls_error;
#[cfg(feature = "tls")]
pub use error::explain_tls_error;
pub use files::TlsFiles;
