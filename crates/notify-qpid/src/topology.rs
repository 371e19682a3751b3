//! What is sent to: addresses, capabilities and subjects, as each broker wants them.
//!
//! AMQP 1.0 leaves addresses to the broker. What stands here was found by trying each of them.

use std::fmt;
use std::str::FromStr;

use notify_core::{Error, ErrorKind, Priority, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::config::{Config, Dialect, Node};

/// Where the messages of one priority go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The target's address.
    pub(crate) address: String,
    /// The target's capabilities.
    pub(crate) capabilities: &'static [&'static str],
    /// An address whose attaching creates the node, durable, where it is missing; used for nothing
    /// else.
    pub(crate) creator: Option<String>,
    /// The message's subject: a topic routes by it.
    pub(crate) subject: String,
}

/// The routes of all priorities on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub(crate) dialect: Dialect,
    /// Info, warn, error.
    routes: [Route; 3],
    /// Whether the address is the operator's own.
    custom: bool,
    node: Node,
}

/// A target address with `{exchange}`, `{topic}` and `{priority}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Exchange,
    Topic,
    Priority,
}

impl Topology {
    /// The routes at a broker that says it is `product`, in that `version`.
    pub(crate) fn new(config: &Config, product: &str, version: &str) -> Self {
        let dialect = match config.dialect {
            Dialect::Auto => Dialect::of(product, version),
            configured => configured,
        };
        let route = |priority| Route::new(config, dialect, priority);
        Self {
            dialect,
            routes: [route(Priority::Info), route(Priority::Warn), route(Priority::Error)],
            custom: config.address.is_some(),
            node: config.node,
        }
    }

    /// Where the messages of a priority go.
    pub(crate) fn route(&self, priority: Priority) -> &Route {
        match priority {
            Priority::Info => &self.routes[0],
            Priority::Warn => &self.routes[1],
            Priority::Error => &self.routes[2],
        }
    }

    /// The routes, each address once.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        let [info, warn, error] = &self.routes;
        let distinct = [
            Some(info),
            (warn.address != info.address).then_some(warn),
            (error.address != info.address && error.address != warn.address).then_some(error),
        ];
        distinct.into_iter().flatten()
    }

    /// What this broker is known to accept although nobody gets it.
    pub(crate) fn losses(&self) -> Option<&'static str> {
        if self.custom {
            return None;
        }
        match (self.dialect, self.node) {
            (Dialect::Qpidd, Node::Topic) => Some(
                "qpidd accepts and drops what matches no binding: bind a queue to the exchange \
                 before you rely on it",
            ),
            (Dialect::RabbitMq3, Node::Queue) => Some(
                "RabbitMQ 3 accepts and drops messages for a queue that is deleted while we are \
                 connected: delete none, or use the strategy `rabbit`",
            ),
            (Dialect::RabbitMq3, Node::Topic) => Some(
                "RabbitMQ 3 accepts and drops what matches no binding: bind a queue to the \
                 exchange, or use the strategy `rabbit`",
            ),
            (Dialect::ActiveMq, Node::Topic) => Some(
                "ActiveMQ accepts and drops what nobody is subscribed to: use \
                 `qpid.node = \"queue\"` where that matters",
            ),
            _ => None,
        }
    }
}

impl Route {
    fn new(config: &Config, dialect: Dialect, priority: Priority) -> Self {
        let Config { exchange, topic, .. } = config;
        let subject = format!("{topic}.{}", priority.lower());
        let (address, capabilities): (String, &[&str]) = match (dialect, config.node) {
            (Dialect::Qpidd, Node::Queue) => (subject.clone(), &["queue", "create-on-demand"]),
            (Dialect::Qpidd, Node::Topic) => (exchange.clone(), &["topic"]),
            (Dialect::RabbitMq3, Node::Queue) => (format!("/amq/queue/{}", encode(&subject)), &[]),
            (Dialect::RabbitMq3, Node::Topic) => {
                (format!("/exchange/{}/{}", encode(exchange), encode(&subject)), &[])
            }
            (Dialect::RabbitMq, Node::Queue) => (format!("/queues/{}", encode(&subject)), &[]),
            (Dialect::RabbitMq, Node::Topic) => {
                (format!("/exchanges/{}/{}", encode(exchange), encode(&subject)), &[])
            }
            (Dialect::ActiveMq, Node::Queue) => (format!("queue://{subject}"), &["queue"]),
            (Dialect::ActiveMq, Node::Topic) => {
                (format!("topic://{exchange}.{subject}"), &["topic"])
            }
            (Dialect::Auto | Dialect::Plain, Node::Queue) => (subject.clone(), &[]),
            (Dialect::Auto | Dialect::Plain, Node::Topic) => (exchange.clone(), &[]),
        };
        // RabbitMQ 3 accepts and drops what is sent to a queue that is missing; this address makes
        // one, or says that there is another.
        let creator = (dialect == Dialect::RabbitMq3 && config.node == Node::Queue)
            .then(|| format!("/queue/{}", encode(&subject)));
        match &config.address {
            Some(template) => {
                let address = template.fill(exchange, topic, priority);
                Self { address, capabilities: &[], creator: None, subject }
            }
            None => Self { address, capabilities, creator, subject },
        }
    }
}

