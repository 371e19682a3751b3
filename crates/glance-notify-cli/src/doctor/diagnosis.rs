//! The result of `doctor`: [`Diagnosis`].

#[cfg(feature = "rabbit")]
use std::collections::BTreeSet;

use glance_notify::transport::{Finding, FindingState};

use crate::exit_status::ExitStatus;

/// The findings about all sources, and the number of messages that nothing reads.
#[derive(Default)]
pub(super) struct Diagnosis {
    pub(super) findings: Vec<(String, Finding)>,
    pub(super) unread: u64,
    /// The queues in `unread`.
    #[cfg(feature = "rabbit")]
    counted: BTreeSet<QueuePlace>,
}

/// The hosts of a broker, a virtual host and the name of a queue.
#[cfg(feature = "rabbit")]
pub(super) type QueuePlace = (Vec<String>, String, String);

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

    /// Adds a bad finding in place of a good one about its subject, unless the source called `source` has a bad
    /// one about it.
    #[cfg(feature = "rabbit")]
    pub(super) fn add_unless_bad(&mut self, source: &str, finding: Finding) {
        let is_known = self.findings.iter().any(|(name, earlier)| {
            let is_bad = matches!(earlier.state, FindingState::Bad(_));
            is_bad && name == source && earlier.subject == finding.subject
        });
        if !is_known {
            self.refine(source, vec![finding]);
        }
    }

    /// Counts the unread messages of a queue, once for all sources that see it.
    #[cfg(feature = "rabbit")]
    pub(super) fn add_unread(&mut self, place: QueuePlace, messages: u32) {
        if self.counted.insert(place) {
            self.unread += u64::from(messages);
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

#[cfg(test)]
#[cfg(feature = "rabbit")]
mod tests {
    use glance_notify::{Error, ErrorKind};

    use super::*;

    /// Two sources on one broker see the same queue, whose messages decide the state for Nagios once.
    #[test]
    fn a_queue_counts_once_for_all_sources() {
        let place = |host: &str, virtual_host: &str| {
            (vec![host.to_owned()], virtual_host.to_owned(), "notifications.info".to_owned())
        };
        let mut diagnosis = Diagnosis::default();
        diagnosis.add_unread(place("rabbit1:5672", "/"), 7);
        diagnosis.add_unread(place("rabbit1:5672", "/"), 7);
        assert_eq!(diagnosis.unread, 7);
        diagnosis.add_unread(place("rabbit1:5672", "openstack"), 7);
        diagnosis.add_unread(place("rabbit2:5672", "/"), 7);
        assert_eq!(diagnosis.unread, 21);
    }

    /// Two examinations of one queue give one bad finding, in place of a good one.
    #[test]
    fn a_queue_has_one_bad_finding() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.add("r", Finding::good("queue `info`", "7 messages, 0 consumers"));
        for text in ["first", "second"] {
            let error = Error::new(ErrorKind::Timeout, text);
            diagnosis.add_unless_bad("r", Finding::bad("queue `info`", error));
        }
        let [(_, finding)] = &diagnosis.findings[..] else { panic!("{:?}", diagnosis.findings) };
        let FindingState::Bad(error) = &finding.state else { panic!("{finding:?}") };
        assert_eq!(error.to_string(), "first");
    }
}
