//! Where the bodies of messages lie: several in one piece of memory.
//!
//! An allocation for each, which the worker's thread then frees, would be a tenth of what it costs to
//! emit a notification.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

/// Copies a body to where it stays until its message is settled.
pub(crate) fn keep(body: &[u8]) -> Bytes {
    let shared = || CHUNK.try_with(|chunk| Some(chunk.try_borrow_mut().ok()?.keep(body))).ok()?;
    // A large one would keep little company. And the thread may be ending, its chunk gone.
    let kept = (body.len() <= CHUNK_BYTES / 4).then(shared).flatten();
    kept.unwrap_or_else(|| Bytes::copy_from_slice(body))
}

thread_local! {
    static CHUNK: RefCell<Chunk> = RefCell::new(Chunk { free: BytesMut::new(), size: 0 });
}

/// What is left of the memory that a thread cuts bodies from. It is freed, or used again, once all of
/// them are settled.
struct Chunk {
    free: BytesMut,
    /// Of the whole chunk, in bytes. One body that is never settled keeps so much.
    size: usize,
}

impl Chunk {
    fn keep(&mut self, body: &[u8]) -> Bytes {
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
    fn bodies_are_kept_as_they_are() {
        let bodies: Vec<_> = (0..500).map(|length| vec![b'x'; length * 17]).collect();
        let kept: Vec<_> = bodies.iter().map(|body| keep(body)).collect();
        assert!(bodies.iter().eq(kept.iter()));
    }

    #[test]
    fn a_thread_keeps_little() {
        let mut chunk = Chunk { free: BytesMut::new(), size: 0 };
        drop(chunk.keep(&[0; 700]));
        assert_eq!(chunk.size, 700);
        let mut held = Vec::new();
        for _ in 0..1000 {
            held.push(chunk.keep(&[1; 700]));
            assert!(chunk.size <= CHUNK_BYTES && chunk.free.capacity() <= CHUNK_BYTES);
        }
    }

    /// What was settled makes room: who emits now and then allocates nothing.
    #[test]
    fn memory_is_used_again() {
        let mut chunk = Chunk { free: BytesMut::new(), size: 0 };
        let first = chunk.keep(&[0; 700]).as_ptr();
        assert!((0..1000).all(|_| chunk.keep(&[1; 700]).as_ptr() == first));
    }
}
