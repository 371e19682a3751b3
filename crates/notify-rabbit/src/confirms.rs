//! Publishes a window of messages and collects their publisher confirms.
//!
//! ```text
//! messages ─► frames ─► socket ─► broker ─► answers
//!            (64 KiB)
//! ```
//!
//! Two limits end a window early: an error of the connection or of the channel, and a time of
//! `rabbit.confirm_timeout` in which no message makes progress. Each part that is written and each confirm
//! starts that time again, so a slow link is not an error.
//!
//! This module decides no verdict: [`publish`](crate::publish) does.

use std::time::Duration;

use notify_core::{Error, Message};
use tokio::time::{Instant, timeout};

use crate::answers::WindowAnswers;
use crate::config::{Config, DeclareMode};
use crate::error::Operation;
use crate::frame_writer::WriteEnd;
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

/// Publishes all `messages` and waits for their confirms. Returns the answers, and the reason why a confirm is
/// missing.
///
/// # Cancel safety
///
/// Dropping the future leaves messages unconfirmed on the channel. Do not use the connection again.
pub(crate) async fn publish_all(
    publisher: &mut Publisher,
    config: &Config,
    topology: &Topology,
    messages: &[&Message],
) -> (WindowAnswers, Option<PublishFailure>) {
    let Publisher { connection, answers, frames, counters, .. } = publisher;
    answers.begin_window(messages.len());
    // The number of messages up to the end of each write, and its time.
    let mut writes = Vec::new();
    let mut failure = None;
    frames.clear();
    for (index, message) in messages.iter().enumerate() {
        let queue = topology.queue(message.priority());
        let pushed = frames.push(topology.exchange.clone(), queue, message, config.envelope);
        if let Err(error) = pushed {
            failure = Some(PublishFailure::Lapin(error));
            break;
        }
        if frames.bytes().len() < WRITE_BYTES && index + 1 < messages.len() {
            continue;
        }
        if timeout(config.confirm_timeout, connection.wait_for_permission()).await.is_err() {
            failure = Some(PublishFailure::Timeout);
            break;
        }
        writes.push((index + 1, Instant::now()));
        answers.begin_send(index + 1);
        match connection.writer.write(frames.bytes(), config.confirm_timeout).await {
            Ok(WriteEnd::Complete) => frames.clear(),
            // The answers hold the reason.
            Ok(WriteEnd::ChannelFailed) => break,
            Ok(WriteEnd::Stalled) => {
                failure = Some(PublishFailure::Timeout);
                break;
            }
            Err(error) => {
                failure = Some(PublishFailure::Lapin(error.into()));
                break;
            }
        }
    }
    let time = if failure.is_some() {
        answers.end_send();
        GRACE_PERIOD
    } else {
        config.confirm_timeout
    };
    answers.wait(time).await;
    let answers = answers.end_window();
    let answered_at = Instant::now();
    let mut start = 0;
    for (end, written_at) in writes {
        let count = answers.confirms[start..end].iter().flatten().count() as u64;
        counters.record_confirms(count, answered_at - written_at);
        start = end;
    }
    // After a failed write, the connection may hold a part of a frame, whatever the broker confirms.
    if failure.is_none() && answers.confirms.iter().all(Option::is_some) {
        return (answers, None);
    }
    let failure = match &answers.error {
        Some(error) => PublishFailure::Lapin(error.clone()),
        None => failure.unwrap_or(PublishFailure::Timeout),
    };
    (answers, Some(failure))
}

/// The size from which on frames are written together, in bytes.
const WRITE_BYTES: usize = 64 * 1024;
/// The time for the confirms that came before a failure.
const GRACE_PERIOD: Duration = Duration::from_secs(1);
