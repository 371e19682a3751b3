//! One notification for several destinations: stamped once, and encoded once for each distinct encoding.
//!
//! Each destination is a notifier with a queue and an account of its own. This file hands a notification
//! to each of them. It knows nothing about lanes and batches.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::account::DropReason;
use super::claim::Claim;
use super::deadline::after;
use super::notifier::{Notifier, NotifierCore};
use super::outcome_slot::OutcomeSlots;
use super::queue::Submission;
use super::receipt::Receipt;
use super::reservation::{Reservation, RoomRequest};
use crate::codec::context::Context;
use crate::codec::encode::{Encoding, encode};
use crate::codec::message::Message;
use crate::codec::notification::Notification;
use crate::error::Result;
use crate::event::event_type::EventType;
use crate::event::payload::{Event, PayloadView};
use crate::event::priority::Priority;

impl Notifier {
    /// Emits an event to each destination whose filter takes it.
    // Out of line: the notifier of one destination must not pay for this.
    #[inline(never)]
    pub(super) fn emit_to_each(&self, event: &Event, context: &Context) -> Receipt {
        let mut messages = MessagesOnce::new(self.encoder(event, context));
        self.submit_to_each(
            |core| core.accepts(event.event_type(), event.priority()),
            |core| messages.get(&core.encoding),
            Some(event),
            |core, submission| core.queue.push(submission),
        )
    }

    /// Emits an event as soon as all required destinations have room.
    pub(super) async fn enqueue_to_each(&self, event: &Event, context: &Context) -> Receipt {
        let messages = MessagesOnce::new(self.encoder(event, context));
        self.push_to_each(messages, event.event_type(), event.priority(), Some(event)).await
    }

    /// Queues an existing notification as soon as all required destinations have room.
    pub(super) async fn resend_to_each(
        &self,
        notification: &Notification,
        context: &Context,
    ) -> Receipt {
        let encode = |encoding: &Encoding| notification.encode_in(context, encoding);
        let messages = MessagesOnce::new(encode);
        let priority = notification.payload.priority();
        self.push_to_each(messages, notification.event_type(), priority, None).await
    }

    /// Returns the encoder of an event with a new id and the current time.
    pub(super) fn encoder<'a>(
        &self,
        event: &'a Event,
        context: &'a Context,
    ) -> impl Fn(&Encoding) -> Result<Message> + use<'a> {
        let id = self.0.queue.random.message_id();
        let now = OffsetDateTime::now_utc();
        let publisher_id = Arc::clone(&self.0.publisher_id);
        move |encoding: &Encoding| {
            let payload = PayloadView::Constructed(event, Some(encoding.payloads));
            let mut message = encode(id, &publisher_id, now, payload, encoding)?;
            message.set_emitted(context, &encoding.limits)?;
            Ok(message)
        }
    }

    /// Queues the message of each destination whose filter takes it, as soon as the required ones have
    /// room. `event` is `None` for a notification of the past.
    async fn push_to_each<F: Fn(&Encoding) -> Result<Message>>(
        &self,
        mut messages: MessagesOnce<F>,
        event_type: &EventType,
        priority: Priority,
        event: Option<&Event>,
    ) -> Receipt {
        let takes = |core: &NotifierCore| core.enabled.contains_event(event_type, priority);
        let mut requests = Vec::new();
        for core in self.cores().filter(|core| core.label.required && takes(core)) {
            // One that cannot be encoded needs no room, and is refused below.
            if let Ok(message) = messages.get(&core.encoding) {
                requests.push((core, RoomRequest::of(&message, &core.queue)));
            }
        }
        let deadline = after(self.0.send_timeout);
        let mut rooms = reserve_each(&requests, deadline).await.map(Vec::into_iter);
        // Nothing is counted before this line, so that a dropped future counts nothing.
        self.submit_to_each(
            |core| core.accepts(event_type, priority),
            |core| messages.get(&core.encoding),
            event,
            |core, submission| {
                if !core.label.required {
                    return core.queue.push(submission);
                }
                match rooms.as_mut().map(Iterator::next) {
                    Ok(Some(room)) => room.push(submission, false),
                    // A destination without room in time, or a closed one.
                    Ok(None) | Err(_) => core.queue.push_or_drop(submission),
                }
            },
        )
    }

    /// Hands a notification to each destination that `accepts` it, by `push`. `event` is `None` for a
    /// notification of the past.
    pub(super) fn submit_to_each(
        &self,
        accepts: impl Fn(&NotifierCore) -> bool,
        mut message: impl FnMut(&NotifierCore) -> Result<Message>,
        event: Option<&Event>,
        mut push: impl FnMut(&NotifierCore, Submission),
    ) -> Receipt {
        let slots = OutcomeSlots::new(self.0.labels.len());
        let (mut message_id, since) = (None, Instant::now());
        for (index, core) in self.cores().enumerate() {
            if !accepts(core) {
                slots.set_filtered(index);
                continue;
            }
            let receipt = slots.sender(index);
            match message(core) {
                Ok(message) => {
                    message_id = Some(message.id());
                    let message = if core.is_narrower { message.detached() } else { message };
                    push(core, Submission { message, receipt, since });
                }
                Err(error) => {
                    core.queue.refuse_unencoded(&error, event);
                    receipt.send(Err(error));
                }
            }
        }
        Receipt::of_destinations(&self.0.labels, slots, message_id)
    }
}

