//! Certificates and keys from PEM files.
//!
//! Errors name the option and the file. They never show what a file contains, which may be a key.

use std::path::Path;

use notify_core::redact::printable_path;
use notify_core::{Error, Result};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::error::access_error;

/// Reads every certificate in the file `path`, which `option` names.
///
/// # Errors
///
/// [`ErrorKind::Access`](notify_core::ErrorKind::Access) if the file is unreadable, is not PEM or
/// contains no certificate.
pub(super) fn read_certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unusable = |error| pem_error(option, path, "certificate", error);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unusable)?
        .collect::<Result<_, _>>()
        .map_err(unusable)?;
    if certificates.is_empty() {
        return Err(unusable(pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

/// Reads the private key in the file `path`, which `option` names.
///
/// # Errors
///
/// [`ErrorKind::Access`](notify_core::ErrorKind::Access) if the file is unreadable, is not PEM or
/// contains no key.
pub(super) fn read_key(option: &str, path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| pem_error(option, path, "key", error))
}

/// Creates the error of an unusable file.
pub(super) fn file_error(option: &str, path: &Path, reason: &str) -> Error {
    access_error(format!("cannot use `{option}` {}: {reason}", printable_path(path, 256)))
}

/// Creates the error of a file from which no `item` could be read.
fn pem_error(option: &str, path: &Path, item: &str, error: pem::Error) -> Error {
    match error {
        pem::Error::Io(error) => file_error(option, path, &error.to_string()),
        pem::Error::NoItemsFound => {
            file_error(option, path, &format!("it contains no {item} in PEM format"))
        }
        // The text of the other errors may repeat parts of the file.
        _ => file_error(option, path, "it is not valid PEM"),
    }
}
