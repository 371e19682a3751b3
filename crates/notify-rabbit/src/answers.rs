//! The broker's answers to publishes: confirms and returned messages.
//!
//! The broker numbers the publishes of a channel in confirm mode from 1 and answers each by its number, the
//! delivery tag. It returns an unroutable message before it confirms it. Both arrive in order, so this module
//! knows at each confirm whether the message was returned.
//!
//! The answers do not reach lapin: [`wire`](crate::wire) takes them out of the stream. lapin would complete a
//! promise for each confirm, and attach a returned message to the confirm that comes next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amq_protocol::protocol::basic;
use lapin::ChannelStatus;
use lapin::types::ShortString;
use notify_net::guard::Violation;
use tokio::time::{Instant, timeout_at};

use crate::channel_watch::{ChannelFate, ChannelWatch};
use crate::content::{INCOMPLETE, MessageContent};
use crate::wire::MessageFrames;

/// The answers on one connection, on its latest channel for publishing.
///
/// lapin's thread records them, and one task waits for them.
#[derive(Debug, Default)]
pub(crate) struct PublishAnswers {
    state: Mutex<AnswerState>,
    watch: Arc<ChannelWatch>,
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
    /// The number of messages that are sent, or about to be.
    sent: usize,
    /// The number of messages without a confirm.
    missing: usize,
    /// No message before this index lacks a confirm.
    confirmed_until: usize,
    last_confirm: Option<Instant>,
    returned: Vec<ReturnedMessage>,
    /// The returned message whose content is arriving.
    incoming: Option<(ReturnedMessage, MessageContent)>,
}

impl PublishAnswers {
    /// Begins with the first publish of a channel in confirm mode.
    pub(crate) fn begin_channel(&self, channel: u16, status: Option<ChannelStatus>) {
        *self.lock() = AnswerState { channel, first_tag: 1, ..AnswerState::default() };
        self.watch.begin(channel, status);
    }

    /// Begins a window of `count` messages, which will be published in order.
    pub(crate) fn begin_window(&self, count: usize) {
        let mut state = self.lock();
        state.confirms.clear();
        state.confirms.resize(count, None);
        state.sent = 0;
        state.missing = count;
        state.confirmed_until = 0;
        state.last_confirm = None;
    }

    /// Records that the first `count` messages of the window are about to be sent.
    pub(crate) fn begin_send(&self, count: usize) {
        self.lock().sent = count;
    }

    /// Records that no more messages of the window will be sent, so that no answer to them is awaited.
    pub(crate) fn end_send(&self) {
        let mut state = self.lock();
        state.missing = state.confirms[..state.sent].iter().filter(|slot| slot.is_none()).count();
    }

    /// Ends the window, and returns its answers so far.
    ///
    /// Only after a complete window may another one follow on the same channel.
    pub(crate) fn end_window(&self) -> WindowAnswers {
        let mut state = self.lock();
        state.first_tag += state.confirms.len() as u64;
        (state.sent, state.missing) = (0, 0);
        WindowAnswers {
            confirms: std::mem::take(&mut state.confirms),
            returned: std::mem::take(&mut state.returned),
            error: match self.watch.fate() {
                ChannelFate::Failed(error) => Some(error),
                ChannelFate::Open | ChannelFate::Ending(_) => None,
            },
        }
    }

