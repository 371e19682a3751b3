//! The options of Glance and oslo.messaging as data: their names, their defaults, and our keys for them.
//!
//! The names are those of Glance's `glance/notifier/notify_kombu.py` and `notify_qpid.py`, and of
//! oslo.messaging's `[oslo_messaging_notifications]`, `[oslo_messaging_rabbit]`, `[oslo_messaging_qpid]`
//! and `[oslo_messaging_amqp]`. The deprecated names and groups come from oslo.messaging 2.5, 5.35 and 18.3.

use super::conf_files::OptionName;
use super::ini::DEFAULT;

/// The names of an option, its default, and the message about any other value.
///
/// The defaults are those of oslo.messaging's `rabbit_opts`, `amqp_opts`, `qpid_opts`, `amqp1_opts` and
/// `_notifier_opts`, of oslo.log, and of Glance's `notify_kombu.py` for `rabbit_retry_max_backoff`. An empty
/// default stands for none: every value differs from it.
pub(super) type DefaultedOption = (&'static [OptionName], &'static str, &'static str);

/// The options that say where a broker is and who logs in.
pub(super) struct BrokerOptions {
    /// Our strategy.
    pub(super) strategy: &'static str,
    /// The section that a parameter of a URL belongs to.
    pub(super) group: &'static str,
    /// A list of hosts with ports, which wins over `host` and `port`.
    pub(super) hosts: &'static [OptionName],
    pub(super) host: &'static [OptionName],
    pub(super) port: &'static [OptionName],
    pub(super) user: &'static [OptionName],
    pub(super) password: &'static [OptionName],
    /// The user and the password if neither the file nor its URL names one.
    pub(super) default_login: Option<&'static str>,
    pub(super) virtual_host: &'static [OptionName],
    pub(super) default_virtual_host: Option<&'static str>,
    /// A Boolean, or `ssl` and `tcp`, that asks for TLS. It translates to the scheme of a URL.
    pub(super) tls: &'static [OptionName],
    /// The files of TLS, and our keys.
    pub(super) tls_files: &'static [(&'static str, &'static [OptionName])],
    pub(super) sasl_mechanisms: &'static [OptionName],
    /// Options that this crate does not support, unless they have their default.
    pub(super) unsupported: &'static [DefaultedOption],
    /// Options that have no effect here, and the reason.
    pub(super) ignored: &'static [DefaultedOption],
}

impl BrokerOptions {
    /// Returns the names of each option.
    fn names(&self) -> impl Iterator<Item = &'static [OptionName]> {
        let Self { hosts, host, port, user, password, virtual_host, tls, sasl_mechanisms, .. } =
            *self;
        let files = self.tls_files.iter().map(|(_, names)| *names);
        let unsupported = self.unsupported.iter().map(|(names, ..)| *names);
        let ignored = self.ignored.iter().map(|(names, ..)| *names);
        [hosts, host, port, user, password, virtual_host, tls, sasl_mechanisms]
            .into_iter()
            .chain(files)
            .chain(unsupported)
            .chain(ignored)
    }
}

/// Returns the names of every option that decides where notifications go, and of those that tune it.
pub(super) fn known_names() -> impl Iterator<Item = OptionName> {
    let brokers = [&RABBIT, &QPID, &AMQP].into_iter().flat_map(BrokerOptions::names);
    let glance = GLANCE_NAMES.iter().flat_map(|(_, exchange, topic)| [*exchange, *topic]);
    let ignored = NOTIFIER_IGNORED.iter().chain(LOG_IGNORED).map(|(names, ..)| *names);
    brokers.chain(glance).chain(ignored).chain(OTHERS.iter().copied()).flatten().copied()
}

const RABBIT_GROUP: &str = "oslo_messaging_rabbit";
const QPID_GROUP: &str = "oslo_messaging_qpid";
const AMQP_GROUP: &str = "oslo_messaging_amqp";
pub(super) const NOTIFICATIONS: &str = "oslo_messaging_notifications";

/// Creates the names of an option of RabbitMQ's driver, which once was in `[DEFAULT]`: the names in its
/// section, and the names in `[DEFAULT]` if they differ.
macro_rules! rabbit {
    ($name:literal) => {
        rabbit!($name; $name)
    };
    ($($name:literal),+; $($old:literal),+) => {
        &[$((RABBIT_GROUP, $name),)+ $((DEFAULT, $old),)+]
    };
}

