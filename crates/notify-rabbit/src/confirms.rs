//! Publishes many messages at once and collects their publisher confirms.
//!
//! A publish does all its work in its first poll and then waits for lapin's thread. So this module
//! polls publishes in bursts and waits for all of a burst together, which takes a third of the CPU
//! time of one publish after the other. lapin numbers confirms in the order of publishing, so one
//! task must poll all publishes in order.
//!
//! ```text
//! publish 1 ─┐                      ┌─ confirm 1
//! publish 2 ─┼─► burst ─► lapin ─► ─┼─ confirm 2
//!    …      ─┘   (64)    (thread)   └─    …
//! ```
//!
//! Two limits end a window early: an error of the connection, and a time of
//! `rabbit.confirm_timeout` in which no message makes progress. Each confirm starts that time again,
//! so a slow link is not an error. The window ends at most an eighth of that time late.
//!
//! This module decides no verdict: [`publish`](crate::publish) does.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Confirmation, PublisherConfirm};
use notify_core::codec::{Envelope, HeaderValue};
use notify_core::{Error, Message};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::config::{Config, DeclareMode};
use crate::error::Operation;
use crate::publisher::Publisher;
use crate::topology::Topology;

/// The reason why a window ended before every message was confirmed.
pub(crate) enum PublishFailure {
    /// An error of the client library or of the broker.
    Lapin(lapin::Error),
    /// No message was written or confirmed for `rabbit.confirm_timeout`.
    Timeout,
}

impl PublishFailure {
    /// Returns the more informative of two failures.
    ///
    /// lapin reports the cause of a closed connection and its consequences as separate errors. The
    /// broker's reply code says most, then the error of the socket, then lapin's own state, and a
    /// timeout says least.
    fn or(self, other: Self) -> Self {
        let weight = |failure: &Self| match failure {
            Self::Lapin(error) => match error.kind() {
                lapin::ErrorKind::ProtocolError(_) => 3,
                lapin::ErrorKind::IOError(_) | lapin::ErrorKind::MissingHeartbeatError => 2,
                _ => 1,
            },
            Self::Timeout => 0,
        };
        if weight(&other) > weight(&self) { other } else { self }
    }

    /// Converts the failure into the error of the attempt.
    ///
    /// `silent` names the queues whose messages are unconfirmed.
    pub(crate) fn explain(&self, publisher: &Publisher, config: &Config, silent: &str) -> Error {
        let connection = &publisher.connection;
        let declares = config.declare == DeclareMode::Yes;
        match self {
            Self::Lapin(error) => {
                connection.context.explain(error, Operation::Publish { declares })
            }
            Self::Timeout => connection.context.timeout_error(
                &format!(
                    "confirmed no message for {silent} within {} s",
                    config.confirm_timeout.as_secs_f64()
                ),
                connection.blocked().as_deref(),
            ),
        }
    }
}

/// The answers to one window of messages.
pub(crate) struct PublishedWindow {
    /// One confirmation for each message, in order. A missing one means that the window ended early.
    pub(crate) confirmations: Vec<Option<Confirmation>>,
    /// The reason why the window ended early.
    pub(crate) failure: Option<PublishFailure>,
    /// Whether a publish was dropped before lapin wrote it. Such a publish may have taken a returned
    /// message with it.
    pub(crate) dropped_unwritten: bool,
}

