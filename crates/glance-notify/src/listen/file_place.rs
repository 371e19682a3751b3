//! A log file or standard input as the place of a source.

use std::path::PathBuf;

use notify_core::Result;
use notify_core::codec::LineFilter;
use notify_core::config::DriverOptions;
use notify_core::source::Source;
use notify_log::{FileSource, FileSourceConfig, LineForm, LineSource};
use serde::Deserialize;

/// A log file, and how to read it.
#[derive(Clone, Debug)]
pub(super) struct FilePlace {
    /// The path; `-` is standard input.
    pub(super) path: PathBuf,
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) from_end: bool,
    /// Whether to wait for more lines at the end.
    pub(super) follow: bool,
    /// The lines to read; all of them by default.
    pub(super) filter: Option<LineFilter>,
    pub(super) form: LineForm,
}

impl FilePlace {
    /// Returns a file that is followed from its start.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            checkpoint: None,
            from_end: false,
            follow: true,
            filter: None,
            form: LineForm::Auto,
        }
    }

    /// Reads the table of a source that is a file, and returns it with the configured name and region.
    pub(super) fn from_options(
        options: DriverOptions,
    ) -> Result<(Self, Option<String>, Option<String>)> {
        let FileTable { name, region, file, checkpoint, start, form } = options.parse()?;
        let form = match form {
            LineFormName::Auto => LineForm::Auto,
            LineFormName::Json => LineForm::Json,
            LineFormName::Log => LineForm::Log,
        };
        let from_end = start == StartPlace::End;
        let place = Self { checkpoint, from_end, form, ..Self::new(file) };
        Ok((place, name, region))
    }

    /// Returns whether the place is standard input.
    pub(super) fn is_input(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// Returns the name of a source without a configured one.
    pub(super) fn default_name(&self) -> String {
        if self.is_input() {
            return "standard input".to_owned();
        }
        notify_core::redact::printable_path(&self.path, NAME_CHARS)
    }

    /// Opens the place as a source called `name`.
    pub(super) fn open(&self, name: &str) -> Box<dyn Source> {
        if self.is_input() {
            let input = std::io::BufReader::with_capacity(INPUT_BYTES, std::io::stdin());
            return Box::new(LineSource::filtered(name, input, self.form, self.filter.clone()));
        }
        let mut config = FileSourceConfig::new(&self.path);
        name.clone_into(&mut config.name);
        config.checkpoint.clone_from(&self.checkpoint);
        config.from_end = self.from_end;
        config.form = self.form;
        config.filter.clone_from(&self.filter);
        config.follow = self.follow;
        Box::new(FileSource::new(config))
    }
}

/// The keys of a `[[source]]` that is a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    name: Option<String>,
    region: Option<String>,
    file: PathBuf,
    checkpoint: Option<PathBuf>,
    #[serde(default)]
    start: StartPlace,
    #[serde(default)]
    form: LineFormName,
}

/// The place in a file to start from without a checkpoint.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StartPlace {
    #[default]
    Begin,
    End,
}

/// The name of a form of lines.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineFormName {
    #[default]
    Auto,
    Json,
    Log,
}

/// The size of the buffer of standard input.
const INPUT_BYTES: usize = 64 * 1024;
/// The longest name of a source that is a path, in characters.
const NAME_CHARS: usize = 256;
