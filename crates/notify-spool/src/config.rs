//! The table `[spool]`: the directory, the bounds, and the policies for a full or damaged spool.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify_core::config::DriverOptions;
use notify_core::pipeline::{DestinationName, QueueConfig};
use notify_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::disk::{FileDisk, SpoolDisk};
use crate::executor::{SlotExecutor, ThreadExecutor};
use crate::records::MAX_RECORD_OVERHEAD;

/// The configuration of a spool and its forwarder.
///
/// # Examples
///
/// ```
/// use notify_spool::{Config, FullSpoolPolicy};
///
/// let mut config = Config::new("/var/spool/glance-notify");
/// assert_eq!(config.max_bytes, 256 * 1024 * 1024);
///
/// config.max_messages = 10_000;
/// config.when_full = FullSpoolPolicy::Refuse;
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The directory, `spool.dir`.
    ///
    /// The spool creates it with mode 0700 if it is missing; its parent directory must exist. It must
    /// belong to the user of the process, must not be writable by others, and must not be a symbolic
    /// link. Several processes can share it: each gets a slot of its own.
    pub dir: PathBuf,
    /// The largest number of bytes in one slot, dead letters included: `spool.max_bytes`, default
    /// 256 MiB.
    ///
    /// The slot's file can become twice as large.
    pub max_bytes: u64,
    /// The largest number of messages in one slot, dead letters included: `spool.max_messages`, default
    /// 1 000 000.
    pub max_messages: u64,
    /// The policy for messages that find the spool full: `spool.when_full`, default `retry`.
    pub when_full: FullSpoolPolicy,
    /// The policy for a damaged file: `spool.on_corrupt`, default `refuse`.
    pub on_corrupt: CorruptSlotPolicy,
    /// The largest number of messages in one batch to the destination, as `queue.batch_messages`.
    /// Default 1 024.
    pub batch_messages: usize,
    /// The largest number of bytes in one batch to the destination, as `queue.batch_bytes`. Default
    /// 8 MiB.
    pub batch_bytes: usize,
    /// The deadline of one attempt to deliver a batch, as `queue.attempt_timeout`. Default 60 s.
    pub attempt_timeout: Duration,
    /// The directory above, if `dir` is that of one of several destinations.
    pub(crate) root: Option<PathBuf>,
    /// The name of the destination; empty for the only one.
    pub(crate) destination: String,
    /// The destinations whose spools this process knows, if it reports the others.
    pub(crate) known: Option<Vec<DestinationName>>,
    /// The storage of the slots. Only tests replace it.
    pub(crate) disk: Arc<dyn SpoolDisk>,
    /// The executor of the slots' work. Only tests replace it.
    pub(crate) executor: Arc<dyn SlotExecutor>,
    /// The seed of the forwarder's jitter. Only tests set it.
    pub(crate) seed: Option<u64>,
}

/// The policy for a message that finds the spool full, `spool.when_full`.
///
/// # Examples
///
/// ```
/// use notify_spool::FullSpoolPolicy;
///
/// assert_eq!(FullSpoolPolicy::default(), FullSpoolPolicy::Retry);
/// assert_eq!(serde_json::to_string(&FullSpoolPolicy::Refuse)?, "\"refuse\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FullSpoolPolicy {
    /// The message waits in the queue in front of the spool. If that queue is full too, its own
    /// overflow policy drops a message. Messages of a lane that fails have a share of both.
    #[default]
    Retry,
    /// The spool refuses the message at once.
    Refuse,
}

/// The policy for a slot whose file is damaged or has an unknown format, `spool.on_corrupt`.
///
/// # Examples
///
/// ```
/// use notify_spool::CorruptSlotPolicy;
///
/// assert_eq!(CorruptSlotPolicy::default(), CorruptSlotPolicy::Refuse);
/// let policy: CorruptSlotPolicy = serde_json::from_str("\"quarantine\"")?;
/// assert_eq!(policy, CorruptSlotPolicy::Quarantine);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorruptSlotPolicy {
    /// The file stays, and the spool accepts nothing until you move the file away. The error is
    /// permanent: the worker retries every 30 s.
    #[default]
    Refuse,
    /// The spool renames the file, logs a warning and starts a new file. The account counts the
    /// messages of the old file as dropped.
    Quarantine,
}