/// Creates the names of an option of Qpid's driver, which once was in `[DEFAULT]`.
macro_rules! qpid {
    ($name:literal) => {
        &[(QPID_GROUP, $name), (DEFAULT, $name)]
    };
}

/// Creates the names of an option of the AMQP 1.0 driver.
macro_rules! amqp {
    ($name:literal) => {
        &[(AMQP_GROUP, $name), ("amqp1", $name)]
    };
}

/// The options for RabbitMQ.
pub(super) const RABBIT: BrokerOptions = BrokerOptions {
    strategy: "rabbit",
    group: RABBIT_GROUP,
    hosts: rabbit!("rabbit_hosts"),
    host: rabbit!("rabbit_host"),
    port: rabbit!("rabbit_port"),
    user: rabbit!("rabbit_userid"),
    password: rabbit!("rabbit_password"),
    default_login: Some("guest"),
    virtual_host: rabbit!("rabbit_virtual_host"),
    default_virtual_host: Some("/"),
    tls: rabbit!("ssl", "rabbit_use_ssl"; "rabbit_use_ssl"),
    tls_files: &[
        ("ca_file", rabbit!("ssl_ca_file", "kombu_ssl_ca_certs"; "kombu_ssl_ca_certs")),
        ("cert_file", rabbit!("ssl_cert_file", "kombu_ssl_certfile"; "kombu_ssl_certfile")),
        ("key_file", rabbit!("ssl_key_file", "kombu_ssl_keyfile"; "kombu_ssl_keyfile")),
    ],
    sasl_mechanisms: rabbit!("rabbit_login_method"),
    unsupported: &[(rabbit!("fake_rabbit"), "false", "Glance would send nothing: remove it")],
    ignored: &[
        (rabbit!("ssl_version", "kombu_ssl_version"; "kombu_ssl_version"), "", TLS_VERSION),
        (rabbit!("rabbit_max_retries"), "0", RETRIES),
        (rabbit!("rabbit_retry_backoff"), "2", RETRIES),
        (&[(DEFAULT, "rabbit_retry_max_backoff")], "30", RETRIES),
        (&[(RABBIT_GROUP, "rabbit_retry_interval")], "1", RETRIES),
        (&[(RABBIT_GROUP, "rabbit_interval_max")], "30", RETRIES),
        (&[(RABBIT_GROUP, "heartbeat_timeout_threshold")], "60", DETECTION),
        (rabbit!("rabbit_ha_queues"), "false", POLICY),
        (&[(RABBIT_GROUP, "rabbit_quorum_delivery_limit")], "0", POLICY),
        (&[(RABBIT_GROUP, "rabbit_quorum_max_memory_length")], "0", POLICY),
        (&[(RABBIT_GROUP, "rabbit_quorum_max_memory_bytes")], "0", POLICY),
        (rabbit!("amqp_auto_delete"), "false", "queues remain when they have no consumers"),
        (&[(RABBIT_GROUP, "kombu_compression")], "", "message bodies are never compressed"),
    ],
};

/// The options for Qpid, by Glance's and oslo.messaging's drivers for AMQP 0-10.
pub(super) const QPID: BrokerOptions = BrokerOptions {
    strategy: "qpid",
    group: QPID_GROUP,
    hosts: qpid!("qpid_hosts"),
    host: qpid!("qpid_hostname"),
    port: qpid!("qpid_port"),
    user: qpid!("qpid_username"),
    password: qpid!("qpid_password"),
    default_login: None,
    virtual_host: &[],
    default_virtual_host: None,
    tls: qpid!("qpid_protocol"),
    tls_files: &[],
    sasl_mechanisms: qpid!("qpid_sasl_mechanisms"),
    unsupported: &[(
        qpid!("qpid_topology_version"),
        "1",
        "only the exchange of topology 1 is supported: remove it",
    )],
    ignored: &[
        (qpid!("qpid_reconnect_timeout"), "0", RETRIES),
        (qpid!("qpid_reconnect_limit"), "0", RETRIES),
        (qpid!("qpid_reconnect_interval_min"), "0", RETRIES),
        (qpid!("qpid_reconnect_interval_max"), "0", RETRIES),
        (qpid!("qpid_reconnect_interval"), "0", RETRIES),
        (qpid!("qpid_heartbeat"), "60", DETECTION),
        (qpid!("qpid_tcp_nodelay"), "true", "TCP_NODELAY is always on"),
    ],
};

