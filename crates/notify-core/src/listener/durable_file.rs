//! Files that survive a power cut: how their content is replaced, and how their names become durable.
//!
//! The crates of this workspace share it. All functions block.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Writes `content` to a file, which only its owner may read, in place of an earlier one.
///
/// # Errors
///
/// The error of the file or of its directory. The file then has its earlier content or the new one.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = temporary_path(path);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directory(path)
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
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
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

/// The errors of file systems and directories that do not support syncing, as opposed to a sync
/// that failed.
pub const SYNC_UNSUPPORTED: [io::ErrorKind; 3] =
    [io::ErrorKind::InvalidInput, io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

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
