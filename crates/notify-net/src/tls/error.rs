//! The meaning of TLS errors, and the options to change.

use std::io;

use notify_core::{Error, ErrorKind};
use rustls::{AlertDescription, CertificateError};

use crate::host::Host;

/// Explains an I/O error that TLS with `host` caused; returns `None` for any other error.
///
/// Call it for errors of later reads too: with TLS 1.3 a broker rejects the client's certificate only
/// after the handshake (RFC 8446, section 4.4.2.4).
///
/// The result has the kind [`ErrorKind::Access`], or [`ErrorKind::Config`] if the broker does not
/// speak TLS on this port.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// use notify_net::{Host, explain_tls_error};
///
/// let reset = io::Error::from(io::ErrorKind::ConnectionReset);
/// assert!(explain_tls_error(&reset, &Host::default()).is_none());
/// ```
pub fn explain_tls_error(error: &io::Error, host: &Host) -> Option<Error> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let text = match error {
        rustls::Error::InvalidCertificate(error) => invalid_certificate(error, host),
        rustls::Error::AlertReceived(alert) => received_alert(*alert, host),
        rustls::Error::InvalidMessage(_) => {
            let text = format!(
                "{host} does not speak TLS on this port: use a URL without TLS, or the broker's port for TLS"
            );
            return Some(Error::new(ErrorKind::Config, text));
        }
        rustls::Error::PeerIncompatible(_) => {
            format!("{host} supports no secure TLS version or cipher suite (1.2 or later)")
        }
        _ => format!("TLS with {host} failed"),
    };
    Some(access_error(text).with_source(error.clone()))
}

/// Creates the error of a missing or rejected permission to use TLS.
pub(super) fn access_error(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Access, text.into())
}

/// Explains why the client rejects the broker's certificate.
fn invalid_certificate(error: &CertificateError, host: &Host) -> String {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => format!(
            "certificate expired: renew the certificate of {host}, or correct this machine's clock"
        ),
        E::NotValidYet | E::NotValidYetContext { .. } => format!(
            "certificate not yet valid: check the certificate of {host} and this machine's clock"
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => format!(
            "certificate name mismatch: the certificate of {host} is for another name; connect by \
             a name in the certificate"
        ),
        E::UnknownIssuer | E::BadSignature => format!(
            "unknown authority: no trusted authority signed the certificate of {host}; set \
             `ca_file` to the certificate of its authority"
        ),
        E::Revoked => format!("certificate revoked: {host} needs a new certificate"),
        _ => format!("invalid certificate: TLS cannot verify the certificate of {host}"),
    }
}

/// Explains an alert: the broker's reason to end the TLS connection.
fn received_alert(alert: AlertDescription, host: &Host) -> String {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => {
            format!("{host} requires a client certificate: set `cert_file` and `key_file`")
        }
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::DecryptError
        | A::AccessDenied => {
            format!("{host} rejected the client certificate in `cert_file`")
        }
        A::HandshakeFailure => format!(
            "{host} refused the TLS handshake: it requires a client certificate (`cert_file`), or \
             supports no secure TLS version or cipher suite"
        ),
        A::ProtocolVersion => format!("{host} supports no secure TLS version (1.2 or later)"),
        _ => format!("{host} refused TLS"),
    }
}
