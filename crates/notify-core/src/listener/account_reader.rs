//! The reader of a listener's account. It keeps no listener open, and counts nothing itself.

use std::sync::Arc;

use super::listener_handle::ListenerHandle;
use super::receiver::Listener;
use super::stats::ListenerStats;

/// A reader of the account of a [`Listener`], for metrics.
///
/// [`Listener::run`] and streams take the listener; the reader still returns its account, also the final
/// one. It keeps nothing open: dropping the listener closes its sources.
///
/// # Examples
///
/// ```
/// # use notify_conformance::source_script::SourceScript;
/// # use notify_core::listener::{DeadLetters, Listener};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> notify_core::Result<()> {
/// # let script = SourceScript::default();
/// # script.publish(notify_conformance::samples::messages(0..3));
/// # script.end();
/// # let stop_signal = std::future::pending();
/// let listener = Listener::builder(script.source(), DeadLetters::Discard).start()?;
/// let accounts = listener.account_reader();
/// let handler = |delivery: notify_core::listener::Delivery| async move { drop(delivery.ack()) };
/// listener.run(16, Duration::from_secs(10), stop_signal, handler).await?;
/// assert_eq!(accounts.read().total.acked, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ListenerAccountReader(Arc<ListenerHandle>);

impl ListenerAccountReader {
    /// Returns the account at this moment, as [`Listener::stats`] does.
    pub fn read(&self) -> ListenerStats {
        self.0.lock().stats()
    }
}

impl Listener {
    /// Returns a reader of the account, which does not keep the listener open.
    pub fn account_reader(&self) -> ListenerAccountReader {
        ListenerAccountReader(Arc::clone(&self.shared))
    }
}
