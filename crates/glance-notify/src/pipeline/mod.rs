//! The emitting pipeline: a bounded queue, one worker, receipts, accounts, and the metrics of these.

#[cfg(feature = "metrics")]
pub mod metrics;

pub use notify_core::pipeline::*;
