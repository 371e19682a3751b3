//! The result of `doctor`: [`Diagnosis`].

use glance_notify::transport::{Finding, FindingState};

use crate::exit_status::ExitStatus;

/// The findings about all sources, and the number of messages that nothing reads.
#[derive(Default)]
pub(super) struct Diagnosis {
    pub(super) findings: Vec<(String, Finding)>,
    pub(super) unread: u64,
}

impl Diagnosis {
    /// Adds a finding about the source called `source`.
    pub(super) fn add(&mut self, source: &str, finding: Finding) {
        self.findings.push((source.to_owned(), finding));
    }

    /// Adds findings in place of the good ones about the same subjects of the source called `source`.
    #[cfg(feature = "rabbit")]
    pub(super) fn refine(&mut self, source: &str, findings: Vec<Finding>) {
        self.findings.retain(|(name, earlier)| {
            let is_good = matches!(earlier.state, FindingState::Good(_));
            let is_refined = findings.iter().any(|finding| finding.subject == earlier.subject);
            name != source || !is_good || !is_refined
        });
        for finding in findings {
            self.add(source, finding);
        }
    }

    /// Returns the status of the worst finding.
    pub(super) fn status(&self) -> ExitStatus {
        let bad = self.findings.iter().filter_map(|(_, finding)| match &finding.state {
            FindingState::Bad(error) if error.is_transient() => Some(ExitStatus::NotDelivered),
            FindingState::Bad(_) => Some(ExitStatus::PermanentError),
            _ => None,
        });
        let bad: Vec<_> = bad.collect();
        if bad.contains(&ExitStatus::PermanentError) {
            ExitStatus::PermanentError
        } else {
            bad.first().copied().unwrap_or(ExitStatus::Success)
        }
    }
}

/// The difference of two clocks that matters.
pub(super) const LARGE_DIFFERENCE: glance_notify::time::Duration =
    glance_notify::time::Duration::SECOND.saturating_mul(30);
