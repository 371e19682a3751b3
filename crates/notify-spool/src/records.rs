//! The stored form of messages: records, and chunks of records.
//!
//! * A **record** is a length (four bytes, little-endian) and as many bytes of content: the body of a
//!   message. If the highest bit of the length is set, the length of the metadata (two bytes,
//!   little-endian) and the metadata precede the body. A record of length zero marks the place of a
//!   removed message.
//! * A **chunk** is a sequence of records and one row of the table `messages`. One row for each message
//!   would cost most of the disk's speed.
//!
//! The format belongs to version 2 of the spool and must not change. Version 1 has no metadata. Any program
//! could have written the bytes that this module reads: it must not panic, and it must not trust a length.

use notify_core::transport::Lane;
use notify_core::{Error, ErrorKind, Message, Result};

use crate::metadata::{MAX_FIELD_OVERHEAD, decode_metadata, encode_metadata};
use crate::slot_status::MessageTotals;

/// The bytes of a record beside its content.
pub(crate) const RECORD_OVERHEAD: u64 = 4;

/// The most bytes of a record beside the [size](Message::size) of its message.
pub(crate) const MAX_RECORD_OVERHEAD: u64 = RECORD_OVERHEAD + 2 + MAX_FIELD_OVERHEAD as u64;

/// The content of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Whether metadata precedes the body.
    pub(crate) has_metadata: bool,
    /// The metadata with its length, and the body. Empty for a removed message.
    pub(crate) content: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record of a removed message.
    pub(crate) const REMOVED: Record<'static> = Record { has_metadata: false, content: &[] };

    /// Returns whether the message was removed.
    pub(crate) fn is_removed(self) -> bool {
        self.content.is_empty()
    }

    /// Returns the size of the record in bytes.
    pub(crate) fn size(self) -> u64 {
        self.content.len() as u64 + RECORD_OVERHEAD
    }

    /// Returns the length of the content, with the mark of metadata.
    pub(crate) fn length_word(self) -> u32 {
        let length = u32::try_from(self.content.len()).unwrap_or(u32::MAX) & !METADATA_MARK;
        if self.has_metadata { length | METADATA_MARK } else { length }
    }

    /// Reads a length word, and the record with that length at the begin of `bytes`. Returns it with the
    /// bytes behind it; `None` if there are fewer.
    pub(crate) fn split(word: u32, bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (content, rest) = bytes.split_at_checked((word & !METADATA_MARK) as usize)?;
        Some((Self { has_metadata: word & METADATA_MARK != 0, content }, rest))
    }

    /// Restores the message.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the content is no message.
    pub(crate) fn message(self) -> Result<Message> {
        if !self.has_metadata {
            return Message::from_body(self.content.to_vec());
        }
        let split = self
            .content
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(u16::from_le_bytes(*length).into()));
        let damaged = || Error::new(ErrorKind::Invalid, "the stored record is truncated");
        let (metadata, body) = split.ok_or_else(damaged)?;
        decode_metadata(Message::from_body(body.to_vec())?, metadata)
    }
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
    /// The number of records of lanes that work. They precede the others.
    working: usize,
    /// Whether a record has metadata.
    pub(crate) has_metadata: bool,
}

impl RecordBatch {
    /// Replaces the records by those of `messages`, of which those of lanes that fail come last. A chunk holds
    /// messages of one group only.
    pub(crate) fn fill<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (ChunkGroup, &'a Message)>,
    ) {
        self.bytes.clear();
        self.ends.clear();
        self.chunk_starts.clear();
        self.working = 0;
        self.has_metadata = false;
        let mut last = None;
        for (group, message) in messages {
            if last.replace(group).is_some_and(|last| last != group) {
                self.chunk_starts.push(self.count());
            }
            self.working += usize::from(group.is_none());
            self.push_message(message);
        }
    }

