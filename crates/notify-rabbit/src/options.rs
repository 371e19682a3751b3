//! The options of the table `[rabbit]`, and the rules that combine them into a [`Config`].
//!
//! This module opens no file and no connection.

use std::time::Duration;

use notify_core::Result;
use notify_core::codec::Envelope;
use notify_core::config::{DriverOptions, Seconds};
use notify_net::{Endpoint, EndpointOptions, Host, SaslMechanism, endpoint_table};

use crate::config::{Config, DeclareMode, MismatchPolicy, QueueType, guest, invalid};

impl Config {
    /// Creates a configuration from the table `[rabbit]`.
    ///
    /// # Options
    ///
    /// Every option with its default. The fields of [`Config`] describe them.
    ///
    /// ```toml
    /// [rabbit]
    /// # url = "amqp://user:password@host1:5672,host2:5672/virtual%2Fhost?heartbeat=10"
    /// # Without a URL:
    /// host = "localhost"
    /// port = 5672
    /// user = "guest"          # Only for a broker on this machine.
    /// password = "guest"      # Or `password_file`. Only for a broker on this machine.
    /// virtual_host = "/"
    /// # With a URL that begins with amqps://:
    /// # ca_file, cert_file, key_file
    /// sasl_mechanism = "PLAIN" # Or "ANONYMOUS" or "EXTERNAL".
    ///
    /// exchange = "glance"
    /// topic = "notifications"
    /// durable = true
    /// queue_type = "classic"  # Or "quorum".
    /// declare = "yes"         # Or "verify" or "no".
    /// on_mismatch = "adopt"   # Or "refuse".
    /// envelope = "bare"       # Or "oslo-2.0", "cloudevents" or "cloudevents-binary".
    ///
    /// window = 1024           # Messages.
    /// connect_timeout = 10    # Seconds, also fractions.
    /// confirm_timeout = 30    # Seconds, also fractions.
    /// heartbeat = 10          # Whole seconds.
    /// refuse_unroutable_after = 60 # Seconds, also fractions.
    /// backlog_warning = 10000 # Messages. 0 disables the check.
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) for an unknown option, an invalid value,
    /// or options that contradict each other.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::config::DriverOptions;
    /// use notify_rabbit::Config;
    ///
    /// let table = serde_json::json!({
    ///     "url": "amqp://glance:hunter2@rabbit1,rabbit2/openstack",
    ///     "durable": false,
    /// });
    /// let options = DriverOptions::new("rabbit", table.as_object().unwrap().clone());
    /// let config = Config::from_options(options)?;
    /// assert_eq!(config.endpoint.hosts.len(), 2);
    /// assert_eq!(config.endpoint.virtual_host.as_deref(), Some("openstack"));
    ///
    /// let table = serde_json::json!({ "host": "rabbit1" });
    /// let options = DriverOptions::new("rabbit", table.as_object().unwrap().clone());
    /// let error = Config::from_options(options).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "no user: set `rabbit.user`, or name the user in `rabbit.url`"
    /// );
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn from_options(options: DriverOptions) -> Result<Self> {
        let name = options.prefix().to_owned();
        let mut table: RabbitTable = options.parse()?;
        let seconds = |value: Option<Seconds>, default| value.map_or(default, Duration::from);
        let default = Self::default();
        let config = Self {
            endpoint: login_default(table.take_endpoint(), &name)?,
            exchange: table.exchange.unwrap_or(default.exchange),
            topic: table.topic.unwrap_or(default.topic),
            durable: table.durable.unwrap_or(default.durable),
            queue_type: table.queue_type.unwrap_or_default(),
            declare: table.declare.unwrap_or_default(),
            on_mismatch: table.on_mismatch.unwrap_or_default(),
            envelope: table.envelope.unwrap_or_default(),
            window: table.window.unwrap_or(default.window),
            refuse_unroutable_after: seconds(
                table.refuse_unroutable_after,
                default.refuse_unroutable_after,
            ),
            confirm_timeout: seconds(table.confirm_timeout, default.confirm_timeout),
            backlog_warning: table.backlog_warning.unwrap_or(default.backlog_warning),
        };
        config.check(&name)?;
        Ok(config)
    }
}

