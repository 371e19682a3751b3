//! The options that say where a broker is and who logs in, and the rules that combine them.
//!
//! `rabbit` and `qpid` have these options in common. A transport parses its own table, rejects
//! unknown keys and fills in its own defaults; this module only combines the values.

use std::net::IpAddr;
use std::path::PathBuf;

use notify_core::Result;
use notify_core::codec::serde_json::{Map, Value};
use notify_core::config::{Seconds, table_values};
use serde::Serialize;

use crate::endpoint::Endpoint;
use crate::host::{Host, is_host_name};
use crate::sasl::{SaslMechanism, SaslMechanismList};
use crate::secret::{Password, Secret};
use crate::tls::files::TlsFiles;
use crate::url::{BrokerUrl, invalid};

/// The options of a broker's endpoint, as the operator wrote them.
#[derive(Debug, Default)]
pub struct EndpointOptions {
    /// `url`: scheme, hosts, credentials and virtual host in one text.
    pub url: Option<BrokerUrl>,
    /// `host`: one host name or IP address, if there is no `url`.
    pub host: Option<String>,
    /// `port`: the TCP port of `host`. Default 5672.
    pub port: Option<u16>,
    /// `user`, if the URL names none.
    pub user: Option<String>,
    /// `password`, if the URL has none.
    pub password: Option<Secret>,
    /// `password_file`: a file that holds the password.
    pub password_file: Option<PathBuf>,
    /// `virtual_host`, if the URL names none.
    pub virtual_host: Option<String>,
    /// `ca_file`, `cert_file` and `key_file`.
    pub tls: TlsFiles,
    /// `sasl_mechanism`.
    pub sasl_mechanism: Option<SaslMechanismList>,
    /// `connect_timeout`, in seconds.
    pub connect_timeout: Option<Seconds>,
    /// `heartbeat` in seconds, if the URL has no parameter `heartbeat`.
    pub heartbeat: Option<u16>,
}

impl EndpointOptions {
    /// Combines the options into an endpoint. Error messages call them `strategy.url`,
    /// `strategy.host` and so on.
    ///
    /// Without `sasl_mechanism`, a user or a password selects PLAIN, a client certificate alone
    /// selects EXTERNAL, and neither selects ANONYMOUS.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) if two options name the same thing, if
    /// `host` is not a host name, if files for TLS accompany a URL without TLS, or if the URL has a
    /// parameter other than `heartbeat`.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_net::{EndpointOptions, Secret};
    ///
    /// let options = || EndpointOptions {
    ///     url: Some("amqp://rabbit1,rabbit2/glance".parse().unwrap()),
    ///     user: Some("svc".into()),
    ///     password: Some(Secret::new("hunter2")),
    ///     ..EndpointOptions::default()
    /// };
    /// let endpoint = options().resolve("rabbit")?;
    /// assert_eq!(endpoint.hosts.len(), 2);
    /// assert_eq!(endpoint.virtual_host.as_deref(), Some("glance"));
    ///
    /// let twice = EndpointOptions { host: Some("rabbit3".into()), ..options() };
    /// assert_eq!(
    ///     twice.resolve("rabbit").unwrap_err().to_string(),
    ///     "`rabbit.url` already names the hosts: remove `rabbit.host` and `rabbit.port`"
    /// );
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn resolve(self, strategy: &str) -> Result<Endpoint> {
        let duplicate = |part: &str, options: &str| {
            invalid(format!("`{strategy}.url` already names the {part}: remove {options}"))
        };
        let url = match self.url {
            Some(_) if self.host.is_some() || self.port.is_some() => {
                let options = format!("`{strategy}.host` and `{strategy}.port`");
                return Err(duplicate("hosts", &options));
            }
            Some(url) => url,
            None => {
                let local = Host::default();
                let name = self.host.unwrap_or(local.name);
                // Messages show the host, so it must not be a URL with a password.
                if !is_host_name(&name) && name.parse::<IpAddr>().is_err() {
                    return Err(invalid(format!(
                        "`{strategy}.host`: expected a host name or an IP address; a URL belongs in \
                         `{strategy}.url`"
                    )));
                }
                BrokerUrl::new(false, vec![Host { name, port: self.port.unwrap_or(local.port) }])
            }
        };
        if url.path.is_some() && self.virtual_host.is_some() {
            return Err(duplicate("virtual host", &format!("`{strategy}.virtual_host`")));
        }
        if url.user.is_some() && self.user.is_some() {
            return Err(duplicate("user", &format!("`{strategy}.user`")));
        }
        if !url.tls && self.tls != TlsFiles::default() {
            return Err(invalid(format!(
                "`{strategy}.ca_file`, `{strategy}.cert_file` and `{strategy}.key_file` need TLS: \
                 begin `{strategy}.url` with amqps://"
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
                    "the password is configured twice: keep only one of `{strategy}.url`, \
                     `{strategy}.password` and `{strategy}.password_file`"
                )));
            }
        };
        let mut endpoint = Endpoint {
            hosts: url.hosts,
            tls: url.tls.then_some(self.tls),
            user: url.user.or(self.user),
            password,
            virtual_host: url.path.or(self.virtual_host),
            ..Endpoint::default()
        };
        endpoint.sasl_mechanism = match self.sasl_mechanism {
            Some(SaslMechanismList(mechanisms)) => mechanisms,
            None if endpoint.user.is_some() || endpoint.password.is_some() => {
                vec![SaslMechanism::Plain]
            }
            None if endpoint.has_certificate() => vec![SaslMechanism::External],
            None => vec![SaslMechanism::Anonymous],
        };
        if let Some(timeout) = self.connect_timeout {
            endpoint.connect_timeout = timeout.into();
        }
        if let Some(seconds) = heartbeat_parameter(strategy, &url.query)?.or(self.heartbeat) {
            endpoint.heartbeat = seconds;
        }
        Ok(endpoint)
    }
}

