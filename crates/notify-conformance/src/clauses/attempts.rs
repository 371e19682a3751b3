//! Driving a transport as the worker does: one attempt, or attempts until all messages are accepted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notify_core::transport::Settlements;
use notify_core::{Batch, Message, Outcome, Result, Transport, Verdict};

use super::waiting::within;

/// The result of one call of [`Transport::send`].
pub(super) struct AttemptResult {
    /// The return value of the call.
    pub(super) end: Result<()>,
    /// The verdict of each message; `None` for one that the transport left unsettled.
    pub(super) verdicts: Vec<Option<Verdict>>,
}

/// The history of a delivery that ended with every message accepted.
pub(super) struct DeliveryReport {
    /// Whether some attempt left the outcome of the message unknown, by index: the destination may have
    /// it twice.
    pub(super) may_be_repeated: Vec<bool>,
    /// The number of attempts that ended in an error.
    pub(super) failures: usize,
}

/// Calls [`Transport::send`] once with all of `messages`.
///
/// Panics when the transport settles a message twice, and when it returns `Ok` with an unsettled
/// message.
pub(super) async fn attempt(transport: &mut dyn Transport, messages: &[Message]) -> AttemptResult {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            let previous = verdicts[index].replace(verdict);
            assert!(previous.is_none(), "the transport settled message {index} twice");
        }
    };
    let end = transport.send(&mut Batch::new(messages, &mut sink)).await;
    if end.is_ok() {
        let unsettled = verdicts.iter().filter(|verdict| verdict.is_none()).count();
        assert_eq!(
            unsettled,
            0,
            "`send` returned `Ok` with {unsettled} of {} messages unsettled",
            messages.len()
        );
    }
    AttemptResult { end, verdicts }
}

/// Sends until the destination accepted every message.
pub(super) async fn deliver(transport: &mut dyn Transport, messages: &[Message]) -> DeliveryReport {
    deliver_counting(transport, messages, &AtomicUsize::new(0)).await
}

/// Sends until the destination accepted every message, and keeps their number in `accepted` meanwhile.
///
/// Like the worker, it sends batches of at most 1 024 messages, sends unaccepted messages again after
/// a pause and expects every error to be transient. It panics when the transport refuses a message.
pub(super) async fn deliver_counting(
    transport: &mut dyn Transport,
    messages: &[Message],
    accepted: &AtomicUsize,
) -> DeliveryReport {
    let mut report = DeliveryReport { may_be_repeated: vec![false; messages.len()], failures: 0 };
    let mut pending: Vec<usize> = (0..messages.len()).collect();
    within("the destination to accept every message", async {
        while !pending.is_empty() {
            let batch: Vec<Message> =
                pending.iter().take(1024).map(|&index| messages[index].clone()).collect();
            let AttemptResult { end, verdicts } = attempt(transport, &batch).await;
            let mut verdicts = verdicts.into_iter();
            let not_sent = end.as_ref().is_err_and(|error| error.outcome() == Outcome::NotSent);
            pending.retain(|&index| match verdicts.next() {
                Some(Some(Verdict::Accept)) => false,
                Some(Some(Verdict::Retry(_))) | None => true,
                Some(Some(Verdict::Refuse(error))) => {
                    panic!("the transport refused message {index}: {error:#}")
                }
                Some(None) => {
                    report.may_be_repeated[index] |= !not_sent;
                    true
                }
            });
            accepted.store(messages.len() - pending.len(), Ordering::Relaxed);
            if let Err(error) = end {
                assert!(error.is_transient(), "expected a transient error, got: {error:#}");
                report.failures += 1;
            }
            if !pending.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    })
    .await;
    report
}
