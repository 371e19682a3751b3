//! A set of lanes that threads read without the queue's mutex.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::transport::lanes::{Lane, Lanes};

/// A set of lanes, one bit for each.
#[derive(Debug, Default)]
pub(super) struct LaneMask(AtomicU64);

impl LaneMask {
    /// Adds a lane, or removes it.
    pub(super) fn set(&self, lane: Lane, contained: bool) {
        let bit = 1 << lane.index();
        if contained {
            self.0.fetch_or(bit, Ordering::SeqCst);
        } else {
            self.0.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    /// Returns whether the set holds a lane.
    pub(super) fn contains(&self, lane: Lane) -> bool {
        self.0.load(Ordering::SeqCst) & (1 << lane.index()) != 0
    }

    /// Returns whether the set holds no lane.
    pub(super) fn is_empty(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

const _: () = assert!(Lanes::MAX <= u64::BITS as usize);