/// Combines the options of the login. Without a user, a certificate and a mechanism it is the default
/// user of a broker on this machine. Errors call the options `table.url` and so on.
pub(crate) fn login_default(options: EndpointOptions, table: &str) -> Result<Endpoint> {
    let is_configured = options.sasl_mechanism.is_some();
    let endpoint = options.resolve(table)?;
    if is_configured || endpoint.sasl_mechanism != [SaslMechanism::Anonymous] {
        return Ok(endpoint);
    }
    if !endpoint.hosts.iter().all(Host::is_loopback) {
        let message = format!("no user: set `{table}.user`, or name the user in `{table}.url`");
        return Err(invalid(message));
    }
    Ok(guest(endpoint))
}

endpoint_table! {
    /// The table `[rabbit]`: one field for each key, as you write it in a file. `None` leaves the default.
    ///
    /// Use it for a configuration that your program builds. [`Config`] documents the options. `Serialize` omits
    /// `url` and `password`, which are secrets; [`into_values`](Self::into_values) contains them.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_rabbit::{QueueType, RabbitTable};
    ///
    /// let mut table = RabbitTable::default();
    /// table.url = Some("amqp://glance:hunter2@rabbit1.example.org".parse()?);
    /// table.queue_type = Some(QueueType::Quorum);
    /// assert!(!format!("{table:?}").contains("hunter2"));
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub struct RabbitTable {
        /// The exchange.
        pub exchange: Option<String>,
        /// The first part of the queues' names.
        pub topic: Option<String>,
        /// Whether exchange and queues survive a restart of the broker.
        pub durable: Option<bool>,
        /// The type of queues that the transport declares.
        pub queue_type: Option<QueueType>,
        /// Whether the transport declares exchange and queues.
        pub declare: Option<DeclareMode>,
        /// The policy for an exchange or queue that exists with other properties.
        pub on_mismatch: Option<MismatchPolicy>,
        /// The envelope of a notification.
        pub envelope: Option<Envelope>,
        /// The most unconfirmed messages.
        pub window: Option<usize>,
        /// The longest time without a confirm while messages are unconfirmed.
        pub confirm_timeout: Option<Seconds>,
        /// The time for which a message may be unroutable before the transport refuses it.
        pub refuse_unroutable_after: Option<Seconds>,
        /// The messages in a queue without a consumer above which the transport warns; 0 disables the warning.
        pub backlog_warning: Option<u32>,
    }
}

#[cfg(test)]
mod tests {
    use notify_conformance::options::{assert_rejected, options_of};
    use notify_net::{Password, Secret};
    use serde_json::{Value, json};

    use super::*;

    /// Parses a table whose values come from the file `a.toml`.
    fn read(table: Value) -> Result<Config> {
        Config::from_options(options_of("rabbit", table))
    }

    /// Returns the hosts as text.
    fn hosts(config: &Config) -> Vec<String> {
        config.endpoint.hosts.iter().map(ToString::to_string).collect()
    }

    /// An empty table means the broker on this machine with its default user.
    #[test]
    fn the_default_is_a_broker_on_this_machine() {
        assert_eq!(read(json!({})).unwrap(), Config::default());
    }

    /// A URL alone can configure hosts, credentials, virtual host and heartbeat.
    #[test]
    fn a_url_configures_the_whole_endpoint() {
        let config = read(json!({ "url": "amqp://u:p%2F@a,[::1]:7/v%2Fw?heartbeat=5" })).unwrap();
        assert_eq!(hosts(&config), ["a:5672", "[::1]:7"]);
        let Endpoint { user, password, virtual_host, heartbeat, .. } = config.endpoint;
        assert_eq!(user.as_deref(), Some("u"));
        assert_eq!(password, Some(Password::Inline(Secret::new("p/"))));
        assert_eq!(virtual_host.as_deref(), Some("v/w"));
        assert_eq!(heartbeat, 5);
    }

