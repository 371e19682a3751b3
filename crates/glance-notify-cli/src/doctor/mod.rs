//! `glance-notify doctor`: why does nothing arrive?
//!
//! It examines each source from the configuration to the last notification, and takes nothing from other
//! consumers. Each line has one finding and its remedy:
//!
//! ```text
//! warning  configuration: `driver` (glance-api.conf, line 5): no notifications are sent: …
//! good     broker: RabbitMQ 3.10.8 at rabbit1:5672 (192.0.2.7)
//! warning  queue `notifications.info`: 120 messages and no consumer: …
//! ```
//!
//! * [`broker_examination`] examines a broker by passive declarations, and its queues.
//! * [`management`] asks the management API about what those do not show.
//! * [`traffic`] waits for notifications through a tap, and compares the clocks.
//! * [`grant`] prints the least permissions of a reader.
//! * [`nagios`] is the form for monitoring.

#[cfg(feature = "rabbit")]
mod broker_examination;
mod diagnosis;
#[cfg(feature = "rabbit")]
mod grant;
#[cfg(feature = "rabbit")]
mod management;
mod nagios;
#[cfg(feature = "rabbit")]
mod queue_findings;
mod time_limit;
mod traffic;

use std::time::Duration;

use glance_notify::Error;
use glance_notify::listen::SourceConfig;
use glance_notify::transport::Finding;
use glance_notify_cli::json_output::write_json;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use self::diagnosis::Diagnosis;
#[cfg(feature = "rabbit")]
use self::management::ApiLocation;
use self::nagios::NagiosThresholds;
use self::time_limit::within_time;
use crate::arguments::{number_in, parse_seconds};
use crate::exit_status::{CommandError, ExitStatus};
use crate::finding_rows::FindingRow;
use crate::listen::LocationArgs;
use crate::output_format::TextOrJson;
use crate::runtime;
use crate::settings::ConfigArgs;
use crate::signals::StopSignals;
use crate::terminal::{stdout_is_closed, write_stdout};

/// Find out why no notifications arrive: one finding per line, with what to do.
///
/// Examines the configuration, the broker, the exchanges, the queues with their consumers, with
/// `--management` also bindings, policies and alarms, and with `--watch` the traffic. Nothing is taken from
/// other consumers, and nothing is changed.
#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    locations: LocationArgs,

    /// Watch for notifications for this many seconds, through a temporary tap, and compare the clocks.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    watch: Option<Duration>,

    /// Examine again after each watch, until a signal, and print only what has changed.
    #[arg(long, requires = "watch", conflicts_with = "nagios")]
    repeat: bool,

    /// Ask the management API of the broker as well: for bindings, policies, consumers, alarms and blocked
    /// connections. Without a URL, it is the `management_url` of the source, or else port 15672 of the same
    /// hosts, with TLS 15671. The user and the password are those of the source unless the URL has others.
    #[cfg(feature = "rabbit")]
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    management: Option<String>,

    /// Print the commands that give this user of the broker the least permissions to read, and end.
    #[cfg(feature = "rabbit")]
    #[arg(long, value_name = "USER")]
    grant: Option<String>,

    /// Print one line with performance data, and exit with the codes of Nagios: 0, 1, 2 and 3.
    #[arg(long, conflicts_with = "output")]
    nagios: bool,

    /// With `--nagios`: a warning from this number of messages on in queues without a consumer.
    #[arg(short = 'w', long, value_name = "MESSAGES", requires = "nagios", default_value_t = 100)]
    #[arg(conflicts_with = "output", value_parser = number_in(0..=u64::MAX))]
    warning: u64,

    /// With `--nagios`: critical from this number on.
    #[arg(short = 'C', long, value_name = "MESSAGES", requires = "nagios", default_value_t = 1000)]
    #[arg(conflicts_with = "output", value_parser = number_in(0..=u64::MAX))]
    critical: u64,

    #[command(flatten)]
    output: TextOrJson,
}

/// A source, and the management API of its broker if it is to be asked.
struct ExaminedSource {
    source: SourceConfig,
    #[cfg(feature = "rabbit")]
    management: Option<ApiLocation>,
}

impl DoctorArgs {
    /// Returns the sources with the places of their management APIs.
    ///
    /// # Errors
    ///
    /// Returns an error for an invalid URL, and for a URL that does not belong to a single broker.
    #[cfg(feature = "rabbit")]
    fn subjects(&self, sources: Vec<SourceConfig>) -> Result<Vec<ExaminedSource>, CommandError> {
        let brokers = sources.iter().filter(|source| source.broker().is_some()).count();
        let option = self.management.as_deref();
        let problem = match option {
            Some(_) if brokers == 0 => "--management needs a broker: name one with `--from`",
            Some(url) if brokers > 1 && !url.is_empty() => {
                "--management URL needs a single broker: set `management_url` in each table `[[source]]`"
            }
            _ => "",
        };
        if !problem.is_empty() {
            return Err(CommandError::new(ExitStatus::PermanentError, problem));
        }
        let subjects = sources.into_iter().map(|source| {
            let management = match source.broker() {
                Some(broker) => ApiLocation::of_source(broker, option)?,
                None => None,
            };
            Ok(ExaminedSource { source, management })
        });
        subjects.collect()
    }

