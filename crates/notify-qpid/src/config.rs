//! The table `[qpid]`: where the broker is, what is sent to, what is waited for.

use std::path::PathBuf;
use std::time::Duration;

use notify_core::{Error, ErrorKind, Options, Result, Seconds};
use notify_net::{BrokerUrl, HAS_TLS, Host, Password, Secret, TlsFiles};
use serde::Deserialize;

use crate::topology::Template;

/// How notifications reach a broker of AMQP 1.0. [`Config::default`] is one on this machine that
/// takes anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `qpid.url`, or `qpid.host` and `qpid.port`: whom to ask, in shuffled order. Not empty.
    pub hosts: Vec<Host>,
    /// `qpid.username`.
    pub user: Option<String>,
    /// `qpid.password` or `qpid.password_file`.
    pub password: Option<Password>,
    /// `qpid.virtual_host`: the hostname of AMQP's Open. RabbitMQ takes `vhost:NAME`.
    pub virtual_host: Option<String>,
    /// Whether to use TLS (`amqps://`), and with which files (`qpid.ca_file`, `qpid.cert_file`,
    /// `qpid.key_file`).
    pub tls: Option<TlsFiles>,
    /// `qpid.sasl_mechanisms`: how we may log in, the best first. The first that the broker offers
    /// is used.
    pub sasl_mechanisms: Vec<SaslMechanism>,

    /// `qpid.node`: what is sent to.
    pub node: Node,
    /// `qpid.dialect`: whose addresses to use.
    pub dialect: Dialect,
    /// `qpid.address`: the target address, instead of the dialect's.
    pub address: Option<Template>,
    /// `qpid.exchange`, default `glance`.
    pub exchange: String,
    /// `qpid.topic`, default `notifications`: queues and subjects are this and the priority,
    /// `notifications.info`.
    pub topic: String,
    /// `qpid.envelope`: what the body is.
    pub envelope: Envelope,

    /// `qpid.window`, default 256: how many messages of an address are on their way before the first
    /// of them must be settled.
    pub window: usize,
    /// `qpid.connect_timeout`, default 10 s: for all hosts together, and again for each link.
    pub connect_timeout: Duration,
    /// `qpid.settle_timeout`, default 30 s: how long the broker may settle nothing of what it was
    /// sent. Doubled each time up to 5 minutes, for as long as the broker settles nothing at all.
    pub settle_timeout: Duration,
    /// `qpid.heartbeat`, default 10 s, whole seconds: a peer that is silent for as long is gone.
    pub heartbeat: u16,
}

/// How we log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// With user and password.
    #[serde(rename = "PLAIN")]
    Plain,
    /// As nobody.
    #[serde(rename = "ANONYMOUS")]
    Anonymous,
    /// As whom our TLS certificate says.
    #[serde(rename = "EXTERNAL")]
    External,
}

/// What is sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Node {
    /// A queue for each priority: `notifications.info`.
    #[default]
    Queue,
    /// One exchange, `glance`, with the subject `notifications.info`.
    Topic,
}

/// Whose addresses to use. The protocol leaves them to the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// That of the product that the broker says it is.
    #[default]
    Auto,
    /// Apache Qpid's broker in C++.
    Qpidd,
    /// RabbitMQ up to 3.13, with its plugin `rabbitmq_amqp1_0`.
    #[serde(rename = "rabbitmq-3")]
    RabbitMq3,
    /// RabbitMQ from 4.0.
    #[serde(rename = "rabbitmq")]
    RabbitMq,
    /// Apache ActiveMQ Classic.
    ActiveMq,
    /// The names as they are, without capabilities.
    Plain,
}

/// What the body of a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Envelope {
    /// The notification itself.
    #[default]
    #[serde(rename = "bare")]
    Bare,
    /// The notification as a string inside an object with a version, as oslo.messaging's driver
    /// `messagingv2` makes it.
    #[serde(rename = "oslo-2.0")]
    Oslo2,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hosts: vec![Host { name: "localhost".into(), port: Host::default_port(false) }],
            user: None,
            password: None,
            virtual_host: None,
            tls: None,
            sasl_mechanisms: vec![SaslMechanism::Anonymous],
            node: Node::default(),
            dialect: Dialect::default(),
            address: None,
            exchange: "glance".into(),
            topic: "notifications".into(),
            envelope: Envelope::default(),
            window: 256,
            connect_timeout: Duration::from_secs(10),
            settle_timeout: Duration::from_secs(30),
            heartbeat: 10,
        }
    }
}

