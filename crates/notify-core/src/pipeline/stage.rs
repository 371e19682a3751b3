//! A stage behind the worker's transport: one that delivers further what the transport only keeps.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::stats::Stats;

/// Delivers further what the transport of a [`Notifier`](super::Notifier) took on the way.
///
/// A transport that stores, such as one to the local disk, has a destination behind it. Getting
/// there takes as long as it takes and has an account of its own, so it is a stage of its own, which
/// the same [`Worker`](super::Worker) runs beside the transport.
#[async_trait]
pub trait Stage: fmt::Debug + Send {
    /// Where it delivers to: the name of the strategy, as it is configured.
    fn name(&self) -> &'static str;

    /// The account, to be read at any time, also after the stage has run or was dropped.
    fn account(&self) -> StageAccount;

    /// Runs until `closing` resolves and what is under way is concluded.
    ///
    /// `closing` resolves when the transport before it is closed, so that nothing more can come, to
    /// what is left of the time to drain. The stage then takes up nothing new and ends within that
    /// time, and the few seconds that closing its destination takes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the stage; what it has not concluded stays where it is kept.
    async fn run(self: Box<Self>, closing: CloseSignal);
}

/// Reads a stage's account.
pub type StageAccount = Arc<dyn Fn() -> Stats + Send + Sync>;

/// Resolves when nothing more comes from the stage before, to what is left of the time to drain.
pub type CloseSignal = Pin<Box<dyn Future<Output = Duration> + Send>>;

/// The account of a stage, and its name.
#[derive(Clone)]
pub(super) struct StageEntry {
    pub(super) name: &'static str,
    pub(super) account: StageAccount,
}

impl fmt::Debug for StageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageEntry").field("name", &self.name).finish_non_exhaustive()
    }
}
