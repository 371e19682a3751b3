//! RabbitMQ with lapin alone: in the fastest loop that we know, and in the loop of its
//! documentation.
//!
//! Each loop sends the same bodies, properties and routes as the strategy `rabbit`, mandatory and
//! confirmed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Instant;

use futures_util::future::{MaybeDone, maybe_done};
use glance_notify::codec::{Encoding, HeaderValue, Message};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use crate::samples::MessageGenerator;
use crate::task::{BenchTask, Clock, Measurement};

/// Polls publishes in bursts and waits for all of a burst together. Waits for confirms window by
/// window.
pub(crate) fn bursts(task: &BenchTask) -> Measurement {
    run_on_channel(task, async |channel, task, messages| {
        publish_in_bursts(channel, task, messages, task.messages / 10).await;
        let clock = Clock::start();
        publish_in_bursts(channel, task, messages, task.messages).await;
        clock.stop(task.messages)
    })
}

async fn publish_in_bursts(
    channel: &Channel,
    task: &BenchTask,
    messages: &mut MessageGenerator,
    count: usize,
) {
    let mut confirms = Vec::with_capacity(task.window);
    let mut left = count;
    while left > 0 {
        let burst: Vec<_> = (0..task.burst.min(left)).map(|_| messages.next_numbered()).collect();
        left -= burst.len();
        let published = join_in_order(burst.iter().map(|message| publish(channel, message))).await;
        confirms
            .extend(published.into_iter().map(|confirm| confirm.expect("the publish succeeds")));
        if confirms.len() >= task.window || left == 0 {
            for confirmation in join_in_order(confirms.drain(..)).await {
                assert_acked(confirmation);
            }
        }
    }
}

/// Awaits each publish by itself, and the oldest confirm whenever the window is full.
pub(crate) fn rolling(task: &BenchTask) -> Measurement {
    run_on_channel(task, async |channel, task, messages| {
        publish_rolling(channel, task, messages, task.messages / 10).await;
        let clock = Clock::start();
        publish_rolling(channel, task, messages, task.messages).await;
        clock.stop(task.messages)
    })
}

async fn publish_rolling(
    channel: &Channel,
    task: &BenchTask,
    messages: &mut MessageGenerator,
    count: usize,
) {
    let mut confirms = VecDeque::with_capacity(task.window);
    for _ in 0..count {
        if confirms.len() == task.window
            && let Some(oldest) = confirms.pop_front()
        {
            assert_acked(oldest.await);
        }
        let message = messages.next_numbered();
        confirms.push_back(publish(channel, &message).await.expect("the publish succeeds"));
    }
    for confirm in confirms {
        assert_acked(confirm.await);
    }
}

/// Publishes one message at a time, and measures the time from its encoding to its confirm.
pub(crate) fn one_by_one(task: &BenchTask) -> Measurement {
    run_on_channel(task, async |channel, task, messages| {
        publish_rolling(channel, task, messages, 100).await;
        let clock = Clock::start();
        let mut series = Vec::with_capacity(task.messages);
        for _ in 0..task.messages {
            let start = Instant::now();
            let message = messages.next_numbered();
            assert_acked(publish(channel, &message).await.expect("the publish succeeds").await);
            series.push(start.elapsed().as_secs_f64());
        }
        Measurement { series, ..clock.stop(task.messages) }
    })
}

/// Connects, opens a channel with confirms, and runs `run` on it.
fn run_on_channel(
    task: &BenchTask,
    run: impl AsyncFnOnce(&Channel, &BenchTask, &mut MessageGenerator) -> Measurement,
) -> Measurement {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
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
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .expect("the broker enables confirms");
        let mut messages = MessageGenerator::new(&Encoding::default());
        let outcome = run(&channel, task, &mut messages).await;
        connection.close(200, "done".into()).await.expect("the connection closes");
        outcome
    })
}

/// Polls all futures in order, then waits for them, the last one first. This wakes the task once
/// for all.
async fn join_in_order<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<MaybeDone<F>>>> =
        futures.map(|future| Box::pin(maybe_done(future))).collect();
    let mut idle = Context::from_waker(Waker::noop());
    for future in &mut futures {
        let _ = future.as_mut().poll(&mut idle);
    }
    for future in futures.iter_mut().rev() {
        future.as_mut().await;
    }
    let outputs = futures.iter_mut().filter_map(|future| future.as_mut().take_output());
    outputs.collect()
}

async fn publish(channel: &Channel, message: &Message) -> lapin::Result<lapin::PublisherConfirm> {
    let routing_key = match message.priority() {
        glance_notify::event::Priority::Info => "notifications.info",
        glance_notify::event::Priority::Warn => "notifications.warn",
        glance_notify::event::Priority::Error => "notifications.error",
        other => unreachable!("no sample has the priority {other}"),
    };
    let timestamp =
        u64::try_from(message.timestamp().unix_timestamp()).expect("the time is after 1970");
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers(message))
        .with_delivery_mode(2)
        .with_message_id(message.id().to_string().into())
        .with_timestamp(timestamp)
        .with_type(message.event_type().as_str().into())
        .with_app_id("glance-notify".into());
    channel
        .basic_publish(
            "glance".into(),
            routing_key.into(),
            BasicPublishOptions { mandatory: true, immediate: false },
            message.body(),
            properties,
        )
        .await
}

/// Returns the headers that the strategy `rabbit` sends.
fn headers(message: &Message) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in message.headers() {
        let value = match value {
            HeaderValue::Text(text) => AMQPValue::LongString(text.as_bytes().into()),
            HeaderValue::Number(number) => AMQPValue::LongLongInt(number),
        };
        table.insert(name.into(), value);
    }
    table
}

fn assert_acked(confirmation: lapin::Result<Confirmation>) {
    match confirmation {
        Ok(Confirmation::Ack(None)) => {}
        other => panic!("the broker did not acknowledge a message: {other:?}"),
    }
}
