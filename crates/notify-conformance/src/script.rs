//! A transport that follows a script, for tests of code that uses a notifier.
//!
//! The destination is a list in memory. A [`Script`] is also a [`Harness`] with every capability, so
//! the whole suite runs against it: this proves that each clause can be satisfied.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use notify_core::{
    Batch, Error, ErrorKind, EventType, Message, Notification, Result, Transport, Verdict,
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::harness::{Capability, Harness, MessageMetadata, ReceivedMessage};
use crate::samples;

/// The script of one or more transports, and the destination that they deliver to.
///
/// Clones share one script. A transport follows the attempts that you add with
/// [`add_attempt`](Self::add_attempt), one for each non-empty batch, and accepts everything afterwards.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
/// use notify_core::event::Payload;
/// use notify_core::{Event, Notifier};
///
/// let script = Script::default();
/// script.add_attempt(ScriptAttempt {
///     actions: vec![ScriptAction::Refuse],
///     end: ScriptEnd::Ok,
/// });
/// let (notifier, worker) = Notifier::builder(script.transport()).build()?;
/// let worker = worker.spawn_thread()?;
///
/// let event = Event::ImageUpload(Payload::Warn("the store is slow".into()));
/// assert!(notifier.emit(&event).wait(Duration::from_secs(10)).is_err());
/// assert!(notifier.emit(&event).wait(Duration::from_secs(10)).is_ok());
/// assert_eq!(script.stored().len(), 1);
///
/// notifier.close();
/// assert_eq!(worker.join().unwrap().refused, 1);
/// # Ok::<(), notify_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<ScriptCore>);

/// The part of a script that its clones and transports share.
#[derive(Debug, Default)]
struct ScriptCore {
    state: Mutex<ScriptState>,
    /// Wakes the transports when a stall ends.
    resumed: Notify,
}

/// The attempts to come, and the destination.
#[derive(Debug, Default)]
struct ScriptState {
    attempts: VecDeque<ScriptAttempt>,
    stored: Vec<Message>,
    batch_sizes: Vec<usize>,
    open_handles: usize,
    down: bool,
    stalled: bool,
    declining: bool,
    /// The ids of the messages that the destination refuses for good.
    refused: HashSet<Uuid>,
}

/// The script of one call of [`Transport::send`].
///
/// # Examples
///
/// An attempt that accepts the first message of its batch, asks to retry the second, accepts the rest
/// and then fails:
///
/// ```
/// use notify_conformance::script::{Script, ScriptAction, ScriptAttempt, ScriptEnd};
///
/// let script = Script::default();
/// script.add_attempt(ScriptAttempt {
///     actions: vec![ScriptAction::Accept, ScriptAction::Retry],
///     end: ScriptEnd::Transient,
/// });
/// ```
#[derive(Clone, Debug)]
pub struct ScriptAttempt {
    /// The actions on the first, second, … message of the batch. The transport accepts the messages
    /// beyond the list.
    pub actions: Vec<ScriptAction>,
    /// The end of the call.
    pub end: ScriptEnd,
}

/// An action of the transport on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptAction {
    /// Stores the message and settles it with [`Verdict::Accept`].
    Accept,
    /// Settles the message with [`Verdict::Retry`].
    Retry,
    /// Settles the message with [`Verdict::Refuse`].
    Refuse,
    /// Neither stores nor settles the message.
    LeaveUnsettled,
    /// Stores the message without settling it, as when a confirm is lost.
    StoreUnsettled,
}

/// The end of a call of [`Transport::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptEnd {
    /// The call returns `Ok`.
    Ok,
    /// The call returns an error of the kind [`ErrorKind::Unavailable`].
    Transient,
    /// The call returns an error of the kind [`ErrorKind::Access`].
    Permanent,
    /// The call never returns.
    Stall,
}

