//! Forwarding of orphans: slots whose processes are gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use notify_core::{Error, Notifier, Result};
use tokio::sync::watch;

use crate::config::Config;
use crate::counters::StageCounters;
use crate::slot::{Slot, database_version, slot_numbers};
use crate::slot_forwarding::{ForwardingMode, forward_slot};
use crate::slot_handle::SlotHandle;
use crate::spool_dir::{FileVersion, SpoolDir};

/// Forwards the orphans of the directory every five seconds, until `stopped` becomes `true`.
///
/// The first round waits until `handle` has its own slot. Otherwise this function could take the slot
/// that an earlier run of this process left, and delay its owner.
pub(crate) async fn adopt_orphans(
    config: &Config,
    handle: &SlotHandle,
    counters: &Arc<StageCounters>,
    notifier: &Notifier,
    stopped: watch::Receiver<bool>,
) {
    let mut stop = stopped.clone();
    let mut orphans: Option<OrphanForwarder<'_>> = None;
    let mut has_own_slot = false;
    let mut is_failing = false;
    while !*stop.borrow_and_update() {
        has_own_slot = has_own_slot || handle.read(u64::MAX, 0).await.is_ok();
        if has_own_slot && orphans.is_none() {
            orphans = OrphanForwarder::new(config, counters, notifier, stopped.clone()).ok();
        }
        if let Some(orphans) = &mut orphans {
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
        // An error means that the forwarder is gone, so it ends the loop too.
        if tokio::time::timeout(ADOPTION_INTERVAL, stop.wait_for(|stop| *stop)).await.is_ok() {
            break;
        }
    }
}

/// A forwarder of all slots in a directory that no process owns.
pub(crate) struct OrphanForwarder<'a> {
    config: &'a Config,
    counters: &'a Arc<StageCounters>,
    notifier: &'a Notifier,
    stopped: watch::Receiver<bool>,
    dir: Arc<SpoolDir>,
    /// The version of each slot's file after this process forwarded it.
    ///
    /// An unchanged file has nothing to forward, so that a round costs a few system calls for each slot.
    forwarded: HashMap<u32, FileVersion>,
}

impl<'a> OrphanForwarder<'a> {
    /// Returns a forwarder for the directory of `config`.
    ///
    /// # Errors
    ///
    /// The error of the directory, which must exist.
    pub(crate) fn new(
        config: &'a Config,
        counters: &'a Arc<StageCounters>,
        notifier: &'a Notifier,
        stopped: watch::Receiver<bool>,
    ) -> Result<Self> {
        let dir = SpoolDir::open(&config.dir, false)?;
        Ok(Self { config, counters, notifier, stopped, dir, forwarded: HashMap::new() })
    }

    /// Forwards every orphan, one after the other, until it is empty.
    ///
    /// # Errors
    ///
    /// The first error of a slot. The other slots are still forwarded.
    pub(crate) async fn forward_all(&mut self) -> Result<()> {
        let mut result = Ok(());
        for number in slot_numbers(&self.dir)? {
            let version = database_version(&self.dir, number);
            if version.is_empty() || self.forwarded.get(&number) == Some(&version) {
                continue;
            }
            match Slot::try_lock(&self.dir, number, false) {
                Ok(Some(slot)) => {
                    let forwarded = self.forward_one(slot).await;
                    // After a transient error the next round tries the slot again.
                    if !forwarded.as_ref().is_err_and(Error::is_transient) {
                        self.forwarded.insert(number, database_version(&self.dir, number));
                    }
                    result = result.and(forwarded);
                }
                Ok(None) => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// Forwards one slot until it is empty, and releases it.
    async fn forward_one(&self, slot: Slot) -> Result<()> {
        let handle = SlotHandle::new(self.config.clone(), Arc::clone(self.counters), Some(slot));
        let mode = ForwardingMode::UntilEmpty;
        let forwarded = forward_slot(&handle, self.notifier, self.stopped.clone(), mode).await;
        handle.release().await;
        forwarded
    }
}

/// The interval between two searches for orphans.
const ADOPTION_INTERVAL: Duration = Duration::from_secs(5);
