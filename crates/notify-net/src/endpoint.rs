//! Where a broker is and who logs in there: the keys that every transport's table has for it, and how
//! they agree with each other.

use std::net::IpAddr;
use std::path::PathBuf;

use notify_core::Result;

use crate::tls::HAS_TLS;
use crate::url::{invalid, is_host_name};
use crate::{BrokerUrl, Host, Password, Secret, TlsFiles};

/// The keys as they are written. A transport reads them as part of its own table, which alone knows
/// what an unknown key is.
#[derive(Debug, Default)]
pub struct EndpointOptions {
    /// `url`.
    pub url: Option<BrokerUrl>,
    /// `host`, instead of those of the URL.
    pub host: Option<String>,
    /// `port`, for `host`.
    pub port: Option<u16>,
    /// `user`, or what the transport calls it.
    pub user: Option<String>,
    /// `password`.
    pub password: Option<Secret>,
    /// `password_file`.
    pub password_file: Option<PathBuf>,
    /// `virtual_host`.
    pub virtual_host: Option<String>,
    /// `ca_file`, `cert_file` and `key_file`.
    pub tls: TlsFiles,
}

/// What the keys say together.
#[derive(Debug)]
pub struct Endpoint {
    /// Whom to ask. Not empty; `localhost` if nobody is named.
    pub hosts: Vec<Host>,
    /// Whether to use TLS, and with which files.
    pub tls: Option<TlsFiles>,
    /// Who logs in.
    pub user: Option<String>,
    /// With what.
    pub password: Option<Password>,
    /// The virtual host.
    pub virtual_host: Option<String>,
    /// The URL's parameters, which mean something to the transport alone.
    pub query: Vec<(String, String)>,
}

impl EndpointOptions {
    /// Brings the keys together. Errors name them as those of the table `strategy`, where the user's
    /// is `user_key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) if something is said twice, or files for
    /// TLS stand beside a URL without it.
    pub fn resolve(self, strategy: &str, user_key: &str) -> Result<Endpoint> {
        let remove = |what: &str, keys: &str| {
            invalid(format!("`{strategy}.url` names the {what}: remove {keys}"))
        };
        let url = match self.url {
            Some(_) if self.host.is_some() || self.port.is_some() => {
                let keys = format!("`{strategy}.host` and `{strategy}.port`");
                return Err(remove("hosts", &keys));
            }
            Some(url) => url,
            None => {
                let local = Host::default();
                let name = self.host.unwrap_or(local.name);
                // Messages show it: it must not be a URL with a password.
                if !is_host_name(&name) && name.parse::<IpAddr>().is_err() {
                    return Err(invalid(format!(
                        "`{strategy}.host`: the name or the address of a host is expected; a URL is \
                         for `{strategy}.url`"
                    )));
                }
                BrokerUrl::new(false, vec![Host { name, port: self.port.unwrap_or(local.port) }])
            }
        };
        if url.path.is_some() && self.virtual_host.is_some() {
            return Err(remove("virtual host", &format!("`{strategy}.virtual_host`")));
        }
        if url.user.is_some() && self.user.is_some() {
            return Err(remove("user", &format!("`{strategy}.{user_key}`")));
        }
        if !url.tls && self.tls != TlsFiles::default() {
            return Err(invalid(format!(
                "`{strategy}.ca_file`, `{strategy}.cert_file` and `{strategy}.key_file` are for \
                 TLS: begin `{strategy}.url` with amqps://"
            )));
        }
        let password = match (url.password, self.password, self.password_file) {
            (None, None, None) => None,
            (Some(password), None, None) | (None, Some(password), None) => {
                Some(Password::Inline(password))
            }
            (None, None, Some(path)) => Some(Password::File(path)),
            _ => {
                return Err(invalid(format!(
                    "the password is given twice: keep one of `{strategy}.url`, \
                     `{strategy}.password` and `{strategy}.password_file`"
                )));
            }
        };
        Ok(Endpoint {
            hosts: url.hosts,
            tls: url.tls.then_some(self.tls),
            user: url.user.or(self.user),
            password,
            virtual_host: url.path.or(self.virtual_host),
            query: url.query,
        })
    }
}

