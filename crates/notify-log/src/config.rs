//! The table `[log]`: the target, the file, whether to sync it, and the form of a line.
//!
//! Reading the table opens no file. The first batch does.

use std::path::PathBuf;

use notify_core::codec::Envelope;
use notify_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// The target that notifications are written to.
///
/// ```
/// use notify_log::{Config, FileConfig, Log};
///
/// // A container writes to standard output, a service on a host to a file.
/// let in_container = true;
/// let config = if in_container {
///     Config::Stdout
/// } else {
///     Config::File(FileConfig::new("/var/log/glance/notifications.log"))
/// };
/// let transport = Log::new(config);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {
    /// `log.target = "file"`, the default: a file.
    File(FileConfig),
    /// `log.target = "stdout"`: the process's standard output, for containers. `log.file` and
    /// `log.sync` have no effect.
    Stdout,
    /// `log.target = "tracing"`: events of the target [`TARGET`](crate::TARGET), for the
    /// subscriber of the program. `log.file` and `log.sync` have no effect.
    Tracing,
}

/// A file to append to.
///
/// ```
/// use notify_log::FileConfig;
///
/// let config = FileConfig::new("/var/log/glance/notifications.log");
/// assert!(config.sync);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileConfig {
    /// `log.file`: the absolute path.
    ///
    /// The transport creates a missing file with the mode 0640 (minus the umask), in a directory
    /// that must exist. It finds the file by this path again after every rotation. An existing file
    /// must be a regular file, and the process must be able to read and write it: the last byte
    /// tells whether another writer stopped in the middle of a line.
    pub path: PathBuf,
    /// `log.sync`, by default true: whether a notification counts as delivered only when it is on
    /// the disk. If false, a power cut can lose notifications that were reported delivered.
    pub sync: bool,
}

impl FileConfig {
    /// Returns a configuration that appends to `path` and syncs every batch.
    ///
    /// Makes a relative path absolute, with the current directory of this moment.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: absolute(path.into()), sync: true }
    }

    /// Sets `log.sync`.
    ///
    /// ```
    /// use notify_log::FileConfig;
    ///
    /// let unsynced = FileConfig::new("/var/log/glance/notifications.log").sync(false);
    /// assert!(!unsynced.sync);
    /// ```
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }
}

impl Config {
    /// Returns the target that a table names. Errors call the keys `prefix.file` and so on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for the target `file` without a file.
    pub(crate) fn from_table(prefix: &str, table: LogTable) -> Result<Self> {
        let error = |message| Err(Error::new(ErrorKind::Config, message));
        match table.target.unwrap_or_default() {
            LogTarget::Stdout => Ok(Self::Stdout),
            LogTarget::Tracing => Ok(Self::Tracing),
            LogTarget::File => match table.file.filter(|path| !path.is_empty()) {
                None => error(format!(
                    "`{prefix}.file` is missing: name the file to append to, or set \
                     `{prefix}.target = \"stdout\"`"
                )),
                Some(path) if path.ends_with('/') => {
                    error(format!("`{prefix}.file` ends in a slash: name a file"))
                }
                Some(path) => {
                    Ok(Self::File(FileConfig::new(path).sync(table.sync.unwrap_or(true))))
                }
            },
        }
    }
}

/// The table `[log]`: one field for each key, as you write it in a file. `None` leaves the default.
///
/// Use it for a configuration that your program builds.
///
/// # Examples
///
/// ```
/// use notify_log::LogTable;
///
/// let mut table = LogTable::default();
/// table.file = Some("/var/log/glance/notifications.log".into());
/// table.sync = Some(false);
/// ```
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LogTable {
    /// The path of the file to append to, as text: a configuration is UTF-8.
    pub file: Option<String>,
    /// The target; by default `file`.
    pub target: Option<LogTarget>,
    /// Whether *delivered* means on the disk; by default true.
    pub sync: Option<bool>,
    /// The form of a line; by default `bare`.
    pub envelope: Option<LineEnvelope>,
}

