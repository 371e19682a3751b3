//! The descriptions of the keys of `[listener]` and `[[source]]`.

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
        "The largest message. A larger one is unreadable. Each source takes at most \
         `prefetch` × `max_message_bytes` of memory.",
    ),
    key(
        "listener.dead_letters",
        KeyKind::Path,
        "none",
        "The file of dead letters, which the listener creates with mode 0600. Without it, the listener \
         discards such a message and logs the reason.",
    ),
    key(
        "listener.max_dead_letter_bytes",
        KeyKind::Bytes,
        "`67108864`",
        "The size at which that file is full. Reading then pauses until you move the file away.",
    ),
];

/// The keys of each `[[source]]`.
pub(super) const SOURCE: &[ConfigKey] = &[
    key(
        "source.name",
        KeyKind::Text,
        "the path of the file",
        "The name in logs, reports and counters. Each source has a name of its own.",
    ),
    key("source.region", KeyKind::Text, "none", "The region that its notifications come from."),
    key("source.file", KeyKind::Path, "none", "The log file to follow; `-` is standard input."),
    key(
        "source.checkpoint",
        KeyKind::Path,
        "none",
        "The file that keeps how far `file` was acknowledged. Without it, every start reads the file \
         again.",
    ),
    key(
        "source.start",
        KeyKind::Word,
        "`\"begin\"`",
        "The place in `file` to start from if there is no checkpoint: `begin` or `end`.",
    ),
    key(
        "source.form",
        KeyKind::Word,
        "`\"auto\"`",
        "The form of the lines: `json`, `log` (oslo.log), or `auto` by the first line.",
    ),
];
