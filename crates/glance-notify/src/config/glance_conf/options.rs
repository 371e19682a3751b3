//! The options of Glance's notifiers, as data: their names, their defaults, and what they are here.

use super::ini::DEFAULT;

/// One option of Glance and its counterpart.
pub(super) struct Setting {
    /// Where it may stand; the first that sets it counts.
    pub(super) sections: &'static [&'static str],
    /// Its names; the first that is set counts.
    pub(super) names: &'static [&'static str],
    /// The key in our table of the strategy.
    pub(super) ours: &'static str,
    pub(super) kind: Kind,
    /// Glance's default, where it has one that matters, as `--set` would have it.
    pub(super) default: Option<&'static str>,
}

/// What the value of an option is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    /// A list, of which one entry is allowed here.
    One,
    /// A list of words, by spaces or commas.
    Words,
    /// Part of where the broker is, which a URL says as a whole. A text, but for the port.
    Address,
    /// Whether TLS is wanted, which only a URL can say here.
    Tls,
    /// Whether queues are quorum queues.
    Quorum,
}

const fn option(
    sections: &'static [&'static str],
    names: &'static [&'static str],
    ours: &'static str,
    kind: Kind,
    default: Option<&'static str>,
) -> Setting {
    Setting { sections, names, ours, kind, default }
}

const OLD: &[&str] = &[DEFAULT];
const BOTH: &[&str] = &[DEFAULT, OSLO];
const OSLO: &str = "oslo_messaging_rabbit";
const NEW: &[&str] = &[OSLO];

pub(super) const RABBIT: &[Setting] = &[
    option(BOTH, &["rabbit_host"], "host", Kind::Address, Some("localhost")),
    option(BOTH, &["rabbit_port"], "port", Kind::Address, Some("5672")),
    option(BOTH, &["rabbit_use_ssl", "ssl"], "", Kind::Tls, None),
    option(BOTH, &["rabbit_userid"], "user", Kind::Address, Some("guest")),
    option(BOTH, &["rabbit_password"], "password", Kind::Address, Some("guest")),
    option(BOTH, &["rabbit_virtual_host"], "virtual_host", Kind::Address, Some("/")),
    option(
        OLD,
        &["rabbit_notification_exchange", "control_exchange"],
        "exchange",
        Kind::Text,
        Some("glance"),
    ),
    option(
        &["oslo_messaging_notifications", DEFAULT],
        &["rabbit_notification_topic", "notification_topics", "topics"],
        "topic",
        Kind::One,
        Some("notifications"),
    ),
    option(
        BOTH,
        &["rabbit_durable_queues", "amqp_durable_queues"],
        "durable",
        Kind::Flag,
        Some("false"),
    ),
    option(NEW, &["rabbit_quorum_queue"], "queue_type", Kind::Quorum, None),
    option(NEW, &["ssl_ca_file", "kombu_ssl_ca_certs"], "ca_file", Kind::Text, None),
    option(NEW, &["ssl_cert_file", "kombu_ssl_certfile"], "cert_file", Kind::Text, None),
    option(NEW, &["ssl_key_file", "kombu_ssl_keyfile"], "key_file", Kind::Text, None),
];

pub(super) const QPID: &[Setting] = &[
    option(OLD, &["qpid_hostname"], "host", Kind::Address, Some("localhost")),
    option(OLD, &["qpid_port"], "port", Kind::Address, Some("5672")),
    option(OLD, &["qpid_protocol"], "", Kind::Tls, Some("tcp")),
    option(OLD, &["qpid_username"], "user", Kind::Address, None),
    option(OLD, &["qpid_password"], "password", Kind::Address, None),
    option(OLD, &["qpid_sasl_mechanisms"], "sasl_mechanism", Kind::Words, None),
    option(
        OLD,
        &["qpid_notification_exchange", "control_exchange"],
        "exchange",
        Kind::Text,
        Some("glance"),
    ),
    option(
        &["oslo_messaging_notifications", DEFAULT],
        &["qpid_notification_topic", "notification_topics", "topics"],
        "topic",
        Kind::One,
        Some("notifications"),
    ),
];

const RETRIES: &str =
    "what is not delivered is tried again, with growing pauses, as long as it is queued";
const NOT_OURS: &str =
    "queues are declared without such arguments; a policy of the broker bounds them";
const NEVER_BLOCKS: &str = "a frozen broker is noticed within seconds by other means";

/// Options that are set in vain: their section, their name and why.
pub(super) const IGNORED: &[(&[&str], &str, &str)] = &[
    (OLD, "rabbit_max_retries", RETRIES),
    (OLD, "rabbit_retry_backoff", RETRIES),
    (OLD, "rabbit_retry_max_backoff", RETRIES),
    (NEW, "rabbit_retry_interval", RETRIES),
    (NEW, "rabbit_interval_max", RETRIES),
    (NEW, "heartbeat_timeout_threshold", NEVER_BLOCKS),
    (NEW, "rabbit_ha_queues", NOT_OURS),
    (NEW, "rabbit_quorum_delivery_limit", NOT_OURS),
    (NEW, "rabbit_quorum_max_memory_length", NOT_OURS),
    (NEW, "rabbit_quorum_max_memory_bytes", NOT_OURS),
    (NEW, "amqp_auto_delete", "queues stay when nobody reads them"),
    (NEW, "kombu_compression", "bodies are not compressed"),
    (&["oslo_messaging_notifications"], "retry", RETRIES),
    (OLD, "qpid_reconnect_timeout", RETRIES),
    (OLD, "qpid_reconnect_limit", RETRIES),
    (OLD, "qpid_reconnect_interval_min", RETRIES),
    (OLD, "qpid_reconnect_interval_max", RETRIES),
    (OLD, "qpid_reconnect_interval", RETRIES),
    (OLD, "qpid_heartbeat", NEVER_BLOCKS),
    (OLD, "qpid_tcp_nodelay", "it is always on"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_documented() {
        let doc = include_str!("../../../../../docs/configuration.md");
        let mapped = RABBIT.iter().chain(QPID).flat_map(|setting| setting.names.iter().copied());
        let ignored = IGNORED.iter().map(|(_, name, _)| *name);
        for name in mapped.chain(ignored) {
            assert!(doc.contains(&format!("`{name}`")), "{name}");
        }
    }
}
