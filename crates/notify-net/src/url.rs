//! The URL of a broker: scheme, one or several hosts, credentials, virtual host, parameters.
//!
//! Errors name what is wrong by its place and never repeat the text: any part of a mistyped URL may
//! be the password.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use notify_core::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::Secret;

/// `amqp://user:password@host:port,host:port/virtual%2Fhost?parameter=value`, taken apart.
///
/// `amqps` asks for TLS. A host is a name, an IPv4 address or an IPv6 address in brackets; where no
/// port is given it is 5672, with TLS 5671. Credentials may stand before the first host or, as in
/// OpenStack's `transport_url`, the same before each.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Whether the scheme is `amqps`.
    pub tls: bool,
    /// Whom to ask; never empty.
    pub hosts: Vec<Host>,
    /// The user's name, decoded.
    pub user: Option<String>,
    /// The user's password, decoded.
    pub password: Option<Secret>,
    /// What stands behind the first slash, decoded; `None` where nothing does.
    pub path: Option<String>,
    /// The parameters, decoded, in order.
    pub query: Vec<(String, String)>,
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// A name or an address; an IPv6 address without brackets.
    pub name: String,
    /// The TCP port.
    pub port: u16,
}

impl Host {
    /// The port of AMQP, without and with TLS.
    fn default_port(tls: bool) -> u16 {
        if tls { 5671 } else { 5672 }
    }

    /// Whether the name means this machine whatever the network says.
    pub fn is_loopback(&self) -> bool {
        let address = self.name.parse::<std::net::IpAddr>();
        self.name == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

/// The broker on this machine.
impl Default for Host {
    fn default() -> Self {
        Self { name: "localhost".into(), port: Self::default_port(false) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "[{address}]:{}", self.port),
            Err(_) => {
                write!(f, "{}:{}", notify_core::redact::printable(&self.name, 255), self.port)
            }
        }
    }
}

impl FromStr for BrokerUrl {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::Config`], in words that follow the name of an option: "names no host".
    fn from_str(text: &str) -> Result<Self> {
        let tls = match text.split_once("://") {
            Some(("amqp", _)) => false,
            Some(("amqps", _)) => true,
            _ => return Err(invalid("a URL that begins with amqp:// or amqps:// is expected")),
        };
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        // Behind an unencoded slash in a password the rest of the credentials would be taken for the
        // virtual host, and shown.
        if tail.contains(['@', '#']) {
            return Err(invalid(format!("`@` or `#` stands behind the hosts: {ENCODE}")));
        }

        let mut url = Self::new(tls, Vec::new());
        for (index, piece) in authority.split(',').enumerate() {
            url.add_host(index + 1, piece)?;
        }
        // The scheme is none that the crate treats specially, so the host does not matter.
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
    pub(crate) fn new(tls: bool, hosts: Vec<Host>) -> Self {
        Self { tls, hosts, user: None, password: None, path: None, query: Vec::new() }
    }

    fn add_host(&mut self, number: usize, piece: &str) -> Result<()> {
        let wrong_host = |what: &str| invalid(format!("host {number}: {what}"));
        let url = ::url::Url::parse(&format!("amqp://{piece}/"))
            .map_err(|error| wrong_host(&format!("{error}; {ENCODE}")))?;
        let name = match url.host() {
            Some(::url::Host::Ipv6(address)) => address.to_string(),
            Some(::url::Host::Domain(name)) if is_host_name(name) => name.to_owned(),
            Some(::url::Host::Ipv4(address)) => address.to_string(),
            None | Some(::url::Host::Domain("")) => return Err(wrong_host("the name is missing")),
            Some(::url::Host::Domain(_)) => {
                return Err(wrong_host("letters, digits, `.`, `-` and `_` make a name"));
            }
        };
        let port = url.port().unwrap_or_else(|| Host::default_port(self.tls));
        if port == 0 {
            return Err(wrong_host("port 0 cannot be connected to"));
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
            return Err(wrong_host("the same credentials as at host 1, or none, are expected"));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for BrokerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(UrlVisitor)
    }
}

/// Parses within the deserializer, which then knows the place of what is wrong.
struct UrlVisitor;

impl Visitor<'_> for UrlVisitor {
    type Value = BrokerUrl;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<BrokerUrl, E> {
        text.parse().map_err(E::custom)
    }
}

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

/// Names of hosts in DNS, and the underscore that container networks use.
pub(crate) fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn decode(text: &str, what: &str) -> Result<String> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(invalid(format!("{what} is not UTF-8 once it is decoded"))),
    }
}

