//! Forwarding of orphans: slots whose processes are gone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use notify_core::{Error, ErrorKind, Notifier, Result};
use tokio::sync::watch;

use crate::config::Config;
use crate::counters::StageCounters;
use crate::error::retry_delay;
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
        if !has_own_slot {
            unless_stopped(&mut stopped, tokio::time::sleep(ADOPTION_INTERVAL)).await;
            continue;
        }
        match orphans.adopt_for(ADOPTION_INTERVAL).await {
            Ok(()) => is_failing = false,
            Err(error) if !std::mem::replace(&mut is_failing, true) => {
                tracing::warn!(
                    "cannot forward the messages that another process left in the spool: {error:#}"
                );
            }
            Err(_) => {}
        }
    }
}

/// A forwarder of all slots in a directory that no process owns.
///
/// It adopts several orphans at once, each with a thread of its own: an orphan whose messages wait for one
/// lane must not delay the others.
pub(crate) struct OrphanForwarder<'a> {
    config: &'a Config,
    counters: &'a Arc<StageCounters>,
    notifier: &'a Notifier,
    stopped: watch::Receiver<bool>,
    search: Arc<Mutex<OrphanSearch>>,
    /// The handle of the thread that searches. It has no slot.
    searcher: Arc<SlotHandle>,
    /// The wait for the searcher's answer. It goes on when the forwarding of another orphan ends.
    locking: Option<BoxFuture<'static, Option<Result<()>>>>,
    /// The orphans that are being forwarded.
    adopted: FuturesUnordered<BoxFuture<'a, Result<()>>>,
}

impl<'a> OrphanForwarder<'a> {
    /// Returns a forwarder for the directory of `config`. It opens nothing.
    pub(crate) fn new(
        config: &'a Config,
        counters: &'a Arc<StageCounters>,
        notifier: &'a Notifier,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let search = OrphanSearch::new(config.dir.clone(), Arc::clone(counters));
        let search = Arc::new(Mutex::new(search));
        let searcher = new_searcher(config, counters, &search);
        let adopted = FuturesUnordered::new();
        Self { config, counters, notifier, stopped, search, searcher, locking: None, adopted }
    }

    /// Forwards every orphan until it is empty, or until the stop signal comes.
    ///
    /// # Errors
    ///
    /// The first error of the directory or of a slot. The other slots are still forwarded.
    pub(crate) async fn forward_all(&mut self) -> Result<()> {
        let mut result = self.adopt_all().await;
        while let Some(forwarded) = self.adopted.next().await {
            result = result.and(forwarded);
        }
        result
    }