    /// Adds the record of a message. It truncates a body of 2 GiB or more, which no size limit admits.
    fn push_message(&mut self, message: &Message) {
        let start = self.bytes.len();
        let (content, fields) = (start + 4, start + 6);
        self.bytes.resize(fields, 0);
        encode_metadata(message, &mut self.bytes);
        let length = u16::try_from(self.bytes.len() - fields).unwrap_or(u16::MAX);
        let has_metadata = length > 0;
        if has_metadata {
            self.bytes[content..fields].copy_from_slice(&length.to_le_bytes());
        } else {
            self.bytes.truncate(content);
        }
        self.bytes.extend_from_slice(message.body());
        self.bytes.truncate(content.saturating_add(MAX_CONTENT_BYTES));
        let word = Record { has_metadata, content: &self.bytes[content..] }.length_word();
        self.bytes[start..content].copy_from_slice(&word.to_le_bytes());
        self.ends.push(self.bytes.len());
        self.has_metadata |= has_metadata;
    }

    /// Adds a record of another batch.
    pub(crate) fn push(&mut self, record: Record<'_>) {
        self.bytes.extend_from_slice(&record.length_word().to_le_bytes());
        self.bytes.extend_from_slice(record.content);
        self.ends.push(self.bytes.len());
        self.has_metadata |= record.has_metadata;
    }

    /// Returns the bytes of all records.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the number of records.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Returns how many records from the first may join `used` in a slot of the size `bounds`.
    ///
    /// The records of lanes that work may use all the room. The others may use half of it, however many lanes
    /// fail: otherwise one would keep the room that it got while another failed for a moment.
    pub(crate) fn fitting(&self, used: MessageTotals, bounds: MessageTotals) -> usize {
        let share = MessageTotals { messages: bounds.messages / 2, bytes: bounds.bytes / 2 };
        let in_share = self.fitting_in(share.minus(used));
        self.fitting_in(bounds.minus(used)).min(in_share.max(self.working))
    }

    /// Returns whether a record of a lane that works lies behind the first `count`.
    pub(crate) fn lacks_working(&self, count: usize) -> bool {
        count < self.working
    }

    /// Returns how many records from the first fit into `room`.
    fn fitting_in(&self, room: MessageTotals) -> usize {
        let in_bytes = self.ends.partition_point(|&end| end as u64 <= room.bytes);
        in_bytes.min(usize::try_from(room.messages).unwrap_or(usize::MAX))
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
        for (index, record) in records(&self.bytes).flatten().enumerate() {
            rest.push(if is_removed(index) { Record::REMOVED } else { record });
        }
        self.bytes = rest.bytes;
    }
}

/// A record, or the rest of a chunk, that ends too early or has another format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TruncatedRecord;

/// Returns the records of a chunk in order.
///
/// # Errors
///
/// The last item is an error if the chunk ends within a record.
pub(crate) fn records(chunk: &[u8]) -> impl Iterator<Item = Result<Record<'_>, TruncatedRecord>> {
    let mut rest = chunk;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let split = rest
            .split_first_chunk()
            .and_then(|(word, bytes)| Record::split(u32::from_le_bytes(*word), bytes));
        rest = split.map_or(&[], |(_, after)| after);
        Some(split.map(|(record, _)| record).ok_or(TruncatedRecord))
    })
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
    for (index, record) in records(chunk).enumerate() {
        match record {
            Ok(record) if !is_removed(index) => {
                any |= !record.is_removed();
                rest.push(record);
            }
            Ok(_) => rest.push(Record::REMOVED),
            Err(TruncatedRecord) => break,
        }
    }
    any.then_some(rest.bytes)
}

/// The bit of a length that says that metadata precedes the body.
const METADATA_MARK: u32 = 1 << 31;
/// The largest content of a record, in bytes.
const MAX_CONTENT_BYTES: usize = !METADATA_MARK as usize;
/// The largest chunk, unless one record alone is larger.
///
/// Measured: redb fills its pages of 32 KiB with such chunks, and a batch becomes a few dozen writes.
const CHUNK_BYTES: usize = 31 * 1024;

