//! The traffic of a source: the notifications that arrive while `doctor` watches, and the difference of the
//! clocks.

use std::time::Duration;

use glance_notify::listen::{DeadLetters, Listener, SourceConfig, SourceState};
use glance_notify::time::OffsetDateTime;
use glance_notify::transport::{Finding, printable};
use tokio::time::{Instant, timeout_at};

use super::diagnosis::{Diagnosis, LARGE_DIFFERENCE};

/// The last notification that arrived.
struct LastNotification {
    event_type: String,
    timestamp: OffsetDateTime,
    received_at: OffsetDateTime,
}

/// Watches a source for `time`, from the newest notification on, and adds a finding about its notifications.
///
/// It reads a copy: also of a source that consumes queues of others, or that has a checkpoint.
pub(super) async fn watch(source: &SourceConfig, time: Duration, diagnosis: &mut Diagnosis) {
    let name = source.name();
    let seconds = time.as_secs_f64();
    let finding = match observe(source, time).await {
        Ok((0, _, state)) => {
            let reason = match state {
                SourceState::Detached { reason, .. } => format!(", because {reason}"),
                SourceState::Attached { .. } => String::new(),
                _ => ": the source was never attached".to_owned(),
            };
            let text = format!(
                "no notification within {seconds} s{reason}: create and delete an image, and watch again"
            );
            Finding::warning("traffic", text)
        }
        Ok((count, last, _)) => {
            let last = last.map(|last| last.describe()).unwrap_or_default();
            Finding::good("traffic", format!("{count} notifications within {seconds} s{last}"))
        }
        Err(error) => Finding::bad("traffic", error),
    };
    diagnosis.add(name, finding);
}

impl LastNotification {
    /// Returns the event and the difference of the clocks.
    fn describe(&self) -> String {
        let difference = self.received_at - self.timestamp;
        let event = printable(&self.event_type, 255);
        let advice = if difference.abs() >= LARGE_DIFFERENCE {
            ": compare the clocks of the hosts"
        } else {
            ""
        };
        format!(
            "; the last is `{event}`, sent {:.1} s before it arrived by the clocks of both hosts{advice}",
            difference.as_seconds_f64()
        )
    }
}

/// Counts the notifications that arrive within `time`, and returns the last one and the state of the source.
async fn observe(
    source: &SourceConfig,
    time: Duration,
) -> glance_notify::Result<(u64, Option<LastNotification>, SourceState)> {
    let source = source.clone().into_tap().from_end(true);
    let mut listener = Listener::builder(source.open()?, DeadLetters::Discard).start()?;
    let end = Instant::now() + time;
    let (mut count, mut last) = (0, None);
    while let Ok(batch) = timeout_at(end, listener.next_batch(100, Duration::ZERO)).await {
        let Some(batch) = batch? else { break };
        for delivery in &batch {
            let Some(notification) = delivery.notification() else { continue };
            count += 1;
            last = Some(LastNotification {
                event_type: notification.event_type().to_string(),
                timestamp: notification.timestamp,
                received_at: delivery.received_at(),
            });
        }
        drop(batch.ack());
    }
    let state = listener.stats().sources.into_iter().next().map(|source| source.state);
    listener.close(Duration::from_secs(5)).await;
    Ok((count, last, state.unwrap_or_default()))
}
