//! Memory for the bodies of messages, several in one allocation.
//!
//! One allocation per message, which the worker's thread then frees, would take a tenth of the time
//! that emitting a notification takes. The bodies stay valid until their messages are settled.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

/// Copies a body into memory that it shares with other bodies of this thread.
pub(crate) fn store(body: &[u8]) -> Bytes {
    let shared = || CHUNK.try_with(|chunk| Some(chunk.try_borrow_mut().ok()?.store(body))).ok()?;
    // A large body gets an allocation of its own. So does every body of a thread that is ending, whose
    // chunk is gone already.
    let kept = if is_large(body.len()) { None } else { shared() };
    kept.unwrap_or_else(|| Bytes::copy_from_slice(body))
}

/// Returns whether a body of this many bytes shares no memory: it would fill most of a chunk.
pub(crate) fn is_large(bytes: usize) -> bool {
    bytes > CHUNK_BYTES / 4
}

thread_local! {
    /// The chunk of each thread. No lock is necessary.
    static CHUNK: RefCell<BodyChunk> = RefCell::new(BodyChunk { free: BytesMut::new(), size: 0 });
}

/// The memory that a thread cuts bodies from. The chunk reuses or frees it once all of them are
/// settled.
struct BodyChunk {
    /// The unused rest of the chunk.
    free: BytesMut,
    /// The size of the whole chunk in bytes. A single unsettled body keeps this much alive.
    size: usize,
}

impl BodyChunk {
    /// Copies a body into the chunk, and allocates a new one if it does not fit.
    fn store(&mut self, body: &[u8]) -> Bytes {
        if !self.free.try_reclaim(body.len()) {
            // Double the size each time, so that a thread that emits little holds little.
            self.size = (self.size * 2).min(CHUNK_BYTES).max(body.len());
            self.free.reserve(self.size);
        }
        self.free.extend_from_slice(body);
        self.free.split().freeze()
    }
}

/// The largest chunk in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Bodies of every size, from empty to larger than a chunk.
    #[test]
    fn stores_bodies_unchanged() {
        let bodies: Vec<_> = (0..500).map(|length| vec![b'x'; length * 17]).collect();
        let kept: Vec<_> = bodies.iter().map(|body| store(body)).collect();
        assert!(bodies.iter().eq(kept.iter()));
    }

    /// Chunks start small and stop growing.
    #[test]
    fn a_thread_holds_at_most_one_chunk() {
        let mut chunk = BodyChunk { free: BytesMut::new(), size: 0 };
        drop(chunk.store(&[0; 700]));
        assert_eq!(chunk.size, 700);
        let mut held = Vec::new();
        for _ in 0..1000 {
            held.push(chunk.store(&[1; 700]));
            assert!(chunk.size <= CHUNK_BYTES && chunk.free.capacity() <= CHUNK_BYTES);
        }
    }

    /// A thread that emits now and then allocates nothing after the first time.
    #[test]
    fn reuses_the_memory_of_settled_messages() {
        let mut chunk = BodyChunk { free: BytesMut::new(), size: 0 };
        let first = chunk.store(&[0; 700]).as_ptr();
        assert!((0..1000).all(|_| chunk.store(&[1; 700]).as_ptr() == first));
    }
}
