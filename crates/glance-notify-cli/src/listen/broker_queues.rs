//! The queues on the brokers before and after `listen`: the messages in the shared ones, and our own that
//! stay.

use std::time::Duration;

use glance_notify::Config;
use glance_notify::listen::{
    QueueDepth, QueueDepths, RabbitSource, RabbitSourceConfig, SourceConfig, SourceQueue,
};
use glance_notify::transport::printable;
use tokio::time::timeout;

use crate::exit_status::{CommandError, ExitStatus};
use crate::terminal::{counted, print_note, print_warning};

/// The queues of the brokers that `listen` reads from.
pub(super) struct BrokerQueues {
    brokers: Vec<BrokerDepths>,
}

/// The queues of one broker.
struct BrokerDepths {
    source: SourceConfig,
    /// The queues before; `None` if the broker did not answer.
    before: Option<Vec<QueueDepth>>,
}

impl BrokerQueues {
    /// Counts the messages in the queues of the sources' topics.
    ///
    /// Leaves out a broker that does not answer: the listener reports the reason.
    pub(super) async fn count(sources: &[SourceConfig]) -> Self {
        let mut brokers = Vec::new();
        for source in sources.iter().filter(|source| source.broker().is_some()) {
            let before = depths(source).await;
            brokers.push(BrokerDepths { source: source.clone(), before });
        }
        Self { brokers }
    }

    /// Counts again, and prints the comparison and the queues of ours that stay.
    pub(super) async fn report(self) {
        for BrokerDepths { source, before } in self.brokers {
            let name = source.name();
            let after = depths(&source).await;
            let (Some(before), Some(after)) = (before, after) else {
                print_warning(format_args!("{name}: the queues were not compared: no answer"));
                continue;
            };
            let Some(broker) = source.broker() else { continue };
            let own = own_queue(&broker.queue);
            let shared = after.iter().filter(|depth| Some(&depth.queue) != own.as_ref());
            let mut compared = Vec::new();
            for QueueDepth { queue, messages, consumers, .. } in shared {
                let first = find(&before, queue).map_or(0, |depth| depth.messages);
                let unread = if *consumers == 0 { ", without a consumer" } else { "" };
                let queue = printable(queue, 255);
                compared.push(format!("`{queue}` {first} before, {messages} after{unread}"));
            }
            let left = match own {
                None => "nothing of ours is left".to_owned(),
                Some(queue) => match find(&after, &queue) {
                    Some(depth) => format!(
                        "the tap `{}` stays with {}: `--remove-tap` deletes it",
                        printable(&queue, 255),
                        counted(depth.messages.into(), "message")
                    ),
                    // Its declaration was refused, or it was deleted meanwhile.
                    None => format!("the tap `{}` does not exist", printable(&queue, 255)),
                },
            };
            let compared = if compared.is_empty() {
                "no shared queue exists".to_owned()
            } else {
                format!("shared queues: {}", compared.join("; "))
            };
            print_note(format_args!("{name}: {compared}; {left}"));
        }
    }
}

/// Warns about sources whose notifications are lost if the work for them does not end in this run, or fails too
/// often.
pub(super) fn warn_about_losses(sources: &[SourceConfig], config: &Config) {
    for source in sources {
        let name = source.name();
        match source.broker().map(|broker| &broker.queue) {
            Some(SourceQueue::Temporary) => print_warning(format_args!(
                "{name}: a temporary tap ends with this run, and what is not handled then is lost: \
                 `--tap NAME` keeps it for the next run"
            )),
            Some(SourceQueue::Durable { .. }) if config.dead_letters().is_none() => {
                print_warning(format_args!(
                    "{name}: a notification that fails too often is discarded: `--dead-letters FILE` \
                     keeps it"
                ));
            }
            _ => {}
        }
    }
}

/// Deletes the queues of the sources' durable taps.
///
/// # Errors
///
/// Returns an error if a listener reads a tap, or if a broker does not answer.
pub(super) async fn remove_taps(sources: &[SourceConfig]) -> Result<ExitStatus, CommandError> {
    for source in sources {
        let Some(broker) = source.broker() else { continue };
        if let (Some(queue), Some(depths)) = (own_queue(&broker.queue), depths(source).await)
            && find(&depths, &queue).is_none()
        {
            let queue = printable(&queue, 255);
            print_note(format_args!("{}: the tap `{queue}` does not exist", source.name()));
            continue;
        }
        let messages = RabbitSource::new(broker.clone())?.remove_tap().await?;
        print_note(format_args!(
            "{}: deleted the tap with {}",
            source.name(),
            counted(messages.into(), "message")
        ));
    }
    Ok(ExitStatus::Success)
}

/// Returns the depths of a broker's queues, if it answers in time for all of them.
async fn depths(source: &SourceConfig) -> Option<Vec<QueueDepth>> {
    let mut broker = RabbitSource::new(source.broker()?.clone()).ok()?;
    match timeout(ANSWER_TIMEOUT, broker.queue_depths()).await {
        Ok(Ok(QueueDepths { queues, errors, .. })) if errors.is_empty() => Some(queues),
        Ok(Ok(QueueDepths { errors, .. })) => {
            for (queue, error) in errors {
                let queue = printable(&queue, 255);
                let source = source.name();
                tracing::debug!(source, "cannot count the messages of queue `{queue}`: {error:#}");
            }
            None
        }
        Ok(Err(error)) => {
            tracing::debug!(source = source.name(), "cannot count the messages: {error:#}");
            None
        }
        Err(_) => None,
    }
}

/// Returns the depth of a queue, if the queue exists.
fn find<'a>(depths: &'a [QueueDepth], queue: &str) -> Option<&'a QueueDepth> {
    depths.iter().find(|depth| depth.queue == queue)
}

/// Returns the name of a queue of ours that outlives the connection.
fn own_queue(queue: &SourceQueue) -> Option<String> {
    match queue {
        SourceQueue::Durable { name, .. } => Some(RabbitSourceConfig::tap_queue(name)),
        _ => None,
    }
}

/// The longest wait for the depths of one broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
