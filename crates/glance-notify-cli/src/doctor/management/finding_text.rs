//! Findings as texts, for the tests of this directory.

use glance_notify::transport::{Finding, FindingState};

/// Returns the state, the subject and the text of a finding.
pub(super) fn text(finding: &Finding) -> String {
    let subject = &finding.subject;
    match &finding.state {
        FindingState::Good(text) => format!("good {subject}: {text}"),
        FindingState::Warning(text) => format!("warning {subject}: {text}"),
        FindingState::Bad(error) => format!("bad {subject}: {error:#}"),
    }
}
