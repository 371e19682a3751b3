//! The options of Glance's notifiers as data: their names, their defaults, and our keys for them.
//!
//! The names are those of Glance's `glance/notifier/notify_kombu.py` and `notify_qpid.py`, and of
//! oslo.messaging's `[oslo_messaging_notifications]` and `[oslo_messaging_rabbit]`.

use super::ini::DEFAULT;

/// An option of Glance and the key that it translates to.
pub(super) struct OptionTranslation {
    /// The sections that may set it. The first that does takes effect.
    pub(super) sections: &'static [&'static str],
    /// The names of the option. The first that the section sets takes effect.
    pub(super) names: &'static [&'static str],
    /// The key in our table of the strategy.
    pub(super) key: &'static str,
    pub(super) kind: ValueKind,
    /// Glance's default in the form of `--set`. `None` leaves ours in effect.
    pub(super) default: Option<&'static str>,
}

/// The type of an option's value, and how it translates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// A string.
    Text,
    /// A Boolean.
    Flag,
    /// A list of topics, of which this crate supports one.
    SingleTopic,
    /// A list of words, separated by spaces or commas.
    Words,
    /// A part of the broker's address, which a URL replaces. A string, or a number for the port.
    Address,
    /// A Boolean, or `ssl` and `tcp`, that asks for TLS. It translates to the scheme of a URL.
    Tls,
    /// A Boolean that makes the queues quorum queues.
    Quorum,
}

/// Creates a row of the tables below.
const fn translation(
    sections: &'static [&'static str],
    names: &'static [&'static str],
    key: &'static str,
    kind: ValueKind,
    default: Option<&'static str>,
) -> OptionTranslation {
    OptionTranslation { sections, names, key, kind, default }
}

/// The section of Glance's own options, and of early oslo.messaging.
const GLANCE: &[&str] = &[DEFAULT];
/// The section of oslo.messaging's options for RabbitMQ.
const OSLO: &[&str] = &["oslo_messaging_rabbit"];
/// Both, for options that moved from the first to the second.
const BOTH: &[&str] = &[DEFAULT, "oslo_messaging_rabbit"];

/// The options for `strategy = "rabbit"`.
pub(super) const RABBIT: &[OptionTranslation] = &[
    translation(BOTH, &["rabbit_host"], "host", ValueKind::Address, Some("localhost")),
    translation(BOTH, &["rabbit_port"], "port", ValueKind::Address, Some("5672")),
    translation(BOTH, &["rabbit_use_ssl", "ssl"], "", ValueKind::Tls, None),
    translation(BOTH, &["rabbit_userid"], "user", ValueKind::Address, Some("guest")),
    translation(BOTH, &["rabbit_password"], "password", ValueKind::Address, Some("guest")),
    translation(BOTH, &["rabbit_virtual_host"], "virtual_host", ValueKind::Address, Some("/")),
    translation(
        GLANCE,
        &["rabbit_notification_exchange", "control_exchange"],
        "exchange",
        ValueKind::Text,
        Some("glance"),
    ),
    translation(
        &["oslo_messaging_notifications", DEFAULT],
        &["rabbit_notification_topic", "notification_topics", "topics"],
        "topic",
        ValueKind::SingleTopic,
        Some("notifications"),
    ),
    translation(
        BOTH,
        &["rabbit_durable_queues", "amqp_durable_queues"],
        "durable",
        ValueKind::Flag,
        Some("false"),
    ),
    translation(OSLO, &["rabbit_quorum_queue"], "queue_type", ValueKind::Quorum, None),
    translation(OSLO, &["ssl_ca_file", "kombu_ssl_ca_certs"], "ca_file", ValueKind::Text, None),
    translation(OSLO, &["ssl_cert_file", "kombu_ssl_certfile"], "cert_file", ValueKind::Text, None),
    translation(OSLO, &["ssl_key_file", "kombu_ssl_keyfile"], "key_file", ValueKind::Text, None),
];

/// The options for `strategy = "qpid"`.
pub(super) const QPID: &[OptionTranslation] = &[
    translation(GLANCE, &["qpid_hostname"], "host", ValueKind::Address, Some("localhost")),
    translation(GLANCE, &["qpid_port"], "port", ValueKind::Address, Some("5672")),
    translation(GLANCE, &["qpid_protocol"], "", ValueKind::Tls, Some("tcp")),
    translation(GLANCE, &["qpid_username"], "user", ValueKind::Address, None),
    translation(GLANCE, &["qpid_password"], "password", ValueKind::Address, None),
    translation(GLANCE, &["qpid_sasl_mechanisms"], "sasl_mechanism", ValueKind::Words, None),
    translation(
        GLANCE,
        &["qpid_notification_exchange", "control_exchange"],
        "exchange",
        ValueKind::Text,
        Some("glance"),
    ),
    translation(
        &["oslo_messaging_notifications", DEFAULT],
        &["qpid_notification_topic", "notification_topics", "topics"],
        "topic",
        ValueKind::SingleTopic,
        Some("notifications"),
    ),
];

/// Options that have no effect here: their sections, their name, and the reason.
pub(super) const IGNORED: &[(&[&str], &str, &str)] = &[
    (GLANCE, "rabbit_max_retries", RETRIES),
    (GLANCE, "rabbit_retry_backoff", RETRIES),
    (GLANCE, "rabbit_retry_max_backoff", RETRIES),
    (OSLO, "rabbit_retry_interval", RETRIES),
    (OSLO, "rabbit_interval_max", RETRIES),
    (OSLO, "heartbeat_timeout_threshold", DETECTION),
    (OSLO, "rabbit_ha_queues", POLICY),
    (OSLO, "rabbit_quorum_delivery_limit", POLICY),
    (OSLO, "rabbit_quorum_max_memory_length", POLICY),
    (OSLO, "rabbit_quorum_max_memory_bytes", POLICY),
    (OSLO, "amqp_auto_delete", "queues remain when they have no consumers"),
    (OSLO, "kombu_compression", "message bodies are never compressed"),
    (&["oslo_messaging_notifications"], "retry", RETRIES),
    (GLANCE, "qpid_reconnect_timeout", RETRIES),
    (GLANCE, "qpid_reconnect_limit", RETRIES),
    (GLANCE, "qpid_reconnect_interval_min", RETRIES),
    (GLANCE, "qpid_reconnect_interval_max", RETRIES),
    (GLANCE, "qpid_reconnect_interval", RETRIES),
    (GLANCE, "qpid_heartbeat", DETECTION),
    (GLANCE, "qpid_tcp_nodelay", "TCP_NODELAY is always on"),
];

/// The reason to ignore options for retries.
const RETRIES: &str = "the worker retries queued messages with growing backoff";
/// The reason to ignore arguments of queues.
const POLICY: &str =
    "queues are declared without such arguments; set a policy on the broker to bound them";
/// The reason to ignore heartbeats.
const DETECTION: &str = "a frozen broker is detected within seconds without it";

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/configuration.md` lists every option that this file translates or ignores.
    #[test]
    fn every_option_is_documented() {
        let doc = include_str!("../../../../../docs/configuration.md");
        let mapped = RABBIT.iter().chain(QPID).flat_map(|option| option.names.iter().copied());
        let ignored = IGNORED.iter().map(|(_, name, _)| *name);
        for name in mapped.chain(ignored) {
            assert!(doc.contains(&format!("`{name}`")), "{name}");
        }
    }
}
