//! The execution of slots' work: each slot has a thread of its own, so that no disk blocks a runtime.
//!
//! Not public API: the model of the spool implements [`SlotExecutor`] to execute all work in one thread,
//! step by step, so that a failure repeats.

use std::fmt;
use std::sync::Arc;

use notify_core::Result;

use crate::blocking::spawn_thread;

/// The work of one slot: its jobs, and what is due without a job.
pub trait SlotWork: fmt::Debug + Send + Sync {
    /// Executes the work until every handle of the slot is gone, and closes the slot. Blocks.
    fn run(&self);

    /// Executes one job, or what is due now, without waiting for either. Returns `false` once every
    /// handle of the slot is gone and the slot is closed.
    fn step(&self) -> bool;
}

/// An executor of slots' work.
pub trait SlotExecutor: fmt::Debug + Send + Sync {
    /// Starts to execute the work of one slot.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](notify_core::ErrorKind::Unavailable) if the system has no room for
    /// another thread. The spool tries again with its next job.
    fn start(&self, work: Arc<dyn SlotWork>) -> Result<()>;
}

/// The executor of every real spool: a thread for each slot.
#[derive(Debug)]
pub(crate) struct ThreadExecutor;

impl SlotExecutor for ThreadExecutor {
    fn start(&self, work: Arc<dyn SlotWork>) -> Result<()> {
        spawn_thread(move || work.run())
    }
}
