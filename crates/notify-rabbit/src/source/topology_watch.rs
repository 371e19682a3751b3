//! The task that prepares the queues of a session, and goes on looking after their bindings.
//!
//! After a restart of the broker, the exchange of OpenStack's services is often gone, and the bindings
//! with it, until a service declares it again. So the task binds again and again: a binding that exists
//! stays as it is. It tells the session what changed, and never reads a message.
//!
//! A shared queue that is missing or cannot be looked up delays no other: the task looks again later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use lapin::Channel;
use lapin::types::ShortString;
use notify_core::redact::printable;
use notify_core::source::Reception;
use notify_core::{Error, Result};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::read_plan::{OwnQueue, QueueBinding, ReadPlan, look_up};
use crate::connection::ChannelOpener;
use crate::error::{ErrorContext, Operation};
use crate::runtime::silently;

/// The news of a [`TopologyWatch`].
#[derive(Debug)]
pub(super) enum WatchEvent {
    /// The queue exists: the session can consume it.
    Queue {
        /// Its name.
        name: ShortString,
        /// Whether no other listener may consume it.
        is_exclusive: bool,
    },
    /// A binding or a queue is gone or unavailable, or everything is there again.
    Coverage(Reception),
    /// The session cannot go on.
    Failed(Error),
}

/// The task of one session.
pub(super) struct TopologyWatch {
    pub(super) plan: ReadPlan,
    pub(super) channels: ChannelOpener,
    pub(super) context: ErrorContext,
    /// The major version of RabbitMQ; 0 if it is unknown.
    pub(super) major_version: u32,
    /// The longest time of one request.
    pub(super) timeout: Duration,
    pub(super) events: mpsc::Sender<WatchEvent>,
}

/// The exchanges and queues that one look did not find.
#[derive(Debug, Default, PartialEq, Eq)]
struct CoverageGap {
    /// The exchanges and queues that do not exist, such as "queue `audit`".
    missing: BTreeSet<String>,
    /// The queues that could not be looked up, and the reason of each.
    unavailable: BTreeMap<String, String>,
}

