//! The connection that an archive keeps between two reads: [`KeptFile`].

use std::cell::RefCell;
use std::path::Path;

use rusqlite::Connection;

use super::connection::identity;
use super::file_name::FileName;

/// The file that was read last, because opening one takes as long as a short read.
#[derive(Debug, Default)]
pub(crate) struct KeptFile(RefCell<Option<OpenFile>>);

/// An open file with the identity that it has on the disk.
#[derive(Debug)]
struct OpenFile {
    name: FileName,
    identity: (u64, u64),
    sqlite: Connection,
}

impl KeptFile {
    /// Takes the connection to the file `name`, unless another file is at `path` now.
    pub(super) fn take(&self, name: FileName, path: &Path) -> Option<Connection> {
        let kept = self.0.borrow_mut().take_if(|kept| kept.name == name)?;
        let is_in_place = identity(path).is_ok_and(|identity| identity == kept.identity);
        is_in_place.then_some(kept.sqlite)
    }

    /// Keeps the connection to a file. It must be as it was opened, without a transaction or a handler.
    pub(super) fn keep(&self, name: FileName, path: &Path, sqlite: Connection) {
        let identity = identity(path).ok();
        *self.0.borrow_mut() = identity.map(|identity| OpenFile { name, identity, sqlite });
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        drop(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that takes the place of a kept one is opened anew, as after a restore from a backup.
    #[test]
    fn a_replaced_file_is_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let [path, other] = ["2026-11.sqlite", "other"].map(|name| directory.path().join(name));
        std::fs::write(&path, "").unwrap();
        std::fs::write(&other, "").unwrap();
        let name: FileName = "2026-11.sqlite".parse().unwrap();
        let kept = KeptFile::default();
        kept.keep(name, &path, Connection::open(&path).unwrap());
        kept.keep(name, &path, kept.take(name, &path).unwrap());
        std::fs::rename(&other, &path).unwrap();
        assert!(kept.take(name, &path).is_none());
    }
}
