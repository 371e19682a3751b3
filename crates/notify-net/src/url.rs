//! Broker URLs: scheme, one or more hosts, credentials, virtual host and parameters.
//!
//! An error names the invalid part by its position and never repeats the text, because any part of a
//! mistyped URL can be the password.

use std::fmt;
use std::str::FromStr;

use notify_core::{Error, ErrorKind, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::host::{Host, is_host_name};
use crate::secret::Secret;

/// A parsed `amqp://user:password@host:port,host:port/virtual%2Fhost?parameter=value`.
///
/// * The scheme `amqps` asks for TLS.
/// * A host is a name, an IPv4 address, or an IPv6 address in brackets. The default port is 5672, or
///   5671 with TLS.
/// * Credentials stand before the first host or, as in OpenStack's `transport_url`, the same
///   credentials before every host.
/// * User name, password, virtual host and parameters are percent-encoded in the URL and decoded
///   here.
///
/// `Debug` shows neither the password nor the parameters.
///
/// # Examples
///
/// ```
/// use notify_net::BrokerUrl;
///
/// let url: BrokerUrl = "amqps://svc:p%40ss@rabbit1,rabbit2:5670/glance?heartbeat=5".parse()?;
/// assert!(url.tls);
/// assert_eq!(url.hosts[0].to_string(), "rabbit1:5671");
/// assert_eq!(url.hosts[1].to_string(), "rabbit2:5670");
/// assert_eq!(url.password.as_ref().unwrap().expose(), "p@ss");
/// assert_eq!(url.path.as_deref(), Some("glance"));
/// assert!(!format!("{url:?}").contains("p@ss"));
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Whether the scheme is `amqps`.
    pub tls: bool,
    /// The hosts in the order of the URL. Never empty.
    pub hosts: Vec<Host>,
    /// The decoded user name.
    pub user: Option<String>,
    /// The decoded password.
    pub password: Option<Secret>,
    /// The decoded text after the first slash: the virtual host. `None` if the URL has no text there.
    pub path: Option<String>,
    /// The decoded parameters, in the order of the URL.
    pub query: Vec<(String, String)>,
}

impl FromStr for BrokerUrl {
    type Err = Error;

    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`]. The text fits after the name of an option: "host 1: the host name is
    /// missing".
    fn from_str(text: &str) -> Result<Self> {
        let tls = match text.split_once("://") {
            Some(("amqp", _)) => false,
            Some(("amqps", _)) => true,
            _ => return Err(invalid("expected a URL that begins with amqp:// or amqps://")),
        };
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        // After an unencoded slash in a password, the parser would take the rest of the credentials
        // for the virtual host, and messages would show it.
        if tail.contains(['@', '#']) {
            return Err(invalid(format!("unexpected `@` or `#` after the hosts: {ENCODE}")));
        }

        let mut url = Self::new(tls, Vec::new());
        for (index, piece) in authority.split(',').enumerate() {
            url.add_host(index + 1, piece)?;
        }
        // The `url` crate treats only some schemes specially, and `amqp` is not one of them: any
        // host serves to parse the tail.
        let parsed = ::url::Url::parse(&format!("amqp://h{tail}"))
            .map_err(|error| invalid(error.to_string()))?;
        url.path = match tail.split('?').next().and_then(|path| path.strip_prefix('/')) {
            None | Some("") => None,
            Some(path) => Some(decode(path, "the virtual host")?),
        };
        url.query = parsed.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        Ok(url)
    }
}

impl BrokerUrl {
    /// Creates a URL without credentials, virtual host and parameters.
    pub(crate) fn new(tls: bool, hosts: Vec<Host>) -> Self {
        Self { tls, hosts, user: None, password: None, path: None, query: Vec::new() }
    }

