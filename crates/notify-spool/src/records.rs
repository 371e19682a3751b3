//! The stored form of messages: records, and chunks of records.
//!
//! * A **record** is the length of a body (four bytes, little-endian) and the body. The body alone
//!   restores a message. A record of length zero marks the place of a removed message.
//! * A **chunk** is a sequence of records and one row of the table `messages`. One row for each message
//!   would cost most of the disk's speed.
//!
//! The format belongs to version 1 of the spool and must not change. Any program could have written
//! the bytes that this module reads: it must not panic, and it must not trust a length.

use std::ops::Range;

use notify_core::Message;
use notify_core::transport::Lane;

/// The bytes of a record beside its body.
pub(crate) const RECORD_OVERHEAD: u64 = 4;

/// Returns the size of the record of `body`, in bytes.
pub(crate) fn record_size(body: &[u8]) -> u64 {
    body.len() as u64 + RECORD_OVERHEAD
}

/// A group of messages that share chunks: those of one lane that fails, or `None` for all others.
///
/// The messages of a chunk have their outcomes at about the same time, so that the slot removes the chunk
/// as a whole. A chunk with some messages that wait for a lane would be written again without the others.
pub(crate) type ChunkGroup = Option<Lane>;

/// The records of one batch, in one piece of memory.
#[derive(Default)]
pub(crate) struct RecordBatch {
    bytes: Vec<u8>,
    /// The end of each record in `bytes`.
    ends: Vec<usize>,
    /// The indices of the records that start a chunk, beside those that the size of a chunk starts.
    chunk_starts: Vec<usize>,
}

impl RecordBatch {
    /// Replaces the records by those of `messages`. A chunk holds messages of one group only.
    pub(crate) fn fill<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (ChunkGroup, &'a Message)>,
    ) {
        self.bytes.clear();
        self.ends.clear();
        self.chunk_starts.clear();
        let mut last = None;
        for (group, message) in messages {
            if last.replace(group).is_some_and(|last| last != group) {
                self.chunk_starts.push(self.count());
            }
            self.push(message.body());
        }
    }

    /// Adds one record. It truncates a body of 4 GiB or more, which no size limit admits.
    pub(crate) fn push(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&body[..length as usize]);
        self.ends.push(self.bytes.len());
    }

    /// Returns the bytes of all records.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the number of records.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Returns how many records from the first fit into `messages` messages and `bytes` bytes.
    pub(crate) fn fitting(&self, messages: u64, bytes: u64) -> usize {
        let in_bytes = self.ends.partition_point(|&end| end as u64 <= bytes);
        in_bytes.min(usize::try_from(messages).unwrap_or(usize::MAX))
    }

    /// Returns the size of the first `count` records, in bytes.
    pub(crate) fn bytes_of(&self, count: usize) -> u64 {
        count.checked_sub(1).map_or(0, |last| self.ends[last] as u64)
    }

    /// Returns the first `count` records as chunks, each with the index of its first record.
    pub(crate) fn chunks(&self, count: usize) -> impl Iterator<Item = (u64, &[u8])> {
        let ends = &self.ends[..count];
        let mut first = 0_usize;
        std::iter::from_fn(move || {
            let start = first.checked_sub(1).map_or(0, |before| ends[before]);
            let fits = ends.partition_point(|&end| end - start.min(end) <= CHUNK_BYTES);
            let next_group = self.chunk_starts.iter().copied().find(|start| *start > first);
            let last = fits.max(first + 1).min(next_group.unwrap_or(usize::MAX));
            let chunk = &self.bytes[start..*ends.get(last - 1)?];
            let index = first as u64;
            first = last;
            Some((index, chunk))
        })
    }
}

impl std::fmt::Debug for RecordBatch {
    /// Shows the number of records but no content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordBatch").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// A chunk that a slot returned.
#[derive(Debug)]
pub(crate) struct RecordChunk {
    /// The number of the chunk's first message. The others follow it without a gap.
    pub(crate) first: u64,
    /// The records.
    pub(crate) bytes: Vec<u8>,
}

impl RecordChunk {
    /// Removes the messages whose indices match `is_removed`. They keep their places.
    pub(crate) fn remove_where(&mut self, mut is_removed: impl FnMut(usize) -> bool) {
        let mut rest = RecordBatch::default();
        for (index, body) in bodies(&self.bytes).flatten().enumerate() {
            rest.push(if is_removed(index) { &[] } else { body });
        }
        self.bytes = rest.bytes;
    }
}

/// A record, or the rest of a chunk, that ends too early or has another format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TruncatedRecord;

/// Returns the bodies of a chunk in order. The body of a removed message is empty.
///
/// # Errors
///
/// The last item is an error if the chunk ends within a record.
pub(crate) fn bodies(chunk: &[u8]) -> impl Iterator<Item = Result<&[u8], TruncatedRecord>> {
    body_ranges(chunk).map(|range| range.map(|range| &chunk[range]))
}

/// Returns the chunk without the records whose indices match `is_removed`.
///
/// A removed record keeps its place as a record of length zero, so that the others keep their numbers.
/// The result is `None` if no message remains.
pub(crate) fn without_records(
    chunk: &[u8],
    mut is_removed: impl FnMut(usize) -> bool,
) -> Option<Vec<u8>> {
    let mut rest = RecordBatch::default();
    let mut any = false;
    for (index, body) in bodies(chunk).enumerate() {
        match body {
            Ok(body) if !is_removed(index) => {
                any |= !body.is_empty();
                rest.push(body);
            }
            Ok(_) => rest.push(&[]),
            Err(TruncatedRecord) => break,
        }
    }
    any.then_some(rest.bytes)
}

/// Returns the range of each body within a chunk.
fn body_ranges(chunk: &[u8]) -> impl Iterator<Item = Result<Range<usize>, TruncatedRecord>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = chunk.get(at..).filter(|rest| !rest.is_empty())?;
        let range = rest.split_first_chunk().and_then(|(length, rest)| {
            let length = u32::from_le_bytes(*length) as usize;
            (length <= rest.len()).then_some(at + 4..at + 4 + length)
        });
        at = range.as_ref().map_or(chunk.len(), |range| range.end);
        Some(range.ok_or(TruncatedRecord))
    })
}

