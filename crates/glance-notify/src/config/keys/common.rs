//! The descriptions of the keys of all strategies, and of the tables `[queue]` and `[spool]`.

use super::config_key::{ConfigKey, KeyKind, key};

/// The keys outside all tables.
pub(super) const TOP: &[ConfigKey] = &[
    key(
        "strategy",
        KeyKind::Word,
        "`\"noop\"`",
        "`noop` (or `default`), `log` (or `logging`), `rabbit`, `qpid`. Compile it in with \
         the Cargo feature of the same name.",
    ),
    key("publisher_id", KeyKind::Text, "the host name", "The name of the sender."),
    key(
        "disabled_notifications",
        KeyKind::TextList,
        "`[]`",
        "Event types (`image.create`) and groups (`image`, `task`: the part before the first \
         dot) that the notifier suppresses.",
    ),
    key(
        "payloads",
        KeyKind::Word,
        "`\"documented\"`",
        "`documented`: the shapes of Glance's specification; `glance`: the shapes that \
         Glance's code sends. It applies to typed events only.",
    ),
    key(
        "redact",
        KeyKind::Word,
        "`\"secrets\"`",
        "`secrets` masks values under secret-looking keys, and credentials and signatures in \
         URLs. `strict` also masks every scalar of `task_input`. `off` masks nothing.",
    ),
    key(
        "compat",
        KeyKind::Word,
        "none",
        "`openstack` presets `payloads`, `rabbit.durable`, `rabbit.envelope`, `qpid.envelope` and \
         `qpid.node` for OpenStack's consumers.",
    ),
    key("log_file", KeyKind::Path, "none", "The same as `log.file`."),
];

/// The keys of `[queue]`.
pub(super) const QUEUE: &[ConfigKey] = &[
    key(
        "queue.max_messages",
        KeyKind::Number,
        "`10000`",
        "The largest number of pending messages, including those in flight. At least 1.",
    ),
    key(
        "queue.max_bytes",
        KeyKind::Bytes,
        "`67108864`",
        "The largest memory that pending messages take: their bodies and contexts, and 256 bytes of \
         bookkeeping for each. At least enough for one message of the largest size.",
    ),
    key(
        "queue.overflow",
        KeyKind::Word,
        "`\"drop_newest\"`",
        "The message that a full queue drops: `drop_newest` or `drop_oldest`. Messages in \
         flight stay.",
    ),
    key(
        "queue.max_age",
        KeyKind::Seconds,
        "none",
        "The age at which the notifier drops an undelivered message. It does not apply to messages in \
         a spool: remove those with `spool drop`.",
    ),
    key(
        "queue.batch_messages",
        KeyKind::Number,
        "`1024`",
        "The largest number of messages in a batch. At least 1.",
    ),
    key(
        "queue.batch_bytes",
        KeyKind::Bytes,
        "`8388608`",
        "The largest number of bytes in a batch. A single message may exceed it.",
    ),
    key(
        "queue.attempt_timeout",
        KeyKind::Seconds,
        "`60`",
        "The longest time for one attempt to deliver a batch.",
    ),
    key(
        "queue.send_timeout",
        KeyKind::Seconds,
        "`120`",
        "The longest wait of `send` for an outcome, and of `enqueue` and `resend` for room. \
         The command has `--timeout` instead.",
    ),
    key(
        "queue.drain_timeout",
        KeyKind::Seconds,
        "`10`",
        "The longest time to deliver pending messages after the notifier is closed or the \
         command is interrupted.",
    ),
];

/// The keys of `[spool]`.
pub(super) const SPOOL: &[ConfigKey] = &[
    key(
        "spool.dir",
        KeyKind::Path,
        "none",
        "Required. The directory; its parent must exist. The spool creates it with mode 0700. \
         It must belong to the user of the process, and no other user may write to it. \
         Processes may share it.",
    ),
    key(
        "spool.max_bytes",
        KeyKind::Bytes,
        "`268435456`",
        "The most bytes of notifications that one process stores, including dead letters. Its \
         file can be up to twice as large. At least enough for one message of the largest \
         size.",
    ),
    key(
        "spool.max_messages",
        KeyKind::Number,
        "`1000000`",
        "The most notifications that one process stores, including dead letters. At least 1.",
    ),
    key(
        "spool.when_full",
        KeyKind::Word,
        "`\"retry\"`",
        "The reaction to a full spool: `retry` keeps notifications in the queue; `refuse` \
         refuses them.",
    ),
    key(
        "spool.on_corrupt",
        KeyKind::Word,
        "`\"refuse\"`",
        "The reaction to a file that is damaged or of a newer version: `refuse` accepts \
         nothing until you repair or remove the file; `quarantine` renames it to `….corrupt-` \
         and the time, warns, and begins a new one.",
    ),
];
