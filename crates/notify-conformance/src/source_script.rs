//! A source that follows a script, for tests of code that reads with a listener.
//!
//! The place is a queue in memory, with the manners of a broker or of a file. A [`SourceScript`] is
//! also a [`SourceHarness`] with every capability but a tap, so the suite runs against it: this proves that
//! each clause without a tap can be satisfied.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use notify_core::source::{
    Credit, DeliverySettlements, IncomingBody, IncomingDelivery, Position, Reception,
    SettlementMode, Source,
};
use notify_core::{Error, ErrorKind, Message, Result};
use tokio::sync::Notify;

use crate::source_harness::{SourceCapability, SourceHarness};

/// The queue of one or more sources, and the faults to come.
///
/// Clones share one queue. By default it settles one by one, as a broker does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use notify_conformance::samples;
/// use notify_conformance::source_script::{SourceFault, SourceScript};
/// use notify_core::listener::{DeadLetters, Listener};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// let script = SourceScript::default();
/// script.publish(samples::messages(0..10));
/// script.add_fault(SourceFault::FailReceive);
/// let mut listener = Listener::builder(script.source(), DeadLetters::Discard).start()?;
/// let batch = listener.next_batch(10, Duration::from_secs(1)).await?.unwrap();
/// batch.ack().await?;
/// assert_eq!(script.acked().len(), 10);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SourceScript(Arc<SourceScriptCore>);

/// The part of a script that its clones and sources share.
#[derive(Debug)]
struct SourceScriptCore {
    mode: SettlementMode,
    state: Mutex<ScriptQueue>,
    /// Wakes the sources after a change.
    changed: Notify,
}

/// The queue and the faults.
#[derive(Debug, Default)]
struct ScriptQueue {
    /// The messages that no source has, each with the flag of a redelivery.
    queue: VecDeque<(Vec<u8>, bool)>,
    /// The messages that the source has, by tag.
    unacked: BTreeMap<u64, Vec<u8>>,
    acked: Vec<Vec<u8>>,
    faults: VecDeque<SourceFault>,
    is_connected: bool,
    has_ended: bool,
    next_tag: u64,
    deliveries: usize,
    sessions: usize,
    settle_calls: usize,
    open_sources: usize,
}

/// A fault of the place. Each happens once, in the order in which you add them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFault {
    /// The next call of `receive` fails with an error of the kind [`ErrorKind::Unavailable`].
    FailReceive,
    /// The next call of `receive` fails with an error of the kind [`ErrorKind::Access`].
    DenyReceive,
    /// The next call of `settle` fails before the place has the settlements.
    FailSettle,
    /// The next call of `settle` fails after the place has the settlements.
    LoseConfirmation,
    /// The next call of `settle` never returns.
    StallSettle,
    /// The next call of `receive` reports that messages may be missing, and the one after it that the
    /// source is attached again.
    Detach,
}

impl Default for SourceScript {
    fn default() -> Self {
        Self::with_mode(SettlementMode::Individual)
    }
}

