//! What the management API says about a source's broker, at one moment.

use std::collections::BTreeSet;

use glance_notify::event::Priority;
use glance_notify::listen::RabbitSourceConfig;
use glance_notify::time::Duration;
use glance_notify::{Error, ErrorKind, Result};
use notify_net::PeerInfo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::api_answers::{
    BindingAnswer, ConnectionAnswer, ConnectionPage, ExchangeAnswer, NodeAnswer, OverviewAnswer,
    QueueAnswer,
};
use super::api_client::ApiClient;
use super::api_location::ApiLocation;
use super::connected_programs::ConnectedPrograms;

/// What the management API says about a broker.
pub(crate) struct BrokerSnapshot {
    pub(super) overview: OverviewAnswer,
    /// The host that answered.
    pub(super) peer: PeerInfo,
    /// The user who asked.
    pub(super) user: String,
    /// The clock of the broker's host minus that of this host.
    pub(super) clock_difference: Option<Duration>,
    /// The exchanges of the source that exist.
    pub(crate) exchanges: Vec<ExchangeSnapshot>,
    /// The queues of the topics, and those that are bound for them.
    pub(crate) queues: Vec<QueueAnswer>,
    /// The bound queues beyond [`MOST_QUEUES`].
    pub(super) omitted_queues: usize,
    /// The nodes; `None` if the user may not see them.
    pub(super) nodes: Option<Vec<NodeAnswer>>,
    /// The connections to the virtual host; `None` if the user may not see them.
    pub(super) connections: Option<Vec<ConnectionAnswer>>,
    /// Whether the broker has more connections than [`MOST_CONNECTIONS`].
    pub(super) omits_connections: bool,
}

/// An exchange and its bindings for the topics of a source.
pub(crate) struct ExchangeSnapshot {
    pub(super) name: String,
    pub(super) answer: ExchangeAnswer,
    /// The bindings that match a key of the topics.
    pub(super) bindings: Vec<BindingAnswer>,
}

impl BrokerSnapshot {
    /// Asks the API about the exchanges of a source, the queues called `names`, those that are bound for the
    /// source's topics, the nodes and the connections.
    ///
    /// # Errors
    ///
    /// If there is no management API, if it refuses the user, and if it stops answering.
    pub(crate) async fn read(
        location: &ApiLocation,
        source: &RabbitSourceConfig,
        names: impl Iterator<Item = &str>,
    ) -> Result<Self> {
        let mut api = ApiClient::new(location).await?;
        let overview = api.get("overview").await.map_err(|error| match error.kind() {
            ErrorKind::Unavailable => Error::new(
                ErrorKind::Unavailable,
                format!("{error:#}: correct the URL, or enable the plug-in `rabbitmq_management`"),
            ),
            _ => error,
        })?;
        let Some(overview) = overview else {
            let message = "no management API is at this URL: correct it, or enable the plug-in \
                           `rabbitmq_management`";
            return Err(Error::new(ErrorKind::Config, message));
        };
        let Some(peer) = api.peer().cloned() else {
            return Err(Error::new(ErrorKind::Bug, "an answer without a connection"));
        };
        let virtual_host = source.endpoint.virtual_host.as_deref().unwrap_or("/");
        let mut exchanges = Vec::new();
        let mut queue_names: Vec<_> = names.map(str::to_owned).collect();
        for exchange in &source.exchanges {
            let Some(exchange) = ExchangeSnapshot::read(&mut api, source, exchange).await? else {
                continue;
            };
            let bound = exchange.bindings.iter().filter(|binding| binding.leads_to_a_queue());
            queue_names.extend(bound.map(|binding| binding.destination.clone()));
            exchanges.push(exchange);
        }
        let mut seen = BTreeSet::new();
        queue_names.retain(|name| seen.insert(name.clone()));
        let omitted_queues = queue_names.len().saturating_sub(MOST_QUEUES);
        let mut queues: Vec<QueueAnswer> = Vec::new();
        for name in queue_names.iter().take(MOST_QUEUES) {
            let path = format!("queues/{}/{}", encoded(virtual_host), encoded(name));
            let Some(mut queue) = api.get::<QueueAnswer>(&path).await? else { continue };
            let is_bound = exchanges.iter().any(|exchange| exchange.leads_to(name));
            if !is_bound {
                let path = format!("{path}/bindings?columns={BINDING_COLUMNS}");
                let bindings: Vec<BindingAnswer> = api.get(&path).await?.unwrap_or_default();
                queue.is_unbound = bindings.iter().all(|binding| binding.source.is_empty());
            }
            queues.push(queue);
        }
        let nodes = if_permitted(api.get(&format!("nodes?columns={NODE_COLUMNS}")).await)?;
        let connections = match nodes {
            Some(_) => if_permitted(connections(&mut api, virtual_host).await.map(Some))?,
            // Without this permission, the API shows the user's own connections only.
            None => None,
        };
        let (connections, omits_connections) = connections.unzip();
        Ok(Self {
            overview,
            peer,
            user: location.user().to_owned(),
            clock_difference: api.clock_difference,
            exchanges,
            queues,
            omitted_queues,
            nodes,
            connections,
            omits_connections: omits_connections.unwrap_or_default(),
        })
    }

