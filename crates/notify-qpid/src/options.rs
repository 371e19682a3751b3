//! The keys of the table `[qpid]`, and their conversion into a [`Config`].
//!
//! The keys that `[rabbit]` has too have the same names and the same meanings.
//!
//! This module reads no files and contacts no broker. A password that it reads stays inside a
//! [`Secret`], which nothing can print.

use std::path::PathBuf;

use notify_core::Result;
use notify_core::codec::serde_json::{Map, Value};
use notify_core::config::{DriverOptions, Seconds};
use notify_net::{
    BrokerUrl, EndpointOptions, Envelope, SaslMechanismList, Secret, TlsFiles, broker_table_values,
};
use serde::{Deserialize, Serialize};

use crate::config::{Config, Dialect, Node};
use crate::template::Template;

impl Config {
    /// Reads the table `[qpid]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) for an unknown key, an invalid value, and
    /// keys that contradict each other. The message names the key and the place where you set it. It
    /// never shows the value of a key that may hold a password.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::config::DriverOptions;
    /// use notify_qpid::{Config, SaslMechanism};
    ///
    /// let table = serde_json::json!({
    ///     "url": "amqp://glance:secret@broker1.example.org,broker2.example.org",
    ///     "confirm_timeout": 60,
    /// });
    /// let options = DriverOptions::new("qpid", table.as_object().unwrap().clone());
    /// let config = Config::from_options(options)?;
    /// assert_eq!(config.endpoint.hosts.len(), 2);
    /// assert_eq!(config.endpoint.user.as_deref(), Some("glance"));
    /// assert_eq!(config.endpoint.sasl_mechanism, [SaslMechanism::Plain]);
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn from_options(options: DriverOptions) -> Result<Self> {
        let table: QpidTable = options.parse()?;
        let endpoint = EndpointOptions {
            url: table.url,
            host: table.host,
            port: table.port,
            user: table.user,
            password: table.password,
            password_file: table.password_file,
            virtual_host: table.virtual_host,
            tls: TlsFiles {
                ca_file: table.ca_file,
                cert_file: table.cert_file,
                key_file: table.key_file,
            },
            sasl_mechanism: table.sasl_mechanism,
            connect_timeout: table.connect_timeout,
            heartbeat: table.heartbeat,
        };
        let default = Self::default();
        let config = Self {
            endpoint: endpoint.resolve("qpid")?,
            node: table.node.unwrap_or_default(),
            dialect: table.dialect.unwrap_or_default(),
            address: table.address,
            exchange: table.exchange.unwrap_or(default.exchange),
            topic: table.topic.unwrap_or(default.topic),
            envelope: table.envelope.unwrap_or_default(),
            window: table.window.unwrap_or(default.window),
            confirm_timeout: table.confirm_timeout.map_or(default.confirm_timeout, Into::into),
            refuse_unroutable_after: table
                .refuse_unroutable_after
                .map_or(default.refuse_unroutable_after, Into::into),
        };
        config.check()?;
        Ok(config)
    }
}

/// The table `[qpid]`: one field for each key, as you write it in a file. `None` leaves the default.
///
/// Use it for a configuration that your program builds. [`Config`] documents the options. `Serialize` omits
/// `url` and `password`, which are secrets; [`into_values`](Self::into_values) contains them.
///
/// # Examples
///
/// ```
/// use notify_qpid::{Node, QpidTable};
///
/// let mut table = QpidTable::default();
/// table.url = Some("amqp://glance:hunter2@broker1.example.org".parse()?);
/// table.node = Some(Node::Topic);
/// assert!(!format!("{table:?}").contains("hunter2"));
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct QpidTable {
    /// Hosts, credentials, virtual host and TLS in one.
    #[serde(skip_serializing)]
    pub url: Option<BrokerUrl>,
    /// One host, instead of a URL.
    pub host: Option<String>,
    /// The port of `host`.
    pub port: Option<u16>,
    /// The user, unless the URL names one.
    pub user: Option<String>,
    /// The password, unless the URL or `password_file` holds one.
    #[serde(skip_serializing)]
    pub password: Option<Secret>,
    /// The file that holds the password. Every connect reads it anew.
    pub password_file: Option<PathBuf>,
    /// The virtual host, unless the URL names one.
    pub virtual_host: Option<String>,
    /// The authorities to trust, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The client certificate and its chain, as PEM.
    pub cert_file: Option<PathBuf>,
    /// The key of the client certificate, as PEM.
    pub key_file: Option<PathBuf>,
    /// The mechanisms of the login, the best first.
    pub sasl_mechanism: Option<SaslMechanismList>,
    /// The kind of node: a queue for each priority, or one exchange.
    pub node: Option<Node>,
    /// The form of the addresses.
    pub dialect: Option<Dialect>,
    /// The template of the target address.
    pub address: Option<Template>,
    /// The exchange behind `node = "topic"`.
    pub exchange: Option<String>,
    /// The first part of queues and subjects.
    pub topic: Option<String>,
    /// The JSON around a notification.
    pub envelope: Option<Envelope>,
    /// The most unsettled messages of one address.
    pub window: Option<usize>,
    /// The longest connect, for all hosts together.
    pub connect_timeout: Option<Seconds>,
    /// The longest time without an outcome while messages are unsettled.
    pub confirm_timeout: Option<Seconds>,
    /// The time for which the broker may reject a message before the transport refuses it.
    pub refuse_unroutable_after: Option<Seconds>,
    /// The interval of heartbeats, in whole seconds.
    pub heartbeat: Option<u16>,
}

