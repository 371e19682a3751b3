//! `glance-notify check`: prints the effective configuration and examines its
//! destination.
//!
//! The command sends no notification. It creates nothing, except that an AMQP 1.0 broker
//! may create a queue on demand when `check` attaches a link to it. Each transport
//! implements its own examination in `Transport::check`; with a spool, `check` examines
//! the spool as well.
//!
//! # Output
//!
//! First each key with its value and its origin, sorted by key, with secrets masked. Then
//! each finding with its state:
//!
//! ```text
//! queue.send_timeout = 120                 # default
//! strategy = "log"                         # --set
//! good     file: /var/log/glance/notifications.log: does not exist yet, can be created
//! good     sync: delivered means on the disk
//! ```
//!
//! `bad` findings decide the exit status. A `warning` names a cost or a risk and changes
//! nothing.

use std::io::Write;
use std::time::Duration;

use glance_notify::config::{ConfigEntry, Redact};
use glance_notify::pipeline::NotifierBuilder;
use glance_notify::transport::{Finding, FindingState, Transport, printable};
use glance_notify::{Config, Error, ErrorKind};

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::write_stdout;

/// Show the effective configuration and check its destination, without sending anything.
///
/// Exits with 0 if delivery should work, with 2 if you have to change the configuration or the
/// destination, and with 3 if the destination is unreachable at the moment.
#[derive(clap::Args)]
pub(crate) struct CheckArgs {}

/// Prints the configuration, then the findings about the destination and the spool.
///
/// # Errors
///
/// Returns an error if the configuration is invalid or the examination fails.
pub(crate) fn run(_: &CheckArgs, config: &Config) -> Result<ExitStatus, CommandError> {
    // Only building a notifier checks `disabled_notifications` and the queue's bounds, and
    // only building one logs the warnings of the configuration.
    let opened = glance_notify::builder(config)
        .and_then(NotifierBuilder::build)
        .and_then(|_| glance_notify::transport::open(config));
    write_stdout(|out| print_settings(out, &config.entries(), opened.is_ok()))?;
    let findings = examine(opened?)?;
    #[cfg(feature = "spool")]
    let findings = [findings, examine_spool(config)?].concat();
    write_stdout(|out| findings.iter().try_for_each(|finding| print_finding(out, finding)))?;
    let bad = findings.iter().filter_map(|finding| match &finding.state {
        FindingState::Bad(error) => Some(CommandError::from(error.clone()).status),
        _ => None,
    });
    let statuses: Vec<_> = bad.collect();
    Ok(match statuses.as_slice() {
        [] => ExitStatus::Success,
        statuses if statuses.contains(&ExitStatus::PermanentError) => ExitStatus::PermanentError,
        _ => ExitStatus::NotDelivered,
    })
}

/// Examines the spool, if the configuration has one.
#[cfg(feature = "spool")]
fn examine_spool(config: &Config) -> Result<Vec<Finding>, CommandError> {
    let Some(spool) = config.spool()? else { return Ok(Vec::new()) };
    let (spool, _) = glance_notify::transport::spool::Spool::open(
        spool,
        glance_notify::transport::open(config)?,
    )?;
    examine(Box::new(spool))
}

/// Runs `Transport::check` within [`CHECK_TIMEOUT`], and closes the transport.
///
/// # Errors
///
/// Returns the transport's error, or a transient error if it does not answer in time.
fn examine(mut transport: Box<dyn Transport>) -> Result<Vec<Finding>, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        CommandError::new(
            ExitStatus::NotDelivered,
            format!("cannot start the async runtime: {error}"),
        )
    })?;
    let findings = runtime.block_on(async {
        let checked = tokio::time::timeout(CHECK_TIMEOUT, transport.check()).await;
        // The findings are complete, so a failure to close the connection is no news.
        drop(tokio::time::timeout(CLOSE_TIMEOUT, transport.close()).await);
        checked.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!("no answer within {} s", CHECK_TIMEOUT.as_secs()),
            ))
        })
    });
    runtime.shutdown_background();
    Ok(findings?)
}

/// Prints each key with its value and its origin.
///
/// Unless all values are valid, hides the values that you set: an invalid one may be a
/// password in the wrong place.
fn print_settings(
    out: &mut dyn Write,
    entries: &[ConfigEntry],
    valid: bool,
) -> std::io::Result<()> {
    for ConfigEntry { key, value, origin, .. } in entries {
        let value = if valid || origin == "default" { value } else { "…" };
        let key = Redact::Secrets.text(key);
        let setting = format!("{} = {}", printable(&key, MAX_CHARS), printable(value, MAX_CHARS));
        writeln!(out, "{setting:<40} # {}", printable(origin, MAX_CHARS))?;
    }
    Ok(())
}

/// Prints one finding: its state, its subject and the details.
fn print_finding(out: &mut dyn Write, finding: &Finding) -> std::io::Result<()> {
    let subject = printable(&finding.subject, MAX_CHARS);
    match &finding.state {
        FindingState::Good(details) => {
            writeln!(out, "good     {subject}: {}", printable(details, MAX_CHARS))
        }
        FindingState::Warning(warning) => {
            writeln!(out, "warning  {subject}: {}", printable(warning, MAX_CHARS))
        }
        FindingState::Bad(error) => {
            let error = format!("{error:#}");
            writeln!(out, "bad      {subject}: {}", printable(&error, usize::MAX))
        }
    }
}

/// The longest time that an examination takes.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest time that closing the transport takes afterwards.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest number of characters of a value or a detail that the command prints.
const MAX_CHARS: usize = 1024;
