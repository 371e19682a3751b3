//! A link to one address: sends messages in order and receives the outcome of each.
//!
//! In fe2o3-amqp, a pending outcome has no deadline, and it never resolves after the connection or
//! the session has ended. So every wait in this module races the end of the session and a timer. The
//! module `publish` races the end of the connection, for all links at once.
//!
//! # Windows
//!
//! A link starts with a window of one message. When the broker has settled that message, the window
//! is `qpid.window`. So a broker that accepts connections and settles nothing, as qpidd does while a
//! queue is full, holds one copy per attempt instead of a whole window.
//!
//! # Dropped sends
//!
//! The worker drops a `send` that takes too long. The deliveries in flight stay in the [`Link`]. The
//! next transfer recognises their messages by id, and waits for the outcomes that the broker still
//! owes. A link that was dropped in a wait for credit, or in the middle of a write, then ends: the peer
//! may have half a message.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fe2o3_amqp::Sender;
use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::link::{DetachError, LinkStateError, SendError};
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Data, Header, Message as AmqpMessage, MessageId, Outcome, Properties,
};
use fe2o3_amqp::types::primitives::{Binary, Timestamp};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use notify_core::codec::HeaderValue;
use notify_core::transport::BrokerCounters;
use notify_core::{Error, Message};
use notify_net::{BrokerAnswer, Judge};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use uuid::Uuid;

use crate::config::Config;
use crate::error::{ErrorContext, Operation};
use crate::rejection::rejection_meaning;
use crate::topology::Topology;

/// A link to one address, on a session of its own.
pub(crate) struct Link {
    /// Declared before the session, so that it is dropped before the session.
    sender: Sender,
    /// The session, which carries this link only.
    session: SessionHandle<()>,
    /// The deliveries without an outcome, including those of a `send` that was dropped.
    pending: FuturesUnordered<PendingDelivery>,
    /// Whether the link is writing a message. If the send is dropped meanwhile, the message may be
    /// incomplete on the wire.
    is_writing: bool,
    /// Whether the broker has settled a message on this link.
    has_settled: bool,
    /// The time of the last outcome, or of the first message after an idle time.
    last_progress: Instant,
    /// Whether the broker reports that its node is not durable.
    pub(crate) is_transient: bool,
}

/// A sent message and the future of its outcome.
struct PendingDelivery {
    /// The message id.
    id: Uuid,
    /// The time at which the transport began to send it.
    sent_at: Instant,
    /// The client's future of the outcome.
    outcome: DeliveryFut<OutcomeResult>,
}

/// The reason why a link is unusable.
pub(crate) enum LinkFailure {
    /// The broker settled nothing in time. Holds the number of unsettled messages.
    Backlog(usize),
    /// The link ended.
    Lost(Error),
    /// The session or its connection ended. [`Link::session_error`] returns the reason.
    SessionEnded,
}

impl Link {
    /// Creates a link from a sender that is attached on `session` to a node, which `is_transient` if the
    /// broker reports it as not durable.
    pub(crate) fn new(session: SessionHandle<()>, sender: Sender, is_transient: bool) -> Self {
        Self {
            sender,
            session,
            pending: FuturesUnordered::new(),
            is_writing: false,
            has_settled: false,
            last_progress: Instant::now(),
            is_transient,
        }
    }

    /// Checks whether the link can send, or owes outcomes: its session is there, and the broker has not detached
    /// it. Brokers detach links that are idle.
    ///
    /// A link with a message that may be half written sends nothing more. Without outcomes to wait for, it is
    /// unusable.
    pub(crate) fn is_usable(&mut self) -> bool {
        !self.session.is_ended()
            && (!self.is_writing || self.has_pending())
            && self.sender.on_detach().now_or_never().is_none()
    }

    /// Returns whether a message has no outcome yet.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns the error that ended the session of this link to `address`.
    ///
    /// Asks the client's link, because its session forgets the broker's condition if messages were waiting
    /// for the session in that moment.
    pub(crate) async fn session_error(mut self, context: &ErrorContext, address: &str) -> Error {
        match timeout(REASON_TIMEOUT, self.sender.on_detach()).await {
            Ok(DetachError::SessionStopped(reason)) => {
                context.session_stop_error(&reason, Operation::Publish(address))
            }
            _ => context.unavailable_error("ended the session"),
        }
    }
}

