//! Publishing many messages at once, and waiting for what the broker says of each.
//!
//! A publish does all its work when it is first polled, then waits for lapin's thread. So publishes
//! are polled in bursts and waited for together: a third of the CPU of one after the other. One task
//! polls them in order, for lapin numbers confirms by the order of publishing.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Confirmation, PublisherConfirm};
use notify_core::{Error, Message};
use tokio::time::timeout;
use uuid::Uuid;

use crate::config::Config;
use crate::connection::Connection;
use crate::error::Doing;
use crate::topology::Topology;

/// Why a window ended early.
pub(crate) enum Failure {
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

    pub(crate) fn explain(&self, connection: &Connection, config: &Config) -> Error {
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
pub(crate) async fn send_all(
    connection: &Connection,
    config: &Config,
    topology: &Topology,
    messages: &[&Message],
) -> (Vec<Option<Confirmation>>, Option<Failure>) {
    let mut confirms: Vec<Slot<PublisherConfirm>> = Vec::with_capacity(messages.len());
    let mut failure = None;
    for burst in messages.chunks(BURST) {
        let bodies: Vec<_> = burst.iter().map(|message| config.envelope.wrap(message)).collect();
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

/// How many publishes are polled before the first is waited for.
const BURST: usize = 64;
/// How long lapin may take to tell what it knows of a connection that has failed.
const GRACE: Duration = Duration::from_secs(1);
/// Delivery mode: written to disk where the queue is durable.
const PERSISTENT: u8 = 2;
/// Which program sends.
const APP_ID: &str = "glance-notify";
