//! Permits: room for a notification that a program takes before the operation that it reports.
//!
//! A permit holds a reservation in the queue of each required destination. It knows nothing about lanes.

use std::fmt;

use super::account::DropReason;
use super::deadline::after;
use super::fan_out::{MessagesOnce, reserve_each, try_reserve_each};
use super::notifier::{Notifier, NotifierCore};
use super::queue_config::BOOKKEEPING;
use super::receipt::Receipt;
use super::reservation::{Reservation, RoomRequest};
use crate::codec::context::{Context, EMPTY};
use crate::codec::message::Message;
use crate::error::{Error, ErrorKind, Result};
use crate::event::payload::Event;

/// Room for one notification in the queue of every required destination.
///
/// Take one with [`Notifier::reserve`] before an operation that must be reported. After the operation,
/// [`emit`](Self::emit) always finds room: no overflow refuses or drops the notification, whatever
/// [`Overflow`](super::Overflow) says. Dropping a permit gives the room back.
///
/// A notifier that is closed voids its permits: their notifications count as
/// [dropped after the close](super::DropCounts::closed), and their receipts say so.
///
/// # Examples
///
/// ```
/// # use notify_conformance::script::Script;
/// use notify_core::event::Payload;
/// use notify_core::{Event, Notifier};
///
/// # fn delete_the_image() {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// # let transport = Script::default().transport();
/// let (notifier, worker) = Notifier::builder(transport).build()?;
/// tokio::spawn(worker.run());
///
/// let permit = notifier.reserve(16 * 1024).await?;
/// delete_the_image(); // only with room for its notification
/// let receipt = permit.emit(&Event::ImageDelete(Payload::Warn("deleted by hand".into())))?;
/// receipt.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Permit {
    notifier: Notifier,
    /// The room in each required destination, in their order.
    rooms: Vec<Reservation>,
    max_bytes: usize,
}

/// An event that did not fit its permit, from [`Permit::emit`].
///
/// Nothing was emitted or counted. The permit holds its room.
#[derive(Debug)]
pub struct UnusedPermit {
    /// The permit, for another event.
    pub permit: Permit,
    /// The reason: the notification is larger than the permit, or cannot be encoded.
    pub error: Error,
}

impl Notifier {
    /// Takes room for a notification of at most `max_bytes` bytes in every required destination, as soon as
    /// all of them have room.
    ///
    /// The size is that of the [message](crate::Message::size): its body with the envelope of six attributes,
    /// and its context. A queue counts 256 bytes more for each message.
    ///
    /// Needs a tokio runtime with its timer enabled.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] if there is no room within the builder's
    /// [`send_timeout`](super::NotifierBuilder::send_timeout), [`ErrorKind::TooLarge`] if it would never
    /// fit, and [`ErrorKind::Closed`] once the notifier is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no room. Callers get room in the order in which they called.
    pub async fn reserve(&self, max_bytes: usize) -> Result<Permit> {
        let mut permits = self.reserve_many(1, max_bytes).await?;
        permits.pop().ok_or_else(no_permit)
    }

    /// Takes room for `count` notifications, of at most `max_bytes` bytes each, at once. Otherwise this
    /// method is like [`reserve`](Self::reserve), also in its errors and its cancel safety.
    ///
    /// Needs a tokio runtime with its timer enabled.
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// # use notify_core::Notifier;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> notify_core::Result<()> {
    /// # let transport = Script::default().transport();
    /// let (notifier, _worker) = Notifier::builder(transport).build()?;
    /// let permits = notifier.reserve_many(100, 4 * 1024).await?;
    /// assert_eq!(permits.len(), 100);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As from [`reserve`](Self::reserve).
    pub async fn reserve_many(&self, count: usize, max_bytes: usize) -> Result<Vec<Permit>> {
        let requests = self.room_requests(count, max_bytes)?;
        let deadline = after(self.0.send_timeout);
        let rooms = reserve_each(&requests, deadline).await?;
        Ok(self.permits(rooms, requests.len(), count, max_bytes))
    }

    /// Takes room for a notification of at most `max_bytes` bytes without waiting.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] if a required destination has no room now, and otherwise as from
    /// [`reserve`](Self::reserve).
    ///
    /// # Examples
    ///
    /// ```
    /// # use notify_conformance::script::Script;
    /// use notify_core::pipeline::QueueConfig;
    /// use notify_core::{ErrorKind, Notifier};
    ///
    /// # let transport = Script::default().transport();
    /// let mut queue = QueueConfig::default();
    /// queue.max_messages = 1;
    /// let (notifier, _worker) = Notifier::builder(transport).queue(queue).build()?;
    /// let permit = notifier.try_reserve(1024)?;
    /// assert_eq!(notifier.try_reserve(1024).unwrap_err().kind(), ErrorKind::Full);
    /// drop(permit);
    /// assert!(notifier.try_reserve(1024).is_ok());
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn try_reserve(&self, max_bytes: usize) -> Result<Permit> {
        let requests = self.room_requests(1, max_bytes)?;
        match try_reserve_each(&requests, None)? {
            Ok(rooms) => {
                let mut permits = self.permits(rooms, requests.len(), 1, max_bytes);
                permits.pop().ok_or_else(no_permit)
            }
            Err(full) => Err(DropReason::Overflow.error(&requests[full].0.queue.config)),
        }
    }

