//! One window of messages: published without waiting in between, then confirmed, then settled.
//!
//! With lapin a confirm carries whichever returned message came first, not its own: so refusals are
//! decided by message id, once every confirm is in, when the set of returned ids is exact.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use lapin::Confirmation;
use lapin::message::BasicReturnMessage;
use notify_core::redact::printable;
use notify_core::{Batch, Error, ErrorKind, Message, Outcome, Result, Verdict};
use notify_net::Envelope;
use uuid::Uuid;

use crate::burst::{Failure, send_all};
use crate::config::Config;
use crate::connection::Connection;
use crate::runtime::quietly;
use crate::topology::Topology;

/// What outlives a window.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Messages that were returned once, whose route has been declared anew since.
    returned: HashSet<Uuid>,
    /// The largest body that the broker takes, once it has said so.
    max_bytes: Option<u64>,
}

/// What a window asks for before the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Next {
    /// Messages were returned: the route must be declared again.
    pub(crate) declare: bool,
    /// Messages were not taken: the channel must be replaced. RabbitMQ's side of one that has
    /// published to a quorum queue while that had no leader may refuse everything from then on,
    /// long after there is a leader again (seen with 3.10).
    pub(crate) renew: bool,
}

impl Memory {
    /// Refuses what needs no broker to be refused.
    pub(crate) fn refuse(&self, batch: &mut Batch<'_>, config: &Config) {
        for (index, message) in batch.messages().iter().enumerate() {
            if let Some(error) = self.refusal(message, config) {
                batch.settle(index, Verdict::Refuse(error));
            }
        }
    }

    fn refusal(&self, message: &Message, config: &Config) -> Option<Error> {
        let bytes = message.body().len() as u64;
        if let Some(limit) = self.max_bytes.filter(|&limit| bytes > limit) {
            return Some(too_large(limit));
        }
        let bare = config.envelope == Envelope::Bare;
        (bare && memchr::memmem::find(message.body(), KOMBU_TYPE).is_some()).then(|| {
            Error::new(
                ErrorKind::Rejected,
                "a key of the payload is `__type__`, at which OpenStack's readers drop the \
                 message: rename it, or set `rabbit.envelope = \"oslo-2.0\"`",
            )
        })
    }

    /// Whether the message was returned before. Forgets it: it will be refused.
    fn was_returned(&mut self, id: Uuid) -> bool {
        self.returned.remove(&id)
    }

    fn note_returned(&mut self, id: Uuid) {
        if self.returned.len() >= MOST_RETURNED {
            // Those that nobody sent again. One of the rest is tried once too often.
            self.returned.clear();
        }
        self.returned.insert(id);
    }

    /// Notes that the broker closed the channel over the size of a message.
    fn learn_size(&mut self, error: &lapin::Error) -> Option<u64> {
        let lapin::ErrorKind::ProtocolError(error) = error.kind() else { return None };
        // RabbitMQ: `message size 141558073 is larger than configured max size 134217728`.
        let (_, limit) =
            error.get_message().as_str().split_once("larger than configured max size ")?;
        let limit = limit.split_once(' ').map_or(limit, |(limit, _)| limit).parse().ok()?;
        self.max_bytes = Some(limit);
        Some(limit)
    }
}

/// The unsettled messages of `batch` from `start` on that fit one window: indices and its end.
pub(crate) fn window(batch: &Batch<'_>, start: usize, most: usize) -> Range<usize> {
    let mut bytes = 0;
    let fits = batch.messages()[start..].iter().take(most).take_while(|message| {
        bytes += message.body().len();
        bytes <= WINDOW_BYTES
    });
    // One that is larger than a window is a window.
    start..start + fits.count().max(1)
}

