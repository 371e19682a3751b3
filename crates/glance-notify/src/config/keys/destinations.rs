//! The descriptions of the keys of `[[destination]]` that no other table has.

use super::config_key::{ConfigKey, KeyKind, key};

/// The own keys of each `[[destination]]`.
pub(super) const DESTINATION: &[ConfigKey] = &[
    key(
        "destination.name",
        KeyKind::Text,
        "none",
        "The name in logs, accounts and receipts, and the directory below `spool.dir`: lower-case letters, \
         digits, `-` and `_`. Each destination has a name of its own.",
    ),
    key(
        "destination.strategy",
        KeyKind::Word,
        "none",
        "The strategy of this destination. The table also takes `payloads`, `redact`, `compat`, \
         `disabled_notifications`, and tables `queue`, `spool`, `log`, `rabbit` and `qpid`; keys outside of \
         it are the defaults. `spool = false` leaves out the spool.",
    ),
    key(
        "destination.required",
        KeyKind::Flag,
        "`true`",
        "Whether receipts, `send` and `enqueue` wait for this destination.",
    ),
    key(
        "destination.events",
        KeyKind::TextList,
        "`[]`",
        "Patterns of event types, such as `image.*`, of which one must match. Empty means all.",
    ),
    key(
        "destination.priorities",
        KeyKind::WordList,
        "`[]`",
        "The priorities that this destination gets, such as `error`. Empty means all.",
    ),
];
