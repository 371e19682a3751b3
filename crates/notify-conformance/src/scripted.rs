//! A transport that does what it is told: for tests of the pipeline, and to show that the suite
//! itself can be passed in full.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use notify_core::{
    Batch, Error, ErrorKind, EventType, Message, Notification, Result, Transport, Verdict,
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::harness::{Capability, Harness, Metadata, Received};
use crate::samples;

/// The destination's side of a scripted transport.
#[derive(Clone, Debug, Default)]
pub struct Script(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    attempts: VecDeque<Attempt>,
    taken: Vec<Message>,
    sizes: Vec<usize>,
    holders: usize,
    down: bool,
    stalled: bool,
    pushing_back: bool,
    refused: HashSet<Uuid>,
}

/// What one call of `send` does.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What it does with the first, the second… message of the batch; the rest is accepted.
    pub acts: Vec<Act>,
    /// How it ends.
    pub end: End,
}

/// What is done with one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Taken, and said so.
    Accept,
    /// Said to be worth another try.
    Retry,
    /// Said never to be taken.
    Refuse,
    /// Not said, and not taken.
    Leave,
    /// Taken, and not said.
    Swallow,
}

/// How a call of `send` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In `Ok`.
    Ok,
    /// In an error that passes.
    Transient,
    /// In an error that only an operator can mend.
    Permanent,
    /// Never.
    Stall,
}

impl Script {
    /// A transport that follows this script: first what [`then`](Self::then) was told, and then it
    /// accepts everything.
    pub fn transport(&self) -> Box<dyn Transport> {
        Box::new(Scripted { shared: Arc::clone(&self.0), holds: false })
    }

    /// Adds a call to the script.
    pub fn then(&self, attempt: Attempt) {
        self.inner().attempts.push_back(attempt);
    }

    /// What was taken, in order, duplicates included.
    pub fn taken(&self) -> Vec<Message> {
        self.inner().taken.clone()
    }

    /// The sizes of all batches so far, in messages.
    pub fn batch_sizes(&self) -> Vec<usize> {
        self.inner().sizes.clone()
    }

    /// Makes every call stall, or go on.
    pub fn set_stalled(&self, stalled: bool) {
        self.inner().stalled = stalled;
        self.0.changed.notify_waiters();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Script::transport`].
#[derive(Debug)]
struct Scripted {
    shared: Arc<Shared>,
    holds: bool,
}

impl Scripted {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self, batch: &mut Batch<'_>, index: usize, act: Act) {
        let message = &batch.messages()[index];
        let mut inner = self.inner();
        let act = match act {
            Act::Accept if inner.refused.contains(&message.id()) => Act::Refuse,
            Act::Accept if inner.pushing_back => Act::Retry,
            act => act,
        };
        if matches!(act, Act::Accept | Act::Swallow) {
            inner.taken.push(message.clone());
        }
        drop(inner);
        let verdict = match act {
            Act::Accept => Verdict::Accept,
            Act::Retry => Verdict::Retry(Error::new(ErrorKind::Full, "scripted to be retried")),
            Act::Refuse => Verdict::Refuse(Error::new(ErrorKind::Rejected, "scripted refusal")),
            Act::Leave | Act::Swallow => return,
        };
        batch.settle(index, verdict);
    }
}

#[async_trait]
impl Transport for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let size = batch.messages().len();
        if size == 0 {
            return Ok(());
        }
        let attempt = {
            let mut inner = self.inner();
            if inner.down {
                return Err(Error::new(ErrorKind::Unavailable, "scripted to be down"));
            }
            inner.sizes.push(size);
            inner.attempts.pop_front().unwrap_or(Attempt { acts: Vec::new(), end: End::Ok })
        };
        if !self.holds {
            self.holds = true;
            self.inner().holders += 1;
        }
        loop {
            let changed = self.shared.changed.notified();
            if !self.inner().stalled {
                break;
            }
            changed.await;
        }
        let mut acts = attempt.acts.into_iter();
        for index in 0..size {
            // As a real destination does: others get their turn, and a kill can come in between.
            if index % 64 == 63 {
                tokio::task::yield_now().await;
            }
            if self.inner().down {
                return Err(Error::new(ErrorKind::Unavailable, "scripted to go down"));
            }
            self.act(batch, index, acts.next().unwrap_or(Act::Accept));
        }
        match attempt.end {
            End::Ok => Ok(()),
            End::Transient => Err(Error::new(ErrorKind::Unavailable, "scripted failure")),
            End::Permanent => Err(Error::new(ErrorKind::Access, "scripted refusal of access")),
            End::Stall => std::future::pending().await,
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.release();
        Ok(())
    }
}

impl Scripted {
    fn release(&mut self) {
        if std::mem::take(&mut self.holds) {
            self.inner().holders -= 1;
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.release();
    }
}

/// A script is a destination that can do everything.
#[async_trait]
impl Harness for Script {
    const CANNOT: &'static [(Capability, &'static str)] = &[];

    async fn start() -> Self {
        Self::default()
    }

    fn transport(&self) -> Box<dyn Transport> {
        self.transport()
    }

    async fn received(&mut self) -> Vec<Received> {
        self.taken()
            .iter()
            .map(|message| Received {
                body: message.body().to_vec(),
                metadata: Some(Metadata {
                    message_id: message.id().to_string(),
                    event_type: message.event_type().to_string(),
                    priority: message.priority(),
                }),
            })
            .collect()
    }

    async fn holders(&mut self) -> usize {
        self.inner().holders
    }

    async fn kill(&mut self) {
        self.inner().down = true;
    }

    async fn revive(&mut self) {
        self.inner().down = false;
    }

    async fn stall(&mut self) {
        self.set_stalled(true);
    }

    async fn thaw(&mut self) {
        self.set_stalled(false);
    }

    async fn refusable(&mut self) -> Notification {
        let notification = samples::notification(4_000_000);
        self.inner().refused.insert(notification.message_id);
        notification
    }

    async fn push_back(&mut self) {
        self.inner().pushing_back = true;
    }

    async fn relent(&mut self) {
        self.inner().pushing_back = false;
    }
}

crate::suite!(Script);