/// Publishes all `messages` and waits for their confirms.
///
/// # Cancel safety
///
/// Dropping the future leaves messages unconfirmed on the channel. Do not use the channel again.
pub(crate) async fn publish_all(
    publisher: &Publisher,
    config: &Config,
    topology: &Topology,
    messages: &[&Message],
) -> PublishedWindow {
    let mut dropped_unwritten = false;
    let mut confirms: Vec<MaybeDone<PublisherConfirm>> = Vec::with_capacity(messages.len());
    let mut failure = None;
    let mut started_at = Vec::with_capacity(messages.len().div_ceil(BURST));
    for burst in messages.chunks(BURST) {
        started_at.push(Instant::now());
        let bodies: Vec<_> = burst.iter().map(|message| config.envelope.wrap(message)).collect();
        let mut started: Vec<_> = std::iter::zip(burst, &bodies)
            .map(|(message, body)| {
                MaybeDone::Pending(Box::pin(publisher.channel.basic_publish(
                    topology.exchange.clone(),
                    topology.queue(message.priority()),
                    BasicPublishOptions { mandatory: true, immediate: false },
                    body,
                    properties(message, config.envelope),
                )))
            })
            .collect();
        let written = poll_all(&mut started, config.confirm_timeout).await;
        for publish in started {
            confirms.push(match publish {
                MaybeDone::Done(Some(Ok(confirm))) => MaybeDone::Pending(confirm),
                MaybeDone::Done(Some(Err(error))) => {
                    failure = Some(
                        PublishFailure::Lapin(error).or(failure.unwrap_or(PublishFailure::Timeout)),
                    );
                    MaybeDone::Done(None)
                }
                MaybeDone::Done(None) | MaybeDone::Pending(_) => {
                    dropped_unwritten = true;
                    MaybeDone::Done(None)
                }
            });
        }
        if !written {
            failure = failure.or(Some(PublishFailure::Timeout));
        }
        if failure.is_some() {
            break;
        }
    }
    // After a failure only lapin has to answer: it knows which confirms came before the failure.
    let time = if failure.is_some() { GRACE_PERIOD } else { config.confirm_timeout };
    if !poll_all(&mut confirms, time).await {
        failure = failure.or(Some(PublishFailure::Timeout));
    }

    let mut confirmations: Vec<_> = confirms
        .into_iter()
        .map(|confirm| match confirm {
            MaybeDone::Done(Some(Ok(confirmation))) => Some(confirmation),
            MaybeDone::Done(Some(Err(error))) => {
                failure = Some(
                    PublishFailure::Lapin(error)
                        .or(failure.take().unwrap_or(PublishFailure::Timeout)),
                );
                None
            }
            MaybeDone::Done(None) | MaybeDone::Pending(_) => None,
        })
        .collect();
    let answered_at = Instant::now();
    for (burst, started_at) in confirmations.chunks(BURST).zip(started_at) {
        let answers = burst.iter().flatten().count() as u64;
        publisher.counters.record_confirms(answers, answered_at - started_at);
    }
    confirmations.resize_with(messages.len(), || None);
    PublishedWindow { confirmations, failure, dropped_unwritten }
}

/// A future, and later its output. `Done(None)` means that the output is taken or never came.
enum MaybeDone<F: Future + Unpin> {
    Pending(F),
    Done(Option<F::Output>),
}

impl<F: Future + Unpin> MaybeDone<F> {
    /// Polls a pending future once and keeps its output.
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

/// Polls all futures in order, then waits until all are done. Returns `false` once no future has made
/// progress for `time`, at most an eighth of `time` late.
///
/// The function registers a waker only with the last pending future, so a whole burst causes one
/// wake-up instead of one for each message. The broker usually confirms in order, so the last future
/// is the last to finish; if it is not, the loop continues with the next pending one. The broker may
/// also never confirm the last one, so the loop polls all of them after each eighth of `time`, and
/// notices the progress of the others.
async fn poll_all<F: Future + Unpin>(futures: &mut [MaybeDone<F>], time: Duration) -> bool {
    let mut pending = poll_once(futures);
    let mut deadline = Instant::now() + time;
    loop {
        let Some(last) = futures.iter_mut().rfind(|future| matches!(future, MaybeDone::Pending(_)))
        else {
            return true;
        };
        let next_check = Instant::now() + time / CHECKS_PER_TIMEOUT;
        let _ = timeout_at(deadline.min(next_check), poll_fn(|cx| last.poll(cx))).await;
        let before = std::mem::replace(&mut pending, poll_once(futures));
        let now = Instant::now();
        if pending < before {
            deadline = now + time;
        } else if now >= deadline {
            return false;
        }
    }
}

/// Polls each future once, in order, without registering a waker. Returns the number of pending
/// futures.
fn poll_once<F: Future + Unpin>(futures: &mut [MaybeDone<F>]) -> usize {
    let mut idle = Context::from_waker(Waker::noop());
    futures
        .iter_mut()
        .filter_map(|future| future.poll(&mut idle).is_pending().then_some(()))
        .count()
}

/// Returns the properties of a message (AMQP 0-9-1, class `basic`).
fn properties(message: &Message, envelope: Envelope) -> BasicProperties {
    let mut id = Uuid::encode_buffer();
    // Both texts are shorter than 255 bytes. lapin panics on a longer short string.
    let id = ShortString::from(&*message.id().hyphenated().encode_lower(&mut id));
    let event_type = ShortString::from(message.event_type().as_str());
    let timestamp = u64::try_from(message.timestamp().unix_timestamp()).unwrap_or(0);
    BasicProperties::default()
        .with_content_type(envelope.content_type().into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers(message, envelope))
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id)
        .with_timestamp(timestamp)
        .with_type(event_type)
        .with_app_id(APP_ID.into())
}

