//! The entry point of the fuzzer into the spool's formats.

use crate::dead_letter::DeadLetterRow;
use crate::records::{RecordBatch, records, without_records};

/// Parses arbitrary bytes as records and as a dead letter, and encodes them again.
///
/// Not public API: `tests/fuzz` calls this function with the bytes that it invents.
///
/// # Panics
///
/// If the encoded bytes differ from the parsed bytes.
#[doc(hidden)]
pub fn fuzz_records(bytes: &[u8]) {
    let mut again = RecordBatch::default();
    for record in records(bytes).flatten() {
        again.push(record);
        let _ = record.message();
    }
    assert!(bytes.starts_with(again.bytes()), "records must encode to the same bytes");
    let all = without_records(bytes, |_| false).unwrap_or_default();
    assert!(all.is_empty() || all == again.bytes(), "no record may disappear unasked");
    assert_eq!(without_records(bytes, |_| true), None, "no record may remain");
    without_records(bytes, |index| index % 2 == 0);
    if let Ok(letter) = DeadLetterRow::decode(bytes) {
        assert_eq!(letter.encode(), bytes, "a dead letter must encode to the same bytes");
        let _ = letter.record.message();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every value of a length byte is harmless, also lengths beyond the end.
    #[test]
    fn arbitrary_lengths_do_not_panic() {
        for first in 0..=u8::MAX {
            fuzz_records(&[first, 0, 0, 0, b'{', first, first, first, 1, 2, 3, 4, 5]);
        }
    }
}
