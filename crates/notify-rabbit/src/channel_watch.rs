//! The fate of the channel that a publisher or a source uses, and of its connection.
//!
//! lapin reports the end of a channel only to the requests that wait for lapin. Publishers and sources wait for
//! frames that lapin does not see. They learn the end here: from the broker's own words in the stream, or from
//! lapin's error of the connection.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amq_protocol::protocol::{AMQPClass, AMQPError, channel, connection};
use lapin::ChannelStatus;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// The channel in use, and why it ended.
///
/// lapin's thread records the end. One task waits for it, and for the frames of the channel.
#[derive(Debug, Default)]
pub(crate) struct ChannelWatch {
    state: Mutex<WatchState>,
    changed: Notify,
}

/// The fate of a channel.
#[derive(Debug)]
pub(crate) enum ChannelFate {
    /// The channel is open.
    Open,
    /// The channel is over. Look again at this time: the reason may come, or lapin may learn of it, until then.
    Ending(Instant),
    /// The channel or its connection has ended with this error.
    Failed(lapin::Error),
}

#[derive(Debug, Default)]
struct WatchState {
    channel: u16,
    /// What lapin knows of the channel.
    status: Option<ChannelStatus>,
    /// Whether the broker wants no publishes (`channel.flow`).
    is_paused: bool,
    channel_error: Option<(lapin::Error, Instant)>,
    connection_error: Option<lapin::Error>,
    lost_at: Option<Instant>,
}

impl ChannelWatch {
    /// Begins to watch a channel that was just opened.
    pub(crate) fn begin(&self, channel: u16, status: Option<ChannelStatus>) {
        let mut state = self.lock();
        let (connection_error, lost_at) = (state.connection_error.take(), state.lost_at);
        *state = WatchState { channel, status, connection_error, lost_at, ..WatchState::default() };
    }

    /// Returns the fate of the channel. The broker's reply says more than another error.
    pub(crate) fn fate(&self) -> ChannelFate {
        let state = self.lock();
        let is_reply =
            |error: &&lapin::Error| matches!(error.kind(), lapin::ErrorKind::ProtocolError(_));
        let reply = state.connection_error.as_ref().filter(is_reply);
        if let (None, Some((error, closed_at))) = (reply, &state.channel_error) {
            // lapin would send frames on the channel as long as it does not know.
            let is_known = !state.status.as_ref().is_some_and(ChannelStatus::connected);
            return if is_known || closed_at.elapsed() >= REASON_TIMEOUT {
                ChannelFate::Failed(error.clone())
            } else {
                ChannelFate::Ending(Instant::now() + LOOK_INTERVAL)
            };
        }
        match (&state.connection_error, state.lost_at) {
            (Some(error), _) => ChannelFate::Failed(error.clone()),
            (None, Some(lost_at)) if lost_at.elapsed() >= REASON_TIMEOUT => {
                ChannelFate::Failed(closed())
            }
            (None, Some(lost_at)) => ChannelFate::Ending(lost_at + REASON_TIMEOUT),
            (None, None) => ChannelFate::Open,
        }
    }

    /// Waits until the channel has failed, and returns the error.
    pub(crate) async fn failure(&self) -> lapin::Error {
        loop {
            match self.fate() {
                ChannelFate::Open => self.changed().await,
                ChannelFate::Ending(until) => drop(timeout_at(until, self.changed()).await),
                ChannelFate::Failed(error) => return error,
            }
        }
    }

    /// Returns whether the channel or its connection has ended, with a reason or without.
    pub(crate) fn has_ended(&self) -> bool {
        let state = self.lock();
        state.channel_error.is_some() || state.connection_error.is_some() || state.lost_at.is_some()
    }

    /// Records a method that the broker sent, if it ends or pauses the channel or ends the connection.
    pub(crate) fn record(&self, channel: u16, method: AMQPClass) {
        let mut state = self.lock();
        match method {
            AMQPClass::Channel(channel::AMQPMethod::Close(close)) if channel == state.channel => {
                state.channel_error = Some((reply(AMQPError::try_from(close)), Instant::now()));
            }
            AMQPClass::Channel(channel::AMQPMethod::Flow(flow)) if channel == state.channel => {
                state.is_paused = !flow.active;
            }
            AMQPClass::Connection(connection::AMQPMethod::Close(close)) => {
                state.connection_error = Some(reply(AMQPError::try_from(close)));
            }
            _ => return,
        }
        drop(state);
        self.wake();
    }

    /// Records lapin's error of the connection.
    pub(crate) fn fail(&self, error: lapin::Error) {
        self.lock().connection_error.get_or_insert(error);
        self.wake();
    }

    /// Records that the connection is gone.
    pub(crate) fn lose(&self) {
        self.lock().lost_at.get_or_insert_with(Instant::now);
        self.wake();
    }

