//! Sends a batch over the links of its addresses and settles each message by its outcome.
//!
//! One call works in four steps:
//!
//! 1. Sort the unsettled messages by address.
//! 2. Send over all links at once. Settle each message in the moment its outcome comes, so that a
//!    dropped or failed call keeps every verdict.
//! 3. Meanwhile attach the links that are missing, within `qpid.connect_timeout` for all, and then send over
//!    these too. So an attach without an answer does not delay the addresses that have a link.
//! 4. Settle the messages of an address that has no link: that lane fails, and no other. Only the end of
//!    the connection, and an address that withholds its outcomes or the answer to an attach, are errors.
//!
//! This module knows batches, addresses and timeouts. The module `link` sends the messages.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use notify_core::transport::BrokerCounters;
use notify_core::{Batch, Error, ErrorKind, Message, Outcome, Result};
use notify_net::{BrokerAnswer, Judge};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::config::Config;
use crate::connection::{AttachFailure, Connection, attach_all};
use crate::error::ErrorContext;
use crate::link::{Answer, Link, LinkFailure, LinkTransfer};
use crate::topology::Topology;

/// The current timeout of each address that needed more than `qpid.confirm_timeout`.
///
/// qpidd withholds its outcomes while a queue is full. Every retry after a timeout adds a duplicate
/// to the queue, so the timeout of that address doubles each time.
#[derive(Debug, Default)]
pub(crate) struct ConfirmTimeouts(HashMap<String, Duration>);

/// Sends the unsettled messages of the batch, over all links at once, and settles them.
///
/// A link that fails does not delay the messages of the others.
///
/// # Errors
///
/// The error that ended the connection, the timeout of an address that withholds its outcomes or the answer
/// to an attach, or a permanent error if no documented address is usable. Failed links are gone afterwards.
///
/// # Cancel safety
///
/// If you drop the future, its messages stay in flight. When they come again, the transport waits
/// for their outcomes and does not send them twice.
pub(crate) async fn publish(
    connection: &mut Connection,
    config: &Config,
    timeouts: &mut ConfirmTimeouts,
    judge: &mut Judge,
    counters: &Arc<BrokerCounters>,
    batch: &mut Batch<'_>,
) -> Result<()> {
    // A dropped call left its new links there.
    connection.links.append(&mut connection.new_links);
    let mut indices: HashMap<String, VecDeque<usize>> = HashMap::new();
    for index in batch.unsettled() {
        let route = connection.topology.route(batch.messages()[index].priority());
        match indices.get_mut(&route.address) {
            Some(indices) => indices.push_back(index),
            None => _ = indices.insert(route.address.clone(), VecDeque::from([index])),
        }
    }
    let mut lanes: Vec<_> = indices.clone().into_iter().collect();
    let transferred = transfer(connection, config, timeouts, judge, counters, batch, indices).await;
    connection.links.append(&mut connection.new_links);
    let TransferResults { results, unattached } = transferred?;

    // The answer for the messages that have no verdict, by address.
    let mut failures: HashMap<String, Answer> = HashMap::new();
    let mut silent = None;
    for (address, failure) in unattached {
        if failure.is_timeout() {
            // The worker then attempts this lane by itself.
            silent = Some(failure.error);
        } else {
            failures.insert(address, (failure.meaning, Some(failure.error)));
        }
    }
    for (address, result) in results {
        match result {
            Ok(true) => timeouts.reset(&address),
            Ok(false) => {}
            Err(failure) => {
                // Every result belongs to a link.
                let Some(link) = connection.links.remove(&address) else { continue };
                let error = match failure {
                    LinkFailure::Lost(error) => error,
                    LinkFailure::SessionEnded => {
                        link.session_error(&connection.context, &address).await
                    }
                    LinkFailure::Backlog(unsettled) => {
                        let timeout = timeouts.double(&address, config);
                        silent = Some(connection.context.backlog(&address, unsettled, timeout));
                        continue;
                    }
                };
                let error = error.with_outcome(Outcome::Unknown);
                failures.insert(address, (BrokerAnswer::QueueUnavailable, Some(error)));
            }
        }
    }
    if !failures.is_empty()
        && let Some(error) = connection.close_reason().await
    {
        return Err(error.with_outcome(Outcome::Unknown));
    }
    // Without any usable address the configuration is wrong, not one lane.
    let mut errors = failures.values().filter_map(|(_, error)| error.as_ref());
    if silent.is_none()
        && errors.clone().all(|error| !error.is_transient())
        && let Some(error) = errors.next()
        && !connection.has_other_address(&failures, config.endpoint.connect_timeout).await
    {
        return Err(error.clone());
    }
    lanes.retain(|(address, _)| failures.contains_key(address));
    for (address, indices) in lanes {
        let Some((meaning, error)) = failures.remove(&address) else { continue };
        for index in indices {
            if !batch.is_settled(index) {
                let id = batch.messages()[index].id();
                settle(batch, judge, index, id, (meaning, error.clone()));
            }
        }
    }
    silent.map_or(Ok(()), |error| Err(error.with_outcome(Outcome::Unknown)))
}

/// Settles one message by the broker's answer.
fn settle(batch: &mut Batch<'_>, judge: &mut Judge, index: usize, id: Uuid, answer: Answer) {
    let (meaning, error) = answer;
    let verdict = judge.verdict(id, meaning, || {
        error.unwrap_or_else(|| Error::new(ErrorKind::Bug, "an answer without a reason"))
    });
    batch.settle(index, verdict);
}

/// The result of one link with its address: whether it settled any message, or why it failed.
type LinkResult = (String, Result<bool, LinkFailure>);

