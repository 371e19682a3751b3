//! The strategy `noop`: wants nothing, keeps nothing. Glance's default, and ours.
//!
//! A notifier built on it encodes nothing and allocates nothing: [`Transport::wants`] is read once,
//! when the notifier is built.

use async_trait::async_trait;
use notify_core::config::{Driver, DriverOptions};
use notify_core::{Batch, EventType, Result, Transport, Verdict};
use serde::Deserialize;

/// How the strategy `noop` is opened. It has no options.
pub const DRIVER: Driver = Driver { name: "noop", aliases: &["default"], defaults: "{}", open };

/// Delivers nothing, successfully.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noop;

#[async_trait]
impl Transport for Noop {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    fn wants(&self, _: EventType) -> bool {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

fn open(options: DriverOptions) -> Result<Box<dyn Transport>> {
    options.parse::<NoOptions>()?;
    Ok(Box::new(Noop))
}

#[cfg(test)]
mod tests {
    use notify_conformance::{Capability, Harness, ReceivedMessage};

    use super::*;

    /// Nothing is a destination too.
    struct Nothing;

    #[async_trait]
    impl Harness for Nothing {
        const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
            (Capability::ReadBack, "noop keeps nothing"),
            (Capability::Metadata, "noop keeps nothing"),
            (Capability::Restart, "noop has nothing to restart"),
            (Capability::Stall, "noop has nothing to stall"),
            (Capability::Refuse, "noop refuses nothing"),
            (Capability::Retry, "noop takes everything at once"),
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

    notify_conformance::suite!(Nothing);

    #[test]
    fn wants_nothing_and_takes_no_options() {
        assert!(EventType::ALL.iter().all(|event_type| !Noop.wants(*event_type)));
        assert!(open(DriverOptions::default()).is_ok());
        let mut table = serde_json::Map::new();
        table.insert("file".into(), "x".into());
        let error = open(DriverOptions::new("noop", table)).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
