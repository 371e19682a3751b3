//! Files that survive a power cut: how their content is replaced, how their names become durable, and how processes
//! lock them.
//!
//! The crates of this workspace share it. All functions block.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Writes `content` to a file, which only its owner may read, in place of an earlier one.
///
/// If root calls it, the file belongs to the owner of the earlier one, or else of the directory.
///
/// # Errors
///
/// The error of the file or of its directory. The file then has its earlier content or the new one.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path);
    // A process that was killed may have left one. A link there must lead to no other file.
    drop(fs::remove_file(&temporary));
    let mut file = create_new(&temporary)?;
    let owner = fs::symlink_metadata(path).or_else(|_| fs::metadata(directory_of(path)))?;
    leave_to(&file, &owner)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directory(path)
}

/// Creates a file that only its owner may read and write.
///
/// If root calls it, the file belongs to the owner of its directory: a service without privileges must still open what
/// an administrator's command creates beside its files.
///
/// # Errors
///
/// The error of the file or of its directory, also if the file exists.
pub fn create_private(path: &Path) -> io::Result<File> {
    let file = create_new(path)?;
    leave_to(&file, &fs::metadata(directory_of(path))?)?;
    Ok(file)
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Gives a file that root created to another owner.
///
/// A root without this privilege, as in a container, keeps the file.
fn leave_to(file: &File, owner: &Metadata) -> io::Result<()> {
    const ROOT: u32 = 0;
    if file.metadata()?.uid() == ROOT {
        drop(give_to(file, owner));
    }
    Ok(())
}

/// Gives a file to an owner, unless it belongs to that owner already.
///
/// # Errors
///
/// The error of the system, such as a missing privilege.
pub(super) fn give_to(file: &File, owner: &Metadata) -> io::Result<()> {
    if file.metadata()?.uid() == owner.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// Refuses a device, a FIFO or a socket at a path, before something opens, replaces or removes it: to open a FIFO is to
/// wait for its writer, and other programs need the file as it is.
///
/// A link stands for its target. A path that leads nowhere, or to a file that cannot be looked at, is not refused.
///
/// # Errors
///
/// An error of the kind [`io::ErrorKind::InvalidInput`], which says what to change.
pub fn refuse_special_file_at(path: &Path) -> io::Result<()> {
    fs::metadata(path).map_or(Ok(()), |found| refuse_special_file(&found))
}

/// Refuses a device, a FIFO or a socket in place of a file: it keeps nothing, and its mode matters to others. A
/// directory has an error of its own when it is opened or read.
///
/// # Errors
///
/// An error of the kind [`io::ErrorKind::InvalidInput`].
pub(super) fn refuse_special_file(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() || metadata.is_dir() {
        return Ok(());
    }
    let message = "it is not a regular file: name another path";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Returns the path of a new content before it replaces the earlier one.
pub fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Syncs the directory of `path`, so that a new, renamed or removed file stays so.
///
/// # Errors
///
/// The error of the directory.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

/// Returns the directory of a file.
fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Creates a directory and those that are missing above it, which only their owner may read, and makes their
/// names durable.
///
/// The name of a directory that exists is synced too, because the process that created it may not have synced it. A
/// directory that does not support syncing is passed over: this user may have no right to list the one above.
///
/// # Errors
///
/// The error of a directory.
pub fn create_directory(path: &Path) -> io::Result<()> {
    let missing = path.ancestors().take_while(|directory| !directory.exists()).count();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    path.ancestors().take(missing.max(1)).try_for_each(|directory| {
        match sync_directory(directory) {
            Err(error) if SYNC_UNSUPPORTED.contains(&error.kind()) => Ok(()),
            synced => synced,
        }
    })
}

/// Acquires an exclusive advisory lock (`flock`) on a file, and waits up to `timeout` for it.
///
/// # Errors
///
/// [`TryLockError::WouldBlock`] if another open file has the lock until then, and the error of the system otherwise.
pub fn lock_within(file: &File, timeout: Duration) -> Result<(), TryLockError> {
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_micros(50);
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(pause),
            result => return result,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The longest pause between two attempts to lock a file.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);

/// The errors of file systems and directories that do not support syncing, as opposed to a sync
/// that failed.
pub const SYNC_UNSUPPORTED: [io::ErrorKind; 3] =
    [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What root creates belongs to the owner of the earlier file, or else of the directory.
    #[test]
    fn root_leaves_files_to_their_service() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        if chown(dir.path(), Some(1234), None).is_err() {
            println!("skipped: only root can give files to other users");
            return;
        }
        replace(&file, b"new").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().uid(), 1234);
        chown(&file, Some(1235), None).unwrap();
        replace(&file, b"newer").unwrap();
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!((metadata.uid(), metadata.permissions().mode() & 0o777), (1235, 0o600));
        assert_eq!(create_private(&dir.path().join("b")).unwrap().metadata().unwrap().uid(), 1234);
    }

    /// A link in place of the new content leads to no other file.
    #[test]
    fn a_link_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let [file, other] = ["file", "other"].map(|name| dir.path().join(name));
        fs::write(&other, "other").unwrap();
        symlink(&other, temporary_path(&file)).unwrap();
        replace(&file, b"new").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"other");
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    /// A path that leads to a file, to a directory or nowhere is not refused. A link stands for its target.
    #[test]
    fn a_special_file_is_refused_at_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let [file, socket, link] = ["file", "socket", "link"].map(|name| dir.path().join(name));
        fs::write(&file, "").unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        symlink(&socket, &link).unwrap();
        for path in [&socket, &link] {
            let error = refuse_special_file_at(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "it is not a regular file: name another path");
        }
        fs::remove_file(&socket).unwrap();
        for path in [file.as_path(), dir.path(), socket.as_path(), link.as_path()] {
            refuse_special_file_at(path).unwrap();
        }
    }

    /// Missing directories are created for their owner alone, and a directory that exists is no error.
    #[test]
    fn a_directory_is_created_with_those_above_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/c");
        for _ in 0..2 {
            create_directory(&path).unwrap();
            for directory in path.ancestors().take(3) {
                let mode = fs::metadata(directory).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o700);
            }
        }
        fs::write(path.join("file"), "").unwrap();
        assert!(create_directory(&path.join("file")).is_err());
        // The name of the directory above may be missing, or this user may not list it.
        create_directory(Path::new(".")).unwrap();
        let root = root.path();
        fs::set_permissions(root, fs::Permissions::from_mode(0o300)).unwrap();
        create_directory(&root.join("a")).unwrap();
        create_directory(&root.join("d")).unwrap();
        fs::set_permissions(root, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
