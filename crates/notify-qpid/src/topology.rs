//! The addresses, capabilities and subjects of each broker product.
//!
//! AMQP 1.0 leaves addresses to the broker. The project found these by trying each product, except for
//! Artemis, whose documentation describes them:
//!
//! | dialect | `node = "queue"` | `node = "topic"` |
//! |---|---|---|
//! | `qpidd` | `notifications.info` | `glance` |
//! | `rabbitmq-3` | `/amq/queue/notifications.info` | `/exchange/glance/notifications.info` |
//! | `rabbitmq` | `/queues/notifications.info` | `/exchanges/glance/notifications.info` |
//! | `activemq` | `queue://notifications.info` | `topic://glance.notifications.info` |
//! | `artemis` | `notifications.info` | `glance.notifications.info` |
//! | `plain` | `notifications.info` | `glance` |
//!
//! The subject is always `notifications.info`. `docs/brokers.md` documents the guarantees of each
//! product. This module builds texts; it sends nothing.

use notify_core::Priority;
use notify_core::transport::Lanes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{Config, Dialect, Node};

/// The target of the messages of one priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The address of the target.
    pub(crate) address: String,
    /// The capabilities of the target. qpidd, ActiveMQ and Artemis choose the kind of node by them.
    pub(crate) capabilities: &'static [&'static str],
    /// An address that creates a missing node, durable, when a link attaches to it. The transport
    /// sends no messages to it.
    pub(crate) create_address: Option<String>,
    /// The subject of the messages, which routes them behind a topic.
    pub(crate) subject: String,
}

/// The routes of all priorities on one connection.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    /// The dialect in use, never `Auto`.
    pub(crate) dialect: Dialect,
    /// The routes of all priorities, in the order of [`Priority::ALL`]: info, warn and error come first.
    routes: Vec<Route>,
    /// Whether `qpid.address` sets the addresses.
    has_custom_address: bool,
    /// `qpid.node`, which decides the known losses.
    node: Node,
}

impl Topology {
    /// Returns the routes at a broker that calls itself `product` in `version`.
    ///
    /// `qpid.dialect` overrides the product, and `qpid.address` overrides the dialect.
    pub(crate) fn new(config: &Config, product: &str, version: &str) -> Self {
        let dialect = match config.dialect {
            Dialect::Auto => Dialect::detect(product, version),
            configured => configured,
        };
        Self {
            dialect,
            routes: Priority::ALL
                .iter()
                .map(|&priority| Route::new(config, dialect, priority))
                .collect(),
            has_custom_address: config.address.is_some(),
            node: config.node,
        }
    }

    /// Returns the route of the messages of `priority`.
    pub(crate) fn route(&self, priority: Priority) -> &Route {
        let index = Priority::ALL.iter().position(|&other| other == priority);
        &self.routes[index.unwrap_or(0)]
    }

    /// Returns the routes of all priorities, one for each distinct address. Behind a topic of qpidd, all
    /// priorities share one address.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        distinct(&self.routes)
    }

    /// Returns the routes of the documented priorities, one for each distinct address.
    ///
    /// Check these: a link to another priority's queue may create it.
    pub(crate) fn documented_routes(&self) -> impl Iterator<Item = &Route> {
        distinct(&self.routes[..Priority::DOCUMENTED.len()])
    }

    /// Describes the messages that this broker accepts and then drops, with the remedy. `None` if
    /// the project knows of none, or if `qpid.address` sets the addresses.
    pub(crate) fn known_losses(&self) -> Option<&'static str> {
        if self.has_custom_address {
            return None;
        }
        match (self.dialect, self.node) {
            (Dialect::Qpidd, Node::Topic) => Some(
                "qpidd accepts and drops messages that match no binding: bind a queue to the \
                 exchange before you rely on it",
            ),
            (Dialect::RabbitMq3, Node::Queue) => Some(
                "RabbitMQ 3 accepts and drops messages for a queue that is deleted during a \
                 connection: delete no queue in use, or use the strategy `rabbit`",
            ),
            (Dialect::RabbitMq3, Node::Topic) => Some(
                "RabbitMQ 3 accepts and drops messages that match no binding: bind a queue to the \
                 exchange, or use the strategy `rabbit`",
            ),
            (Dialect::ActiveMq, Node::Topic) => Some(
                "ActiveMQ accepts and drops messages that have no subscriber: use \
                 `qpid.node = \"queue\"` if you need every message",
            ),
            (Dialect::Artemis, Node::Topic) => Some(
                "Artemis accepts and drops messages that have no subscriber: use \
                 `qpid.node = \"queue\"` if you need every message",
            ),
            _ => None,
        }
    }
}

/// Returns the lanes of a broker: one for each priority, because a broker has a queue for each.
///
/// The name is the address that `qpid.address` sets, else the subject. The addresses of the dialects are
/// known only once a broker has named its product.
pub(crate) fn lanes(config: &Config) -> Lanes {
    let Config { exchange, topic, address, .. } = config;
    Lanes::by_priority(|priority| match address {
        Some(template) => template.fill(exchange, topic, priority),
        None => format!("{topic}.{}", priority.lower()),
    })
}

/// Returns the first route of each address.
fn distinct(routes: &[Route]) -> impl Iterator<Item = &Route> {
    routes.iter().enumerate().filter_map(|(index, route)| {
        let is_first = routes[..index].iter().all(|earlier| earlier.address != route.address);
        is_first.then_some(route)
    })
}

