//! One link to one address: sends messages in order, and hears what becomes of each.
//!
//! A pending outcome of fe2o3-amqp never comes when the connection or the session ends, and has no
//! deadline. So whatever is waited for here races the session's end and a timer; the connection's
//! end is raced where all links are.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fe2o3_amqp::Sender;
use fe2o3_amqp::link::SendError;
use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Data, Header, Message as Amqp, MessageId, Outcome, Properties,
};
use fe2o3_amqp::types::primitives::{Binary, Timestamp};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use notify_core::{Error, Message, Verdict};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::config::Config;
use crate::error::{Doing, Site};
use crate::topology::Topology;

/// A link to one address, on a session of its own.
pub(crate) struct Link {
    // Dropped before the session that it is on.
    sender: Sender,
    session: SessionHandle<()>,
    /// What was sent and has no outcome yet, also when the send that waited for it was dropped.
    open: FuturesUnordered<Delivery>,
    /// Whether a message is being written: if we are dropped then, it may be cut in two.
    writing: bool,
    /// Whether it has settled something.
    proven: bool,
    /// When it last did something for us.
    progress: Instant,
}

/// A message that is on its way.
struct Delivery {
    id: Uuid,
    outcome: DeliveryFut<Settled>,
}

/// Why a link is not used any more.
pub(crate) enum Failure {
    Withheld(usize),
    Lost(Error),
}

impl Link {
    pub(crate) fn new(session: SessionHandle<()>, sender: Sender) -> Self {
        Self {
            sender,
            session,
            open: FuturesUnordered::new(),
            writing: false,
            proven: false,
            progress: Instant::now(),
        }
    }

    /// Whether it is worth sending on.
    pub(crate) fn is_usable(&self) -> bool {
        !self.session.is_ended() && !self.writing
    }
}

/// What one link has to do with a batch.
pub(crate) struct Share<'a> {
    pub(crate) address: &'a str,
    pub(crate) messages: &'a [Message],
    pub(crate) config: &'a Config,
    pub(crate) topology: &'a Topology,
    pub(crate) site: &'a Site,
    pub(crate) patience: Duration,
    pub(crate) verdicts: &'a UnboundedSender<(usize, Verdict)>,
}

impl Share<'_> {
    /// Sends the messages `todo`, in order, and waits for their outcomes. Returns whether there was
    /// any.
    pub(crate) async fn send(
        self,
        link: &mut Link,
        mut todo: VecDeque<usize>,
    ) -> Result<bool, Failure> {
        let Link { sender, session, open, writing, proven, progress } = link;
        let waiting = self.adopt(open, &mut todo);
        let mut outcomes =
            Outcomes { share: &self, session, open, proven, progress, waiting, heard: false };
        while let Some(&index) = todo.front() {
            let message = &self.messages[index];
            while !outcomes.have_room_for(message) {
                outcomes.next().await?;
            }
            todo.pop_front();
            outcomes.begin_to_wait();
            *writing = true;
            let sent = {
                let mut sending = pin!(sender.send_batchable(self.encode(message)));
                loop {
                    tokio::select! {
                        biased;
                        sent = &mut sending => break sent,
                        heard = outcomes.next() => heard?,
                    }
                }
            };
            *writing = false;
            match sent {
                Ok(outcome) => outcomes.expect(message.id(), index, outcome),
                Err(SendError::MessageSizeExceeded(sizes)) => {
                    self.settle(index, Verdict::Refuse(self.site.too_large(sizes.max_size)));
                }
                Err(error) => return Err(self.lost(&error)),
            }
        }
        while !outcomes.waiting.is_empty() {
            outcomes.next().await?;
        }
        Ok(outcomes.heard)
    }

    /// Takes out of `todo` what is on its way already, from a send that was dropped. A message is
    /// known by its id.
    fn adopt(
        &self,
        open: &FuturesUnordered<Delivery>,
        todo: &mut VecDeque<usize>,
    ) -> HashMap<Uuid, usize> {
        let sent: HashSet<_> = open.iter().map(|delivery| delivery.id).collect();
        let mut waiting = HashMap::new();
        if !sent.is_empty() {
            todo.retain(|&index| {
                let id = self.messages[index].id();
                let adopted = sent.contains(&id) && !waiting.contains_key(&id);
                if adopted {
                    waiting.insert(id, index);
                }
                !adopted
            });
        }
        waiting
    }

    fn encode(&self, message: &Message) -> Amqp<Data> {
        let body = self.config.envelope.wrap(message).into_owned();
        let milliseconds = message.timestamp().unix_timestamp_nanos() / 1_000_000;
        let properties = Properties::builder()
            .message_id(MessageId::String(message.id().to_string()))
            .subject(self.topology.route(message.priority()).subject.as_str())
            .content_type("application/json")
            .creation_time(i64::try_from(milliseconds).ok().map(Timestamp::from_milliseconds))
            .build();
        let application = ApplicationProperties::builder()
            .insert("event_type", message.event_type().as_str())
            .insert("priority", message.priority().as_str())
            .insert("publisher_id", message.publisher_id())
            .build();
        Amqp::builder()
            .header(Header { durable: true, ..Header::default() })
            .properties(properties)
            .application_properties(application)
            .data(Binary::from(body))
            .build()
    }

    /// What an outcome means; `None` where there is none.
    fn judge(&self, outcome: &Outcome) -> Verdict {
        match outcome {
            Outcome::Accepted(_) => Verdict::Accept,
            Outcome::Rejected(rejected) => {
                Verdict::Refuse(self.site.rejected(rejected.error.as_ref()))
            }
            Outcome::Released(_) => Verdict::Retry(self.site.not_taken("released", self.address)),
            Outcome::Modified(_) => Verdict::Retry(self.site.not_taken("modified", self.address)),
        }
    }

    fn settle(&self, index: usize, verdict: Verdict) {
        // Nobody reads it any more only when nobody waits for us.
        let _ = self.verdicts.send((index, verdict));
    }

    fn lost(&self, error: &SendError) -> Failure {
        Failure::Lost(self.site.link(error, self.address))
    }
}

