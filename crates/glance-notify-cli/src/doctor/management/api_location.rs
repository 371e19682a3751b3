//! The place of a management API: its URL, and the login.
//!
//! An error never repeats a URL, because any part of a mistyped one can be the password.

use glance_notify::listen::RabbitSourceConfig;
use glance_notify::{Error, ErrorKind, Result};
use notify_net::{Endpoint, Host, Password, SaslMechanism, Secret};
use percent_encoding::percent_decode_str;
use url::Url;

/// The place of a broker's management API, and the login.
#[derive(Clone, Debug)]
pub(crate) struct ApiLocation {
    /// The hosts, the user and TLS, as for AMQP.
    pub(super) endpoint: Endpoint,
    /// The path in front of `/api`: empty, or with a slash at its begin and none at its end.
    pub(super) path_prefix: String,
}

impl ApiLocation {
    /// Returns the management API of a source's broker, if `option` or the source asks for it.
    ///
    /// `option` is the value of `--management`. An empty one stands for the source's `management_url`, or else
    /// for the usual port on the hosts of the source. Without a user in the URL, the login is the source's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an invalid URL, and without a user and a password.
    pub(crate) fn of_source(
        broker: &RabbitSourceConfig,
        option: Option<&str>,
    ) -> Result<Option<Self>> {
        let own = broker.management_url.as_ref().map(Secret::expose);
        let (name, result) = match (option, own) {
            (None, None) => return Ok(None),
            (Some(""), None) => ("--management", Self::usual(broker)),
            (None | Some(""), Some(url)) => ("source.management_url", Self::at_url(url, broker)),
            (Some(url), _) => ("--management", Self::at_url(url, broker)),
        };
        result.map(Some).map_err(|error| invalid(format!("`{name}`: {error}")))
    }

    /// Returns the usual port on the hosts of the source: 15672, or 15671 with TLS.
    fn usual(broker: &RabbitSourceConfig) -> Result<Self> {
        let mut endpoint = broker.endpoint.clone();
        let port = if endpoint.tls.is_some() { 15671 } else { 15672 };
        endpoint.hosts.iter_mut().for_each(|host| host.port = port);
        Self::new(endpoint, String::new())
    }

    /// Returns the place that a URL names.
    fn at_url(url: &str, broker: &RabbitSourceConfig) -> Result<Self> {
        let url = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        let mut endpoint = broker.endpoint.clone();
        endpoint.tls = match url.scheme() {
            "http" => None,
            "https" => Some(endpoint.tls.unwrap_or_default()),
            _ => return Err(invalid("expected a URL that begins with http:// or https://")),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("unexpected `?` or `#`: percent-encode it in a password"));
        }
        let name = match url.host() {
            Some(url::Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => return Err(invalid("the host is missing")),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        endpoint.hosts = vec![Host { name, port }];
        if url.username().is_empty() && url.password().is_some() {
            return Err(invalid(
                "a password without a user: write `USER:PASSWORD@` before the host",
            ));
        }
        if !url.username().is_empty() {
            endpoint.user = Some(decoded(url.username())?);
            let password = url.password().map(decoded).transpose()?;
            endpoint.password = password.map(|password| Password::Inline(Secret::new(password)));
        }
        let path = url.path().trim_end_matches('/');
        Self::new(endpoint, path.strip_suffix("/api").unwrap_or(path).to_owned())
    }

    /// Checks the login.
    fn new(mut endpoint: Endpoint, path_prefix: String) -> Result<Self> {
        if endpoint.user.is_none() || endpoint.password.is_none() {
            return Err(invalid(
                "a user or a password is missing: the API needs both, in `management_url` or for the source",
            ));
        }
        endpoint.sasl_mechanism = vec![SaslMechanism::Plain];
        Ok(Self { endpoint, path_prefix })
    }

    /// Returns the name of the user.
    pub(super) fn user(&self) -> &str {
        self.endpoint.user.as_deref().unwrap_or_default()
    }
}

/// Decodes a part of a URL.
fn decoded(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| invalid("the user or the password is not UTF-8"))
}

/// Returns an error of the configuration.
fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the host, the user, the password and the prefix, or the error.
    fn resolve(source: &str, own: Option<&str>, option: Option<&str>) -> String {
        let mut broker = RabbitSourceConfig::from_url(source).unwrap();
        broker.management_url = own.map(Secret::new);
        match ApiLocation::of_source(&broker, option) {
            Ok(None) => "none".to_owned(),
            Ok(Some(ApiLocation { endpoint, path_prefix })) => {
                let Some(Password::Inline(password)) = &endpoint.password else { panic!() };
                let hosts: Vec<_> = endpoint.hosts.iter().map(ToString::to_string).collect();
                let tls = if endpoint.tls.is_some() { "TLS " } else { "" };
                let user = endpoint.user.as_deref().unwrap();
                format!("{tls}{} {user} {} {path_prefix}", hosts.join(","), password.expose())
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                error.to_string()
            }
        }
    }

    /// The login is the source's unless the URL has one, and a bare option means the usual port.
    #[test]
    fn the_login_is_that_of_the_source_by_default() {
        let plain = "amqp://audit:a%40b@rabbit1,rabbit2:5673/v";
        assert_eq!(resolve(plain, None, None), "none");
        assert_eq!(resolve(plain, None, Some("")), "rabbit1:15672,rabbit2:15672 audit a@b ");
        let url = "http://m%40x:s%2Fe@[::1]:8080/rabbit/api/";
        assert_eq!(resolve(plain, Some(url), None), "[::1]:8080 m@x s/e /rabbit");
        assert_eq!(resolve(plain, Some(url), Some("")), "[::1]:8080 m@x s/e /rabbit");
        assert_eq!(resolve(plain, Some(url), Some("http://h")), "h:80 audit a@b ");
        #[cfg(feature = "tls")]
        {
            let tls = "amqps://audit:secret@rabbit1/v";
            assert_eq!(resolve(tls, None, Some("")), "TLS rabbit1:15671 audit secret ");
            assert_eq!(resolve(plain, None, Some("https://h")), "TLS h:443 audit a@b ");
        }
    }

    /// An error names the option and shows no part of the URL.
    #[test]
    fn errors_show_no_part_of_a_url() {
        let source = "amqp://audit:secret@rabbit1/v";
        for (url, expected) in [
            ("hunter2", "relative URL without a base"),
            ("ftp://u:hunter2@h", "expected a URL that begins with http:// or https://"),
            ("http://u:hunter2#@h", "invalid port number"),
            ("http://u:p@h?hunter2", "unexpected `?` or `#`"),
            ("http://:hunter2@h", "a password without a user"),
            ("http://hunter2@h", "a user or a password is missing"),
            ("http://u:hunter2%ff@h", "the user or the password is not UTF-8"),
        ] {
            let error = resolve(source, None, Some(url));
            assert!(error.starts_with(&format!("`--management`: {expected}")), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