    /// Returns the queue of this name.
    pub(crate) fn queue(&self, name: &str) -> Option<&QueueAnswer> {
        self.queues.iter().find(|queue| queue.name == name)
    }

    /// Returns the programs that consume a queue.
    pub(crate) fn consumers_of(&self, queue: &QueueAnswer) -> ConnectedPrograms {
        let connections = self.connections.as_deref().unwrap_or_default();
        ConnectedPrograms::of_consumers(&queue.consumer_details, connections)
    }
}

impl ExchangeSnapshot {
    /// Reads an exchange; `None` if it does not exist.
    async fn read(
        api: &mut ApiClient<'_>,
        source: &RabbitSourceConfig,
        name: &str,
    ) -> Result<Option<Self>> {
        let virtual_host = source.endpoint.virtual_host.as_deref().unwrap_or("/");
        let path = format!("exchanges/{}/{}", encoded(virtual_host), encoded(name));
        let Some(answer) = api.get::<ExchangeAnswer>(&path).await? else { return Ok(None) };
        let path = format!("{path}/bindings/source?columns={BINDING_COLUMNS}");
        let mut bindings: Vec<BindingAnswer> = api.get(&path).await?.unwrap_or_default();
        bindings.retain(|binding| {
            source.topics.iter().any(|topic| binding.takes_topic(&answer.kind, topic))
        });
        Ok(Some(Self { name: name.to_owned(), answer, bindings }))
    }

    /// Returns whether a binding leads to the queue of this name.
    fn leads_to(&self, queue: &str) -> bool {
        let mut bindings = self.bindings.iter();
        bindings.any(|binding| binding.leads_to_a_queue() && binding.destination == queue)
    }
}

impl BindingAnswer {
    /// Returns whether messages go to a queue, and not to another exchange.
    pub(super) fn leads_to_a_queue(&self) -> bool {
        self.destination_type == "queue"
    }

    /// Returns whether the binding takes a message of `topic` from an exchange of the type `kind`.
    pub(super) fn takes_topic(&self, kind: &str, topic: &str) -> bool {
        Priority::ALL.iter().any(|priority| {
            let key = format!("{topic}.{}", priority.lower());
            match kind {
                "fanout" => true,
                "topic" => matches_key(&self.routing_key, &key),
                _ => self.routing_key == key,
            }
        })
    }
}

/// Returns whether a pattern of a topic exchange matches a routing key: `*` stands for one word, and `#` for
/// any number of words.
///
/// A pattern is at most 255 bytes long, and a `#` starts the search again only from the last one.
fn matches_key(pattern: &str, key: &str) -> bool {
    let (pattern, key): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), key.split('.').collect());
    let (mut p, mut k) = (0, 0);
    // The place behind the last `#`, and the first word that it does not stand for.
    let mut last_hash = None;
    while k < key.len() {
        match pattern.get(p) {
            Some(&"#") => {
                p += 1;
                last_hash = Some((p, k));
            }
            Some(word) if *word == "*" || *word == key[k] => {
                p += 1;
                k += 1;
            }
            _ => {
                let Some((behind, first)) = last_hash else { return false };
                last_hash = Some((behind, first + 1));
                (p, k) = (behind, first + 1);
            }
        }
    }
    pattern[p..].iter().all(|word| *word == "#")
}

