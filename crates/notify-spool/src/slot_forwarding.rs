//! Forwarding of one slot: its messages go to the pipeline in order, and their outcomes come back.
//!
//! Two tasks run side by side, connected by a bounded channel. The first reads chunks and hands their
//! messages to the notifier. The second waits for the receipts and has the outcomes recorded. Nothing
//! here retries a message: the pipeline does.

use notify_core::pipeline::Receipt;
use notify_core::{Error, Message, Notifier, Outcome, Result};
use tokio::sync::{mpsc, watch};

use crate::chunk_outcome::{ChunkOutcome, MessageOutcome};
use crate::error::retry_delay;
use crate::records::{RecordChunk, TruncatedRecord, bodies, record_size};
use crate::slot_handle::SlotHandle;

/// The condition under which the forwarding of a slot ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardingMode {
    /// The slot gets new messages. Forwarding ends with the stop signal only.
    Continuous,
    /// The slot gets no new messages. Forwarding also ends when the slot is empty.
    UntilEmpty,
}

/// Forwards the messages of a slot to `notifier`, until `mode` or `stopped` ends it.
///
/// The function returns after every message that it handed over has an outcome. After the stop signal
/// the caller must close the notifier, which decides the messages in flight.
///
/// # Errors
///
/// The error of a slot that cannot be read, in the mode [`ForwardingMode::UntilEmpty`] only. In the
/// continuous mode the function retries.
pub(crate) async fn forward_slot(
    handle: &SlotHandle,
    notifier: &Notifier,
    stopped: watch::Receiver<bool>,
    mode: ForwardingMode,
) -> Result<()> {
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let (sent, ()) = tokio::join!(
        send_chunks(handle, notifier, stopped, mode, sender),
        record_outcomes(handle, receiver)
    );
    sent
}

/// A chunk between the slot and the destination.
struct InFlightChunk {
    /// The number of the chunk's first message.
    first: u64,
    /// The messages, each with the size of its record.
    messages: Vec<(u64, InFlightMessage)>,
}

/// A message of a chunk in flight.
enum InFlightMessage {
    /// The pipeline has the message and resolves the receipt.
    Sent(Receipt),
    /// The outcome is known without the pipeline.
    Decided(MessageOutcome),
}

/// Reads chunk after chunk and hands the messages to the notifier.
async fn send_chunks(
    handle: &SlotHandle,
    notifier: &Notifier,
    mut stopped: watch::Receiver<bool>,
    mode: ForwardingMode,
    in_flight: mpsc::Sender<InFlightChunk>,
) -> Result<()> {
    let mut next = 0;
    let mut is_failing = false;
    while !*stopped.borrow_and_update() {
        let read = unless_stopped(&mut stopped, handle.read(next, READ_BYTES)).await;
        let Some(read) = read else { break };
        let chunks = match read {
            Ok(chunks) => chunks,
            Err(error) if mode == ForwardingMode::UntilEmpty => return Err(error),
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    log_read_error(&error);
                }
                unless_stopped(&mut stopped, tokio::time::sleep(retry_delay(&error))).await;
                continue;
            }
        };
        if std::mem::take(&mut is_failing) {
            tracing::info!("the spool is readable again");
        }
        if chunks.is_empty() {
            match mode {
                ForwardingMode::UntilEmpty => break,
                ForwardingMode::Continuous => {
                    unless_stopped(&mut stopped, handle.wait_for_messages()).await;
                }
            }
        }
        for chunk in chunks {
            let chunk = send_chunk(chunk, notifier).await;
            next = chunk.first + chunk.messages.len() as u64;
            if in_flight.send(chunk).await.is_err() || *stopped.borrow() {
                break;
            }
        }
    }
    Ok(())
}

/// Hands the messages of one chunk to the notifier, waiting for room in its queue.
async fn send_chunk(chunk: RecordChunk, notifier: &Notifier) -> InFlightChunk {
    let RecordChunk { first, bytes } = chunk;
    let mut messages = Vec::new();
    for body in bodies(&bytes) {
        messages.push(match body {
            // An earlier outcome removed this message.
            Ok([]) => (0, InFlightMessage::Decided(MessageOutcome::Delivered)),
            Ok(body) => match Message::from_body(body.to_vec()) {
                Ok(message) => {
                    (record_size(body), InFlightMessage::Sent(notifier.relay(message).await))
                }
                Err(error) => {
                    let reason = format!("the stored bytes are not a notification: {error:#}");
                    tracing::error!("a message of the spool becomes a dead letter: {reason}");
                    let outcome = MessageOutcome::Refused(reason);
                    (record_size(body), InFlightMessage::Decided(outcome))
                }
            },
            // Unreachable: opening the database checks every chunk.
            Err(TruncatedRecord) => (0, InFlightMessage::Decided(MessageOutcome::Pending)),
        });
    }
    InFlightChunk { first, messages }
}

/// Waits for the outcomes of chunk after chunk and has the slot's thread record them.
async fn record_outcomes(handle: &SlotHandle, mut in_flight: mpsc::Receiver<InFlightChunk>) {
    while let Some(InFlightChunk { first, messages }) = in_flight.recv().await {
        let mut chunk_outcome = ChunkOutcome::new(first);
        for (bytes, message) in messages {
            let outcome = match message {
                InFlightMessage::Decided(outcome) => outcome,
                InFlightMessage::Sent(receipt) => match receipt.await {
                    Ok(()) => MessageOutcome::Delivered,
                    Err(error) if error.outcome() == Outcome::Rejected => {
                        MessageOutcome::Refused(format!("{error:#}"))
                    }
                    Err(_) => MessageOutcome::Pending,
                },
            };
            chunk_outcome.push(outcome, bytes);
        }
        if !chunk_outcome.is_empty() {
            handle.record_outcome(chunk_outcome);
        }
    }
}

/// Waits for `event`. Returns `None` if the stop signal comes first.
pub(crate) async fn unless_stopped<T>(
    stopped: &mut watch::Receiver<bool>,
    event: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        // An error means that the forwarder is gone, which stops the forwarding too.
        _ = stopped.wait_for(|stopped| *stopped) => None,
        output = event => Some(output),
    }
}

/// Logs the first of several read errors.
fn log_read_error(error: &Error) {
    let seconds = retry_delay(error).as_secs();
    if error.is_transient() {
        tracing::warn!("cannot read the spool, retrying every {seconds} s: {error:#}");
    } else {
        tracing::error!(
            "cannot read the spool, permanent error, retrying every {seconds} s: {error:#}"
        );
    }
}

/// The bytes that one read takes from the disk.
const READ_BYTES: usize = 1024 * 1024;
/// The largest number of chunks in flight.
const CHUNKS_IN_FLIGHT: usize = 64;
