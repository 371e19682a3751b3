//! The counters of a proxy.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a proxy, over all its connections.
#[derive(Debug, Default)]
pub(super) struct ProxyCounters {
    /// 1 while the proxy listens, otherwise 0.
    pub(super) listening: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) open: AtomicU64,
    /// The counters of each direction, by `Direction::index`.
    pub(super) directions: [DirectionCounters; 2],
}

/// The counters of one direction.
#[derive(Debug, Default)]
pub(super) struct DirectionCounters {
    pub(super) bytes: AtomicU64,
    pub(super) pieces: AtomicU64,
}

/// A guard that counts one connection as open until it is dropped.
pub(super) struct OpenConnection<'c>(&'c ProxyCounters);

impl<'c> OpenConnection<'c> {
    pub(super) fn new(counters: &'c ProxyCounters) -> Self {
        counters.open.fetch_add(1, Ordering::SeqCst);
        Self(counters)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