impl TlsFiles {
    /// Whether these files, named by the table `strategy`, can be used at all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) if TLS is not compiled in, or a
    /// certificate stands without its key.
    pub fn check(&self, strategy: &str) -> Result<()> {
        if !HAS_TLS {
            return Err(invalid(format!(
                "`{strategy}.url` asks for TLS, which is not compiled in: enable the Cargo feature \
                 `tls`"
            )));
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            return Err(invalid(format!(
                "`{strategy}.cert_file` and `{strategy}.key_file` need each other"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use notify_core::ErrorKind;

    use super::*;

    fn url(text: &str) -> EndpointOptions {
        EndpointOptions { url: Some(text.parse().unwrap()), ..EndpointOptions::default() }
    }

    #[test]
    fn keys_complete_the_url() {
        let nothing = EndpointOptions::default().resolve("s", "user").unwrap();
        assert_eq!((nothing.hosts, nothing.tls), (vec![Host::default()], None));
        let tls = TlsFiles { ca_file: Some("/ca".into()), ..TlsFiles::default() };
        let keys = EndpointOptions { tls: tls.clone(), ..url("amqps://a?x=1") };
        let endpoint = keys.resolve("s", "user").unwrap();
        assert_eq!(endpoint.hosts[0].to_string(), "a:5671");
        assert_eq!(endpoint.tls, Some(tls));
        assert_eq!(endpoint.query, [("x".into(), "1".into())]);
    }

    #[test]
    fn what_is_said_twice_is_named_as_it_is_written() {
        let full = || url("amqp://u:hunter2@a/v");
        let secret = || Some(Secret::new("hunter2"));
        let files = TlsFiles { key_file: Some("/k".into()), ..TlsFiles::default() };
        let twice = "the password is given twice: keep one of `s.url`, `s.password` and \
                     `s.password_file`";
        let hosts = "`s.url` names the hosts: remove `s.host` and `s.port`";
        let virtual_host = "`s.url` names the virtual host: remove `s.virtual_host`";
        let plain = "`s.ca_file`, `s.cert_file` and `s.key_file` are for TLS: begin `s.url` with \
                     amqps://";
        let text = || Some("x".to_owned());
        let path = || Some("/p".into());
        let host = "`s.host`: the name or the address of a host is expected; a URL is for `s.url`";
        let with_host =
            |host: &str| EndpointOptions { host: Some(host.into()), ..EndpointOptions::default() };
        for (keys, said) in [
            (with_host("amqp://u:hunter2@h"), host),
            (with_host("a b"), host),
            (with_host(""), host),
            (EndpointOptions { host: text(), ..full() }, hosts),
            (EndpointOptions { port: Some(1), ..full() }, hosts),
            (EndpointOptions { virtual_host: text(), ..full() }, virtual_host),
            (
                EndpointOptions { user: text(), ..full() },
                "`s.url` names the user: remove `s.login`",
            ),
            (EndpointOptions { password: secret(), ..full() }, twice),
            (EndpointOptions { password_file: path(), ..full() }, twice),
            (
                EndpointOptions { password: secret(), password_file: path(), ..url("amqp://a") },
                twice,
            ),
            (EndpointOptions { tls: files.clone(), ..full() }, plain),
            (EndpointOptions { tls: files, ..EndpointOptions::default() }, plain),
        ] {
            let error = keys.resolve("s", "login").expect_err(said);
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Config, said));
        }
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn tls_that_is_not_compiled_in_is_said() {
        let error = TlsFiles::default().check("s").unwrap_err().to_string();
        assert!(error.ends_with("not compiled in: enable the Cargo feature `tls`"), "{error}");
    }
}
