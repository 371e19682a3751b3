//! The interface of a stage: a second pipeline that the worker runs beside its transport.
//!
//! The spool's forwarder is a stage. This module names no implementation.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::stats::Stats;

/// A second pipeline behind the transport of a [`Notifier`](super::Notifier).
///
/// A transport that stores messages, such as the spool on the local disk, has another destination
/// behind it. Delivery to that destination takes its own time and has its own account. A stage does
/// that work, and the same [`Worker`](super::Worker) runs it beside the transport.
///
/// # Examples
///
/// A stage without work, which waits for the transport to close:
///
/// ```
/// use std::sync::Arc;
///
/// use notify_core::pipeline::{CloseSignal, Stage, StageAccount, Stats};
/// use notify_core::transport::async_trait;
///
/// #[derive(Debug)]
/// struct EmptyStage;
///
/// #[async_trait]
/// impl Stage for EmptyStage {
///     fn name(&self) -> &'static str {
///         "empty"
///     }
///
///     fn account(&self) -> StageAccount {
///         Arc::new(Stats::default)
///     }
///
///     async fn run(self: Box<Self>, closing: CloseSignal) {
///         let _drain_time = closing.await;
///     }
/// }
/// #
/// # let transport = notify_conformance::script::Script::default().transport();
/// # let (notifier, _worker) =
/// #     notify_core::Notifier::builder(transport).behind(EmptyStage).build()?;
/// # assert_eq!(notifier.stages().len(), 2);
/// # Ok::<(), notify_core::Error>(())
/// ```
#[async_trait]
pub trait Stage: fmt::Debug + Send {
    /// Returns the configured name of the strategy that the stage delivers to.
    fn name(&self) -> &'static str;

    /// Returns a function that reads the stage's account at any time, also after the stage ended.
    fn account(&self) -> StageAccount;

    /// Delivers until `closing` resolves, then finishes the attempt in flight and returns.
    ///
    /// `closing` resolves when the transport before the stage is closed and no new message can come.
    /// Its value is the rest of the drain time. The stage then starts no new attempt and returns within
    /// that time, plus the few seconds that closing its destination may take.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the stage. Messages that it did not settle stay in its storage.
    async fn run(self: Box<Self>, closing: CloseSignal);
}

/// A function that reads the account of a [`Stage`].
pub type StageAccount = Arc<dyn Fn() -> Stats + Send + Sync>;

/// A future that resolves when the transport before a [`Stage`] is closed, to the rest of the drain
/// time.
pub type CloseSignal = Pin<Box<dyn Future<Output = Duration> + Send>>;

/// The name and account of a stage, for [`Notifier::stages`](super::Notifier::stages).
#[derive(Clone)]
pub(super) struct StageInfo {
    pub(super) name: &'static str,
    pub(super) account: StageAccount,
}

impl fmt::Debug for StageInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageInfo").field("name", &self.name).finish_non_exhaustive()
    }
}