impl Route {
    /// Returns the route of a priority in a dialect. `qpid.address` overrides the dialect's address.
    fn new(config: &Config, dialect: Dialect, priority: Priority) -> Self {
        let Config { exchange, topic, .. } = config;
        let subject = format!("{topic}.{}", priority.lower());
        let (address, capabilities): (String, &[&str]) = match (dialect, config.node) {
            (Dialect::Qpidd, Node::Queue) => {
                (subject.clone(), &["queue", "create-on-demand", DURABLE])
            }
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
            (Dialect::Artemis, Node::Queue) => (subject.clone(), &["queue"]),
            (Dialect::Artemis, Node::Topic) => (format!("{exchange}.{subject}"), &["topic"]),
            (Dialect::Auto | Dialect::Plain, Node::Queue) => (subject.clone(), &[]),
            (Dialect::Auto | Dialect::Plain, Node::Topic) => (exchange.clone(), &[]),
        };
        // RabbitMQ 3 accepts and drops messages to a missing queue. Attaching to this address
        // creates the queue, or fails if one with other properties exists.
        let create_address = (dialect == Dialect::RabbitMq3 && config.node == Node::Queue)
            .then(|| format!("/queue/{}", encode(&subject)));
        match &config.address {
            Some(template) => {
                let address = template.fill(exchange, topic, priority);
                Self { address, capabilities: &[], create_address: None, subject }
            }
            None => Self { address, capabilities, create_address, subject },
        }
    }

    /// Returns whether the broker creates a missing node of this route durable, and reports whether an
    /// existing one is.
    pub(crate) fn asks_for_durability(&self) -> bool {
        self.capabilities.contains(&DURABLE)
    }
}

impl Dialect {
    /// Returns the dialect of a product, by the name and the version in its Open. Any other product,
    /// Qpid's dispatch router for example, gets `plain`.
    fn detect(product: &str, version: &str) -> Self {
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        match product {
            "qpid-cpp" => Self::Qpidd,
            "RabbitMQ" if major.is_some_and(|major| major < 4) => Self::RabbitMq3,
            "RabbitMQ" => Self::RabbitMq,
            "ActiveMQ" => Self::ActiveMq,
            "apache-activemq-artemis" => Self::Artemis,
            _ => Self::Plain,
        }
    }
}

/// The capability of a durable node, and qpidd's property of a node that it creates durable.
pub(crate) const DURABLE: &str = "durable";

/// Percent-encodes a name for an address of RabbitMQ, in which slashes separate the parts. The other
/// products take names as they are.
fn encode(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}

/// All characters except the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    /// One product per dialect, by the name that the product gives itself.
    const PRODUCTS: [(&str, &str); 6] = [
        ("qpid-cpp", "1.40.0"),
        ("RabbitMQ", "3.10.8"),
        ("RabbitMQ", "4.0.5"),
        ("ActiveMQ", "6.1.7"),
        ("apache-activemq-artemis", "2.40.0"),
        ("", ""),
    ];

    /// Prints the routes of every product as a table.
    fn table(config: &Config) -> String {
        use std::fmt::Write as _;
        let mut table = String::new();
        for (product, version) in PRODUCTS {
            let topology = Topology::new(config, product, version);
            writeln!(table, "{product} {version}: {:?}", topology.dialect).unwrap();
            for &priority in Priority::DOCUMENTED {
                let Route { address, capabilities, create_address, subject } =
                    topology.route(priority);
                write!(table, "  {address}  {capabilities:?}  {subject}").unwrap();
                match create_address {
                    Some(create_address) => writeln!(table, "  created by {create_address}"),
                    None => writeln!(table),
                }
                .unwrap();
            }
            let losses = topology.known_losses().unwrap_or("nothing known");
            writeln!(table, "  loses: {losses}").unwrap();
        }
        table
    }

    /// The addresses of `qpid.node = "queue"` stay as each product needs them.
    #[test]
    fn addresses_of_queues() {
        insta::assert_snapshot!(table(&Config::default()));
    }

    /// The addresses of `qpid.node = "topic"` stay as each product needs them.
    #[test]
    fn addresses_of_topics() {
        insta::assert_snapshot!(table(&Config { node: Node::Topic, ..Config::default() }));
    }

    /// Slashes, percent signs and spaces in names do not break out of RabbitMQ's addresses.
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

    /// `qpid.address` sets the address at every product, without the dialect's capabilities.
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

    /// Each priority has a lane, unless `qpid.address` sends all priorities to one node.
    #[test]
    fn lanes_are_subjects_or_custom_addresses() {
        let names = |address: Option<&str>| {
            let address = address.map(|address| address.parse().unwrap());
            let lanes = lanes(&Config { address, ..Config::default() });
            lanes.iter().map(|lane| lanes.name(lane).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(None)[..2], ["notifications.info", "notifications.warn"]);
        assert_eq!(names(Some("/x/{priority}"))[..2], ["/x/info", "/x/warn"]);
        assert_eq!(names(Some("/x/{topic}")), ["/x/notifications"]);
    }

    /// `qpid.dialect` helps with a broker behind a proxy that claims to be another product.
    #[test]
    fn a_configured_dialect_overrides_the_product() {
        let config = Config { dialect: Dialect::ActiveMq, ..Config::default() };
        assert_eq!(Topology::new(&config, "RabbitMQ", "3.10.8").dialect, Dialect::ActiveMq);
    }

    /// Priorities that share an address share a link.
    #[test]
    fn lists_each_address_once() {
        let count = |node| {
            let config = Config { node, ..Config::default() };
            Topology::new(&config, "", "").documented_routes().count()
        };
        assert_eq!((count(Node::Queue), count(Node::Topic)), (3, 1));
    }
}