/// Returns the headers of a message: its context and its sequence, and in binary mode the attributes of its
/// CloudEvent. `docs/brokers.md` lists them.
fn headers(message: &Message, envelope: Envelope) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in envelope.attributes(message) {
        let value = AMQPValue::LongString(value.as_bytes().into());
        table.insert(format!("{CLOUD_EVENTS_PREFIX}{name}").into(), value);
    }
    for (name, value) in message.headers() {
        let value = match value {
            HeaderValue::Text(text) => AMQPValue::LongString(text.as_bytes().into()),
            HeaderValue::Number(number) => AMQPValue::LongLongInt(number),
        };
        table.insert(name.into(), value);
    }
    table
}

/// The number of publishes that one burst polls before it waits for the first.
const BURST: usize = 64;
/// The number of times within a timeout at which [`poll_all`] polls every future.
const CHECKS_PER_TIMEOUT: u32 = 8;
/// The time for lapin to report the confirms that came before a failure.
const GRACE_PERIOD: Duration = Duration::from_secs(1);
/// The delivery mode of messages that a durable queue writes to disk.
const PERSISTENT: u8 = 2;
/// The `app_id` of every message.
const APP_ID: &str = "glance-notify";
/// The prefix of the attributes of CloudEvents, by the binding for RabbitMQ that the specification lists:
/// `cloudevents-protocol-spec/spec.md` of Knative's eventing-rabbitmq.
const CLOUD_EVENTS_PREFIX: &str = "ce-";

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::{Sleep, sleep};

    use super::*;

    /// Returns confirms that arrive after these numbers of milliseconds.
    fn confirms(millis: &[u64]) -> Vec<MaybeDone<Pin<Box<Sleep>>>> {
        let confirm = |millis| MaybeDone::Pending(Box::pin(sleep(Duration::from_millis(millis))));
        millis.iter().copied().map(confirm).collect()
    }

    /// The broker never confirms the last message. The timeout counts from the last confirm of the others.
    #[tokio::test(start_paused = true)]
    async fn the_timeout_counts_from_the_last_confirm() {
        for millis in [5, 999, 1000, 1001, 7999] {
            let last_confirm = Instant::now() + Duration::from_millis(millis);
            assert!(!poll_all(&mut confirms(&[1, millis, NEVER]), TIMEOUT).await);
            let waited = last_confirm.elapsed();
            assert!((TIMEOUT..=TIMEOUT * 9 / 8).contains(&waited), "{millis} ms: {waited:?}");
        }
    }

    /// Without any confirm, the wait takes the timeout and no longer.
    #[tokio::test(start_paused = true)]
    async fn a_wait_without_a_confirm_takes_the_timeout() {
        let start = Instant::now();
        assert!(!poll_all(&mut confirms(&[NEVER, NEVER]), TIMEOUT).await);
        assert_eq!(start.elapsed(), TIMEOUT);
    }

    /// A wait may take several timeouts, as long as each has a confirm, in whatever order they arrive.
    #[tokio::test(start_paused = true)]
    async fn each_confirm_starts_the_timeout_again() {
        for millis in [[7900, 15_800, 23_700], [23_700, 15_800, 7900], [15_800, 7900, 23_700]] {
            assert!(poll_all(&mut confirms(&millis), TIMEOUT).await, "{millis:?}");
        }
    }

    /// A burst that the broker confirms soon costs one wake-up: the wait polls each future before and after it, and
    /// the last one once more, to register the waker.
    #[tokio::test(start_paused = true)]
    async fn a_confirmed_burst_causes_one_wake_up() {
        let polls = &Cell::new(0_usize);
        let mut burst: Vec<_> = (0..BURST)
            .map(|_| {
                let mut confirm = Box::pin(sleep(Duration::from_millis(5)));
                MaybeDone::Pending(poll_fn(move |cx: &mut Context<'_>| {
                    polls.set(polls.get() + 1);
                    confirm.as_mut().poll(cx)
                }))
            })
            .collect();
        assert!(poll_all(&mut burst, TIMEOUT).await);
        assert_eq!(polls.get(), 2 * BURST + 1);
    }

    /// The timeout of each wait.
    const TIMEOUT: Duration = Duration::from_secs(8);
    /// The number of milliseconds of a confirm that does not arrive during a test.
    const NEVER: u64 = 1_000_000;
}
