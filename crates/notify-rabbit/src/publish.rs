//! Publishes one window of messages and settles them by their confirms.
//!
//! The verdict of a message follows from the broker's answers:
//!
//! | confirm | returned | verdict |
//! |---|---|---|
//! | ack | no | accept |
//! | ack or nack | yes, for the first time | retry, after the transport has declared the queues again |
//! | ack or nack | yes, for the second time | refuse |
//! | nack | no | retry, over a new channel |
//! | ack | no, but others were, and the window ended early | none: the attempt fails, and the outcome is unknown |
//! | none | any | none, in the same way |
//!
//! lapin attaches a returned message to the confirm that arrives next, not to its own confirm. So this
//! module matches returned messages by message id, after every confirm of the window has arrived and
//! the set of returned ids is complete.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use lapin::Confirmation;
use lapin::message::BasicReturnMessage;
use notify_core::redact::printable;
use notify_core::{Batch, Error, ErrorKind, Message, Outcome, Result, Verdict};
use notify_net::Envelope;
use uuid::Uuid;

use crate::config::Config;
use crate::confirms::{PublishFailure, publish_all};
use crate::publisher::Publisher;
use crate::runtime::silently;
use crate::topology::Topology;

/// The knowledge about messages and the broker that outlives a window and a connection.
#[derive(Debug, Default)]
pub(crate) struct PublishState {
    /// Messages that the broker returned once. The transport has declared their route again since,
    /// so a second return is final.
    returned: HashSet<Uuid>,
    /// The broker's limit of a body in bytes, once the broker has named it.
    max_body_bytes: Option<u64>,
}

/// The repairs that a window requires before the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FollowUp {
    /// Whether the broker returned messages, so that the transport must declare the queues again.
    pub(crate) declare: bool,
    /// Whether the broker nacked messages, so that the transport must replace the channel.
    ///
    /// A RabbitMQ channel that has published to a quorum queue without a leader may nack everything
    /// from then on, long after the queue has a leader again (observed with RabbitMQ 3.10).
    pub(crate) renew_channel: bool,
}

impl PublishState {
    /// Refuses the messages that no broker needs to see: those above the broker's size limit, and those
    /// that oslo.messaging's consumers would drop.
    pub(crate) fn refuse_undeliverable(&self, batch: &mut Batch<'_>, config: &Config) {
        for (index, message) in batch.messages().iter().enumerate() {
            if let Some(error) = self.refusal(message, config) {
                batch.settle(index, Verdict::Refuse(error));
            }
        }
    }

    /// Returns the reason to refuse `message`, if there is one.
    fn refusal(&self, message: &Message, config: &Config) -> Option<Error> {
        let bytes = message.body().len() as u64;
        if let Some(limit) = self.max_body_bytes.filter(|&limit| bytes > limit) {
            return Some(too_large(limit));
        }
        let bare = config.envelope == Envelope::Bare;
        (bare && memchr::memmem::find(message.body(), KOMBU_TYPE).is_some()).then(|| {
            Error::new(
                ErrorKind::Rejected,
                "the payload has a key `__type__`, and oslo.messaging's consumers drop such \
                 messages: rename the key, or set `rabbit.envelope = \"oslo-2.0\"`",
            )
        })
    }

    /// Returns whether the broker has returned the message before, and forgets it: the caller refuses
    /// it now.
    fn take_returned(&mut self, id: Uuid) -> bool {
        self.returned.remove(&id)
    }

    /// Records that the broker returned the message for the first time.
    fn record_returned(&mut self, id: Uuid) {
        if self.returned.len() >= MAX_RETURNED {
            // Most of these ids belong to messages that the notifier dropped. Forgetting one of the
            // others costs one more attempt.
            self.returned.clear();
        }
        self.returned.insert(id);
    }

    /// Records the broker's size limit, if the broker closed the channel over a message's size, and
    /// returns it.
    fn record_size_limit(&mut self, error: &lapin::Error) -> Option<u64> {
        let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return None };
        // RabbitMQ: `message size 141558073 is larger than configured max size 134217728`.
        let (_, limit) =
            error.get_message().as_str().split_once("larger than configured max size ")?;
        let limit = limit.split_once(' ').map_or(limit, |(limit, _)| limit).parse().ok()?;
        self.max_body_bytes = Some(limit);
        Some(limit)
    }
}

/// Returns the indices of the next window: at most `max_messages` from `start` on, at most 1 MiB
/// together, and at least one message.
pub(crate) fn window(batch: &Batch<'_>, start: usize, max_messages: usize) -> Range<usize> {
    let mut bytes = 0;
    let fitting = batch.messages()[start..].iter().take(max_messages).take_while(|message| {
        bytes += message.body().len();
        bytes <= WINDOW_BYTES
    });
    start..start + fitting.count().max(1)
}

