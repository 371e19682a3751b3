//! How messages lie in a slot: records, and chunks of them.
//!
//! A record is the length of a body, four bytes with the lowest first, and the body: a message is
//! restored from its body alone. A record of length zero stands for one that is gone. A chunk is some
//! records in a row, and one row of the database: a row for each message would cost most of what the
//! disk can do.
//!
//! A dead letter is one more record, behind when and why it was refused.
//!
//! Whatever is read here may have been written by anybody: nothing panics, nothing is believed.

use std::ops::Range;

use notify_core::Message;

/// What a record takes besides its body, in bytes.
pub(crate) const OVERHEAD: u64 = 4;

/// What a message takes in the spool, in bytes.
pub(crate) fn size(body: &[u8]) -> u64 {
    body.len() as u64 + OVERHEAD
}

/// The records of one batch, in one piece.
#[derive(Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    /// Where each record ends.
    ends: Vec<usize>,
}

impl Records {
    /// Replaces what is held by records of `messages`.
    pub(crate) fn fill<'a>(&mut self, messages: impl IntoIterator<Item = &'a Message>) {
        self.bytes.clear();
        self.ends.clear();
        for message in messages {
            self.push(message.body());
        }
    }

    /// Adds one record. A body of 4 GiB or more, which no limit lets through, is cut.
    pub(crate) fn push(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&body[..length as usize]);
        self.ends.push(self.bytes.len());
    }

    /// How many records there are.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    /// How many records, from the first, have no more than `messages` and `bytes` together.
    pub(crate) fn fitting(&self, messages: u64, bytes: u64) -> usize {
        let in_bytes = self.ends.partition_point(|&end| end as u64 <= bytes);
        in_bytes.min(usize::try_from(messages).unwrap_or(usize::MAX))
    }

    /// How many bytes the first `count` records take.
    pub(crate) fn bytes_of(&self, count: usize) -> u64 {
        count.checked_sub(1).map_or(0, |last| self.ends[last] as u64)
    }

    /// The first `count` records in chunks, each with the place of its first record.
    pub(crate) fn chunks(&self, count: usize) -> impl Iterator<Item = (u64, &[u8])> {
        let ends = &self.ends[..count];
        let mut first = 0_usize;
        std::iter::from_fn(move || {
            let start = first.checked_sub(1).map_or(0, |before| ends[before]);
            let fits = ends.partition_point(|&end| end - start.min(end) <= CHUNK_BYTES);
            let last = fits.max(first + 1);
            let chunk = &self.bytes[start..*ends.get(last - 1)?];
            let place = first as u64;
            first = last;
            Some((place, chunk))
        })
    }
}

impl std::fmt::Debug for Records {
    /// Shows nothing of them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// The bodies in a chunk, in order; empty where the message is gone. `Err` for the rest of a chunk
/// that is not one.
pub(crate) fn bodies(chunk: &[u8]) -> impl Iterator<Item = Result<&[u8], Torn>> {
    ranges(chunk).map(|range| range.map(|range| &chunk[range]))
}

/// The chunk is cut, or no chunk at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Torn;

/// The chunk without the records for which `gone` says so; `None` when none is left.
pub(crate) fn without(chunk: &[u8], mut gone: impl FnMut(usize) -> bool) -> Option<Vec<u8>> {
    let mut left = Records::default();
    let mut any = false;
    for (index, body) in bodies(chunk).enumerate() {
        match body {
            Ok(body) if !gone(index) => {
                any |= !body.is_empty();
                left.push(body);
            }
            Ok(_) => left.push(&[]),
            Err(Torn) => break,
        }
    }
    any.then_some(left.bytes)
}

/// A message that the destination will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter<'a> {
    /// When it was refused, in seconds since 1970.
    pub(crate) since: i64,
    pub(crate) reason: &'a str,
    pub(crate) body: &'a [u8],
}

impl<'a> DeadLetter<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.reason.len()).unwrap_or(u32::MAX);
        let reason = &self.reason.as_bytes()[..length as usize];
        [&self.since.to_le_bytes(), length.to_le_bytes().as_slice(), reason, self.body].concat()
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Torn> {
        let (since, rest) = bytes.split_first_chunk().ok_or(Torn)?;
        let (length, rest) = rest.split_first_chunk().ok_or(Torn)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (reason, body) = rest.split_at_checked(length).ok_or(Torn)?;
        let reason = std::str::from_utf8(reason).map_err(|_| Torn)?;
        Ok(Self { since: i64::from_le_bytes(*since), reason, body })
    }
}