    /// Waits until the broker takes publishes on the channel, or the channel has ended.
    pub(crate) async fn flowing(&self) {
        while self.lock().is_paused && !self.has_ended() {
            self.changed().await;
        }
    }

    /// Wakes the task that waits.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Waits for a wake-up. One that came before counts, so look at everything before each wait.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, WatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns lapin's error for a reply of the broker.
fn reply(reply: Result<AMQPError, impl Sized>) -> lapin::Error {
    // Without an error's code, the channel or the connection was only closed.
    reply.map_or_else(|_| closed(), |reply| lapin::ErrorKind::ProtocolError(reply).into())
}

/// Returns the error of a connection that ended without a reason.
fn closed() -> lapin::Error {
    lapin::ErrorKind::InvalidConnectionState(lapin::ConnectionState::Closed).into()
}

/// The time between two looks at lapin's state of a channel.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// The time for lapin to tell why a connection ended, and to learn that a channel is closed.
const REASON_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the code of the broker's reply that a channel failed with.
    fn code(watch: &ChannelWatch) -> Option<u16> {
        match watch.fate() {
            ChannelFate::Failed(error) => match error.kind() {
                lapin::ErrorKind::ProtocolError(reply) => Some(reply.get_id()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the method that closes a channel.
    fn channel_close() -> AMQPClass {
        AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
            reply_code: 406,
            reply_text: "PRECONDITION_FAILED - size".into(),
            class_id: 60,
            method_id: 40,
        }))
    }

    /// The broker's words are the reason, whatever lapin reports before or after them.
    #[test]
    fn the_reply_of_the_broker_is_the_reason() {
        let connection_close =
            AMQPClass::Connection(connection::AMQPMethod::Close(connection::Close {
                reply_code: 320,
                reply_text: "CONNECTION_FORCED - shutdown".into(),
                class_id: 0,
                method_id: 0,
            }));
        for (channel, close, expected) in
            [(CHANNEL, channel_close(), 406), (0, connection_close, 320)]
        {
            for is_late in [false, true] {
                let watch = ChannelWatch::default();
                watch.begin(CHANNEL, None);
                assert!(!watch.has_ended() && matches!(watch.fate(), ChannelFate::Open));
                if is_late {
                    watch.fail(lapin::ErrorKind::MissingHeartbeatError.into());
                }
                watch.record(channel, close.clone());
                watch.fail(lapin::ErrorKind::MissingHeartbeatError.into());
                watch.lose();
                assert!(watch.has_ended());
                assert_eq!(code(&watch), Some(expected));
            }
        }
    }

    /// The end of another channel changes nothing, and a new channel has no error of the old one.
    #[test]
    fn an_error_belongs_to_its_channel() {
        let watch = ChannelWatch::default();
        watch.begin(CHANNEL, None);
        watch.record(CHANNEL + 1, channel_close());
        assert!(!watch.has_ended());
        watch.record(CHANNEL, channel_close());
        assert!(watch.has_ended());
        watch.begin(CHANNEL + 1, None);
        assert!(!watch.has_ended());
    }

    /// A paused channel takes publishes again when the broker says so, or has ended.
    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_with_the_channel() {
        let flow = |active| AMQPClass::Channel(channel::AMQPMethod::Flow(channel::Flow { active }));
        for end in [flow(true), channel_close()] {
            let watch = ChannelWatch::default();
            watch.begin(CHANNEL, None);
            watch.flowing().await;
            watch.record(CHANNEL, flow(false));
            watch.record(CHANNEL + 1, flow(true));
            let pause = tokio::time::timeout(REASON_TIMEOUT, watch.flowing());
            assert!(pause.await.is_err());
            watch.record(CHANNEL, end);
            watch.flowing().await;
        }
    }

    /// The reason of a lost connection may come a little later, or never.
    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_may_have_a_reason() {
        for has_reason in [true, false] {
            let watch = ChannelWatch::default();
            watch.lose();
            let ChannelFate::Ending(until) = watch.fate() else { panic!("no time for a reason") };
            assert_eq!(until, Instant::now() + REASON_TIMEOUT);
            tokio::time::sleep(REASON_TIMEOUT / 2).await;
            watch.lose();
            if has_reason {
                watch.fail(lapin::ErrorKind::MissingHeartbeatError.into());
            } else {
                assert!(matches!(watch.fate(), ChannelFate::Ending(at) if at == until));
                tokio::time::sleep_until(until).await;
            }
            let ChannelFate::Failed(error) = watch.fate() else { panic!("no error") };
            let is_reason = matches!(error.kind(), lapin::ErrorKind::MissingHeartbeatError);
            assert_eq!(is_reason, has_reason);
        }
    }

    const CHANNEL: u16 = 3;
}
