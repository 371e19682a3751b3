//! The table `[rabbit]`: where the broker is, what is declared there, what is waited for.

use std::path::PathBuf;
use std::time::Duration;

use notify_core::{Error, ErrorKind, Options, Priority, Result, Seconds};
use notify_net::{BrokerUrl, HAS_TLS, Host, Password, Secret, TlsFiles};
use serde::Deserialize;

/// How notifications reach RabbitMQ. [`Config::default`] is a broker on this machine, with its
/// default user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `rabbit.url`, or `rabbit.host` and `rabbit.port`: whom to ask, in shuffled order. Not empty.
    pub hosts: Vec<Host>,
    /// `rabbit.user`.
    pub user: String,
    /// `rabbit.password` or `rabbit.password_file`.
    pub password: Password,
    /// `rabbit.virtual_host`. At most 255 bytes.
    pub virtual_host: String,
    /// Whether to use TLS (`amqps://`), and with which files (`rabbit.ca_file`, `rabbit.cert_file`,
    /// `rabbit.key_file`).
    pub tls: Option<TlsFiles>,
    /// `rabbit.sasl_mechanism`: how we log in.
    pub sasl_mechanism: SaslMechanism,

    /// `rabbit.exchange`, default `glance`. At most 255 bytes.
    pub exchange: String,
    /// `rabbit.topic`, default `notifications`: queues and routing keys are this and the priority,
    /// `notifications.info`. At most 249 bytes.
    pub topic: String,
    /// `rabbit.durable`, default true: whether exchange and queues outlive the broker's restart.
    pub durable: bool,
    /// `rabbit.queue_type`: what queues are created as.
    pub queue_type: QueueType,
    /// `rabbit.declare`: who creates exchange and queues.
    pub declare: Declare,
    /// `rabbit.on_mismatch`: what to do about an exchange or queue that exists otherwise.
    pub on_mismatch: OnMismatch,
    /// `rabbit.envelope`: what the body is.
    pub envelope: Envelope,

    /// `rabbit.window`, default 1024: how many messages are on their way before the first of them
    /// must be confirmed.
    pub window: usize,
    /// `rabbit.connect_timeout`, default 10 s: for all hosts together, and again for the
    /// declarations.
    pub connect_timeout: Duration,
    /// `rabbit.confirm_timeout`, default 30 s: how long the broker may confirm nothing of what it
    /// was sent.
    pub confirm_timeout: Duration,
    /// `rabbit.heartbeat`, default 10 s, whole seconds: a peer that is silent for twice as long is
    /// gone.
    pub heartbeat: u16,
    /// `rabbit.backlog_warning`, default 10 000: how many messages may lie in a queue that nobody
    /// reads. 0 switches the check off.
    pub backlog_warning: u32,
}

/// How we log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// With user and password.
    #[serde(rename = "PLAIN")]
    Plain,
    /// As whom our TLS certificate says (the broker's plugin `rabbitmq_auth_mechanism_ssl`).
    #[serde(rename = "EXTERNAL")]
    External,
}

/// What queues are created as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// On one node.
    #[default]
    Classic,
    /// On a majority of a cluster's nodes, always durable.
    Quorum,
}

/// Who creates exchange and queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Declare {
    /// We do, where they are missing.
    #[default]
    Yes,
    /// Somebody else does; we look whether they are there.
    Verify,
    /// Somebody else does.
    No,
}

/// What to do about an exchange or queue that exists with other properties than configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMismatch {
    /// Use it as it is, and warn once what that costs.
    #[default]
    Adopt,
    /// Deliver nothing until somebody decides.
    Refuse,
}

/// What the body of a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Envelope {
    /// The notification itself, as oslo.messaging's driver `messaging` sends it.
    #[default]
    #[serde(rename = "bare")]
    Bare,
    /// The notification as a string inside an object with a version, as `messagingv2` sends it.
    #[serde(rename = "oslo-2.0")]
    Oslo2,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hosts: vec![Host { name: "localhost".into(), port: Host::default_port(false) }],
            user: GUEST.into(),
            password: Password::Given(Secret::new(GUEST)),
            virtual_host: "/".into(),
            tls: None,
            sasl_mechanism: SaslMechanism::Plain,
            exchange: "glance".into(),
            topic: "notifications".into(),
            durable: true,
            queue_type: QueueType::default(),
            declare: Declare::default(),
            on_mismatch: OnMismatch::default(),
            envelope: Envelope::default(),
            window: 1024,
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(30),
            heartbeat: 10,
            backlog_warning: 10_000,
        }
    }
}

