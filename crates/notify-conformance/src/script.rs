//! A transport that follows a script, for tests of code that uses a notifier.
//!
//! The destination is a list in memory. A [`Script`] is also a [`Harness`] with every capability, so
//! the whole suite runs against it: this proves that each clause can be satisfied.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use notify_core::transport::Lanes;
use notify_core::{
    Batch, Error, ErrorKind, EventType, Message, Notification, Outcome, Priority, Result,
    Transport, Verdict,
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::harness::{Capability, Harness, LaneFault, MessageMetadata, ReceivedMessage};
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
    /// The number of messages declined so far.
    declined: usize,
    /// The ids of the messages that the destination declines for now.
    declined_ids: HashSet<Uuid>,
    /// The ids of the messages that the destination refuses for good.
    refused: HashSet<Uuid>,
    /// The lanes of the destination, if it has several.
    lanes: Option<Lanes>,
    /// The lanes that fail.
    faults: HashMap<Priority, LaneFault>,
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
    /// Returns a script whose destination has one lane for each priority, as a broker has.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_conformance::LaneFault;
    /// use notify_conformance::script::Script;
    /// use notify_core::Priority;
    ///
    /// let script = Script::with_lanes();
    /// assert_eq!(script.transport().lanes().len(), Priority::ALL.len());
    /// script.set_fault(Priority::Error, Some(LaneFault::Full));
    /// ```
    pub fn with_lanes() -> Self {
        let script = Self::default();
        let lanes = Lanes::by_priority(|priority| priority.lower().to_owned());
        script.0.lock().lanes = Some(lanes);
        script
    }

    /// Makes the lane of a priority fail, or work again for `None`.
    ///
    /// An attempt with messages of a silent lane acts on the others, waits 2 s, and fails with
    /// [`ErrorKind::Timeout`].
    pub fn set_fault(&self, priority: Priority, fault: Option<LaneFault>) {
        let mut state = self.0.lock();
        match fault {
            Some(fault) => state.faults.insert(priority, fault),
            None => state.faults.remove(&priority),
        };
    }

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

    /// Removes the attempts that are left, so that the transport accepts everything.
    pub fn clear_attempts(&self) {
        self.0.lock().attempts.clear();
    }

    /// Makes the destination unreachable, or reachable again.
    pub fn set_down(&self, down: bool) {
        self.0.lock().down = down;
    }

    /// Makes the destination decline one message for now, or accept it again.
    pub fn decline(&self, id: Uuid, declined: bool) {
        let mut state = self.0.lock();
        if declined {
            state.declined_ids.insert(id);
        } else {
            state.declined_ids.remove(&id);
        }
    }

    /// Returns how often the destination declined a message so far.
    pub fn declined(&self) -> usize {
        self.0.lock().declined
    }

    /// Returns the number of transports that are open.
    pub fn open_transports(&self) -> usize {
        self.0.lock().open_handles
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
        Some(Box::new(Self { shared: Arc::clone(&self.shared), is_open: false }))
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

#[async_trait]
impl Harness for Script {
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[];

    async fn start() -> Self {
        Self::with_lanes()
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

    async fn set_lane_fault(&mut self, priority: Priority, fault: Option<LaneFault>) {
        self.set_fault(priority, fault);
    }
}

/// The time after which an attempt with messages of a silent lane fails.
const SILENCE: Duration = Duration::from_secs(2);

crate::suite!(Script);