impl Config {
    /// Reads the table `[qpid]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown key, a wrong value, or values that contradict each other.
    pub fn from_options(options: Options) -> Result<Self> {
        let mut table: Table = options.parse()?;
        let default = Self::default();
        let mut config = Self {
            node: table.node.unwrap_or_default(),
            dialect: table.dialect.unwrap_or_default(),
            address: table.address.take(),
            exchange: table.exchange.take().unwrap_or(default.exchange),
            topic: table.topic.take().unwrap_or(default.topic),
            envelope: table.envelope.unwrap_or_default(),
            window: table.window.unwrap_or(default.window),
            connect_timeout: table.connect_timeout.map_or(default.connect_timeout, Into::into),
            settle_timeout: table.settle_timeout.map_or(default.settle_timeout, Into::into),
            heartbeat: table.heartbeat.unwrap_or(default.heartbeat),
            ..default
        };
        config.set_address(&mut table)?;
        config.set_credentials(table)?;
        config.check()?;
        Ok(config)
    }

    fn set_address(&mut self, table: &mut Table) -> Result<()> {
        let files = TlsFiles {
            ca_file: table.ca_file.take(),
            cert_file: table.cert_file.take(),
            key_file: table.key_file.take(),
        };
        let mut tls = false;
        if let Some(url) = &mut table.url {
            if table.host.is_some() || table.port.is_some() {
                return Err(wrong(
                    "`qpid.url` names the hosts: remove `qpid.host` and `qpid.port`",
                ));
            }
            tls = url.tls;
            self.hosts = std::mem::take(&mut url.hosts);
            if let Some((key, _)) = url.query.first() {
                let key = notify_core::printable(key, 64);
                return Err(wrong(format!(
                    "`qpid.url` has the unknown parameter `{key}`: none is known"
                )));
            }
        } else {
            let name = table.host.take().unwrap_or_else(|| "localhost".into());
            let port = table.port.unwrap_or_else(|| Host::default_port(false));
            self.hosts = vec![Host { name, port }];
        }
        let path = table.url.as_mut().and_then(|url| url.path.take());
        self.virtual_host = match (path, table.virtual_host.take()) {
            (Some(_), Some(_)) => {
                return Err(wrong("`qpid.url` names the virtual host: remove `qpid.virtual_host`"));
            }
            (one, other) => one.or(other),
        };
        if !tls && files != TlsFiles::default() {
            return Err(wrong(
                "`qpid.ca_file`, `qpid.cert_file` and `qpid.key_file` are for TLS: begin \
                 `qpid.url` with amqps://",
            ));
        }
        self.tls = tls.then_some(files);
        Ok(())
    }

    fn set_credentials(&mut self, table: Table) -> Result<()> {
        let (url_user, url_password) =
            table.url.map_or((None, None), |url| (url.user, url.password));
        if url_user.is_some() && table.username.is_some() {
            return Err(wrong("`qpid.url` names the user: remove `qpid.username`"));
        }
        self.password = match (url_password, table.password, table.password_file) {
            (None, None, None) => None,
            (Some(password), None, None) | (None, Some(password), None) => {
                Some(Password::Given(password))
            }
            (None, None, Some(path)) => Some(Password::File(path)),
            _ => {
                return Err(wrong(
                    "the password is given twice: keep one of `qpid.url`, `qpid.password` and \
                     `qpid.password_file`",
                ));
            }
        };
        self.user = url_user.or(table.username);
        self.sasl_mechanisms = match table.sasl_mechanisms {
            Some(mechanisms) => mechanisms,
            None if self.user.is_some() || self.password.is_some() => vec![SaslMechanism::Plain],
            None if self.has_certificate() => vec![SaslMechanism::External],
            None => vec![SaslMechanism::Anonymous],
        };
        Ok(())
    }

    /// What no single key can know.
    pub(crate) fn check(&self) -> Result<()> {
        for (key, text) in [("qpid.exchange", &self.exchange), ("qpid.topic", &self.topic)] {
            if text.is_empty() || text.len() > NAME_BYTES {
                return Err(wrong(format!(
                    "`{key}`: a text of 1 to {NAME_BYTES} bytes is expected"
                )));
            }
        }
        if self.tls.is_some() && !HAS_TLS {
            return Err(wrong(
                "`qpid.url` asks for TLS, which is not compiled in: enable the Cargo feature `tls`",
            ));
        }
        let files = self.tls.as_ref();
        if files.is_some_and(|files| files.cert_file.is_some() != files.key_file.is_some()) {
            return Err(wrong("`qpid.cert_file` and `qpid.key_file` need each other"));
        }
        self.check_mechanisms()?;
        if self.window == 0 || self.window > MOST_WINDOW {
            return Err(wrong(format!(
                "`qpid.window`: a number from 1 to {MOST_WINDOW} is expected"
            )));
        }
        if self.heartbeat == 0 || self.heartbeat > MOST_HEARTBEAT {
            return Err(wrong(format!(
                "`qpid.heartbeat`: a number of seconds from 1 to {MOST_HEARTBEAT} is expected"
            )));
        }
        Ok(())
    }

