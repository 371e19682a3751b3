//! The descriptions of the keys of `[qpid]`.

use super::broker;
use super::config_key::{ConfigKey, KeyKind, key};

/// The keys of `[qpid]`.
pub(super) const QPID: &[ConfigKey] = &[
    broker::url("qpid.url"),
    broker::host("qpid.host"),
    broker::port("qpid.port"),
    key("qpid.user", KeyKind::Text, "none", "The user."),
    key("qpid.password", KeyKind::Text, "none", "The password."),
    broker::password_file("qpid.password_file"),
    key(
        "qpid.virtual_host",
        KeyKind::Text,
        "none",
        "The hostname of AMQP's Open, as it is. RabbitMQ expects `vhost:NAME`.",
    ),
    broker::ca_file("qpid.ca_file"),
    broker::cert_file("qpid.cert_file"),
    broker::key_file("qpid.key_file"),
    key(
        "qpid.sasl_mechanism",
        KeyKind::WordList,
        "depends on the login",
        "`\"PLAIN\"`, `\"ANONYMOUS\"` or `\"EXTERNAL\"`. Order a list by preference: the \
         transport uses the first that the broker offers. The default is PLAIN with a user, EXTERNAL \
         with a certificate and no user, and else ANONYMOUS.",
    ),
    key(
        "qpid.node",
        KeyKind::Word,
        "`\"queue\"`",
        "`\"queue\"`: one queue for each priority, `notifications.info`. `\"topic\"`: the \
         exchange, with the subject `notifications.info`. `compat = \"openstack\"` sets \
         `\"topic\"`.",
    ),
    key(
        "qpid.dialect",
        KeyKind::Word,
        "`\"auto\"`",
        "The form of addresses: `\"qpidd\"`, `\"rabbitmq-3\"`, `\"rabbitmq\"`, \
         `\"activemq\"`, `\"artemis\"`, `\"plain\"`. `\"auto\"` follows the product name that the broker \
         sends.",
    ),
    key(
        "qpid.address",
        KeyKind::Text,
        "the dialect's",
        "A target address of your own, with `{exchange}`, `{topic}` and `{priority}` in it.",
    ),
    key("qpid.exchange", KeyKind::Text, "`\"glance\"`", "The exchange of `node = \"topic\"`."),
    key(
        "qpid.topic",
        KeyKind::Text,
        "`\"notifications\"`",
        "Queues and subjects are the topic and the priority.",
    ),
    broker::envelope("qpid.envelope"),
    key(
        "qpid.window",
        KeyKind::Number,
        "`256`",
        "The most unsettled messages of one address, 1 to 65536.",
    ),
    key(
        "qpid.connect_timeout",
        KeyKind::Seconds,
        "`10`",
        "For all hosts together, each with its share; and again for all links that an attempt \
         must attach, and for reading the password file and the TLS files.",
    ),
    key(
        "qpid.refuse_unroutable_after",
        KeyKind::Seconds,
        "`60`",
        "The time for which the broker may reject a message without a known condition, or report \
         its node as missing, before the transport refuses it.",
    ),
    key(
        "qpid.confirm_timeout",
        KeyKind::Seconds,
        "`30`",
        "The longest time without an outcome while messages are unsettled. It doubles up to 5 \
         minutes for as long as the broker settles nothing for that address.",
    ),
    key(
        "qpid.heartbeat",
        KeyKind::WholeSeconds,
        "`10`",
        "1 to 3600. The transport gives up a broker that is silent for twice as long.",
    ),
];
