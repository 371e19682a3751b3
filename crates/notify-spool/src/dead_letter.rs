//! The stored form of a dead letter.
//!
//! A dead letter is one row of the table `dead`: the time of the refusal (eight bytes), the length of
//! the reason (four bytes), the reason as UTF-8, and the body. Numbers are little-endian. The format
//! belongs to version 1 of the spool and must not change.

use crate::records::TruncatedRecord;

/// A message that the destination refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetterRow<'a> {
    /// The time of the refusal, in seconds since 1970.
    pub(crate) refused_at: i64,
    /// The destination's reason.
    pub(crate) reason: &'a str,
    /// The body of the message.
    pub(crate) body: &'a [u8],
}

impl<'a> DeadLetterRow<'a> {
    /// Returns the row of the dead letter.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.reason.len()).unwrap_or(u32::MAX);
        let reason = &self.reason.as_bytes()[..length as usize];
        let (refused_at, length) = (self.refused_at.to_le_bytes(), length.to_le_bytes());
        [refused_at.as_slice(), length.as_slice(), reason, self.body].concat()
    }

    /// Reads a row.
    ///
    /// # Errors
    ///
    /// [`TruncatedRecord`] if the row ends too early or its reason is not UTF-8.
    pub(crate) fn decode(row: &'a [u8]) -> Result<Self, TruncatedRecord> {
        let (refused_at, rest) = row.split_first_chunk().ok_or(TruncatedRecord)?;
        let (length, rest) = rest.split_first_chunk().ok_or(TruncatedRecord)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (reason, body) = rest.split_at_checked(length).ok_or(TruncatedRecord)?;
        let reason = std::str::from_utf8(reason).map_err(|_| TruncatedRecord)?;
        Ok(Self { refused_at: i64::from_le_bytes(*refused_at), reason, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dead letter survives the disk in the format of version 1, and no truncated row passes for one.
    #[test]
    fn a_dead_letter_survives_encoding() {
        let letter = DeadLetterRow { refused_at: -7, reason: "unroutable", body: b"{}" };
        let row = letter.encode();
        assert_eq!(row, b"\xf9\xff\xff\xff\xff\xff\xff\xff\x0a\0\0\0unroutable{}", "version 1");
        assert_eq!(DeadLetterRow::decode(&row), Ok(letter));
        for cut in 0..22 {
            assert_eq!(DeadLetterRow::decode(&row[..cut]), Err(TruncatedRecord), "{cut}");
        }
    }
}
