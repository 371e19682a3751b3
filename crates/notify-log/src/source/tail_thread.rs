//! The thread that reads the files of one source, so that a slow disk blocks no runtime.

use std::sync::mpsc::{Receiver, Sender, channel};

use notify_core::listener::checkpoint_lock::CheckpointLock;
use notify_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::checkpoint::Checkpoint;
use super::source_config::FileSourceConfig;
use super::tail::{LogTail, TailLines};

/// A job of the thread, with where to answer.
pub(super) enum TailJob {
    /// Start a session at the acknowledged positions.
    Open(oneshot::Sender<Result<()>>),
    /// Read at most this many lines, of at most this many bytes each.
    Read(usize, usize, oneshot::Sender<Result<TailLines>>),
    /// Save these positions: numbers of files, and offsets.
    Settle(Vec<(u64, u64)>, oneshot::Sender<Result<()>>),
    /// Save the positions, and close all files.
    Close(oneshot::Sender<Result<()>>),
}

/// Starts the thread. It ends when the sender is dropped.
///
/// # Errors
///
/// [`ErrorKind::Unavailable`] if the system starts no thread.
pub(super) fn start(config: FileSourceConfig) -> Result<Sender<TailJob>> {
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new().name("log-source".into());
    thread.spawn(move || serve(&config, &receiver)).map_err(|error| {
        let message = "cannot start the thread that reads a log file";
        Error::new(ErrorKind::Unavailable, message).with_source(error)
    })?;
    Ok(sender)
}

/// Handles jobs until the source is dropped. A reply that nothing waits for is dropped.
fn serve(config: &FileSourceConfig, jobs: &Receiver<TailJob>) {
    let mut tail: Option<LogTail> = None;
    // The start of the next session. It outlives a session that does not open.
    let mut restart: Option<Checkpoint> = None;
    let mut lock = CheckpointLock::default();
    let no_session = || Error::new(ErrorKind::Bug, "read a log file without a session");
    for job in jobs {
        match job {
            TailJob::Open(reply) => {
                if let Some(last) = tail.take() {
                    restart = Some(last.restart_point());
                }
                let result = open(config, restart.clone(), &mut lock);
                if result.is_err() {
                    lock.release();
                    if config.checkpoint.is_some() {
                        // Another source may read with the checkpoint meanwhile.
                        restart = None;
                    }
                }
                drop(reply.send(result.map(|opened| tail = Some(opened))));
            }
            TailJob::Read(room, max_bytes, reply) => {
                let result = tail.as_mut().ok_or_else(no_session);
                drop(reply.send(result.and_then(|tail| tail.read(room, max_bytes))));
            }
            TailJob::Settle(positions, reply) => {
                let result = tail.as_mut().ok_or_else(no_session).and_then(|tail| {
                    for (file, offset) in positions {
                        tail.settle(file, offset);
                    }
                    tail.save()
                });
                drop(reply.send(result));
            }
            TailJob::Close(reply) => {
                // The lines that were passed over behind the last acknowledged one.
                let saved = tail.take().map_or(Ok(()), |mut tail| tail.save());
                lock.release();
                drop(reply.send(saved));
            }
        }
    }
}

/// Starts a session at the positions of the last one in this process, or of the checkpoint, which it locks.
fn open(
    config: &FileSourceConfig,
    restart: Option<Checkpoint>,
    lock: &mut CheckpointLock,
) -> Result<LogTail> {
    config.checkpoint.iter().try_for_each(|path| lock.acquire(path))?;
    let checkpoint = match (restart, &config.checkpoint) {
        (Some(restart), _) => Some(restart),
        (None, Some(path)) => Checkpoint::load(path)?,
        (None, None) => None,
    };
    // `from_end` counts only without a checkpoint.
    let mut tail = LogTail::open(config.clone(), checkpoint)?;
    // From now on, a restart continues here.
    tail.save()?;
    Ok(tail)
}
