//! Publishes one window of messages and settles them by their confirms.
//!
//! The meaning of the broker's answers decides the verdict, by the [`Judge`]:
//!
//! | confirm | returned | meaning |
//! |---|---|---|
//! | ack | no | taken |
//! | ack or nack | yes | unroutable; the transport declares the queues again |
//! | nack | no | busy; the transport goes on over a new channel |
//! | ack | no, but a return names no message of the window | none: the attempt fails, and the outcome is unknown |
//! | none | any | none, in the same way |
//! | none, and the broker refused the routing key | any | queue unavailable; the others go on over a new channel |
//!
//! The broker returns a message before it confirms it, and a return names its message by the message id.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;
use std::time::Duration;

use memchr::memmem::Finder;
use notify_core::codec::Envelope;
use notify_core::redact::printable;
use notify_core::{Batch, Error, ErrorKind, Message, Outcome, Result, Verdict};
use notify_net::{BrokerAnswer, Judge};
use tokio::time::Instant;
use uuid::Uuid;

use crate::answers::{Confirm, ReturnedMessage};
use crate::config::Config;
use crate::confirms::{PublishFailure, publish_all};
use crate::publisher::Publisher;
use crate::topology::Topology;

/// The knowledge about messages and the broker that outlives a window and a connection.
#[derive(Debug)]
pub(crate) struct PublishState {
    pub(crate) judge: Judge,
    /// The broker's limit of a body in bytes, and the time at which the broker named it.
    max_body_bytes: Option<(u64, Instant)>,
    /// Whether the broker has returned a message that nothing identifies. Then only a window of one
    /// message tells which message a return is about.
    one_by_one: bool,
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
    /// Whether the broker closed the channel over a routing key, so that the transport must publish the
    /// other messages of the window again.
    pub(crate) repeat: bool,
}

impl PublishState {
    /// Creates the state of a transport that has published nothing.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            judge: Judge::new(config.refuse_unroutable_after),
            max_body_bytes: None,
            one_by_one: false,
        }
    }

    /// Settles the messages whose queue is out of service.
    ///
    /// Leaves the messages of a queue that did not answer without a verdict, and returns its error: the
    /// worker then attempts that lane by itself.
    pub(crate) fn settle_unavailable(
        &mut self,
        batch: &mut Batch<'_>,
        topology: &mut Topology,
    ) -> Option<Error> {
        let mut silence = None;
        for (index, message) in batch.messages().iter().enumerate() {
            let priority = message.priority();
            if !batch.is_settled(index)
                && let Some((meaning, error)) = topology.failure(priority)
            {
                if error.kind() == ErrorKind::Timeout {
                    silence = Some(error.clone());
                    topology.report_silence(priority);
                } else {
                    let verdict = self.judge.verdict(message.id(), meaning, || error.clone());
                    batch.settle(index, verdict);
                }
            }
        }
        silence
    }

    /// Returns the largest window, in messages.
    ///
    /// The first window of a connection is one message. A broker that blocks publishers, or confirms
    /// no message, may still queue the messages, so each failed attempt could leave duplicates of a
    /// whole window.
    pub(crate) fn max_messages(&self, publisher: &Publisher, config: &Config) -> usize {
        if publisher.has_answered && !self.one_by_one { config.window } else { 1 }
    }

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
        // An operator may raise the limit, so it is forgotten after some time.
        if let Some((limit, since)) = self.max_body_bytes
            && since.elapsed() < SIZE_LIMIT_LIFETIME
            && config.envelope.wrap(message).len() as u64 > limit
        {
            return Some(Judge::too_large(&"the broker", limit));
        }
        let headers = config.envelope.attributes(message);
        let header_bytes: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        if header_bytes > MAX_ATTRIBUTE_BYTES {
            return Some(Error::new(
                ErrorKind::Rejected,
                format!(
                    "the attributes of the CloudEvent have {header_bytes} bytes, and headers hold at most \
                     {MAX_ATTRIBUTE_BYTES}: shorten `publisher_id`, or set `rabbit.envelope = \
                     \"cloudevents\"`"
                ),
            ));
        }
        let bare = config.envelope == Envelope::Bare;
        (bare && KOMBU_TYPE.find(message.body()).is_some()).then(|| {
            Error::new(
                ErrorKind::Rejected,
                "the payload has a key `__type__`, and oslo.messaging's consumers drop such \
                 messages: rename the key, or set `rabbit.envelope = \"oslo-2.0\"`",
            )
        })
    }

    /// Records the broker's size limit, if the broker closed the channel over a message's size, and
    /// returns it.
    fn record_size_limit(&mut self, error: &lapin::Error) -> Option<u64> {
        let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return None };
        // RabbitMQ: `message size 141558073 is larger than configured max size 134217728`.
        let (_, limit) =
            error.get_message().as_str().split_once("larger than configured max size ")?;
        let limit = limit.split_once(' ').map_or(limit, |(limit, _)| limit).parse().ok()?;
        self.max_body_bytes = Some((limit, Instant::now()));
        Some(limit)
    }
}