    /// Returns the sources.
    #[cfg(not(feature = "rabbit"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature")]
    fn subjects(&self, sources: Vec<SourceConfig>) -> Result<Vec<ExaminedSource>, CommandError> {
        Ok(sources.into_iter().map(|source| ExaminedSource { source }).collect())
    }
}

/// One finding as JSON. Scripts read these fields: never rename them.
#[derive(Serialize)]
struct DoctorRow<'a> {
    source: &'a str,
    #[serde(flatten)]
    finding: FindingRow,
}

/// Examines the sources and prints the findings. For Nagios, an error is a state of its own.
///
/// # Errors
///
/// Returns an error if a configuration is invalid, or if standard output cannot be written.
pub(crate) fn run(args: &DoctorArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    match diagnose(args, config) {
        Err(error) if args.nagios => nagios::print_unknown(&error),
        result => result,
    }
}

/// Examines the sources and prints the findings.
fn diagnose(args: &DoctorArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    let sources = args.locations.sources_alone(config)?;
    #[cfg(feature = "rabbit")]
    if let Some(user) = &args.grant {
        return grant::print(user, &sources);
    }
    let subjects = args.subjects(sources)?;
    let runtime = runtime::start_single_threaded()?;
    let result = runtime.block_on(async {
        if args.repeat {
            return repeat(args, &subjects).await;
        }
        let diagnosis = examine_all(&subjects, args.watch).await;
        if args.nagios {
            let thresholds = NagiosThresholds { warning: args.warning, critical: args.critical };
            return nagios::print(&diagnosis, &thresholds);
        }
        print(args, &diagnosis, subjects.len() > 1, &[])?;
        Ok(diagnosis.status())
    });
    runtime.shutdown_background();
    result
}

/// Examines the sources again and again, until a signal or until nothing reads the output. Prints the findings
/// that differ from those before.
async fn repeat(
    args: &DoctorArgs,
    subjects: &[ExaminedSource],
) -> Result<ExitStatus, CommandError> {
    let mut signals = StopSignals::listen()?;
    let mut known = Vec::new();
    let mut status = ExitStatus::Success;
    while !stdout_is_closed() {
        let started = Instant::now();
        let diagnosis = tokio::select! {
            () = signals.next() => break,
            diagnosis = examine_all(subjects, args.watch) => diagnosis,
        };
        // Names of sources stand in front of their findings, of which only some appear.
        known = print(args, &diagnosis, subjects.len() > 1, &known)?;
        status = diagnosis.status();
        // A source that cannot be watched answers at once.
        tokio::select! {
            () = signals.next() => break,
            () = sleep_until(started + args.watch.unwrap_or_default()) => {}
        }
    }
    Ok(status)
}

/// Prints the findings that are not `known`, and returns the lines of all.
fn print(
    args: &DoctorArgs,
    diagnosis: &Diagnosis,
    with_names: bool,
    known: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut lines = Vec::new();
    write_stdout(|out| {
        let mut last = None;
        for (source, finding) in &diagnosis.findings {
            let mut line = Vec::new();
            let row = DoctorRow { source, finding: FindingRow::new(finding) };
            if args.output.is_json() {
                write_json(&mut line, &row)?;
            } else {
                row.finding.write_text(&mut line)?;
            }
            let key = [source.as_bytes(), &line].concat();
            if !known.contains(&key) {
                if with_names && !args.output.is_json() && last != Some(source) {
                    writeln!(out, "{source}:")?;
                    last = Some(source);
                }
                out.write_all(&line)?;
            }
            lines.push(key);
        }
        Ok(())
    })?;
    Ok(lines)
}

/// Examines the sources, one after the other.
async fn examine_all(subjects: &[ExaminedSource], watch: Option<Duration>) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    for subject in subjects {
        let source = &subject.source;
        let name = source.name();
        for warning in source.warnings() {
            diagnosis.add(name, Finding::warning("configuration", configuration_advice(warning)));
        }
        let mut is_reachable = true;
        match check(source).await {
            Ok(findings) => findings.into_iter().for_each(|finding| diagnosis.add(name, finding)),
            Err(error) => {
                is_reachable = false;
                diagnosis.add(name, Finding::bad("source", error));
            }
        }
        #[cfg(feature = "rabbit")]
        if is_reachable {
            broker_examination::examine(source, subject.management.as_ref(), &mut diagnosis).await;
        }
        if let Some(time) = watch.filter(|_| is_reachable) {
            traffic::watch(source, time, &mut diagnosis).await;
        }
    }
    diagnosis
}

/// Runs `Source::check` within the time limit.
async fn check(source: &SourceConfig) -> Result<Vec<Finding>, Error> {
    let mut source = source.open()?;
    within_time(source.check()).await
}

/// Adds to a warning about a driver that sends nothing the name of the switch in kolla-ansible.
fn configuration_advice(warning: &str) -> String {
    if warning.contains("no notifications are sent") {
        return format!("{warning} (in kolla-ansible: `enable_ceilometer`, which sets the driver)");
    }
    warning.to_owned()
}
