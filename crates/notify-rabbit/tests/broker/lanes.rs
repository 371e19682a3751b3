//! Full queues on a real RabbitMQ: what one queue does not take delays no other.

use std::collections::HashMap;
use std::time::Duration;

use notify_conformance::samples;
use notify_core::{Message, Notifier, Priority};
use notify_rabbit::Rabbit;
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::json;

use crate::support::config;

/// With one of three queues full, the 8 000 messages of the others arrive, each queue in order. Once it
/// has room, its 4 000 messages arrive too, in order but for those that were set aside.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_delays_no_other() {
    let broker = tokio::task::spawn_blocking(|| -> &'static RabbitMq {
        Box::leak(Box::new(RabbitMq::start()))
    });
    let broker = broker.await.unwrap();
    let vhost = broker.vhost();
    let transport = Rabbit::new(config(&vhost.url(), json!({}))).unwrap();
    let (notifier, worker) = Notifier::builder(transport).publisher_id("host1").build().unwrap();
    let worker = tokio::spawn(worker.run());
    // The first messages declare the queues.
    for message in samples::messages(20_000..20_003) {
        notifier.relay(message).await.await.unwrap();
    }
    let full = json!({ "max-length": 1, "overflow": "reject-publish" });
    tokio::task::block_in_place(|| vhost.set_policy("full", r"^notifications\.error$", &full));

    let messages = samples::messages(0..12_000);
    let (mut stuck, mut others) = (Vec::new(), Vec::new());
    for message in &messages {
        let is_stuck = message.priority() == Priority::Error;
        let receipt = notifier.relay(message.clone()).await;
        if is_stuck { &mut stuck } else { &mut others }.push(receipt);
    }
    assert_eq!((stuck.len(), others.len()), (4_000, 8_000));
    for receipt in others {
        within(receipt).await;
    }
    let pending = notifier.stats().pending.messages;
    assert!(pending > 3_900, "{pending} messages wait for the full queue");
    tokio::task::block_in_place(|| vhost.clear_policy("full"));
    for receipt in stuck {
        within(receipt).await;
    }
    notifier.close();
    worker.await.unwrap();

    let places: HashMap<String, usize> =
        messages.iter().enumerate().map(|(at, it)| (it.id().to_string(), at)).collect();
    for priority in Priority::DOCUMENTED {
        let queue = format!("notifications.{}", priority.lower());
        let received = tokio::task::block_in_place(|| vhost.drain(&queue));
        let arrived: Vec<usize> =
            received.iter().filter_map(|it| places.get(it.message_id()).copied()).collect();
        let sent = messages.iter().filter(|it| Message::priority(it) == *priority).count();
        assert_eq!(arrived.len(), sent, "{queue} lost or repeated messages");
        let in_order = arrived.windows(2).filter(|pair| pair[0] < pair[1]).count();
        let out_of_order = arrived.len() - 1 - in_order;
        let allowed = if *priority == Priority::Error { 64 } else { 0 };
        assert!(out_of_order <= allowed, "{queue}: {out_of_order} messages out of order");
    }
}

/// Waits for the delivery of one message.
async fn within(receipt: notify_core::pipeline::Receipt) {
    let delivered = tokio::time::timeout(Duration::from_secs(120), receipt).await;
    delivered.expect("the message is delivered in time").unwrap();
}
