//! The table `[spool]`: where messages are kept, how many, and what happens when there is no room.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify_core::config::DriverOptions;
use notify_core::pipeline::QueueConfig;
use notify_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::disk::{Disk, Files};

/// How a spool keeps messages and forwards them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// `spool.dir`: created with mode 0700 where it is missing, in a directory that must exist. It
    /// must belong to the user that runs the process, must not be writable by others, and must not be
    /// a symbolic link. Processes may share it; each has a slot of its own in it.
    pub dir: PathBuf,
    /// `spool.max_bytes`, default 256 MiB: how many bytes of messages one slot holds at most, dead
    /// letters included. The slot's file can be up to twice as large.
    pub max_bytes: u64,
    /// `spool.max_messages`, default 1 000 000: how many messages one slot holds at most, dead letters
    /// included.
    pub max_messages: u64,
    /// `spool.when_full`: what becomes of a message that finds no room.
    pub when_full: FullSpoolPolicy,
    /// `spool.on_corrupt`: what becomes of a file that cannot be read.
    pub on_corrupt: CorruptSlotPolicy,
    /// Messages in one batch to the destination at most, as `queue.batch_messages`. Default 1 024.
    pub batch_messages: usize,
    /// Bytes in one batch to the destination at most, as `queue.batch_bytes`. Default 8 MiB.
    pub batch_bytes: usize,
    /// How long one attempt to forward a batch may take, as `queue.attempt_timeout`. Default 60 s.
    pub attempt_timeout: Duration,
    pub(crate) disk: Arc<dyn Disk>,
}

/// What becomes of a message that finds no room in the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FullSpoolPolicy {
    /// It waits in the queue before the spool until there is room, and is dropped by the queue's own
    /// policy where that is full too.
    #[default]
    Retry,
    /// It is refused at once.
    Refuse,
}

/// What becomes of a file of the spool that is damaged, or of another format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorruptSlotPolicy {
    /// It stays where it is, and nothing is taken until somebody has decided about it.
    #[default]
    Refuse,
    /// It is renamed aside, with a warning, and the spool starts afresh.
    Quarantine,
}

impl Config {
    /// A spool in `dir` with everything else as by default.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let QueueConfig { batch_messages, batch_bytes, .. } = QueueConfig::default();
        let dir = dir.into();
        Self {
            // A service that changes its directory later must still find it.
            dir: std::path::absolute(&dir).unwrap_or(dir),
            max_bytes: MAX_BYTES,
            max_messages: MAX_MESSAGES,
            when_full: FullSpoolPolicy::default(),
            on_corrupt: CorruptSlotPolicy::default(),
            batch_messages,
            batch_bytes,
            attempt_timeout: Duration::from_secs(60),
            disk: Arc::new(Files),
        }
    }

    /// Reads the table `[spool]`: `dir`, `max_bytes`, `max_messages`, `when_full` and `on_corrupt`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown key, a wrong value, no directory, and bounds that no
    /// message fits in.
    pub fn from_options(options: DriverOptions) -> Result<Self> {
        let table: Table = options.parse()?;
        let Some(dir) = table.dir.filter(|dir| !dir.is_empty()) else {
            return Err(Error::new(ErrorKind::Config, NO_DIR));
        };
        let mut config = Self::new(dir);
        config.max_bytes = table.max_bytes;
        config.max_messages = table.max_messages;
        config.when_full = table.when_full;
        config.on_corrupt = table.on_corrupt;
        config.validate()?;
        Ok(config)
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let least = LARGEST + crate::record::OVERHEAD;
        if self.max_bytes < least {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "`spool.max_bytes` must be at least {least}, to hold one notification of the \
                     largest size"
                ),
            ));
        }
        if self.max_messages == 0 || self.batch_messages == 0 {
            return Err(Error::new(
                ErrorKind::Config,
                "`spool.max_messages` and `queue.batch_messages` must be at least 1",
            ));
        }
        Ok(())
    }

    /// How many bytes may be in memory on their way from the disk to the destination.
    pub(crate) fn window_bytes(&self) -> usize {
        self.batch_bytes.saturating_mul(2).max(WINDOW_BYTES)
    }

    /// How large a body may be at most to be kept and forwarded.
    pub(crate) fn largest(&self) -> usize {
        let in_spool = self.max_bytes.saturating_sub(crate::record::OVERHEAD);
        usize::try_from(in_spool).unwrap_or(usize::MAX).min(self.window_bytes() / 2)
    }

    /// Keeps everything but the locks on `disk` instead of in files. For tests of the spool.
    #[doc(hidden)]
    #[must_use]
    pub fn on_disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
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

/// The options that hold where nothing else is configured, as a JSON object, for `glance-notify
/// check` to show.
pub const DEFAULTS: &str = r#"{ "max_bytes": 268435456, "max_messages": 1000000,
    "when_full": "retry", "on_corrupt": "refuse" }"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    dir: Option<String>,
    #[serde(default = "max_bytes")]
    max_bytes: u64,
    #[serde(default = "max_messages")]
    max_messages: u64,
    #[serde(default)]
    when_full: FullSpoolPolicy,
    #[serde(default)]
    on_corrupt: CorruptSlotPolicy,
}

fn max_bytes() -> u64 {
    MAX_BYTES
}

fn max_messages() -> u64 {
    MAX_MESSAGES
}

const MAX_BYTES: u64 = 256 * 1024 * 1024;
const MAX_MESSAGES: u64 = 1_000_000;
/// The least that the way to the destination has room for: a few notifications of the largest size.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// The largest notification, as core's [`SizeLimits`] have it.
const LARGEST: u64 = 1024 * 1024;
const NO_DIR: &str = "`spool.dir` is missing: name the directory to keep notifications in";

#[cfg(test)]
mod tests {
    use notify_core::codec::SizeLimits;
    use serde_json::json;

    use super::*;

    fn read(table: serde_json::Value) -> Result<Config> {
        let serde_json::Value::Object(table) = table else { panic!("a table") };
        Config::from_options(DriverOptions::new("spool", table))
    }

    #[test]
    fn a_directory_is_enough() {
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

    #[test]
    fn the_defaults_that_are_shown_are_those_that_hold() {
        let mut table: serde_json::Value = serde_json::from_str(DEFAULTS).unwrap();
        table["dir"] = "s".into();
        let (shown, real) = (read(table).unwrap(), Config::new("s"));
        assert_eq!(format!("{shown:?}"), format!("{real:?}"));
        assert_eq!(SizeLimits::default().bytes as u64, LARGEST);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (table, named) in [
            (json!({}), "`spool.dir` is missing"),
            (json!({ "dir": "" }), "`spool.dir` is missing"),
            (json!({ "dir": "s", "max_bytes": 1000 }), "`spool.max_bytes` must be at least"),
            (json!({ "dir": "s", "max_messages": 0 }), "`spool.max_messages` and"),
            (json!({ "dir": "s", "when_full": "block" }), "`spool.when_full`: unknown"),
            (json!({ "dir": "s", "size": 1 }), "`spool.size`: unknown option"),
        ] {
            let error = read(table).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
