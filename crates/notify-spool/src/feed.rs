//! Feeding a pipeline with what a slot holds, in order, and writing down what comes of it.

use notify_core::pipeline::Receipt;
use notify_core::{Error, Message, Notifier, Outcome, Result};
use tokio::sync::{mpsc, watch};

use crate::conclusion::{Conclusion, Fate};
use crate::keeper::Keeper;
use crate::owner::pause;
use crate::record::{Torn, bodies, size};
use crate::store::Chunk;

/// When a slot has been fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Never: more will come.
    Stopped,
    /// When nothing more is in it.
    Empty,
}

/// Feeds `notifier` with what `keeper` holds, until `stopped` says so or there is no more to come,
/// and everything that was fed is concluded. Closing the notifier is what concludes the rest.
///
/// # Errors
///
/// Only of [`Until::Empty`]: why the slot cannot be read. Otherwise it is tried again.
pub(crate) async fn feed(
    keeper: &Keeper,
    notifier: &Notifier,
    stopped: watch::Receiver<bool>,
    until: Until,
) -> Result<()> {
    let (flying, landing) = mpsc::channel(CHUNKS);
    let (fed, ()) =
        tokio::join!(take_off(keeper, notifier, stopped, until, flying), land(keeper, landing));
    fed
}

/// The messages of one chunk on their way.
struct Flight {
    first: u64,
    passengers: Vec<(u64, Passenger)>,
}

/// A message on its way, or what is known of it without any.
enum Passenger {
    Flying(Receipt),
    Decided(Fate),
}

/// Reads chunk after chunk, and passes its messages on.
async fn take_off(
    keeper: &Keeper,
    notifier: &Notifier,
    mut stopped: watch::Receiver<bool>,
    until: Until,
    flying: mpsc::Sender<Flight>,
) -> Result<()> {
    let mut next = 0;
    let mut failing = false;
    while !*stopped.borrow_and_update() {
        let chunks = match keeper.read(next, READ_BYTES).await {
            Ok(chunks) => chunks,
            Err(error) if until == Until::Empty => return Err(error),
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tell(&error);
                }
                or_stopped(&mut stopped, tokio::time::sleep(pause(&error))).await;
                continue;
            }
        };
        if std::mem::take(&mut failing) {
            tracing::info!("the spool can be read again");
        }
        if chunks.is_empty() {
            match until {
                Until::Empty => break,
                Until::Stopped => or_stopped(&mut stopped, keeper.committed()).await,
            }
        }
        for chunk in chunks {
            let flight = board(chunk, notifier).await;
            next = flight.first + flight.passengers.len() as u64;
            if flying.send(flight).await.is_err() || *stopped.borrow() {
                break;
            }
        }
    }
    Ok(())
}

async fn board(chunk: Chunk, notifier: &Notifier) -> Flight {
    let Chunk { first, bytes } = chunk;
    let mut passengers = Vec::new();
    for body in bodies(&bytes) {
        passengers.push(match body {
            // Gone already.
            Ok([]) => (0, Passenger::Decided(Fate::Delivered)),
            Ok(body) => match Message::from_body(body.to_vec()) {
                Ok(message) => (size(body), Passenger::Flying(notifier.relay(message).await)),
                Err(error) => {
                    let reason = format!("what was kept is no notification: {error:#}");
                    tracing::error!("a message of the spool becomes a dead letter: {reason}");
                    (size(body), Passenger::Decided(Fate::Refused(reason)))
                }
            },
            // The slot was looked through when it was opened, so this cannot come.
            Err(Torn) => (0, Passenger::Decided(Fate::Kept)),
        });
    }
    Flight { first, passengers }
}

/// Waits for what comes of chunk after chunk, and has it written down.
async fn land(keeper: &Keeper, mut landing: mpsc::Receiver<Flight>) {
    while let Some(Flight { first, passengers }) = landing.recv().await {
        let mut conclusion = Conclusion::new(first);
        for (bytes, passenger) in passengers {
            let fate = match passenger {
                Passenger::Decided(fate) => fate,
                Passenger::Flying(receipt) => match receipt.await {
                    Ok(()) => Fate::Delivered,
                    Err(error) if error.outcome() == Outcome::Rejected => {
                        Fate::Refused(format!("{error:#}"))
                    }
                    Err(_) => Fate::Kept,
                },
            };
            conclusion.add(fate, bytes);
        }
        if !conclusion.is_empty() {
            keeper.conclude(conclusion);
        }
    }
}

/// Waits for `something`, or until it is time to stop.
async fn or_stopped(stopped: &mut watch::Receiver<bool>, something: impl Future<Output = ()>) {
    tokio::select! {
        () = something => {}
        // An error as well: nobody is left who could want more.
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

fn tell(error: &Error) {
    if error.is_transient() {
        tracing::warn!("the spool cannot be read, trying again: {error:#}");
    } else {
        tracing::error!("the spool cannot be used until somebody mends it: {error:#}");
    }
}

/// How much is read from the disk at once, in bytes.
const READ_BYTES: usize = 1024 * 1024;
/// Chunks on their way at most.
const CHUNKS: usize = 64;