/// The part of one batch that one link transfers.
pub(crate) struct LinkTransfer<'a> {
    /// The target address, for errors.
    pub(crate) address: &'a str,
    /// All messages of the batch, including those of other links.
    pub(crate) messages: &'a [Message],
    /// The window and the envelope.
    pub(crate) config: &'a Config,
    /// The subjects of the priorities.
    pub(crate) topology: &'a Topology,
    /// The host and the user, for errors.
    pub(crate) context: &'a ErrorContext,
    /// The longest time without an outcome while messages are unsettled.
    pub(crate) timeout: Duration,
    pub(crate) counters: &'a Arc<BrokerCounters>,
    /// The channel for the answers, with the index of each message in the batch.
    pub(crate) answers: &'a UnboundedSender<(usize, Answer)>,
}

/// The broker's answer for one message: its meaning, and the reason unless the message is taken.
pub(crate) type Answer = (BrokerAnswer, Option<Error>);

impl LinkTransfer<'_> {
    /// Sends the messages at `indices` in order and waits for their outcomes.
    ///
    /// Returns whether the broker settled any message.
    ///
    /// # Errors
    ///
    /// The reason why the link is unusable. Every outcome that came before it counts. The messages without
    /// a verdict may have arrived.
    ///
    /// # Cancel safety
    ///
    /// If you drop the future, the link keeps its pending deliveries. The next transfer waits for
    /// their outcomes instead of sending the messages again. If the future waited for credit, or a message was
    /// half written, that transfer then ends the link, and the one after it sends the rest over a new link.
    pub(crate) async fn run(
        self,
        link: &mut Link,
        mut indices: VecDeque<usize>,
    ) -> Result<bool, LinkFailure> {
        let Link { sender, session, pending, is_writing, has_settled, last_progress, .. } = link;
        let waiting = self.take_over_pending(pending, &mut indices);
        // A dropped send may have waited for credit with nothing written, or have left half a message.
        let is_over = *is_writing && !indices.is_empty();
        if is_over {
            indices.clear();
        }
        let mut outcomes = OutcomeReceiver {
            transfer: &self,
            session,
            pending,
            has_settled,
            last_progress,
            waiting,
            any_received: false,
        };
        let sent = self.send_all(sender, is_writing, &mut outcomes, indices).await;
        if sent.is_err() {
            outcomes.record_arrived();
        }
        sent?;
        if is_over {
            let error = self.context.unavailable_error("took too long to take a message");
            return Err(LinkFailure::Lost(error));
        }
        Ok(outcomes.any_received)
    }

    /// Sends the messages at `indices` in order and waits for their outcomes.
    ///
    /// # Errors
    ///
    /// The reason why the link is unusable. `outcomes` may then hold outcomes that it has not recorded.
    async fn send_all(
        &self,
        sender: &mut Sender,
        is_writing: &mut bool,
        outcomes: &mut OutcomeReceiver<'_>,
        mut indices: VecDeque<usize>,
    ) -> Result<(), LinkFailure> {
        while let Some(&index) = indices.front() {
            let message = &self.messages[index];
            while !outcomes.has_room_for(message) {
                outcomes.receive_one_or_detach(sender).await?;
            }
            indices.pop_front();
            outcomes.start_timeout_if_idle();
            *is_writing = true;
            let sent_at = Instant::now();
            let sent = {
                let mut sending = pin!(sender.send_batchable(self.encode(message)));
                let mut blocked = pin!(self.blocked_after_a_while());
                loop {
                    tokio::select! {
                        biased;
                        sent = &mut sending => break sent,
                        received = outcomes.receive_one() => received?,
                        never = &mut blocked => match never {},
                    }
                }
            };
            *is_writing = false;
            match sent {
                Ok(outcome) => outcomes.add(message.id(), index, sent_at, outcome),
                Err(SendError::MessageSizeExceeded(sizes)) => {
                    let error = Judge::too_large(&self.context.host, sizes.max_size);
                    self.answer(index, (BrokerAnswer::Invalid, Some(error)));
                }
                Err(error) => return Err(self.link_lost(&error)),
            }
        }
        while !outcomes.waiting.is_empty() {
            outcomes.receive_one_or_detach(sender).await?;
        }
        Ok(())
    }

    /// Counts the time from now on as blocked, once [`BLOCKED_AFTER`] has passed. Ends when it is dropped.
    async fn blocked_after_a_while(&self) -> Infallible {
        sleep(BLOCKED_AFTER).await;
        let _block = self.counters.block();
        std::future::pending().await
    }

    /// Removes from `indices` the messages that an earlier, dropped send has already sent, and
    /// returns them. The message id identifies a message.
    fn take_over_pending(
        &self,
        pending: &FuturesUnordered<PendingDelivery>,
        indices: &mut VecDeque<usize>,
    ) -> HashMap<Uuid, usize> {
        let sent: HashSet<_> = pending.iter().map(|delivery| delivery.id).collect();
        let mut waiting = HashMap::new();
        if !sent.is_empty() {
            indices.retain(|&index| {
                let id = self.messages[index].id();
                let is_pending = sent.contains(&id) && !waiting.contains_key(&id);
                if is_pending {
                    waiting.insert(id, index);
                }
                !is_pending
            });
        }
        waiting
    }

    /// Encodes a message as AMQP 1.0: header, properties, application properties and one data
    /// section. `docs/brokers.md` specifies them.
    fn encode(&self, message: &Message) -> AmqpMessage<Data> {
        let body = self.config.envelope.wrap(message).into_owned();
        let milliseconds = message.timestamp().unix_timestamp_nanos() / 1_000_000;
        let properties = Properties::builder()
            .message_id(MessageId::String(message.id().to_string()))
            .subject(self.topology.route(message.priority()).subject.as_str())
            .content_type(self.config.envelope.content_type())
            .creation_time(i64::try_from(milliseconds).ok().map(Timestamp::from_milliseconds))
            .build();
        let application = ApplicationProperties::builder()
            .insert("event_type", message.event_type().as_str())
            .insert("priority", message.priority().as_str())
            .insert("publisher_id", message.publisher_id());
        let application =
            message.headers().fold(application, |properties, (name, value)| match value {
                HeaderValue::Text(text) => properties.insert(name, text.into_owned()),
                HeaderValue::Number(number) => properties.insert(name, number),
            });
        let attributes = self.config.envelope.attributes(message);
        let application = attributes.fold(application, |properties, (name, value)| {
            properties.insert(format!("{CLOUD_EVENTS_PREFIX}{name}"), value.into_owned())
        });
        AmqpMessage::builder()
            .header(Header { durable: true, ..Header::default() })
            .properties(properties)
            .application_properties(application.build())
            .data(Binary::from(body))
            .build()
    }

    /// Returns the meaning of the broker's outcome (AMQP 1.0, section 3.4).
    fn meaning(&self, outcome: &Outcome) -> Answer {
        match outcome {
            Outcome::Accepted(_) => (BrokerAnswer::Taken, None),
            Outcome::Rejected(rejected) => {
                let error = rejected.error.as_ref();
                let meaning = rejection_meaning(error, self.topology.dialect);
                (meaning, Some(self.context.rejected(error, meaning, self.address)))
            }
            Outcome::Released(_) => {
                (BrokerAnswer::Busy, Some(self.context.not_accepted("released", self.address)))
            }
            Outcome::Modified(_) => {
                (BrokerAnswer::Busy, Some(self.context.not_accepted("modified", self.address)))
            }
        }
    }

    /// Passes an answer to the function that joins all links, which owns the batch.
    fn answer(&self, index: usize, answer: Answer) {
        // The receiver is gone only if the whole publish was dropped.
        let _ = self.answers.send((index, answer));
    }

    /// Converts the error that a send or an outcome reported.
    fn link_lost(&self, error: &SendError) -> LinkFailure {
        LinkFailure::Lost(self.context.send_error(error, self.address))
    }
}

