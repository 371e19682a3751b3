//! Randomness for message ids and for jitter, from the operating system.
//!
//! Nothing here is for secrets.

use std::cell::RefCell;

use uuid::Uuid;

/// Returns a fresh UUID of version 4 with random bytes of the operating system.
///
/// The bytes come from a pool of the calling thread, at a tenth of the cost of a system call each. Ids
/// never repeat between processes, even when a process forks with a partly used pool: the pool detects
/// the C library's `fork` and discards its bytes.
pub(crate) fn message_id() -> Uuid {
    uuid::Builder::from_random_bytes(random_bytes()).into_uuid()
}

/// Returns a random number from 0 to 1.
pub(crate) fn random_fraction() -> f64 {
    let [a, b, c, d, ..] = random_bytes();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

/// Returns 16 random bytes from the thread's pool.
fn random_bytes() -> [u8; 16] {
    let pooled = POOL.try_with(|pool| pool.try_borrow_mut().ok().and_then(|mut pool| pool.take()));
    // Without a pool (the thread is ending, or forks cannot be detected), ask the system each time.
    pooled.ok().flatten().unwrap_or_else(|| {
        let mut bytes = [0; 16];
        fill(&mut bytes);
        bytes
    })
}

thread_local! {
    static POOL: RefCell<RandomPool> =
        const { RefCell::new(RandomPool { bytes: [0; POOL_BYTES], left: 0, forks: None }) };
}

/// Random bytes of one process. A forked child has a copy and must not use it.
struct RandomPool {
    bytes: [u8; POOL_BYTES],
    /// The number of unused bytes, at the start of `bytes`.
    left: usize,
    /// Detects a fork through `pthread_atfork`. Asking for the process id instead would be a system
    /// call, a quarter of the cost of a notification.
    forks: Option<forkguard::Guard>,
}

impl RandomPool {
    /// Takes 16 bytes out of the pool; `None` where forks cannot be detected.
    fn take(&mut self) -> Option<[u8; 16]> {
        let forked = self.forks.as_mut().is_some_and(forkguard::Guard::detected_fork);
        if self.left == 0 || forked {
            if self.forks.is_none() {
                self.forks = Some(forkguard::Guard::try_new().ok()?);
            }
            fill(&mut self.bytes);
            self.left = POOL_BYTES;
        }
        self.left -= 16;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.bytes[self.left..self.left + 16]);
        Some(bytes)
    }
}

/// Fills `bytes` with randomness of the operating system.
///
/// If the system has none, falls back to the keys of the standard library's hash maps: an id must be
/// unique but not secret, and a notifier must not take its program down.
fn fill(bytes: &mut [u8]) {
    use std::hash::{BuildHasher, RandomState};
    if getrandom::fill(bytes).is_err() {
        for chunk in bytes.chunks_mut(8) {
            let word =
                RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()));
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The size of a thread's pool in bytes: 256 ids.
const POOL_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Consumers drop duplicates by id, so no id repeats, not even across refills of the pool.
    #[test]
    fn ids_are_version_4_and_do_not_repeat() {
        let ids: HashSet<_> = (0..10_000).map(|_| message_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }
}
