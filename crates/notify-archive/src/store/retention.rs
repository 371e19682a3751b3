//! The retention: whole files are removed by age or size.

use std::fs;
use std::path::Path;

use rusqlite::params;
use time::{Duration, OffsetDateTime};

use super::archive_writer::ArchiveWriter;
use super::connection::sync_directory;
use super::event_file;
use super::event_row::microseconds;
use super::file_name::FileName;
use crate::error::{ArchiveError, Result};

/// The bounds of an archive. A bound that is `None` removes nothing.
///
/// # Examples
///
/// ```
/// use notify_archive::store::RetentionPolicy;
/// use time::Duration;
///
/// let policy = RetentionPolicy { max_age: Some(Duration::days(400)), max_bytes: None };
/// assert_ne!(policy, RetentionPolicy::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// The age from which a month's file is removed: the month must have ended, and the newest reception
    /// in the file must be that old too.
    pub max_age: Option<Duration>,
    /// The size of all files in bytes above which the oldest are removed. The newest file always stays.
    pub max_bytes: Option<u64>,
}

impl ArchiveWriter {
    /// Removes the files that a policy no longer allows. Returns their names.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be looked at or removed. Files removed before it stay removed.
    pub fn retain(
        &mut self,
        policy: RetentionPolicy,
        now: OffsetDateTime,
    ) -> Result<Vec<FileName>> {
        let mut names: Vec<_> = self.names.iter().copied().collect();
        // The oldest first, whether dated or not.
        names.sort_by_key(|name| {
            (name.to_string().trim_start_matches("undated-").to_owned(), *name)
        });
        let mut removed = Vec::new();
        if let Some(age) = policy.max_age {
            let oldest = now - age;
            for name in names.clone() {
                let (file, _) = self.file(name)?;
                let newest = event_file::newest_reception(&file.sqlite)
                    .map_err(|error| file.error(error))?;
                let is_received_before = newest.is_none_or(|newest| newest < microseconds(oldest));
                if name.ends_before(oldest) && is_received_before {
                    self.remove(name)?;
                    removed.push(name);
                }
            }
            names.retain(|name| !removed.contains(name));
        }
        if let Some(most) = policy.max_bytes {
            let size = |name: &FileName| size_of(&self.directory.join(name.to_string()));
            let mut total: u64 = names.iter().map(size).sum();
            let sizes: Vec<_> = names.iter().map(|name| (*name, size(name))).collect();
            let removable = sizes.len().saturating_sub(1);
            for (name, size) in sizes.into_iter().take(removable) {
                if total <= most {
                    break;
                }
                self.remove(name)?;
                removed.push(name);
                total -= size;
            }
        }
        Ok(removed)
    }

    /// Removes one file with its log.
    fn remove(&mut self, name: FileName) -> Result<()> {
        self.close(name);
        self.names.remove(&name);
        // First the count, so that verification does not miss the file.
        self.write_control(|control| {
            control.execute("DELETE FROM file WHERE name = ?", params![name.to_string()])
        })?;
        let path = self.directory.join(name.to_string());
        for ending in ["-wal", "-shm", ""] {
            let path = self.directory.join(format!("{name}{ending}"));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ArchiveError::io("remove", &path, error));
                }
                _ => {}
            }
        }
        sync_directory(&path)
    }
}

/// Returns the size of a file with its log in bytes.
fn size_of(path: &Path) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    size(path) + size(Path::new(&log))
}