impl Config {
    /// Returns the configuration of a spool in `dir`, with the defaults for everything else.
    ///
    /// A relative `dir` becomes absolute now, so that a later change of the working directory does not
    /// move the spool.
    ///
    /// # Examples
    ///
    /// ```
    /// let config = notify_spool::Config::new("spool");
    /// assert!(config.dir.is_absolute());
    /// ```
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let QueueConfig { batch_messages, batch_bytes, .. } = QueueConfig::default();
        let dir = dir.into();
        Self {
            dir: std::path::absolute(&dir).unwrap_or(dir),
            max_bytes: MAX_BYTES,
            max_messages: MAX_MESSAGES,
            when_full: FullSpoolPolicy::default(),
            on_corrupt: CorruptSlotPolicy::default(),
            batch_messages,
            batch_bytes,
            attempt_timeout: Duration::from_secs(60),
            root: None,
            destination: String::new(),
            known: None,
            disk: Arc::new(FileDisk),
            executor: Arc::new(ThreadExecutor),
            seed: None,
        }
    }

    /// Reads the table `[spool]`: `dir`, `max_bytes`, `max_messages`, `when_full` and `on_corrupt`.
    ///
    /// The batch bounds and the attempt timeout keep their defaults; `[queue]` configures them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown key, an invalid value, a missing `dir`, and for bounds that
    /// are smaller than one message.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::config::DriverOptions;
    /// use notify_spool::{Config, CorruptSlotPolicy};
    ///
    /// let table = serde_json::from_str(r#"{ "dir": "/var/spool/n", "on_corrupt": "quarantine" }"#)
    ///     .expect("valid JSON");
    /// let config = Config::from_options(DriverOptions::new("spool", table))?;
    /// assert_eq!(config.on_corrupt, CorruptSlotPolicy::Quarantine);
    ///
    /// let error = Config::from_options(DriverOptions::new("spool", Default::default())).unwrap_err();
    /// assert!(error.to_string().contains("`spool.dir` is missing"));
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    pub fn from_options(options: DriverOptions) -> Result<Self> {
        let prefix = options.prefix().to_owned();
        let table: SpoolTable = options.parse()?;
        let Some(dir) = table.dir.filter(|dir| !dir.is_empty()) else {
            let message =
                format!("`{prefix}.dir` is missing: set it to the directory of the spool");
            return Err(Error::new(ErrorKind::Config, message));
        };
        let mut config = Self::new(dir);
        config.max_bytes = table.max_bytes.unwrap_or(config.max_bytes);
        config.max_messages = table.max_messages.unwrap_or(config.max_messages);
        config.when_full = table.when_full.unwrap_or_default();
        config.on_corrupt = table.on_corrupt.unwrap_or_default();
        config.validate(&prefix)?;
        Ok(config)
    }

    /// Returns the configuration of one of several destinations: its slots lie in `dir/name`.
    ///
    /// So no destination forwards the messages of another one.
    ///
    /// # Examples
    ///
    /// ```
    /// use notify_core::pipeline::DestinationName;
    /// use notify_spool::Config;
    ///
    /// let config = Config::new("/var/spool/glance-notify");
    /// let config = config.for_destination(&DestinationName::new("audit")?);
    /// assert_eq!(config.dir, std::path::Path::new("/var/spool/glance-notify/audit"));
    /// # Ok::<(), notify_core::Error>(())
    /// ```
    #[must_use]
    pub fn for_destination(mut self, name: &DestinationName) -> Self {
        name.as_str().clone_into(&mut self.destination);
        let dir = self.dir.join(name.as_str());
        self.root = Some(std::mem::replace(&mut self.dir, dir));
        self
    }

    /// Makes the forwarder report slots of destinations that are not `known`, when it starts.
    ///
    /// It looks at the directory of the spool and at those below it. Nothing forwards such slots. With no
    /// known name, the slots in the directory itself are those of the only destination.
    #[must_use]
    pub fn reporting_unknown_slots(mut self, known: Vec<DestinationName>) -> Self {
        self.known = Some(known);
        self
    }

    /// Returns the directory that all destinations share.
    pub(crate) fn shared_dir(&self) -> &Path {
        self.root.as_deref().unwrap_or(&self.dir)
    }

    /// Checks that the bounds admit at least one message of the largest size. Errors call the keys
    /// `table.max_bytes` and so on.
    pub(crate) fn validate(&self, table: &str) -> Result<()> {
        let least = MAX_NOTIFICATION_BYTES + MAX_RECORD_OVERHEAD;
        if self.max_bytes < least {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`{table}.max_bytes` must be at least {least}, so that a notification of the \
                     largest size fits"
                ),
            ));
        }
        if self.max_messages == 0 || self.batch_messages == 0 {
            return Err(Error::new(
                ErrorKind::Config,
                format!("`{table}.max_messages` and `queue.batch_messages` must be at least 1"),
            ));
        }
        Ok(())
    }

    /// Returns how many bytes of messages may be in memory between the disk and the destination.
    pub(crate) fn window_bytes(&self) -> usize {
        self.batch_bytes.saturating_mul(2).max(MIN_WINDOW_BYTES)
    }

    /// Returns the size of the largest message that the spool can store and forward, in bytes.
    pub(crate) fn max_message_bytes(&self) -> usize {
        let in_spool = self.max_bytes.saturating_sub(MAX_RECORD_OVERHEAD);
        usize::try_from(in_spool).unwrap_or(usize::MAX).min(self.window_bytes() / 2)
    }

    /// Returns the configuration with `disk` as the storage of all slots, for tests of the spool.
    ///
    /// The locks stay in files.
    #[doc(hidden)]
    #[must_use]
    pub fn on_disk(mut self, disk: Arc<dyn SpoolDisk>) -> Self {
        self.disk = disk;
        self
    }

    /// Returns the configuration with `executor` for the work of all slots, for tests of the spool.
    #[doc(hidden)]
    #[must_use]
    pub fn executed_by(mut self, executor: Arc<dyn SlotExecutor>) -> Self {
        self.executor = executor;
        self
    }

    /// Makes the jitter of the forwarder's waits follow from `seed`, for tests of the spool.
    #[doc(hidden)]
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("dir", &self.dir)
            .field("max_bytes", &self.max_bytes)
            .field("max_messages", &self.max_messages)
            .field("when_full", &self.when_full)
            .field("on_corrupt", &self.on_corrupt)
            .finish_non_exhaustive()
    }
}

