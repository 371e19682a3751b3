//! The transport that follows a script, and the destination in memory that it delivers to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use notify_core::transport::Lanes;
use notify_core::{
    Batch, Error, ErrorKind, EventType, Message, Outcome, Priority, Result, Transport, Verdict,
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::harness::LaneFault;
use crate::script_attempt::{ScriptAction, ScriptAttempt, ScriptEnd};

/// The part of a script that its clones and transports share.
#[derive(Debug, Default)]
pub(crate) struct ScriptCore {
    state: Mutex<ScriptState>,
    /// Wakes the transports when a stall ends.
    pub(crate) resumed: Notify,
}

/// The attempts to come, and the destination.
#[derive(Debug, Default)]
pub(crate) struct ScriptState {
    pub(crate) attempts: VecDeque<ScriptAttempt>,
    pub(crate) stored: Vec<Message>,
    pub(crate) batch_sizes: Vec<usize>,
    pub(crate) open_handles: usize,
    pub(crate) down: bool,
    pub(crate) stalled: bool,
    pub(crate) declining: bool,
    /// The number of messages declined so far.
    pub(crate) declined: usize,
    /// The ids of the messages that the destination declines for now.
    pub(crate) declined_ids: HashSet<Uuid>,
    /// The ids of the messages that the destination refuses for good.
    pub(crate) refused: HashSet<Uuid>,
    /// The lanes of the destination, if it has several.
    pub(crate) lanes: Option<Lanes>,
    /// The lanes that fail.
    pub(crate) faults: HashMap<Priority, LaneFault>,
}

impl ScriptCore {
    /// Locks the state, also after a test panicked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ScriptState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The transport that [`Script::transport`](crate::script::Script::transport) returns.
#[derive(Debug)]
pub(crate) struct ScriptTransport {
    shared: Arc<ScriptCore>,
    /// Whether this transport counts among the open handles.
    is_open: bool,
}

impl ScriptTransport {
    /// Creates a transport that follows a script.
    pub(crate) fn new(shared: Arc<ScriptCore>) -> Self {
        Self { shared, is_open: false }
    }

    /// Takes one action, unless the destination refuses or declines the message.
    fn apply(&self, action: ScriptAction, batch: &mut Batch<'_>, index: usize) {
        let message = &batch.messages()[index];
        let mut state = self.shared.lock();
        let fault = state.faults.get(&message.priority()).copied();
        let action = match action {
            ScriptAction::Accept if fault == Some(LaneFault::Full) => ScriptAction::Retry,
            ScriptAction::Accept if fault == Some(LaneFault::Silent) => {
                ScriptAction::LeaveUnsettled
            }
            ScriptAction::Accept if state.refused.contains(&message.id()) => ScriptAction::Refuse,
            ScriptAction::Accept
                if state.declining || state.declined_ids.contains(&message.id()) =>
            {
                ScriptAction::Retry
            }
            action => action,
        };
        state.declined += usize::from(action == ScriptAction::Retry);
        if matches!(action, ScriptAction::Accept | ScriptAction::StoreUnsettled) {
            state.stored.push(message.clone());
        }
        drop(state);
        let verdict = match action {
            ScriptAction::Accept => Verdict::Accept,
            ScriptAction::Retry => Verdict::Retry(Error::new(ErrorKind::Full, "scripted retry")),
            ScriptAction::Refuse => {
                Verdict::Refuse(Error::new(ErrorKind::Rejected, "scripted refusal"))
            }
            ScriptAction::LeaveUnsettled | ScriptAction::StoreUnsettled => return,
        };
        batch.settle(index, verdict);
    }

    /// Stops counting this transport among the open handles.
    fn release(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.shared.lock().open_handles -= 1;
        }
    }
}

#[async_trait]
impl Transport for ScriptTransport {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    fn lanes(&self) -> Lanes {
        self.shared.lock().lanes.clone().unwrap_or_else(Lanes::one)
    }

    fn duplicate(&self) -> Option<Box<dyn Transport>> {
        Some(Box::new(Self::new(Arc::clone(&self.shared))))
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let size = batch.messages().len();
        if size == 0 {
            return Ok(());
        }
        let outage = || Error::new(ErrorKind::Unavailable, "scripted outage");
        let attempt = {
            let mut state = self.shared.lock();
            if state.down {
                return Err(outage());
            }
            state.batch_sizes.push(size);
            state
                .attempts
                .pop_front()
                .unwrap_or(ScriptAttempt { actions: Vec::new(), end: ScriptEnd::Ok })
        };
        if !self.is_open {
            self.is_open = true;
            self.shared.lock().open_handles += 1;
        }
        loop {
            let resumed = self.shared.resumed.notified();
            if !self.shared.lock().stalled {
                break;
            }
            resumed.await;
        }
        let mut actions = attempt.actions.into_iter();
        for index in 0..size {
            // A real destination yields too, so a kill can happen in the middle of a batch.
            if index % 64 == 63 {
                tokio::task::yield_now().await;
            }
            if self.shared.lock().down {
                return Err(outage());
            }
            self.apply(actions.next().unwrap_or(ScriptAction::Accept), batch, index);
        }
        let is_silent = batch.messages().iter().any(|message| {
            let faults = &self.shared.lock().faults;
            faults.get(&message.priority()) == Some(&LaneFault::Silent)
        });
        if is_silent {
            tokio::time::sleep(SILENCE).await;
            let message = "scripted silence of a lane";
            return Err(Error::new(ErrorKind::Timeout, message).with_outcome(Outcome::Unknown));
        }
        // The destination may have stored messages that it did not settle.
        let failure = |kind, message| Err(Error::new(kind, message).with_outcome(Outcome::Unknown));
        match attempt.end {
            ScriptEnd::Ok => Ok(()),
            ScriptEnd::Transient => failure(ErrorKind::Unavailable, "scripted transient error"),
            ScriptEnd::Permanent => failure(ErrorKind::Access, "scripted permanent error"),
            ScriptEnd::Stall => std::future::pending().await,
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.release();
        Ok(())
    }
}

impl Drop for ScriptTransport {
    fn drop(&mut self) {
        self.release();
    }
}

/// The time after which an attempt with messages of a silent lane fails.
const SILENCE: Duration = Duration::from_secs(2);
