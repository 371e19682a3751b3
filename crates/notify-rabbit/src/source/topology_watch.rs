//! The task that prepares the queues of a session, and goes on looking after their bindings.
//!
//! After a restart of the broker, the exchange of OpenStack's services is often gone, and the bindings
//! with it, until a service declares it again. So the task binds again and again: a binding that exists
//! stays as it is. It tells the session what changed, and never reads a message.

use std::collections::BTreeSet;
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
    /// A binding or a queue is gone, or everything is there again.
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
        let mut missing = None;
        let mut complete_at = None;
        loop {
            let looked_at = SystemTime::now();
            let now_missing = if self.plan.own_queue.is_some() {
                self.bind(&own_queue, &mut channel).await?
            } else {
                self.find_shared_queues(&mut channel).await?
            };
            if missing.as_ref() != Some(&now_missing) {
                self.tell(WatchEvent::Coverage(coverage(&now_missing, complete_at))).await;
            }
            if now_missing.is_empty() {
                complete_at = Some(looked_at);
            }
            missing = Some(now_missing);
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
    ) -> Result<BTreeSet<String>> {
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
        Ok(missing)
    }

    /// Tells the session about each queue of others that exists now. Returns those that do not.
    async fn find_shared_queues(
        &mut self,
        channel: &mut Option<Channel>,
    ) -> Result<BTreeSet<String>> {
        let mut missing = Vec::new();
        for queue in std::mem::take(&mut self.plan.shared_queues) {
            let found = {
                let channel = self.use_channel(channel).await?;
                self.request(look_up(channel, &queue)).await?
            };
            if self.explain(found)?.is_some() {
                self.tell(WatchEvent::Queue { name: queue, is_exclusive: false }).await;
            } else {
                missing.push(queue);
                *channel = None;
            }
        }
        let names = missing.iter().map(|name| format!("queue `{}`", printable(name.as_str(), 255)));
        let names = names.collect();
        self.plan.shared_queues = missing;
        Ok(names)
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

/// Returns the news that these exchanges or queues do not exist. Everything was there at `complete_at`.
fn coverage(missing: &BTreeSet<String>, complete_at: Option<SystemTime>) -> Reception {
    let list: Vec<_> = missing.iter().map(String::as_str).collect();
    let reason = match list.as_slice() {
        [] => return Reception::Attached,
        [one] => format!("{one} does not exist"),
        more => format!("{} do not exist", more.join(", ")),
    };
    Reception::Detached { reason, since: complete_at }
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
        let found = coverage(&BTreeSet::new(), Some(looked_at));
        assert!(matches!(found, Reception::Attached), "{found:?}");
        let loss = |missing: BTreeSet<String>, complete_at| match coverage(&missing, complete_at) {
            Reception::Detached { reason, since } => (reason, since),
            other => panic!("{other:?}"),
        };
        let (reason, since) = loss([one.clone()].into(), Some(looked_at));
        assert_eq!(reason, "exchange `glance` does not exist");
        assert_eq!(since, Some(looked_at));
        let (reason, since) = loss([one, two].into(), None);
        assert_eq!(reason, "exchange `glance`, exchange `nova` do not exist");
        assert_eq!(since, None, "was never attached");
    }
}