/// The outcomes that a link is waiting for.
struct Outcomes<'a> {
    share: &'a Share<'a>,
    session: &'a mut SessionHandle<()>,
    open: &'a mut FuturesUnordered<Delivery>,
    proven: &'a mut bool,
    progress: &'a mut Instant,
    /// Which message of the batch each of them is about. The others are about messages that nobody
    /// asks for any more.
    waiting: HashMap<Uuid, usize>,
    heard: bool,
}

impl Outcomes<'_> {
    /// Whether one more may be on its way. As long as the broker has settled nothing on this link,
    /// one is enough: what it keeps waiting is sent again, and may be there twice.
    fn have_room_for(&self, message: &Message) -> bool {
        let window = if *self.proven { self.share.config.window } else { 1 };
        // The same notification twice in one batch: one after the other.
        self.open.len() < window && !self.waiting.contains_key(&message.id())
    }

    fn begin_to_wait(&mut self) {
        if self.open.is_empty() {
            *self.progress = Instant::now();
        }
    }

    fn expect(&mut self, id: Uuid, index: usize, outcome: DeliveryFut<Settled>) {
        self.open.push(Delivery { id, outcome });
        self.waiting.insert(id, index);
    }

    /// Waits for the next outcome, and settles its message.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    async fn next(&mut self) -> Result<(), Failure> {
        let Share { site, address, patience, .. } = self.share;
        let deadline = *self.progress + *patience;
        tokio::select! {
            biased;
            Some((id, outcome)) = self.open.next() => self.hear(id, outcome),
            ended = self.session.on_end() => Err(Failure::Lost(match ended {
                Err(error) => site.ended(&error, Doing::Publish(address)),
                Ok(()) => site.late("ended the session"),
            })),
            () = sleep_until(deadline) => Err(Failure::Withheld(self.open.len())),
        }
    }

    fn hear(&mut self, id: Uuid, outcome: Settled) -> Result<(), Failure> {
        let outcome = outcome.map_err(|error| self.share.lost(&error))?;
        *self.proven = true;
        *self.progress = Instant::now();
        self.heard = true;
        if let Some(index) = self.waiting.remove(&id) {
            self.share.settle(index, self.share.judge(&outcome));
        }
        Ok(())
    }
}

/// How the library reports an outcome.
type Settled = Result<Outcome, SendError>;

impl Future for Delivery {
    type Output = (Uuid, Settled);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.outcome).poll(cx));
        Poll::Ready((self.id, outcome))
    }
}