/// The options of oslo.messaging's driver for AMQP 1.0, which it had until version 14.
pub(super) const AMQP: BrokerOptions = BrokerOptions {
    strategy: "qpid",
    group: AMQP_GROUP,
    hosts: &[],
    host: &[],
    port: &[],
    user: amqp!("username"),
    password: amqp!("password"),
    default_login: None,
    virtual_host: &[],
    default_virtual_host: None,
    tls: amqp!("ssl"),
    tls_files: &[
        ("ca_file", amqp!("ssl_ca_file")),
        ("cert_file", amqp!("ssl_cert_file")),
        ("key_file", amqp!("ssl_key_file")),
    ],
    sasl_mechanisms: amqp!("sasl_mechanisms"),
    unsupported: &[
        (amqp!("ssl_key_password"), "", "encrypted keys are not supported: decrypt the key"),
        (amqp!("addressing_mode"), "dynamic", ADDRESSES),
        (amqp!("pseudo_vhost"), "true", ADDRESSES),
        (amqp!("notify_address_prefix"), "openstack.org/om/notify", ADDRESSES),
        (amqp!("default_notification_exchange"), "", ADDRESSES),
    ],
    ignored: &[
        (amqp!("idle_timeout"), "0", DETECTION),
        (amqp!("connection_retry_interval"), "1", RETRIES),
        (amqp!("connection_retry_backoff"), "2", RETRIES),
        (amqp!("connection_retry_interval_max"), "30", RETRIES),
    ],
};

/// The strategy that Glance had until 2014.1.
pub(super) const NOTIFIER_STRATEGY: &[OptionName] = &[(DEFAULT, "notifier_strategy")];
/// oslo.messaging's drivers. Values under both names add up.
pub(super) const DRIVER: &[OptionName] =
    &[(NOTIFICATIONS, "driver"), (DEFAULT, "notification_driver")];
/// The protocol of brokers, without a URL.
pub(super) const RPC_BACKEND: &[OptionName] = &[(DEFAULT, "rpc_backend")];
/// The URL of the broker for notifications alone.
pub(super) const NOTIFICATION_URL: &[OptionName] =
    &[(NOTIFICATIONS, "transport_url"), (DEFAULT, "notification_transport_url")];
/// The URL of the broker for everything.
pub(super) const TRANSPORT_URL: &[OptionName] = &[(DEFAULT, "transport_url")];
/// The topics of oslo.messaging.
pub(super) const TOPICS: &[OptionName] =
    &[(NOTIFICATIONS, "topics"), ("rpc_notifier2", "topics"), (DEFAULT, "notification_topics")];
/// The exchange of oslo.messaging.
pub(super) const CONTROL_EXCHANGE: &[OptionName] = &[(DEFAULT, "control_exchange")];
/// The exchange and the topic of Glance's own strategies, until 2014.1.
pub(super) const GLANCE_NAMES: &[(&str, &[OptionName], &[OptionName])] = &[
    (
        "rabbit",
        &[(DEFAULT, "rabbit_notification_exchange")],
        &[(DEFAULT, "rabbit_notification_topic")],
    ),
    ("qpid", &[(DEFAULT, "qpid_notification_exchange")], &[(DEFAULT, "qpid_notification_topic")]),
];
/// Whether RabbitMQ's exchange and queues survive a restart.
pub(super) const DURABLE: &[OptionName] =
    rabbit!("amqp_durable_queues"; "amqp_durable_queues", "rabbit_durable_queues");
/// Whether RabbitMQ's queues are quorum queues.
pub(super) const QUORUM: &[OptionName] = &[(RABBIT_GROUP, "rabbit_quorum_queue")];
/// Whether TLS checks the name of RabbitMQ's host.
pub(super) const HOST_NAME_CHECK: &[OptionName] =
    &[(RABBIT_GROUP, "ssl_enforce_hostname_verification")];
/// Arguments of Qpid's queues, which the broker decides here.
const QPID_QUEUES: &[OptionName] =
    &[(QPID_GROUP, "amqp_durable_queues"), (QPID_GROUP, "amqp_auto_delete")];
/// The sender's name.
pub(super) const PUBLISHER: &[OptionName] = &[(DEFAULT, "default_publisher_id")];
/// The event types and groups that Glance does not send.
pub(super) const DISABLED: &[OptionName] = &[(DEFAULT, "disabled_notifications")];
/// The file of the service's log.
pub(super) const LOG_FILE: &[OptionName] = &[(DEFAULT, "log_file"), (DEFAULT, "logfile")];
/// The directory of the service's log.
pub(super) const LOG_DIR: &[OptionName] = &[(DEFAULT, "log_dir"), (DEFAULT, "logdir")];
/// A file that configures Python's logging in place of all other options.
pub(super) const LOG_CONFIG: &[OptionName] =
    &[(DEFAULT, "log_config_append"), (DEFAULT, "log_config")];
