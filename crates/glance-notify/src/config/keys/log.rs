//! The descriptions of the keys of `[log]`.

use super::config_key::{ConfigKey, KeyKind, key};

/// The keys of `[log]`.
pub(super) const LOG: &[ConfigKey] = &[
    key(
        "log.file",
        KeyKind::Path,
        "none",
        "The file to append to; its directory must exist. The strategy creates the file with \
         mode 0640. Required for the target `file`.",
    ),
    key(
        "log.target",
        KeyKind::Word,
        "`\"file\"`",
        "`file`; `stdout`, the standard output, for containers; `tracing`, the program's own \
         logging.",
    ),
    key(
        "log.sync",
        KeyKind::Flag,
        "`true`",
        "Whether *delivered* means on the disk. If false, a power cut loses notifications \
         that were reported delivered.",
    ),
    key(
        "log.envelope",
        KeyKind::Word,
        "`\"bare\"`",
        "`\"oslo-2.0\"` wraps the notification as oslo.messaging's `messagingv2` does. \
         `\"cloudevents\"` writes a CloudEvent in structured mode, with the context.",
    ),
];
