//! The table `[log]`: where lines go, and whether they are synced.

use std::path::PathBuf;

use notify_core::config::DriverOptions;
use notify_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// Where notifications are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Config {
    /// `log.target = "file"`, the default.
    File(FileConfig),
    /// `log.target = "stdout"`: the process's standard output, for containers. `log.file` and
    /// `log.sync` mean nothing then.
    Stdout,
    /// `log.target = "tracing"`: events of the target [`TARGET`](crate::TARGET), for whatever
    /// subscriber the program has. `log.file` and `log.sync` mean nothing then.
    Tracing,
}

/// A file to append to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileConfig {
    /// `log.file`: created with mode 0640 where it is missing, in a directory that must exist. It is
    /// found again by this path after every rotation. Must be readable and writable, and a regular
    /// file.
    pub path: PathBuf,
    /// `log.sync`, default true: whether a notification counts as delivered only once it is on the
    /// disk. Without it a power cut loses what was reported delivered.
    pub sync: bool,
}

impl FileConfig {
    /// Appends to `path`, and syncs.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: absolute(path.into()), sync: true }
    }

    /// The same with `log.sync` as given.
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }
}

impl Config {
    /// Reads the table `[log]`: `file`, `target` and `sync`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for an unknown key, a wrong value, or no file where one is needed.
    pub fn from_options(options: DriverOptions) -> Result<Self> {
        let table: Table = options.parse()?;
        match table.target {
            Target::Stdout => Ok(Self::Stdout),
            Target::Tracing => Ok(Self::Tracing),
            Target::File => match table.file {
                None => Err(Error::new(ErrorKind::Config, NO_FILE)),
                Some(path) if path.is_empty() => Err(Error::new(ErrorKind::Config, NO_FILE)),
                Some(path) if path.ends_with('/') => Err(Error::new(ErrorKind::Config, DIRECTORY)),
                Some(path) => Ok(Self::File(FileConfig::new(path).sync(table.sync))),
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    file: Option<String>,
    #[serde(default)]
    target: Target,
    #[serde(default = "yes")]
    sync: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    #[default]
    File,
    Stdout,
    Tracing,
}

fn yes() -> bool {
    true
}

/// The path as it is meant now: a service that changes its directory later must not start another
/// file there at the next rotation.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

const NO_FILE: &str =
    "`log.file` is missing: name the file to append to, or set `log.target = \"stdout\"`";
const DIRECTORY: &str = "`log.file` ends in a slash: name a file";

#[cfg(test)]
mod tests {
    use notify_core::config::DriverOptions;
    use serde_json::json;

    use super::*;

    fn read(table: serde_json::Value) -> Result<Config> {
        let serde_json::Value::Object(table) = table else { panic!("a table") };
        Config::from_options(DriverOptions::new("log", table))
    }

    #[test]
    fn a_file_is_synced_unless_told_otherwise() {
        let config = FileConfig::new("/var/log/n.log");
        assert_eq!(read(json!({"file": "/var/log/n.log"})).unwrap(), Config::File(config.clone()));
        assert_eq!(
            read(json!({"file": "/var/log/n.log", "sync": false, "target": "file"})).unwrap(),
            Config::File(config.sync(false))
        );
    }

    #[test]
    fn a_relative_path_is_bound_to_the_directory_of_now() {
        let Config::File(config) = read(json!({"file": "n.log"})).unwrap() else { panic!() };
        assert_eq!(config.path, std::env::current_dir().unwrap().join("n.log"));
    }

    #[test]
    fn the_other_targets_need_no_file() {
        assert_eq!(read(json!({"target": "stdout"})).unwrap(), Config::Stdout);
        assert_eq!(read(json!({"target": "tracing", "file": "x"})).unwrap(), Config::Tracing);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (table, named) in [
            (json!({}), "`log.file` is missing"),
            (json!({"file": ""}), "`log.file` is missing"),
            (json!({"file": "logs/"}), "`log.file` ends in a slash"),
            (json!({"file": 3}), "`log.file`: "),
            (json!({"file": "x", "fsync": true}), "`log.fsync`: unknown field"),
            (json!({"file": "x", "sync": "maybe"}), "`log.sync`: "),
            (json!({"target": "syslog"}), "`log.target`: "),
        ] {
            let error = read(table).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
