//! The stored form of bodies: as they are, or compressed where that saves an eighth.
//!
//! Notifications are small and alike, so compression starts from a dictionary of typical ones. The
//! dictionary of an encoding never changes: a changed one needs a new number.

use std::borrow::Cow;

use lz4_flex::block::{compress_with_dict, decompress_with_dict};

/// Returns the stored form of a body: the number of its encoding, and its bytes.
pub(crate) fn encode(body: &[u8]) -> (i64, Cow<'_, [u8]>) {
    let compressed = compress_with_dict(body, DICTIONARY);
    let Ok(length) = u32::try_from(body.len()) else { return (PLAIN, Cow::Borrowed(body)) };
    if compressed.len() + LENGTH_BYTES > body.len() - body.len() / 8 {
        return (PLAIN, Cow::Borrowed(body));
    }
    let mut stored = Vec::with_capacity(LENGTH_BYTES + compressed.len());
    stored.extend_from_slice(&length.to_le_bytes());
    stored.extend_from_slice(&compressed);
    (LZ4_DICTIONARY_1, Cow::Owned(stored))
}

/// Returns the body in a stored form, or `None` if the form is damaged.
pub(crate) fn decode(encoding: i64, stored: &[u8]) -> Option<Vec<u8>> {
    match encoding {
        PLAIN => Some(stored.to_vec()),
        LZ4_DICTIONARY_1 => {
            let (length, compressed) = stored.split_first_chunk::<LENGTH_BYTES>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            // A damaged length must not exhaust the memory. LZ4 expands a byte to 255 at most.
            if length > compressed.len().saturating_mul(255).saturating_add(64) {
                return None;
            }
            let body = decompress_with_dict(compressed, length, DICTIONARY).ok()?;
            (body.len() == length).then_some(body)
        }
        _ => None,
    }
}

/// A body as it is.
const PLAIN: i64 = 0;
/// The length in four bytes, little-endian, then a block of LZ4 that begins with [`DICTIONARY`].
const LZ4_DICTIONARY_1: i64 = 1;
/// The bytes of a length.
const LENGTH_BYTES: usize = 4;
/// Typical notifications. Never change it.
const DICTIONARY: &[u8] = include_bytes!("dictionary-1.json");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::record_reader::RecordReader;

    /// Every body survives, and bodies of Glance take less than half their size.
    #[test]
    fn bodies_survive_and_shrink() {
        let day = include_str!("../../../../docs/samples/cloud-day.jsonl");
        let (mut before, mut after) = (0, 0);
        for line in day.lines() {
            let body = RecordReader::new("day").read(line.as_bytes()).unwrap().body;
            let (encoding, stored) = encode(&body);
            assert_eq!(decode(encoding, &stored).unwrap(), *body);
            before += body.len();
            after += stored.len();
        }
        assert!(after * 2 < before, "{after} of {before} bytes");
        for body in [&b""[..], b"x", &[0; 10_000], b"\xff\xfe"] {
            let (encoding, stored) = encode(body);
            assert_eq!(decode(encoding, &stored).unwrap(), body);
        }
    }

    /// A damaged form is no body, and does not exhaust the memory.
    #[test]
    fn damaged_forms_are_refused() {
        let line = include_str!("../../../../docs/samples/cloud-day.jsonl").lines().next().unwrap();
        let (encoding, stored) = encode(line.as_bytes());
        assert_eq!(encoding, LZ4_DICTIONARY_1);
        assert_eq!(decode(9, &stored), None);
        assert_eq!(decode(encoding, &stored[..2]), None);
        let mut huge = stored.to_vec();
        huge[3] = 0xff;
        assert_eq!(decode(encoding, &huge), None);
        assert_ne!(decode(encoding, &stored[..stored.len() - 1]).as_deref(), Some(line.as_bytes()));
    }
}
