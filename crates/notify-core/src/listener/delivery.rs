//! One received message, until the program settles it: [`Delivery`].

use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::content::{DeliveryContent, UnreadableMessage};
use super::listener_handle::ListenerHandle;
use super::listener_state::HandOut;
use super::settlement::{ReceiptResolver, Settlement, SettlementReceipt};
use crate::codec::context::Context;
use crate::codec::message::Message;
use crate::codec::notification::Notification;
use crate::codec::sequence::Sequence;
use crate::source::Position;

/// One received message, which you settle by exactly one of four methods.
///
/// | method | when | effect |
/// |---|---|---|
/// | [`ack`](Self::ack) | the work is done | the source forgets the message |
/// | [`release`](Self::release) | another consumer may do the work | the source delivers the message again |
/// | [`fail`](Self::fail) | the work failed, and may succeed later | you get the delivery again, after a wait |
/// | [`refuse`](Self::refuse) | the work can never succeed | the message becomes a dead letter |
///
/// **Dropping a delivery counts as a failure**, so that a forgotten `ack` cannot become a hot loop. A
/// file or a stream cannot take back single messages: there, `release` gives you the delivery again.
///
/// Everything in a delivery is redacted, except for the bytes of an [unreadable](Self::unreadable)
/// message. `Debug` shows the position, and nothing of the message.
///
/// # Examples
///
/// ```
/// use notify_core::Result;
/// use notify_core::listener::{Delivery, SettlementOutcome};
///
/// async fn handle(delivery: Delivery) -> Result<()> {
///     let Some(notification) = delivery.notification() else {
///         delivery.refuse("no notification").await?;
///         return Ok(());
///     };
///     println!("{} {}", notification.message_id, notification.event_type());
///     if delivery.ack().await? == SettlementOutcome::Stale {
///         println!("the connection was lost: this message comes again");
///     }
///     Ok(())
/// }
/// # drop(handle);
/// ```
#[must_use = "dropping a delivery counts as a failure: settle it"]
pub struct Delivery {
    shared: Arc<ListenerHandle>,
    /// The index of the source, the number of its session, and the tag.
    key: (usize, u64, u64),
    name: Arc<str>,
    attempts: u32,
    content: Arc<DeliveryContent>,
    is_settled: bool,
}

impl Delivery {
    /// Wraps a delivery that the state handed out.
    pub(super) fn new(shared: Arc<ListenerHandle>, out: HandOut) -> Self {
        let HandOut { source, session, tag, attempts, name, content } = out;
        Self { shared, key: (source, session, tag), name, attempts, content, is_settled: false }
    }

    /// Returns the notification, redacted; `None` if the message is unreadable.
    pub fn notification(&self) -> Option<&Notification> {
        self.content.notification()
    }

