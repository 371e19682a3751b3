//! The rotated files beside a live file, in the order of their rotation.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file_head::FileHead;
use crate::path::parent_directory;

/// One rotated file.
#[derive(Clone, Debug)]
pub(super) struct RotatedFile {
    pub(super) path: PathBuf,
    pub(super) id: (u64, u64),
    pub(super) head: FileHead,
    pub(super) modified: SystemTime,
    is_compressed: bool,
}

/// Finds rotated files, and remembers the heads of those that do not change.
#[derive(Debug, Default)]
pub(super) struct SiblingFinder {
    heads: HashMap<HeadKey, Option<FileHead>>,
}

/// The state of a file; its head is the same as long as this is.
type HeadKey = ((u64, u64), u64, SystemTime);

impl SiblingFinder {
    /// Returns the rotated files of `live` that have a head, the oldest first, and plain files before
    /// compressed copies of the same head.
    ///
    /// # Errors
    ///
    /// The error of the directory.
    pub(super) fn find(
        &mut self,
        live: &Path,
        exclude: impl Fn(&Path) -> bool,
    ) -> io::Result<Vec<RotatedFile>> {
        let Some(name) = live.file_name().and_then(|name| name.to_str()) else {
            return Ok(Vec::new());
        };
        let mut heads = HashMap::new();
        let mut files = Vec::new();
        for entry in fs::read_dir(parent_directory(live))? {
            let path = entry?.path();
            let candidate = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !is_rotated_name(name, candidate) || exclude(&path) {
                continue;
            }
            let is_compressed = candidate.strip_suffix(".gz").is_some();
            // A file that vanishes or cannot be read now may be there under another name.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let modified = metadata.modified()?;
            let key = (file_id(&metadata), metadata.len(), modified);
            let head = match self.heads.get(&key) {
                Some(head) => *head,
                None => match open(&path) {
                    Ok((file, opened)) if file_id(&opened) == key.0 => {
                        // `gzip` removes the plain file when the compressed one is complete. After
                        // the file was opened, because another one may have its name any moment.
                        if is_compressed && path.with_extension("").exists() {
                            continue;
                        }
                        // Not remembered: a later look may read it.
                        let Ok(head) = FileHead::of_file(&file) else { continue };
                        head
                    }
                    _ => continue,
                },
            };
            heads.insert(key, head);
            if let Some(head) = head {
                files.push(RotatedFile { path, id: key.0, head, modified, is_compressed });
            }
        }
        self.heads = heads;
        let numbers: Option<Vec<u64>> =
            files.iter().map(|file| rotation_number(name, &file.path)).collect();
        if numbers.is_some() {
            // `n.log.3` is older than `n.log.2`.
            files.sort_by_key(|file| {
                (std::cmp::Reverse(rotation_number(name, &file.path)), file.is_compressed)
            });
        } else {
            // Dates in names grow, and `n.log-20261129` comes before its copy `n.log-20261129.gz`.
            files.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        }
        Ok(files)
    }
}

/// Opens a regular file for reading, without waiting for the writer of a FIFO.
pub(super) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(io::Error::other("is not a regular file"))
    }
}

/// Opens a file that a look at the directory has found.
///
/// # Errors
///
/// [`renamed`] if it is there no longer: a missing file would be an error that only an operator can repair.
pub(super) fn open_found(path: &Path) -> io::Result<(File, Metadata)> {
    open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => renamed(),
        _ => error,
    })
}

/// Returns the error of a rotation between two looks. It is transient.
pub(super) fn renamed() -> io::Error {
    io::Error::other("was renamed at this moment")
}

