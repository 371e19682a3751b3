//! The notifications of an archive as lines, for commands that read sources: [`ArchiveLines`].

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use glance_notify::listen::ContextLine;
use notify_archive::Archive;
use notify_archive::question::EventFilter;
use notify_archive::store::{ReadScope, RecordDetail};

use crate::exit_status::CommandError;

/// The bodies of the events that pass a filter, each with its context, read by a thread.
///
/// `None` is the end.
pub(crate) struct ArchiveLines(Receiver<Option<ContextLine>>);

/// The end of reading: the error that the thread met.
#[derive(Clone, Default)]
pub(crate) struct ArchiveEnd(Arc<Mutex<Option<CommandError>>>);

impl ArchiveLines {
    /// Opens an archive and starts to read it.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory holds no archive, or if the system starts no thread.
    pub(crate) fn open(
        directory: &Path,
        filter: EventFilter,
    ) -> Result<(Self, ArchiveEnd), CommandError> {
        let archive = Archive::open(directory)?;
        let (sender, lines) = sync_channel(LINES_AHEAD);
        let end = ArchiveEnd::default();
        let thread_end = end.clone();
        let thread = std::thread::Builder::new().name("archive-lines".into());
        thread
            .spawn(move || {
                if let Err(error) = send(&archive, &filter, &sender) {
                    let mut end = thread_end.0.lock().unwrap_or_else(PoisonError::into_inner);
                    *end = Some(error);
                }
                drop(sender.send(None));
            })
            .map_err(|error| CommandError::file("cannot start a thread", &error))?;
        Ok((Self(lines), end))
    }
}

impl Iterator for ArchiveLines {
    type Item = io::Result<ContextLine>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.recv() {
            Ok(line) => line.map(Ok),
            // Without the end, the thread panicked.
            Err(_) => Some(Err(io::Error::other("the thread that reads the archive ended early"))),
        }
    }
}

impl ArchiveEnd {
    /// Returns the error that ended the reading early, if there is one.
    ///
    /// # Errors
    ///
    /// Returns that error.
    pub(crate) fn check(&self) -> Result<(), CommandError> {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        end.take().map_or(Ok(()), Err)
    }
}

/// Sends the bodies. Nothing stops it early: the process ends when its command does.
fn send(
    archive: &Archive,
    filter: &EventFilter,
    lines: &SyncSender<Option<ContextLine>>,
) -> Result<(), CommandError> {
    let scope = ReadScope { detail: RecordDetail::Bodies, undated: true, deadline: DEADLINE };
    let mut is_open = true;
    archive.read(filter, scope, |record| {
        if is_open {
            let line = ContextLine { bytes: record.body.to_vec(), context: record.context.clone() };
            is_open = lines.send(Some(line)).is_ok();
        }
    })?;
    Ok(())
}

/// The number of lines that the thread reads ahead.
const LINES_AHEAD: usize = 256;
/// The time after which reading ends with an error: a slow destination slows the reading down.
const DEADLINE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