impl Config {
    /// Reads the table `[rabbit]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown key, a wrong value, or values that contradict each other.
    pub fn from_options(options: Options) -> Result<Self> {
        let mut table: Table = options.parse()?;
        let default = Self::default();
        let mut config = Self {
            exchange: table.exchange.take().unwrap_or(default.exchange),
            topic: table.topic.take().unwrap_or(default.topic),
            durable: table.durable.unwrap_or(default.durable),
            queue_type: table.queue_type.unwrap_or_default(),
            declare: table.declare.unwrap_or_default(),
            on_mismatch: table.on_mismatch.unwrap_or_default(),
            envelope: table.envelope.unwrap_or_default(),
            window: table.window.unwrap_or(default.window),
            connect_timeout: table.connect_timeout.map_or(default.connect_timeout, Into::into),
            confirm_timeout: table.confirm_timeout.map_or(default.confirm_timeout, Into::into),
            heartbeat: table.heartbeat.unwrap_or(default.heartbeat),
            backlog_warning: table.backlog_warning.unwrap_or(default.backlog_warning),
            ..default
        };
        config.set_address(&mut table)?;
        config.set_credentials(table)?;
        config.check()?;
        Ok(config)
    }

    /// The queue of a priority, which is also its routing key: `notifications.info`.
    pub fn queue(&self, priority: Priority) -> String {
        format!("{}.{}", self.topic, priority.lower())
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
                    "`rabbit.url` names the hosts: remove `rabbit.host` and `rabbit.port`",
                ));
            }
            tls = url.tls;
            self.hosts = std::mem::take(&mut url.hosts);
            for (key, value) in &url.query {
                match (key.as_str(), value.parse()) {
                    ("heartbeat", Ok(seconds)) => self.heartbeat = seconds,
                    ("heartbeat", Err(_)) => {
                        return Err(wrong("`rabbit.url`: `heartbeat` is a number of seconds"));
                    }
                    (key, _) => {
                        let key = notify_core::printable(key, 64);
                        return Err(wrong(format!(
                            "`rabbit.url` has the unknown parameter `{key}`: only `heartbeat` is known"
                        )));
                    }
                }
            }
        } else {
            let name = table.host.take().unwrap_or_else(|| "localhost".into());
            let port = table.port.unwrap_or_else(|| Host::default_port(false));
            self.hosts = vec![Host { name, port }];
        }
        let path = table.url.as_mut().and_then(|url| url.path.take());
        self.virtual_host = match (path, table.virtual_host.take()) {
            (Some(_), Some(_)) => {
                return Err(wrong(
                    "`rabbit.url` names the virtual host: remove `rabbit.virtual_host`",
                ));
            }
            (one, other) => one.or(other).unwrap_or_else(|| "/".into()),
        };
        if !tls && files != TlsFiles::default() {
            return Err(wrong(
                "`rabbit.ca_file`, `rabbit.cert_file` and `rabbit.key_file` are for TLS: begin \
                 `rabbit.url` with amqps://",
            ));
        }
        self.tls = tls.then_some(files);
        Ok(())
    }

    fn set_credentials(&mut self, table: Table) -> Result<()> {
        let (url_user, url_password) =
            table.url.map_or((None, None), |url| (url.user, url.password));
        if url_user.is_some() && table.user.is_some() {
            return Err(wrong("`rabbit.url` names the user: remove `rabbit.user`"));
        }
        let password = match (url_password, table.password, table.password_file) {
            (None, None, None) => None,
            (Some(password), None, None) | (None, Some(password), None) => {
                Some(Password::Given(password))
            }
            (None, None, Some(path)) => Some(Password::File(path)),
            _ => {
                return Err(wrong(
                    "the password is given twice: keep one of `rabbit.url`, `rabbit.password` and \
                     `rabbit.password_file`",
                ));
            }
        };
        let user = url_user.or(table.user);
        let by_certificate = self.tls.as_ref().is_some_and(|files| files.cert_file.is_some());
        self.sasl_mechanism = match table.sasl_mechanism {
            Some(mechanism) => mechanism,
            None if by_certificate && user.is_none() && password.is_none() => {
                SaslMechanism::External
            }
            None => SaslMechanism::Plain,
        };
        match (self.sasl_mechanism, user, password) {
            (SaslMechanism::External, None, None) => self.user = "the certificate's user".into(),
            (SaslMechanism::External, ..) => {
                return Err(wrong(
                    "`rabbit.sasl_mechanism = \"EXTERNAL\"` logs in with the certificate: remove \
                     user and password",
                ));
            }
            (SaslMechanism::Plain, Some(user), Some(password)) => {
                (self.user, self.password) = (user, password);
            }
            (SaslMechanism::Plain, None, None) if self.hosts.iter().all(Host::is_loopback) => {}
            (SaslMechanism::Plain, None, _) => {
                return Err(wrong("`rabbit.user` is missing, or a user in `rabbit.url`"));
            }
            (SaslMechanism::Plain, Some(_), None) => {
                return Err(wrong("`rabbit.password` is missing, or `rabbit.password_file`"));
            }
        }
        Ok(())
    }

    /// What no single key can know.
    pub(crate) fn check(&self) -> Result<()> {
        for (key, text, limit) in [
            ("rabbit.virtual_host", &self.virtual_host, NAME_BYTES),
            ("rabbit.exchange", &self.exchange, NAME_BYTES),
            // Room for the longest priority.
            ("rabbit.topic", &self.topic, NAME_BYTES - ".error".len()),
        ] {
            if text.is_empty() || text.len() > limit {
                return Err(wrong(format!("`{key}`: a text of 1 to {limit} bytes is expected")));
            }
        }
        if self.tls.is_some() && !HAS_TLS {
            return Err(wrong(
                "`rabbit.url` asks for TLS, which is not compiled in: enable the Cargo feature `tls`",
            ));
        }
        let files = self.tls.as_ref();
        if files.is_some_and(|files| files.cert_file.is_some() != files.key_file.is_some()) {
            return Err(wrong("`rabbit.cert_file` and `rabbit.key_file` need each other"));
        }
        let certificate = files.is_some_and(|files| files.cert_file.is_some());
        if self.sasl_mechanism == SaslMechanism::External && !certificate {
            return Err(wrong(
                "`rabbit.sasl_mechanism = \"EXTERNAL\"` needs TLS with `rabbit.cert_file` and \
                 `rabbit.key_file`",
            ));
        }
        if self.queue_type == QueueType::Quorum && !self.durable {
            return Err(wrong(
                "`rabbit.queue_type = \"quorum\"` needs `rabbit.durable = true`: quorum queues are \
                 always durable",
            ));
        }
        if self.window == 0 || self.window > MOST_WINDOW {
            return Err(wrong(format!(
                "`rabbit.window`: a number from 1 to {MOST_WINDOW} is expected"
            )));
        }
        if self.heartbeat == 0 || self.heartbeat > MOST_HEARTBEAT {
            return Err(wrong(format!(
                "`rabbit.heartbeat`: a number of seconds from 1 to {MOST_HEARTBEAT} is expected"
            )));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    url: Option<BrokerUrl>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    password_file: Option<PathBuf>,
    virtual_host: Option<String>,
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    sasl_mechanism: Option<SaslMechanism>,
    exchange: Option<String>,
    topic: Option<String>,
    durable: Option<bool>,
    queue_type: Option<QueueType>,
    declare: Option<Declare>,
    on_mismatch: Option<OnMismatch>,
    envelope: Option<Envelope>,
    window: Option<usize>,
    connect_timeout: Option<Seconds>,
    confirm_timeout: Option<Seconds>,
    heartbeat: Option<u16>,
    backlog_warning: Option<u32>,
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, what.into())
}