/// A group with more sources of options.
pub(super) const CONFIG_SOURCE: &[OptionName] = &[(DEFAULT, "config_source")];

/// Options that oslo.messaging 18 reads by their first names alone.
pub(super) const RENAMED: &[&[OptionName]] =
    &[NOTIFICATION_URL, TOPICS, RABBIT.tls, DURABLE, RABBIT.sasl_mechanisms];
/// Options in whose place oslo.messaging 18 reads `transport_url`.
pub(super) const IN_URL: &[&[OptionName]] = &[
    RPC_BACKEND,
    RABBIT.hosts,
    RABBIT.host,
    RABBIT.port,
    RABBIT.user,
    RABBIT.password,
    RABBIT.virtual_host,
];

/// The options that belong to no broker.
const OTHERS: &[&[OptionName]] = &[
    NOTIFIER_STRATEGY,
    DRIVER,
    RPC_BACKEND,
    NOTIFICATION_URL,
    TRANSPORT_URL,
    TOPICS,
    CONTROL_EXCHANGE,
    DURABLE,
    QUORUM,
    HOST_NAME_CHECK,
    QPID_QUEUES,
    PUBLISHER,
    DISABLED,
    LOG_FILE,
    LOG_DIR,
    LOG_CONFIG,
    CONFIG_SOURCE,
];
/// Options of oslo.messaging's notifier that have no effect here.
pub(super) const NOTIFIER_IGNORED: &[DefaultedOption] =
    &[(&[(NOTIFICATIONS, "retry")], "-1", RETRIES)];
/// Options of the service's log that have no effect on the strategy `log`.
pub(super) const LOG_IGNORED: &[DefaultedOption] = &[
    (&[(DEFAULT, "use_syslog")], "false", LOG_FILE_ONLY),
    (&[(DEFAULT, "use_journal")], "false", LOG_FILE_ONLY),
    (&[(DEFAULT, "use_stderr")], "false", LOG_FILE_ONLY),
    (&[(DEFAULT, "default_log_levels")], "", "notifications have no log level"),
];

/// The reason to ignore options for retries.
const RETRIES: &str = "the worker retries queued messages with growing backoff";
/// The reason to ignore arguments of queues.
const POLICY: &str =
    "queues are declared without such arguments; set a policy on the broker to bound them";
/// The reason to ignore heartbeats.
const DETECTION: &str = "a frozen broker is detected within seconds without it";
/// The reason to ignore versions of TLS.
const TLS_VERSION: &str = "both sides agree on TLS 1.3 or 1.2";
/// The reason to ignore the service's other logs.
const LOG_FILE_ONLY: &str = "the strategy `log` writes to a file only";
/// The reason to refuse oslo.messaging's forms of addresses.
const ADDRESSES: &str =
    "oslo.messaging's addresses of AMQP 1.0 are not supported: remove it and set `qpid.address`";

/// The names of oslo.messaging's options that concern RPC, consumers or pools, and not where a
/// notification goes.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
    "rpc_conn_pool_size",
    "conn_pool_min_size",
    "conn_pool_ttl",
    "heartbeat_rate",
    "heartbeat_in_pthread",
    "kombu_reconnect_delay",
    "kombu_reconnect_splay",
    "kombu_reconnect_timeout",
    "kombu_missing_consumer_retry_timeout",
    "kombu_failover_strategy",
    "rabbit_transient_quorum_queue",
    "rabbit_transient_queues_ttl",
    "rabbit_qos_prefetch_count",
    "rabbit_stream_fanout",
    "direct_mandatory_flag",
    "enable_cancel_on_failover",
    "use_queue_manager",
    "hostname",
    "processname",
    "ssl_enforce_hostname_verification",
    "ssl_enforce_fips_mode",
    "qpid_receiver_capacity",
    "rpc_reply_retry_attempts",
    "send_single_reply",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/configuration.md` lists every option that decides where notifications go, and every option
    /// that you are warned of.
    #[test]
    fn every_option_is_documented() {
        let doc = include_str!("../../../../../docs/configuration.md");
        for (_, name) in known_names() {
            assert!(doc.contains(&format!("`{name}`")), "{name}");
        }
    }
}
