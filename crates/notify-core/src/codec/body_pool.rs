//! Where the bodies of messages lie: several in one piece of memory.
//!
//! An allocation for each, which the worker's thread then frees, would be a tenth of what it costs to
//! emit a notification.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

/// Copies a body to where it stays until its message is settled.
pub(crate) fn store(body: &[u8]) -> Bytes {
    let shared = || CHUNK.try_with(|chunk| Some(chunk.try_borrow_mut().ok()?.store(body))).ok()?;
    // A large one would keep little company. And the thread may be ending, its chunk gone.
    let kept = (body.len() <= CHUNK_BYTES / 4).then(shared).flatten();
    kept.unwrap_or_else(|| Bytes::copy_from_slice(body))
}

thread_local! {
    static CHUNK: RefCell<BodyChunk> = RefCell::new(BodyChunk { free: BytesMut::new(), size: 0 });
}

/// What is left of the memory that a thread cuts bodies from. It is freed, or used again, once all of
/// them are settled.
struct BodyChunk {
    free: BytesMut,
    /// Of the whole chunk, in bytes. One body that is never settled keeps so much.
    size: usize,
}

impl BodyChunk {
    fn store(&mut self, body: &[u8]) -> Bytes {
        if !self.free.try_reclaim(body.len()) {
            // A thread that emits little takes little.
            self.size = (self.size * 2).min(CHUNK_BYTES).max(body.len());
            self.free.reserve(self.size);
        }
        self.free.extend_from_slice(body);
        self.free.split().freeze()
    }
}

const CHUNK_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_bodies_unchanged() {
        let bodies: Vec<_> = (0..500).map(|length| vec![b'x'; length * 17]).collect();
        let kept: Vec<_> = bodies.iter().map(|body| store(body)).collect();
        assert!(bodies.iter().eq(kept.iter()));
    }

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

    /// What was settled makes room: who emits now and then allocates nothing.
    #[test]
    fn reuses_the_memory_of_settled_messages() {
        let mut chunk = BodyChunk { free: BytesMut::new(), size: 0 };
        let first = chunk.store(&[0; 700]).as_ptr();
        assert!((0..1000).all(|_| chunk.store(&[1; 700]).as_ptr() == first));
    }
}
