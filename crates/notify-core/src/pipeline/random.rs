//! Randomness for message ids and for jitter: the operating system's, fetched in bulk.

use std::cell::RefCell;

use uuid::Uuid;

/// A fresh UUID of version 4, whose random bytes are the operating system's.
///
/// They come out of a pool of the calling thread, at a tenth of the cost of fetching each. Ids never
/// repeat between processes, also not where one was forked off another in between by the C library's
/// `fork`, which is what every program forks by.
pub(crate) fn message_id() -> Uuid {
    uuid::Builder::from_random_bytes(random()).into_uuid()
}

/// A random number from 0 to 1.
pub(crate) fn unit() -> f64 {
    let [a, b, c, d, ..] = random();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

fn random() -> [u8; 16] {
    let pooled = POOL.try_with(|pool| pool.try_borrow_mut().ok().and_then(|mut pool| pool.take()));
    // The thread is ending and its pool is gone, or forks cannot be seen.
    pooled.ok().flatten().unwrap_or_else(|| {
        let mut bytes = [0; 16];
        fill(&mut bytes);
        bytes
    })
}

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { bytes: [0; POOL_BYTES], left: 0, forks: None }) };
}

/// Random bytes of one process. A child that was forked off has a copy, and must not use it.
struct Pool {
    bytes: [u8; POOL_BYTES],
    left: usize,
    /// Sees a fork by `pthread_atfork`. To ask for the process id is a system call, which would be a
    /// quarter of what a notification costs.
    forks: Option<forkguard::Guard>,
}

impl Pool {
    /// `None` where a fork could not be seen.
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

/// Where the operating system has no randomness to give, what the standard library keys its hash
/// maps with must do: an id must be unique, not secret, and a notifier must not take its host down.
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

const POOL_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_version_4_and_do_not_repeat() {
        let ids: HashSet<_> = (0..10_000).map(|_| message_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }
}