impl TopologyWatch {
    /// Prepares the queues and looks after them until the session ends.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.watch().await {
            // Without a receiver, the session has ended already.
            let _ = self.events.send(WatchEvent::Failed(error)).await;
        }
    }

    /// Does the work of [`run`](Self::run) up to an error.
    async fn watch(&mut self) -> Result<()> {
        let mut own_queue = ShortString::default();
        if let Some(queue) = self.plan.own_queue.clone() {
            own_queue = self.declare(&queue).await?;
            self.tell(WatchEvent::Queue {
                name: own_queue.clone(),
                is_exclusive: queue.is_exclusive,
            })
            .await;
        }
        let started = Instant::now();
        let mut channel = None;
        let mut gap = None;
        let mut complete_at = None;
        loop {
            let looked_at = SystemTime::now();
            let found_gap = if self.plan.own_queue.is_some() {
                self.bind(&own_queue, &mut channel).await?
            } else {
                self.find_shared_queues(&mut channel).await?
            };
            if gap.as_ref() != Some(&found_gap) {
                self.tell(WatchEvent::Coverage(found_gap.coverage(complete_at))).await;
            }
            if found_gap.is_empty() {
                complete_at = Some(looked_at);
            }
            gap = Some(found_gap);
            sleep(interval(started.elapsed())).await;
        }
    }

    /// Declares the own queue, and returns its name.
    ///
    /// A queue that exists with other properties is used as it is: another version of this program may
    /// have declared it.
    async fn declare(&self, queue: &OwnQueue) -> Result<ShortString> {
        let mut channel = self.open_channel().await?;
        let mut queue = queue.clone();
        if queue.is_temporary() && !queue.name.as_str().is_empty() {
            // An earlier session of the same connection had it.
            let found = self.request(look_up(&channel, &queue.name)).await?;
            if self.explain(found)?.is_some() {
                return Ok(queue.name);
            }
            queue.name = ShortString::default();
            channel = self.open_channel().await?;
        }
        let found = match self.request(queue.declare(&channel, self.major_version)).await? {
            Ok(found) => {
                // The answer says nothing about the queue.
                let _ = self.request(channel.close(200, "OK".into())).await;
                found
            }
            Err(error) => {
                let is_mismatch = matches!(error.kind(),
                    lapin::ErrorKind::ProtocolError(error) if error.get_id() == 406);
                let error = self.context.explain(&error, Operation::Consume);
                if !is_mismatch {
                    return Err(error);
                }
                let channel = self.open_channel().await?;
                let found = self.request(look_up(&channel, &queue.name)).await?;
                let Ok(Some(found)) = found else { return Err(error) };
                let name = printable(queue.name.as_str(), 255);
                tracing::warn!("uses the queue `{name}` as it is: {error}");
                found
            }
        };
        if queue.is_exclusive && found.consumer_count() > 0 {
            return Err(self.context.queue_in_use(queue.name.as_str()));
        }
        Ok(found.name().clone())
    }

    /// Binds the own queue everywhere. Returns the exchanges that do not exist.
    async fn bind(
        &self,
        queue: &ShortString,
        channel: &mut Option<Channel>,
    ) -> Result<CoverageGap> {
        let mut missing = BTreeSet::new();
        for binding in &self.plan.bindings {
            let QueueBinding { exchange, .. } = binding;
            let subject = format!("exchange `{}`", printable(exchange.as_str(), 255));
            if missing.contains(&subject) {
                continue;
            }
            let bound = {
                let channel = self.use_channel(channel).await?;
                self.request(binding.ensure(channel, queue)).await?
            };
            if !self.explain(bound)? {
                missing.insert(subject);
                *channel = None;
            }
        }
        Ok(CoverageGap { missing, ..CoverageGap::default() })
    }

    /// Tells the session about each queue of others that exists now. Returns the others, which the next look
    /// tries again.
    ///
    /// # Errors
    ///
    /// A permanent error, or that of a connection which is gone or opens no channel.
    async fn find_shared_queues(&mut self, channel: &mut Option<Channel>) -> Result<CoverageGap> {
        let mut gap = CoverageGap::default();
        let mut remaining = Vec::new();
        for queue in std::mem::take(&mut self.plan.shared_queues) {
            let answer = {
                let channel = self.use_channel(channel).await?;
                self.request(look_up(channel, &queue)).await
            };
            let subject = format!("queue `{}`", printable(queue.as_str(), 255));
            match answer.and_then(|found| self.explain(found)) {
                Ok(Some(_)) => {
                    self.tell(WatchEvent::Queue { name: queue, is_exclusive: false }).await;
                    continue;
                }
                Ok(None) => {
                    gap.missing.insert(subject);
                }
                Err(error) if error.is_transient() && self.channels.is_usable() => {
                    gap.unavailable.insert(subject, error.to_string());
                }
                Err(error) => return Err(error),
            }
            remaining.push(queue);
            // The broker has closed this channel, or may answer on it too late.
            *channel = None;
        }
        self.plan.shared_queues = remaining;
        Ok(gap)
    }

    /// Returns the channel for requests, which a refused request closes.
    async fn use_channel<'c>(&self, channel: &'c mut Option<Channel>) -> Result<&'c Channel> {
        match channel {
            Some(open) if open.status().connected() => {}
            _ => *channel = Some(self.open_channel().await?),
        }
        channel.as_ref().ok_or_else(|| self.no_answer())
    }

    /// Opens a channel.
    ///
    /// # Errors
    ///
    /// The broker's error, or a timeout.
    async fn open_channel(&self) -> Result<Channel> {
        self.request(self.channels.open()).await?
    }

    /// Waits for the broker's answer to a request.
    ///
    /// # Errors
    ///
    /// A timeout.
    async fn request<T>(&self, request: impl Future<Output = T>) -> Result<T> {
        timeout(self.timeout, silently(request)).await.map_err(|_| self.no_answer())
    }

    /// Converts the broker's error.
    fn explain<T>(&self, answer: lapin::Result<T>) -> Result<T> {
        answer.map_err(|error| self.context.explain(&error, Operation::Consume))
    }

    /// Returns the error of a request without an answer.
    fn no_answer(&self) -> Error {
        self.context.timeout_error("did not answer while the queue was prepared", None)
    }

    /// Tells the session. Without a receiver the session has ended, and its task ends soon.
    async fn tell(&self, event: WatchEvent) {
        let _ = self.events.send(event).await;
    }
}