/// Returns the indices of the next window: at most `max_messages` from `start` on, at most 1 MiB
/// together, and at least one message. It ends before a message that is in it already, because only
/// its id tells which message the broker returned.
pub(crate) fn window(batch: &Batch<'_>, start: usize, max_messages: usize) -> Range<usize> {
    let (mut bytes, mut ids) = (0, HashSet::new());
    let fitting = batch.messages()[start..].iter().take(max_messages).take_while(|message| {
        bytes += message.body().len();
        bytes <= WINDOW_BYTES && ids.insert(message.id())
    });
    start..start + fitting.count().max(1)
}

/// Publishes the unsettled messages of `range` and settles every message whose outcome is known.
/// Leaves out the messages whose queue is out of service. A queue that confirms nothing, or whose routing key
/// the broker refuses, is out of service afterwards.
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
    topology: &mut Topology,
    state: &mut PublishState,
    batch: &mut Batch<'_>,
    range: Range<usize>,
) -> Result<FollowUp> {
    let messages = batch.messages();
    let indices: Vec<usize> = range
        .filter(|&index| {
            !batch.is_settled(index) && topology.failure(messages[index].priority()).is_none()
        })
        .collect();
    if indices.is_empty() {
        return Ok(FollowUp::default());
    }
    let publishing: Vec<&Message> = indices.iter().map(|&index| &messages[index]).collect();
    let (answers, failure) = publish_all(publisher, config, topology, &publishing).await;
    let mut returned = ReturnReasons::attribute(&answers.returned, &publishing);
    let proves = returned.unmatched.is_none();
    let mut follow_up = FollowUp::default();
    let mut settlements = SettlementBuffer { batch, accepted: 0..0 };
    let mut unconfirmed = Vec::new();
    let (mut nacks, mut returns) = (0, 0);
    for (&index, confirm) in indices.iter().zip(&answers.confirms) {
        let message = &messages[index];
        let id = message.id();
        let answer = match (returned.reasons.remove(&id), confirm) {
            (Some(reason), Some(_)) => {
                follow_up.declare = true;
                returns += 1;
                Some((BrokerAnswer::Unroutable, Some(reason)))
            }
            (None, Some(Confirm::Nack)) => {
                follow_up.renew_channel = true;
                nacks += 1;
                Some((BrokerAnswer::Busy, None))
            }
            (None, Some(Confirm::Ack)) if proves => Some((BrokerAnswer::Taken, None)),
            (None, Some(Confirm::Ack)) => None,
            (_, None) => {
                if !unconfirmed.contains(&message.priority()) {
                    unconfirmed.push(message.priority());
                }
                None
            }
        };
        let Some((meaning, reason)) = answer else { continue };
        publisher.has_answered = true;
        let error = || reason.unwrap_or_else(|| nacked(publisher, message, topology));
        match state.judge.verdict(id, meaning, error) {
            Verdict::Accept => settlements.accept(index),
            verdict => settlements.settle(index, verdict),
        }
    }
    settlements.flush();
    publisher.counters.add_nacks(nacks);
    publisher.counters.add_returns(returns);
    if let Some(failure) = failure {
        if let PublishFailure::Lapin(error) = &failure
            && let Some(limit) = state.record_size_limit(error)
        {
            for &index in &indices {
                let size = config.envelope.wrap(&messages[index]).len() as u64;
                if !batch.is_settled(index) && size > limit {
                    let host = &publisher.connection.context.host;
                    let error = || Judge::too_large(host, limit);
                    let id = messages[index].id();
                    batch.settle(index, state.judge.verdict(id, BrokerAnswer::Invalid, error));
                }
            }
        }
        let queues: Vec<_> = unconfirmed
            .iter()
            .map(|&priority| format!("`{}`", printable(topology.queue(priority).as_str(), 255)))
            .collect();
        let error = failure.explain(publisher, config, &queues.join(" and "));
        let error = error.with_outcome(Outcome::Unknown);
        let mut priorities = publishing.iter().map(|message| message.priority());
        let refused = refused_key(&failure)
            .and_then(|key| priorities.find(|&priority| topology.queue(priority).as_str() == key));
        let Some(priority) = refused else {
            if error.kind() == ErrorKind::Timeout {
                for silent in unconfirmed {
                    topology.defer(silent, error.clone());
                }
            }
            return Err(error);
        };
        topology.defer(priority, error);
        follow_up.renew_channel = true;
        follow_up.repeat = true;
    }
    if let Some(reason) = returned.unmatched {
        state.one_by_one = true;
        return Err(reason.with_outcome(Outcome::Unknown));
    }
    Ok(follow_up)
}

