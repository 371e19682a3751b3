//! Room in a queue that a caller takes before it queues a message.
//!
//! A reservation counts against the bounds of the queue, and gives its room back when it is dropped.

use std::sync::Arc;

use tokio::time::Instant;

use super::account::DropReason;
use super::block::MessageBlock;
use super::claim::Claim;
use super::load::Load;
use super::queue::{Queue, Submission};
use super::queue_config::weight;
use crate::codec::message::Message;
use crate::error::Result;
use crate::transport::lanes::Lane;

/// Room for one message, held until the message is queued or the reservation is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    queue: Arc<Queue>,
    /// The bytes, as the bounds of the queue count them; `None` once a message took the room.
    bytes: Option<usize>,
}

/// The room that a caller asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoomRequest {
    /// The lane of the message, if there is a message already.
    pub(super) lane: Option<Lane>,
    /// The number of messages.
    pub(super) messages: usize,
    /// The bytes of each message, as the bounds of the queue count them.
    pub(super) bytes: usize,
}

impl RoomRequest {
    /// Returns the request for one message.
    pub(super) fn of(message: &Message, queue: &Queue) -> Self {
        Self { lane: Some(queue.lanes.lane(message)), messages: 1, bytes: weight(message) }
    }

    /// Returns the room of all messages.
    fn load(self) -> Load {
        Load { messages: self.messages, bytes: self.bytes.saturating_mul(self.messages) }
    }
}

impl Queue {
    /// Takes room if there is enough and no caller waits in line; returns one reservation for each
    /// message, or `None` without room.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) once the notifier is closed.
    pub(super) fn try_reserve(
        self: &Arc<Self>,
        request: RoomRequest,
        claim: Claim,
    ) -> Result<Option<Vec<Reservation>>> {
        let load = request.load();
        let mut evicted = MessageBlock::default();
        let mut state = self.lock();
        if state.closed {
            return Err(DropReason::Closed.error(&self.config));
        }
        let taken = state.take_room(request.lane, load, claim, &self.config, &mut evicted);
        if taken {
            state.reserved += load;
        }
        self.unlock_and_drop(state, evicted);
        let reservation = || Reservation { queue: Arc::clone(self), bytes: Some(request.bytes) };
        Ok(taken.then(|| (0..request.messages).map(|_| reservation()).collect()))
    }

    /// Takes room as soon as there is enough. Callers get room in the order in which they called.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`](crate::ErrorKind::Full) if there is no room before the deadline, and
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) once the notifier is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes no room.
    pub(super) async fn reserve(
        self: &Arc<Self>,
        request: RoomRequest,
        deadline: Instant,
    ) -> Result<Vec<Reservation>> {
        let full = || DropReason::Overflow.error(&self.config);
        let line = self.room.line(request.lane);
        let turn = tokio::time::timeout_at(deadline, line.turn.lock()).await;
        let Ok(_turn) = turn else { return Err(full()) };
        let _waiting = self.await_room(request.lane, request.load());
        loop {
            let room = line.room.notified();
            if let Some(reservations) = self.try_reserve(request, Claim::First)? {
                return Ok(reservations);
            }
            if tokio::time::timeout_at(deadline, room).await.is_err() {
                return self.try_reserve(request, Claim::First)?.ok_or_else(full);
            }
        }
    }
}

impl Reservation {
    /// Queues a message in the room. A closed queue drops it. If `protected`, no overflow does.
    pub(super) fn push(mut self, submission: Submission, protected: bool) {
        let room = self.bytes.take().unwrap_or_default();
        self.queue.push_reserved(submission, room, protected);
        // The message may take less than the room.
        self.queue.room.notify();
    }
}

/// Gives the room back.
impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes {
            self.queue.lock().reserved -= Load::one(bytes);
            self.queue.room.notify();
        }
    }
}
