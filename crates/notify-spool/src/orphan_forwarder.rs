//! Forwarding of orphans: slots whose processes are gone.

use std::sync::Arc;
use std::time::Duration;

use notify_core::{Error, ErrorKind, Notifier, Result};
use tokio::sync::watch;

use crate::config::Config;
use crate::counters::StageCounters;
use crate::orphan_search::OrphanSearch;
use crate::slot_forwarding::{ForwardingMode, forward_slot, unless_stopped};
use crate::slot_handle::SlotHandle;
use crate::slot_thread::SlotChoice;

/// Forwards the orphans of the directory every five seconds, until `stopped` becomes `true`.
///
/// The first round waits until `handle` has its own slot. Otherwise this function could take the slot
/// that an earlier run of this process left, and delay its owner.
pub(crate) async fn adopt_orphans(
    orphans: &mut OrphanForwarder<'_>,
    handle: &SlotHandle,
    mut stopped: watch::Receiver<bool>,
) {
    let mut has_own_slot = false;
    let mut is_failing = false;
    while !*stopped.borrow_and_update() {
        if !has_own_slot {
            let locked = unless_stopped(&mut stopped, handle.lock()).await;
            has_own_slot = matches!(locked, Some(Some(Ok(()))));
        }
        if has_own_slot {
            match orphans.forward_all().await {
                Ok(()) => is_failing = false,
                Err(error) if !std::mem::replace(&mut is_failing, true) => {
                    tracing::warn!(
                        "cannot forward the messages that another process left in the spool: {error:#}"
                    );
                }
                Err(_) => {}
            }
        }
        unless_stopped(&mut stopped, tokio::time::sleep(ADOPTION_INTERVAL)).await;
    }
}

/// A forwarder of all slots in a directory that no process owns.
pub(crate) struct OrphanForwarder<'a> {
    notifier: &'a Notifier,
    stopped: watch::Receiver<bool>,
    /// The handle of the thread that locks one orphan after the other.
    handle: Arc<SlotHandle>,
}

impl<'a> OrphanForwarder<'a> {
    /// Returns a forwarder for the directory of `config`. It opens nothing.
    pub(crate) fn new(
        config: &Config,
        counters: &Arc<StageCounters>,
        notifier: &'a Notifier,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let search = OrphanSearch::new(config.dir.clone(), Arc::clone(counters));
        let choice = SlotChoice::Orphans(search);
        let handle = SlotHandle::new(config.clone(), Arc::clone(counters), choice);
        Self { notifier, stopped, handle }
    }

    /// Forwards every orphan, one after the other, until it is empty or the stop signal comes.
    ///
    /// # Errors
    ///
    /// The first error of the directory or of a slot. The other slots are still forwarded.
    pub(crate) async fn forward_all(&mut self) -> Result<()> {
        let mut result = Ok(());
        while let Some(Some(locked)) = unless_stopped(&mut self.stopped, self.handle.lock()).await {
            let forwarded = match locked {
                Ok(()) => self.forward_one().await,
                // The thread is still busy with the disk, so it cannot look at another slot.
                Err(error) if error.kind() == ErrorKind::Timeout => return Err(error),
                Err(error) => Err(error),
            };
            result = result.and(forwarded);
        }
        result
    }

    /// Forwards the locked slot until it is empty, and releases it.
    async fn forward_one(&mut self) -> Result<()> {
        let mode = ForwardingMode::UntilEmpty;
        let forwarded = forward_slot(&self.handle, self.notifier, self.stopped.clone(), mode).await;
        // After a transient error the next round tries the slot again.
        let again = forwarded.as_ref().is_err_and(Error::is_transient);
        unless_stopped(&mut self.stopped, self.handle.release_orphan(again)).await;
        forwarded
    }

    /// Ends the thread, and waits at most 5 s until it has closed an orphan.
    pub(crate) async fn close(self) {
        self.handle.release().await;
    }
}

/// The interval between two searches for orphans.
const ADOPTION_INTERVAL: Duration = Duration::from_secs(5);
