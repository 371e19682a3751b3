//! The strategy `noop`: it wants no event, so a notifier emits nothing.
//!
//! It is the default strategy, as in Glance. The notifier asks [`Transport::wants`] once, when it is
//! built. Afterwards `emit` neither encodes nor allocates, so the calls in your program cost nothing.
//!
//! # Examples
//!
//! ```
//! use notify_core::event::Payload;
//! use notify_core::{Event, Notifier};
//! use notify_noop::Noop;
//!
//! let (notifier, _worker) = Notifier::builder(Noop).build()?;
//! drop(notifier.emit(&Event::ImageUpload(Payload::Warn("the store is slow".into()))));
//!
//! let stats = notifier.stats();
//! assert_eq!((stats.emitted, stats.suppressed), (0, 1));
//! # Ok::<(), notify_core::Error>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

use async_trait::async_trait;
use notify_core::config::{Driver, DriverOptions};
use notify_core::{Batch, EventType, Result, Transport, Verdict};
use serde::Deserialize;

/// The driver of the strategy `noop`, also called `default`. It has no options.
///
/// # Examples
///
/// ```
/// use notify_core::config::DriverOptions;
///
/// let transport = (notify_noop::DRIVER.open)(DriverOptions::default())?;
/// assert_eq!(transport.name(), "noop");
/// # Ok::<(), notify_core::Error>(())
/// ```
pub const DRIVER: Driver = Driver { name: "noop", aliases: &["default"], defaults: "{}", open };

/// A transport without a destination.
///
/// It wants no event type. If you hand it messages all the same, it accepts them without keeping them.
///
/// # Examples
///
/// ```
/// use notify_core::{EventType, Transport};
/// use notify_noop::Noop;
///
/// assert!(!EventType::DOCUMENTED.iter().any(|event_type| Noop.wants(event_type)));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Noop;

#[async_trait]
impl Transport for Noop {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    fn wants(&self, _: &EventType) -> bool {
        false
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        batch.settle_rest(&Verdict::Accept);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The options of this strategy: none, so that every key is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoopOptions {}

/// Opens the transport, and refuses any option.
fn open(options: DriverOptions) -> Result<Box<dyn Transport>> {
    options.parse::<NoopOptions>()?;
    Ok(Box::new(Noop))
}

#[cfg(test)]
mod tests {
    use notify_conformance::{Capability, Harness, ReceivedMessage};

    use super::*;

    /// A harness without a destination. Noop must keep the rest of the contract.
    struct NoDestination;

    #[async_trait]
    impl Harness for NoDestination {
        const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
            (Capability::ReadBack, "noop keeps no message"),
            (Capability::Metadata, "noop keeps no message"),
            (Capability::Restart, "noop has no destination to restart"),
            (Capability::Stall, "noop has no destination to stall"),
            (Capability::Refuse, "noop accepts every message"),
            (Capability::Retry, "noop accepts every message"),
            (Capability::FullLane, "noop has one lane"),
            (Capability::SilentLane, "noop has one lane"),
        ];

        async fn start() -> Self {
            Self
        }

        fn transport(&self) -> Box<dyn Transport> {
            Box::new(Noop)
        }

        async fn received(&mut self) -> Vec<ReceivedMessage> {
            Vec::new()
        }

        async fn open_handles(&mut self) -> usize {
            0
        }
    }

    notify_conformance::suite!(NoDestination);

    /// Wants no event type, and refuses options by name.
    #[test]
    fn wants_no_event_and_takes_no_options() {
        assert!(EventType::DOCUMENTED.iter().all(|event_type| !Noop.wants(event_type)));
        assert!(open(DriverOptions::default()).is_ok());
        let mut table = serde_json::Map::new();
        table.insert("file".into(), "x".into());
        let error = open(DriverOptions::new("noop", table)).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
