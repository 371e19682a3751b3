//! The settings of the console: colours and quietness, once for the whole process.
//!
//! `main` sets them from the command line before anything is printed. Everything else only asks.
//!
//! Colours go to terminals only, unless `--color always` asks for them. [`paint`] adds them to text that is
//! escaped already: an escape sequence that comes from outside never gets through.

use std::fmt::Display;
use std::io::{IsTerminal, stderr, stdout};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use glance_notify::event::Priority;

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// Colours on a terminal, unless the environment variable `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Colours everywhere, also in files and pipes.
    Always,
    /// No colours.
    Never,
}

/// The value of `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line: `time`, `level`, `message`, `target`, and the fields of the event.
    Json,
}

/// One of the two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output: results.
    Stdout,
    /// Standard error: messages, progress, the log.
    Stderr,
}

/// The meaning of a colour. Colours only repeat what the text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Something works, or is complete.
    Good,
    /// Something may need attention.
    Warning,
    /// Something failed, or is lost.
    Bad,
    /// A heading of a table.
    Heading,
    /// A detail.
    Faint,
}

/// The settings of the process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ConsoleSettings {
    pub(crate) color: ColorChoice,
    /// `-q`: whether to print errors only.
    pub(crate) quiet: bool,
    /// The form of lines on standard error.
    pub(crate) log_format: LogFormat,
}

impl ConsoleSettings {
    /// Sets the settings of the process. Only the first call has an effect.
    pub(crate) fn install(self) {
        SETTINGS.get_or_init(|| self);
    }
}

impl Stream {
    /// Returns whether the stream is a terminal.
    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => stdout().is_terminal(),
            Self::Stderr => stderr().is_terminal(),
        }
    }

    /// Returns the width of the stream's terminal in columns, or `None` if it is no terminal.
    pub(crate) fn width(self) -> Option<usize> {
        let size = match self {
            Self::Stdout => terminal_size::terminal_size_of(stdout()),
            Self::Stderr => terminal_size::terminal_size_of(stderr()),
        };
        size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0)
    }

    /// Returns whether to write colours to the stream.
    pub(crate) fn has_color(self) -> bool {
        let variable = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match settings().color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
                self.is_terminal() && !variable("NO_COLOR") && !is_dumb
            }
        }
    }
}

impl Tone {
    /// Returns the tone of a notification's priority, or `None` for the ordinary ones.
    pub(crate) fn of_priority(priority: Priority) -> Option<Self> {
        match priority {
            Priority::Warn => Some(Self::Warning),
            Priority::Error | Priority::Critical => Some(Self::Bad),
            _ => None,
        }
    }

    /// Returns the escape sequences of the tone.
    fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Good => color(AnsiColor::Green),
            Self::Warning => color(AnsiColor::Yellow),
            Self::Bad => color(AnsiColor::Red).bold(),
            Self::Heading => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
        }
    }
}

/// Returns `text` in the colour of `tone` if `stream` has colours. `text` must be printable.
pub(crate) fn paint(stream: Stream, tone: Option<Tone>, text: impl Display) -> String {
    match tone {
        Some(tone) if stream.has_color() => {
            let style = tone.style();
            format!("{style}{text}{style:#}")
        }
        _ => text.to_string(),
    }
}

/// Returns whether `-q` is given: print errors only.
pub(crate) fn is_quiet() -> bool {
    settings().quiet
}

/// Returns the value of `--log-format`.
pub(crate) fn log_format() -> LogFormat {
    settings().log_format
}

/// Returns the settings, or the defaults before [`ConsoleSettings::install`].
fn settings() -> ConsoleSettings {
    SETTINGS.get().copied().unwrap_or_default()
}

static SETTINGS: OnceLock<ConsoleSettings> = OnceLock::new();
