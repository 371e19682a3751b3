//! The contract of transports, and the transports that are compiled in.
//!
//! To deliver to a destination of your own, implement [`Transport`] and give the transport to
//! [`Notifier::builder`](crate::Notifier::builder), or to
//! [`Config::builder_for`](crate::Config::builder_for) with the operator's configuration. The example
//! `own_transport` shows a whole one.
//! To change the options of a transport in code, use the module with its strategy's name, such as
//! `log` or `rabbit`.

#[cfg(feature = "log")]
pub use notify_log as log;
#[cfg(feature = "noop")]
pub use notify_noop as noop;
#[cfg(feature = "qpid")]
pub use notify_qpid as qpid;
#[cfg(feature = "rabbit")]
pub use notify_rabbit as rabbit;
#[cfg(feature = "spool")]
pub use notify_spool as spool;

// For the command, whose files the same rule protects.
#[doc(hidden)]
pub use notify_core::listener::durable_file::refuse_special_file_at;
pub use notify_core::redact::{Printable, printable, printable_path};
pub use notify_core::transport::{
    Batch, BlockedGuard, BrokerCounters, BrokerStats, Finding, FindingState, Lane, Lanes,
    LatencyStats, Settlements, Transport, Verdict, async_trait, run_on_thread,
};

pub use crate::start::open;
pub use crate::strategies::{DRIVERS, FEATURES};