/// Returns the device and the inode of a file.
pub(super) fn file_id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Returns `true` if `candidate` is the name of a rotated file of `live`: `n.log.1`, `n.log.2.gz`,
/// `n.log-20261129`, or with logrotate's `extension`, `n.1.log` and `n-20261129.log`.
fn is_rotated_name(live: &str, candidate: &str) -> bool {
    let plain = candidate.strip_suffix(".gz").unwrap_or(candidate);
    let is_suffix = |rest: &str| {
        rest.starts_with(['.', '-'])
            && rest.len() > 1
            && rest.ends_with(|c: char| c.is_ascii_digit())
    };
    if plain.strip_prefix(live).is_some_and(is_suffix) {
        return true;
    }
    let Some((stem, extension)) = live.rsplit_once('.') else { return false };
    plain
        .strip_suffix(extension)
        .and_then(|plain| plain.strip_suffix('.'))
        .and_then(|plain| plain.strip_prefix(stem))
        .is_some_and(is_number_or_date)
}

/// Returns `true` for a number behind a dot, and for a date as `dateext` writes it: digits and `-` behind a
/// separator, the year first.
///
/// Another number may be part of another program's name: `glance-api-2.log` is no file of `glance-api.log`.
fn is_number_or_date(rest: &str) -> bool {
    let number = rest.strip_prefix('.').filter(|number| !number.is_empty());
    if number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
        return true;
    }
    let Some(date) = rest.strip_prefix(['.', '-']) else { return false };
    date.len() >= SHORTEST_DATE
        && date.bytes().take(4).all(|byte| byte.is_ascii_digit())
        && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// Returns the number at the end of the name of a rotated file: 2 of `n.log.2.gz`.
///
/// A date or a time, as in `n.log.20261129`, is no such number: it grows with every rotation.
fn rotation_number(live: &str, path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let number = plain.strip_prefix(live)?.strip_prefix('.')?;
    if number.len() >= SHORTEST_DATE {
        return None;
    }
    number.parse().ok()
}

/// The length of the shortest date: `20261129`. A rotation number is always shorter.
const SHORTEST_DATE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of other files do not look like rotations.
    #[test]
    fn recognizes_the_names_of_rotated_files() {
        let suffixed = ["n.log.1", "n.log.12.gz", "n.log-20261129", "n.log-20261129.gz"];
        let infixed = ["n.1.log", "n-20261129.log", "n-2026112907.log.gz", "n-2026-11-29.log"];
        for name in suffixed.into_iter().chain(infixed) {
            assert!(is_rotated_name("n.log", name), "{name}");
        }
        let others = ["n.log", "n.log.gz", "n.log.position", "n.log.swp", "m.log.1", "n.log2"];
        // Live logs of other programs.
        let live =
            ["n-2.log", "n-worker-1.log", "n.host-1.log", "n-host-20261129.log", "n-2026.log"];
        for name in others.into_iter().chain(live).chain(["n.log."]) {
            assert!(!is_rotated_name("n.log", name), "{name}");
        }
    }

    /// The highest number is the oldest.
    #[test]
    fn orders_numbered_files_by_their_age() {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("n.log");
        for number in [2, 10, 1] {
            fs::write(dir.path().join(format!("n.log.{number}")), format!("{number}\n")).unwrap();
        }
        let files = SiblingFinder::default().find(&live, |_| false).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.path.extension().unwrap()).collect();
        assert_eq!(names, ["10", "2", "1"]);
    }

    /// The earliest date is the oldest, also among files that changed at the same moment.
    #[test]
    fn orders_dated_files_by_their_age() {
        // Days, hours, seconds since 1970, and the default of `dateext`.
        let forms = [
            ["n.log.20261127.gz", "n.log.20261128", "n.log.20261129"],
            ["n.log.2026112722.gz", "n.log.2026112723", "n.log.2026112800"],
            ["n.log.1795700000.gz", "n.log.1795700001", "n.log.1795700002"],
            ["n.log-20261127.gz", "n.log-20261128", "n.log-20261129"],
        ];
        for names in forms {
            let dir = tempfile::tempdir().unwrap();
            for name in names {
                let path = dir.path().join(name);
                fs::write(&path, format!("{name}\n")).unwrap();
                let file = File::options().append(true).open(&path).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
            let live = dir.path().join("n.log");
            let files = SiblingFinder::default().find(&live, |_| false).unwrap();
            let found: Vec<_> = files.iter().map(|file| file.path.file_name().unwrap()).collect();
            assert_eq!(found, names);
        }
    }
}
