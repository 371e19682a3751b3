//! One window of messages: published without waiting in between, then confirmed, then settled.
//!
//! Two habits of lapin's decide the shape of this. A confirm carries whichever returned message came
//! first, not its own: so refusals are decided by message id, once every confirm is in, when the set
//! of returned ids is exact. And a publish does all its work when it is first polled, then waits for
//! lapin's thread: so publishes are polled in bursts and waited for together, at a third of the CPU.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Confirmation, PublisherConfirm};
use notify_core::{Batch, Error, ErrorKind, Message, Outcome, Result, Verdict, printable};
use tokio::time::timeout;
use uuid::Uuid;

use crate::config::{Config, Envelope};
use crate::connection::Connection;
use crate::error::Doing;
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

/// Why a window ended early.
enum Failure {
    Lapin(lapin::Error),
    /// Nothing was written or confirmed for too long.
    Late,
}

impl Failure {
    /// Of several errors the one that says most: lapin follows a reason with its consequences.
    fn or(self, other: Self) -> Self {
        let weight = |failure: &Self| match failure {
            Self::Lapin(error) => match error.kind() {
                lapin::ErrorKind::ProtocolError(_) => 3,
                lapin::ErrorKind::IOError(_) | lapin::ErrorKind::MissingHeartbeatError => 2,
                _ => 1,
            },
            Self::Late => 0,
        };
        if weight(&other) > weight(&self) { other } else { self }
    }

    fn explain(&self, connection: &Connection, config: &Config) -> Error {
        match self {
            Self::Lapin(error) => connection.site.explain(error, Doing::Publish),
            Self::Late => connection.site.late(
                &format!("confirmed nothing within {} s", config.confirm_timeout.as_secs_f64()),
                connection.blocked().as_deref(),
            ),
        }
    }
}

/// Publishes all `messages` and waits for their confirms. Each has its confirmation, unless the
/// window ended early.
async fn send_all(
    connection: &Connection,
    config: &Config,
    topology: &Topology,
    messages: &[&Message],
) -> (Vec<Option<Confirmation>>, Option<Failure>) {
    let mut confirms: Vec<Slot<PublisherConfirm>> = Vec::with_capacity(messages.len());
    let mut failure = None;
    for burst in messages.chunks(BURST) {
        let bodies: Vec<Cow<'_, [u8]>> = burst
            .iter()
            .map(|message| match config.envelope {
                Envelope::Bare => Cow::Borrowed(message.body()),
                Envelope::Oslo2 => Cow::Owned(message.oslo_v2()),
            })
            .collect();
        let mut publishes: Vec<_> = std::iter::zip(burst, &bodies)
            .map(|(message, body)| {
                Slot::Pending(Box::pin(connection.channel.basic_publish(
                    topology.exchange.clone(),
                    topology.queue(message.priority()).clone(),
                    BasicPublishOptions { mandatory: true, immediate: false },
                    body,
                    properties(message),
                )))
            })
            .collect();
        let written = all(&mut publishes, config.confirm_timeout).await;
        for publish in publishes {
            confirms.push(match publish {
                Slot::Done(Some(Ok(confirm))) => Slot::Pending(confirm),
                Slot::Done(Some(Err(error))) => {
                    failure = Some(Failure::Lapin(error).or(failure.unwrap_or(Failure::Late)));
                    Slot::Done(None)
                }
                Slot::Done(None) | Slot::Pending(_) => Slot::Done(None),
            });
        }
        if !written {
            failure = failure.or(Some(Failure::Late));
        }
        if failure.is_some() {
            break;
        }
    }
    // After a failure lapin only has to say which confirms came before it.
    let patience = if failure.is_some() { GRACE } else { config.confirm_timeout };
    if !all(&mut confirms, patience).await {
        failure = failure.or(Some(Failure::Late));
    }

    let mut fates: Vec<_> = confirms
        .into_iter()
        .map(|confirm| match confirm {
            Slot::Done(Some(Ok(confirmation))) => Some(confirmation),
            Slot::Done(Some(Err(error))) => {
                failure = Some(Failure::Lapin(error).or(failure.take().unwrap_or(Failure::Late)));
                None
            }
            Slot::Done(None) | Slot::Pending(_) => None,
        })
        .collect();
    fates.resize_with(messages.len(), || None);
    (fates, failure)
}

/// A future and then what came of it; `Done(None)` once that was taken, or never was.
enum Slot<F: Future + Unpin> {
    Pending(F),
    Done(Option<F::Output>),
}

impl<F: Future + Unpin> Slot<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self::Pending(future) = self else { return Poll::Ready(()) };
        match Pin::new(future).poll(cx) {
            Poll::Ready(output) => {
                *self = Self::Done(Some(output));
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Polls all in order, then waits for all. `false`: none of them got on for as long as `patience`.
///
/// It is the last one that is waited for, which wakes us once instead of once for each.
async fn all<F: Future + Unpin>(slots: &mut [Slot<F>], patience: Duration) -> bool {
    loop {
        let pending = poll_each(slots);
        let Some(last) = slots.iter_mut().rfind(|slot| matches!(slot, Slot::Pending(_))) else {
            return true;
        };
        let waited = timeout(patience, poll_fn(|cx| last.poll(cx))).await;
        if waited.is_err() && poll_each(slots) == pending {
            return false;
        }
    }
}

/// Polls each once, in order, without asking to be woken; says how many are pending.
fn poll_each<F: Future + Unpin>(slots: &mut [Slot<F>]) -> usize {
    let mut idle = Context::from_waker(Waker::noop());
    slots.iter_mut().filter_map(|slot| slot.poll(&mut idle).is_pending().then_some(())).count()
}

fn properties(message: &Message) -> BasicProperties {
    let mut id = Uuid::encode_buffer();
    // Both are shorter than the 255 bytes of a short string, which lapin panics beyond.
    let id = ShortString::from(&*message.id().hyphenated().encode_lower(&mut id));
    let event_type = ShortString::from(message.event_type().as_str());
    let timestamp = u64::try_from(message.timestamp().unix_timestamp()).unwrap_or(0);
    BasicProperties::default()
        // Exactly this: OpenStack's readers drop what has a parameter behind it.
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(FieldTable::default())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id)
        .with_timestamp(timestamp)
        .with_type(event_type)
        .with_app_id(APP_ID.into())
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

/// How many publishes are polled before the first is waited for.
const BURST: usize = 64;
/// How much is on its way at most, so that a slow link confirms something within every timeout.
const WINDOW_BYTES: usize = 1024 * 1024;
/// How long lapin may take to tell what it knows of a connection that has failed.
const GRACE: Duration = Duration::from_secs(1);
/// What kombu, under OpenStack's readers, takes for one of its own types and drops.
const KOMBU_TYPE: &[u8] = br#""__type__":"#;
/// Delivery mode: written to disk where the queue is durable.
const PERSISTENT: u8 = 2;
/// More than a worker keeps at a time.
const MOST_RETURNED: usize = 65_536;
/// Which program sends.
const APP_ID: &str = "glance-notify";
