//! Driving a transport as the worker does: one attempt, or attempts until all messages are accepted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use notify_core::transport::Settlements;
use notify_core::{Batch, Error, Message, Outcome, Result, Transport, Verdict};

/// The result of one call of [`Transport::send`].
#[derive(Debug)]
pub struct SendReport {
    /// The return value of the call.
    pub result: Result<()>,
    /// The verdict of each message; `None` for one that the transport left unsettled.
    pub verdicts: Vec<Option<Verdict>>,
}

impl SendReport {
    /// Returns the indices of the accepted messages.
    pub fn accepted(&self) -> Vec<usize> {
        let accepted = self.verdicts.iter().enumerate();
        accepted.filter(|(_, v)| matches!(v, Some(Verdict::Accept))).map(|(i, _)| i).collect()
    }

    /// Asserts that the attempt accepted every message.
    pub fn assert_all_accepted(&self) {
        assert!(self.result.is_ok(), "{:?}", self.result);
        assert_eq!(self.accepted().len(), self.verdicts.len(), "{:?}", self.verdicts);
    }

    /// Returns the reason of the first message to retry.
    pub fn first_retry(&self) -> Error {
        let retried = self.verdicts.iter().find_map(|verdict| match verdict {
            Some(Verdict::Retry(error)) => Some(error.clone()),
            _ => None,
        });
        retried.unwrap_or_else(|| panic!("no message to retry: {:?}", self.verdicts))
    }

    /// Returns the error of the attempt, or that of the first message to retry.
    pub fn error(&self) -> Error {
        self.result.clone().err().unwrap_or_else(|| self.first_retry())
    }

    /// Returns the error of an attempt that accepted no message.
    pub fn into_error(self) -> Error {
        assert_eq!(self.accepted(), [0; 0], "{:?}", self.verdicts);
        self.result.expect_err("the send must fail")
    }
}

/// Calls [`Transport::send`] once with all of `messages`.
///
/// # Panics
///
/// When the transport settles a message twice, returns `Ok` with an unsettled message, or takes longer
/// than 90 s.
///
/// # Examples
///
/// ```
/// use notify_conformance::attempts::send_once;
/// use notify_conformance::samples;
/// use notify_conformance::script::Script;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut transport = Script::default().transport();
/// send_once(&mut *transport, &samples::messages(0..3)).await.assert_all_accepted();
/// # }
/// ```
pub async fn send_once(transport: &mut dyn Transport, messages: &[Message]) -> SendReport {
    let mut verdicts: Vec<Option<Verdict>> = vec![None; messages.len()];
    let mut sink = |settlements: Settlements<'_>| {
        for (index, verdict) in settlements {
            let previous = verdicts[index].replace(verdict);
            assert!(previous.is_none(), "the transport settled message {index} twice");
        }
    };
    let mut batch = Batch::new(messages, &mut sink);
    let result = tokio::time::timeout(LIMIT, transport.send(&mut batch)).await;
    let result = result.unwrap_or_else(|_| panic!("the send hangs"));
    if result.is_ok() {
        let unsettled = verdicts.iter().filter(|verdict| verdict.is_none()).count();
        assert_eq!(
            unsettled,
            0,
            "`send` returned `Ok` with {unsettled} of {} messages unsettled",
            messages.len()
        );
    }
    SendReport { result, verdicts }
}

/// The history of a delivery that ended with every message accepted.
#[derive(Debug)]
pub struct DeliveryReport {
    /// The errors of the attempts that failed as a whole.
    pub errors: Vec<Error>,
    /// Whether some attempt left the outcome of the message unknown, by index: the destination may have
    /// it twice.
    pub may_be_repeated: Vec<bool>,
}

/// Sends `messages` until the destination has accepted all of them.
///
/// Like the worker, it sends batches of at most 1 024 messages, sends unaccepted messages again after
/// a pause and expects every error to be transient.
///
/// # Panics
///
/// When the transport refuses a message or returns a permanent error, when the delivery takes longer than
/// three minutes, and as [`send_once`].
pub async fn deliver(transport: &mut dyn Transport, messages: &[Message]) -> DeliveryReport {
    deliver_counting(transport, messages, &AtomicUsize::new(0)).await
}

/// Does what [`deliver`] does, and keeps the number of accepted messages in `accepted` meanwhile.
pub(crate) async fn deliver_counting(
    transport: &mut dyn Transport,
    messages: &[Message],
    accepted: &AtomicUsize,
) -> DeliveryReport {
    let may_be_repeated = vec![false; messages.len()];
    let mut report = DeliveryReport { errors: Vec::new(), may_be_repeated };
    let mut pending: Vec<usize> = (0..messages.len()).collect();
    let deadline = tokio::time::Instant::now() + DELIVERY_LIMIT;
    while !pending.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "not delivered: {:?}", report.errors);
        let batch: Vec<Message> =
            pending.iter().take(1024).map(|&index| messages[index].clone()).collect();
        let SendReport { result, verdicts } = send_once(transport, &batch).await;
        let mut verdicts = verdicts.into_iter();
        let not_sent = result.as_ref().is_err_and(|error| error.outcome() == Outcome::NotSent);
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
        if let Err(error) = result {
            assert!(error.is_transient(), "expected a transient error, got: {error:#}");
            report.errors.push(error);
        }
        if !pending.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    report
}

/// The time limit of one attempt: longer than any transport needs.
const LIMIT: Duration = Duration::from_secs(90);
/// The time limit of a delivery, during which a broker may start twice.
const DELIVERY_LIMIT: Duration = Duration::from_secs(180);
