//! Reading a queue of RabbitMQ: the library's listener, and a loop on lapin with the same prefetch and
//! one acknowledgement for each batch.

use std::time::Duration;

use futures_util::StreamExt as _;
use glance_notify::codec::serde_json::{self, Value};
use glance_notify::listen::{
    DeadLetters, Listener, ListenerConfig, RabbitSource, RabbitSourceConfig, SourceQueue,
};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, Consumer};
use tokio::runtime::Builder;

use crate::task::{BenchTask, Clock, Measurement};

/// Reads with the listener: decoded, redacted and encoded again.
pub(crate) fn listener(task: &BenchTask) -> Measurement {
    read(task, ListenerConfig::default().limits.bytes)
}

/// Reads messages of up to 16 MiB. The listener holds as many as it may.
pub(crate) fn large(task: &BenchTask) -> Measurement {
    read(task, 16 << 20)
}

/// Reads with the listener, for bodies of at most `max_bytes`.
fn read(task: &BenchTask, max_bytes: usize) -> Measurement {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("the runtime starts").block_on(async {
        let url = format!("amqp://guest:guest@127.0.0.1:{}/%2F", task.port);
        let mut config = RabbitSourceConfig::from_url(&url).expect("the URL is valid");
        config.queue = SourceQueue::Shared { queues: vec![QUEUE.into()] };
        let mut bounds = ListenerConfig::default();
        bounds.prefetch = task.window;
        bounds.limits.bytes = max_bytes;
        let source = RabbitSource::new(config).expect("the configuration is valid");
        let builder = Listener::builder(source, DeadLetters::Discard).config(bounds);
        let mut listener = builder.start().expect("the listener starts");
        take(&mut listener, task, task.messages / 10).await;
        let clock = Clock::start();
        take(&mut listener, task, task.messages).await;
        let measurement = clock.stop(task.messages);
        listener.close(Duration::from_secs(10)).await;
        measurement
    })
}

/// Takes and acknowledges at least this many notifications, and looks at each.
async fn take(listener: &mut Listener, task: &BenchTask, count: usize) {
    let mut left = count;
    while left > 0 {
        let batch = listener.next_batch(task.burst.min(left), Duration::from_millis(20)).await;
        let batch = batch.expect("the broker works").expect("the source has no end");
        for message in batch.messages() {
            std::hint::black_box((message.id(), message.body().len()));
        }
        left -= batch.len();
        batch.ack().await.expect("the session goes on");
    }
}

/// Reads with lapin, and parses each body to get its id.
pub(crate) fn lapin_parsed(task: &BenchTask) -> Measurement {
    read_with_lapin(task, |delivery| {
        let body: Value = serde_json::from_slice(&delivery.data).expect("the body is JSON");
        std::hint::black_box(body["message_id"].as_str().map(str::len));
    })
}

/// Reads with lapin, and looks at no body.
pub(crate) fn lapin_bare(task: &BenchTask) -> Measurement {
    read_with_lapin(task, |delivery| {
        std::hint::black_box(delivery.data.len());
    })
}

/// Reads with lapin.
fn read_with_lapin(task: &BenchTask, look: impl Fn(&Delivery)) -> Measurement {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("the runtime starts").block_on(async {
        let url = format!("amqp://guest:guest@127.0.0.1:{}/%2F", task.port);
        let connection = Connection::connect_with_runtime(
            &url,
            ConnectionProperties::default(),
            async_rs::Runtime::tokio_current(),
        )
        .await
        .expect("the broker accepts the connection");
        let channel = connection.create_channel().await.expect("the broker opens the channel");
        let prefetch = u16::try_from(task.window).expect("the prefetch fits");
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await
            .expect("the broker sets the prefetch");
        let mut consumer = channel
            .basic_consume(
                QUEUE.into(),
                "reader".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await
            .expect("the queue exists");
        consume(&channel, &mut consumer, task, task.messages / 10, &look).await;
        let clock = Clock::start();
        consume(&channel, &mut consumer, task, task.messages, &look).await;
        let measurement = clock.stop(task.messages);
        connection.close(200, "done".into()).await.expect("the connection closes");
        measurement
    })
}

/// Takes this many messages, and acknowledges each batch at once.
async fn consume(
    channel: &Channel,
    consumer: &mut Consumer,
    task: &BenchTask,
    count: usize,
    look: &impl Fn(&Delivery),
) {
    for number in 1..=count {
        let delivery = consumer.next().await.expect("the consumer goes on");
        let delivery = delivery.expect("the channel is open");
        look(&delivery);
        if number % task.burst == 0 || number == count {
            channel
                .basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true })
                .await
                .expect("the channel is open");
        }
    }
}

/// The queue that all candidates read.
pub(crate) const QUEUE: &str = "reading";
