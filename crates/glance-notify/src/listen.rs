//! Reading notifications: the listener, its sources, and the contract of sources.
//!
//! A [`Listener`] hands notifications to your program, typed and redacted, and acknowledges each after
//! its work is done. The guide `docs/listening.md` shows how.
//!
//! With the feature `log`, [`FileSource`] follows a log file and [`LineSource`] reads standard input.

pub use notify_core::listener::{
    CoverageChange, DeadLetters, Delivery, DeliveryBatch, DeliveryCounts, Listener,
    ListenerBuilder, ListenerConfig, ListenerStats, SettlementOutcome, SettlementReceipt,
    SourceState, SourceStats, UnreadableMessage,
};
pub use notify_core::source;
#[cfg(feature = "log")]
pub use notify_log::{FileSource, FileSourceConfig, LineForm, LineSource};
