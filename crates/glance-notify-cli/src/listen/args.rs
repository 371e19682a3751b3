//! The arguments of `glance-notify listen`.

use std::path::PathBuf;
use std::time::Duration;

use super::source_args::SourceArgs;
#[cfg(feature = "rabbit")]
use super::source_args::TapArgs;
use crate::arguments::{number_in, parse_seconds};
use crate::questions::selection_args::SelectionArgs;

/// Show notifications as they arrive, run a command for them, or forward them.
///
/// The command acknowledges a notification when it is printed, when the command of `--exec` has handled it,
/// or when the destination of `--to` has it. A notification that comes twice, as from two topics, is shown
/// once. A broker of a configuration is read through a temporary tap as well, and a file without its
/// checkpoint, unless an option names another queue or a checkpoint. Ctrl-C and SIGTERM stop the reading;
/// work that has begun then has 10 s to end, and a second signal stops at once.
#[derive(clap::Args)]
#[cfg_attr(
    feature = "rabbit",
    expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")
)]
pub(crate) struct ListenArgs {
    #[command(flatten)]
    pub(super) sources: SourceArgs,

    #[cfg(feature = "rabbit")]
    #[command(flatten)]
    pub(super) tap: TapArgs,

    #[command(flatten)]
    pub(super) selection: SelectionArgs,

    /// Stop after this many notifications.
    #[arg(short = 'n', long, value_name = "NUMBER", value_parser = number_in(1..=u64::MAX))]
    pub(super) limit: Option<u64>,

    /// Stop at the end of the files instead of waiting for more lines.
    #[arg(long)]
    pub(super) exit_at_end: bool,

    /// Start at the end of files, so that only new notifications are shown.
    #[arg(long, conflicts_with = "exit_at_end")]
    pub(super) from_end: bool,

    /// Stop after this many seconds without a notification.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(super) idle: Option<Duration>,

    /// Delete the queue of `--tap` with its notifications, and end.
    #[cfg(feature = "rabbit")]
    #[arg(long, requires = "tap", conflicts_with = "consume")]
    pub(super) remove_tap: bool,

    /// Keep trying if a source refuses at the start, for example while a user or a permission is missing.
    #[arg(long)]
    pub(super) wait: bool,

    /// Form of the notifications: a line for people, JSON in ASCII, or the redacted bytes.
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    #[arg(conflicts_with_all = ["exec", "to"])]
    pub(super) output: ListenFormat,

    /// Run this command in a shell for each notification, as JSON on its standard input. If the command
    /// fails, it runs again after a wait.
    #[arg(long, value_name = "COMMAND", conflicts_with = "to")]
    pub(super) exec: Option<String>,

    /// Hand at most this many notifications to one run of the command, one a line.
    // clap asks for no required option that conflicts with a given one, so each names the conflict itself.
    #[arg(long, value_name = "NUMBER", requires = "exec", default_value_t = 1)]
    #[arg(conflicts_with = "to", value_parser = number_in(1_u32..=10_000))]
    pub(super) exec_batch: u32,

    /// Run the command at most this many times at once. With one, it sees notifications in their order.
    #[arg(long, value_name = "NUMBER", requires = "exec", default_value_t = 1)]
    #[arg(conflicts_with = "to", value_parser = number_in(1_u32..=256))]
    pub(super) jobs: u32,

    /// Kill a run of the command after this many seconds, which counts as a failure.
    #[arg(long, value_name = "SECONDS", requires = "exec", default_value = "60")]
    #[arg(conflicts_with = "to", value_parser = parse_seconds)]
    pub(super) exec_timeout: Duration,

    /// Forward the notifications to the destination of this configuration, unchanged and with their ids.
    #[arg(long, value_name = "CONFIG")]
    pub(super) to: Option<PathBuf>,
}

/// The form of notifications on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ListenFormat {
    /// One line for people.
    Text,
    /// The notification as one line of JSON in ASCII.
    Json,
    /// The redacted bytes, one notification a line.
    Raw,
}