/// Returns the table of a broker that a program built, as the values of the configuration, with `url` and
/// `password`. The table itself must not serialize these two, because they are secrets.
///
/// # Errors
///
/// As from [`table_values`].
pub fn broker_table_values(
    table: &impl Serialize,
    url: Option<&BrokerUrl>,
    password: Option<&Secret>,
) -> Result<Map<String, Value>> {
    let mut values = table_values(table)?;
    if let Some(url) = url {
        values.insert("url".to_owned(), url.to_text().expose().into());
    }
    if let Some(password) = password {
        values.insert("password".to_owned(), password.expose().into());
    }
    Ok(values)
}

/// Returns the parameter `heartbeat` of the URL, the only one that a URL may have.
fn heartbeat_parameter(strategy: &str, query: &[(String, String)]) -> Result<Option<u16>> {
    let mut heartbeat = None;
    for (key, value) in query {
        if key != "heartbeat" {
            let key = notify_core::redact::printable(key, 64);
            return Err(invalid(format!(
                "unknown parameter `{key}` in `{strategy}.url`: only `heartbeat` is supported"
            )));
        }
        heartbeat = Some(value.parse().map_err(|_| {
            invalid(format!("`{strategy}.url`: expected a number of seconds for `heartbeat`"))
        })?);
    }
    Ok(heartbeat)
}

#[cfg(test)]
mod tests {
    use notify_core::ErrorKind;

    use super::*;

    /// Creates options with a URL only.
    fn url(text: &str) -> EndpointOptions {
        EndpointOptions { url: Some(text.parse().unwrap()), ..EndpointOptions::default() }
    }

    /// Options supply what the URL leaves out, and no options mean the broker on this machine.
    #[test]
    fn options_complete_the_url() {
        let empty = EndpointOptions::default().resolve("s").unwrap();
        assert_eq!((empty.hosts, empty.tls), (vec![Host::default()], None));
        let tls = TlsFiles { ca_file: Some("/ca".into()), ..TlsFiles::default() };
        let options = EndpointOptions { tls: tls.clone(), ..url("amqps://a?heartbeat=7") };
        let endpoint = options.resolve("s").unwrap();
        assert_eq!(endpoint.hosts[0].to_string(), "a:5671");
        assert_eq!(endpoint.tls, Some(tls));
        assert_eq!(endpoint.heartbeat, 7);
    }

