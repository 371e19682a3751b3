//! The interface between the clauses and a destination: what a test can read and break.
//!
//! It describes destinations only. The clauses that use it are in [`clauses`](crate::clauses).

use std::collections::BTreeMap;

use async_trait::async_trait;
use notify_core::codec::HeaderValue;
use notify_core::{Message, Notification, Priority, Transport};
use serde_json::Value;

use crate::samples;

/// An ability of a destination that some clauses need.
///
/// A harness lists the abilities that its destination lacks in [`Harness::UNSUPPORTED`].
///
/// # Examples
///
/// ```
/// use notify_conformance::script::Script;
/// use notify_conformance::{Capability, Harness};
///
/// assert!(Capability::ReadBack.is_supported_by::<Script>());
/// assert!(Script::UNSUPPORTED.is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// The destination keeps the messages that it accepts, and a test can read them back.
    ReadBack,
    /// The destination keeps id, event type, priority and headers beside the body.
    Metadata,
    /// A test can kill the destination in the middle of a batch, and start it again with the
    /// messages that it accepted.
    Restart,
    /// A test can make the destination stop answering while its connections stay open.
    Stall,
    /// The destination refuses some message for good.
    Refuse,
    /// A test can make the destination decline messages for now, one by one.
    Retry,
    /// The destination has a lane for each priority, and a test can fill one of them.
    FullLane,
    /// The destination has a lane for each priority, and a test can make one of them silent.
    SilentLane,
}

/// A fault of one lane of a destination, while the others work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LaneFault {
    /// The destination declines every message of the lane for now.
    Full,
    /// The destination answers no message of the lane.
    Silent,
}

impl Capability {
    /// Returns whether the destination of `H` has this ability.
    ///
    /// Prints the harness's reason when it does not, so that the output of a skipped clause says why
    /// the clause does not apply.
    pub fn is_supported_by<H: Harness>(self) -> bool {
        let missing = H::UNSUPPORTED.iter().find(|(capability, _)| *capability == self);
        if let Some((capability, reason)) = missing {
            println!("does not apply, {capability:?} is unsupported: {reason}");
        }
        missing.is_none()
    }
}

/// One destination of your transport, started for one test.
///
/// Each clause starts its own harness, so tests run side by side. Dropping the harness must end
/// everything that it started.
///
/// # Examples
///
/// The harness of a transport that delivers nothing, such as that of the strategy `noop`:
///
/// ```
/// use notify_conformance::{Capability, Harness, ReceivedMessage};
/// use notify_core::Transport;
/// use notify_core::transport::async_trait;
///
/// # fn open() -> Box<dyn Transport> { notify_conformance::script::Script::default().transport() }
/// struct NoDestination;
///
/// #[async_trait]
/// impl Harness for NoDestination {
///     const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
///         (Capability::ReadBack, "it keeps nothing"),
///         (Capability::Metadata, "it keeps nothing"),
///         (Capability::Restart, "there is no process to restart"),
///         (Capability::Stall, "it always answers"),
///         (Capability::Refuse, "it accepts every message"),
///         (Capability::Retry, "it accepts every message"),
///         (Capability::FullLane, "it has one lane"),
///         (Capability::SilentLane, "it has one lane"),
///     ];
///
///     async fn start() -> Self {
///         Self
///     }
///
///     fn transport(&self) -> Box<dyn Transport> {
///         open()
///     }
///
///     async fn received(&mut self) -> Vec<ReceivedMessage> {
///         Vec::new()
///     }
///
///     async fn open_handles(&mut self) -> usize {
///         0
///     }
/// }
/// ```
#[async_trait]
pub trait Harness: Send + Sized {
    /// The abilities that this destination lacks, each with the reason.
    ///
    /// A clause that needs one of them prints the reason and passes. For every other capability the
    /// methods that name it below must work.
    const UNSUPPORTED: &'static [(Capability, &'static str)];

    /// Starts a fresh, empty destination that no other test uses.
    async fn start() -> Self;

    /// Opens a transport to this destination.
    ///
    /// Opening must not touch the destination: [`Transport`] connects on its first `send`.
    fn transport(&self) -> Box<dyn Transport>;

    /// Returns every message that the destination accepted so far, in its order, with duplicates.
    ///
    /// Read them with another client than the transport's own. Without
    /// [`Capability::ReadBack`], return an empty list.
    async fn received(&mut self) -> Vec<ReceivedMessage>;

    /// Returns how many connections or open files the transports hold on the destination.
    ///
    /// Clauses expect 0 before the first message and after the transport is closed or dropped.
    async fn open_handles(&mut self) -> usize;

    /// Kills the destination at once, in the middle of its work. See [`Capability::Restart`].
    async fn kill(&mut self) {}

    /// Starts the killed destination again and waits until it accepts connections. See
    /// [`Capability::Restart`].
    async fn restart(&mut self) {}

    /// Makes the destination stop answering. See [`Capability::Stall`].
    async fn stall(&mut self) {}

    /// Makes the stalled destination answer again. See [`Capability::Stall`].
    async fn resume(&mut self) {}

    /// Returns a notification that the destination refuses for good. See [`Capability::Refuse`].
    async fn refused_notification(&mut self) -> Notification {
        samples::notification(0)
    }

    /// Makes the destination decline every message for now, as a full queue does. See
    /// [`Capability::Retry`].
    async fn start_declining(&mut self) {}

    /// Makes the destination accept messages again. See [`Capability::Retry`].
    async fn stop_declining(&mut self) {}

    /// Makes the lane of a priority fail, or work again for `None`. See [`Capability::FullLane`] and
    /// [`Capability::SilentLane`].
    ///
    /// The lane of a silent fault must answer again once it works. A full lane may still have room for
    /// one or two messages.
    async fn set_lane_fault(&mut self, _priority: Priority, _fault: Option<LaneFault>) {}
}

/// One message as the destination keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// The metadata beside the body; `None` where the destination keeps only bodies.
    pub metadata: Option<MessageMetadata>,
}

/// The facts that a destination keeps beside a body: headers or application properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageMetadata {
    /// The notification's `message_id`.
    pub message_id: String,
    /// The name of the event type: `image.create`.
    pub event_type: String,
    /// The priority that the transport routed the message by.
    pub priority: Priority,
    /// The headers or application properties, each value as JSON: `"web"`, `7`.
    pub headers: BTreeMap<String, String>,
}

impl MessageMetadata {
    /// Returns the facts that a destination must keep beside a message.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_conformance::{MessageMetadata, samples};
    /// use notify_core::codec::Sequence;
    ///
    /// let message = samples::messages(0..1).remove(0);
    /// let message = message.with_sequence(Sequence::new(uuid::Uuid::nil(), "info", 7));
    /// assert_eq!(MessageMetadata::of(&message).headers["glance-notify-number"], "7");
    /// ```
    pub fn of(message: &Message) -> Self {
        let headers = message.headers().map(|(name, value)| {
            let value = match value {
                HeaderValue::Text(text) => Value::from(text),
                HeaderValue::Number(number) => Value::from(number),
            };
            (name.to_owned(), value.to_string())
        });
        Self {
            message_id: message.id().to_string(),
            event_type: message.event_type().to_string(),
            priority: message.priority(),
            headers: headers.collect(),
        }
    }
}
