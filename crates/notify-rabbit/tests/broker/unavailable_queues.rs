//! Queues that a source cannot look up or consume: the source reads the others, and names the problem.

use std::sync::atomic::{AtomicUsize, Ordering};

use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::json;
use tokio::task::block_in_place;

use crate::scripted_peer::PeerScript;
use crate::source_support::{declare_services, publish, source, source_of, texts};
use crate::support::source_config;
use crate::verdicts::home_node_down;

/// A queue that does not answer its look-up delays the others once. The source names it, and reads it as soon as
/// it answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_reads_the_others_beside_a_queue_that_does_not_answer() {
    let broker = block_in_place(RabbitMq::start);
    let vhost = broker.root();
    declare_services(&vhost, &["info", "error"]);
    block_in_place(|| vhost.suspend_queue("notifications.info"));
    let queues = ["notifications.info", "notifications.error"];
    let mut source = source(&vhost, json!({ "consume": queues, "connect_timeout": 5 }));
    let reason = source.detach().await;
    assert!(reason.starts_with("queue `notifications.info`: "), "{reason}");
    assert!(reason.contains("did not answer"), "{reason}");
    assert!(!reason.contains("notifications.error"), "{reason}");
    publish(&vhost, "error", "one");
    let received = source.receive(1).await;
    assert_eq!(texts(&received), ["one"]);
    source.ack(&received).await;
    block_in_place(|| vhost.resume_queue("notifications.info"));
    assert_eq!(source.attach().await, [""; 0]);
    publish(&vhost, "info", "two");
    let received = source.receive(1).await;
    assert_eq!(texts(&received), ["two"]);
    assert!(!received[0].redelivered);
    source.ack(&received).await;
    source.close().await;
}

/// A queue whose home node is down ends no session: the source reads the others meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_reads_the_others_beside_a_queue_whose_home_node_is_down() {
    static CONSUMERS: AtomicUsize = AtomicUsize::new(0);
    let answer_declare = |number, channel| (number == 1).then(|| home_node_down(channel));
    let answer_consume = |_, _| {
        CONSUMERS.fetch_add(1, Ordering::Relaxed);
        None
    };
    let script = PeerScript { answer_declare, answer_consume, ..PeerScript::default() };
    let queues = json!({ "consume": ["notifications.info", "notifications.error"] });
    let mut source = source_of(source_config(&script.serve().await, queues));
    let reason = source.detach().await;
    assert!(reason.starts_with("queue `notifications.info`: "), "{reason}");
    assert!(reason.contains("queue unavailable: home node 'rabbit@c1'"), "{reason}");
    assert_eq!(CONSUMERS.load(Ordering::Relaxed), 1, "the source reads the other queue");
    assert_eq!(source.attach().await, [""; 0]);
    assert_eq!(CONSUMERS.load(Ordering::Relaxed), 2);
}
