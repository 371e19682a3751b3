//! The descriptions of the keys of `[listener]`, `[[source]]` and `[archive]`.

use super::config_key::{ConfigKey, KeyKind, key};

/// The keys of `[listener]`.
pub(super) const LISTENER: &[ConfigKey] = &[
    key(
        "listener.prefetch",
        KeyKind::Number,
        "`200`",
        "The largest number of unsettled deliveries of each source. At least 1. Set it to at least twice \
         the size of your batches.",
    ),
    key(
        "listener.attempts",
        KeyKind::Number,
        "`5`",
        "The number of failures that count, after which a delivery becomes a dead letter. At least 1.",
    ),
    key(
        "listener.max_message_bytes",
        KeyKind::Bytes,
        "`1048576`",
        "The largest notification. A larger one is unreadable. An envelope around it may have twice as many \
         bytes and 8 KiB, so each source takes at most `prefetch` × that much memory.",
    ),
    key(
        "listener.dead_letters",
        KeyKind::Path,
        "none",
        "The file of dead letters, which the listener creates with mode 0600. Without it, the listener \
         discards such a message and logs the reason. It warns you at the start if a queue stays \
         (`source.queue`, `source.pool`), and refuses queues of others (`source.consume`), except a stream, \
         because they lose the message too. `glance-notify archive` needs no file: it keeps what it cannot read.",
    ),
    key(
        "listener.max_dead_letter_bytes",
        KeyKind::Bytes,
        "`67108864`",
        "The size at which the file of dead letters is full. Reading then pauses until you move the \
         file away.",
    ),
];

/// The keys of `[archive]`.
pub(super) const ARCHIVE: &[ConfigKey] = &[key(
    "archive.dir",
    KeyKind::Path,
    "none",
    "The directory of the archive that `glance-notify archive` fills from the sources.",
)];

/// The keys of each `[[source]]`.
pub(super) const SOURCE: &[ConfigKey] = &[
    key(
        "source.name",
        KeyKind::Text,
        "the path, or the host with the virtual host",
        "The name in logs, reports and counters. Each source has a name of its own.",
    ),
    key("source.region", KeyKind::Text, "none", "The region that its notifications come from."),
    key("source.file", KeyKind::Path, "none", "The log file to follow; `-` is standard input."),
    key(
        "source.checkpoint",
        KeyKind::Path,
        "none",
        "The file that keeps how far `file` or a stream was acknowledged. Each source has a file of its \
         own. Without one, every run begins at `start`.",
    ),
    key(
        "source.start",
        KeyKind::Word,
        "begin of the file, next in the stream",
        "The place to start from without a checkpoint: in `file`, `begin` or `end`; in a stream, `first`, \
         `last`, `next`, an offset, or an age such as `12h`.",
    ),
    key(
        "source.form",
        KeyKind::Word,
        "`\"auto\"`",
        "The form of the lines: `json`, `log` (oslo.log), or `auto` by the first line.",
    ),
    key(
        "source.url",
        KeyKind::Text,
        "none",
        "The RabbitMQ to read from: `amqp://` or `amqps://`, the hosts, and the virtual host. The keys of \
         the login are those of `[rabbit]`: `host`, `port`, `user`, `password`, `password_file`, \
         `virtual_host`, `ca_file`, `cert_file`, `key_file`, `sasl_mechanism`, `heartbeat`, \
         `connect_timeout`.",
    ),
    key(
        "source.exchanges",
        KeyKind::TextList,
        "`[\"glance\"]`",
        "The exchanges to tap. Each service has its own, named by its `control_exchange`.",
    ),
    key(
        "source.topics",
        KeyKind::TextList,
        "`[\"notifications\", \"versioned_notifications\"]`",
        "The topics to tap.",
    ),
    key(
        "source.queue",
        KeyKind::Text,
        "none",
        "The name of a durable tap, whose queue `glance-notify.NAME` keeps messages while nothing reads it. \
         Without it, `pool` and `consume`, the tap is temporary.",
    ),
    key("source.pool", KeyKind::Text, "none", "The name of a pool of oslo.messaging to join."),
    key(
        "source.consume",
        KeyKind::TextList,
        "none",
        "The queues to consume. This takes the messages from their other consumers.",
    ),
    key(
        "source.queue_type",
        KeyKind::Word,
        "`\"classic\"`",
        "The type of the queue of `queue` or `pool`: `classic` or `quorum`; or `stream`, of `queue` or \
         `consume`.",
    ),
    key(
        "source.durable",
        KeyKind::Flag,
        "`true`",
        "Whether the queue of `pool` survives a restart of the broker.",
    ),
    key(
        "source.max_age",
        KeyKind::WholeSeconds,
        "`604800`",
        "The age beyond which the broker drops messages from the stream of `queue`.",
    ),
    key(
        "source.max_queue_bytes",
        KeyKind::Bytes,
        "64 MiB, with `queue` 1 GiB",
        "The size of a tap's queue beyond which the broker drops its oldest messages.",
    ),
    key(
        "source.management_url",
        KeyKind::Text,
        "none",
        "The management API that `glance-notify doctor` asks: `http://` or `https://`, and the host. \
         Without a user in it, the login is that of the source.",
    ),
];