    /// Returns the URL as text, with the password in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_net::BrokerUrl;
    ///
    /// let url: BrokerUrl = "amqp://svc:p%40ss@rabbit1,rabbit2/glance".parse()?;
    /// assert_eq!(url.to_text().expose(), "amqp://svc:p%40ss@rabbit1,rabbit2/glance");
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn to_text(&self) -> Secret {
        let encoded = |text: &str| utf8_percent_encode(text, RESERVED).to_string();
        let mut text = if self.tls { "amqps://" } else { "amqp://" }.to_owned();
        if self.user.is_some() || self.password.is_some() {
            text += &encoded(self.user.as_deref().unwrap_or_default());
            if let Some(password) = &self.password {
                text.extend([":", &encoded(password.expose())]);
            }
            text.push('@');
        }
        let default_port = format!(":{}", Host::default_port(self.tls));
        for (index, host) in self.hosts.iter().enumerate() {
            let host = host.to_string();
            text += if index == 0 { "" } else { "," };
            text += host.strip_suffix(&default_port).unwrap_or(&host);
        }
        if let Some(path) = &self.path {
            text.extend(["/", &encoded(path)]);
        }
        for (index, (key, value)) in self.query.iter().enumerate() {
            let separator = if index == 0 { "?" } else { "&" };
            text.extend([separator, &encoded(key), "=", &encoded(value)]);
        }
        Secret::new(text)
    }

    /// Parses `user:password@host:port`, the host at position `number`, counted from 1.
    fn add_host(&mut self, number: usize, piece: &str) -> Result<()> {
        let invalid_host = |reason: &str| invalid(format!("host {number}: {reason}"));
        let url = ::url::Url::parse(&format!("amqp://{piece}/"))
            .map_err(|error| invalid_host(&format!("{error}; {ENCODE}")))?;
        let name = match url.host() {
            Some(::url::Host::Ipv6(address)) => address.to_string(),
            Some(::url::Host::Domain(name)) if is_host_name(name) => name.to_owned(),
            Some(::url::Host::Ipv4(address)) => address.to_string(),
            None | Some(::url::Host::Domain("")) => {
                return Err(invalid_host("the host name is missing"));
            }
            Some(::url::Host::Domain(_)) => {
                return Err(invalid_host(
                    "a host name may contain only letters, digits, `.`, `-` and `_`",
                ));
            }
        };
        let port = url.port().unwrap_or_else(|| Host::default_port(self.tls));
        if port == 0 {
            return Err(invalid_host("port 0 is invalid"));
        }
        self.hosts.push(Host { name, port });

        if url.username().is_empty() && url.password().is_none() {
            return Ok(());
        }
        let user = Some(decode(url.username(), "the user name")?);
        let password = match url.password() {
            Some(password) => Some(Secret::new(decode(password, "the password")?)),
            None => None,
        };
        if number == 1 {
            (self.user, self.password) = (user, password);
        } else if (&self.user, &self.password) != (&user, &password) {
            return Err(invalid_host(
                "its credentials differ from those of host 1: repeat the same credentials, or give \
                 only host 1 any",
            ));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(BrokerUrlVisitor)
    }
}

/// Parses a URL inside the deserializer, so that the deserializer adds the option's name to an error.
struct BrokerUrlVisitor;

impl Visitor<'_> for BrokerUrlVisitor {
    type Value = BrokerUrl;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<BrokerUrl, E> {
        text.parse().map_err(E::custom)
    }
}

/// Leaves out the password and the parameters.
impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerUrl")
            .field("tls", &self.tls)
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Decodes percent-encoded `text`. Errors call it `part` and do not repeat it.
fn decode(text: &str, part: &str) -> Result<String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(invalid(format!("{part} is not valid UTF-8 after percent-decoding"))),
    }
}

/// Creates the error of an invalid URL or option.
pub(crate) fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, text.into())
}

