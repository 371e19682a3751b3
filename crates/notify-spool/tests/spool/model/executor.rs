//! An executor that runs the work of all slots in the thread of the test, step by step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use notify_core::Result;
use notify_spool::executor::{SlotExecutor, SlotWork};

/// The works of one process.
#[derive(Debug, Default)]
pub(crate) struct StepExecutor {
    works: Mutex<Vec<Arc<dyn SlotWork>>>,
    /// Whether the disk hangs: no work makes a step.
    hangs: AtomicBool,
}

impl SlotExecutor for StepExecutor {
    fn start(&self, work: Arc<dyn SlotWork>) -> Result<()> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner).push(work);
        Ok(())
    }
}

impl StepExecutor {
    /// Lets each work make one step, unless the disk hangs.
    pub(crate) fn step(&self) {
        if self.hangs() {
            return;
        }
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        works.retain(|work| work.step());
    }

    /// Returns the number of works that have not ended.
    pub(crate) fn running(&self) -> usize {
        self.works.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Lets the disk hang, or lets it go on.
    pub(crate) fn set_hanging(&self, hangs: bool) {
        self.hangs.store(hangs, Ordering::Relaxed);
    }

    /// Returns whether the disk hangs.
    pub(crate) fn hangs(&self) -> bool {
        self.hangs.load(Ordering::Relaxed)
    }

    /// Executes every work until its end. All handles must be gone.
    pub(crate) fn finish(&self) {
        assert!(!self.hangs(), "no work ends while the disk hangs");
        for _ in 0..MAX_STEPS {
            if self.works.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return;
            }
            self.step();
        }
        panic!("a work does not end: a handle of its slot is left");
    }

    /// Drops every work in the middle, as the end of a process does.
    pub(crate) fn kill(&self) {
        self.works.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The largest number of jobs that a work may have left.
const MAX_STEPS: usize = 100_000;
