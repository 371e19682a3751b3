//! The descriptions of the keys of `[rabbit]`.

use super::broker;
use super::config_key::{ConfigKey, KeyKind, key};

/// The keys of `[rabbit]`.
pub(super) const RABBIT: &[ConfigKey] = &[
    broker::url("rabbit.url"),
    broker::host("rabbit.host"),
    broker::port("rabbit.port"),
    key(
        "rabbit.user",
        KeyKind::Text,
        "`\"guest\"` on this machine",
        "The user. There is no default for another machine.",
    ),
    key("rabbit.password", KeyKind::Text, "`\"guest\"` on this machine", "The password."),
    broker::password_file("rabbit.password_file"),
    key("rabbit.virtual_host", KeyKind::Text, "`\"/\"`", "The virtual host."),
    broker::ca_file("rabbit.ca_file"),
    broker::cert_file("rabbit.cert_file"),
    broker::key_file("rabbit.key_file"),
    key(
        "rabbit.sasl_mechanism",
        KeyKind::Word,
        "`\"PLAIN\"`",
        "`\"ANONYMOUS\"` logs in without a user. `\"EXTERNAL\"` logs in with the certificate. \
         It is the default if you set a certificate and neither user nor password.",
    ),
    key("rabbit.exchange", KeyKind::Text, "`\"glance\"`", "A topic exchange."),
    key(
        "rabbit.topic",
        KeyKind::Text,
        "`\"notifications\"`",
        "Queues and routing keys are the topic and the priority: `notifications.info`, \
         `notifications.warn`, `notifications.error`. The transport declares the queue of \
         another priority (`notifications.audit`) when the first such message comes.",
    ),
    key(
        "rabbit.durable",
        KeyKind::Flag,
        "`true`",
        "Whether exchange and queues survive a restart of the broker. `compat = \
         \"openstack\"` sets it to false.",
    ),
    key(
        "rabbit.queue_type",
        KeyKind::Word,
        "`\"classic\"`",
        "`\"quorum\"` keeps each queue on a majority of a cluster's nodes.",
    ),
    key(
        "rabbit.declare",
        KeyKind::Word,
        "`\"yes\"`",
        "`\"yes\"` declares missing exchanges and queues. `\"verify\"` requires them. \
         `\"no\"` does not look.",
    ),
    key(
        "rabbit.on_mismatch",
        KeyKind::Word,
        "`\"adopt\"`",
        "The reaction to an existing exchange or queue with other arguments: `\"adopt\"` uses it, and \
         warns if it is less safe. `\"refuse\"` is a permanent error.",
    ),
    broker::envelope("rabbit.envelope"),
    key(
        "rabbit.window",
        KeyKind::Number,
        "`1024`",
        "The most unconfirmed messages, 1 to 65536. Their bodies have at most 1 MiB together, \
         unless one message alone is larger.",
    ),
    key(
        "rabbit.connect_timeout",
        KeyKind::Seconds,
        "`10`",
        "For all hosts together, each with its share; and again for the declarations, and \
         for reading the password file and the TLS files.",
    ),
    key(
        "rabbit.refuse_unroutable_after",
        KeyKind::Seconds,
        "`60`",
        "The time for which a message may be unroutable before the transport refuses it.",
    ),
    key(
        "rabbit.confirm_timeout",
        KeyKind::Seconds,
        "`30`",
        "The longest time without a confirm while messages are unconfirmed.",
    ),
    key(
        "rabbit.heartbeat",
        KeyKind::WholeSeconds,
        "`10`",
        "1 to 3600. The transport gives up a broker that is silent for twice as long. The \
         URL's parameter `heartbeat` wins over this key.",
    ),
    key(
        "rabbit.backlog_warning",
        KeyKind::Number,
        "`10000`",
        "Messages in a queue without a consumer before you are warned; `0` disables the \
         warning.",
    ),
];
