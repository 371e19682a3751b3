//! AMQP 1.0 with fe2o3-amqp alone, pipelined.

use std::collections::VecDeque;

use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Data, Header, Message as AmqpMessage, MessageId,
    Outcome as DeliveryOutcome, Properties,
};
use fe2o3_amqp::types::primitives::{Binary, Timestamp};
use fe2o3_amqp::{Connection, Sender, Session};
use glance_notify::codec::{Encoding, HeaderValue, Message};
use glance_notify::event::Priority;

use crate::samples::MessageGenerator;
use crate::task::{BenchTask, Clock, Measurement};

/// Sends as the strategy `qpid` does: over one link for each queue, with a window of unsettled
/// messages.
pub(crate) fn pipelined(task: &BenchTask) -> Measurement {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the runtime starts").block_on(async {
        let mut connection = Connection::builder()
            .container_id("notify-bench")
            .sasl_profile(SaslProfile::Plain { username: "guest".into(), password: "guest".into() })
            .open(format!("amqp://127.0.0.1:{}", task.port).as_str())
            .await
            .expect("the broker accepts the connection");
        let mut session =
            Session::begin(&mut connection).await.expect("the broker accepts the session");
        let mut links = Vec::new();
        for name in ["info", "error"] {
            let address = format!("/amq/queue/notifications.{name}");
            links.push(
                Sender::attach(&mut session, name, address)
                    .await
                    .expect("the broker accepts the link"),
            );
        }
        let mut messages = MessageGenerator::new(&Encoding::default());
        send(&mut links, &mut messages, task, task.messages / 10).await;
        let clock = Clock::start();
        send(&mut links, &mut messages, task, task.messages).await;
        let outcome = clock.stop(task.messages);
        // RabbitMQ 3 answers the end of a link with another frame, and fe2o3-amqp reports an error.
        drop(connection.close().await);
        outcome
    })
}

async fn send(
    links: &mut [Sender],
    messages: &mut MessageGenerator,
    task: &BenchTask,
    count: usize,
) {
    let mut deliveries: VecDeque<DeliveryFut<_>> = VecDeque::with_capacity(task.window);
    for _ in 0..count {
        if deliveries.len() == task.window
            && let Some(oldest) = deliveries.pop_front()
        {
            assert_accepted(oldest.await);
        }
        let message = messages.next_numbered();
        let link = match message.priority() {
            Priority::Error => &mut links[1],
            _ => &mut links[0],
        };
        deliveries
            .push_back(link.send_batchable(encode(&message)).await.expect("the transfer succeeds"));
    }
    for delivery in deliveries {
        assert_accepted(delivery.await);
    }
}

fn encode(message: &Message) -> AmqpMessage<Data> {
    let milliseconds = message.timestamp().unix_timestamp_nanos() / 1_000_000;
    let milliseconds = i64::try_from(milliseconds).expect("the time fits into 64 bits");
    let properties = Properties::builder()
        .message_id(MessageId::String(message.id().to_string()))
        .subject(format!("notifications.{}", message.priority().as_str().to_lowercase()))
        .content_type("application/json")
        .creation_time(Timestamp::from_milliseconds(milliseconds))
        .build();
    let application_properties = ApplicationProperties::builder()
        .insert("event_type", message.event_type().as_str())
        .insert("priority", message.priority().as_str())
        .insert("publisher_id", message.publisher_id());
    let application_properties =
        message.headers().fold(application_properties, |properties, (name, value)| match value {
            HeaderValue::Text(text) => properties.insert(name, text.into_owned()),
            HeaderValue::Number(number) => properties.insert(name, number),
        });
    AmqpMessage::builder()
        .header(Header { durable: true, ..Header::default() })
        .properties(properties)
        .application_properties(application_properties.build())
        .data(Binary::from(message.body().to_vec()))
        .build()
}

fn assert_accepted<E: std::fmt::Debug>(outcome: Result<DeliveryOutcome, E>) {
    match outcome {
        Ok(DeliveryOutcome::Accepted(_)) => {}
        other => panic!("the broker did not accept a message: {other:?}"),
    }
}