    /// Each contradiction has one message that names the options to change and shows no secret.
    #[test]
    fn contradictory_options_are_named() {
        let full = || url("amqp://u:hunter2@a/v");
        let secret = || Some(Secret::new("hunter2"));
        let files = TlsFiles { key_file: Some("/k".into()), ..TlsFiles::default() };
        let twice = "the password is configured twice: keep only one of `s.url`, `s.password` and \
                     `s.password_file`";
        let hosts = "`s.url` already names the hosts: remove `s.host` and `s.port`";
        let virtual_host = "`s.url` already names the virtual host: remove `s.virtual_host`";
        let user = "`s.url` already names the user: remove `s.user`";
        let plain = "`s.ca_file`, `s.cert_file` and `s.key_file` need TLS: begin `s.url` with \
                     amqps://";
        let text = || Some("x".to_owned());
        let path = || Some("/p".into());
        let host = "`s.host`: expected a host name or an IP address; a URL belongs in `s.url`";
        let with_host =
            |host: &str| EndpointOptions { host: Some(host.into()), ..EndpointOptions::default() };
        for (options, expected) in [
            (with_host("amqp://u:hunter2@h"), host),
            (with_host("a b"), host),
            (with_host(""), host),
            (EndpointOptions { host: text(), ..full() }, hosts),
            (EndpointOptions { port: Some(1), ..full() }, hosts),
            (EndpointOptions { virtual_host: text(), ..full() }, virtual_host),
            (EndpointOptions { user: text(), ..full() }, user),
            (EndpointOptions { password: secret(), ..full() }, twice),
            (EndpointOptions { password_file: path(), ..full() }, twice),
            (
                EndpointOptions { password: secret(), password_file: path(), ..url("amqp://a") },
                twice,
            ),
            (EndpointOptions { tls: files.clone(), ..full() }, plain),
            (EndpointOptions { tls: files, ..EndpointOptions::default() }, plain),
            (
                url("amqp://a?x=1"),
                "unknown parameter `x` in `s.url`: only `heartbeat` is supported",
            ),
            (url("amqp://a?heartbeat=x"), "`s.url`: expected a number of seconds for `heartbeat`"),
        ] {
            let error = options.resolve("s").expect_err(expected);
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Config, expected));
        }
    }

    /// A client certificate without a user selects EXTERNAL, and a user selects PLAIN all the same.
    #[test]
    #[cfg(feature = "tls")]
    fn a_certificate_without_a_user_selects_external() {
        let files = |cert_file: &str, key_file: Option<&str>| TlsFiles {
            ca_file: None,
            cert_file: Some(cert_file.into()),
            key_file: key_file.map(Into::into),
        };
        let with = |text: &str, tls: TlsFiles| EndpointOptions { tls, ..url(text) }.resolve("s");
        let endpoint = with("amqps://a", files("/c", Some("/k"))).unwrap();
        assert_eq!(endpoint.sasl_mechanism, [SaslMechanism::External]);
        endpoint.check("s").unwrap();
        let endpoint = with("amqps://u:p@a", files("/c", Some("/k"))).unwrap();
        assert_eq!(endpoint.sasl_mechanism, [SaslMechanism::Plain]);
        let endpoint = with("amqps://a", files("/c", None)).unwrap();
        let error = endpoint.check("s").unwrap_err().to_string();
        assert!(error.contains("together, or neither"), "{error}");
        let external = Some(SaslMechanismList(vec![SaslMechanism::External]));
        let options = EndpointOptions { sasl_mechanism: external, ..url("amqps://a") };
        let error = options.resolve("s").unwrap().check("s").unwrap_err().to_string();
        assert!(error.contains("needs TLS with `s.cert_file`"), "{error}");
    }

    /// Programs may log an endpoint and its options.
    #[test]
    fn debug_shows_no_password() {
        let options = url("amqp://u:hunter2@a");
        assert!(!format!("{options:?}").contains("hunter2"));
        assert!(!format!("{:?}", options.resolve("s").unwrap()).contains("hunter2"));
    }
}