/// Reads the connections to a virtual host, page by page, and leaves out those of this process. Returns `true`
/// with them if the broker has more than [`MOST_CONNECTIONS`].
async fn connections(
    api: &mut ApiClient<'_>,
    virtual_host: &str,
) -> Result<(Vec<ConnectionAnswer>, bool)> {
    let mut connections: Vec<ConnectionAnswer> = Vec::new();
    let own = format!("glance-notify:{}:", std::process::id());
    for page in 1..=MOST_PAGES {
        let path =
            format!("connections?page={page}&page_size={PAGE_SIZE}&columns={CONNECTION_COLUMNS}");
        let Some(ConnectionPage { page_count, items }) = api.get(&path).await? else {
            return Ok((connections, false));
        };
        let of_others = items.into_iter().filter(|item| {
            item.vhost == virtual_host && !item.user_provided_name.starts_with(&own)
        });
        connections.extend(of_others);
        if page >= page_count {
            return Ok((connections, false));
        }
    }
    Ok((connections, true))
}

/// Returns `None` for an object that the user may not see.
fn if_permitted<T>(result: Result<Option<T>>) -> Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::Access => Ok(None),
        result => result,
    }
}

/// Returns a name as a segment of a path.
fn encoded(name: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(name, NON_ALPHANUMERIC)
}

/// The most queues that are examined.
const MOST_QUEUES: usize = 64;
/// The most connections of a broker that are examined, of all virtual hosts.
pub(super) const MOST_CONNECTIONS: u64 = MOST_PAGES * PAGE_SIZE;
/// The most pages of connections.
const MOST_PAGES: u64 = 20;
/// The connections on one page. RabbitMQ allows no more than 500.
const PAGE_SIZE: u64 = 500;
const BINDING_COLUMNS: &str = "source,destination,destination_type,routing_key";
const CONNECTION_COLUMNS: &str = "name,vhost,user,state,user_provided_name";
const NODE_COLUMNS: &str = "name,running,mem_alarm,mem_used,mem_limit,disk_free_alarm,disk_free,\
                            disk_free_limit,partitions";

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns match as RabbitMQ's topic exchange matches them.
    #[test]
    fn patterns_match_whole_words() {
        for (pattern, key, expected) in [
            ("notifications.info", "notifications.info", true),
            ("notifications.info", "notifications.warn", false),
            ("notifications.*", "notifications.info", true),
            ("notifications.*", "notifications", false),
            ("notifications.#", "notifications", true),
            ("notifications.#", "notifications.a.b", true),
            ("#", "anything.at.all", true),
            ("#.info", "a.b.info", true),
            ("#.b.#.info", "a.b.c.info", true),
            ("#.b.#.info", "a.c.info", false),
            ("*.*", "a", false),
            ("#.#", "a", true),
            ("a.#.a", "a", false),
        ] {
            assert_eq!(matches_key(pattern, key), expected, "{pattern} {key}");
        }
    }

    /// A hostile pattern takes no exponential time.
    #[test]
    fn many_wildcards_take_little_time() {
        let pattern = "#.a.".repeat(63);
        let key = "a.".repeat(127);
        assert!(!matches_key(&(pattern + "b"), &(key + "a")));
    }

    /// The type of the exchange decides about the key.
    #[test]
    fn the_type_of_the_exchange_decides() {
        let binding = |key: &str| BindingAnswer { routing_key: key.into(), ..Default::default() };
        assert!(binding("notifications.#").takes_topic("topic", "notifications"));
        assert!(!binding("notifications.#").takes_topic("direct", "notifications"));
        assert!(binding("notifications.info").takes_topic("direct", "notifications"));
        assert!(binding("").takes_topic("fanout", "notifications"));
        assert!(!binding("conductor").takes_topic("topic", "notifications"));
    }
}