/// The default options as a JSON object, for `glance-notify check` to show.
///
/// `dir` is absent because it has no default.
///
/// # Examples
///
/// ```
/// let defaults: serde_json::Value = serde_json::from_str(notify_spool::DEFAULTS)?;
/// assert_eq!(defaults["when_full"], "retry");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub const DEFAULTS: &str = r#"{ "max_bytes": 268435456, "max_messages": 1000000,
    "when_full": "retry", "on_corrupt": "refuse" }"#;

/// The table `[spool]`: one field for each key, as you write it in a file. `None` leaves the default.
///
/// Use it for a configuration that your program builds.
///
/// # Examples
///
/// ```
/// use notify_spool::{FullSpoolPolicy, SpoolTable};
///
/// let mut table = SpoolTable::default();
/// table.dir = Some("/var/spool/glance-notify".into());
/// table.when_full = Some(FullSpoolPolicy::Refuse);
/// ```
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SpoolTable {
    /// The directory, as text: a configuration is UTF-8. Required.
    pub dir: Option<String>,
    /// The most bytes of notifications that one process stores.
    pub max_bytes: Option<u64>,
    /// The most notifications that one process stores.
    pub max_messages: Option<u64>,
    /// The reaction to a full spool.
    pub when_full: Option<FullSpoolPolicy>,
    /// The reaction to a damaged file.
    pub on_corrupt: Option<CorruptSlotPolicy>,
}

