//! Randomness for message ids and for jitter: the operating system's, fetched in bulk.

use std::cell::RefCell;

use uuid::Uuid;

/// A fresh UUID of version 4.
///
/// 16 bytes out of a pool that the operating system fills, which costs a tenth of a system call for
/// each. A pool belongs to one thread of one process: a child that was forked off fills its own, so
/// that ids never repeat between processes.
pub(crate) fn message_id() -> Uuid {
    uuid::Builder::from_random_bytes(random()).into_uuid()
}

/// A random number from 0 to 1.
pub(crate) fn unit() -> f64 {
    let [a, b, c, d, ..] = random();
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

fn random() -> [u8; 16] {
    POOL.with_borrow_mut(|pool| {
        let process = std::process::id();
        if pool.used == POOL_BYTES || pool.process != process {
            fill(&mut pool.bytes);
            pool.used = 0;
            pool.process = process;
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&pool.bytes[pool.used..pool.used + 16]);
        pool.used += 16;
        bytes
    })
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

struct Pool {
    bytes: [u8; POOL_BYTES],
    used: usize,
    process: u32,
}

const POOL_BYTES: usize = 2048;

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool {
            bytes: [0; POOL_BYTES],
            used: POOL_BYTES,
            process: 0,
        })
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_4_and_do_not_repeat() {
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| message_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }

    #[test]
    fn a_pool_of_another_process_is_not_used() {
        message_id();
        let stale = POOL.with_borrow_mut(|pool| {
            pool.process = pool.process.wrapping_add(1);
            pool.bytes
        });
        let id = message_id();
        POOL.with_borrow(|pool| assert_ne!(pool.bytes, stale));
        assert!(!stale.chunks(16).any(|bytes| bytes == id.as_bytes()));
    }
}
