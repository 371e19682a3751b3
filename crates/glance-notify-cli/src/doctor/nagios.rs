//! The findings as one line of a Nagios plug-in, with performance data.

use glance_notify::transport::{FindingState, printable};
use glance_notify::{Error, ErrorKind};

use super::diagnosis::Diagnosis;
use crate::exit_status::{CommandError, ExitStatus};
use crate::finding_rows::FindingRow;
use crate::terminal::write_stdout;

/// The numbers of unread messages from which on the state is a warning, or critical.
pub(super) struct NagiosThresholds {
    pub(super) warning: u64,
    pub(super) critical: u64,
}

/// Prints the line, and returns the status, whose code is that of Nagios.
///
/// # Errors
///
/// Returns an error if standard output cannot be written.
pub(super) fn print(
    diagnosis: &Diagnosis,
    thresholds: &NagiosThresholds,
) -> Result<ExitStatus, CommandError> {
    let (status, line) = line(diagnosis, thresholds);
    write_stdout(|out| out.write_all(line.as_bytes()))?;
    Ok(status)
}

/// Prints the line of an error that came before any finding, and returns the status "unknown".
///
/// # Errors
///
/// Returns an error if standard output cannot be written.
pub(super) fn print_unknown(error: &CommandError) -> Result<ExitStatus, CommandError> {
    // A bar begins the performance data.
    let text = printable(&error.message, usize::MAX).to_string().replace('|', "/");
    write_stdout(|out| writeln!(out, "NOTIFICATIONS UNKNOWN - {text}"))?;
    Ok(ExitStatus::NotDelivered)
}

/// Returns the status and the line.
///
/// The codes of Nagios are 0 for OK, 1 for a warning and 2 for critical, as for a broker in alarm. 3, unknown, is
/// for a broker that does not answer.
fn line(diagnosis: &Diagnosis, thresholds: &NagiosThresholds) -> (ExitStatus, String) {
    let Diagnosis { findings, unread, .. } = diagnosis;
    let NagiosThresholds { warning, critical } = thresholds;
    let bad = |is_wanted: fn(&Error) -> bool| {
        findings.iter().find(
            |(_, finding)| matches!(&finding.state, FindingState::Bad(error) if is_wanted(error)),
        )
    };
    let worst = bad(|error| !error.is_transient()).or_else(|| bad(|_| true));
    let alarm = bad(|error| error.kind() == ErrorKind::Full);
    let of_configuration = findings.iter().find(|(_, finding)| {
        finding.subject == "configuration" && matches!(finding.state, FindingState::Warning(_))
    });
    let described = |found: Option<&(String, _)>| {
        found.map(|(source, finding)| {
            let FindingRow { subject, details, .. } = FindingRow::new(finding);
            // A bar begins the performance data.
            format!("{source}: {subject}: {details}").replace('|', "/")
        })
    };
    let summary = || format!("{unread} unread messages");
    let (status, word, text) = match diagnosis.status() {
        ExitStatus::NotDelivered if alarm.is_some() => {
            (ExitStatus::PermanentError, "CRITICAL", described(alarm))
        }
        ExitStatus::NotDelivered => (ExitStatus::NotDelivered, "UNKNOWN", described(worst)),
        ExitStatus::PermanentError => (ExitStatus::PermanentError, "CRITICAL", described(worst)),
        _ if unread >= critical => (ExitStatus::PermanentError, "CRITICAL", None),
        _ if of_configuration.is_some() => {
            (ExitStatus::NothingFound, "WARNING", described(of_configuration))
        }
        _ if unread >= warning => (ExitStatus::NothingFound, "WARNING", None),
        _ => (ExitStatus::Success, "OK", None),
    };
    let text = text.unwrap_or_else(summary);
    (status, format!("NOTIFICATIONS {word} - {text} | unread={unread};{warning};{critical};0\n"))
}

#[cfg(test)]
mod tests {
    use glance_notify::transport::Finding;

    use super::*;

    /// The state follows the worst finding, then the number of unread messages.
    #[test]
    fn the_state_is_that_of_the_worst_finding() {
        let thresholds = NagiosThresholds { warning: 100, critical: 200 };
        let with = |unread, finding: Option<Finding>| {
            let mut diagnosis = Diagnosis::default();
            if let Some(finding) = finding {
                diagnosis.add("r", finding);
            }
            diagnosis.unread = unread;
            let (status, line) = line(&diagnosis, &thresholds);
            (status.code(), line)
        };
        let text = |state: &str| format!("NOTIFICATIONS {state};100;200;0\n");
        assert_eq!(with(99, None), (0, text("OK - 99 unread messages | unread=99")));
        assert_eq!(with(100, None), (1, text("WARNING - 100 unread messages | unread=100")));
        assert_eq!(with(200, None), (2, text("CRITICAL - 200 unread messages | unread=200")));
        let away = Finding::bad("source", Error::new(ErrorKind::Unavailable, "connection refused"));
        let expected = text("UNKNOWN - r: source: connection refused | unread=0");
        assert_eq!(with(0, Some(away)), (3, expected));
        let refused =
            Finding::bad("source", Error::new(ErrorKind::Access, "denied | by the broker"));
        let expected = text("CRITICAL - r: source: denied / by the broker | unread=0");
        assert_eq!(with(0, Some(refused)), (2, expected));
        let full = Finding::bad("node", Error::new(ErrorKind::Full, "memory alarm"));
        let expected = text("CRITICAL - r: node: memory alarm | unread=0");
        assert_eq!(with(0, Some(full)), (2, expected));
        let mut diagnosis = Diagnosis::default();
        for (source, kind, text) in
            [("a", ErrorKind::Unavailable, "refused"), ("b", ErrorKind::Access, "denied")]
        {
            diagnosis.add(source, Finding::bad("source", Error::new(kind, text)));
        }
        let (status, permanent) = line(&diagnosis, &thresholds);
        let expected = text("CRITICAL - b: source: denied | unread=0");
        assert_eq!((status.code(), permanent), (2, expected));
        let silent = Finding::warning("configuration", "no notifications are sent");
        let expected = text("WARNING - r: configuration: no notifications are sent | unread=0");
        assert_eq!(with(0, Some(silent)), (1, expected));
    }
}
