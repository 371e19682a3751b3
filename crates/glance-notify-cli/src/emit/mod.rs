//! `glance-notify emit`: reads notifications and delivers them with the configured
//! strategy.
//!
//! ```text
//! input ── reader thread ──► submitter ── stamp, resend ──► notifier
//!                                └── receipt ──► monitor ──► acks, failed, summary
//! ```
//!
//! * [`line_reader`] reads and parses lines on a thread of its own.
//! * [`intake`] submits their notifications to the notifier, in order.
//! * [`monitor`] waits for the outcomes and decides when to stop.
//! * [`output_files`] writes `--acks`, `--failed` and `--rejected`.
//! * [`summary`] prints the counts and chooses the exit status.
//!
//! Every buffer is bounded, so slow delivery slows down reading. A program can therefore
//! pipe any amount of input into `emit` and rely on it for backpressure.
//!
//! # Output
//!
//! Messages and the summary go to standard error, so that standard output stays free for
//! `--acks -` and `-o json`:
//!
//! ```text
//! $ glance-notify emit -c notify.toml image-lifecycle.jsonl
//! glance-notify: 11 read, 11 delivered by `log`
//! $ glance-notify emit -c notify.toml broken.jsonl
//! glance-notify: broken.jsonl, line 1: /priority: expected "INFO", "WARN", "ERROR", "AUDIT", "CRITICAL", "DEBUG" or "SAMPLE", found "LOUD"
//! glance-notify: the input after line 1 was not read (add `--skip-invalid` to skip invalid lines, or `--rejected FILE` to keep them)
//! glance-notify: 1 read, 0 delivered by `log`, 1 invalid
//! ```

pub(crate) mod args;
mod intake;
mod line_reader;
mod monitor;
mod output_files;
mod summary;

use glance_notify::Config;

use self::args::EmitArgs;
use self::intake::Intake;
use self::monitor::DeliveryMonitor;
use self::output_files::OutputFiles;
use crate::arguments::MAX_WAIT;
use crate::exit_status::{CommandError, ExitStatus};
use crate::file_identity::refuse_input_as_log;
use crate::input_source::announce_terminal_input;
use crate::runtime;

/// Returns the strategies of all destinations.
fn strategies(config: &Config) -> String {
    let strategies = config.destinations().into_iter().map(|it| it.config().strategy());
    strategies.collect::<Vec<_>>().join("`, `")
}

/// Delivers the input and prints the summary.
///
/// # Errors
///
/// Returns an error if the input, an output file or the transport cannot be opened, and for an output that is
/// the input.
/// Later failures are part of the summary.
pub(crate) fn run(args: &EmitArgs, config: &Config) -> Result<ExitStatus, CommandError> {
    let input = args.open_input()?;
    refuse_input_as_log(config, args.input_file().as_slice())?;
    let (outputs, rejected) = OutputFiles::open(args)?;
    if args.event.is_none() {
        announce_terminal_input(args.input.as_ref());
    }
    let builder = glance_notify::builder(config)?;
    // A full queue delays the submitter and drops nothing: `--timeout` alone decides when
    // to give up.
    let (notifier, worker) = builder.send_timeout(MAX_WAIT).build()?;
    tracing::info!(
        "strategy `{}`, publisher id `{}`, reading from {}",
        strategies(config),
        config.publisher_id().unwrap_or("the name of this host"),
        input.name
    );
    let runtime = runtime::start()?;
    let summary = runtime.block_on(async {
        let worker = tokio::spawn(worker.run());
        let intake = Intake::start(input, notifier.clone(), rejected, args)?;
        let summary = DeliveryMonitor::new(notifier, intake, outputs, config, args)?.run().await;
        drop(worker.await);
        Ok::<_, CommandError>(summary)
    });
    // The reader thread may still wait for input that never comes.
    runtime.shutdown_background();
    summary?.print(args.output)
}
