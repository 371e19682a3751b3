//! The keys of the table `[qpid]`, and their conversion into a [`Config`].
//!
//! The keys that `[rabbit]` has too have the same names and the same meanings.
//!
//! This module reads no files and contacts no broker. A password that it reads stays inside a
//! [`Secret`](crate::Secret), which nothing can print.

use std::time::Duration;

use notify_core::Result;
use notify_core::codec::Envelope;
use notify_core::config::{DriverOptions, Seconds};
use notify_net::endpoint_table;

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
        let name = options.prefix().to_owned();
        let mut table: QpidTable = options.parse()?;
        let endpoint = table.take_endpoint().resolve(&name)?;
        let default = Self::default();
        let or = |seconds: Option<Seconds>, default| seconds.map_or(default, Duration::from);
        let config = Self {
            endpoint,
            node: table.node.unwrap_or_default(),
            dialect: table.dialect.unwrap_or_default(),
            address: table.address,
            exchange: table.exchange.unwrap_or(default.exchange),
            topic: table.topic.unwrap_or(default.topic),
            envelope: table.envelope.unwrap_or_default(),
            window: table.window.unwrap_or(default.window),
            confirm_timeout: or(table.confirm_timeout, default.confirm_timeout),
            refuse_unroutable_after: or(
                table.refuse_unroutable_after,
                default.refuse_unroutable_after,
            ),
        };
        config.check(&name)?;
        Ok(config)
    }
}

endpoint_table! {
    /// The table `[qpid]`: one field for each key, as you write it in a file. `None` leaves the default.
    ///
    /// A program that has no configuration file fills in the fields and passes on
    /// [`into_values`](Self::into_values), which contains `url` and `password`; `Serialize` omits them.
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
    pub struct QpidTable {
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
        /// The envelope of a notification.
        pub envelope: Option<Envelope>,
        /// The most unsettled messages of one address.
        pub window: Option<usize>,
        /// The longest time without an outcome while messages are unsettled.
        pub confirm_timeout: Option<Seconds>,
        /// The time for which the broker may reject a message before the transport refuses it.
        pub refuse_unroutable_after: Option<Seconds>,
    }
}

#[cfg(test)]
mod tests {
    use notify_conformance::options::{assert_rejected, options_of};
    use notify_net::{Password, SaslMechanism, Secret};
    use serde_json::{Value, json};

    use super::*;

    /// Reads a table whose keys all come from `a.toml`.
    fn read(table: Value) -> Result<Config> {
        Config::from_options(options_of("qpid", table))
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
            ("artemis", Dialect::Artemis),
            ("plain", Dialect::Plain),
        ] {
            assert_eq!(read(json!({ "dialect": word })).unwrap().dialect, dialect);
        }
    }

    /// The errors of one of several destinations name its table.
    #[test]
    fn errors_name_the_table_of_the_destination() {
        let cases = [
            (json!({ "user": "u" }), "set `destination[1].qpid.password`"),
            (json!({ "topic": "" }), "`destination[1].qpid.topic`: expected"),
            (
                json!({ "url": "amqp://u:p@a", "user": "v" }),
                "`destination[1].qpid.url` already names the user",
            ),
        ];
        assert_rejected(cases, |table| {
            Config::from_options(options_of("destination[1].qpid", table))
        });
    }

    /// Each invalid or contradictory table gives an error that names the key to change. No error and
    /// no `Debug` shows a password.
    #[test]
    fn rejects_invalid_and_contradictory_keys() {
        let long = "x".repeat(241);
        let cases = [
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
            (json!({ "dialect": "amqp" }), "`qpid.dialect` (a.toml)"),
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
        ];
        assert_rejected(cases, read);
    }
}