    /// Returns the room to ask for in each required destination.
    fn room_requests(
        &self,
        count: usize,
        max_bytes: usize,
    ) -> Result<Vec<(&NotifierCore, RoomRequest)>> {
        let bytes = max_bytes.saturating_add(BOOKKEEPING);
        let request = RoomRequest { lane: None, messages: count, bytes };
        let requests: Vec<_> =
            self.cores().filter(|core| core.label.required).map(|core| (core, request)).collect();
        let fits = |core: &NotifierCore| {
            let config = &core.queue.config;
            count <= config.max_messages && bytes.saturating_mul(count) <= config.max_bytes
        };
        let may_fit = if requests.is_empty() {
            // Optional destinations take no room, but their queues still bound the number of permits.
            self.cores().any(fits)
        } else {
            requests.iter().all(|&(core, _)| fits(core))
        };
        if !may_fit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "a permit for {count} notifications of {max_bytes} bytes never fits the queue: ask \
                     for less, or raise `queue.max_messages` or `queue.max_bytes`"
                ),
            ));
        }
        Ok(requests)
    }

    /// Returns `count` permits with the reservations of `destinations` requests.
    fn permits(
        &self,
        rooms: Vec<Reservation>,
        destinations: usize,
        count: usize,
        max_bytes: usize,
    ) -> Vec<Permit> {
        let empty = || Permit {
            notifier: self.clone(),
            rooms: Vec::with_capacity(destinations),
            max_bytes,
        };
        let mut permits: Vec<_> = (0..count).map(|_| empty()).collect();
        // The reservations of one destination come in a row.
        for (index, room) in rooms.into_iter().enumerate() {
            permits[index % count].rooms.push(room);
        }
        permits
    }
}

impl Permit {
    /// Returns the size of the largest notification that this permit has room for, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Emits a notification into the room of this permit, without blocking or waiting.
    ///
    /// Optional destinations take the notification if they have room, as from
    /// [`Notifier::emit`]. A destination whose filter leaves it out gets its room back.
    ///
    /// # Errors
    ///
    /// [`UnusedPermit`], with this permit, if the notification is larger than
    /// [`max_bytes`](Self::max_bytes) or cannot be encoded.
    pub fn emit(self, event: &Event) -> Result<Receipt, UnusedPermit> {
        self.emit_with(event, &EMPTY)
    }

    /// Emits a notification in a context, into the room of this permit. Otherwise this method is like
    /// [`emit`](Self::emit).
    ///
    /// # Errors
    ///
    /// As from [`emit`](Self::emit). The context counts as part of the notification.
    pub fn emit_with(self, event: &Event, context: &Context) -> Result<Receipt, UnusedPermit> {
        let Self { notifier, rooms, max_bytes } = self;
        let mut messages = MessagesOnce::new(notifier.encoder(event, context));
        let takes =
            |core: &NotifierCore| core.enabled.contains_event(event.event_type(), event.priority());
        let fits = |core: &NotifierCore| match messages.get(&core.encoding) {
            Ok(message) if message.size() > max_bytes => Err(too_large(&message, max_bytes)),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        let mut required = notifier.cores().filter(|core| core.label.required && takes(core));
        if let Err(error) = required.try_for_each(fits) {
            drop(required);
            return Err(UnusedPermit { permit: Self { notifier, rooms, max_bytes }, error });
        }
        // The room of a destination that does not take the notification is given back here.
        let required = notifier.cores().filter(|core| core.label.required);
        let wanted = required.zip(rooms).filter(|(core, _)| takes(core)).map(|(_, room)| room);
        let mut rooms = wanted.collect::<Vec<_>>().into_iter();
        Ok(notifier.submit_to_each(
            |core| core.accepts(event.event_type(), event.priority()),
            |core| messages.get(&core.encoding),
            Some(event),
            |core, submission| match core.label.required.then(|| rooms.next()).flatten() {
                Some(room) => room.push(submission, true),
                None => core.queue.push(submission),
            },
        ))
    }
}

impl fmt::Display for UnusedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for UnusedPermit {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Gives the permit's room back and keeps the reason.
impl From<UnusedPermit> for Error {
    fn from(unused: UnusedPermit) -> Self {
        unused.error
    }
}

/// Returns the error for a message that is larger than its permit.
fn too_large(message: &Message, max_bytes: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!(
            "the notification has {} bytes, more than the {max_bytes} of its permit: reserve more",
            message.size()
        ),
    )
}

/// Returns the error for a reservation without a permit.
fn no_permit() -> Error {
    Error::new(ErrorKind::Bug, "no permit for the room that was taken")
}