impl Script {
    /// Returns a transport that follows this script.
    pub fn transport(&self) -> Box<dyn Transport> {
        Box::new(ScriptTransport { shared: Arc::clone(&self.0), is_open: false })
    }

    /// Adds one attempt to the end of the script.
    pub fn add_attempt(&self, attempt: ScriptAttempt) {
        self.0.lock().attempts.push_back(attempt);
    }

    /// Returns the messages that the destination stored, in order, with duplicates.
    pub fn stored(&self) -> Vec<Message> {
        self.0.lock().stored.clone()
    }

    /// Returns the sizes of all batches so far, in messages.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.0.lock().batch_sizes.clone()
    }

    /// Makes every attempt wait, or lets waiting attempts go on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use notify_conformance::script::Script;
    /// use notify_core::event::Payload;
    /// use notify_core::{Event, Notifier};
    ///
    /// let script = Script::default();
    /// script.set_stalled(true);
    /// let (notifier, worker) = Notifier::builder(script.transport()).build()?;
    /// worker.spawn_thread()?;
    ///
    /// let event = Event::ImageUpload(Payload::Warn("the store is slow".into()));
    /// let mut receipt = notifier.emit(&event);
    /// assert!(receipt.wait(Duration::from_millis(10)).is_err());
    /// script.set_stalled(false);
    /// receipt.wait(Duration::from_secs(10))?;
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn set_stalled(&self, stalled: bool) {
        self.0.lock().stalled = stalled;
        self.0.resumed.notify_waiters();
    }
}

impl ScriptCore {
    /// Locks the state, also after a test panicked.
    fn lock(&self) -> MutexGuard<'_, ScriptState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The transport that [`Script::transport`] returns.
#[derive(Debug)]
struct ScriptTransport {
    shared: Arc<ScriptCore>,
    /// Whether this transport counts among the open handles.
    is_open: bool,
}

impl ScriptTransport {
    /// Takes one action, unless the destination refuses or declines the message.
    fn apply(&self, action: ScriptAction, batch: &mut Batch<'_>, index: usize) {
        let message = &batch.messages()[index];
        let mut state = self.shared.lock();
        let action = match action {
            ScriptAction::Accept if state.refused.contains(&message.id()) => ScriptAction::Refuse,
            ScriptAction::Accept if state.declining => ScriptAction::Retry,
            action => action,
        };
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
        match attempt.end {
            ScriptEnd::Ok => Ok(()),
            ScriptEnd::Transient => {
                Err(Error::new(ErrorKind::Unavailable, "scripted transient error"))
            }
            ScriptEnd::Permanent => Err(Error::new(ErrorKind::Access, "scripted permanent error")),
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

#[async_trait]
impl Harness for Script {
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[];

    async fn start() -> Self {
        Self::default()
    }

    fn transport(&self) -> Box<dyn Transport> {
        self.transport()
    }

    async fn received(&mut self) -> Vec<ReceivedMessage> {
        self.stored()
            .iter()
            .map(|message| ReceivedMessage {
                body: message.body().to_vec(),
                metadata: Some(MessageMetadata {
                    message_id: message.id().to_string(),
                    event_type: message.event_type().to_string(),
                    priority: message.priority(),
                }),
            })
            .collect()
    }

    async fn open_handles(&mut self) -> usize {
        self.0.lock().open_handles
    }

    async fn kill(&mut self) {
        self.0.lock().down = true;
    }

    async fn restart(&mut self) {
        self.0.lock().down = false;
    }

    async fn stall(&mut self) {
        self.set_stalled(true);
    }

    async fn resume(&mut self) {
        self.set_stalled(false);
    }

    async fn refused_notification(&mut self) -> Notification {
        let notification = samples::notification(4_000_000);
        self.0.lock().refused.insert(notification.message_id);
        notification
    }

    async fn start_declining(&mut self) {
        self.0.lock().declining = true;
    }

    async fn stop_declining(&mut self) {
        self.0.lock().declining = false;
    }
}

crate::suite!(Script);
