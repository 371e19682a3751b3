//! The transport contract, and the transports that are compiled in.

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

pub use notify_core::redact::{Printable, printable};
pub use notify_core::transport::{
    Batch, Finding, FindingState, Settlements, Transport, Verdict, async_trait,
};

pub use crate::strategy::{DRIVERS, FEATURES, open};
