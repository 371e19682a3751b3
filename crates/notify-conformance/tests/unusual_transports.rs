//! Transports that break the contract, or keep it in another way than the script, and their clauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify_conformance::clauses::{
    a_failing_lane_delays_no_other, a_silent_lane_delays_the_others_once,
    a_stalled_send_can_be_dropped,
};
use notify_conformance::script::Script;
use notify_conformance::{Capability, Harness, LaneFault, ReceivedMessage};
use notify_core::transport::{Lanes, async_trait};
use notify_core::{
    Batch, Error, ErrorKind, EventType, Outcome, Priority, Result, Transport, Verdict,
};
use tokio::time::timeout;

/// A full lane that makes all others wait fails the clause, and does not hang in it.
#[tokio::test(start_paused = true)]
#[should_panic(expected = "timed out after 90 s waiting for")]
async fn finds_a_transport_whose_full_lane_delays_all() {
    let clause = a_failing_lane_delays_no_other::<HeadOfLine>();
    drop(timeout(Duration::from_secs(3600), clause).await);
}

/// A transport may have a shorter deadline than the clause, and report the silence in either way.
#[tokio::test(start_paused = true)]
async fn a_transport_may_have_a_short_deadline() {
    a_stalled_send_can_be_dropped::<ImpatientScript<false>>().await;
    a_stalled_send_can_be_dropped::<ImpatientScript<true>>().await;
}

/// A transport that asks to retry the messages of a silent lane needs no duplicate.
#[tokio::test(start_paused = true)]
async fn a_transport_that_settles_silent_messages_needs_no_duplicate() {
    a_silent_lane_delays_the_others_once::<ImpatientScript<true>>().await;
}

/// A destination that keeps nothing, and the wrong transport to it: the first message of the full lane ends
/// each attempt.
#[derive(Clone, Debug, Default)]
struct HeadOfLine(Arc<AtomicBool>);

#[async_trait]
impl Harness for HeadOfLine {
    const UNSUPPORTED: &'static [(Capability, &'static str)] =
        &[(Capability::ReadBack, "it keeps nothing")];

    async fn start() -> Self {
        Self::default()
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.clone())
    }

    async fn received(&mut self) -> Vec<ReceivedMessage> {
        Vec::new()
    }

    async fn open_handles(&mut self) -> usize {
        0
    }

    async fn set_lane_fault(&mut self, _: Priority, fault: Option<LaneFault>) {
        self.0.store(fault.is_some(), Ordering::Relaxed);
    }
}

#[async_trait]
impl Transport for HeadOfLine {
    fn name(&self) -> &'static str {
        "head of line"
    }

    fn lanes(&self) -> Lanes {
        Lanes::by_priority(|priority| priority.lower().to_owned())
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        for (index, message) in batch.messages().iter().enumerate() {
            if message.priority() == Priority::Info && self.0.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Full, "the queue is full"));
            }
            batch.settle(index, Verdict::Accept);
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A script whose transports have a deadline of 200 ms and no duplicate. If `SETTLES`, they then ask to retry
/// the messages without an answer; otherwise the attempt fails.
struct ImpatientScript<const SETTLES: bool>(Script);

#[async_trait]
impl<const SETTLES: bool> Harness for ImpatientScript<SETTLES> {
    const UNSUPPORTED: &'static [(Capability, &'static str)] = Script::UNSUPPORTED;

    async fn start() -> Self {
        Self(Script::start().await)
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(ImpatientTransport { transport: self.0.transport(), settles: SETTLES })
    }

    async fn received(&mut self) -> Vec<ReceivedMessage> {
        self.0.received().await
    }

    async fn open_handles(&mut self) -> usize {
        self.0.open_handles().await
    }

    async fn stall(&mut self) {
        self.0.stall().await;
    }

    async fn resume(&mut self) {
        self.0.resume().await;
    }

    async fn set_lane_fault(&mut self, priority: Priority, fault: Option<LaneFault>) {
        self.0.set_lane_fault(priority, fault).await;
    }
}

/// The transport of an [`ImpatientScript`].
#[derive(Debug)]
struct ImpatientTransport {
    transport: Box<dyn Transport>,
    settles: bool,
}

#[async_trait]
impl Transport for ImpatientTransport {
    fn name(&self) -> &'static str {
        self.transport.name()
    }

    fn wants(&self, event_type: &EventType) -> bool {
        self.transport.wants(event_type)
    }

    fn lanes(&self) -> Lanes {
        self.transport.lanes()
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let sending = self.transport.send(batch);
        if let Ok(result) = timeout(Duration::from_millis(200), sending).await {
            return result;
        }
        let error = Error::new(ErrorKind::Timeout, "no answer").with_outcome(Outcome::Unknown);
        if !self.settles {
            return Err(error);
        }
        batch.settle_rest(&Verdict::Retry(error));
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.transport.close().await
    }
}