impl SourceScript {
    /// Creates an empty queue whose sources settle in this mode.
    pub fn with_mode(mode: SettlementMode) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Self(Arc::new(SourceScriptCore { mode, state, changed }))
    }

    /// Returns a source of this queue, called `script`.
    pub fn source(&self) -> Box<dyn Source> {
        self.source_named("script")
    }

    /// Returns a source of this queue with this name.
    pub fn source_named(&self, name: &str) -> Box<dyn Source> {
        self.0.lock().open_sources += 1;
        let core = Arc::clone(&self.0);
        Box::new(ScriptSource { name: name.to_owned(), core, reattach: false })
    }

    /// Adds messages to the end of the queue.
    pub fn publish(&self, messages: impl IntoIterator<Item = Message>) {
        self.publish_bytes(messages.into_iter().map(|message| message.body().to_vec()));
    }

    /// Adds bodies of any content to the end of the queue.
    pub fn publish_bytes(&self, bodies: impl IntoIterator<Item = Vec<u8>>) {
        self.0.lock().queue.extend(bodies.into_iter().map(|body| (body, false)));
        self.0.changed.notify_waiters();
    }

    /// Lets the queue end when it is empty.
    pub fn end(&self) {
        self.0.lock().has_ended = true;
        self.0.changed.notify_waiters();
    }

    /// Adds a fault behind those to come.
    pub fn add_fault(&self, fault: SourceFault) {
        self.0.lock().faults.push_back(fault);
        self.0.changed.notify_waiters();
    }

    /// Returns the bodies that the place has acknowledged, in that order.
    pub fn acked(&self) -> Vec<Vec<u8>> {
        self.0.lock().acked.clone()
    }

    /// Returns the number of messages that are not acknowledged.
    pub fn unacked(&self) -> usize {
        let state = self.0.lock();
        state.queue.len() + state.unacked.len()
    }

    /// Returns how many deliveries there were, repetitions included.
    pub fn deliveries(&self) -> usize {
        self.0.lock().deliveries
    }

    /// Returns how many sessions there were.
    pub fn sessions(&self) -> usize {
        self.0.lock().sessions
    }

    /// Returns how many calls of `settle` there were.
    pub fn settle_calls(&self) -> usize {
        self.0.lock().settle_calls
    }
}

impl SourceScriptCore {
    fn lock(&self) -> MutexGuard<'_, ScriptQueue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScriptQueue {
    /// Takes the next fault if it is one of `faults`.
    fn take_fault(&mut self, faults: &[SourceFault]) -> Option<SourceFault> {
        let fault = *self.faults.front()?;
        faults.contains(&fault).then(|| self.faults.pop_front()).flatten()
    }

    /// Ends the session: unacknowledged messages go back to their places.
    fn disconnect(&mut self) {
        self.is_connected = false;
        for (_, body) in std::mem::take(&mut self.unacked).into_iter().rev() {
            self.queue.push_front((body, true));
        }
    }

    /// Returns what a source receives now, or `None` if it must wait.
    fn receive(&mut self, credit: Credit) -> Option<Reception> {
        let count = self.queue.len().min(credit.room);
        if count == 0 {
            let is_drained = self.has_ended && self.queue.is_empty();
            return is_drained.then_some(Reception::End);
        }
        let mut deliveries = Vec::with_capacity(count);
        for (body, redelivered) in self.queue.drain(..count) {
            self.next_tag += 1;
            let tag = self.next_tag;
            let incoming = if body.len() > credit.max_bytes {
                IncomingBody::TooLarge(body.len() as u64)
            } else {
                IncomingBody::Bytes(body.clone().into())
            };
            let mut delivery = IncomingDelivery::new(tag, incoming, Position::new("queue", tag));
            delivery.redelivered = redelivered;
            deliveries.push(delivery);
            self.unacked.insert(tag, body);
        }
        self.deliveries += count;
        Some(Reception::Deliveries(deliveries))
    }

    /// Carries out settlements. Panics where a broker closes the channel.
    fn settle(&mut self, settlements: &DeliverySettlements) {
        for tag in &settlements.releases {
            let body = self.unacked.remove(tag).expect("released an unknown tag");
            self.queue.push_front((body, true));
        }
        if let Some(through) = settlements.through {
            let rest = self.unacked.split_off(&(through + 1));
            let acked = std::mem::replace(&mut self.unacked, rest);
            assert!(!acked.is_empty(), "acknowledged nothing through {through}");
            self.acked.extend(acked.into_values());
        }
        for tag in &settlements.acks {
            self.acked.push(self.unacked.remove(tag).expect("acknowledged an unknown tag"));
        }
    }
}

/// One source of a [`SourceScript`].
#[derive(Debug)]
struct ScriptSource {
    name: String,
    core: Arc<SourceScriptCore>,
    /// Whether the next `receive` reports that the source is attached again.
    reattach: bool,
}