    /// Waits until the window is complete or has failed, or no confirm came for `time`.
    pub(crate) async fn wait(&self, time: Duration) {
        let start = Instant::now();
        loop {
            let last_confirm = {
                let state = self.lock();
                if state.missing == 0 {
                    return;
                }
                state.last_confirm.unwrap_or(start).max(start)
            };
            let deadline = match self.watch.fate() {
                ChannelFate::Failed(_) => return,
                ChannelFate::Ending(deadline) => deadline,
                ChannelFate::Open if last_confirm.elapsed() >= time => return,
                ChannelFate::Open => last_confirm + time,
            };
            let _ = timeout_at(deadline, self.watch.changed()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, AnswerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MessageFrames for PublishAnswers {
    fn take_method(&self, channel: u16, answer: basic::AMQPMethod) -> Result<bool, Violation> {
        let mut state = self.lock();
        // A channel that was replaced has no unconfirmed message.
        if channel == state.channel {
            state.take_answer(answer)?;
            // One wake-up for a window, not one for each confirm.
            if state.missing == 0 {
                drop(state);
                self.watch.wake();
            }
        }
        Ok(true)
    }

    /// Only a returned message has content, because no consumer runs on this connection.
    fn take_content(&self, channel: u16, frame: &[u8]) -> Result<(), Violation> {
        let mut state = self.lock();
        if channel == state.channel { state.take_content(frame) } else { Ok(()) }
    }

    fn watch(&self) -> &Arc<ChannelWatch> {
        &self.watch
    }
}

impl AnswerState {
    /// Records a method of the class `basic`.
    fn take_answer(&mut self, answer: basic::AMQPMethod) -> Result<(), Violation> {
        if self.incoming.is_some() {
            return Err(INCOMPLETE);
        }
        match answer {
            basic::AMQPMethod::Ack(ack) => {
                self.confirm(ack.delivery_tag, ack.multiple, Confirm::Ack)?;
            }
            basic::AMQPMethod::Nack(nack) => {
                self.confirm(nack.delivery_tag, nack.multiple, Confirm::Nack)?;
            }
            basic::AMQPMethod::Return(_) if self.returned.len() >= self.sent => {
                return Err(Violation::Frame("returned a message that was not sent"));
            }
            basic::AMQPMethod::Return(returned) => {
                let message = ReturnedMessage {
                    code: returned.reply_code,
                    reason: returned.reply_text,
                    routing_key: returned.routing_key,
                    id: None,
                };
                self.incoming = Some((message, MessageContent::new(false)));
            }
            _ => {}
        }
        Ok(())
    }

    /// Records the confirm of one message, or of all up to `tag`.
    fn confirm(&mut self, tag: u64, multiple: bool, confirm: Confirm) -> Result<(), Violation> {
        let sent = self.sent as u64;
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
    fn take_content(&mut self, frame: &[u8]) -> Result<(), Violation> {
        let Some((_, content)) = &mut self.incoming else { return Err(INCOMPLETE) };
        if content.push(frame)?
            && let Some((mut message, content)) = self.incoming.take()
        {
            message.id.clone_from(content.properties.message_id());
            self.returned.push(message);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
    use amq_protocol::protocol::AMQPClass;
    use lapin::BasicProperties;

    use super::*;
    use crate::frames::encode;

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
        answers.begin_channel(CHANNEL, None);
        answers.begin_window(count);
        answers.begin_send(count);
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
        take(&answers, &[ack(0, true)]);
        assert!(answers.take(&ack(4, false)).is_err(), "not sent yet");
        answers.begin_window(2);
        answers.begin_send(2);
        // A confirm of the earlier window, which the broker repeats.
        take(&answers, &[nack(2, false), ack(5, false)]);
        assert_eq!(letters(&answers.end_window()), "-a");

        answers.begin_channel(CHANNEL + 1, None);
        answers.begin_window(1);
        answers.begin_send(1);
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
        let answers = window(3);
        answers.begin_send(1);
        assert_eq!(answers.take(&ack(0, true)), Ok(true));
        assert!(answers.take(&ack(2, false)).is_err(), "not sent yet");
        assert_eq!(letters(&answers.end_window()), "a--");
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

    /// An answer inside a returned message, or content without one, ends the connection: a message could count as
    /// delivered.
    #[test]
    fn an_incomplete_return_is_a_violation() {
        let parts = returned(Some("a"), 2);
        for frames in [
            vec![&parts[0], &parts[0]],
            vec![&parts[0], &parts[1], &parts[0]],
            vec![&parts[0], &parts[1], &parts[2], &parts[1]],
            vec![&parts[1]],
            vec![&parts[2]],
        ] {
            let answers = window(1);
            let (last, before) = frames.split_last().unwrap();
            for frame in before {
                assert_eq!(answers.take(frame), Ok(true));
            }
            assert_eq!(answers.take(last), Err(INCOMPLETE));
        }
        let answers = window(1);
        take(&answers, &parts[..2]);
        assert_eq!(answers.take(&ack(1, false)), Err(INCOMPLETE));
    }

    /// The broker cannot return more messages than it was sent.
    #[test]
    fn returned_messages_are_bounded() {
        let answers = window(2);
        for _ in 0..2 {
            take(&answers, &returned(None, 0));
        }
        let expected = Violation::Frame("returned a message that was not sent");
        assert_eq!(answers.take(&returned(None, 0)[0]), Err(expected));
        assert_eq!(answers.end_window().returned.len(), 2);
        assert_eq!(answers.take(&returned(None, 0)[0]), Err(expected), "no window");
    }

    /// After a failure, nothing is awaited for messages that were not sent.
    #[tokio::test(start_paused = true)]
    async fn waits_only_for_messages_that_were_sent() {
        let answers = window(3);
        answers.begin_send(1);
        answers.end_send();
        let start = Instant::now();
        let confirm = async { take(&answers, &[ack(1, false)]) };
        tokio::join!(answers.wait(TIMEOUT), confirm);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(letters(&answers.end_window()), "a--");
    }

    /// A window ends with its channel, or with a connection that is lost without a reason.
    #[tokio::test(start_paused = true)]
    async fn a_window_ends_with_its_channel() {
        for is_lost in [false, true] {
            let answers = window(2);
            take(&answers, &[ack(1, false)]);
            if is_lost {
                answers.watch.lose();
            } else {
                answers.watch.fail(lapin::ErrorKind::MissingHeartbeatError.into());
            }
            let start = Instant::now();
            answers.wait(TIMEOUT).await;
            assert!(start.elapsed() < TIMEOUT);
            let window = answers.end_window();
            assert_eq!(letters(&window), "a-");
            assert!(window.error.is_some());
        }
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
            tokio::join!(answers.wait(TIMEOUT), confirm);
            let last = confirms.last().map_or(0, |&(millis, _)| millis);
            assert_eq!(start.elapsed(), Duration::from_millis(last) + TIMEOUT, "{confirms:?}");
        }
    }

    const CHANNEL: u16 = 3;
    /// The timeout of each wait.
    const TIMEOUT: Duration = Duration::from_secs(8);
}