impl CoverageGap {
    /// Returns whether the look found everything.
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unavailable.is_empty()
    }

    /// Returns the news about this gap. Everything was there at `complete_at`.
    fn coverage(&self, complete_at: Option<SystemTime>) -> Reception {
        if self.is_empty() {
            return Reception::Attached;
        }
        let missing: Vec<_> = self.missing.iter().map(String::as_str).collect();
        let mut reasons = match missing.as_slice() {
            [] => Vec::new(),
            [one] => vec![format!("{one} does not exist")],
            more => vec![format!("{} do not exist", more.join(", "))],
        };
        reasons.extend(self.unavailable.iter().map(|(queue, error)| format!("{queue}: {error}")));
        Reception::Detached { reason: reasons.join("; "), since: complete_at }
    }
}

/// Returns the time between two looks in a session of this age.
fn interval(age: Duration) -> Duration {
    if age < FREQUENT_CHECKS { FREQUENT_INTERVAL } else { INTERVAL }
}

/// The time after the start of a session during which the bindings are looked at often.
const FREQUENT_CHECKS: Duration = Duration::from_secs(120);
/// The time between two looks in that time.
const FREQUENT_INTERVAL: Duration = Duration::from_secs(1);
/// The time between two looks afterwards.
const INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    /// The source looks every second for two minutes, and then every minute.
    #[test]
    fn bindings_are_looked_at_often_at_first() {
        let (mut age, mut looks) = (Duration::ZERO, Vec::new());
        while age <= Duration::from_secs(240) {
            looks.push(age.as_secs());
            age += interval(age);
        }
        let expected: Vec<u64> = (0..=120).chain([180, 240]).collect();
        assert_eq!(looks, expected);
        assert_eq!(interval(Duration::from_secs(86_400)), Duration::from_secs(60));
    }

    /// A loss counts from the last look that found everything, not from the look that noticed it.
    #[test]
    fn a_loss_counts_from_the_last_good_look() {
        let (one, two) = ("exchange `glance`".to_owned(), "exchange `nova`".to_owned());
        let looked_at = SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        let found = CoverageGap::default().coverage(Some(looked_at));
        assert!(matches!(found, Reception::Attached), "{found:?}");
        let loss = |missing: BTreeSet<String>, complete_at| {
            let gap = CoverageGap { missing, ..CoverageGap::default() };
            match gap.coverage(complete_at) {
                Reception::Detached { reason, since } => (reason, since),
                other => panic!("{other:?}"),
            }
        };
        let (reason, since) = loss([one.clone()].into(), Some(looked_at));
        assert_eq!(reason, "exchange `glance` does not exist");
        assert_eq!(since, Some(looked_at));
        let (reason, since) = loss([one, two].into(), None);
        assert_eq!(reason, "exchange `glance`, exchange `nova` do not exist");
        assert_eq!(since, None, "was never attached");
    }

    /// A queue that cannot be looked up has its own reason, beside the queues that do not exist.
    #[test]
    fn an_unavailable_queue_has_its_own_reason() {
        let unavailable =
            [("queue `error`".to_owned(), "broker:5672 did not answer".to_owned())].into();
        let mut gap = CoverageGap { unavailable, ..CoverageGap::default() };
        let reason = |gap: &CoverageGap| match gap.coverage(None) {
            Reception::Detached { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(&gap), "queue `error`: broker:5672 did not answer");
        gap.missing.insert("queue `info`".to_owned());
        let expected = "queue `info` does not exist; queue `error`: broker:5672 did not answer";
        assert_eq!(reason(&gap), expected);
    }
}
