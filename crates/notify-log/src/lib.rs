//! The strategy `log`: one line of JSON per notification, appended to a file, to standard output or
//! to the program's own logging.
//!
//! # What is promised
//!
//! * Delivered means written and, unless `log.sync = false`, on the disk (`fdatasync`, and the
//!   directory's entry too).
//! * Every line is whole. Several processes may append to one file. Where a process was killed or
//!   the disk filled up in the middle of a line, that line stays cut and the next one starts on its
//!   own.
//! * The file may be renamed, compressed, deleted or replaced at any moment, as `logrotate` does:
//!   what may have been missed is written again, to the new file. A batch that hits a rotation can
//!   therefore be found twice, with the same `message_id`s. The exception is `copytruncate`, which
//!   loses what is written between its copy and its truncation.
//! * A full disk and a forbidden file lose nothing: it is tried again.
//!
//! Standard output and the program's logging cannot be synced: there, delivered means handed over.
//!
//! Files are written on a thread of the transport's own, so a disk that hangs blocks no runtime.

mod check;
mod config;
mod error;
mod events;
mod lines;
mod lock;
mod reopen;
mod stdout;
mod writer;

use async_trait::async_trait;
use notify_core::config::{Driver, DriverOptions};
use notify_core::transport::Finding;
use notify_core::{Batch, Error, ErrorKind, EventType, Result, Transport, Verdict};
use tokio::sync::oneshot;

pub use config::{Config, FileConfig};
pub use events::TARGET;
use lines::Lines;
use writer::{Answer, Writer, Written};

/// How the strategy `log` is opened: from the table `[log]`, as [`Config::from_options`] reads it.
pub const DRIVER: Driver = Driver {
    name: "log",
    aliases: &["logging"],
    defaults: r#"{ "target": "file", "sync": true }"#,
    open,
};

/// Appends notifications as JSON lines.
///
/// ```no_run
/// use notify_log::{Config, FileConfig, Log};
/// let transport = Log::new(Config::File(FileConfig::new("/var/log/glance/notifications.log")));
/// ```
#[derive(Debug)]
pub struct Log {
    config: Config,
    /// Kept between batches for its memory.
    lines: Lines,
    writer: Option<Writer>,
    /// The answer to the batch that the writer has. Still here when `send` begins only if the `send`
    /// that waited for it was dropped.
    answer: Option<oneshot::Receiver<Answer>>,
}

impl Log {
    /// A transport to where `config` says. Nothing is opened or started before the first batch.
    pub fn new(config: Config) -> Self {
        Self { config, lines: Lines::default(), writer: None, answer: None }
    }

    async fn write(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if self.answer.is_some() {
            // A dropped attempt. Nobody waits for its verdicts; its messages come again. The writer
            // has one batch at a time, however long a disk hangs.
            drop(self.answer().await);
        }
        self.lines.fill(batch.messages());
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(Writer::start(&self.config)?),
        };
        self.answer = Some(writer.write(std::mem::take(&mut self.lines)));
        let Written { lines, rest } = self.answer().await?;
        batch.settle_range(0..lines, &Verdict::Accept);
        if let Some(error) = rest {
            batch.settle_rest(&Verdict::Retry(error));
        }
        Ok(())
    }

    /// Waits for what the writer has in hand. Dropped, it can be called again.
    async fn answer(&mut self) -> Result<Written> {
        let Some(answer) = &mut self.answer else {
            return Err(Error::new(ErrorKind::Bug, "the log's writer was asked nothing"));
        };
        let answer = answer.await;
        self.answer = None;
        if let Ok(Answer { lines, result }) = answer {
            self.lines = lines;
            result
        } else {
            self.writer = None;
            Err(Error::new(ErrorKind::Bug, "the log's writer thread ended by itself"))
        }
    }
}

#[async_trait]
impl Transport for Log {
    fn name(&self) -> &'static str {
        DRIVER.name
    }

    fn wants(&self, _: EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if batch.messages().is_empty() {
            return Ok(());
        }
        if matches!(self.config, Config::Tracing) {
            events::hand_over(batch.messages());
            batch.settle_rest(&Verdict::Accept);
            return Ok(());
        }
        self.write(batch).await
    }

    /// Waits until the writer's thread has finished what it has in hand and has closed the file.
    async fn close(&mut self) -> Result<()> {
        self.answer = None;
        if let Some(writer) = self.writer.take() {
            writer.stop().await;
        }
        Ok(())
    }

    async fn check(&mut self) -> Result<Vec<Finding>> {
        let config = self.config.clone();
        writer::on_a_thread(move || check::look(&config)).await
    }
}

fn open(options: DriverOptions) -> Result<Box<dyn Transport>> {
    Ok(Box::new(Log::new(Config::from_options(options)?)))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use notify_core::Notification;
    use notify_core::codec::Encoding;

    use super::*;

    #[test]
    fn a_disk_that_hangs_is_given_one_batch_however_many_are_dropped() {
        let json = br#"{"message_id": "6b9d4b8a-0f7c-4d2c-9a4a-0a3f0e7d4c11", "publisher_id": "h",
            "event_type": "image.delete", "priority": "WARN", "payload": "gone",
            "timestamp": "2026-11-22 12:00:00.000000"}"#;
        let notification = Notification::from_json(json).unwrap();
        let message = notification.encode(&Encoding::default()).unwrap();
        let (writer, inbox) = Writer::idle();
        let mut log = Log::new(Config::Stdout);
        log.writer = Some(writer);
        for _ in 0..3 {
            let mut sink =
                |_: notify_core::transport::Settlements<'_>| panic!("nothing was written");
            let mut batch = Batch::new(std::slice::from_ref(&message), &mut sink);
            let send = pin!(log.send(&mut batch));
            assert!(send.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(inbox.try_iter().count(), 1);
    }
}