impl QpidTable {
    /// Returns the values of the table in the form of a configuration, with the secrets.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) for a path that is not UTF-8.
    pub fn into_values(self) -> Result<Map<String, Value>> {
        broker_table_values(&self, self.url.as_ref(), self.password.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use notify_core::ErrorKind;
    use notify_core::config::Origin;
    use notify_net::{Password, SaslMechanism};
    use serde_json::json;

    use super::*;

    /// Reads a table whose keys all come from `a.toml`.
    fn read(table: Value) -> Result<Config> {
        let Value::Object(table) = table else { panic!("not a table") };
        let origins = table
            .keys()
            .map(|key| (key.clone(), Origin { place: "a.toml".into(), raw: None }))
            .collect();
        Config::from_options(DriverOptions::new("qpid", table).with_origins(origins))
    }

    /// Returns the hosts as text.
    fn hosts(config: &Config) -> Vec<String> {
        config.endpoint.hosts.iter().map(ToString::to_string).collect()
    }

    /// Without any key, the transport connects to a broker on this machine.
    #[test]
    fn an_empty_table_gives_the_default_configuration() {
        assert_eq!(read(json!({})).unwrap(), Config::default());
    }

    /// One URL can hold hosts, user, password and virtual host, percent-encoded.
    #[test]
    fn reads_a_complete_url() {
        let config = read(json!({ "url": "amqp://u:p%2F@a,[::1]:7/vhost:w" })).unwrap();
        assert_eq!(hosts(&config), ["a:5672", "[::1]:7"]);
        assert_eq!(config.endpoint.user.as_deref(), Some("u"));
        assert_eq!(config.endpoint.password, Some(Password::Inline(Secret::new("p/"))));
        assert_eq!(config.endpoint.virtual_host.as_deref(), Some("vhost:w"));
        assert_eq!(config.endpoint.sasl_mechanism, [SaslMechanism::Plain]);
    }

    /// Keys can replace the URL, and addresses of IPv6 need no brackets there.
    #[test]
    fn reads_separate_keys() {
        let config = read(json!({
            "host": "2001:db8::1", "port": 1, "user": "u", "password_file": "/p",
            "virtual_host": "v", "sasl_mechanism": ["PLAIN", "ANONYMOUS"],
        }))
        .unwrap();
        assert_eq!(hosts(&config), ["[2001:db8::1]:1"]);
        assert_eq!(config.endpoint.password, Some(Password::File("/p".into())));
        assert_eq!(config.endpoint.virtual_host.as_deref(), Some("v"));
        assert_eq!(
            config.endpoint.sasl_mechanism,
            [SaslMechanism::Plain, SaslMechanism::Anonymous]
        );
    }

    /// `sasl_mechanism = "PLAIN"` means the same as a list of that word.
    #[test]
    fn reads_one_mechanism_or_a_list() {
        let word = read(json!({ "sasl_mechanism": "ANONYMOUS" })).unwrap();
        let list = read(json!({ "sasl_mechanism": ["ANONYMOUS"] })).unwrap();
        assert_eq!(word.endpoint.sasl_mechanism, [SaslMechanism::Anonymous]);
        assert_eq!(word, list);
    }

    /// The words of `docs/brokers.md` select the dialects.
    #[test]
    fn reads_every_dialect() {
        for (word, dialect) in [
            ("auto", Dialect::Auto),
            ("qpidd", Dialect::Qpidd),
            ("rabbitmq-3", Dialect::RabbitMq3),
            ("rabbitmq", Dialect::RabbitMq),
            ("activemq", Dialect::ActiveMq),
            ("active-mq", Dialect::ActiveMq),
            ("plain", Dialect::Plain),
        ] {
            assert_eq!(read(json!({ "dialect": word })).unwrap().dialect, dialect);
        }
    }

    /// Each invalid or contradictory table gives an error that names the key to change. No error and
    /// no `Debug` shows a password.
    #[test]
    fn rejects_invalid_and_contradictory_keys() {
        let long = "x".repeat(241);
        for (table, expected) in [
            (json!({ "uri": "amqp://a" }), "`qpid.uri` (a.toml): unknown option"),
            (
                json!({ "url": "http://hunter2@a" }),
                "`qpid.url` (a.toml): expected a URL that begins with amqp",
            ),
            (json!({ "url": "amqp://u:p@a", "user": "v" }), "remove `qpid.user`"),
            (json!({ "url": "amqp://u:hunter2@a", "password": "hunter2" }), "configured twice"),
            (json!({ "url": "amqp://a?x=5" }), "unknown parameter `x` in `qpid.url`"),
            (json!({ "user": "u" }), "no password: set `qpid.password`"),
            (json!({ "password": "hunter2" }), "no user: set `qpid.user`"),
            (json!({ "sasl_mechanism": ["PLAIN"] }), "needs `qpid.user` and a password"),
            (json!({ "sasl_mechanism": [] }), "expected at least one of PLAIN"),
            (
                json!({ "sasl_mechanism": ["SCRAM"] }),
                "`qpid.sasl_mechanism[0]` (a.toml): unknown value, expected",
            ),
            (
                json!({ "sasl_mechanism": "SCRAM" }),
                "`qpid.sasl_mechanism` (a.toml): unknown value, expected",
            ),
            (
                json!({ "sasl_mechanism": 5 }),
                "`qpid.sasl_mechanism` (a.toml): expected a word or a list of words",
            ),
            (json!({ "sasl_mechanism": ["EXTERNAL"] }), "needs TLS with `qpid.cert_file`"),
            (
                json!({ "user": "u", "password": "p", "sasl_mechanism": ["ANONYMOUS"] }),
                "only PLAIN uses a password",
            ),
            (json!({ "node": "exchange" }), "`qpid.node` (a.toml)"),
            (json!({ "dialect": "artemis" }), "`qpid.dialect` (a.toml)"),
            (
                json!({ "address": "{queue}" }),
                "`qpid.address` (a.toml): unknown placeholder `{queue}`",
            ),
            (json!({ "address": "a{topic" }), "`qpid.address` (a.toml): a `{` has no `}`"),
            (json!({ "address": "" }), "`qpid.address` (a.toml)"),
            (json!({ "exchange": "" }), "`qpid.exchange`: expected 1 to 240 bytes"),
            (json!({ "topic": long }), "`qpid.topic`: expected 1 to 240 bytes"),
            (json!({ "window": 0 }), "`qpid.window`"),
            (json!({ "heartbeat": 0 }), "`qpid.heartbeat`"),
            (json!({ "port": 70_000 }), "`qpid.port` (a.toml)"),
            (json!({ "confirm_timeout": 0 }), "`qpid.confirm_timeout` (a.toml)"),
        ] {
            let error = read(table).expect_err(expected);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    /// A certificate without a user selects EXTERNAL; a user selects PLAIN all the same.
    #[test]
    #[cfg(feature = "tls")]
    fn a_certificate_without_a_user_selects_external() {
        let config = read(json!({ "url": "amqps://a", "cert_file": "/c", "key_file": "/k" }));
        let config = config.unwrap();
        assert_eq!(config.endpoint.sasl_mechanism, [SaslMechanism::External]);
        assert_eq!(config.endpoint.tls.unwrap().cert_file, Some("/c".into()));
        for (table, expected) in [
            (json!({ "url": "amqps://a", "cert_file": "/c" }), "together, or neither"),
            (json!({ "url": "amqps://a", "sasl_mechanism": ["EXTERNAL"] }), "needs TLS with"),
        ] {
            let error = read(table).expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        }
        let config = read(
            json!({ "url": "amqps://u:p@a", "cert_file": "/c", "key_file": "/k", "ca_file": "/ca" }),
        );
        assert_eq!(config.unwrap().endpoint.sasl_mechanism, [SaslMechanism::Plain]);
    }

    /// A configuration can be logged.
    #[test]
    fn debug_shows_no_password() {
        let config = read(json!({ "url": "amqp://u:hunter2@a" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
