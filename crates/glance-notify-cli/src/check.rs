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
//! `bad` findings decide the exit status, as for `emit` without those of optional destinations beside a
//! required one. A `warning` names a cost or a risk and changes nothing. `-o json` prints one object:
//! `{"settings": [{"key", "value", "origin"}, …], "findings": [{"state", "subject", "details"}, …]}`.

use std::io::{self, Write};
use std::time::Duration;

use glance_notify::config::Redact;
use glance_notify::pipeline::NotifierBuilder;
use glance_notify::transport::{Finding, FindingState, Transport, printable};
use glance_notify::{Config, Error, ErrorKind, Event, Notifier, Payload};
use glance_notify_cli::json_output::write_json;
use serde::Serialize;

use crate::console::{Stream, Tone, paint};
use crate::exit_status::{CommandError, ExitStatus};
use crate::finding_rows::FindingRow;
use crate::output_format::TextOrJson;
use crate::runtime;
use crate::settings::require_destination;
use crate::terminal::{print_warning, write_stdout};

/// Show the effective configuration and check its destination, without sending anything.
///
/// Exits with 0 if delivery should work, with 2 if you have to change the configuration or the
/// destination, and with 3 if the destination is unreachable at the moment.
#[derive(clap::Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    output: TextOrJson,
}

/// Prints the configuration, then the findings about the destination and the spool.
///
/// # Errors
///
/// Returns an error if the configuration is invalid or the examination fails.
pub(crate) fn run(args: &CheckArgs, config: &Config) -> Result<ExitStatus, CommandError> {
    let mut report = CheckReport { settings: SettingRow::all(config, None), findings: Vec::new() };
    let examined = require_destination(config).and_then(|()| examine_all(config, &mut report));
    write_stdout(|out| {
        if args.output.is_json() { write_json(out, &report) } else { report.write_text(out) }
    })?;
    let statuses = examined?;
    Ok(match statuses.as_slice() {
        [] => ExitStatus::Success,
        statuses if statuses.contains(&ExitStatus::PermanentError) => ExitStatus::PermanentError,
        _ => ExitStatus::NotDelivered,
    })
}

/// Adds the findings to the report, and returns the statuses of the bad ones that decide.
///
/// # Errors
///
/// Returns an error if the configuration is invalid. The settings that may hold a secret in the wrong place
/// are then hidden.
fn examine_all(config: &Config, report: &mut CheckReport) -> Result<Vec<ExitStatus>, CommandError> {
    // Only building a notifier checks `disabled_notifications` and the queue's bounds, and
    // only building one logs the warnings of the configuration.
    let opened = glance_notify::builder(config)
        .and_then(NotifierBuilder::build)
        .map(|(notifier, _)| notifier);
    let notifier = opened.inspect_err(|error| {
        report.settings = SettingRow::all(config, Some(error));
    })?;
    report.add_default_publisher(&notifier);
    let mut examined = Vec::new();
    let destinations = config.destinations();
    let has_required = destinations.iter().any(|it| it.is_required());
    for destination in destinations {
        // As for `emit`, an optional destination does not count beside a required one.
        let decides = destination.is_required() || !has_required;
        // A failed examination must not hide the findings about the spool and other destinations.
        for result in examine_destination(destination.config()) {
            let name = destination.name();
            let prefix = if name.is_empty() { String::new() } else { format!("{name}: ") };
            for finding in result.iter().flatten() {
                let mut row = FindingRow::new(finding);
                row.subject.insert_str(0, &prefix);
                report.findings.push(row);
            }
            let result = result.map_err(|mut error| {
                error.message.insert_str(0, &prefix);
                error
            });
            match result {
                result if decides => examined.push(result),
                Err(error) => print_warning(format_args!("{}", error.message)),
                Ok(_) => {}
            }
        }
    }
    let findings = examined.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    let bad = findings.into_iter().filter_map(|finding| match finding.state {
        FindingState::Bad(error) => Some(CommandError::from(error).status),
        _ => None,
    });
    Ok(bad.collect())
}

