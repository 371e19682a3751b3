//! The settings of a source of log files.

use std::path::PathBuf;
use std::time::Duration;

use notify_core::codec::LineFilter;

/// A log file to read from.
///
/// # Examples
///
/// ```
/// use notify_log::{FileSource, FileSourceConfig};
///
/// let mut config = FileSourceConfig::new("/var/log/glance/notifications.log");
/// config.checkpoint = Some("/var/lib/audit/notifications.position".into());
/// let source = FileSource::new(config);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSourceConfig {
    /// The name of the source. Default: the path.
    pub name: String,
    /// The path of the live file. It is found by this path again after every rotation.
    pub path: PathBuf,
    /// Whether to wait for more lines at the end of the file. By default true. If false, the source
    /// ends there, and the last line needs no line end.
    pub follow: bool,
    /// Whether to start at the end of the file when there is no checkpoint. By default false.
    pub from_end: bool,
    /// The file that keeps the position between two runs. One source at a time reads with it: a second one
    /// tries again until the first ends. By default none.
    pub checkpoint: Option<PathBuf>,
    /// The form of the lines. Default [`LineForm::Auto`].
    pub form: LineForm,
    /// The lines to read. The source passes over the others, and counts them as
    /// [skipped](notify_core::listener::DeliveryCounts::skipped); lines that hold no notification are
    /// among them. By default `None`: all lines.
    pub filter: Option<LineFilter>,
    /// The time between two looks at a file without new lines, at most an hour. Default 250 ms.
    pub poll: Duration,
}

impl FileSourceConfig {
    /// Returns a configuration that follows `path` from its start.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            name: crate::error::display_path(&path),
            path,
            follow: true,
            from_end: false,
            checkpoint: None,
            form: LineForm::Auto,
            filter: None,
            poll: Duration::from_millis(250),
        }
    }
}

/// The form of the lines of a file.
///
/// # Examples
///
/// ```
/// use notify_log::{FileSourceConfig, LineForm};
///
/// let mut config = FileSourceConfig::new("/var/log/glance/api.log");
/// config.form = LineForm::Log;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LineForm {
    /// [`Json`](Self::Json) if the first line of the file begins with a brace, and
    /// [`Log`](Self::Log) otherwise.
    #[default]
    Auto,
    /// Every line is a notification. A line that holds none is unreadable. Records of oslo.log's
    /// `use_json` that hold none are skipped.
    Json,
    /// A log of a service: only the lines of oslo.messaging's driver `log` hold notifications, and the
    /// source skips the others.
    Log,
}
