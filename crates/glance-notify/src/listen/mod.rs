//! Reading notifications: the listener, its sources, and the contract of sources.
//!
//! A [`Listener`] hands notifications to your program, typed and redacted, and acknowledges each after
//! its work is done. [`listen`](crate::listen()) starts one from a configuration, [`builder`] lets you
//! change it before. The guide `docs/listening.md` shows how.
//!
//! * With the feature `log`, `FileSource` follows a log file and `LineSource` reads standard input.
//! * With the feature `rabbit`, `RabbitSource` reads from RabbitMQ.

#[cfg(feature = "log")]
mod file_place;
mod source_config;
mod start;

pub use notify_core::listener::{
    CoverageChange, DeadLetter, DeadLetterFile, DeadLetterLine, DeadLetters, Delivery,
    DeliveryBatch, DeliveryCounts, Listener, ListenerAccountReader, ListenerBuilder,
    ListenerConfig, ListenerStats, SequenceGap, SequenceGaps, SettlementOutcome, SettlementReceipt,
    SourceState, SourceStats, UnreadableMessage,
};
pub use notify_core::source;
#[cfg(feature = "log")]
pub use notify_log::{ContextLine, FileSource, FileSourceConfig, LineForm, LineSource};
#[cfg(feature = "rabbit")]
pub use notify_rabbit::{
    QueueDepth, QueueDepths, RabbitSource, RabbitSourceConfig, SourceQueue, StreamPosition,
    StreamStart,
};
pub use source_config::SourceConfig;
pub use start::{builder, builder_of, check_checkpoints, dead_letters, listen, listener_config};
