//! Full queues on a real RabbitMQ over AMQP 1.0: what one queue does not take delays no other.

use std::collections::HashMap;
use std::time::Duration;

use notify_conformance::{Harness as _, samples};
use notify_core::pipeline::Receipt;
use notify_core::{Notifier, Priority};
use notify_qpid::Qpid;
use serde_json::json;

use crate::contract_rabbitmq::{RabbitNode, drain};
use crate::support::QUEUES;

/// With one of three queues full, the 8 000 messages of the others arrive, each queue in order. RabbitMQ 3
/// ends the session of the full queue with each refusal, and only that one. Once the queue has room, its
/// 4 000 messages arrive too, in order but for those that were set aside.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_delays_no_other() {
    let node = RabbitNode::start().await;
    let transport = Qpid::new(node.config.clone()).unwrap();
    let (notifier, worker) = Notifier::builder(transport).publisher_id("host1").build().unwrap();
    let worker = tokio::spawn(worker.run());
    let full = json!({ "max-length": 1, "overflow": "reject-publish" });
    node.with(move |vhost| vhost.set_policy("full", r"^notifications\.error$", &full)).await;
    // The queue takes one message, and has no room from then on.
    let first = samples::messages(20_002..20_003).remove(0);
    assert_eq!(first.priority(), Priority::Error);
    within(notifier.relay(first).await).await;

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
    node.with(|vhost| vhost.clear_policy("full")).await;
    for receipt in stuck {
        within(receipt).await;
    }
    notifier.close();
    worker.await.unwrap();

    let places: HashMap<String, usize> =
        messages.iter().enumerate().map(|(at, it)| (it.id().to_string(), at)).collect();
    for (queue, priority) in QUEUES {
        let received = node.with(move |vhost| drain(vhost, queue)).await;
        let arrived: Vec<usize> =
            received.iter().filter_map(|it| places.get(&it.id).copied()).collect();
        let sent = messages.iter().filter(|it| it.priority() == priority).count();
        assert_eq!(arrived.len(), sent, "{queue} lost or repeated messages");
        let in_order = arrived.windows(2).filter(|pair| pair[0] < pair[1]).count();
        let out_of_order = arrived.len() - 1 - in_order;
        let allowed = if priority == Priority::Error { 64 } else { 0 };
        assert!(out_of_order <= allowed, "{queue}: {out_of_order} messages out of order");
    }
}

/// Waits for the delivery of one message.
async fn within(receipt: Receipt) {
    tokio::time::timeout(Duration::from_secs(120), receipt).await.unwrap().unwrap();
}
