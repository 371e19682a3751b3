//! RabbitMQ by lapin alone: the best loop that we know, and the one of its documentation.
//!
//! Each sends what ours sends: the same bodies, properties and routes, mandatory and confirmed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Instant;

use futures_util::future::{MaybeDone, maybe_done};
use glance_notify::codec::{Encoding, Message};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

use crate::samples::Stamped;
use crate::task::{Clock, Outcome, Task};

/// Publishes are polled in bursts and waited for together, confirms window by window.
pub(crate) fn bursts(task: &Task) -> Outcome {
    on_a_channel(task, async |channel, task, messages| {
        publish_in_bursts(channel, task, messages, task.messages / 10).await;
        let clock = Clock::start();
        publish_in_bursts(channel, task, messages, task.messages).await;
        clock.stop(task.messages)
    })
}

async fn publish_in_bursts(channel: &Channel, task: &Task, messages: &mut Stamped, count: usize) {
    let mut confirms = Vec::with_capacity(task.window);
    let mut left = count;
    while left > 0 {
        let burst: Vec<_> = (0..task.burst.min(left)).map(|_| messages.next_message()).collect();
        left -= burst.len();
        let published = all(burst.iter().map(|message| publish(channel, message))).await;
        confirms.extend(published.into_iter().map(|confirm| confirm.expect("a publish")));
        if confirms.len() >= task.window || left == 0 {
            for confirmation in all(confirms.drain(..)).await {
                must_be_taken(confirmation);
            }
        }
    }
}

/// Each publish is awaited, and its confirm when there are too many.
pub(crate) fn rolling(task: &Task) -> Outcome {
    on_a_channel(task, async |channel, task, messages| {
        publish_rolling(channel, task, messages, task.messages / 10).await;
        let clock = Clock::start();
        publish_rolling(channel, task, messages, task.messages).await;
        clock.stop(task.messages)
    })
}

async fn publish_rolling(channel: &Channel, task: &Task, messages: &mut Stamped, count: usize) {
    let mut confirms = VecDeque::with_capacity(task.window);
    for _ in 0..count {
        if confirms.len() == task.window
            && let Some(oldest) = confirms.pop_front()
        {
            must_be_taken(oldest.await);
        }
        let message = messages.next_message();
        confirms.push_back(publish(channel, &message).await.expect("a publish"));
    }
    for confirm in confirms {
        must_be_taken(confirm.await);
    }
}

/// One at a time: how long each takes from encoding to its confirm.
pub(crate) fn one_by_one(task: &Task) -> Outcome {
    on_a_channel(task, async |channel, task, messages| {
        publish_rolling(channel, task, messages, 100).await;
        let clock = Clock::start();
        let mut series = Vec::with_capacity(task.messages);
        for _ in 0..task.messages {
            let start = Instant::now();
            let message = messages.next_message();
            must_be_taken(publish(channel, &message).await.expect("a publish").await);
            series.push(start.elapsed().as_secs_f64());
        }
        Outcome { series, ..clock.stop(task.messages) }
    })
}

fn on_a_channel(
    task: &Task,
    run: impl AsyncFnOnce(&Channel, &Task, &mut Stamped) -> Outcome,
) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let url = format!("amqp://guest:guest@127.0.0.1:{}/%2F", task.port);
        let connection = Connection::connect_with_runtime(
            &url,
            ConnectionProperties::default(),
            async_rs::Runtime::tokio_current(),
        )
        .await
        .expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let mut messages = Stamped::new(&Encoding::default());
        let outcome = run(&channel, task, &mut messages).await;
        connection.close(200, "done".into()).await.expect("a goodbye");
        outcome
    })
}

/// Polls all in order, then waits for all: for the last one first, which wakes us once.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
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
    };
    let timestamp = u64::try_from(message.timestamp().unix_timestamp()).expect("after 1970");
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(FieldTable::default())
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

fn must_be_taken(confirmation: lapin::Result<Confirmation>) {
    match confirmation {
        Ok(Confirmation::Ack(None)) => {}
        other => panic!("not taken: {other:?}"),
    }
}