impl Dialect {
    /// The dialect of a product, as it names itself in AMQP's Open.
    fn of(product: &str, version: &str) -> Self {
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        match product {
            "qpid-cpp" => Self::Qpidd,
            "RabbitMQ" if major.is_some_and(|major| major < 4) => Self::RabbitMq3,
            "RabbitMQ" => Self::RabbitMq,
            "ActiveMQ" => Self::ActiveMq,
            _ => Self::Plain,
        }
    }
}

impl FromStr for Template {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::Config`], in words that follow the name of an option: "unknown placeholder".
    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(wrong("a text with `{exchange}`, `{topic}` or `{priority}` is expected"));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('{') {
            let Some((name, after)) = from.split_once('}') else {
                return Err(wrong("a `{` without its `}`"));
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(match name {
                "exchange" => Piece::Exchange,
                "topic" => Piece::Topic,
                "priority" => Piece::Priority,
                _ => {
                    let name = notify_core::redact::printable(name, 64);
                    return Err(wrong(format!(
                        "unknown placeholder `{{{name}}}`: {{exchange}}, {{topic}} and \
                         {{priority}} are known"
                    )));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

impl Template {
    fn fill(&self, exchange: &str, topic: &str, priority: Priority) -> String {
        let mut address = String::new();
        for piece in &self.0 {
            address.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Exchange => exchange,
                Piece::Topic => topic,
                Piece::Priority => priority.lower(),
            });
        }
        address
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            f.write_str(match piece {
                Piece::Text(text) => text,
                Piece::Exchange => "{exchange}",
                Piece::Topic => "{topic}",
                Piece::Priority => "{priority}",
            })?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TemplateVisitor)
    }
}

/// Parses within the deserializer, which then knows the place of what is wrong.
struct TemplateVisitor;

impl Visitor<'_> for TemplateVisitor {
    type Value = Template;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Template, E> {
        text.parse().map_err(E::custom)
    }
}

/// A name inside an address of RabbitMQ, whose parts slashes separate.
fn encode(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, what.into())
}

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row of the table, by the name that the product gives itself.
    const PRODUCTS: [(&str, &str); 5] = [
        ("qpid-cpp", "1.40.0"),
        ("RabbitMQ", "3.10.8"),
        ("RabbitMQ", "4.0.5"),
        ("ActiveMQ", "6.1.7"),
        ("", ""),
    ];

    fn table(config: &Config) -> String {
        use std::fmt::Write as _;
        let mut table = String::new();
        for (product, version) in PRODUCTS {
            let topology = Topology::new(config, product, version);
            writeln!(table, "{product} {version}: {:?}", topology.dialect).unwrap();
            for &priority in Priority::ALL {
                let Route { address, capabilities, creator, subject } = topology.route(priority);
                write!(table, "  {address}  {capabilities:?}  {subject}").unwrap();
                match creator {
                    Some(creator) => writeln!(table, "  created by {creator}").unwrap(),
                    None => writeln!(table).unwrap(),
                }
            }
            writeln!(table, "  loses: {}", topology.losses().unwrap_or("nothing known")).unwrap();
        }
        table
    }

    #[test]
    fn addresses_of_queues() {
        insta::assert_snapshot!(table(&Config::default()));
    }

    #[test]
    fn addresses_of_topics() {
        insta::assert_snapshot!(table(&Config { node: Node::Topic, ..Config::default() }));
    }

    #[test]
    fn addresses_of_awkward_names() {
        let config = Config {
            node: Node::Topic,
            exchange: "a/b%c".into(),
            topic: "ö d".into(),
            ..Config::default()
        };
        insta::assert_snapshot!(table(&config));
    }

    #[test]
    fn a_template_overrides_every_dialect() {
        let address = "/x/{exchange}/{topic}.{priority}!".parse().unwrap();
        let config = Config { address: Some(address), ..Config::default() };
        for (product, version) in PRODUCTS {
            let topology = Topology::new(&config, product, version);
            let route = topology.route(Priority::Warn);
            assert_eq!(route.address, "/x/glance/notifications.warn!");
            assert_eq!(route.capabilities, [""; 0]);
            assert_eq!(route.subject, "notifications.warn");
        }
        assert_eq!(config.address.unwrap().to_string(), "/x/{exchange}/{topic}.{priority}!");
    }

    #[test]
    fn a_configured_dialect_overrides_the_product() {
        let config = Config { dialect: Dialect::ActiveMq, ..Config::default() };
        assert_eq!(Topology::new(&config, "RabbitMQ", "3.10.8").dialect, Dialect::ActiveMq);
    }

    #[test]
    fn each_address_stands_once() {
        let count = |node| {
            let config = Config { node, ..Config::default() };
            Topology::new(&config, "", "").routes().count()
        };
        assert_eq!((count(Node::Queue), count(Node::Topic)), (3, 1));
    }
}