    fn check_mechanisms(&self) -> Result<()> {
        let may = |mechanism| self.sasl_mechanisms.contains(&mechanism);
        match (&self.user, &self.password) {
            (Some(_), None) => {
                return Err(wrong("`qpid.password` is missing, or `qpid.password_file`"));
            }
            (None, Some(_)) => {
                return Err(wrong("`qpid.username` is missing, or a user in `qpid.url`"));
            }
            (None, None) if may(SaslMechanism::Plain) => {
                return Err(wrong(
                    "`qpid.sasl_mechanisms` with PLAIN needs `qpid.username` and a password",
                ));
            }
            (Some(_), Some(_)) if !may(SaslMechanism::Plain) => {
                return Err(wrong(
                    "a password is for PLAIN only: add it to `qpid.sasl_mechanisms`, or remove \
                     user and password",
                ));
            }
            _ => {}
        }
        if self.sasl_mechanisms.is_empty() {
            return Err(wrong(
                "`qpid.sasl_mechanisms`: at least one of PLAIN, ANONYMOUS and EXTERNAL is expected",
            ));
        }
        if may(SaslMechanism::External) && !self.has_certificate() {
            return Err(wrong(
                "`qpid.sasl_mechanisms` with EXTERNAL needs TLS with `qpid.cert_file` and \
                 `qpid.key_file`",
            ));
        }
        Ok(())
    }

    /// Whether we have a certificate of our own to show.
    pub(crate) fn has_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|files| files.cert_file.is_some())
    }
}

impl SaslMechanism {
    /// Its name in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Anonymous => "ANONYMOUS",
            Self::External => "EXTERNAL",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    url: Option<BrokerUrl>,
    host: Option<String>,
    port: Option<u16>,
    username: Option<String>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
    virtual_host: Option<String>,
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    sasl_mechanisms: Option<Vec<SaslMechanism>>,
    node: Option<Node>,
    dialect: Option<Dialect>,
    address: Option<Template>,
    exchange: Option<String>,
    topic: Option<String>,
    envelope: Option<Envelope>,
    window: Option<usize>,
    connect_timeout: Option<Seconds>,
    settle_timeout: Option<Seconds>,
    heartbeat: Option<u16>,
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, what.into())
}

/// RabbitMQ takes no longer names, and no broker needs them.
const NAME_BYTES: usize = 240;
/// Beyond 256 little is gained, and each is a possible duplicate.
const MOST_WINDOW: usize = 65_536;
/// Longer is no check any more.
const MOST_HEARTBEAT: u16 = 3600;

#[cfg(test)]
mod tests {
    use notify_core::Origin;
    use serde_json::{Value, json};

    use super::*;

    fn read(table: Value) -> Result<Config> {
        let Value::Object(table) = table else { panic!("a table") };
        let origins = table
            .keys()
            .map(|key| (key.clone(), Origin { place: "a.toml".into(), raw: None }))
            .collect();
        Config::from_options(Options::new("qpid", table).with_origins(origins))
    }

