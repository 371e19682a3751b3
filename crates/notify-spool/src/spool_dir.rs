//! The spool's directory: its permissions, and the files in it.
//!
//! Every access starts from one open directory, so that no renamed or replaced path can redirect it.
//! This module knows nothing about the contents of the files.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify_core::{Error, ErrorKind, Result};
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::disk::SpoolDisk;
use crate::error::{access_error, dir_message, file_error, printable_path};

/// The directory `spool.dir`, checked and open.
#[derive(Debug)]
pub(crate) struct SpoolDir {
    path: PathBuf,
    fd: OwnedFd,
}

/// The size and change time of a file, which tell two versions of it apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileVersion {
    /// The size in bytes; 0 for a missing file.
    pub(crate) bytes: u64,
    /// The change time (`ctime`) in seconds and nanoseconds.
    changed: (i64, i128),
}

impl FileVersion {
    /// Whether the file is empty or missing.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl SpoolDir {
    /// Opens the directory at `path`. With `create`, creates it first if it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Access`](notify_core::ErrorKind::Access) if `path` is a symbolic link, belongs to
    /// another user or is writable by others. Otherwise the kind follows from the cause.
    pub(crate) fn open(path: &Path, create: bool) -> Result<Arc<Self>> {
        if create {
            create_dir(path)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let fd = opened.map_err(|error| {
            if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
                return access_error(
                    path,
                    "is a symbolic link: use the path of the directory itself",
                );
            }
            file_error(path, "cannot be opened as a directory", error.into())
        })?;
        let file = File::from(fd);
        let metadata =
            file.metadata().map_err(|error| file_error(path, "cannot be inspected", error));
        check_access(path, &metadata?)?;
        Ok(Arc::new(Self { path: path.to_owned(), fd: file.into() }))
    }

    /// Returns the path of the directory, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the names of all files.
    pub(crate) fn file_names(&self) -> Result<Vec<OsString>> {
        let unreadable = |error| file_error(&self.path, "cannot be listed", error);
        let entries = fs::read_dir(&self.path).map_err(unreadable)?;
        entries.map(|entry| Ok(entry.map_err(unreadable)?.file_name())).collect()
    }

    /// Whether a file of that name exists.
    pub(crate) fn exists(&self, name: &str) -> bool {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Returns the current version of a file.
    pub(crate) fn file_version(&self, name: &str) -> FileVersion {
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.map_or_else(
            |_| FileVersion::default(),
            |stat| FileVersion {
                bytes: u64::try_from(stat.st_size).unwrap_or(0),
                changed: (stat.st_ctime, stat.st_ctime_nsec.into()),
            },
        )
    }

    /// Opens a file for reading and writing. With `create`, creates it first if it is missing.
    ///
    /// Returns `None` if the file is missing and `create` is `false`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Access`](notify_core::ErrorKind::Access) if the file is not a regular file, belongs
    /// to another user or is writable by others. Otherwise the kind follows from the cause.
    pub(crate) fn open_file(&self, name: &str, create: bool) -> Result<Option<File>> {
        let flags = if create { OFlags::RDWR | OFlags::CREATE } else { OFlags::RDWR };
        self.open_checked(name, flags)
    }

    /// Opens a file for reading only, with the same checks.
    ///
    /// # Errors
    ///
    /// As for [`open_file`](Self::open_file).
    pub(crate) fn open_to_read(&self, name: &str) -> Result<Option<File>> {
        self.open_checked(name, OFlags::RDONLY)
    }

    /// Opens a file and checks that no other user could have created it or could change it.
    fn open_checked(&self, name: &str, flags: OFlags) -> Result<Option<File>> {
        let path = self.path.join(name);
        let create = flags.contains(OFlags::CREATE);
        // `NONBLOCK`: without it, opening a FIFO of that name would hang.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(FILE_MODE)) {
            Ok(fd) => File::from(fd),
            Err(rustix::io::Errno::NOENT) if !create => return Ok(None),
            Err(rustix::io::Errno::LOOP) => {
                return Err(access_error(&path, "is a symbolic link: remove it"));
            }
            Err(error) => return Err(file_error(&path, "cannot be opened", error.into())),
        };
        let metadata =
            file.metadata().map_err(|error| file_error(&path, "cannot be inspected", error))?;
        if !metadata.is_file() {
            return Err(access_error(&path, "is not a regular file: remove it"));
        }
        check_access(&path, &metadata)?;
        Ok(Some(file))
    }

    /// Renames a file within the directory.
    pub(crate) fn rename_file(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Removes a file.
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Makes the names in the directory as durable as the contents of its files.
    pub(crate) fn sync(&self, disk: &dyn SpoolDisk) -> io::Result<()> {
        disk.sync_directory(self.fd.as_fd())
    }

    /// Makes the directory's own name durable, whichever process created it.
    ///
    /// A user who may not read the parent directory cannot sync it. The whole file system is then
    /// synced instead.
    pub(crate) fn sync_own_name(&self, disk: &dyn SpoolDisk) -> io::Result<()> {
        let Some(parent) = self.path.parent() else { return Ok(()) };
        // The parent of a bare name is the working directory.
        let parent = if parent == Path::new("") { Path::new(".") } else { parent };
        match File::open(parent) {
            Ok(parent) => disk.sync_directory(parent.as_fd()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Ok(rustix::fs::syncfs(&self.fd)?)
            }
            Err(error) => Err(error),
        }
    }
}

/// Creates the directory with mode 0700 unless it exists.
fn create_dir(path: &Path) -> Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(DIR_MODE)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(rustix::io::Errno::NOENT) => Err(missing_parent(path, io::ErrorKind::NotFound.into())),
        Err(error) => Err(file_error(path, "cannot be created", error.into())),
    }
}

/// Returns the error for a directory whose parent does not exist.
pub(crate) fn missing_parent(path: &Path, error: io::Error) -> Error {
    let parent = path.parent().map(printable_path).unwrap_or_default();
    let message = dir_message(path, &format!("needs its parent directory {parent}: create it"));
    Error::new(ErrorKind::of_file(&error), message).with_source(error)
}

/// Refuses a file or directory that another user could have created or could change.
fn check_access(path: &Path, metadata: &fs::Metadata) -> Result<()> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        let problem = format!(
            "belongs to user {owner}, but this process runs as user {user}: change the owner, or run \
             as that user"
        );
        return Err(access_error(path, &problem));
    }
    if metadata.mode() & OTHERS_MAY_WRITE != 0 {
        return Err(access_error(path, "is writable by other users: run `chmod go-w` on it"));
    }
    Ok(())
}

/// The mode of the directory: only its owner may do anything.
const DIR_MODE: u32 = 0o700;
/// The mode of the files: only their owner may read and write.
const FILE_MODE: u32 = 0o600;
/// The mode bits that let the group or others write.
const OTHERS_MAY_WRITE: u32 = 0o022;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::FileDisk;

    /// A program may pass a bare name to the functions of `admin`.
    #[test]
    fn a_bare_name_has_a_parent() {
        let dir = tempfile::tempdir_in(".").unwrap();
        let name = Path::new(dir.path().file_name().unwrap());
        SpoolDir::open(name, false).unwrap().sync_own_name(&FileDisk).unwrap();
    }
}
