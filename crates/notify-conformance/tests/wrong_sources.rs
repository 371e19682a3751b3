//! Sources that break their contract, and the clauses that find this out.

use async_trait::async_trait;
use notify_conformance::source_clauses::single_acknowledgements_settle_nothing_else;
use notify_conformance::source_script::SourceScript;
use notify_conformance::{SourceCapability, SourceHarness, suite};
use notify_core::Result;
use notify_core::source::{Credit, DeliverySettlements, Reception, SettlementMode, Source};

/// Messages before a single acknowledgement are lost, as by `multiple` of a broker.
#[test]
#[should_panic(expected = "2 of 5 messages are acknowledged, and 1 are left")]
fn finds_a_source_that_acknowledges_others_too() {
    suite::run_clause(single_acknowledgements_settle_nothing_else::<WrongScript<false>>());
}

/// Messages with a single acknowledgement come again.
#[test]
#[should_panic(expected = "2 of 5 messages are acknowledged, and 5 are left")]
fn finds_a_source_that_ignores_single_acknowledgements() {
    suite::run_clause(single_acknowledgements_settle_nothing_else::<WrongScript<true>>());
}

/// A script whose sources ignore single acknowledgements, or carry out the last one with `multiple`.
struct WrongScript<const IGNORES_ACKS: bool>(SourceScript);

#[async_trait]
impl<const IGNORES_ACKS: bool> SourceHarness for WrongScript<IGNORES_ACKS> {
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)] = SourceScript::UNSUPPORTED;

    async fn start() -> Self {
        Self(SourceScript::default())
    }

    async fn source(&mut self) -> Box<dyn Source> {
        Box::new(WrongSource { source: self.0.source(), ignores_acks: IGNORES_ACKS })
    }

    async fn publish_bodies(&mut self, bodies: &[Vec<u8>]) {
        self.0.publish_bytes(bodies.to_vec());
    }

    async fn unacknowledged(&mut self) -> usize {
        self.0.unacked()
    }

    async fn open_handles(&mut self) -> usize {
        self.0.open_handles().await
    }
}

/// A source of a [`WrongScript`].
#[derive(Debug)]
struct WrongSource {
    source: Box<dyn Source>,
    ignores_acks: bool,
}

#[async_trait]
impl Source for WrongSource {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn settlement_mode(&self) -> SettlementMode {
        self.source.settlement_mode()
    }

    async fn receive(&mut self, credit: Credit) -> Result<Reception> {
        self.source.receive(credit).await
    }

    async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        let last = settlements.acks.last().filter(|_| !self.ignores_acks);
        let through = last.copied().or(settlements.through);
        let releases = settlements.releases.clone();
        let wrong = DeliverySettlements { through, acks: Vec::new(), releases };
        self.source.settle(&wrong).await
    }

    async fn close(&mut self) -> Result<()> {
        self.source.close().await
    }
}