/// The largest chunk, unless one record alone is larger.
///
/// Measured: redb fills its pages of 32 KiB with such chunks, and a batch becomes a few dozen writes.
const CHUNK_BYTES: usize = 31 * 1024;

#[cfg(test)]
mod tests {
    use notify_conformance::samples;
    use notify_core::transport::Lanes;

    use super::*;

    /// Returns a batch with one record for each body.
    fn batch(bodies: &[&[u8]]) -> RecordBatch {
        let mut records = RecordBatch::default();
        for body in bodies {
            records.push(body);
        }
        records
    }

    /// The bytes of a record are those of version 1: a little-endian length and the body.
    #[test]
    fn a_record_keeps_its_format() {
        let records = batch(&[b"{}", b""]);
        assert_eq!(records.bytes, b"\x02\0\0\0{}\0\0\0\0");
        assert_eq!(records.bytes_of(1), record_size(b"{}"));
    }

    /// Chunks preserve every body and every index, for any part of a batch.
    #[test]
    fn chunks_return_the_bodies_of_a_batch() {
        let stored: Vec<Vec<u8>> = (1..2000).map(|n| vec![b'x'; n % 700 + 1]).collect();
        let records = batch(&stored.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for count in [0, 1, 77, 1999] {
            let mut read = Vec::new();
            for (index, chunk) in records.chunks(count) {
                assert_eq!(index, read.len() as u64);
                assert!(chunk.len() <= CHUNK_BYTES);
                read.extend(bodies(chunk).map(|body| body.unwrap().to_vec()));
            }
            assert!(read == stored[..count]);
        }
    }

    /// Messages of different groups share no chunk, whatever part of the batch is stored.
    #[test]
    fn a_chunk_holds_one_group() {
        let lanes: Vec<_> = Lanes::by(["a", "b"], |_| 0).unwrap().iter().collect();
        let messages = samples::messages(0..100);
        let groups = [(10, None), (50, Some(lanes[0])), (100, Some(lanes[1]))];
        let group = |index: usize| groups.iter().find(|(end, _)| index < *end).unwrap().1;
        let mut records = RecordBatch::default();
        for _ in 0..2 {
            records.fill(messages.iter().enumerate().map(|(index, it)| (group(index), it)));
        }
        for count in [1, 10, 11, 60, 100] {
            let mut stored = Vec::new();
            for (first, chunk) in records.chunks(count) {
                assert_eq!(first, stored.len() as u64);
                let before = stored.len();
                stored.extend(bodies(chunk).map(|body| body.unwrap().to_vec()));
                assert_eq!(group(before), group(stored.len() - 1), "{before}");
            }
            assert!(
                stored.iter().map(Vec::as_slice).eq(messages[..count].iter().map(Message::body))
            );
        }
        records.fill(messages.iter().map(|message| (None, message)));
        let chunks = records.chunks(100).count();
        assert!(chunks < 100 / 10, "the groups of an earlier batch are gone: {chunks} chunks");
    }

    /// A record larger than a chunk still fits into the spool.
    #[test]
    fn a_large_record_gets_its_own_chunk() {
        let large = vec![b'x'; 1024 * 1024];
        let records = batch(&[b"a", &large, b"b", b"c"]);
        let chunks: Vec<_> =
            records.chunks(4).map(|(index, chunk)| (index, bodies(chunk).count())).collect();
        assert_eq!(chunks, [(0, 1), (1, 1), (2, 2)]);
        assert_eq!(records.fitting(9, 4), 0);
        assert_eq!(records.fitting(9, 5), 1);
        assert_eq!(records.fitting(2, u64::MAX), 2);
        assert_eq!(records.bytes_of(2), large.len() as u64 + 9);
    }

    /// Removal changes no number of another message.
    #[test]
    fn a_removed_record_keeps_its_place() {
        let records = batch(&[b"a", b"bb", b"c"]);
        let chunk = without_records(&records.bytes, |index| index == 1).unwrap();
        let rest: Vec<_> = bodies(&chunk).map(Result::unwrap).collect();
        assert_eq!(rest, [b"a".as_slice(), b"", b"c"]);
        assert_eq!(without_records(&chunk, |index| index != 1), None);
    }

    /// A chunk that ends within a record yields an error instead of a shorter body.
    #[test]
    fn a_truncated_chunk_is_an_error() {
        let records = batch(&[b"{\"a\":1}", b"{}"]);
        for cut in 0..records.bytes.len() {
            let read: Vec<_> = bodies(&records.bytes[..cut]).collect();
            let is_whole = cut == 0 || cut == 11;
            assert!(is_whole || read.last() == Some(&Err(TruncatedRecord)), "{cut}");
        }
    }
}