    /// Returns the message, redacted and in the encoding of this library; `None` if it is unreadable.
    ///
    /// Its body is one line of JSON. Forward it with [`Notifier::resend_with`](crate::Notifier::resend_with)
    /// of the [notification](Self::notification) and the [context](Self::context).
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::samples;
    /// # use notify_conformance::script::Script;
    /// # use notify_conformance::source_script::SourceScript;
    /// # use notify_core::listener::{DeadLetters, Listener};
    /// use notify_core::listener::Delivery;
    /// use notify_core::{Notifier, Result};
    ///
    /// async fn forward(delivery: Delivery, notifier: &Notifier) -> Result<()> {
    ///     if let Some(notification) = delivery.notification() {
    ///         notifier.resend_with(notification, delivery.context()).await.await?;
    ///         delivery.ack().await?;
    ///     }
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let (source, destination) = (SourceScript::default(), Script::default());
    /// # let prefix = b"2026 7 INFO oslo.messaging.notification.x [req-1 bob web - - -] ".as_slice();
    /// # source.publish_bytes([[prefix, samples::messages(0..1)[0].body()].concat()]);
    /// # source.end();
    /// # let (notifier, worker) = Notifier::builder(destination.transport()).build()?;
    /// # tokio::spawn(worker.run());
    /// # let mut listener = Listener::builder(source.source(), DeadLetters::Discard).start()?;
    /// # while let Some(delivery) = listener.next_delivery().await? {
    /// #     forward(delivery, &notifier).await?;
    /// # }
    /// # assert_eq!(destination.stored()[0].context().request_id(), Some("req-1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn message(&self) -> Option<&Message> {
        self.content.message.as_ref().ok()
    }

    /// Returns the reason why the message is unreadable, with its bytes; `None` if it is readable.
    pub fn unreadable(&self) -> Option<&UnreadableMessage> {
        self.content.message.as_ref().err()
    }

    /// Returns the context in which the notification was emitted: the one beside its body on a broker, or
    /// the one on its line, in the attributes of a CloudEvent or in oslo.log's prefix. It is empty if there is
    /// none.
    ///
    /// Any program with access to the broker can write a context: it is a hint and no proof.
    pub fn context(&self) -> &Context {
        &self.content.context
    }

    /// Returns the number that the publisher gave the notification; `None` if it gives none, as files,
    /// oslo.messaging and notifications that were sent again.
    ///
    /// [`SequenceGaps`](super::SequenceGaps) finds missing numbers.
    pub fn sequence(&self) -> Option<&Sequence> {
        self.content.sequence.as_ref()
    }

    /// Returns the name of the source.
    pub fn source(&self) -> &str {
        &self.name
    }

    /// Returns the place of the message in its source.
    pub fn position(&self) -> &Position {
        &self.content.position
    }

    /// Returns how often you got this delivery in this session of the source: 1 for the first time.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns whether a consumer may have seen the message before, in an earlier attempt or an earlier
    /// session.
    ///
    /// `false` is no promise. Drop duplicates by the `message_id`.
    pub fn is_redelivered(&self) -> bool {
        self.attempts > 1 || self.content.redelivered
    }

    /// Returns whether a settlement would be [stale](super::SettlementOutcome::Stale) now.
    ///
    /// A stale delivery stays stale. If you keep copies, you may drop the stale ones.
    pub fn is_stale(&self) -> bool {
        let (source, session, tag) = self.key;
        let state = self.shared.lock();
        !state.sources.get(source).is_some_and(|entry| entry.ledger.is_handed_out(session, tag))
    }

    /// Returns the time of reception, in UTC.
    pub fn received_at(&self) -> OffsetDateTime {
        self.content.received_at
    }

    /// Acknowledges the message: the work is done and on the disk.
    ///
    /// # Errors
    ///
    /// See [`SettlementReceipt`].
    ///
    /// # Cancel safety
    ///
    /// The call settles the delivery. You may drop the receipt.
    pub fn ack(self) -> SettlementReceipt {
        self.settle(Settlement::Ack)
    }

    /// Gives the message back to its source, which delivers it again, perhaps to another consumer.
    ///
    /// Do not release what you cannot handle: a broker delivers it again at once.
    ///
    /// # Errors
    ///
    /// See [`SettlementReceipt`].
    ///
    /// # Cancel safety
    ///
    /// The call settles the delivery. You may drop the receipt.
    pub fn release(self) -> SettlementReceipt {
        self.settle(Settlement::Release)
    }

    /// Reports that the work failed for `reason`, and asks for the delivery again after a wait.
    ///
    /// The delivery stays in the memory of the listener. After
    /// [`attempts`](super::ListenerConfig::attempts) failures that count, it becomes a dead letter.
    /// The reason goes to the dead-letter file. Do not put a credential into it.
    ///
    /// # Errors
    ///
    /// See [`SettlementReceipt`], which resolves at once.
    ///
    /// # Cancel safety
    ///
    /// The call settles the delivery. You may drop the receipt.
    pub fn fail(self, reason: impl Into<String>) -> SettlementReceipt {
        self.settle(Settlement::Fail(reason.into()))
    }

    /// Refuses the message for good, for `reason`. It becomes a dead letter.
    ///
    /// The reason goes to the dead-letter file. Do not put a credential into it.
    ///
    /// # Errors
    ///
    /// See [`SettlementReceipt`], which resolves once the letter is on the disk and the source has
    /// the acknowledgement. It waits while the dead-letter file cannot be written.
    ///
    /// # Cancel safety
    ///
    /// The call settles the delivery. You may drop the receipt.
    pub fn refuse(self, reason: impl Into<String>) -> SettlementReceipt {
        self.settle(Settlement::Refuse(reason.into()))
    }

    /// Settles the delivery with a receipt of its own.
    fn settle(mut self, settlement: Settlement) -> SettlementReceipt {
        let (resolver, receipt) = ReceiptResolver::new(1);
        let now = Instant::now();
        self.is_settled = true;
        self.shared.lock().settle(self.key, settlement, Some(resolver), now);
        receipt
    }

    /// Settles deliveries of one listener together, with one receipt.
    pub(super) fn settle_all(
        deliveries: &mut [Self],
        mut settlement: impl FnMut() -> Settlement,
    ) -> SettlementReceipt {
        let (resolver, receipt) = ReceiptResolver::new(deliveries.len());
        let now = Instant::now();
        let Some(shared) = deliveries.first().map(|first| Arc::clone(&first.shared)) else {
            return receipt;
        };
        let mut state = shared.lock();
        for delivery in deliveries {
            delivery.is_settled = true;
            state.settle(delivery.key, settlement(), Some(resolver.clone()), now);
        }
        receipt
    }
}

/// Counts as a failure, unless the delivery is settled.
impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.is_settled {
            let failure = Settlement::Fail("dropped without a settlement".into());
            self.shared.lock().settle(self.key, failure, None, Instant::now());
        }
    }
}

/// Shows the source, the position and the attempts, and nothing of the message.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("source", &self.name)
            .field("position", &self.content.position)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
