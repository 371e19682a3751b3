//! Sending a batch over the links of its addresses, and settling each message by its outcome.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use notify_core::{Batch, Error, Result};
use tokio::sync::mpsc::unbounded_channel;

use crate::config::Config;
use crate::connection::Connection;
use crate::link::{Failure, Share};

/// How long each address is waited for, where the configured time was not enough.
///
/// A queue that is full makes qpidd withhold its outcomes; whatever is sent again is there twice.
#[derive(Debug, Default)]
pub(crate) struct Patience(HashMap<String, Duration>);

/// Sends what is unsettled of the batch over its links, all of them at once, and settles it.
///
/// A link that fails does not keep the others from their messages.
///
/// # Errors
///
/// Why something is left unsettled. Links that failed are gone then; if the connection did, it says
/// so itself.
///
/// # Cancel safety
///
/// What is on its way then is waited for, not sent again, if its messages come again.
pub(crate) async fn publish(
    connection: &mut Connection,
    config: &Config,
    patience: &mut Patience,
    batch: &mut Batch<'_>,
) -> Result<()> {
    let mut todo: HashMap<String, VecDeque<usize>> = HashMap::new();
    for index in batch.unsettled() {
        let route = connection.topology.route(batch.messages()[index].priority());
        match todo.get_mut(&route.address) {
            Some(indices) => indices.push_back(index),
            None => _ = todo.insert(route.address.clone(), VecDeque::from([index])),
        }
    }
    let mut failures = attach(connection, config, &mut todo).await;

    for (address, end) in transfer(connection, config, patience, batch, todo).await? {
        match end {
            Ok(true) => patience.is_rewarded(&address),
            Ok(false) => {}
            Err(failure) => {
                connection.links.remove(&address);
                failures.push(match failure {
                    Failure::Lost(error) => error,
                    Failure::Withheld(count) => {
                        let waited = patience.grow(&address, config);
                        connection.site.withheld(&address, count, waited)
                    }
                });
            }
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    if let Some(cause) = connection.cause().await {
        return Err(cause);
    }
    // What an operator must mend comes first: what passes by itself needs no telling.
    let first = failures.iter().position(|error| !error.is_transient()).unwrap_or(0);
    Err(failures.swap_remove(first))
}

/// How each link, by its address, came out of a batch: whether it settled anything, or why it is of
/// no use any more.
type Ends = Vec<(String, Result<bool, Failure>)>;

/// Sends over all links at once.
///
/// # Errors
///
/// Why the connection ended.
async fn transfer(
    connection: &mut Connection,
    config: &Config,
    patience: &Patience,
    batch: &mut Batch<'_>,
    mut todo: HashMap<String, VecDeque<usize>>,
) -> Result<Ends> {
    let messages = batch.messages();
    let Connection { handle, links, topology, site, .. } = connection;
    let (verdicts, mut settled) = unbounded_channel();
    let shares = links.iter_mut().filter_map(|(address, link)| {
        let todo = todo.remove(address)?;
        let patience = patience.of(address, config);
        let verdicts = &verdicts;
        let share = Share { address, messages, config, topology, site, patience, verdicts };
        Some(async move { (address.clone(), share.send(link, todo).await) })
    });
    let mut shares = pin!(join_all(shares));
    loop {
        tokio::select! {
            // What is known is settled before anything else can happen to us.
            biased;
            ends = &mut shares => {
                while let Ok((index, verdict)) = settled.try_recv() {
                    batch.settle(index, verdict);
                }
                return Ok(ends);
            }
            Some((index, verdict)) = settled.recv() => batch.settle(index, verdict),
            closed = handle.on_close() => {
                return Err(match closed {
                    Err(error) => site.closed(&error),
                    Ok(()) => site.gone(),
                });
            }
        }
    }
}

/// Attaches the links that are missing. What has none is left out of `todo`, with the reason.
async fn attach(
    connection: &mut Connection,
    config: &Config,
    todo: &mut HashMap<String, VecDeque<usize>>,
) -> Vec<Error> {
    let mut failures = Vec::new();
    let routes: Vec<_> = connection.topology.routes().cloned().collect();
    for route in routes {
        if !todo.contains_key(&route.address) {
            continue;
        }
        if let Err(error) = connection.ensure_link(&route, config.connect_timeout).await {
            todo.remove(&route.address);
            failures.push(error);
        }
    }
    failures
}

impl Patience {
    fn of(&self, address: &str, config: &Config) -> Duration {
        self.0.get(address).copied().unwrap_or(config.confirm_timeout)
    }

    /// Waits longer the next time; returns how long it was this time.
    fn grow(&mut self, address: &str, config: &Config) -> Duration {
        let waited = self.of(address, config);
        self.0.insert(address.to_owned(), (waited * 2).min(MOST_PATIENCE).max(waited));
        waited
    }

    fn is_rewarded(&mut self, address: &str) {
        self.0.remove(address);
    }
}

/// As long as a broker that withholds its outcomes is waited for at most.
const MOST_PATIENCE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_doubles_up_to_five_minutes_and_starts_afresh() {
        let config = Config::default();
        let mut patience = Patience::default();
        let waited: Vec<_> = (0..6).map(|_| patience.grow("info", &config).as_secs()).collect();
        assert_eq!(waited, [30, 60, 120, 240, 300, 300]);
        assert_eq!(patience.of("warn", &config).as_secs(), 30);
        patience.is_rewarded("info");
        assert_eq!(patience.of("info", &config).as_secs(), 30);
    }
}