/// The receiver of the outcomes of one transfer.
struct OutcomeReceiver<'a> {
    /// The transfer that the outcomes belong to.
    transfer: &'a LinkTransfer<'a>,
    /// The fields of the [`Link`], borrowed apart from its sender.
    session: &'a mut SessionHandle<()>,
    pending: &'a mut FuturesUnordered<PendingDelivery>,
    has_settled: &'a mut bool,
    last_progress: &'a mut Instant,
    /// The index in the batch of each pending message. A pending delivery that is not in here
    /// belongs to an earlier batch.
    waiting: HashMap<Uuid, usize>,
    /// Whether an outcome has come during this transfer.
    any_received: bool,
}

impl OutcomeReceiver<'_> {
    /// Checks whether one more message may be in flight.
    ///
    /// Until the broker has settled a message on this link, the window is 1: a broker that withholds
    /// the outcome gets the message again later, so one message costs one copy at most.
    fn has_room_for(&self, message: &Message) -> bool {
        let window = if *self.has_settled { self.transfer.config.window } else { 1 };
        // A batch may hold the same notification twice. Outcomes are matched by id, so its copies go
        // out one after the other.
        self.pending.len() < window && !self.waiting.contains_key(&message.id())
    }

    /// Starts the timeout anew if nothing is in flight.
    fn start_timeout_if_idle(&mut self) {
        if self.pending.is_empty() {
            *self.last_progress = Instant::now();
        }
    }

    /// Adds a message that was just sent.
    fn add(
        &mut self,
        id: Uuid,
        index: usize,
        sent_at: Instant,
        outcome: DeliveryFut<OutcomeResult>,
    ) {
        self.pending.push(PendingDelivery { id, sent_at, outcome });
        self.waiting.insert(id, index);
    }

    /// Waits for the next outcome and settles its message.
    ///
    /// # Errors
    ///
    /// The failure of the link: its session ended, or no outcome came within the timeout.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no outcome.
    async fn receive_one(&mut self) -> Result<(), LinkFailure> {
        let deadline = *self.last_progress + self.transfer.timeout;
        tokio::select! {
            biased;
            Some((id, sent_at, outcome)) = self.pending.next() => {
                self.record(id, sent_at, outcome)
            }
            _ = self.session.on_end() => Err(LinkFailure::SessionEnded),
            () = sleep_until(deadline) => Err(LinkFailure::Backlog(self.pending.len())),
        }
    }

    /// Waits for the next outcome as [`receive_one`](Self::receive_one) does, and for a detach of `sender`. A
    /// send notices a detach by itself, so this is for the waits between sends.
    ///
    /// The client ends the pending deliveries of a link that the broker closes. If the broker only detaches it,
    /// they stay pending.
    ///
    /// # Errors
    ///
    /// Those of [`receive_one`](Self::receive_one), and the error of the detach.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no outcome and no detach.
    async fn receive_one_or_detach(&mut self, sender: &mut Sender) -> Result<(), LinkFailure> {
        tokio::select! {
            biased;
            received = self.receive_one() => received,
            reason = sender.on_detach() => {
                let error = SendError::from(LinkStateError::from(reason));
                Err(self.transfer.link_lost(&error))
            }
        }
    }

    /// Records the outcomes that have arrived, without a wait. Call it after the link has failed, because
    /// a message whose outcome is lost goes out again.
    fn record_arrived(&mut self) {
        // A task that has used up its budget sees no outcome, so this loop runs without a budget.
        while let Some(Some((id, sent_at, outcome))) =
            unconstrained(self.pending.next()).now_or_never()
        {
            // The failure of the link is known, so the error of a delivery adds nothing.
            let _ = self.record(id, sent_at, outcome);
        }
    }

    /// Records an outcome, and settles the message if it belongs to this batch.
    fn record(
        &mut self,
        id: Uuid,
        sent_at: Instant,
        outcome: OutcomeResult,
    ) -> Result<(), LinkFailure> {
        let outcome = outcome.map_err(|error| self.transfer.link_lost(&error))?;
        let LinkTransfer { counters, .. } = self.transfer;
        *self.has_settled = true;
        *self.last_progress = Instant::now();
        self.any_received = true;
        counters.record_confirms(1, *self.last_progress - sent_at);
        let answer = self.transfer.meaning(&outcome);
        match answer.0 {
            BrokerAnswer::Taken => {}
            BrokerAnswer::Unroutable => counters.add_returns(1),
            _ => counters.add_nacks(1),
        }
        if let Some(index) = self.waiting.remove(&id) {
            self.transfer.answer(index, answer);
        }
        Ok(())
    }
}

/// The form in which fe2o3-amqp reports an outcome.
type OutcomeResult = Result<Outcome, SendError>;

/// Resolves to the message id, the time of the send and the outcome.
impl Future for PendingDelivery {
    type Output = (Uuid, Instant, OutcomeResult);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.outcome).poll(cx));
        Poll::Ready((self.id, self.sent_at, outcome))
    }
}

/// The longest wait for the client to stop a link after its session. It does so at once.
const REASON_TIMEOUT: Duration = Duration::from_secs(1);

/// The wait for credit from which the broker holds messages back. A shorter one is ordinary flow control.
const BLOCKED_AFTER: Duration = Duration::from_millis(10);

/// The prefix of the attributes of CloudEvents as application properties. The AMQP binding prefers the
/// underscore to a colon, which selectors of JMS cannot name.
const CLOUD_EVENTS_PREFIX: &str = "cloudEvents_";