/// The results of a batch by address.
struct TransferResults {
    /// The result of each link.
    results: Vec<LinkResult>,
    /// The addresses without a link, whose messages are unsettled.
    unattached: Vec<(String, AttachFailure)>,
}

/// Sends over all links at once and settles messages as their verdicts come. Attaches the missing links
/// meanwhile, and then sends over them too.
///
/// The links report through a channel, because only this function holds the batch.
///
/// # Errors
///
/// The error that ended the connection. Errors of single links are in the result.
async fn transfer(
    connection: &mut Connection,
    config: &Config,
    timeouts: &ConfirmTimeouts,
    judge: &mut Judge,
    counters: &Arc<BrokerCounters>,
    batch: &mut Batch<'_>,
    mut indices: HashMap<String, VecDeque<usize>>,
) -> Result<TransferResults> {
    let messages = batch.messages();
    let mut missing: Vec<_> = connection.topology.routes().cloned().collect();
    missing.retain(|route| {
        indices.contains_key(&route.address) && !connection.has_usable_link(&route.address)
    });
    let Connection { handle, links, new_links, topology, context, warnings, is_half_open, .. } =
        connection;
    let (answers, mut answered) = unbounded_channel::<(usize, Answer)>();
    let starter = TransferStarter {
        messages,
        config,
        topology,
        context,
        timeouts,
        counters,
        answers: &answers,
    };
    let mut transfers = FuturesUnordered::new();
    starter.start(links, &mut indices, &transfers);
    let mut results = Vec::new();
    let mut unattached = Vec::new();
    if !missing.is_empty() {
        *is_half_open = true;
        let time = config.endpoint.connect_timeout;
        let mut attaching = pin!(attach_all(handle, context, warnings, &missing, time));
        let (attached, failures) = loop {
            tokio::select! {
                biased;
                Some(result) = transfers.next() => results.push(result),
                Some((index, answer)) = answered.recv() => {
                    settle(batch, judge, index, messages[index].id(), answer);
                }
                attached = &mut attaching => break attached,
            }
        };
        *is_half_open = failures.iter().any(|(_, failure)| failure.is_timeout());
        *new_links = attached;
        unattached = failures;
    }
    starter.start(new_links, &mut indices, &transfers);
    loop {
        tokio::select! {
            // Settle known verdicts before anything else can end this function.
            biased;
            result = transfers.next() => {
                if let Some(result) = result {
                    results.push(result);
                } else {
                    while let Ok((index, answer)) = answered.try_recv() {
                        settle(batch, judge, index, messages[index].id(), answer);
                    }
                    return Ok(TransferResults { results, unattached });
                }
            }
            Some((index, answer)) = answered.recv() => {
                settle(batch, judge, index, messages[index].id(), answer);
            }
            closed = handle.on_close() => {
                let error = match closed {
                    Err(error) => context.close_error(&error),
                    Ok(()) => context.connection_lost(),
                };
                return Err(error.with_outcome(Outcome::Unknown));
            }
        }
    }
}

/// The parts that the transfers of a batch have in common.
struct TransferStarter<'a> {
    messages: &'a [Message],
    config: &'a Config,
    topology: &'a Topology,
    context: &'a ErrorContext,
    timeouts: &'a ConfirmTimeouts,
    counters: &'a Arc<BrokerCounters>,
    answers: &'a UnboundedSender<(usize, Answer)>,
}

impl<'a> TransferStarter<'a> {
    /// Adds to `transfers` the transfer of each link that `indices` has messages for. Removes these from
    /// `indices`.
    fn start(
        &self,
        links: &'a mut BTreeMap<String, Link>,
        indices: &mut HashMap<String, VecDeque<usize>>,
        transfers: &FuturesUnordered<BoxFuture<'a, LinkResult>>,
    ) {
        for (address, link) in links {
            let Some(indices) = indices.remove(address) else { continue };
            let transfer = LinkTransfer {
                address,
                messages: self.messages,
                config: self.config,
                topology: self.topology,
                context: self.context,
                timeout: self.timeouts.get(address, self.config),
                counters: self.counters,
                answers: self.answers,
            };
            transfers.push(Box::pin(async move {
                (address.clone(), transfer.run(link, indices).await)
            }));
        }
    }
}

impl ConfirmTimeouts {
    /// Returns the current timeout of an address.
    fn get(&self, address: &str, config: &Config) -> Duration {
        self.0.get(address).copied().unwrap_or(config.confirm_timeout)
    }

    /// Doubles the timeout of an address and returns the previous one, which has just passed.
    ///
    /// With the default of 30 s: 30, 60, 120, 240, 300, 300, … seconds.
    fn double(&mut self, address: &str, config: &Config) -> Duration {
        let passed = self.get(address, config);
        self.0.insert(address.to_owned(), (passed * 2).min(MAX_TIMEOUT).max(passed));
        passed
    }

    /// Returns an address to `qpid.confirm_timeout`.
    fn reset(&mut self, address: &str) {
        self.0.remove(address);
    }
}

/// The longest timeout that doubling leads to. A larger `qpid.confirm_timeout` stays as it is.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    /// A full queue costs few duplicates, and the address returns to the configured timeout after
    /// the first outcome. Other addresses keep theirs.
    #[test]
    fn timeouts_double_up_to_five_minutes_until_they_are_reset() {
        let config = Config::default();
        let mut timeouts = ConfirmTimeouts::default();
        let passed: Vec<_> = (0..6).map(|_| timeouts.double("info", &config).as_secs()).collect();
        assert_eq!(passed, [30, 60, 120, 240, 300, 300]);
        assert_eq!(timeouts.get("warn", &config).as_secs(), 30);
        timeouts.reset("info");
        assert_eq!(timeouts.get("info", &config).as_secs(), 30);
    }
}
