//! A transport that does one action at a time, each on a command of the test.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use notify_core::{Batch, Error, ErrorKind, EventType, Message, Result, Transport, Verdict};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

/// A command to the attempt in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    /// Acts on the message at this index of the batch.
    Act(usize, MessageAction),
    /// Acts on all messages without a verdict, in one settlement.
    ActOnRest(MessageAction),
    /// Returns from `send`.
    Return(AttemptEnd),
}

/// An action on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageAction {
    Accept,
    Retry,
    Refuse,
    /// Stores the message without settling it, as when a confirm is lost.
    StoreUnsettled,
}

/// The end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    Ok,
    Transient,
    Permanent,
}

/// The test's side of a manual transport: it sends commands and observes the effects.
#[derive(Debug)]
pub(crate) struct TransportControl {
    /// The channel of commands. Without it, the transport accepts everything.
    commands: Option<UnboundedSender<Command>>,
    observed: Arc<Mutex<ObservedState>>,
}

/// The effects that the test observes.
#[derive(Debug, Default)]
struct ObservedState {
    /// The ids of the batch in flight.
    batch: Option<Vec<Uuid>>,
    /// The ids of the stored messages.
    stored: Vec<Uuid>,
    closed: bool,
}

/// Returns a manual transport and its control.
pub(crate) fn manual_transport() -> (Box<dyn Transport>, TransportControl) {
    let (sender, commands) = unbounded_channel();
    let observed = Arc::default();
    let control = TransportControl { commands: Some(sender), observed: Arc::clone(&observed) };
    (Box::new(ManualTransport { commands, observed }), control)
}

impl TransportControl {
    /// Sends one command to the attempt in flight.
    pub(crate) fn send(&self, command: Command) {
        self.commands.as_ref().unwrap().send(command).unwrap();
    }

    /// Makes the transport accept everything from now on.
    pub(crate) fn accept_everything(&mut self) {
        self.commands = None;
    }

    /// Returns the ids of the batch in flight.
    pub(crate) fn batch(&self) -> Option<Vec<Uuid>> {
        lock(&self.observed).batch.clone()
    }

    /// Returns the ids of the stored messages, in order, with duplicates.
    pub(crate) fn stored(&self) -> Vec<Uuid> {
        lock(&self.observed).stored.clone()
    }

    /// Returns whether the worker closed the transport.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.observed).closed
    }
}

/// The transport's side.
#[derive(Debug)]
struct ManualTransport {
    commands: UnboundedReceiver<Command>,
    observed: Arc<Mutex<ObservedState>>,
}

#[async_trait]
impl Transport for ManualTransport {
    fn name(&self) -> &'static str {
        "manual"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        assert!(!batch.messages().is_empty(), "the worker sent an empty batch");
        lock(&self.observed).batch = Some(batch.messages().iter().map(Message::id).collect());
        let _attempt = AttemptGuard(Arc::clone(&self.observed));
        loop {
            match self.commands.recv().await {
                Some(Command::Act(index, action)) => self.act(batch, Some(index), action),
                Some(Command::ActOnRest(action)) => self.act(batch, None, action),
                Some(Command::Return(AttemptEnd::Ok)) => return Ok(()),
                Some(Command::Return(AttemptEnd::Transient)) => {
                    return Err(Error::new(ErrorKind::Unavailable, "transient by command"));
                }
                Some(Command::Return(AttemptEnd::Permanent)) => {
                    return Err(Error::new(ErrorKind::Access, "permanent by command"));
                }
                None => {
                    self.act(batch, None, MessageAction::Accept);
                    return Ok(());
                }
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        lock(&self.observed).closed = true;
        Ok(())
    }
}

impl ManualTransport {
    /// Acts on one message, or on all messages without a verdict.
    fn act(&self, batch: &mut Batch<'_>, index: Option<usize>, action: MessageAction) {
        if matches!(action, MessageAction::Accept | MessageAction::StoreUnsettled) {
            let indices = batch.unsettled().filter(|at| index.is_none_or(|index| index == *at));
            lock(&self.observed).stored.extend(indices.map(|at| batch.messages()[at].id()));
        }
        let verdict = match action {
            MessageAction::Accept => Verdict::Accept,
            MessageAction::Retry => Verdict::Retry(Error::new(ErrorKind::Full, "retry by command")),
            MessageAction::Refuse => {
                Verdict::Refuse(Error::new(ErrorKind::Rejected, "refused by command"))
            }
            MessageAction::StoreUnsettled => return,
        };
        match index {
            Some(index) => batch.settle(index, verdict),
            None => batch.settle_rest(&verdict),
        }
    }
}

/// A guard that clears the observed batch when an attempt ends or is dropped.
struct AttemptGuard(Arc<Mutex<ObservedState>>);

impl Drop for AttemptGuard {
    fn drop(&mut self) {
        lock(&self.0).batch = None;
    }
}

/// Locks the state, also after a test panicked.
fn lock(observed: &Mutex<ObservedState>) -> MutexGuard<'_, ObservedState> {
    observed.lock().unwrap_or_else(PoisonError::into_inner)
}
