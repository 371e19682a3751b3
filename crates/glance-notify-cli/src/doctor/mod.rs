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
//! * [`traffic`] waits for notifications through a tap, and compares the clocks.
//! * [`grant`] prints the least permissions of a reader.
//! * [`nagios`] is the form for monitoring.

#[cfg(feature = "rabbit")]
mod broker_examination;
mod diagnosis;
#[cfg(feature = "rabbit")]
mod grant;
mod nagios;
mod traffic;

use std::time::Duration;

use glance_notify::listen::SourceConfig;
use glance_notify::transport::Finding;
use glance_notify::{Error, ErrorKind};
use serde::Serialize;

use self::diagnosis::Diagnosis;
use self::nagios::NagiosThresholds;
use crate::arguments::parse_seconds;
use crate::exit_status::{CommandError, ExitStatus};
use crate::finding_rows::FindingRow;
use crate::json_output::write_json;
use crate::listen::LocationArgs;
use crate::output_format::TextOrJson;
use crate::runtime;
use crate::settings::ConfigArgs;
use crate::terminal::write_stdout;

/// Find out why no notifications arrive: one finding per line, with what to do.
///
/// Examines the configuration, the broker, the exchanges, the queues with their consumers, and with
/// `--watch` the traffic. Nothing is taken from other consumers, and nothing is changed.
#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    locations: LocationArgs,

    /// Watch for notifications for this many seconds, through a temporary tap, and compare the clocks.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    watch: Option<Duration>,

    /// Print the commands that give this user of the broker the least permissions to read, and end.
    #[cfg(feature = "rabbit")]
    #[arg(long, value_name = "USER")]
    grant: Option<String>,

    /// Print one line with performance data, and exit with the codes of Nagios: 0, 1, 2 and 3.
    #[arg(long, conflicts_with = "output")]
    nagios: bool,

    /// With `--nagios`: a warning from this number of messages on in queues without a consumer.
    #[arg(short = 'w', long, value_name = "MESSAGES", requires = "nagios", default_value_t = 100)]
    warning: u64,

    /// With `--nagios`: critical from this number on.
    #[arg(short = 'C', long, value_name = "MESSAGES", requires = "nagios", default_value_t = 1000)]
    critical: u64,

    #[command(flatten)]
    output: TextOrJson,
}

/// One finding as JSON. Scripts read these fields: never rename them.
#[derive(Serialize)]
struct DoctorRow<'a> {
    source: &'a str,
    #[serde(flatten)]
    finding: FindingRow,
}

/// Examines the sources and prints the findings.
///
/// # Errors
///
/// Returns an error if a configuration is invalid, or if standard output cannot be written.
pub(crate) fn run(args: &DoctorArgs, config: &ConfigArgs) -> Result<ExitStatus, CommandError> {
    let (sources, _) = args.locations.sources(config)?;
    #[cfg(feature = "rabbit")]
    if let Some(user) = &args.grant {
        return grant::print(user, &sources);
    }
    let runtime = runtime::start_single_threaded()?;
    let diagnosis = runtime.block_on(examine_all(&sources, args.watch));
    runtime.shutdown_background();
    if args.nagios {
        let thresholds = NagiosThresholds { warning: args.warning, critical: args.critical };
        return nagios::print(&diagnosis, &thresholds);
    }
    let rows = diagnosis
        .findings
        .iter()
        .map(|(source, finding)| DoctorRow { source, finding: FindingRow::new(finding) });
    let rows: Vec<_> = rows.collect();
    write_stdout(|out| {
        if args.output.is_json() {
            return rows.iter().try_for_each(|row| write_json(out, row));
        }
        let mut last = None;
        rows.iter().try_for_each(|row| {
            if sources.len() > 1 && last != Some(row.source) {
                writeln!(out, "{}:", row.source)?;
                last = Some(row.source);
            }
            row.finding.write_text(out)
        })
    })?;
    Ok(diagnosis.status())
}

/// Examines the sources, one after the other.
async fn examine_all(sources: &[SourceConfig], watch: Option<Duration>) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    for source in sources {
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
            broker_examination::examine(source, &mut diagnosis).await;
        }
        if let Some(time) = watch.filter(|_| is_reachable) {
            traffic::watch(source, time, &mut diagnosis).await;
        }
    }
    diagnosis
}

/// Runs `Source::check` within [`CHECK_TIMEOUT`].
async fn check(source: &SourceConfig) -> Result<Vec<Finding>, Error> {
    let mut source = source.open()?;
    tokio::time::timeout(CHECK_TIMEOUT, source.check()).await.unwrap_or_else(|_| {
        let text = format!("no answer within {} s", CHECK_TIMEOUT.as_secs());
        Err(Error::new(ErrorKind::Timeout, text))
    })
}

/// Adds to a warning about a driver that sends nothing the name of the switch in kolla-ansible.
fn configuration_advice(warning: &str) -> String {
    if warning.contains("no notifications are sent") {
        return format!("{warning} (in kolla-ansible: `enable_ceilometer`, which sets the driver)");
    }
    warning.to_owned()
}

/// The longest examination of one source.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);