/// The characters of a part of a URL that [`BrokerUrl::to_text`] percent-encodes.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The advice for a URL whose parts cannot be told apart.
const ENCODE: &str =
    "percent-encode `,` `/` `?` `#` `@` `:` `%` and `[` in the user name and the password";

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a URL that must be valid.
    fn parse(text: &str) -> BrokerUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Returns the hosts of a URL as text.
    fn hosts(text: &str) -> Vec<String> {
        parse(text).hosts.iter().map(ToString::to_string).collect()
    }

    /// Names, IPv4 and IPv6 addresses are hosts, and the scheme decides the default port.
    #[test]
    fn hosts_are_names_and_addresses() {
        assert_eq!(hosts("amqp://broker"), ["broker:5672"]);
        assert_eq!(hosts("amqps://broker"), ["broker:5671"]);
        assert_eq!(hosts("amqp://u:p@127.0.0.1:1/%2F"), ["127.0.0.1:1"]);
        // A client library that accepts only names connects to localhost here, with the password.
        assert_eq!(hosts("amqp://u:p@[2001:db8::1]:5673/v"), ["[2001:db8::1]:5673"]);
        assert_eq!(hosts("amqp://[::1]"), ["[::1]:5672"]);
        assert_eq!(hosts("amqp://u:p@a:1,b,[::1]:3/v"), ["a:1", "b:5672", "[::1]:3"]);
        assert_eq!(hosts("amqp://u:p@a,u:p@b/v"), ["a:5672", "b:5672"]);
        assert!(parse("amqp://localhost,127.0.0.2,[::1]").hosts.iter().all(Host::is_loopback));
        assert!(!parse("amqp://localhost.example.org").hosts[0].is_loopback());
    }

    /// A URL that is written out is read back as the same URL.
    #[test]
    fn to_text_keeps_every_part() {
        for text in [
            "amqp://h",
            "amqps://u:p%2F%40%3A@a:5670,[2001:db8::1],10.0.0.1:7/v%2Fw?heartbeat=5&x=%26",
            "amqp://u@h/vhost%3Aw",
            "amqp://:p@h:1",
            "amqp://%E4%B8%AD:%00%0A%22@h",
        ] {
            let url = parse(text);
            assert_eq!(parse(url.to_text().expose()), url, "{text}");
        }
    }

    /// Credentials, virtual host and parameters are decoded.
    #[test]
    fn percent_encoding_is_decoded() {
        let url = parse("amqps://us%40r:p%2Fw%2C%40%20%C3%A9@h/a%2Fb?heartbeat=5&x=%20y");
        assert!(url.tls);
        assert_eq!(url.user.as_deref(), Some("us@r"));
        assert_eq!(url.password.as_ref().map(Secret::expose), Some("p/w,@ é"));
        assert_eq!(url.path.as_deref(), Some("a/b"));
        assert_eq!(url.query, [("heartbeat".into(), "5".into()), ("x".into(), " y".into())]);
    }

    /// `/` alone names no virtual host; `//` and `/%2f` name the virtual host `/`.
    #[test]
    fn the_path_is_optional() {
        let path = |text: &str| parse(text).path;
        assert_eq!(path("amqp://h"), None);
        assert_eq!(path("amqp://h/"), None);
        assert_eq!(path("amqp://h?x=1"), None);
        assert_eq!(path("amqp://h/%2f").as_deref(), Some("/"));
        // OpenStack and kombu write it this way.
        assert_eq!(path("amqp://h//").as_deref(), Some("/"));
        assert_eq!(path("amqp://h/glance").as_deref(), Some("glance"));
        assert_eq!(path("amqp://h/../x").as_deref(), Some("../x"));
    }

    /// Every error says where the URL is invalid and repeats no part of it.
    #[test]
    fn errors_name_the_place_and_repeat_no_secret() {
        for (text, expected) in [
            ("", "amqp:// or amqps://"),
            ("http://hunter2", "amqp:// or amqps://"),
            ("hunter2:hunter2@h", "amqp:// or amqps://"),
            ("amqp://", "host 1: the host name is missing"),
            ("amqp:///v", "host 1: the host name is missing"),
            ("amqp://u:hunter2@", "host 1: "),
            ("amqp://a,,b", "host 2: the host name is missing"),
            ("amqp://u:hunter2@h:port", "host 1: invalid port number"),
            ("amqp://u:hunter2@h:70000", "host 1: invalid port number"),
            ("amqp://u:hunter2@h:0", "port 0 is invalid"),
            ("amqp://u:hun,ter2@h", "percent-encode"),
            ("amqp://u:hun/ter2@h", "percent-encode"),
            ("amqp://u:hun#ter2@h", "percent-encode"),
            ("amqp://u:hun?ter2@h", "percent-encode"),
            ("amqp://u:hunter2@h/v#x", "percent-encode"),
            ("amqp://u:hunter2@[::1", "host 1: "),
            ("amqp://u:hunter2@::1", "host 1: "),
            ("amqp://u:hunter2@h%41", "may contain only letters"),
            ("amqp://u:hunter2@h st", "host 1: "),
            ("amqp://u:hunter2@a,u:other@b", "host 2: its credentials differ"),
            ("amqp://u:hunter2%ff@h", "the password is not valid UTF-8"),
            ("amqp://h/%ff", "the virtual host is not valid UTF-8"),
        ] {
            let error = text.parse::<BrokerUrl>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            assert!(!format!("{error:?}").contains("ter2"), "{error:?}");
        }
        assert!(!format!("{:?}", parse("amqp://u:hunter2@h")).contains("hunter2"));
    }
}
