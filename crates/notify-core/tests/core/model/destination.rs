//! A destination with three lanes, whose faults the test sets. It remembers every attempt.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use notify_core::transport::Lanes;
use notify_core::{
    Batch, Error, ErrorKind, EventType, Message, Outcome, Priority, Result, Transport, Verdict,
};
use tokio::time::Instant;
use uuid::Uuid;

/// The condition of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ConnectionFault {
    #[default]
    None,
    /// Refused at once.
    Down,
    /// The login is denied, a permanent error.
    Denied,
    /// Nothing comes back: connecting times out.
    BlackHole,
    /// `send` never returns.
    Hangs,
}

/// The fault of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneFault {
    /// Every message is declined.
    Full,
    /// A third of the messages is declined.
    Picky,
    /// No message gets an answer.
    Silent,
    /// Every message is stored and gets no answer.
    Withholding,
    /// Every message is rejected for good.
    Rejecting,
}

/// One message of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SentMessage {
    pub(crate) id: Uuid,
    pub(crate) priority: Priority,
    /// The time since the start.
    pub(crate) at: Duration,
}

/// The destination, shared with its transports.
#[derive(Clone, Debug)]
pub(crate) struct Destination(Arc<Mutex<DestinationState>>);

/// The faults, and everything that the destination saw.
#[derive(Debug)]
pub(crate) struct DestinationState {
    pub(crate) connection: ConnectionFault,
    pub(crate) faults: HashMap<Priority, LaneFault>,
    /// The number of messages after which the connection breaks once.
    pub(crate) break_after: Option<usize>,
    pub(crate) sent: Vec<SentMessage>,
    /// The messages that the destination has, whatever it answered.
    pub(crate) stored: HashSet<Uuid>,
    pub(crate) accepted: HashSet<Uuid>,
    pub(crate) refused: HashSet<Uuid>,
    /// The transports that are open.
    pub(crate) open: usize,
    start: Instant,
}

impl Destination {
    /// Returns a destination without faults.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(DestinationState {
            connection: ConnectionFault::None,
            faults: HashMap::new(),
            break_after: None,
            sent: Vec::new(),
            stored: HashSet::new(),
            accepted: HashSet::new(),
            refused: HashSet::new(),
            open: 0,
            start: Instant::now(),
        })))
    }

    /// Locks the state, also after a test panicked.
    pub(crate) fn state(&self) -> MutexGuard<'_, DestinationState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all faults.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.connection = ConnectionFault::None;
        state.faults.clear();
        state.break_after = None;
    }

    /// Returns a transport to the destination.
    pub(crate) fn transport(&self) -> Box<dyn Transport> {
        Box::new(SimulatedTransport { destination: self.clone(), is_open: false })
    }
}

/// Returns whether a picky lane declines this message.
pub(crate) fn is_picked(id: Uuid) -> bool {
    id.as_u128().is_multiple_of(3)
}

/// A transport to the destination.
#[derive(Debug)]
struct SimulatedTransport {
    destination: Destination,
    is_open: bool,
}

impl SimulatedTransport {
    /// Connects, as the connection's fault allows.
    async fn connect(&mut self) -> Result<()> {
        let fault = self.destination.state().connection;
        match fault {
            ConnectionFault::None => {}
            ConnectionFault::Down => return Err(Error::new(ErrorKind::Unavailable, "refused")),
            ConnectionFault::Denied => return Err(Error::new(ErrorKind::Access, "denied")),
            ConnectionFault::BlackHole => {
                tokio::time::sleep(CONNECT_TIMEOUT).await;
                return Err(Error::new(ErrorKind::Timeout, "no answer to the connection"));
            }
            ConnectionFault::Hangs => std::future::pending().await,
        }
        if !std::mem::replace(&mut self.is_open, true) {
            self.destination.state().open += 1;
        }
        Ok(())
    }

    /// Decides about one message; returns `None` for no answer.
    fn answer(&self, message: &Message) -> Option<Verdict> {
        let mut state = self.destination.state();
        let (id, priority, at) = (message.id(), message.priority(), state.start.elapsed());
        assert!(!state.accepted.contains(&id), "the pipeline sent an accepted message again");
        assert!(!state.refused.contains(&id), "the pipeline sent a refused message again");
        state.sent.push(SentMessage { id, priority, at });
        let declined = || Some(Verdict::Retry(Error::new(ErrorKind::Full, "full")));
        match state.faults.get(&priority) {
            Some(LaneFault::Full) => declined(),
            Some(LaneFault::Picky) if is_picked(id) => declined(),
            Some(LaneFault::Silent) => None,
            Some(LaneFault::Withholding) => {
                state.stored.insert(id);
                None
            }
            // An honest transport does not refuse a message that the destination has.
            Some(LaneFault::Rejecting) if !state.stored.contains(&id) => {
                state.refused.insert(id);
                Some(Verdict::Refuse(Error::new(ErrorKind::Rejected, "rejected")))
            }
            _ => {
                state.stored.insert(id);
                state.accepted.insert(id);
                Some(Verdict::Accept)
            }
        }
    }

    fn release(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.destination.state().open -= 1;
        }
    }
}

#[async_trait]
impl Transport for SimulatedTransport {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    fn lanes(&self) -> Lanes {
        Lanes::by_priority(|priority| match priority {
            Priority::Info => "info".into(),
            Priority::Warn => "warn".into(),
            _ => "error".into(),
        })
    }

    fn duplicate(&self) -> Option<Box<dyn Transport>> {
        Some(self.destination.transport())
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        assert!(!batch.messages().is_empty(), "the worker sent an empty batch");
        self.connect().await?;
        let mut silent = false;
        for (index, message) in batch.messages().iter().enumerate() {
            let breaks = self.destination.state().break_after.is_some_and(|after| after <= index);
            if breaks {
                self.destination.state().break_after = None;
                self.release();
                let error = Error::new(ErrorKind::Unavailable, "the connection broke");
                return Err(error.with_outcome(Outcome::Unknown));
            }
            match self.answer(message) {
                Some(verdict) => batch.settle(index, verdict),
                None => silent = true,
            }
            // The attempt may be dropped in the middle.
            tokio::time::sleep(MESSAGE_TIME).await;
        }
        if silent {
            tokio::time::sleep(CONFIRM_TIMEOUT).await;
            let error = Error::new(ErrorKind::Timeout, "no answer to some messages");
            return Err(error.with_outcome(Outcome::Unknown));
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.release();
        Ok(())
    }
}

impl Drop for SimulatedTransport {
    fn drop(&mut self) {
        self.release();
    }
}

/// The time that one message takes.
const MESSAGE_TIME: Duration = Duration::from_millis(1);
/// The time after which connecting to a black hole fails.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time after which messages without an answer fail the attempt.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