/// Returns the routing key over which the broker closed the channel, because a topic permission refuses it.
fn refused_key(failure: &PublishFailure) -> Option<&str> {
    let PublishFailure::Lapin(error) = failure else { return None };
    let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return None };
    // RabbitMQ: `access to topic 'notifications.error' in exchange 'glance' in vhost '/' refused …`.
    let (_, key) = error.get_message().as_str().split_once("access to topic '")?;
    key.split_once("' in exchange ").map(|(key, _)| key)
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

/// The reasons of the returned messages of one window, by message id.
struct ReturnReasons {
    reasons: HashMap<Uuid, Error>,
    /// The reason of a returned message that is none of the window, by its id or for want of one.
    unmatched: Option<Error>,
}

impl ReturnReasons {
    /// Attributes the returned messages to the messages of the window.
    ///
    /// A window of one message has only one that can be meant.
    fn attribute(returned: &[ReturnedMessage], published: &[&Message]) -> Self {
        let mut attributed = Self { reasons: HashMap::new(), unmatched: None };
        if returned.is_empty() {
            return attributed;
        }
        let ids: HashSet<_> = published.iter().map(|message| message.id()).collect();
        for message in returned {
            let id = message.id.as_ref().and_then(|id| Uuid::try_parse(id.as_str()).ok());
            let id = id.filter(|id| ids.contains(id)).or(match published {
                [only] => Some(only.id()),
                _ => None,
            });
            match id {
                Some(id) => _ = attributed.reasons.insert(id, unroutable(message)),
                None => attributed.unmatched = Some(unroutable(message)),
            }
        }
        attributed
    }
}

/// Returns the error of a returned message.
fn unroutable(message: &ReturnedMessage) -> Error {
    let reason = printable(message.reason.as_str(), 64);
    let queue = printable(message.routing_key.as_str(), 255);
    Error::new(
        ErrorKind::Rejected,
        format!(
            "unroutable: the broker has no queue for `{queue}` ({} {reason}): bind a queue to the \
             exchange",
            message.code
        ),
    )
}

/// Returns the error of a nacked message.
fn nacked(publisher: &Publisher, message: &Message, topology: &Topology) -> Error {
    let queue = topology.queue(message.priority());
    Error::new(
        ErrorKind::Full,
        format!(
            "{} nacked a message: queue `{}` is full, or has no majority",
            publisher.connection.context.host,
            printable(queue.as_str(), 255)
        ),
    )
}

/// The size limit of a window, in bytes. It is small enough that a slow link confirms a message within
/// every timeout.
const WINDOW_BYTES: usize = 1024 * 1024;
/// The largest size of a CloudEvent's attributes as headers, in bytes. All headers of a message are one frame,
/// and RabbitMQ lets operators limit a frame to 8 KiB. A larger one would end the connection.
const MAX_ATTRIBUTE_BYTES: usize = 5 * 1024;
/// The search for the key by which kombu, the library under oslo.messaging, marks its own types. Consumers
/// drop a notification that contains it.
static KOMBU_TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""__type__":"#));
/// The time after which the broker's size limit is tried again.
const SIZE_LIMIT_LIFETIME: Duration = Duration::from_secs(600);