/// Publishes the messages of `range` that are not settled, and settles all whose fate is known.
///
/// # Errors
///
/// When the connection, the channel or a confirm failed. The connection is of no use then.
pub(crate) async fn publish(
    connection: &mut Connection,
    config: &Config,
    topology: &Topology,
    memory: &mut Memory,
    batch: &mut Batch<'_>,
    range: Range<usize>,
) -> Result<Next> {
    let indices: Vec<usize> = range.filter(|&index| !batch.is_settled(index)).collect();
    let messages = batch.messages();
    let publishing: Vec<&Message> = indices.iter().map(|&index| &messages[index]).collect();
    let (fates, failure) = quietly(send_all(connection, config, topology, &publishing)).await;

    let mut returned = Returned::default();
    let fates: Vec<_> =
        fates.into_iter().map(|fate| fate.map(|fate| returned.take(fate))).collect();
    // While some confirms are missing, a return may still wait to be handed to one of them: then
    // only a window without any return is proved. (A return comes before its own confirm, and each
    // confirm takes one along as long as there are any.)
    let sure = failure.is_none() || !returned.any;
    let mut next = Next::default();
    let mut settle = Settle { batch, run: 0..0 };
    for (&index, fate) in indices.iter().zip(&fates) {
        let id = messages[index].id();
        match (returned.reasons.remove(&id), fate) {
            (Some(reason), Some(_)) if memory.was_returned(id) => {
                settle.one(index, Verdict::Refuse(reason));
            }
            (Some(reason), Some(_)) => {
                memory.note_returned(id);
                next.declare = true;
                settle.one(index, Verdict::Retry(reason.with_outcome(Outcome::NotSent)));
            }
            (None, Some(Fate::Nacked)) => {
                next.renew = true;
                settle.one(index, Verdict::Retry(not_taken(connection)));
            }
            (None, Some(Fate::Acked)) if sure => {
                memory.returned.remove(&id);
                connection.proven = true;
                settle.accept(index);
            }
            (_, Some(Fate::Acked) | None) => {}
        }
    }
    settle.flush();
    let Some(failure) = failure else { return Ok(next) };

    if let Failure::Lapin(error) = &failure
        && let Some(limit) = memory.learn_size(error)
    {
        for &index in &indices {
            if !batch.is_settled(index) && messages[index].body().len() as u64 > limit {
                batch.settle(index, Verdict::Refuse(too_large(limit)));
            }
        }
    }
    Err(failure.explain(connection, config).with_outcome(Outcome::Unknown))
}

/// Puts runs of accepted messages together: one settlement serves many.
struct Settle<'a, 'b> {
    batch: &'a mut Batch<'b>,
    run: Range<usize>,
}

impl Settle<'_, '_> {
    fn accept(&mut self, index: usize) {
        if self.run.end != index {
            self.flush();
            self.run = index..index;
        }
        self.run.end = index + 1;
    }

    fn one(&mut self, index: usize, verdict: Verdict) {
        self.flush();
        self.batch.settle(index, verdict);
    }

    fn flush(&mut self) {
        let run = std::mem::take(&mut self.run);
        self.batch.settle_range(run, &Verdict::Accept);
    }
}

/// What the broker said of one publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Acked,
    Nacked,
}

/// The returned messages that came along with confirms: whose they are, not with which they came.
#[derive(Default)]
struct Returned {
    reasons: HashMap<Uuid, Error>,
    any: bool,
}

impl Returned {
    fn take(&mut self, confirmation: Confirmation) -> Fate {
        let (fate, message) = match confirmation {
            Confirmation::Nack(message) => (Fate::Nacked, message),
            Confirmation::Ack(message) => (Fate::Acked, message),
            // Not in confirm mode, which a connection of ours always is: nothing is proved.
            Confirmation::NotRequested => (Fate::Nacked, None),
        };
        if let Some(message) = message {
            self.any = true;
            let id = message.delivery.properties.message_id().as_ref();
            if let Some(id) = id.and_then(|id| Uuid::try_parse(id.as_str()).ok()) {
                self.reasons.insert(id, unroutable(&message));
            }
        }
        fate
    }
}

fn unroutable(message: &BasicReturnMessage) -> Error {
    let reason = printable(message.reply_text.as_str(), 64);
    let queue = printable(message.delivery.routing_key.as_str(), 255);
    Error::new(
        ErrorKind::Rejected,
        format!("the broker has no queue for `{queue}`: {} {reason}", message.reply_code),
    )
}

fn not_taken(connection: &Connection) -> Error {
    Error::new(
        ErrorKind::Full,
        format!(
            "{} did not take a message: the queue is full, or cannot reach its majority",
            connection.site.host
        ),
    )
}

fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("the notification is larger than the broker takes: its limit is {limit} bytes"),
    )
}

/// How much is on its way at most, so that a slow link confirms something within every timeout.
const WINDOW_BYTES: usize = 1024 * 1024;
/// What kombu, under OpenStack's readers, takes for one of its own types and drops.
const KOMBU_TYPE: &[u8] = br#""__type__":"#;
/// More than a worker keeps at a time.
const MOST_RETURNED: usize = 65_536;