/// Reads bytes as whatever a slot may hold, and writes it again: for fuzzing.
///
/// # Panics
///
/// Where a debug build sees that what was read is written otherwise.
#[doc(hidden)]
pub fn fuzz_records(bytes: &[u8]) {
    let mut again = Records::default();
    for body in bodies(bytes).flatten() {
        again.push(body);
        let _ = Message::from_body(body.to_vec());
    }
    debug_assert!(bytes.starts_with(&again.bytes), "records are written as they were");
    let all = without(bytes, |_| false).unwrap_or_default();
    debug_assert!(all.is_empty() || all == again.bytes, "nothing is taken away unasked");
    debug_assert_eq!(without(bytes, |_| true), None, "nothing is left of nothing");
    without(bytes, |index| index % 2 == 0);
    if let Ok(letter) = DeadLetter::decode(bytes) {
        debug_assert_eq!(letter.encode(), bytes, "a dead letter is written as it was");
        let _ = Message::from_body(letter.body.to_vec());
    }
}

fn ranges(chunk: &[u8]) -> impl Iterator<Item = Result<Range<usize>, Torn>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = chunk.get(at..).filter(|rest| !rest.is_empty())?;
        let range = rest.split_first_chunk().and_then(|(length, rest)| {
            let length = u32::from_le_bytes(*length) as usize;
            (length <= rest.len()).then_some(at + 4..at + 4 + length)
        });
        at = range.as_ref().map_or(chunk.len(), |range| range.end);
        Some(range.ok_or(Torn))
    })
}

/// What a row holds at most, unless one record alone is larger. Chosen by measuring: the database
/// fills its pages of 32 KiB with it, and a batch becomes a few dozen writes.
const CHUNK_BYTES: usize = 31 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn records(bodies: &[&[u8]]) -> Records {
        let mut records = Records::default();
        for body in bodies {
            records.push(body);
        }
        records
    }

    #[test]
    fn records_come_out_as_they_went_in() {
        let bodies_in: Vec<Vec<u8>> = (1..2000).map(|n| vec![b'x'; n % 700 + 1]).collect();
        let records = records(&bodies_in.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for count in [0, 1, 77, 1999] {
            let mut out = Vec::new();
            for (place, chunk) in records.chunks(count) {
                assert_eq!(place, out.len() as u64);
                assert!(chunk.len() <= CHUNK_BYTES);
                out.extend(bodies(chunk).map(|body| body.unwrap().to_vec()));
            }
            assert!(out == bodies_in[..count]);
        }
    }

    #[test]
    fn a_large_record_has_a_chunk_for_itself() {
        let large = vec![b'x'; 1024 * 1024];
        let records = records(&[b"a", &large, b"b", b"c"]);
        let chunks: Vec<_> =
            records.chunks(4).map(|(place, chunk)| (place, bodies(chunk).count())).collect();
        assert_eq!(chunks, [(0, 1), (1, 1), (2, 2)]);
        assert_eq!(records.fitting(9, 4), 0);
        assert_eq!(records.fitting(9, 5), 1);
        assert_eq!(records.fitting(2, u64::MAX), 2);
        assert_eq!(records.bytes_of(2), large.len() as u64 + 9);
    }

    #[test]
    fn what_is_gone_keeps_its_place() {
        let records = records(&[b"a", b"bb", b"c"]);
        let chunk = without(&records.bytes, |index| index == 1).unwrap();
        let left: Vec<_> = bodies(&chunk).map(Result::unwrap).collect();
        assert_eq!(left, [b"a".as_slice(), b"", b"c"]);
        assert_eq!(without(&chunk, |index| index != 1), None);
    }

    #[test]
    fn a_dead_letter_comes_out_as_it_went_in() {
        let letter = DeadLetter { since: -7, reason: "unroutable", body: b"{}" };
        let bytes = letter.encode();
        assert_eq!(DeadLetter::decode(&bytes), Ok(letter));
        for cut in 0..22 {
            assert_eq!(DeadLetter::decode(&bytes[..cut]), Err(Torn), "{cut}");
        }
    }

    #[test]
    fn whatever_is_cut_is_torn_and_nothing_panics() {
        let records = records(&[b"{\"a\":1}", b"{}"]);
        for cut in 0..records.bytes.len() {
            let read: Vec<_> = bodies(&records.bytes[..cut]).collect();
            assert!(cut == 0 || cut == 11 || read.last() == Some(&Err(Torn)), "{cut}");
        }
        for first in 0..=u8::MAX {
            fuzz_records(&[first, 0, 0, 0, b'{', first, first, first, 1, 2, 3, 4, 5]);
        }
    }
}