impl NotifierCore {
    /// Returns whether the destination gets an event. Counts the event as suppressed otherwise.
    pub(super) fn accepts(&self, event_type: &EventType, priority: Priority) -> bool {
        let accepts = self.enabled.contains_event(event_type, priority);
        if !accepts {
            self.count_suppressed();
        }
        accepts
    }
}

/// Takes room in every destination of `requests`, or in none; returns one reservation for each message
/// that each request asks for, in their order.
///
/// Holds no room of one destination while it waits for that of another.
///
/// # Errors
///
/// [`ErrorKind::Full`](crate::ErrorKind::Full) if one has no room before the deadline, and
/// [`ErrorKind::Closed`](crate::ErrorKind::Closed) once the notifier is closed.
///
/// # Cancel safety
///
/// Dropping the future takes no room.
pub(super) async fn reserve_each(
    requests: &[(&NotifierCore, RoomRequest)],
    deadline: Instant,
) -> Result<Vec<Reservation>> {
    let mut first = None;
    loop {
        let has_waited = first.is_some();
        match try_reserve_each(requests, first.take())? {
            Ok(reservations) => return Ok(reservations),
            // Destinations that fill up in turn must not extend the wait.
            Err(full) if has_waited && deadline <= Instant::now() => {
                return Err(DropReason::Overflow.error(&requests[full].0.queue.config));
            }
            Err(full) => {
                let (core, request) = requests[full];
                first = Some((full, core.queue.reserve(request, deadline).await?));
            }
        }
    }
}

/// Takes room in every destination without waiting; returns the index of the first that has none
/// otherwise. `held` is the room for which the caller waited, with the index of its destination.
pub(super) fn try_reserve_each(
    requests: &[(&NotifierCore, RoomRequest)],
    held: Option<(usize, Vec<Reservation>)>,
) -> Result<Result<Vec<Reservation>, usize>> {
    // Room for which this caller waits must suffice here too. Otherwise callers in other lines could make it
    // take and give back the room of two destinations in turn, without a wait in between.
    let claim = if held.is_some() { Claim::FirstIfAlone } else { Claim::InTurn };
    let (held_at, mut held) = held.map_or((None, None), |(at, room)| (Some(at), Some(room)));
    let mut reservations = Vec::with_capacity(requests.len());
    for (at, (core, request)) in requests.iter().enumerate() {
        let room = match held.take_if(|_| held_at == Some(at)) {
            Some(room) => Some(room),
            None => core.queue.try_reserve(*request, claim)?,
        };
        match room {
            Some(room) => reservations.extend(room),
            None => return Ok(Err(at)),
        }
    }
    Ok(Ok(reservations))
}