/// The words of `log.envelope`: the form of a notification on its line.
///
/// # Examples
///
/// ```
/// use notify_log::{Config, FileConfig, LineEnvelope, Log};
///
/// let config = Config::File(FileConfig::new("/var/log/glance/notifications.log"));
/// let log = Log::new(config).with_envelope(LineEnvelope::CloudEvents);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum LineEnvelope {
    /// `bare`: the notification itself.
    #[default]
    #[serde(rename = "bare")]
    Bare,
    /// `oslo-2.0`: the notification as a string in oslo.messaging's envelope.
    #[serde(rename = "oslo-2.0")]
    Oslo2,
    /// `cloudevents`: a CloudEvent in structured mode, which also holds the context. A line has no place for the
    /// headers of the binary mode.
    #[serde(rename = "cloudevents")]
    CloudEvents,
}

impl From<LineEnvelope> for Envelope {
    fn from(envelope: LineEnvelope) -> Self {
        match envelope {
            LineEnvelope::Bare => Self::Bare,
            LineEnvelope::Oslo2 => Self::Oslo2,
            LineEnvelope::CloudEvents => Self::CloudEvents,
        }
    }
}

/// The words of `log.target`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LogTarget {
    /// `file`: the file of `log.file`.
    #[default]
    File,
    /// `stdout`: the standard output of the process.
    Stdout,
    /// `tracing`: the logging of the program.
    Tracing,
}

/// Makes a path absolute. Otherwise a service that changes its directory later would start another
/// file there at the next rotation.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use notify_core::config::DriverOptions;
    use serde_json::json;

    use super::*;

    /// Reads a table as the facade does.
    fn read(table: serde_json::Value) -> Result<Config> {
        read_prefixed("log", table)
    }

    /// Reads the table of a destination whose errors call the table `prefix`.
    fn read_prefixed(prefix: &'static str, table: serde_json::Value) -> Result<Config> {
        let serde_json::Value::Object(table) = table else { panic!("not a table") };
        Config::from_table(prefix, DriverOptions::new(prefix, table).parse()?)
    }

    /// Only an explicit `sync = false` gives up durability.
    #[test]
    fn syncs_a_file_by_default() {
        let config = FileConfig::new("/var/log/n.log");
        assert_eq!(read(json!({"file": "/var/log/n.log"})).unwrap(), Config::File(config.clone()));
        assert_eq!(
            read(json!({"file": "/var/log/n.log", "sync": false, "target": "file"})).unwrap(),
            Config::File(config.sync(false))
        );
    }

    /// A later change of the current directory does not move the log.
    #[test]
    fn resolves_a_relative_path_at_once() {
        let Config::File(config) = read(json!({"file": "n.log"})).unwrap() else { panic!() };
        assert_eq!(config.path, std::env::current_dir().unwrap().join("n.log"));
    }

    /// `log.file` may stay in the configuration while another target is in use.
    #[test]
    fn the_other_targets_need_no_file() {
        assert_eq!(read(json!({"target": "stdout"})).unwrap(), Config::Stdout);
        assert_eq!(read(json!({"target": "tracing", "file": "x"})).unwrap(), Config::Tracing);
    }

    /// Every error names the option to change.
    #[test]
    fn errors_name_the_option() {
        for (table, expected) in [
            (json!({}), "`log.file` is missing"),
            (json!({"file": ""}), "`log.file` is missing"),
            (json!({"file": "logs/"}), "`log.file` ends in a slash"),
            (json!({"file": 3}), "`log.file`: "),
            (json!({"file": "x", "fsync": true}), "`log.fsync`: unknown option"),
            (json!({"file": "x", "sync": "maybe"}), "`log.sync`: "),
            (json!({"target": "syslog"}), "`log.target`: "),
            (
                json!({"file": "x", "envelope": "cloudevents-binary"}),
                "`log.envelope`: unknown value, expected \"bare\", \"oslo-2.0\" or \"cloudevents\"",
            ),
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
            (
                json!({}),
                "`destination[1].log.file` is missing: name the file to append to, or set \
                 `destination[1].log.target = \"stdout\"`",
            ),
            (json!({"file": "logs/"}), "`destination[1].log.file` ends in a slash: name a file"),
        ] {
            let error = read_prefixed("destination[1].log", table).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
