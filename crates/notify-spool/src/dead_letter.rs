//! The stored form of a dead letter.
//!
//! A dead letter is one row of the table `dead`: the time of the refusal (eight bytes), the length of
//! the reason (four bytes), the reason as UTF-8, and the content of the record. If the highest bit of the
//! length is set, the content has metadata. Numbers are little-endian. The format belongs to version 2 of
//! the spool and must not change. Version 1 has no metadata.

use crate::records::{Record, TruncatedRecord};

/// A message that the destination refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterRow<'a> {
    /// The time of the refusal, in seconds since 1970.
    pub(crate) refused_at: i64,
    /// The destination's reason.
    pub(crate) reason: &'a str,
    /// The record of the message.
    pub(crate) record: Record<'a>,
}

impl<'a> DeadLetterRow<'a> {
    /// Returns the row of the dead letter.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let content = self.record.content;
        // The length of the reason carries the mark of the record.
        let reason = Record { content: self.reason.as_bytes(), ..self.record };
        let (refused_at, length) =
            (self.refused_at.to_le_bytes(), reason.length_word().to_le_bytes());
        [refused_at.as_slice(), length.as_slice(), reason.content, content].concat()
    }

    /// Reads a row.
    ///
    /// # Errors
    ///
    /// [`TruncatedRecord`] if the row ends too early or its reason is not UTF-8.
    pub(crate) fn decode(row: &'a [u8]) -> Result<Self, TruncatedRecord> {
        let (refused_at, rest) = row.split_first_chunk().ok_or(TruncatedRecord)?;
        let (length, rest) = rest.split_first_chunk().ok_or(TruncatedRecord)?;
        let word = u32::from_le_bytes(*length);
        let (reason, content) = Record::split(word, rest).ok_or(TruncatedRecord)?;
        let record = Record { content, ..reason };
        let reason = std::str::from_utf8(reason.content).map_err(|_| TruncatedRecord)?;
        Ok(Self { refused_at: i64::from_le_bytes(*refused_at), reason, record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dead letter survives the disk in the format of version 1, and no truncated row passes for one.
    #[test]
    fn a_dead_letter_survives_encoding() {
        let record = Record { has_metadata: false, content: b"{}" };
        let letter = DeadLetterRow { refused_at: -7, reason: "unroutable", record };
        let row = letter.encode();
        assert_eq!(row, b"\xf9\xff\xff\xff\xff\xff\xff\xff\x0a\0\0\0unroutable{}", "version 1");
        assert_eq!(DeadLetterRow::decode(&row), Ok(letter.clone()));
        for cut in 0..22 {
            assert_eq!(DeadLetterRow::decode(&row[..cut]), Err(TruncatedRecord), "{cut}");
        }
        let record = Record { has_metadata: true, ..record };
        let marked = DeadLetterRow { record, ..letter };
        let row = marked.encode();
        assert_eq!(row[8..12], *b"\x0a\0\0\x80", "version 2");
        assert_eq!(DeadLetterRow::decode(&row), Ok(marked));
    }
}
