//! The broker's answers to publishes: confirms and returned messages.
//!
//! The broker numbers the publishes of a channel in confirm mode from 1 and answers each by its number, the
//! delivery tag. It returns an unroutable message before it confirms it. Both arrive in order, so this module
//! knows at each confirm whether the message was returned.
//!
//! The answers do not reach lapin: [`wire`](crate::wire) takes them out of the stream. lapin would complete a
//! promise for each confirm, and attach a returned message to the confirm that comes next.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, AMQPError, basic, channel, connection};
use lapin::types::ShortString;
use notify_net::guard::Violation;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The answers on one connection, on its latest channel for publishing.
///
/// lapin's thread records them, and one task waits for them.
#[derive(Debug, Default)]
pub(crate) struct PublishAnswers {
    state: Mutex<AnswerState>,
    /// Wakes the task that waits, when the window is complete or has failed.
    changed: Notify,
}

/// The broker's confirm of one publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirm {
    /// `basic.ack`: the broker has routed the message, or returned it before.
    Ack,
    /// `basic.nack`: the broker did not take responsibility.
    Nack,
}

/// A message that the broker returned as unroutable.
#[derive(Debug)]
pub(crate) struct ReturnedMessage {
    pub(crate) code: u16,
    pub(crate) reason: ShortString,
    pub(crate) routing_key: ShortString,
    /// The property `message_id`.
    pub(crate) id: Option<ShortString>,
}

/// The answers to one window of messages.
#[derive(Debug)]
pub(crate) struct WindowAnswers {
    /// The confirm of each message, in order. A missing one means that the window ended early.
    pub(crate) confirms: Vec<Option<Confirm>>,
    /// The returned messages, which the broker confirms as well.
    pub(crate) returned: Vec<ReturnedMessage>,
    /// The error of the channel or the connection that ended the window.
    pub(crate) error: Option<lapin::Error>,
}

#[derive(Debug, Default)]
struct AnswerState {
    channel: u16,
    /// The number of the window's first message.
    first_tag: u64,
    confirms: Vec<Option<Confirm>>,
    /// The number of messages without a confirm.
    missing: usize,
    /// No message before this index lacks a confirm.
    confirmed_until: usize,
    last_confirm: Option<Instant>,
    returned: Vec<ReturnedMessage>,
    /// The returned message whose content is arriving, and its bytes that are still missing.
    incoming: Option<(ReturnedMessage, u64)>,
    channel_error: Option<lapin::Error>,
    connection_error: Option<lapin::Error>,
    has_ended: bool,
}

impl PublishAnswers {
    /// Begins with the first publish of a channel in confirm mode.
    pub(crate) fn begin_channel(&self, channel: u16) {
        let mut state = self.lock();
        let (connection_error, has_ended) = (state.connection_error.take(), state.has_ended);
        *state = AnswerState {
            channel,
            first_tag: 1,
            connection_error,
            has_ended,
            ..Default::default()
        };
    }

    /// Begins a window of `count` messages, which will be published in order.
    pub(crate) fn begin_window(&self, count: usize) {
        let mut state = self.lock();
        state.confirms.clear();
        state.confirms.resize(count, None);
        state.missing = count;
        state.confirmed_until = 0;
        state.last_confirm = None;
    }

    /// Ends the window, and returns its answers so far.
    ///
    /// Only after a complete window may another one follow on the same channel.
    pub(crate) fn end_window(&self) -> WindowAnswers {
        let mut state = self.lock();
        state.first_tag += state.confirms.len() as u64;
        state.missing = 0;
        WindowAnswers {
            confirms: std::mem::take(&mut state.confirms),
            returned: std::mem::take(&mut state.returned),
            error: state.error(),
        }
    }