    /// Adopts orphans until none is left or the stop signal comes, at most [`MAX_ADOPTED`] at once.
    ///
    /// While the system has no room for the thread of the searcher, this function adopts none. It goes on
    /// once there is room, and returns the error if it forwards no orphan meanwhile.
    ///
    /// # Errors
    ///
    /// The first error of the directory, of a slot that cannot be locked, of an adopted slot, or of the
    /// searcher's thread.
    async fn adopt_all(&mut self) -> Result<()> {
        let mut result = Ok(());
        // The pause before the searcher's thread starts, if the last start failed.
        let mut pause = None;
        let mut is_told = false;
        loop {
            let has_room = self.adopted.len() < MAX_ADOPTED;
            let locking = self.locking.get_or_insert_with(|| {
                let searcher = Arc::clone(&self.searcher);
                Box::pin(async move {
                    if let Some(pause) = pause {
                        tokio::time::sleep(pause).await;
                    }
                    searcher.lock().await
                })
            });
            let event = async {
                tokio::select! {
                    biased;
                    Some(forwarded) = self.adopted.next(), if !self.adopted.is_empty() => {
                        SearchEvent::Forwarded(forwarded)
                    }
                    locked = locking, if has_room => SearchEvent::Locked(locked),
                }
            };
            let event = unless_stopped(&mut self.stopped, event).await;
            if let Some(SearchEvent::Locked(_)) = event {
                self.locking = None;
                pause = None;
            }
            let has_thread = self.searcher.has_started();
            match event {
                None | Some(SearchEvent::Locked(None)) => return result,
                Some(SearchEvent::Forwarded(forwarded)) => result = result.and(forwarded),
                Some(SearchEvent::Locked(Some(Ok(())))) => self.forward_locked(),
                // An orphan that is forwarded gives its thread back.
                Some(SearchEvent::Locked(Some(Err(error))))
                    if !has_thread && !self.adopted.is_empty() =>
                {
                    let delay = retry_delay(&error);
                    pause = Some(delay);
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(
                            "cannot look for more messages that another process left in the spool, \
                             retrying every {} s: {error:#}",
                            delay.as_secs()
                        );
                    }
                }
                Some(SearchEvent::Locked(Some(Err(error)))) => {
                    let is_gone = error.kind() == ErrorKind::Bug;
                    // After a timeout the thread is still busy with the disk.
                    let is_hung = error.kind() == ErrorKind::Timeout;
                    result = result.and(Err(error));
                    if is_gone {
                        drop(self.replace_searcher());
                    }
                    // Without a thread, the next attempt would fail at once, and so on without a pause.
                    if is_gone || is_hung || !has_thread {
                        return result;
                    }
                }
            }
        }
    }

    /// Adopts orphans for `time`, and forwards those that are adopted already meanwhile.
    ///
    /// # Errors
    ///
    /// As for [`forward_all`](Self::forward_all).
    async fn adopt_for(&mut self, time: Duration) -> Result<()> {
        let mut result = self.adopt_all().await;
        let pause = tokio::time::sleep(time);
        let mut pause = std::pin::pin!(unless_stopped(&mut self.stopped, pause));
        loop {
            tokio::select! {
                biased;
                Some(forwarded) = self.adopted.next(), if !self.adopted.is_empty() => {
                    result = result.and(forwarded);
                }
                _ = &mut pause => return result,
            }
        }
    }

    /// Starts to forward the slot that the searcher has locked, and replaces the searcher.
    fn forward_locked(&mut self) {
        let handle = self.replace_searcher();
        let (notifier, mut stopped) = (self.notifier, self.stopped.clone());
        self.adopted.push(Box::pin(async move {
            let mode = ForwardingMode::UntilEmpty;
            let forwarded = forward_slot(&handle, notifier, stopped.clone(), mode).await;
            // After a transient error the next round tries the slot again.
            let again = forwarded.as_ref().is_err_and(Error::is_transient);
            unless_stopped(&mut stopped, handle.release_orphan(again)).await;
            handle.release().await;
            forwarded
        }));
    }

    /// Makes another searcher, and returns the last one.
    fn replace_searcher(&mut self) -> Arc<SlotHandle> {
        let next = new_searcher(self.config, self.counters, &self.search);
        std::mem::replace(&mut self.searcher, next)
    }

    /// Ends all threads, and waits at most 5 s until they have closed their orphans.
    pub(crate) async fn close(self) {
        let Self { searcher, locking, adopted, .. } = self;
        drop(locking);
        tokio::join!(searcher.release(), adopted.for_each(|_| std::future::ready(())));
    }
}

/// One event of a search.
enum SearchEvent {
    /// The forwarding of an orphan ended.
    Forwarded(Result<()>),
    /// The answer of the searcher: a locked slot, an error, or the end of the round.
    Locked(Option<Result<()>>),
}

/// Returns the handle of a thread that locks an orphan of `search`.
fn new_searcher(
    config: &Config,
    counters: &Arc<StageCounters>,
    search: &Arc<Mutex<OrphanSearch>>,
) -> Arc<SlotHandle> {
    let choice = SlotChoice::Orphans(Arc::clone(search));
    SlotHandle::new(config.clone(), Arc::clone(counters), choice)
}

/// The largest number of orphans that are forwarded at once.
const MAX_ADOPTED: usize = 16;
/// The interval between two searches for orphans.
const ADOPTION_INTERVAL: Duration = Duration::from_secs(5);