/// Publishes the unsettled messages of `range` and settles every message whose outcome is known.
///
/// * A confirmed message is accepted.
/// * A returned message is unroutable. It is retried once, after the transport has declared the
///   queues again, and then refused.
/// * A nacked message is retried.
///
/// # Errors
///
/// When the connection or the channel failed, or a confirm did not arrive in time. Drop the
/// connection then.
///
/// # Cancel safety
///
/// Dropping the future leaves messages unsettled and unconfirmed. Drop the connection then.
pub(crate) async fn publish(
    publisher: &mut Publisher,
    config: &Config,
    topology: &Topology,
    state: &mut PublishState,
    batch: &mut Batch<'_>,
    range: Range<usize>,
) -> Result<FollowUp> {
    let indices: Vec<usize> = range.filter(|&index| !batch.is_settled(index)).collect();
    let messages = batch.messages();
    let publishing: Vec<&Message> = indices.iter().map(|&index| &messages[index]).collect();
    let (confirmations, failure) =
        silently(publish_all(publisher, config, topology, &publishing)).await;

    let mut returned = ReturnedMessages::default();
    let outcomes: Vec<_> = confirmations
        .into_iter()
        .map(|confirmation| confirmation.map(|confirmation| returned.extract(confirmation)))
        .collect();
    // While confirms are missing, a returned message may still wait for one of them, so only a window
    // without any return proves its acks. (A return arrives before the confirm of its message, and
    // every confirm takes one return along while there are any.)
    let complete = failure.is_none() || !returned.any;
    let mut follow_up = FollowUp::default();
    let mut settlements = SettlementBuffer { batch, accepted: 0..0 };
    for (&index, outcome) in indices.iter().zip(&outcomes) {
        let id = messages[index].id();
        match (returned.reasons.remove(&id), outcome) {
            (Some(reason), Some(_)) if state.take_returned(id) => {
                settlements.settle(index, Verdict::Refuse(reason));
            }
            (Some(reason), Some(_)) => {
                state.record_returned(id);
                follow_up.declare = true;
                settlements.settle(index, Verdict::Retry(reason.with_outcome(Outcome::NotSent)));
            }
            (None, Some(PublishOutcome::Nack)) => {
                follow_up.renew_channel = true;
                settlements.settle(index, Verdict::Retry(nacked(publisher)));
            }
            (None, Some(PublishOutcome::Ack)) if complete => {
                state.returned.remove(&id);
                publisher.has_confirmed = true;
                settlements.accept(index);
            }
            (_, Some(PublishOutcome::Ack) | None) => {}
        }
    }
    settlements.flush();
    let Some(failure) = failure else { return Ok(follow_up) };

    if let PublishFailure::Lapin(error) = &failure
        && let Some(limit) = state.record_size_limit(error)
    {
        for &index in &indices {
            if !batch.is_settled(index) && messages[index].body().len() as u64 > limit {
                batch.settle(index, Verdict::Refuse(too_large(limit)));
            }
        }
    }
    Err(failure.explain(publisher, config).with_outcome(Outcome::Unknown))
}

/// A buffer that joins runs of accepted messages, so that one call settles many.
struct SettlementBuffer<'a, 'b> {
    batch: &'a mut Batch<'b>,
    /// Accepted messages that are not settled yet.
    accepted: Range<usize>,
}

impl SettlementBuffer<'_, '_> {
    /// Accepts the message, now or with the rest of its run.
    fn accept(&mut self, index: usize) {
        if self.accepted.end != index {
            self.flush();
            self.accepted = index..index;
        }
        self.accepted.end = index + 1;
    }

    /// Settles one message, after the run before it.
    fn settle(&mut self, index: usize, verdict: Verdict) {
        self.flush();
        self.batch.settle(index, verdict);
    }

    /// Settles the current run.
    fn flush(&mut self) {
        let accepted = std::mem::take(&mut self.accepted);
        self.batch.settle_range(accepted, &Verdict::Accept);
    }
}

/// The broker's answer to one publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PublishOutcome {
    /// `basic.ack`: the broker has routed the message, or returned it before.
    Ack,
    /// `basic.nack`: the broker did not take responsibility.
    Nack,
}

/// The returned messages of one window, by message id.
#[derive(Default)]
struct ReturnedMessages {
    reasons: HashMap<Uuid, Error>,
    /// Whether any message was returned, even one without a valid id.
    any: bool,
}

impl ReturnedMessages {
    /// Separates a confirm from the returned message that lapin attached to it.
    fn extract(&mut self, confirmation: Confirmation) -> PublishOutcome {
        let (outcome, message) = match confirmation {
            Confirmation::Nack(message) => (PublishOutcome::Nack, message),
            Confirmation::Ack(message) => (PublishOutcome::Ack, message),
            // lapin answers this outside confirm mode. Every channel of this crate is in confirm
            // mode, so treat it as no proof.
            Confirmation::NotRequested => (PublishOutcome::Nack, None),
        };
        if let Some(message) = message {
            self.any = true;
            let id = message.delivery.properties.message_id().as_ref();
            if let Some(id) = id.and_then(|id| Uuid::try_parse(id.as_str()).ok()) {
                self.reasons.insert(id, unroutable(&message));
            }
        }
        outcome
    }
}

/// Returns the error of a returned message.
fn unroutable(message: &BasicReturnMessage) -> Error {
    let reason = printable(message.reply_text.as_str(), 64);
    let queue = printable(message.delivery.routing_key.as_str(), 255);
    Error::new(
        ErrorKind::Rejected,
        format!(
            "unroutable: the broker has no queue for `{queue}` ({} {reason}): bind a queue to the \
             exchange",
            message.reply_code
        ),
    )
}

/// Returns the error of a nacked message.
fn nacked(publisher: &Publisher) -> Error {
    Error::new(
        ErrorKind::Full,
        format!(
            "{} nacked a message: its queue is full, or a quorum queue has no majority",
            publisher.connection.context.host
        ),
    )
}

/// Returns the error of a message above the broker's limit, in bytes.
fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("message too large: the broker accepts at most {limit} bytes"),
    )
}

/// The size limit of a window, in bytes. It is small enough that a slow link confirms a message within
/// every timeout.
const WINDOW_BYTES: usize = 1024 * 1024;
/// The key by which kombu, the library under oslo.messaging, marks its own types. Consumers drop a
/// notification that contains it.
const KOMBU_TYPE: &[u8] = br#""__type__":"#;
/// The most remembered ids of returned messages: more than a worker holds at a time.
const MAX_RETURNED: usize = 65_536;