    /// Returns whether nothing more can be published on the channel.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().has_failed()
    }

    /// Waits until the window is complete or has failed. Returns `false` if no confirm comes for `time`.
    ///
    /// A connection that ended may still tell its reason. The wait for it is short.
    pub(crate) async fn wait(&self, time: Duration) -> bool {
        let start = Instant::now();
        let mut ended_at = None;
        loop {
            let deadline = {
                let state = self.lock();
                if state.missing == 0 || state.error().is_some() {
                    return true;
                }
                if state.has_ended {
                    *ended_at.get_or_insert_with(Instant::now) + REASON_TIMEOUT
                } else {
                    state.last_confirm.map_or(start, |last| last.max(start)) + time
                }
            };
            if Instant::now() >= deadline {
                return ended_at.is_some();
            }
            // An answer since the look at the state has left a permit.
            let _ = timeout_at(deadline, self.changed.notified()).await;
        }
    }

    /// Records the error that ended the connection.
    pub(crate) fn fail(&self, error: lapin::Error) {
        let mut state = self.lock();
        // The broker's own words come first.
        state.connection_error.get_or_insert(error);
        drop(state);
        self.changed.notify_one();
    }

    /// Records that the connection is gone.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_one();
    }

    /// Takes a frame that concerns a publish. Returns whether it is an answer, which lapin must not see.
    ///
    /// Call it only with frames that the guard has checked.
    ///
    /// # Errors
    ///
    /// A violation if the broker confirms a message that was not sent.
    pub(crate) fn take(&self, frame: &[u8]) -> Result<bool, Violation> {
        let [kind, high, low, ..] = *frame else { return Ok(false) };
        let channel = u16::from_be_bytes([high, low]);
        match kind {
            METHOD => {}
            // Only a returned message has content here, because no consumer runs on this connection.
            CONTENT_HEADER | BODY => {
                let mut state = self.lock();
                if channel == state.channel {
                    state.take_content(frame);
                }
                return Ok(true);
            }
            _ => return Ok(false),
        }
        // lapin reports a malformed frame.
        let Ok((_, AMQPFrame::Method(_, method))) = parse_frame(frame) else { return Ok(false) };
        let mut state = self.lock();
        let is_answer = match method {
            AMQPClass::Basic(answer) => {
                // A channel that was replaced has no unconfirmed message.
                if channel == state.channel {
                    state.take_answer(answer)?;
                }
                true
            }
            AMQPClass::Channel(channel::AMQPMethod::Close(close)) if channel == state.channel => {
                state.channel_error = Some(closed(AMQPError::try_from(close)));
                false
            }
            AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
                state.connection_error = Some(closed(AMQPError::try_from(close)));
                false
            }
            _ => return Ok(false),
        };
        let is_over = state.missing == 0 || state.has_failed();
        drop(state);
        // One wake-up for a window, not one for each confirm.
        if is_over {
            self.changed.notify_one();
        }
        Ok(is_answer)
    }

    fn lock(&self) -> MutexGuard<'_, AnswerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnswerState {
    fn has_failed(&self) -> bool {
        self.has_ended || self.channel_error.is_some() || self.connection_error.is_some()
    }

    /// Returns the most informative error: the broker's words say more than an error of the socket.
    fn error(&self) -> Option<lapin::Error> {
        let is_reply =
            |error: &&lapin::Error| matches!(error.kind(), lapin::ErrorKind::ProtocolError(_));
        let connection_error = self.connection_error.as_ref();
        let error = connection_error.filter(is_reply).or(self.channel_error.as_ref());
        error.or(connection_error).cloned()
    }

    /// Records a method of the class `basic`.
    fn take_answer(&mut self, answer: basic::AMQPMethod) -> Result<(), Violation> {
        match answer {
            basic::AMQPMethod::Ack(ack) => {
                self.confirm(ack.delivery_tag, ack.multiple, Confirm::Ack)
            }
            basic::AMQPMethod::Nack(nack) => {
                self.confirm(nack.delivery_tag, nack.multiple, Confirm::Nack)
            }
            basic::AMQPMethod::Return(returned) => {
                let message = ReturnedMessage {
                    code: returned.reply_code,
                    reason: returned.reply_text,
                    routing_key: returned.routing_key,
                    id: None,
                };
                self.incoming = Some((message, 0));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Records the confirm of one message, or of all up to `tag`.
    fn confirm(&mut self, tag: u64, multiple: bool, confirm: Confirm) -> Result<(), Violation> {
        let sent = self.confirms.len() as u64;
        let count = match (tag, multiple) {
            // All that were published (section 1.8.3.13 of the reference).
            (0, true) => sent,
            _ => tag.saturating_add(1).saturating_sub(self.first_tag),
        };
        if count > sent {
            return Err(Violation::Frame("confirmed a message that was not sent"));
        }
        // Zero is a message of an earlier window, which has its verdict.
        let Some(last) = usize::try_from(count).ok().and_then(|count| count.checked_sub(1)) else {
            return Ok(());
        };
        let first = if multiple { self.confirmed_until.min(last) } else { last };
        for slot in &mut self.confirms[first..=last] {
            if slot.is_none() {
                *slot = Some(confirm);
                self.missing -= 1;
            }
        }
        if multiple || last == self.confirmed_until {
            self.confirmed_until = self.confirmed_until.max(last + 1);
        }
        self.last_confirm = Some(Instant::now());
        Ok(())
    }

    /// Records a part of a returned message's content: its header, or a part of its body.
    fn take_content(&mut self, frame: &[u8]) {
        let Some((mut message, mut rest)) = self.incoming.take() else { return };
        if frame.first() == Some(&BODY) {
            rest = rest.saturating_sub(frame.len().saturating_sub(FRAME_OVERHEAD) as u64);
        } else if let Ok((_, AMQPFrame::Header(_, header))) = parse_frame(frame) {
            message.id.clone_from(header.properties.message_id());
            rest = header.body_size;
        }
        if rest > 0 {
            self.incoming = Some((message, rest));
        } else {
            self.returned.push(message);
        }
    }
}

/// Returns lapin's error for a method that closes a channel or a connection.
fn closed(reply: Result<AMQPError, impl Sized>) -> lapin::Error {
    match reply {
        Ok(reply) => lapin::ErrorKind::ProtocolError(reply).into(),
        // The reply code is none of an error.
        Err(_) => lapin::ErrorKind::InvalidConnectionState(lapin::ConnectionState::Closed).into(),
    }
}

/// The types of frames (AMQP 0-9-1, section 4.2.3).
const METHOD: u8 = 1;
const CONTENT_HEADER: u8 = 2;
const BODY: u8 = 3;
/// The bytes of a frame beside its payload.
const FRAME_OVERHEAD: usize = 8;
/// The time for lapin to tell why a connection ended.
const REASON_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use amq_protocol::frame::{AMQPContentHeader, gen_frame};
    use lapin::BasicProperties;

    use super::*;

    /// Encodes a frame.
    fn encode(frame: &AMQPFrame) -> Vec<u8> {
        gen_frame(frame)(Vec::new().into()).unwrap().into_inner().0
    }

    /// Encodes a method of the class `basic`.
    fn method(channel: u16, method: basic::AMQPMethod) -> Vec<u8> {
        encode(&AMQPFrame::Method(channel, AMQPClass::Basic(method)))
    }

    fn ack(delivery_tag: u64, multiple: bool) -> Vec<u8> {
        method(CHANNEL, basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }))
    }

    fn nack(delivery_tag: u64, multiple: bool) -> Vec<u8> {
        let nack = basic::Nack { delivery_tag, multiple, requeue: false };
        method(CHANNEL, basic::AMQPMethod::Nack(nack))
    }

    /// Encodes a returned message with a body of `parts` frames of 10 bytes.
    fn returned(id: Option<&str>, parts: u64) -> Vec<Vec<u8>> {
        let text = |text: &str| ShortString::from(text);
        let returned = basic::Return {
            reply_code: 312,
            reply_text: text("NO_ROUTE"),
            exchange: text("glance"),
            routing_key: text("notifications.info"),
        };
        let mut properties = BasicProperties::default();
        if let Some(id) = id {
            properties = properties.with_message_id(text(id));
        }
        let header = AMQPContentHeader { class_id: 60, body_size: parts * 10, properties };
        let mut frames = vec![
            method(CHANNEL, basic::AMQPMethod::Return(returned)),
            encode(&AMQPFrame::Header(CHANNEL, header)),
        ];
        frames.extend((0..parts).map(|_| encode(&AMQPFrame::Body(CHANNEL, vec![0; 10]))));
        frames
    }

    /// Creates the answers of a window.
    fn window(count: usize) -> PublishAnswers {
        let answers = PublishAnswers::default();
        answers.begin_channel(CHANNEL);
        answers.begin_window(count);
        answers
    }

    /// Takes answers. None of them may reach lapin.
    fn take(answers: &PublishAnswers, frames: &[Vec<u8>]) {
        for frame in frames {
            assert_eq!(answers.take(frame), Ok(true), "{frame:?}");
        }
    }

    /// Returns the confirms as letters.
    fn letters(window: &WindowAnswers) -> String {
        let letter = |confirm: &Option<Confirm>| match confirm {
            Some(Confirm::Ack) => 'a',
            Some(Confirm::Nack) => 'n',
            None => '-',
        };
        window.confirms.iter().map(letter).collect()
    }

    /// Each confirm counts for its message, or for all until then that have none, in every order.
    #[test]
    fn each_confirm_counts_for_its_messages() {
        for (frames, expected) in [
            (vec![ack(1, false), ack(2, false), nack(3, false)], "aan---"),
            (vec![ack(3, false), nack(4, true)], "nnan--"),
            (vec![ack(6, false), ack(4, false), nack(5, true)], "nnnana"),
            (vec![ack(2, true), nack(4, true), ack(6, true)], "aannaa"),
            (vec![nack(2, true), ack(0, true)], "nnaaaa"),
            // A second confirm changes nothing.
            (vec![ack(1, false), nack(1, false), nack(1, true)], "a-----"),
        ] {
            let answers = window(6);
            take(&answers, &frames);
            let is_complete = answers.lock().missing == 0;
            let window = answers.end_window();
            assert_eq!(letters(&window), expected);
            assert_eq!(is_complete, !expected.contains('-'));
        }
    }

    /// The numbers go on with the next window, and begin again with the next channel.
    #[test]
    fn the_numbers_belong_to_the_channel() {
        let answers = window(3);
        take(&answers, &[ack(3, true)]);
        assert_eq!(letters(&answers.end_window()), "aaa");
        answers.begin_window(2);
        // A confirm of the earlier window, which the broker repeats.
        take(&answers, &[nack(2, false), ack(5, false)]);
        assert_eq!(letters(&answers.end_window()), "-a");

        answers.begin_channel(CHANNEL + 1);
        answers.begin_window(1);
        let of_old_channel = ack(1, false);
        take(&answers, &[of_old_channel]);
        assert_eq!(letters(&answers.end_window()), "-");
    }

    /// The broker cannot confirm a message that it was not sent.
    #[test]
    fn a_confirm_without_a_message_is_a_violation() {
        for frame in [ack(4, false), nack(4, true), ack(u64::MAX, true), ack(u64::MAX, false)] {
            let expected = Violation::Frame("confirmed a message that was not sent");
            assert_eq!(window(3).take(&frame), Err(expected));
        }
        assert!(PublishAnswers::default().take(&ack(1, false)).is_ok(), "no channel publishes");
    }

    /// A returned message is complete with the last part of its body. It needs no id, and no body.
    #[test]
    fn a_returned_message_ends_with_its_body() {
        for (id, parts) in [(Some("a"), 0), (Some("b"), 1), (None, 3)] {
            let answers = window(1);
            let frames = returned(id, parts);
            take(&answers, &frames[..frames.len() - 1]);
            assert!(answers.lock().returned.is_empty());
            take(&answers, &frames[frames.len() - 1..]);
            take(&answers, &[ack(1, false)]);
            let window = answers.end_window();
            let [message] = &window.returned[..] else { panic!("{window:?}") };
            assert_eq!(message.id.as_ref().map(ShortString::as_str), id);
            assert_eq!((message.code, message.reason.as_str()), (312, "NO_ROUTE"));
            assert_eq!(message.routing_key.as_str(), "notifications.info");
            assert_eq!(letters(&window), "a");
        }
    }

    /// lapin also sees the end of a channel and of the connection. The broker's words are the reason, whatever
    /// else is reported.
    #[tokio::test(start_paused = true)]
    async fn the_reply_of_the_broker_is_the_reason() {
        let of_channel = AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
            reply_code: 406,
            reply_text: "PRECONDITION_FAILED - size".into(),
            class_id: 60,
            method_id: 40,
        }));
        let of_connection =
            AMQPClass::Connection(connection::AMQPMethod::Close(connection::Close {
                reply_code: 320,
                reply_text: "CONNECTION_FORCED - shutdown".into(),
                class_id: 0,
                method_id: 0,
            }));
        for (channel, close, code) in [(CHANNEL, of_channel, 406), (0, of_connection, 320)] {
            let answers = window(2);
            take(&answers, &[ack(1, false)]);
            assert!(!answers.has_failed());
            assert_eq!(answers.take(&encode(&AMQPFrame::Method(channel, close))), Ok(false));
            answers.fail(lapin::ErrorKind::MissingHeartbeatError.into());
            answers.end();
            assert!(answers.has_failed() && answers.wait(TIMEOUT).await);
            let window = answers.end_window();
            assert_eq!(letters(&window), "a-");
            let error = window.error.unwrap();
            let lapin::ErrorKind::ProtocolError(reply) = error.kind() else { panic!("{error}") };
            assert_eq!(reply.get_id(), code);
        }
    }

    /// The reason of a lost connection may come a little later, or never.
    #[tokio::test(start_paused = true)]
    async fn waits_for_the_reason_of_a_lost_connection() {
        let answers = window(1);
        answers.end();
        let fail = async {
            tokio::time::sleep(REASON_TIMEOUT / 2).await;
            answers.fail(lapin::ErrorKind::MissingHeartbeatError.into());
        };
        assert!(tokio::join!(answers.wait(TIMEOUT), fail).0);
        assert!(answers.end_window().error.is_some());

        let answers = window(1);
        answers.end();
        let start = Instant::now();
        assert!(answers.wait(TIMEOUT).await);
        assert_eq!(start.elapsed(), REASON_TIMEOUT);
        assert!(answers.end_window().error.is_none());
    }

    /// The timeout counts from the last confirm, or from the begin of the wait. A wait may take several timeouts, as
    /// long as each has a confirm, in whatever order they come.
    #[tokio::test(start_paused = true)]
    async fn the_timeout_counts_from_the_last_confirm() {
        for confirms in [
            &[][..],
            &[(5, 1)],
            &[(5, 3), (7999, 1)],
            &[(7900, 2), (15_800, 1), (23_700, 3)],
            &[(7900, 1), (15_800, 3), (23_700, 2)],
        ] {
            let answers = window(4);
            let start = Instant::now();
            let confirm = async {
                for &(millis, tag) in confirms {
                    tokio::time::sleep_until(start + Duration::from_millis(millis)).await;
                    take(&answers, &[ack(tag, false)]);
                }
            };
            assert!(!tokio::join!(answers.wait(TIMEOUT), confirm).0);
            let last = confirms.last().map_or(0, |&(millis, _)| millis);
            assert_eq!(start.elapsed(), Duration::from_millis(last) + TIMEOUT, "{confirms:?}");
        }
    }

    const CHANNEL: u16 = 3;
    /// The timeout of each wait.
    const TIMEOUT: Duration = Duration::from_secs(8);
}
