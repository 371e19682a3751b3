//! The conformance suite of the `Source` contract, against RabbitMQ: once for each kind of queue.

use std::marker::PhantomData;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use notify_conformance::{SourceCapability, SourceHarness};
use notify_core::source::Source;
use notify_rabbit::{
    QueueType, RabbitSource, RabbitSourceConfig, SourceQueue, StreamPosition, StreamStart,
};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::source_config;

/// A durable tap.
mod durable {
    use super::{DurableTap, SourcePlace};

    notify_conformance::source_suite!(SourcePlace<DurableTap>);
}

/// A queue of others.
mod shared {
    use super::{SharedQueue, SourcePlace};

    notify_conformance::source_suite!(SourcePlace<SharedQueue>);
}

/// A stream of its own, with a checkpoint.
mod stream {
    use super::{SourcePlace, StreamTap};

    notify_conformance::source_suite!(SourcePlace<StreamTap>);
}

/// A temporary tap.
mod temporary {
    use super::{SourcePlace, TemporaryTap};

    notify_conformance::source_suite!(SourcePlace<TemporaryTap>);
}

/// A kind of queue.
trait QueueKind: Send + 'static {
    /// The abilities that the kind lacks.
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)];
    /// The queue on the broker, if it outlives a source.
    const QUEUE: Option<&'static str>;

    /// Returns the queue to read. A checkpoint belongs into `dir`.
    fn queue(dir: &Path) -> SourceQueue;

    /// Returns how many of `published` messages are not acknowledged, unless the queue tells.
    fn unacknowledged(_dir: &Path, _published: usize) -> Option<usize> {
        None
    }
}

struct DurableTap;

impl QueueKind for DurableTap {
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)] = &[];
    const QUEUE: Option<&'static str> = Some("glance-notify.audit");

    fn queue(_: &Path) -> SourceQueue {
        SourceQueue::Durable { name: "audit".into(), queue_type: QueueType::Classic }
    }
}

struct SharedQueue;

impl QueueKind for SharedQueue {
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)] =
        &[(SourceCapability::Tap, "it is the shared queue itself")];
    const QUEUE: Option<&'static str> = Some(INFO);

    fn queue(_: &Path) -> SourceQueue {
        SourceQueue::Shared { queues: vec![INFO.into()] }
    }
}

struct StreamTap;

impl QueueKind for StreamTap {
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)] = &[];
    const QUEUE: Option<&'static str> = Some("glance-notify.audit");

    fn queue(dir: &Path) -> SourceQueue {
        let position =
            StreamPosition { start: StreamStart::First, checkpoint: Some(dir.join("position")) };
        let max_age = Duration::from_secs(60);
        SourceQueue::Stream { name: "audit".into(), max_age, position }
    }

    fn unacknowledged(dir: &Path, published: usize) -> Option<usize> {
        let text = std::fs::read_to_string(dir.join("position")).unwrap_or_default();
        let checkpoint: Value = serde_json::from_str(&text).unwrap_or_default();
        let acknowledged = checkpoint["offset"].as_u64().map_or(0, |offset| offset + 1);
        Some(published - usize::try_from(acknowledged).unwrap())
    }
}

struct TemporaryTap;

impl QueueKind for TemporaryTap {
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)] = &[
        (SourceCapability::Resume, "its queue ends with the connection"),
        (SourceCapability::BreakSession, "its queue ends with the connection"),
    ];
    const QUEUE: Option<&'static str> = None;

    fn queue(_: &Path) -> SourceQueue {
        SourceQueue::Temporary
    }
}

/// A new virtual host of the shared node, with the exchange and the queue of OpenStack's services.
struct SourcePlace<K> {
    vhost: Vhost<'static>,
    config: RabbitSourceConfig,
    dir: TempDir,
    published: usize,
    kind: PhantomData<fn() -> K>,
}

impl<K: QueueKind> SourcePlace<K> {
    /// Runs a blocking call about the virtual host on a thread that may block.
    async fn with_vhost<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Vhost<'static>) -> T + Send + 'static,
    ) -> T {
        let vhost = self.vhost.clone();
        tokio::task::spawn_blocking(move || run(&vhost)).await.unwrap()
    }
}

#[async_trait]
impl<K: QueueKind> SourceHarness for SourcePlace<K> {
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)] = K::UNSUPPORTED;

    async fn start() -> Self {
        tokio::task::spawn_blocking(|| {
            let vhost = RabbitMq::shared().vhost();
            vhost.declare_exchange("glance", "topic", &json!({}));
            vhost.declare_queue(INFO, &json!({}));
            vhost.bind(INFO, "glance", INFO);
            let dir = tempfile::tempdir().unwrap();
            let mut config = source_config(&vhost.url(), json!({}));
            config.queue = K::queue(dir.path());
            Self { vhost, config, dir, published: 0, kind: PhantomData }
        })
        .await
        .unwrap()
    }

    async fn source(&mut self) -> Box<dyn Source> {
        Box::new(RabbitSource::new(self.config.clone()).unwrap())
    }

    async fn publish_bodies(&mut self, bodies: &[Vec<u8>]) {
        let bodies = bodies.to_vec();
        self.published += bodies.len();
        self.with_vhost(move |vhost| vhost.publish_all("glance", INFO, &json!({}), &bodies)).await;
    }

    /// Counts the messages of the queue, those at a consumer included.
    async fn unacknowledged(&mut self) -> usize {
        if let Some(count) = K::unacknowledged(self.dir.path(), self.published) {
            return count;
        }
        self.with_vhost(|vhost| {
            let queue = K::QUEUE.expect("the queue outlives its source");
            vhost.queue(queue).unwrap().messages.try_into().unwrap()
        })
        .await
    }

    /// Counts the connections to the virtual host, and the queues that a temporary tap leaves.
    async fn open_handles(&mut self) -> usize {
        self.with_vhost(|vhost| {
            let is_left = |name: &str| name != INFO && Some(name) != K::QUEUE;
            let queues = vhost.queues().into_iter().filter(|queue| is_left(&queue.name));
            vhost.connections() + queues.count()
        })
        .await
    }

    async fn break_session(&mut self) {
        self.with_vhost(Vhost::close_connections).await;
    }

    async fn shared_queue(&mut self) -> usize {
        self.with_vhost(|vhost| vhost.queue(INFO).unwrap().messages.try_into().unwrap()).await
    }
}

/// The queue of the services, which is also the key.
const INFO: &str = "notifications.info";