/// The messages of one notification, each distinct encoding encoded once.
pub(super) struct MessagesOnce<F> {
    encode: F,
    first: Option<(Encoding, Result<Message>)>,
    /// The messages in further encodings. Apart, because most notifiers use one encoding and then allocate
    /// nothing here.
    further: Vec<(Encoding, Result<Message>)>,
}

impl<F: Fn(&Encoding) -> Result<Message>> MessagesOnce<F> {
    /// Returns no message yet. `encode` encodes the notification.
    pub(super) fn new(encode: F) -> Self {
        Self { encode, first: None, further: Vec::new() }
    }

    /// Returns the message in an encoding.
    pub(super) fn get(&mut self, encoding: &Encoding) -> Result<Message> {
        let mut encoded = self.first.iter().chain(&self.further);
        if let Some((_, message)) = encoded.find(|(known, _)| known == encoding) {
            return message.clone();
        }
        let message = (self.encode)(encoding);
        let kept = (*encoding, message.clone());
        match &self.first {
            None => self.first = Some(kept),
            Some(_) => self.further.push(kept),
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::super::block::MessageBlock;
    use super::super::queue_config::QueueConfig;
    use super::*;
    use crate::event::payload::Payload;
    use crate::transport::{Batch, Transport};

    /// A destination that never gets a batch: the test runs no worker.
    #[derive(Debug)]
    struct Idle;

    #[async_trait]
    impl Transport for Idle {
        fn name(&self) -> &'static str {
            "idle"
        }

        async fn send(&mut self, _: &mut Batch<'_>) -> Result<()> {
            Ok(())
        }

        async fn close(&mut self) -> Result<()> {
            Ok(())
        }
    }

    /// The pending messages of a destination with a filter keep no memory of events that it does not get.
    #[test]
    fn a_destination_with_a_filter_keeps_its_own_bodies_alone() {
        let failures = Notifier::builder(Idle).named("failures").priorities([Priority::Error]);
        let all = Notifier::builder(Idle).named("all").destination(failures);
        let (notifier, _worker) = all.publisher_id("image.host1").build().unwrap();
        for _ in 0..10 {
            drop(notifier.emit(&Event::ImageUpload(Payload::Warn("slow".into()))));
        }
        drop(notifier.emit(&Event::ImageUpload(Payload::Error("full".into()))));
        let owners = notifier.cores().map(take_owners);
        assert_eq!(owners.collect::<Vec<_>>(), [vec![false; 11], vec![true]]);
    }

    /// A message of a permit, and one that the queue takes after it dropped others, keep no memory of those
    /// beside them.
    #[test]
    fn a_message_that_outlasts_those_beside_it_keeps_its_own_body_alone() {
        let queue = QueueConfig { max_messages: 3, ..QueueConfig::default() };
        let builder = Notifier::builder(Idle).queue(queue).publisher_id("image.host1");
        let (notifier, _worker) = builder.build().unwrap();
        let event = Event::ImageUpload(Payload::Warn("slow".into()));
        drop(notifier.emit(&event));
        drop(notifier.try_reserve(4096).unwrap().emit(&event).unwrap());
        let room = notifier.try_reserve(4096).unwrap();
        drop(notifier.emit(&event));
        assert_eq!(notifier.stats().dropped.overflow, 1);
        drop(room);
        drop(notifier.emit(&event));
        assert_eq!(take_owners(&notifier.0), [false, true, true]);
    }

    /// Removes the pending messages of a destination, and returns which of them have bodies of their own.
    fn take_owners(core: &NotifierCore) -> Vec<bool> {
        let mut pending = MessageBlock::default();
        core.queue.lock().pending.take_any(&mut pending);
        pending.messages.iter().map(|message| message.is_detached).collect()
    }
}