/// The default of `spool.max_bytes`.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// The default of `spool.max_messages`.
const MAX_MESSAGES: u64 = 1_000_000;
/// The smallest window between the disk and the destination: a few notifications at the size limit.
const MIN_WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// The size limit of one notification, the default of core's [`SizeLimits`].
const MAX_NOTIFICATION_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use notify_core::codec::SizeLimits;
    use serde_json::json;

    use super::*;

    /// Reads a table as the configuration does.
    fn read(table: serde_json::Value) -> Result<Config> {
        let serde_json::Value::Object(table) = table else { panic!("not a table: {table}") };
        Config::from_options(DriverOptions::new("spool", table))
    }

    /// Every option except the directory has a default.
    #[test]
    fn only_the_directory_is_required() {
        let config = read(json!({ "dir": "/var/spool/glance" })).unwrap();
        assert_eq!(config.dir, PathBuf::from("/var/spool/glance"));
        assert_eq!((config.max_bytes, config.max_messages), (MAX_BYTES, MAX_MESSAGES));
        assert_eq!(
            (config.when_full, config.on_corrupt),
            (FullSpoolPolicy::Retry, CorruptSlotPolicy::Refuse)
        );
        let config = read(json!({ "dir": "s", "when_full": "refuse", "on_corrupt": "quarantine",
            "max_bytes": 2_000_000, "max_messages": 5 }));
        let config = config.unwrap();
        assert_eq!(config.dir, std::env::current_dir().unwrap().join("s"));
        assert_eq!((config.max_bytes, config.max_messages), (2_000_000, 5));
        assert_eq!(config.when_full, FullSpoolPolicy::Refuse);
        assert_eq!(config.on_corrupt, CorruptSlotPolicy::Quarantine);
    }

    /// `glance-notify check` shows the values that the spool uses.
    #[test]
    fn the_shown_defaults_are_the_defaults_in_use() {
        let mut table: serde_json::Value = serde_json::from_str(DEFAULTS).unwrap();
        table["dir"] = "s".into();
        let (shown, used) = (read(table).unwrap(), Config::new("s"));
        assert_eq!(format!("{shown:?}"), format!("{used:?}"));
        assert_eq!(SizeLimits::default().bytes as u64, MAX_NOTIFICATION_BYTES);
    }

    /// Each error names the option that you have to change.
    #[test]
    fn errors_name_the_invalid_option() {
        for (table, expected) in [
            (json!({}), "`spool.dir` is missing"),
            (json!({ "dir": "" }), "`spool.dir` is missing"),
            (json!({ "dir": "s", "max_bytes": 1000 }), "`spool.max_bytes` must be at least"),
            (json!({ "dir": "s", "max_messages": 0 }), "`spool.max_messages` and"),
            (json!({ "dir": "s", "when_full": "block" }), "`spool.when_full`: unknown"),
            (json!({ "dir": "s", "size": 1 }), "`spool.size`: unknown option"),
        ] {
            let error = read(table).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    /// The errors of one of several destinations name its table.
    #[test]
    fn errors_name_the_table_of_the_destination() {
        for (table, expected) in [
            (json!({}), "`destination[1].spool.dir` is missing"),
            (json!({ "dir": "s", "max_bytes": 1000 }), "`destination[1].spool.max_bytes` must be"),
            (json!({ "dir": "s", "max_messages": 0 }), "`destination[1].spool.max_messages` and"),
        ] {
            let table = table.as_object().unwrap().clone();
            let options = DriverOptions::new("destination[1].spool", table);
            let error = Config::from_options(options).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
