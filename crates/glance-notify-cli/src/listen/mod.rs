//! `glance-notify listen`: notifications as they arrive.
//!
//! ```text
//! sources ──► listener ──► selection ──► printed, --exec, --to
//!                 ▲                            │
//!                 └──────── ack, fail ◄────────┘
//! ```
//!
//! * [`source_args`] turns `--from` into sources.
//! * [`session`] is the loop: it selects, hands over, settles, and decides when to stop.
//! * [`notification_handler`] prints, runs the command of `--exec`, or forwards to `--to`.
//!
//! # Output
//!
//! Notifications go to standard output, everything else to standard error:
//!
//! ```text
//! $ glance-notify listen --from notifications.log --event 'image.*' --exit-at-end
//! 2026-11-24T12:00:00Z  INFO   image.delete         c80a1a6c  debian-12  of web, deleted
//! glance-notify: 11 received, 1 shown, 10 left out
//! ```

mod args;
#[cfg(feature = "rabbit")]
mod broker_queues;
mod exec_command;
mod forwarding;
mod notification_handler;
mod notification_json;
mod notification_line;
mod recent_ids;
mod session;
mod session_filter;
mod source_args;
mod summary;
mod work_ledger;

use glance_notify::listen::{SourceConfig, builder_of, check_checkpoints, listener_config};
use notify_archive::Archive;

pub(crate) use self::args::ListenArgs;
pub(crate) use self::forwarding::ForwardTarget;
pub(crate) use self::notification_handler::NotificationHandler;
pub(crate) use self::session::{ListenSession, SessionOptions};
pub(crate) use self::source_args::{LocationArgs, SourceArgs, announce_input, line_filter};
pub(crate) use self::summary::ListenSummary;
use crate::exit_status::{CommandError, ExitStatus};
use crate::input_source::display_path;
use crate::runtime;
use crate::settings::ConfigArgs;

/// Reads, selects and handles notifications until the end, and prints the summary.
///
/// # Errors
///
/// Returns an error if an option or a configuration is wrong, if a source refuses at the start, or if
/// standard output cannot be written.
pub(crate) fn run(args: &ListenArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    let (filter, calendar, names) = args.selection.read()?;
    refuse_archive(&args.sources)?;
    // The queues and checkpoints of a configuration belong to its own program, such as the archive.
    let (sources, config) =
        args.sources.sources(config, args.to.as_deref(), SourceConfig::into_tap)?;
    let lines = line_filter(&filter, &config);
    let adapt = |source: SourceConfig| {
        let source = source.follow(!args.exit_at_end).filter(lines.clone());
        // From the end to the end, there is nothing to show.
        if args.from_end || args.exit_at_end { source.from_end(args.from_end) } else { source }
    };
    let sources: Vec<_> = sources.into_iter().map(adapt).collect();
    #[cfg(feature = "rabbit")]
    let sources = args.tap.choose_queues(sources, &config)?;
    if args.exit_at_end && sources.iter().any(|source| !source.has_end()) {
        let message =
            "--exit-at-end needs files, because a broker has no end: use `--idle SECONDS`";
        return Err(CommandError::new(ExitStatus::PermanentError, message));
    }
    let runtime = runtime::start()?;
    #[cfg(feature = "rabbit")]
    if args.remove_tap {
        let removed = runtime.block_on(broker_queues::remove_taps(&sources));
        // A thread may still wait for a name server.
        runtime.shutdown_background();
        return removed;
    }
    if !args.wait {
        check_checkpoints(&sources)?;
    }
    #[cfg(feature = "rabbit")]
    if args.exec.is_some() || args.to.is_some() {
        broker_queues::warn_about_losses(&sources, &config);
    }
    announce_input(&sources);
    let result = runtime.block_on(async {
        #[cfg(feature = "rabbit")]
        let queues = broker_queues::BrokerQueues::count(&sources).await;
        let handler = NotificationHandler::new(args, calendar, names, &sources)?;
        let mut bounds = listener_config(&config);
        bounds.wait = args.wait;
        let options = SessionOptions {
            limit: args.limit,
            idle: args.idle,
            rate: None,
            is_bounded: args.exit_at_end,
            keeps_dead_letters: config.dead_letters().is_some(),
        };
        let listener = builder_of(&sources, &config)?.config(bounds).start()?;
        let session = ListenSession::new(&options, filter, &sources, handler)?;
        let summary = session.run(listener).await;
        #[cfg(feature = "rabbit")]
        queues.report().await;
        Ok::<_, CommandError>(summary)
    });
    // A thread may wait for standard input that never comes.
    runtime.shutdown_background();
    // Only a command that prints asks a question.
    let is_question = args.exec.is_none() && args.to.is_none();
    let if_nothing = if is_question { ExitStatus::NothingFound } else { ExitStatus::Success };
    result?.print(if_nothing)
}

/// Refuses an archive, in which nothing arrives. Any other directory may hold files of a configuration.
fn refuse_archive(sources: &SourceArgs) -> Result<(), CommandError> {
    let Ok(Some(directory)) = sources.archive() else { return Ok(()) };
    if Archive::open(directory).is_err() {
        return Ok(());
    }
    let message = format!(
        "`{}` is an archive: use `glance-notify search` to ask it, or `glance-notify replay` to send its \
         notifications",
        display_path(directory)
    );
    Err(CommandError::new(ExitStatus::PermanentError, message))
}