    /// Separate options can replace the parts of a URL.
    #[test]
    fn separate_options_replace_the_url() {
        let config = read(json!({
            "host": "2001:db8::1", "port": 1, "user": "u", "password_file": "/p", "virtual_host": "v",
        }))
        .unwrap();
        assert_eq!(hosts(&config), ["[2001:db8::1]:1"]);
        assert_eq!(config.endpoint.password, Some(Password::File("/p".into())));
        let mixed =
            read(json!({ "url": "amqp://a", "user": "u", "password": "p", "virtual_host": "v" }));
        assert_eq!(mixed.unwrap().virtual_host(), "v");
    }

    /// The errors of one of several destinations name its table.
    #[test]
    fn errors_name_the_table_of_the_destination() {
        let cases = [
            (json!({ "host": "a", "user": "u" }), "set `destination[1].rabbit.password`"),
            (json!({ "host": "a" }), "no user: set `destination[1].rabbit.user`"),
            (json!({ "exchange": "" }), "`destination[1].rabbit.exchange`: expected"),
        ];
        assert_rejected(cases, |table| {
            Config::from_options(options_of("destination[1].rabbit", table))
        });
    }

    /// Each invalid or contradictory option has a message that names it and shows no password.
    #[test]
    fn invalid_options_are_named() {
        let long = "x".repeat(256);
        let cases = [
            (json!({ "uri": "amqp://a" }), "`rabbit.uri` (a.toml): unknown option"),
            (
                json!({ "url": "http://hunter2@a" }),
                "`rabbit.url` (a.toml): expected a URL that begins with amqp",
            ),
            (json!({ "url": "amqp://u:p@a", "user": "v" }), "remove `rabbit.user`"),
            (json!({ "url": "amqp://u:hunter2@a", "password": "hunter2" }), "configured twice"),
            (json!({ "url": "amqp://u:p@a?x=1" }), "unknown parameter `x` in `rabbit.url`"),
            (
                json!({ "url": "amqp://u:p@a?heartbeat=x" }),
                "expected a number of seconds for `heartbeat`",
            ),
            (json!({ "url": "amqp://a" }), "no user: set `rabbit.user`"),
            (json!({ "host": "a" }), "no user: set `rabbit.user`"),
            (json!({ "host": "a", "user": "u" }), "no password: set `rabbit.password`"),
            (json!({ "sasl_mechanism": "EXTERNAL" }), "needs TLS with `rabbit.cert_file`"),
            (json!({ "sasl_mechanism": ["PLAIN", "EXTERNAL"] }), "needs `rabbit.user`"),
            (
                json!({ "user": "u", "password": "p", "sasl_mechanism": ["PLAIN", "ANONYMOUS"] }),
                "expected one mechanism",
            ),
            (
                json!({ "user": "u", "password": "p", "sasl_mechanism": "EXTERNAL" }),
                "remove the user and the password",
            ),
            (json!({ "exchange": "" }), "`rabbit.exchange`: expected 1 to 255 bytes"),
            (json!({ "exchange": long }), "`rabbit.exchange`"),
            (json!({ "virtual_host": long }), "`rabbit.virtual_host`"),
            (json!({ "topic": long[..250] }), "`rabbit.topic`: expected 1 to 246 bytes"),
            (
                json!({ "queue_type": "quorum", "durable": false }),
                "quorum queues are always durable",
            ),
            (json!({ "queue_type": "stream" }), "`rabbit.queue_type` (a.toml)"),
            (json!({ "window": 0 }), "`rabbit.window`"),
            (json!({ "heartbeat": 0 }), "`rabbit.heartbeat`"),
            (json!({ "port": 70_000 }), "`rabbit.port` (a.toml)"),
            (json!({ "confirm_timeout": 0 }), "`rabbit.confirm_timeout` (a.toml)"),
        ];
        assert_rejected(cases, read);
    }
}
