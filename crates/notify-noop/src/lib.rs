//! The strategy `noop`: wants nothing, keeps nothing. Glance's default, and ours.
//!
//! A notifier built on it encodes nothing and allocates nothing: [`Transport::wants`] is read once,
//! when the notifier is built.

use async_trait::async_trait;
use notify_core::{Batch, Driver, EventType, Options, Result, Transport, Verdict};
use serde::Deserialize;

/// How the strategy `noop` is opened. It has no options.
pub const DRIVER: Driver = Driver { name: "noop", aliases: &["default"], open };

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

fn open(options: Options) -> Result<Box<dyn Transport>> {
    options.parse::<NoOptions>()?;
    Ok(Box::new(Noop))
}
