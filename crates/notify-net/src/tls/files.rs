//! The options that name a TLS client's files. This module reads none of them.

use std::path::{Path, PathBuf};

use notify_core::Result;

use crate::url::invalid;

/// The PEM files of a TLS client.
///
/// A transport reads them at every connect, so you can renew certificates while the program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// `ca_file`: the certificates of the authorities to trust. Default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// `cert_file`: the client's certificate and its chain, for a broker that requires one.
    pub cert_file: Option<PathBuf>,
    /// `key_file`: the private key of the client's certificate.
    pub key_file: Option<PathBuf>,
}

impl TlsFiles {
    /// Checks that TLS with these files is possible. Error messages call the options
    /// `strategy.cert_file` and so on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) if the Cargo feature `tls` is disabled,
    /// or if only one of `cert_file` and `key_file` is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_net::TlsFiles;
    ///
    /// let files = TlsFiles { cert_file: Some("/etc/ssl/svc.pem".into()), ..TlsFiles::default() };
    /// # if cfg!(feature = "tls") {
    /// assert_eq!(
    ///     files.check("rabbit").unwrap_err().to_string(),
    ///     "set `rabbit.cert_file` and `rabbit.key_file` together, or neither of them"
    /// );
    /// # }
    /// ```
    pub fn check(&self, strategy: &str) -> Result<()> {
        if !cfg!(feature = "tls") {
            return Err(invalid(format!(
                "`{strategy}.url` asks for TLS, which is not compiled in: enable the Cargo feature \
                 `tls`"
            )));
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err(invalid(format!(
                "set `{strategy}.cert_file` and `{strategy}.key_file` together, or neither of them"
            )));
        }
        Ok(())
    }

    /// Returns the configured files with their options.
    pub(crate) fn paths(&self) -> Vec<(&'static str, &Path)> {
        let Self { ca_file, cert_file, key_file } = self;
        let files = [("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)];
        files.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(not(feature = "tls"))]
    use super::*;

    /// A build without TLS says which Cargo feature to enable.
    #[test]
    #[cfg(not(feature = "tls"))]
    fn a_build_without_tls_names_the_feature() {
        let error = TlsFiles::default().check("s").unwrap_err().to_string();
        assert!(error.ends_with("not compiled in: enable the Cargo feature `tls`"), "{error}");
    }
}
