//! A transport that follows a script, for tests of code that uses a notifier.
//!
//! The destination is a list in memory. A [`Script`] is also a [`Harness`] with every capability, so
//! the whole suite runs against it: this proves that each clause can be satisfied.

use std::sync::Arc;

use async_trait::async_trait;
use notify_core::transport::Lanes;
use notify_core::{Message, Notification, Priority, Transport};
use uuid::Uuid;

use crate::harness::{Capability, Harness, LaneFault, MessageMetadata, ReceivedMessage};
use crate::samples;
pub use crate::script_attempt::{ScriptAction, ScriptAttempt, ScriptEnd};
use crate::script_transport::{ScriptCore, ScriptTransport};

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
    /// [`ErrorKind::Timeout`](notify_core::ErrorKind::Timeout).
    pub fn set_fault(&self, priority: Priority, fault: Option<LaneFault>) {
        let mut state = self.0.lock();
        match fault {
            Some(fault) => state.faults.insert(priority, fault),
            None => state.faults.remove(&priority),
        };
    }

    /// Returns a transport that follows this script.
    pub fn transport(&self) -> Box<dyn Transport> {
        Box::new(ScriptTransport::new(Arc::clone(&self.0)))
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
                metadata: Some(MessageMetadata::of(message)),
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

crate::suite!(Script);
