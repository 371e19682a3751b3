//! Follows one log file through its rotations.
//!
//! All functions here block. The thread of the source calls them.

mod session_start;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use notify_core::listener::durable_file::temporary_path;
use notify_core::{Error, Result};

use super::checkpoint::{Checkpoint, FilePosition};
use super::file_head::FileHead;
use super::siblings::{RotatedFile, SiblingFinder, file_id, open, open_found, renamed};
use super::source_config::FileSourceConfig;
use super::tracked_file::{ReadStop, TailLine, TrackedFile};
use crate::error::display_path;

/// The files that may have more lines, and those that have none.
#[derive(Debug)]
pub(super) struct LogTail {
    config: FileSourceConfig,
    /// The files to read, the oldest first.
    tracked: Vec<TrackedFile>,
    /// The heads of files that are read to their end, each with the time at which the file was seen last.
    finished: HashMap<FileHead, Instant>,
    siblings: SiblingFinder,
    next_number: u64,
    last_scan: Option<Instant>,
    /// The reasons why lines may be missing, for the listener.
    notices: Vec<String>,
    /// Whether the file of the checkpoint has `saved`.
    is_saved: bool,
    /// The checkpoint that is written, or the start of the session.
    saved: Checkpoint,
    /// The time of the last comparison with the written checkpoint.
    last_save: Instant,
}

/// The result of one look at the files.
#[derive(Debug, Default)]
pub(super) struct TailLines {
    pub(super) lines: Vec<TailLine>,
    /// Whether there was nothing more to read.
    pub(super) is_at_end: bool,
    /// The number of lines that the filter excluded.
    pub(super) skipped: u64,
    /// The reasons why lines may be missing.
    pub(super) notices: Vec<String>,
}

impl LogTail {
    /// Starts where `checkpoint` says, or else where the configuration does.
    ///
    /// # Errors
    ///
    /// An error if the file does not exist or cannot be read.
    pub(super) fn open(config: FileSourceConfig, checkpoint: Option<Checkpoint>) -> Result<Self> {
        let mut tail = Self {
            config,
            tracked: Vec::new(),
            finished: HashMap::new(),
            siblings: SiblingFinder::default(),
            next_number: 0,
            last_scan: None,
            notices: Vec::new(),
            is_saved: false,
            saved: Checkpoint::now(Vec::new()),
            last_save: Instant::now(),
        };
        let opened = match checkpoint {
            Some(checkpoint) => tail.resume(&checkpoint),
            None => tail.start(),
        };
        let opened = opened.and_then(|()| tail.scan()).and_then(|()| tail.require_file());
        opened.map_err(|error| tail.error(error))?;
        Ok(tail)
    }

    /// Reads at most `room` lines, the oldest file first, and looks for new files from time to time.
    ///
    /// # Errors
    ///
    /// The error of a file.
    pub(super) fn read(&mut self, room: usize, max_bytes: usize) -> Result<TailLines> {
        let is_due = self.last_scan.is_none_or(|last| last.elapsed() >= self.config.poll);
        if self.config.follow && is_due {
            self.scan().map_err(|error| self.error(error))?;
        }
        let mut lines = Vec::new();
        let mut skipped = 0;
        let mut is_at_end = true;
        let mut index = 0;
        while index < self.tracked.len() && lines.len() < room {
            let left = room - lines.len();
            let file = &mut self.tracked[index];
            let stop = file.read(&mut lines, left, max_bytes, &self.config);
            skipped += std::mem::take(&mut file.skipped);
            let (path, is_damaged) =
                (display_path(&file.path), std::mem::take(&mut file.is_damaged));
            match stop.map_err(|error| self.error(error))? {
                // A later file must not overtake this one.
                ReadStop::Room => {
                    is_at_end = false;
                    break;
                }
                ReadStop::End => {
                    if is_damaged {
                        let text = format!("`{path}` is damaged: its later lines are lost");
                        self.notices.push(text);
                    }
                    index += 1;
                }
                ReadStop::Displaced => {
                    is_at_end = false;
                    if self.follow_copy(index).map_err(|error| self.error(error))? {
                        continue;
                    }
                    self.tracked.remove(index);
                }
            }
        }
        if skipped > 0 && self.last_save.elapsed() >= SAVE_INTERVAL {
            // No acknowledgement saves the progress through lines that nothing reads.
            self.save()?;
        }
        let notices = std::mem::take(&mut self.notices);
        Ok(TailLines { lines, is_at_end: is_at_end && room > 0, skipped, notices })
    }

    /// Records that the lines of a file are acknowledged up to `offset`.
    pub(super) fn settle(&mut self, number: u64, offset: u64) {
        if let Some(file) = self.tracked.iter_mut().find(|file| file.number == number) {
            file.settle(offset);
        }
    }

    /// Writes the checkpoint, if one is configured and a position has changed.
    ///
    /// # Errors
    ///
    /// The error of the checkpoint.
    pub(super) fn save(&mut self) -> Result<()> {
        let checkpoint = self.checkpoint();
        self.last_save = Instant::now();
        if let Some(path) = &self.config.checkpoint
            && (checkpoint.files != self.saved.files || !self.is_saved)
        {
            checkpoint.save(path)?;
            self.is_saved = true;
            self.saved = checkpoint;
        }
        Ok(())
    }

    /// Returns the positions at which the next session starts: those of the checkpoint, if one is
    /// configured, because the listener expects later lines again.
    pub(super) fn restart_point(&self) -> Checkpoint {
        if self.config.checkpoint.is_some() {
            self.saved.clone()
        } else {
            Checkpoint { saved_at: self.saved.saved_at, ..self.checkpoint() }
        }
    }

