//! Randomness for message ids and for jitter, from the operating system or from a seed.
//!
//! Nothing here is for secrets.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// The source of message ids and of jitter.
#[derive(Debug, Default)]
pub(crate) enum RandomSource {
    /// The operating system.
    #[default]
    System,
    /// A sequence that follows from a seed, for tests that must replay.
    Seeded(AtomicU64),
}

impl RandomSource {
    /// Returns the source whose ids and fractions follow from `seed`.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(AtomicU64::new(seed))
    }

    /// Returns a fresh UUID of version 4.
    #[inline]
    pub(crate) fn message_id(&self) -> Uuid {
        match self {
            Self::System => message_id(),
            Self::Seeded(state) => {
                let [low, high] = [split_mix(state), split_mix(state)].map(u128::from);
                uuid::Builder::from_random_bytes((high << 64 | low).to_le_bytes()).into_uuid()
            }
        }
    }

    /// Returns a random number from 0 to 1.
    pub(crate) fn fraction(&self) -> f64 {
        match self {
            Self::System => random_fraction(),
            Self::Seeded(state) => {
                let [a, b, c, d, ..] = split_mix(state).to_le_bytes();
                f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
            }
        }
    }
}

/// Returns the next number of `SplitMix64`, the generator of Steele, Lea and Flood.
fn split_mix(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns a fresh UUID of version 4 with random bytes of the operating system.
///
/// The bytes come from a pool of the calling thread, at a tenth of the cost of a system call each. Ids
/// never repeat between processes, even when a process forks with a partly used pool: the pool detects
/// the C library's `fork` and discards its bytes.
fn message_id() -> Uuid {
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

    /// Equal seeds give equal ids and jitter; fractions stay between 0 and 1.
    #[test]
    fn a_seed_repeats_ids_and_jitter() {
        let draw = |seed| {
            let source = RandomSource::seeded(seed);
            let draws: Vec<_> =
                (0..1000).map(|_| (source.message_id(), source.fraction())).collect();
            assert!(
                draws
                    .iter()
                    .all(|(id, part)| id.get_version_num() == 4 && (0.0..=1.0).contains(part))
            );
            draws
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