/// The user that a fresh broker has, for connections from its own machine only.
pub(crate) const GUEST: &str = "guest";
/// The longest short string of AMQP 0-9-1, in bytes.
const NAME_BYTES: usize = 255;
/// Beyond a hundred little is gained, and each is a possible duplicate.
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
        Config::from_options(Options::new("rabbit", table).with_origins(origins))
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
        let config = read(json!({ "url": "amqp://u:p%2F@a,[::1]:7/v%2Fw?heartbeat=5" })).unwrap();
        assert_eq!(hosts(&config), ["a:5672", "[::1]:7"]);
        assert_eq!(config.user, "u");
        assert_eq!(config.password, Password::Given(Secret::new("p/")));
        assert_eq!(config.virtual_host, "v/w");
        assert_eq!(config.heartbeat, 5);
    }

    #[test]
    fn separate_keys_say_the_same() {
        let config = read(json!({
            "host": "2001:db8::1", "port": 1, "user": "u", "password_file": "/p", "virtual_host": "v",
        }))
        .unwrap();
        assert_eq!(hosts(&config), ["[2001:db8::1]:1"]);
        assert_eq!(config.password, Password::File("/p".into()));
        let mixed =
            read(json!({ "url": "amqp://a", "user": "u", "password": "p", "virtual_host": "v" }));
        assert_eq!(mixed.unwrap().virtual_host, "v");
    }

    #[test]
    fn every_contradiction_is_named() {
        let long = "x".repeat(256);
        for (table, said) in [
            (json!({ "uri": "amqp://a" }), "`rabbit.uri` (a.toml): unknown field"),
            (
                json!({ "url": "http://hunter2@a" }),
                "`rabbit.url` (a.toml): a URL that begins with amqp",
            ),
            (json!({ "url": "amqp://u:p@a", "host": "b" }), "remove `rabbit.host`"),
            (
                json!({ "url": "amqp://u:p@a/v", "virtual_host": "w" }),
                "remove `rabbit.virtual_host`",
            ),
            (json!({ "url": "amqp://u:p@a", "user": "v" }), "remove `rabbit.user`"),
            (json!({ "url": "amqp://u:hunter2@a", "password": "hunter2" }), "given twice"),
            (json!({ "password": "hunter2", "password_file": "/p" }), "given twice"),
            (json!({ "url": "amqp://u:p@a?x=1" }), "the unknown parameter `x`"),
            (json!({ "url": "amqp://u:p@a?heartbeat=x" }), "`heartbeat` is a number"),
            (json!({ "url": "amqp://a" }), "`rabbit.user` is missing"),
            (json!({ "host": "a" }), "`rabbit.user` is missing"),
            (json!({ "host": "a", "user": "u" }), "`rabbit.password` is missing"),
            (json!({ "ca_file": "/ca" }), "begin `rabbit.url` with amqps://"),
            (json!({ "sasl_mechanism": "EXTERNAL" }), "needs TLS with `rabbit.cert_file`"),
            (
                json!({ "user": "u", "password": "p", "sasl_mechanism": "EXTERNAL" }),
                "remove user and password",
            ),
            (json!({ "exchange": "" }), "`rabbit.exchange`: a text of 1 to 255 bytes"),
            (json!({ "exchange": long }), "`rabbit.exchange`"),
            (json!({ "virtual_host": long }), "`rabbit.virtual_host`"),
            (json!({ "topic": long[..250] }), "`rabbit.topic`: a text of 1 to 249 bytes"),
            (
                json!({ "queue_type": "quorum", "durable": false }),
                "quorum queues are always durable",
            ),
            (json!({ "queue_type": "stream" }), "`rabbit.queue_type` (a.toml)"),
            (json!({ "window": 0 }), "`rabbit.window`"),
            (json!({ "heartbeat": 0 }), "`rabbit.heartbeat`"),
            (json!({ "port": 70_000 }), "`rabbit.port` (a.toml)"),
            (json!({ "confirm_timeout": 0 }), "`rabbit.confirm_timeout` (a.toml)"),
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
        assert_eq!(config.sasl_mechanism, SaslMechanism::External);
        assert_eq!(config.tls.unwrap().cert_file, Some("/c".into()));
        for (table, said) in [
            (json!({ "url": "amqps://a", "cert_file": "/c" }), "need each other"),
            (json!({ "url": "amqps://a", "sasl_mechanism": "EXTERNAL" }), "needs TLS with"),
        ] {
            let error = read(table).expect_err(said);
            assert!(error.to_string().contains(said), "{error}");
        }
        let config = read(
            json!({ "url": "amqps://u:p@a", "cert_file": "/c", "key_file": "/k", "ca_file": "/ca" }),
        );
        assert_eq!(config.unwrap().sasl_mechanism, SaslMechanism::Plain);
    }

    #[test]
    fn debug_shows_no_password() {
        let config = read(json!({ "url": "amqp://u:hunter2@a" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