    /// Returns the acknowledged positions of all files that may have more lines.
    fn checkpoint(&self) -> Checkpoint {
        let position = |file: &TrackedFile| {
            file.head.map(|head| FilePosition { id: file.id, head, offset: file.settled })
        };
        Checkpoint::now(self.tracked.iter().filter_map(position).collect())
    }

    /// Looks for new files, and forgets those that are read to their end.
    fn scan(&mut self) -> io::Result<()> {
        self.last_scan = Some(Instant::now());
        let path = self.config.path.clone();
        let live = match open(&path) {
            Ok((file, metadata)) => Some((FileHead::of_file(&file)?, file, metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // After the live file, so that every file that is older than it is among them.
        let siblings = self.rotated_files()?;
        let live_id = live.as_ref().map(|(_, _, metadata)| file_id(metadata));
        for sibling in &siblings {
            let is_known = self.finished.contains_key(&sibling.head)
                || self.is_tracked(sibling.id, Some(sibling.head));
            // Renamed between the two looks.
            if is_known || live_id == Some(sibling.id) {
                continue;
            }
            let Ok((file, metadata)) = open(&sibling.path) else { continue };
            // Another file may have the name by now; the next look finds both.
            if file_id(&metadata) == sibling.id {
                self.track(sibling.path.clone(), sibling.id, file, 0)?;
            }
        }
        if let Some((head, file, metadata)) = live {
            let id = file_id(&metadata);
            let is_finished = head.is_some_and(|head| self.finished.contains_key(&head));
            if !is_finished && !self.is_tracked(id, head) {
                self.track(path, id, file, 0)?;
            }
        }
        let now = Instant::now();
        for sibling in &siblings {
            if let Some(last_seen) = self.finished.get_mut(&sibling.head) {
                *last_seen = now;
            }
        }
        // Not at once: the look may have passed over a file that was renamed meanwhile.
        self.finished.retain(|_, last_seen| last_seen.elapsed() < ROTATED_WATCH);
        if self.config.follow {
            self.forget_finished(live_id)?;
        }
        Ok(())
    }

    /// Forgets the oldest files that are rotated, read to their end, acknowledged, and quiet.
    ///
    /// Stops at the first that is not, so that a checkpoint names all files since the oldest one.
    fn forget_finished(&mut self, live_id: Option<(u64, u64)>) -> io::Result<()> {
        while let Some(file) = self.tracked.first() {
            let is_quiet = file.last_growth.elapsed() >= ROTATED_WATCH;
            let is_needed = Some(file.id) == live_id || !file.is_settled() || file.has_more()?;
            if is_needed || (!is_quiet && self.tracked.len() <= MAX_TRACKED) {
                break;
            }
            let file = self.tracked.remove(0);
            self.finished.extend(file.head.map(|head| (head, Instant::now())));
        }
        Ok(())
    }

    /// Continues reading a file whose contents are gone from its inode in a copy of it.
    ///
    /// Returns `false` if there is no copy, so that the file is lost.
    fn follow_copy(&mut self, index: usize) -> io::Result<bool> {
        let siblings = self.rotated_files()?;
        let file = &self.tracked[index];
        let copy = siblings.iter().find(|sibling| Some(sibling.head) == file.head);
        let Some(copy) = copy else {
            if file.head.is_some() {
                self.notices.push(format!(
                    "`{}` was truncated or written anew without a copy, at byte {}: its later lines \
                     are lost",
                    display_path(&file.path),
                    file.passed,
                ));
            }
            self.last_scan = None;
            return Ok(false);
        };
        let (input, metadata) = open_found(&copy.path)?;
        let (path, id) = (copy.path.clone(), file_id(&metadata));
        if id != copy.id {
            return Err(renamed());
        }
        let form = self.config.form;
        let mut moved = TrackedFile::new(file.number, path, id, input, file.passed, form)?;
        moved.take_over(file);
        self.tracked[index] = moved;
        // The live file is new: look for it at once.
        self.last_scan = None;
        Ok(true)
    }

    /// Adds a file behind those that are tracked.
    fn track(
        &mut self,
        path: std::path::PathBuf,
        id: (u64, u64),
        file: fs::File,
        offset: u64,
    ) -> io::Result<()> {
        self.next_number += 1;
        let number = self.next_number;
        let form = self.config.form;
        self.tracked.push(TrackedFile::new(number, path, id, file, offset, form)?);
        Ok(())
    }

    /// Returns `true` if a file with this head, or this file before it had one, is tracked.
    fn is_tracked(&self, id: (u64, u64), head: Option<FileHead>) -> bool {
        self.tracked.iter().any(|file| match (file.head, head) {
            (Some(tracked), Some(head)) => tracked == head,
            // An inode without a head is an empty file, which may have its first line by now.
            _ => file.id == id,
        })
    }

    /// Returns the rotated files, without the files of the checkpoint.
    fn rotated_files(&mut self) -> io::Result<Vec<RotatedFile>> {
        let checkpoint = self.config.checkpoint.clone();
        let is_checkpoint = |path: &Path| {
            checkpoint.as_ref().is_some_and(|ours| path == ours || path == temporary_path(ours))
        };
        self.siblings.find(&self.config.path, is_checkpoint)
    }

    /// Returns an error about the file.
    fn error(&self, error: io::Error) -> Error {
        let path = display_path(&self.config.path);
        let message = match error.kind() {
            io::ErrorKind::NotFound => format!("the log file `{path}` does not exist"),
            _ => format!("the log file `{path}` cannot be read"),
        };
        Error::of_file(message, error)
    }
}

/// The time for which a rotated file is watched for lines of programs that still have it open.
const ROTATED_WATCH: Duration = Duration::from_secs(60);
/// The time between two checkpoints while the source passes over lines.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);
/// The number of files beyond which the oldest ones are watched no longer.
const MAX_TRACKED: usize = 64;
