//! The strategy `log`: appends one line of JSON per notification to a file, to standard output or to
//! the program's own logging. A [`LineEnvelope`] makes the line a CloudEvent.
//!
//! # Guarantees
//!
//! * *Delivered* means written and, unless `log.sync = false`, on the disk: `fdatasync` of the file,
//!   and `fsync` of the directory when the transport opens the file.
//! * The transport writes whole lines, and several processes may append to one file. If a process is
//!   killed or the disk fills up in the middle of a line, that line stays partial, and the next one
//!   starts on a new line.
//! * You may rename, compress, delete or replace the file at any moment, as `logrotate` does. The
//!   transport writes a batch again, to the new file, if a rotation might have missed it. So a batch
//!   that meets a rotation can appear twice, with the same `message_id`s. The exception is
//!   `copytruncate`: it loses the lines between its copy and its truncation.
//! * A full disk or a file without write permission loses nothing: the worker retries.
//!
//! Standard output and the program's logging cannot be synced. There, *delivered* means handed over.
//!
//! A thread of the transport writes the files, so a disk that hangs blocks no runtime.
//!
//! # Rotation
//!
//! This configuration of `logrotate` works without a signal to the service:
//!
//! ```text
//! /var/log/glance/notifications.log {
//!     daily
//!     rotate 14
//!     compress
//!     missingok
//!     nocreate
//! }
//! ```
//!
//! # Reading
//!
//! The feature `source` adds `FileSource`, which follows a log file through every rotation, and
//! `LineSource` for standard input. Both read what this strategy writes, and the lines of oslo.messaging's
//! driver `log`. Give them to a `Listener` of `notify-core`.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//!
//! use notify_core::{Notification, Notifier};
//! use notify_log::{Config, FileConfig, Log};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("notifications.log");
//! let transport = Log::new(Config::File(FileConfig::new(&path)));
//! let (notifier, worker) = Notifier::builder(transport).build()?;
//! let worker = worker.spawn_thread()?;
//!
//! let notification = Notification::decode(br#"{
//!     "message_id": "6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11",
//!     "publisher_id": "image.host1",
//!     "event_type": "image.delete",
//!     "priority": "WARN",
//!     "timestamp": "2026-11-22 12:00:00.000000",
//!     "payload": "the store did not answer"
//! }"#)?;
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! let stats = runtime.block_on(async {
//!     drop(notifier.resend(&notification).await);
//!     notifier.shutdown(Duration::from_secs(10)).await
//! });
//! assert_eq!(stats.delivered, 1);
//! assert_eq!(std::fs::read_to_string(&path)?.lines().count(), 1);
//! # drop(worker.join());
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod check;
mod config;
mod error;
mod file_lock;
mod line_buffer;
mod log_file;
mod path;
#[cfg(feature = "source")]
mod source;
mod stdout;
mod tracing_events;
mod write_report;
mod writer_thread;

use async_trait::async_trait;
use notify_core::config::{Driver, DriverOptions};
use notify_core::transport::Finding;
use notify_core::{Batch, Error, ErrorKind, EventType, Result, Transport, Verdict};
use tokio::sync::oneshot;

pub use config::{Config, FileConfig, LineEnvelope, LogTable, LogTarget};
use line_buffer::LineBuffer;
#[cfg(feature = "source")]
pub use source::{ContextLine, FileSource, FileSourceConfig, LineForm, LineSource};
pub use tracing_events::TARGET;
use write_report::WriteReport;
use writer_thread::{WriteReply, WriterThread};

/// The driver of the strategy `log`. It reads the table `[log]` with [`Log::from_options`].
///
/// ```
/// use notify_core::config::DriverOptions;
///
/// let table = serde_json::json!({ "target": "stdout" });
/// let options = DriverOptions::new("log", table.as_object().unwrap().clone());
/// let transport = (notify_log::DRIVER.open)(options)?;
/// assert_eq!(transport.name(), "log");
/// # Ok::<(), notify_core::Error>(())
/// ```
pub const DRIVER: Driver = Driver {
    name: "log",
    aliases: &["logging"],
    defaults: r#"{ "target": "file", "sync": true, "envelope": "bare" }"#,
    open,
};

/// The transport that appends notifications as lines of JSON.
///
/// It opens nothing before the first batch, and it follows the path through every rotation.
///
/// # Cancel safety
///
/// You may drop [`send`](Transport::send) at any point: the thread finishes the batch that it holds,
/// and the next `send` first waits for that.
///
/// # Examples
///
/// ```no_run
/// use notify_log::{Config, FileConfig, Log};
///
/// let transport = Log::new(Config::File(FileConfig::new("/var/log/glance/notifications.log")));
/// ```
#[derive(Debug)]
pub struct Log {
    config: Config,
    /// The form of a line.
    envelope: LineEnvelope,
    /// The buffer of the next batch, kept for its allocation.
    lines: LineBuffer,
    /// The writer thread, from the first batch until `close`. The target `tracing` needs none.
    writer: Option<WriterThread>,
    /// The pending reply of the writer thread. If it is there when `send` begins, an earlier `send`
    /// was dropped.
    reply: Option<oneshot::Receiver<WriteReply>>,
}

impl Log {
    /// Creates a transport to the target of `config`. Opens no file and starts no thread before the
    /// first batch.
    pub fn new(config: Config) -> Self {
        let (envelope, lines) = (LineEnvelope::default(), LineBuffer::default());
        Self { config, envelope, lines, writer: None, reply: None }
    }

    /// Creates the transport of the table `[log]`, which has the keys `file`, `target`, `sync` and `envelope`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown key, for a value of the wrong kind, and for the target
    /// `file` without a file.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::config::DriverOptions;
    /// use notify_log::Log;
    ///
    /// let table = serde_json::json!({ "file": "/var/log/notifications.log", "envelope": "cloudevents" });
    /// let options = DriverOptions::new("log", table.as_object().unwrap().clone());
    /// let log = Log::from_options(options)?;
    ///
    /// let nothing = DriverOptions::new("log", serde_json::Map::new());
    /// let error = Log::from_options(nothing).unwrap_err();
    /// assert!(error.to_string().starts_with("`log.file` is missing"));
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn from_options(options: DriverOptions) -> Result<Self> {
        let prefix = options.prefix().to_owned();
        let table: LogTable = options.parse()?;
        let envelope = table.envelope.unwrap_or_default();
        Ok(Self::new(Config::from_table(&prefix, table)?).with_envelope(envelope))
    }

    /// Sets the form of a line: `log.envelope`, by default `bare`.
    #[must_use]
    pub fn with_envelope(mut self, envelope: LineEnvelope) -> Self {
        self.envelope = envelope;
        self
    }

    /// Hands the batch to the writer thread and settles it by the thread's report.
    async fn write(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if self.reply.is_some() {
            // A dropped `send` left this reply. Its messages come again, so its verdicts are not
            // needed. The wait keeps the thread at one batch, however long a disk hangs.
            drop(self.take_reply().await);
        }
        self.lines.fill(batch.messages(), self.envelope.into());
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(WriterThread::start(&self.config)?),
        };
        self.reply = Some(writer.write(std::mem::take(&mut self.lines)));
        let WriteReport { complete_lines, error } = self.take_reply().await?;
        batch.settle_range(0..complete_lines, &Verdict::Accept);
        if let Some(error) = error {
            batch.settle_rest(&Verdict::Retry(error));
        }
        Ok(())
    }

    /// Waits for the reply of the writer thread and takes back the buffer.
    ///
    /// # Errors
    ///
    /// The error of the write, or [`ErrorKind::Bug`] if the thread has ended or has no batch.
    ///
    /// # Cancel safety
    ///
    /// If you drop the future, a later call waits for the same reply.
    async fn take_reply(&mut self) -> Result<WriteReport> {
        let Some(reply) = &mut self.reply else {
            return Err(Error::new(ErrorKind::Bug, "the writer thread of `log` has no batch"));
        };
        let reply = reply.await;
        self.reply = None;
        if let Ok(WriteReply { lines, result }) = reply {
            self.lines = lines;
            result
        } else {
            self.writer = None;
            Err(Error::new(ErrorKind::Bug, "the writer thread of `log` ended early"))
        }
    }
}

#[async_trait]
impl Transport for Log {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    /// Accepts every event type.
    fn wants(&self, _: &EventType) -> bool {
        true
    }

    /// Writes the batch and settles it: accepts complete lines, retries the others.
    ///
    /// # Errors
    ///
    /// An error about the whole batch, if the file cannot be opened or synced, or if standard output
    /// fails. Then no message is settled, and the error's outcome tells whether lines may be out.
    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if batch.messages().is_empty() {
            return Ok(());
        }
        if matches!(self.config, Config::Tracing) {
            tracing_events::emit_events(batch.messages(), self.envelope.into());
            batch.settle_rest(&Verdict::Accept);
            return Ok(());
        }
        self.write(batch).await
    }

    /// Waits until the writer thread has finished its batch and closed the file.
    async fn close(&mut self) -> Result<()> {
        self.reply = None;
        if let Some(writer) = self.writer.take() {
            writer.stop().await;
        }
        Ok(())
    }

    /// Looks at the target on a thread of its own, because the disk may hang.
    async fn check(&mut self) -> Result<Vec<Finding>> {
        let config = self.config.clone();
        writer_thread::run_on_thread(move || check::check(&config)).await
    }
}

/// Opens the transport for [`DRIVER`].
fn open(options: DriverOptions) -> Result<Box<dyn Transport>> {
    Ok(Box::new(Log::from_options(options)?))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use notify_core::Notification;
    use notify_core::codec::Encoding;

    use super::*;

    /// A disk that hangs costs the memory of one batch, not of every attempt that timed out.
    #[test]
    fn hands_one_batch_to_a_disk_that_hangs() {
        let json = br#"{"message_id": "6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11", "publisher_id": "h",
            "event_type": "image.delete", "priority": "WARN", "payload": "gone",
            "timestamp": "2026-11-22 12:00:00.000000"}"#;
        let notification = Notification::decode(json).unwrap();
        let message = notification.encode(&Encoding::default()).unwrap();
        let (writer, inbox) = WriterThread::without_thread();
        let mut log = Log::new(Config::Stdout);
        log.writer = Some(writer);
        for _ in 0..3 {
            let mut sink = |_: notify_core::transport::Settlements<'_>| {
                panic!("settled a batch that is not written")
            };
            let mut batch = Batch::new(std::slice::from_ref(&message), &mut sink);
            let send = pin!(log.send(&mut batch));
            assert!(send.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(inbox.try_iter().count(), 1);
    }
}
