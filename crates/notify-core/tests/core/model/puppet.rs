//! A transport that does one thing at a time, each when it is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use notify_core::{Batch, Error, ErrorKind, EventType, Message, Result, Transport, Verdict};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

/// What the transport does next in the attempt that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Does `Act` with the message at this place.
    Do(usize, Act),
    /// Does it with all that have no verdict, at once.
    DoRest(Act),
    /// Returns.
    End(End),
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Accept,
    Retry,
    Refuse,
    /// Takes it and does not say so.
    Swallow,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Ok,
    Transient,
    Permanent,
}

/// The strings of the puppet, and what was seen of it.
#[derive(Debug)]
pub(crate) struct Strings {
    /// `None`: it accepts everything from now on.
    orders: Option<UnboundedSender<Order>>,
    stage: Arc<Mutex<Stage>>,
}

#[derive(Debug, Default)]
struct Stage {
    offered: Option<Vec<Uuid>>,
    taken: Vec<Uuid>,
    closed: bool,
}

pub(crate) fn puppet() -> (Box<dyn Transport>, Strings) {
    let (sender, orders) = unbounded_channel();
    let stage = Arc::default();
    let strings = Strings { orders: Some(sender), stage: Arc::clone(&stage) };
    (Box::new(Puppet { orders, stage }), strings)
}

impl Strings {
    pub(crate) fn order(&self, order: Order) {
        self.orders.as_ref().unwrap().send(order).unwrap();
    }

    /// Makes it accept everything from now on.
    pub(crate) fn release(&mut self) {
        self.orders = None;
    }

    /// The batch of the attempt that is under way.
    pub(crate) fn offered(&self) -> Option<Vec<Uuid>> {
        lock(&self.stage).offered.clone()
    }

    /// What it took, in order, duplicates included.
    pub(crate) fn taken(&self) -> Vec<Uuid> {
        lock(&self.stage).taken.clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.stage).closed
    }
}

#[derive(Debug)]
struct Puppet {
    orders: UnboundedReceiver<Order>,
    stage: Arc<Mutex<Stage>>,
}

#[async_trait]
impl Transport for Puppet {
    fn name(&self) -> &'static str {
        "puppet"
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        assert!(!batch.messages().is_empty(), "an empty batch is not worth a call");
        lock(&self.stage).offered = Some(batch.messages().iter().map(Message::id).collect());
        let _on_stage = OnStage(Arc::clone(&self.stage));
        loop {
            match self.orders.recv().await {
                Some(Order::Do(index, act)) => self.act(batch, Some(index), act),
                Some(Order::DoRest(act)) => self.act(batch, None, act),
                Some(Order::End(End::Ok)) => return Ok(()),
                Some(Order::End(End::Transient)) => {
                    return Err(Error::new(ErrorKind::Unavailable, "told to fail"));
                }
                Some(Order::End(End::Permanent)) => {
                    return Err(Error::new(ErrorKind::Access, "told to refuse access"));
                }
                None => {
                    self.act(batch, None, Act::Accept);
                    return Ok(());
                }
            }
        }
    }

    async fn close(&mut self) -> Result<()> {
        lock(&self.stage).closed = true;
        Ok(())
    }
}

impl Puppet {
    /// Does `act` with one message, or with all that have no verdict.
    fn act(&self, batch: &mut Batch<'_>, index: Option<usize>, act: Act) {
        if matches!(act, Act::Accept | Act::Swallow) {
            let acted_on = batch.unsettled().filter(|at| index.is_none_or(|index| index == *at));
            lock(&self.stage).taken.extend(acted_on.map(|at| batch.messages()[at].id()));
        }
        let verdict = match act {
            Act::Accept => Verdict::Accept,
            Act::Retry => Verdict::Retry(Error::new(ErrorKind::Full, "told to push back")),
            Act::Refuse => Verdict::Refuse(Error::new(ErrorKind::Rejected, "told to refuse")),
            Act::Swallow => return,
        };
        match index {
            Some(index) => batch.settle(index, verdict),
            None => batch.settle_rest(&verdict),
        }
    }
}

/// Clears the stage when an attempt ends or is dropped.
struct OnStage(Arc<Mutex<Stage>>);

impl Drop for OnStage {
    fn drop(&mut self) {
        lock(&self.0).offered = None;
    }
}

fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}