#[cfg(test)]
mod tests {
    use notify_conformance::samples;
    use notify_core::codec::Sequence;
    use notify_core::transport::Lanes;
    use uuid::Uuid;

    use super::*;

    /// Returns a batch with one record for each body.
    fn batch(bodies: &[&[u8]]) -> RecordBatch {
        let mut records = RecordBatch::default();
        for content in bodies {
            records.push(Record { has_metadata: false, content });
        }
        records
    }

    /// Returns the contents of a chunk.
    fn contents(chunk: &[u8]) -> Vec<Vec<u8>> {
        records(chunk).map(|record| record.unwrap().content.to_vec()).collect()
    }

    /// The bytes of a record without metadata are those of version 1: a little-endian length and the body.
    #[test]
    fn a_record_keeps_its_format() {
        let records = batch(&[b"{}", b""]);
        assert_eq!(records.bytes, b"\x02\0\0\0{}\0\0\0\0");
        assert_eq!(records.bytes_of(1), Record { has_metadata: false, content: b"{}" }.size());
    }

    /// A message with metadata has the mark of version 2, and comes back with it.
    #[test]
    fn a_record_keeps_context_and_sequence() {
        let sequence = Sequence::new(Uuid::from_bytes(*b"0123456789abcdef"), "info", 1);
        let plain = samples::messages(0..1).remove(0);
        let numbered = plain.clone().with_sequence(sequence.clone());
        let mut batch = RecordBatch::default();
        batch.fill([(None, &plain), (None, &numbered)]);
        assert!(batch.has_metadata);
        let content = u32::try_from(2 + 31 + plain.body().len()).unwrap();
        let marked = &batch.bytes[plain.body().len() + 4..];
        assert_eq!(marked[..4], (content | 1 << 31).to_le_bytes());
        assert_eq!(marked[4..9], *b"\x1f\0\x06\x1c\0");
        let read: Vec<_> = records(&batch.bytes).map(|it| it.unwrap().message().unwrap()).collect();
        assert_eq!((read[0].sequence(), read[1].sequence()), (None, Some(&sequence)));
        assert!(read.iter().all(|message| message.body() == plain.body()));
        let rest = without_records(&batch.bytes, |index| index == 0).unwrap();
        let kept = records(&rest).nth(1).unwrap().unwrap().message().unwrap();
        assert_eq!(kept.sequence(), Some(&sequence), "writing a chunk again keeps metadata");
        batch.fill([(None, &plain)]);
        assert!(!batch.has_metadata);
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
                read.extend(contents(chunk));
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
                stored.extend(contents(chunk));
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
            records.chunks(4).map(|(index, chunk)| (index, contents(chunk).len())).collect();
        assert_eq!(chunks, [(0, 1), (1, 1), (2, 2)]);
        let fitting = |messages, bytes| records.fitting_in(MessageTotals { messages, bytes });
        assert_eq!((fitting(9, 4), fitting(9, 5), fitting(2, u64::MAX)), (0, 1, 2));
        assert_eq!(records.bytes_of(2), large.len() as u64 + 9);
    }

    /// Removal changes no number of another message.
    #[test]
    fn a_removed_record_keeps_its_place() {
        let records = batch(&[b"a", b"bb", b"c"]);
        let chunk = without_records(&records.bytes, |index| index == 1).unwrap();
        assert_eq!(contents(&chunk), [b"a".as_slice(), b"", b"c"]);
        assert_eq!(without_records(&chunk, |index| index != 1), None);
    }

    /// A chunk that ends within a record yields an error instead of a shorter body.
    #[test]
    fn a_truncated_chunk_is_an_error() {
        let stored = batch(&[b"{\"a\":1}", b"{}"]);
        for cut in 0..stored.bytes.len() {
            let read: Vec<_> = records(&stored.bytes[..cut]).collect();
            let is_whole = cut == 0 || cut == 11;
            assert!(is_whole || read.last() == Some(&Err(TruncatedRecord)), "{cut}");
        }
    }
}
