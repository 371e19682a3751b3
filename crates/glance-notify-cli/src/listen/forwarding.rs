//! The destination of `--to`: a notifier that sends notifications on, unchanged.

use std::path::Path;
use std::time::Duration;

use glance_notify::codec::Context;
use glance_notify::config::Layers;
use glance_notify::pipeline::{Receipt, Stats};
use glance_notify::{Config, Notification, Notifier};
use tokio::task::JoinHandle;

use crate::arguments::MAX_WAIT;
use crate::exit_status::CommandError;
use crate::file_identity::{FileIdentity, refuse_input_as_log};
use crate::settings::{require_destination, unreadable_file};
use crate::stop_reason::{StdoutNeed, deciding, permanent_error};
use crate::terminal::print_warning;

/// A running notifier.
pub(crate) struct ForwardTarget {
    notifier: Notifier,
    worker: JoinHandle<()>,
    stdout_need: StdoutNeed,
    config: Config,
}

impl ForwardTarget {
    /// Opens the destination of a configuration, and starts its worker.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is invalid or names no destination, or if it appends to one of the
    /// `inputs`.
    pub(crate) fn open(path: &Path, inputs: &[FileIdentity]) -> Result<Self, CommandError> {
        let config = Self::config(path)?;
        refuse_input_as_log(&config, inputs)?;
        // A full queue delays the reading and drops nothing.
        let builder = glance_notify::builder(&config)?.send_timeout(MAX_WAIT);
        let (notifier, worker) = builder.build()?;
        let worker = tokio::spawn(async move { drop(worker.run().await) });
        Ok(Self { notifier, worker, stdout_need: StdoutNeed::of(&config), config })
    }

    /// Checks the configuration of a destination, prints the warnings about it, and opens nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if the configuration is invalid or names no destination.
    pub(crate) fn check(path: &Path) -> Result<(), CommandError> {
        for warning in Self::config(path)?.warnings() {
            print_warning(format_args!("{warning}"));
        }
        Ok(())
    }

    /// Reads the configuration of a destination.
    fn config(path: &Path) -> Result<Config, CommandError> {
        let config = Layers::new().file(path).map_err(unreadable_file)?.environment()?.build()?;
        require_destination(&config)?;
        Ok(config)
    }

    /// Queues a notification as soon as there is room. It keeps its id, publisher, timestamp and context.
    ///
    /// The receipt has no `message_id` if the configuration leaves the notification out.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future queues nothing.
    pub(crate) async fn send(&self, notification: &Notification, context: &Context) -> Receipt {
        self.notifier.resend_with(notification, context).await
    }

    /// Returns the permanent error of a required destination that has accepted nothing yet.
    pub(crate) fn permanent_error(&self) -> Option<String> {
        permanent_error(&deciding(self.notifier.destinations()))
    }

    /// Returns whether a destination needs standard output, and no process reads that any more.
    pub(crate) fn has_lost_stdout(&self) -> bool {
        self.stdout_need.is_lost()
    }

    /// Gives pending notifications the time of `queue.drain_timeout`, and ends. No time helps without a reader of
    /// standard output.
    pub(crate) async fn close(self) -> Stats {
        let has_reader = !self.has_lost_stdout();
        let drain = if has_reader { self.config.drain_timeout() } else { Duration::ZERO };
        self.close_within(drain).await
    }

    /// Gives pending notifications the time `drain`, and ends.
    pub(crate) async fn close_within(self, drain: Duration) -> Stats {
        let stats = self.notifier.shutdown(drain).await;
        drop(self.worker.await);
        stats
    }
}