    fn hosts(config: &Config) -> Vec<String> {
        config.hosts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_configured_is_a_broker_on_this_machine() {
        assert_eq!(read(json!({})).unwrap(), Config::default());
    }

    #[test]
    fn a_url_says_everything() {
        let config = read(json!({ "url": "amqp://u:p%2F@a,[::1]:7/vhost:w" })).unwrap();
        assert_eq!(hosts(&config), ["a:5672", "[::1]:7"]);
        assert_eq!(config.user.as_deref(), Some("u"));
        assert_eq!(config.password, Some(Password::Given(Secret::new("p/"))));
        assert_eq!(config.virtual_host.as_deref(), Some("vhost:w"));
        assert_eq!(config.sasl_mechanisms, [SaslMechanism::Plain]);
    }

    #[test]
    fn separate_keys_say_the_same() {
        let config = read(json!({
            "host": "2001:db8::1", "port": 1, "username": "u", "password_file": "/p",
            "virtual_host": "v", "sasl_mechanisms": ["PLAIN", "ANONYMOUS"],
        }))
        .unwrap();
        assert_eq!(hosts(&config), ["[2001:db8::1]:1"]);
        assert_eq!(config.password, Some(Password::File("/p".into())));
        assert_eq!(config.virtual_host.as_deref(), Some("v"));
        assert_eq!(config.sasl_mechanisms, [SaslMechanism::Plain, SaslMechanism::Anonymous]);
    }

    #[test]
    fn every_contradiction_is_named() {
        let long = "x".repeat(241);
        for (table, said) in [
            (json!({ "uri": "amqp://a" }), "`qpid.uri` (a.toml): unknown field"),
            (
                json!({ "url": "http://hunter2@a" }),
                "`qpid.url` (a.toml): a URL that begins with amqp",
            ),
            (json!({ "url": "amqp://u:p@a", "host": "b" }), "remove `qpid.host`"),
            (json!({ "url": "amqp://u:p@a/v", "virtual_host": "w" }), "remove `qpid.virtual_host`"),
            (json!({ "url": "amqp://u:p@a", "username": "v" }), "remove `qpid.username`"),
            (json!({ "url": "amqp://u:hunter2@a", "password": "hunter2" }), "given twice"),
            (json!({ "url": "amqp://a?heartbeat=5" }), "the unknown parameter `heartbeat`"),
            (json!({ "username": "u" }), "`qpid.password` is missing"),
            (json!({ "password": "hunter2" }), "`qpid.username` is missing"),
            (json!({ "sasl_mechanisms": ["PLAIN"] }), "needs `qpid.username` and a password"),
            (json!({ "sasl_mechanisms": [] }), "at least one of PLAIN"),
            (json!({ "sasl_mechanisms": ["SCRAM"] }), "`qpid.sasl_mechanisms"),
            (json!({ "sasl_mechanisms": ["EXTERNAL"] }), "needs TLS with `qpid.cert_file`"),
            (
                json!({ "username": "u", "password": "p", "sasl_mechanisms": ["ANONYMOUS"] }),
                "a password is for PLAIN only",
            ),
            (json!({ "ca_file": "/ca" }), "begin `qpid.url` with amqps://"),
            (json!({ "node": "exchange" }), "`qpid.node` (a.toml)"),
            (json!({ "dialect": "artemis" }), "`qpid.dialect` (a.toml)"),
            (
                json!({ "address": "{queue}" }),
                "`qpid.address` (a.toml): unknown placeholder `{queue}`",
            ),
            (json!({ "address": "a{topic" }), "`qpid.address` (a.toml): a `{` without its `}`"),
            (json!({ "address": "" }), "`qpid.address` (a.toml)"),
            (json!({ "exchange": "" }), "`qpid.exchange`: a text of 1 to 240 bytes"),
            (json!({ "topic": long }), "`qpid.topic`: a text of 1 to 240 bytes"),
            (json!({ "window": 0 }), "`qpid.window`"),
            (json!({ "heartbeat": 0 }), "`qpid.heartbeat`"),
            (json!({ "port": 70_000 }), "`qpid.port` (a.toml)"),
            (json!({ "settle_timeout": 0 }), "`qpid.settle_timeout` (a.toml)"),
        ] {
            let error = read(table).expect_err(said);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(said), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn tls_that_is_not_compiled_in_is_said() {
        let error = read(json!({ "url": "amqps://u:p@a" })).unwrap_err();
        assert!(error.to_string().contains("enable the Cargo feature `tls`"), "{error}");
    }

    #[test]
    #[cfg(feature = "tls")]
    fn a_certificate_alone_logs_in() {
        let config = read(json!({ "url": "amqps://a", "cert_file": "/c", "key_file": "/k" }));
        let config = config.unwrap();
        assert_eq!(config.sasl_mechanisms, [SaslMechanism::External]);
        assert_eq!(config.tls.unwrap().cert_file, Some("/c".into()));
        for (table, said) in [
            (json!({ "url": "amqps://a", "cert_file": "/c" }), "need each other"),
            (json!({ "url": "amqps://a", "sasl_mechanisms": ["EXTERNAL"] }), "needs TLS with"),
        ] {
            let error = read(table).expect_err(said);
            assert!(error.to_string().contains(said), "{error}");
        }
        let config = read(
            json!({ "url": "amqps://u:p@a", "cert_file": "/c", "key_file": "/k", "ca_file": "/ca" }),
        );
        assert_eq!(config.unwrap().sasl_mechanisms, [SaslMechanism::Plain]);
    }

    #[test]
    fn the_documentation_names_every_option() {
        let document = include_str!("../../../docs/brokers.md");
        let named = document.lines().filter_map(|line| line.strip_prefix("| `qpid."));
        let mut named: Vec<_> = named.filter_map(|line| line.split('`').next()).collect();
        let error = read(json!({ "nothing": 1 })).unwrap_err().to_string();
        // `…: unknown field: expected "url", "host" or "port"`
        let mut known: Vec<_> = error.split('"').skip(1).step_by(2).collect();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn debug_shows_no_password() {
        let config = read(json!({ "url": "amqp://u:hunter2@a" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