pub(crate) fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, what.into())
}

const ENCODE: &str =
    "in a user name or password, `,` `/` `?` `#` `@` `:` `%` and `[` are written percent-encoded";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> BrokerUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn hosts(text: &str) -> Vec<String> {
        parse(text).hosts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hosts_are_names_and_addresses() {
        assert_eq!(hosts("amqp://broker"), ["broker:5672"]);
        assert_eq!(hosts("amqps://broker"), ["broker:5671"]);
        assert_eq!(hosts("amqp://u:p@127.0.0.1:1/%2F"), ["127.0.0.1:1"]);
        // A client library that takes only names connects to localhost here, with the password.
        assert_eq!(hosts("amqp://u:p@[2001:db8::1]:5673/v"), ["[2001:db8::1]:5673"]);
        assert_eq!(hosts("amqp://[::1]"), ["[::1]:5672"]);
        assert_eq!(hosts("amqp://u:p@a:1,b,[::1]:3/v"), ["a:1", "b:5672", "[::1]:3"]);
        assert_eq!(hosts("amqp://u:p@a,u:p@b/v"), ["a:5672", "b:5672"]);
        assert!(parse("amqp://localhost,127.0.0.2,[::1]").hosts.iter().all(Host::is_loopback));
        assert!(!parse("amqp://localhost.example.org").hosts[0].is_loopback());
    }

    #[test]
    fn the_rest_is_decoded() {
        let url = parse("amqps://us%40r:p%2Fw%2C%40%20%C3%A9@h/a%2Fb?heartbeat=5&x=%20y");
        assert!(url.tls);
        assert_eq!(url.user.as_deref(), Some("us@r"));
        assert_eq!(url.password.as_ref().map(Secret::expose), Some("p/w,@ é"));
        assert_eq!(url.path.as_deref(), Some("a/b"));
        assert_eq!(url.query, [("heartbeat".into(), "5".into()), ("x".into(), " y".into())]);
    }

    #[test]
    fn the_path_may_be_left_out() {
        let path = |text: &str| parse(text).path;
        assert_eq!(path("amqp://h"), None);
        assert_eq!(path("amqp://h/"), None);
        assert_eq!(path("amqp://h?x=1"), None);
        assert_eq!(path("amqp://h/%2f").as_deref(), Some("/"));
        // OpenStack's and kombu's way to write it.
        assert_eq!(path("amqp://h//").as_deref(), Some("/"));
        assert_eq!(path("amqp://h/glance").as_deref(), Some("glance"));
        assert_eq!(path("amqp://h/../x").as_deref(), Some("../x"));
    }

    #[test]
    fn what_is_wrong_is_named_and_not_repeated() {
        for (text, said) in [
            ("", "amqp:// or amqps://"),
            ("http://hunter2", "amqp:// or amqps://"),
            ("hunter2:hunter2@h", "amqp:// or amqps://"),
            ("amqp://", "host 1: the name is missing"),
            ("amqp:///v", "host 1: the name is missing"),
            ("amqp://u:hunter2@", "host 1: "),
            ("amqp://a,,b", "host 2: the name is missing"),
            ("amqp://u:hunter2@h:port", "host 1: invalid port number"),
            ("amqp://u:hunter2@h:70000", "host 1: invalid port number"),
            ("amqp://u:hunter2@h:0", "port 0"),
            ("amqp://u:hun,ter2@h", "percent-encoded"),
            ("amqp://u:hun/ter2@h", "percent-encoded"),
            ("amqp://u:hun#ter2@h", "percent-encoded"),
            ("amqp://u:hun?ter2@h", "percent-encoded"),
            ("amqp://u:hunter2@h/v#x", "percent-encoded"),
            ("amqp://u:hunter2@[::1", "host 1: "),
            ("amqp://u:hunter2@::1", "host 1: "),
            ("amqp://u:hunter2@h%41", "make a name"),
            ("amqp://u:hunter2@h st", "host 1: "),
            ("amqp://u:hunter2@a,u:other@b", "host 2: the same credentials"),
            ("amqp://u:hunter2%ff@h", "the password is not UTF-8"),
            ("amqp://h/%ff", "the virtual host is not UTF-8"),
        ] {
            let error = text.parse::<BrokerUrl>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(said), "{text}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            assert!(!format!("{error:?}").contains("ter2"), "{error:?}");
        }
        assert!(!format!("{:?}", parse("amqp://u:hunter2@h")).contains("hunter2"));
    }
}
