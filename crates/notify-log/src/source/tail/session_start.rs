//! The begin of a session: the files and positions from which it reads.
//!
//! Nothing here reads a line.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant, SystemTime};

use super::LogTail;
use crate::source::checkpoint::{Checkpoint, FilePosition};
use crate::source::file_head::FileHead;
use crate::source::siblings::{RotatedFile, file_id, open, open_found, renamed};

/// The head and the metadata of the live file.
type LiveFile = (FileHead, fs::Metadata);

impl LogTail {
    /// Starts without a checkpoint: at the live file, and not at the rotated ones.
    pub(super) fn start(&mut self) -> io::Result<()> {
        for sibling in self.rotated_files()? {
            self.finished.insert(sibling.head, Instant::now());
        }
        let path = self.config.path.clone();
        let (file, metadata) = match open(&path) {
            // `require_file` decides whether that is an error.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        if let Some(head) = FileHead::of_file(&file)? {
            // A copy of a compressed file is named by the user.
            self.finished.remove(&head);
        }
        let offset = if self.config.from_end { end_of_last_line(&file)? } else { 0 };
        self.track(path, file_id(&metadata), file, offset)
    }

    /// Continues with the files of a checkpoint, wherever they are now, and with those that came later.
    pub(super) fn resume(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        let path = self.config.path.clone();
        let (siblings, live) = self.find_files(checkpoint)?;
        let mut oldest: Option<usize> = None;
        for position in &checkpoint.files {
            let is_live = live.as_ref().is_some_and(|(head, _)| *head == position.head);
            let same_head = |file: &&RotatedFile| file.head == position.head;
            let candidates = || siblings.iter().filter(same_head);
            let sibling =
                candidates().find(|file| file.id == position.id).or_else(|| candidates().next());
            let is_same_inode = live.as_ref().is_some_and(|(_, m)| file_id(m) == position.id);
            let found = match sibling {
                Some(sibling) if !(is_live && is_same_inode) => {
                    let rank = siblings.iter().position(|file| file.path == sibling.path);
                    oldest = rank.into_iter().chain(oldest).min();
                    Some(sibling.path.clone())
                }
                _ if is_live => {
                    oldest = oldest.or(Some(siblings.len()));
                    Some(path.clone())
                }
                _ => None,
            };
            match found {
                Some(path) => {
                    let (file, metadata) = open_found(&path)?;
                    let head = FileHead::of_file(&file)?;
                    if head != Some(position.head) {
                        return Err(renamed());
                    }
                    self.track(path, file_id(&metadata), file, position.offset)?;
                }
                None => self.notices.push(format!(
                    "a file that was read up to byte {} is gone: its later lines are lost",
                    position.offset
                )),
            }
        }
        let saved = SystemTime::UNIX_EPOCH + Duration::from_nanos(checkpoint.saved_at) - CLOCK_TICK;
        for (rank, sibling) in siblings.iter().enumerate() {
            // Of the files since the oldest one, the checkpoint names all that were seen.
            let is_older = match oldest {
                Some(oldest) => rank < oldest,
                None => sibling.modified < saved,
            };
            if is_older && !self.is_tracked(sibling.id, Some(sibling.head)) {
                self.finished.insert(sibling.head, Instant::now());
            }
        }
        self.saved = checkpoint.clone();
        self.is_saved = true;
        Ok(())
    }

    /// Returns the rotated files, and the head and the metadata of the live file.
    ///
    /// Looks again while a file of the checkpoint is missing: a look at a directory can pass over a file
    /// that is renamed meanwhile.
    fn find_files(
        &mut self,
        checkpoint: &Checkpoint,
    ) -> io::Result<(Vec<RotatedFile>, Option<LiveFile>)> {
        let mut looks = 0;
        loop {
            let siblings = self.rotated_files()?;
            let live = match open(&self.config.path) {
                Ok((file, metadata)) => FileHead::of_file(&file)?.map(|head| (head, metadata)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            let is_found = |position: &FilePosition| {
                live.as_ref().is_some_and(|(head, _)| *head == position.head)
                    || siblings.iter().any(|file| file.head == position.head)
            };
            looks += 1;
            if looks == LOOKS || checkpoint.files.iter().all(is_found) {
                return Ok((siblings, live));
            }
            std::thread::sleep(LOOK_PAUSE);
        }
    }

    /// Returns an error if there is nothing to follow.
    ///
    /// A file that was rotated is there again with its next line: `nocreate` of logrotate leaves that to the
    /// program that writes.
    pub(super) fn require_file(&mut self) -> io::Result<()> {
        if !self.tracked.is_empty() || (self.config.follow && !self.rotated_files()?.is_empty()) {
            return Ok(());
        }
        fs::metadata(&self.config.path)?;
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}

/// Returns the offset behind the last line end of a file.
fn end_of_last_line(file: &fs::File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut chunk = vec![0; 64 * 1024];
    while end > 0 {
        let start = end.saturating_sub(chunk.len() as u64);
        let length = usize::try_from(end - start).unwrap_or(chunk.len());
        file.read_exact_at(&mut chunk[..length], start)?;
        if let Some(at) = memchr::memrchr(b'\n', &chunk[..length]) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// More than the time by which the clock of a file system is behind.
const CLOCK_TICK: Duration = Duration::from_millis(20);
/// The number of looks for the files of a checkpoint.
const LOOKS: u32 = 5;
/// The time between two such looks.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
