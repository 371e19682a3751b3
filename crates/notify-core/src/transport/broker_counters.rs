//! The counters of the connection to a broker: a transport counts, and the notifier shows them.
//!
//! They explain a delivery that is slow or fails. They are no part of the account, which balances without
//! them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

/// The counters of a transport to a broker, which the transport shares with its duplicates.
///
/// [`Transport::counters`](super::Transport::counters) hands them to the notifier, which shows them as
/// [`Stats::broker`](crate::pipeline::Stats::broker). Counting takes no lock, except for the begin and the end of
/// a block.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use notify_core::transport::BrokerCounters;
///
/// let counters = Arc::new(BrokerCounters::default());
/// counters.record_confirms(3, Duration::from_millis(2));
/// counters.add_nacks(1);
/// let stats = counters.stats();
/// assert_eq!((stats.confirm_latency.count, stats.nacks), (3, 1));
/// assert_eq!(stats.confirm_latency.sum, Duration::from_millis(6));
/// ```
#[derive(Debug, Default)]
pub struct BrokerCounters {
    reconnects: AtomicU64,
    nacks: AtomicU64,
    returns: AtomicU64,
    confirms: AtomicU64,
    /// The sum of the latencies of all confirms, in nanoseconds.
    confirm_nanos: AtomicU64,
    /// The longest latency, in nanoseconds.
    max_confirm_nanos: AtomicU64,
    blocked: Mutex<BlockedClock>,
}

/// The values of [`BrokerCounters`] at one moment.
///
/// Serialised, it is the object `broker` that `docs/counters.md` explains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BrokerStats {
    /// Connections that replaced an earlier one.
    pub reconnects: u64,
    /// Answers of the broker by which it did not take a message, for now or for good.
    pub nacks: u64,
    /// Messages that the broker returned because no queue gets them.
    pub returns: u64,
    /// The time for which the broker held messages back; serialised in seconds.
    #[serde(serialize_with = "seconds")]
    pub blocked: Duration,
    /// The times between the send of a message and the broker's answer.
    pub confirm_latency: LatencyStats,
}

/// The number, the sum and the longest of some times. The sum by the number is the average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LatencyStats {
    /// The number of times.
    pub count: u64,
    /// Their sum; serialised in seconds.
    #[serde(serialize_with = "seconds")]
    pub sum: Duration,
    /// The longest; serialised in seconds.
    #[serde(serialize_with = "seconds")]
    pub max: Duration,
}

/// The clock of the time for which the broker holds messages back. Blocks that overlap count once.
#[derive(Debug, Default)]
struct BlockedClock {
    blocks: usize,
    /// The begin of the current block.
    since: Option<Instant>,
    /// The length of all earlier blocks.
    total: Duration,
}

/// A time for which the broker holds messages back. Dropping it ends the time.
#[derive(Debug)]
pub struct BlockedGuard(Arc<BrokerCounters>);

impl BrokerCounters {
    /// Counts a connection that replaces an earlier one.
    pub fn add_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts answers by which the broker did not take a message.
    pub fn add_nacks(&self, answers: u64) {
        self.nacks.fetch_add(answers, Ordering::Relaxed);
    }

    /// Counts messages that the broker returned as unroutable.
    pub fn add_returns(&self, messages: u64) {
        self.returns.fetch_add(messages, Ordering::Relaxed);
    }

    /// Counts answers of the broker, each of which came `latency` after its message was sent.
    pub fn record_confirms(&self, answers: u64, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.confirms.fetch_add(answers, Ordering::Relaxed);
        self.confirm_nanos.fetch_add(nanos.saturating_mul(answers), Ordering::Relaxed);
        if answers > 0 {
            self.max_confirm_nanos.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    /// Begins a time for which the broker holds messages back.
    #[must_use]
    pub fn block(self: &Arc<Self>) -> BlockedGuard {
        let mut clock = self.clock();
        clock.blocks += 1;
        clock.since.get_or_insert_with(Instant::now);
        BlockedGuard(Arc::clone(self))
    }

    /// Returns the values of this moment. A block that lasts counts up to now.
    pub fn stats(&self) -> BrokerStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let clock = self.clock();
        let blocked = clock.total + clock.since.map_or(Duration::ZERO, |since| since.elapsed());
        drop(clock);
        BrokerStats {
            reconnects: load(&self.reconnects),
            nacks: load(&self.nacks),
            returns: load(&self.returns),
            blocked,
            confirm_latency: LatencyStats {
                count: load(&self.confirms),
                sum: Duration::from_nanos(load(&self.confirm_nanos)),
                max: Duration::from_nanos(load(&self.max_confirm_nanos)),
            },
        }
    }

    fn clock(&self) -> MutexGuard<'_, BlockedClock> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BlockedGuard {
    fn drop(&mut self) {
        let mut clock = self.0.clock();
        clock.blocks -= 1;
        if clock.blocks == 0
            && let Some(since) = clock.since.take()
        {
            clock.total += since.elapsed();
        }
    }
}

/// Writes a duration in seconds, with a fraction.
fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two lanes that wait at the same time wait once, and a block that lasts is counted.
    #[test]
    fn overlapping_blocks_count_once() {
        let counters = Arc::new(BrokerCounters::default());
        assert_eq!(counters.stats().blocked, Duration::ZERO);
        let started = Instant::now();
        let (first, second) = (counters.block(), counters.block());
        std::thread::sleep(Duration::from_millis(5));
        drop(first);
        let lasting = counters.stats().blocked;
        assert!(lasting >= Duration::from_millis(5) && lasting <= started.elapsed());
        drop(second);
        let ended = counters.stats().blocked;
        assert!(ended >= lasting && ended <= started.elapsed());
        assert_eq!(counters.stats().blocked, ended);
    }

    /// The longest latency is that of an answer, and none without answers.
    #[test]
    fn latencies_have_a_sum_and_a_maximum() {
        let counters = BrokerCounters::default();
        counters.record_confirms(0, Duration::from_secs(9));
        counters.record_confirms(2, Duration::from_secs(3));
        counters.record_confirms(1, Duration::from_secs(1));
        let LatencyStats { count, sum, max } = counters.stats().confirm_latency;
        assert_eq!((count, sum.as_secs(), max.as_secs()), (3, 7, 3));
    }
}
