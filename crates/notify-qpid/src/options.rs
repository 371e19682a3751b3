//! The table `[qpid]` as it is written, and how its keys agree with each other.

use std::path::PathBuf;

use notify_core::Result;
use notify_core::config::{DriverOptions, Seconds};
use notify_net::{BrokerUrl, EndpointKeys, Envelope, Secret, TlsFiles};
use serde::Deserialize;

use crate::config::{Config, Dialect, Node, SaslMechanism, wrong};
use crate::topology::Template;

impl Config {
    /// Reads the table `[qpid]`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](notify_core::ErrorKind::Config) for an unknown key, a wrong value, or values that contradict each other.
    pub fn from_options(options: DriverOptions) -> Result<Self> {
        let table: Table = options.parse()?;
        let endpoint = EndpointKeys {
            url: table.url,
            host: table.host,
            port: table.port,
            user: table.username,
            password: table.password,
            password_file: table.password_file,
            virtual_host: table.virtual_host,
            tls: TlsFiles {
                ca_file: table.ca_file,
                cert_file: table.cert_file,
                key_file: table.key_file,
            },
        };
        let endpoint = endpoint.resolve("qpid", "username")?;
        let default = Self::default();
        let mut config = Self {
            hosts: endpoint.hosts,
            tls: endpoint.tls,
            virtual_host: endpoint.virtual_host,
            user: endpoint.user,
            password: endpoint.password,
            node: table.node.unwrap_or_default(),
            dialect: table.dialect.unwrap_or_default(),
            address: table.address,
            exchange: table.exchange.unwrap_or(default.exchange),
            topic: table.topic.unwrap_or(default.topic),
            envelope: table.envelope.unwrap_or_default(),
            window: table.window.unwrap_or(default.window),
            connect_timeout: table.connect_timeout.map_or(default.connect_timeout, Into::into),
            settle_timeout: table.settle_timeout.map_or(default.settle_timeout, Into::into),
            heartbeat: table.heartbeat.unwrap_or(default.heartbeat),
            ..default
        };
        if let Some((key, _)) = endpoint.query.first() {
            let key = notify_core::redact::printable(key, 64);
            return Err(wrong(format!(
                "`qpid.url` has the unknown parameter `{key}`: none is known"
            )));
        }
        config.sasl_mechanisms = match table.sasl_mechanisms {
            Some(mechanisms) => mechanisms,
            None if config.user.is_some() || config.password.is_some() => {
                vec![SaslMechanism::Plain]
            }
            None if config.has_certificate() => vec![SaslMechanism::External],
            None => vec![SaslMechanism::Anonymous],
        };
        config.check()?;
        Ok(config)
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

#[cfg(test)]
mod tests {
    use notify_core::ErrorKind;
    use notify_core::config::Origin;
    use notify_net::Password;
    use serde_json::{Value, json};

    use super::*;

    fn read(table: Value) -> Result<Config> {
        let Value::Object(table) = table else { panic!("a table") };
        let origins = table
            .keys()
            .map(|key| (key.clone(), Origin { place: "a.toml".into(), raw: None }))
            .collect();
        Config::from_options(DriverOptions::new("qpid", table).with_origins(origins))
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
    fn debug_shows_no_password() {
        let config = read(json!({ "url": "amqp://u:hunter2@a" })).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
