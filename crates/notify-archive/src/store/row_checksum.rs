//! Checksums of rows: a bit that flips in a stored row must not change an answer unnoticed.

use sha2::{Digest, Sha256};

/// A checksum over the values of one row, in the order of its columns.
pub(crate) struct RowChecksum(Sha256);

impl RowChecksum {
    /// Creates the checksum of a row of `table`.
    pub(crate) fn new(table: &str) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(table.as_bytes());
        Self(hasher)
    }

    /// Adds a text or no text.
    pub(crate) fn text(self, text: Option<&str>) -> Self {
        self.bytes(text.map(str::as_bytes))
    }

    /// Adds bytes or no bytes. The length keeps neighbouring values apart.
    pub(crate) fn bytes(mut self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            None => self.0.update([0]),
            Some(bytes) => {
                self.0.update([1]);
                self.0.update((bytes.len() as u64).to_le_bytes());
                self.0.update(bytes);
            }
        }
        self
    }

    /// Adds a number or no number.
    pub(crate) fn number(mut self, number: Option<i64>) -> Self {
        match number {
            None => self.0.update([0]),
            Some(number) => {
                self.0.update([2]);
                self.0.update(number.to_le_bytes());
            }
        }
        self
    }

    /// Returns the checksum as SQLite stores it.
    pub(crate) fn finish(self) -> i64 {
        let digest = self.0.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        i64::from_le_bytes(first)
    }

    /// Returns a hash of the values: the first half of SHA-256.
    pub(crate) fn hash(self) -> [u8; 16] {
        first_half(self.0)
    }
}

/// Returns the hash that identifies a content, together with its id: the first half of SHA-256.
///
/// # Examples
///
/// ```
/// use notify_archive::store::content_hash;
///
/// assert_ne!(content_hash(b"a"), content_hash(b"b"));
/// ```
pub fn content_hash(content: &[u8]) -> [u8; 16] {
    first_half(Sha256::new_with_prefix(content))
}

/// Returns the first half of a digest.
fn first_half(hasher: Sha256) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&hasher.finalize()[..16]);
    first
}