#[async_trait]
impl Source for ScriptSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn settlement_mode(&self) -> SettlementMode {
        self.core.mode
    }

    async fn receive(&mut self, credit: Credit) -> Result<Reception> {
        use SourceFault::{DenyReceive, Detach, FailReceive};
        loop {
            let changed = self.core.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.core.lock();
                if let Some(fault) = state.take_fault(&[FailReceive, DenyReceive, Detach]) {
                    let kind = match fault {
                        Detach => {
                            self.reattach = true;
                            let reason = "the script says so".into();
                            return Ok(Reception::Detached { reason, since: None });
                        }
                        DenyReceive => ErrorKind::Access,
                        _ => ErrorKind::Unavailable,
                    };
                    state.disconnect();
                    return Err(Error::new(kind, "the script fails this session"));
                }
                if !state.is_connected {
                    state.is_connected = true;
                    state.sessions += 1;
                    state.next_tag = 0;
                    return Ok(Reception::Attached);
                }
                if std::mem::take(&mut self.reattach) {
                    return Ok(Reception::Attached);
                }
                if let Some(reception) = state.receive(credit) {
                    return Ok(reception);
                }
            }
            changed.await;
        }
    }

    async fn settle(&mut self, settlements: &DeliverySettlements) -> Result<()> {
        use SourceFault::{FailSettle, LoseConfirmation, StallSettle};
        let fault = {
            let mut state = self.core.lock();
            assert!(state.is_connected, "settled without a session");
            state.settle_calls += 1;
            let fault = state.take_fault(&[FailSettle, LoseConfirmation, StallSettle]);
            if fault.is_none() || fault == Some(LoseConfirmation) {
                state.settle(settlements);
            }
            if fault.is_some() {
                state.disconnect();
            }
            fault
        };
        match fault {
            None => Ok(()),
            Some(StallSettle) => std::future::pending().await,
            Some(_) => {
                let message = "the script fails these settlements";
                Err(Error::new(ErrorKind::Unavailable, message))
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.core.lock().disconnect();
        Ok(())
    }
}

/// Gives back what the source has, as a broker does when a connection ends.
impl Drop for ScriptSource {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.open_sources -= 1;
        state.disconnect();
    }
}

#[async_trait]
impl SourceHarness for SourceScript {
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)] =
        &[(SourceCapability::Tap, "the script has one queue, and the source consumes it")];

    async fn start() -> Self {
        Self::default()
    }

    async fn source(&mut self) -> Box<dyn Source> {
        Self::source(self)
    }

    async fn publish_bodies(&mut self, bodies: &[Vec<u8>]) {
        self.publish_bytes(bodies.iter().cloned());
    }

    async fn unacknowledged(&mut self) -> usize {
        self.unacked()
    }

    async fn open_handles(&mut self) -> usize {
        self.0.lock().open_sources
    }

    async fn break_session(&mut self) {
        self.add_fault(SourceFault::FailReceive);
    }
}

/// The script with the manners of a file: acknowledgements move a watermark.
#[cfg(test)]
struct CumulativeScript(SourceScript);

#[cfg(test)]
#[async_trait]
impl SourceHarness for CumulativeScript {
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)] = SourceScript::UNSUPPORTED;

    async fn start() -> Self {
        Self(SourceScript::with_mode(SettlementMode::Cumulative))
    }

    async fn source(&mut self) -> Box<dyn Source> {
        self.0.source()
    }

    async fn publish_bodies(&mut self, bodies: &[Vec<u8>]) {
        SourceHarness::publish_bodies(&mut self.0, bodies).await;
    }

    async fn unacknowledged(&mut self) -> usize {
        self.0.unacked()
    }

    async fn open_handles(&mut self) -> usize {
        self.0.open_handles().await
    }

    async fn break_session(&mut self) {
        self.0.break_session().await;
    }
}

#[cfg(test)]
crate::source_suite!(SourceScript);

#[cfg(test)]
mod cumulative {
    use super::CumulativeScript;

    crate::source_suite!(CumulativeScript);
}