/// Examines one destination, and the spool in front of it if there is one.
fn examine_destination(config: &Config) -> Vec<Result<Vec<Finding>, CommandError>> {
    let transport = glance_notify::transport::open(config).map_err(CommandError::from);
    vec![
        transport.and_then(examine),
        #[cfg(feature = "spool")]
        examine_spool(config),
    ]
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
    let runtime = runtime::start_single_threaded()?;
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

/// The result of the command. Scripts read these fields: never rename them.
#[derive(Serialize)]
struct CheckReport {
    settings: Vec<SettingRow>,
    findings: Vec<FindingRow>,
}

/// One key of the configuration.
#[derive(Serialize)]
struct SettingRow {
    key: String,
    /// The value as JSON, with secrets masked, or `…` if it is hidden.
    value: String,
    origin: String,
}

impl CheckReport {
    /// Adds the publisher id of a configuration that sets none: the name of the host.
    fn add_default_publisher(&mut self, notifier: &Notifier) {
        if self.settings.iter().any(|setting| setting.key == "publisher_id") {
            return;
        }
        // Stamping takes no part in delivery.
        let event = Event::ImageUpload(Payload::Warn(String::new()));
        let publisher = notifier.stamp(event).publisher_id;
        self.settings.push(SettingRow {
            key: "publisher_id".to_owned(),
            value: printable(&format!("{publisher:?}"), MAX_CHARS).to_string(),
            origin: "default, the name of this host".to_owned(),
        });
        self.settings.sort_by(|one, other| one.key.cmp(&other.key));
    }

    /// Writes the settings and the findings as lines of text.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for SettingRow { key, value, origin } in &self.settings {
            let setting = format!("{key} = {value}");
            let origin = paint(Stream::Stdout, Some(Tone::Faint), format_args!("# {origin}"));
            writeln!(out, "{setting:<40} {origin}")?;
        }
        self.findings.iter().try_for_each(|finding| finding.write_text(out))
    }
}

impl SettingRow {
    /// Returns the settings of a configuration, sorted by key.
    ///
    /// An invalid value may be a password in the wrong place. With an error, hides the texts that you set
    /// in the table that the error names, or in all tables if it names none.
    fn all(config: &Config, error: Option<&Error>) -> Vec<Self> {
        let message = error.map(ToString::to_string);
        let wrong_key = message.as_deref().map(|message| message.split('`').nth(1).unwrap_or(""));
        let entries = config.entries().into_iter().map(|entry| {
            let is_hidden = wrong_key.is_some_and(|wrong| {
                // A key outside of the destinations is a key of each of them, and an error may name any.
                let (wrong, key) = (within_destination(wrong), within_destination(&entry.key));
                let in_table = match wrong.split_once(['.', '[']) {
                    Some((table, _)) => key.split(['.', '[']).next() == Some(table),
                    None => wrong.is_empty() || key == wrong,
                };
                let is_harmless = matches!(entry.value.as_str(), "true" | "false");
                in_table && entry.origin != "default" && !is_harmless
            });
            let value = if is_hidden { "…" } else { entry.value.as_str() };
            let key = Redact::Secrets.text(&entry.key);
            Self {
                key: printable(&key, MAX_CHARS).to_string(),
                value: printable(value, MAX_CHARS).to_string(),
                origin: printable(&entry.origin, MAX_CHARS).to_string(),
            }
        });
        entries.collect()
    }
}

/// Returns the key as in the flat form: `rabbit.user` for `destination[0].rabbit.user`.
fn within_destination(key: &str) -> &str {
    let number = key.strip_prefix("destination[");
    number.and_then(|rest| rest.split_once("].")).map_or(key, |(_, key)| key)
}

/// The longest time that an examination takes.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest time that closing the transport takes afterwards.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest number of characters of a value or a detail that the command prints.
const MAX_CHARS: usize = 1024;
