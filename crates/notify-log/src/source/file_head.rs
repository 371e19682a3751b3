//! The identity of a file's contents: the hash of its first line.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

/// The hash of the first line of a file, its line end included, or of its first 64 KiB.
///
/// The first line holds a `message_id` or a time, so two files have the same head only if one is a copy
/// of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct FileHead {
    bytes: usize,
    hash: u64,
}

impl FileHead {
    /// Returns the head of a file that begins with `bytes`, or `None` if its first line is not
    /// complete yet.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let start = &bytes[..bytes.len().min(MAX_BYTES)];
        let end = match memchr::memchr(b'\n', start) {
            Some(end) => end + 1,
            None if start.len() == MAX_BYTES => MAX_BYTES,
            None => return None,
        };
        Some(Self { bytes: end, hash: hash(&start[..end]) })
    }

    /// Returns the head of an open file, compressed or not.
    pub(super) fn of_file(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        if is_gzip(file)? {
            let mut start = file.try_clone()?;
            io::Seek::rewind(&mut start)?;
            // A file that is being compressed ends too early: its head may be there already.
            drop(MultiGzDecoder::new(start).take(MAX_BYTES as u64).read_to_end(&mut bytes));
        } else {
            bytes = read_start(file, MAX_BYTES)?;
        }
        Ok(Self::of_bytes(&bytes))
    }

    /// Returns `true` if an uncompressed file begins with this head.
    pub(super) fn is_of(&self, file: &File) -> io::Result<bool> {
        let start = read_start(file, self.bytes)?;
        Ok(start.len() == self.bytes && hash(&start) == self.hash)
    }
}

/// Returns `true` if a file is compressed with gzip.
pub(super) fn is_gzip(file: &File) -> io::Result<bool> {
    Ok(read_start(file, 2)? == [0x1f, 0x8b])
}

/// Reads at most `bytes` from the start of a file.
fn read_start(file: &File, bytes: usize) -> io::Result<Vec<u8>> {
    let mut start = vec![0; bytes];
    let mut length = 0;
    while length < bytes {
        match file.read_at(&mut start[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    start.truncate(length);
    Ok(start)
}

/// Returns the FNV-1a hash, which checkpoints keep: it must not change between versions.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The largest head.
const MAX_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash is that of the published algorithm, so that old checkpoints stay valid.
    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    /// A first line that is not complete may still change, so it is no head.
    #[test]
    fn an_incomplete_line_is_no_head() {
        assert_eq!(FileHead::of_bytes(b""), None);
        assert_eq!(FileHead::of_bytes(b"abc"), None);
        assert_eq!(FileHead::of_bytes(b"abc\n"), FileHead::of_bytes(b"abc\ndef\n"));
        assert_ne!(FileHead::of_bytes(b"abc\n"), FileHead::of_bytes(b"abd\n"));
        assert!(FileHead::of_bytes(&vec![b'x'; MAX_BYTES + 1]).is_some());
    }
}
