//! Queues that a source cannot look up or consume: the source reads the others, and names the problem.

use std::sync::atomic::{AtomicUsize, Ordering};

use notify_core::ErrorKind;
use notify_core::source::{Credit, Reception, Source as _};
use notify_core::transport::FindingState;
use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::json;
use tokio::task::block_in_place;

use crate::scripted_peer::{PeerScript, close_frame, frame, method_frame};
use crate::source_support::{declare_services, publish, source, source_of, texts};
use crate::support::{LONG, source_config};
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

/// One queue that does not answer hides no other: `check` has a bad finding that names it, and the depths of the
/// others are counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_does_not_answer_is_one_finding() {
    let broker = block_in_place(RabbitMq::start);
    let vhost = broker.root();
    declare_services(&vhost, &["info", "error"]);
    publish(&vhost, "error", "one");
    block_in_place(|| vhost.suspend_queue("notifications.info"));
    let queues = ["notifications.info", "notifications.error"];
    let mut source = source(&vhost, json!({ "consume": queues, "connect_timeout": 5 }));
    let findings = source.source.check().await.unwrap();
    let [info, error] = queues.map(|queue| {
        let subject = format!("queue `{queue}`");
        findings.iter().find(|finding| finding.subject == subject).unwrap()
    });
    let FindingState::Bad(problem) = &info.state else { panic!("{info:?}") };
    assert_eq!(problem.kind(), ErrorKind::Timeout);
    let expected = "did not answer a declaration of queue `notifications.info`";
    assert!(problem.to_string().ends_with(expected), "{problem}");
    assert!(matches!(error.state, FindingState::Good(_)), "{error:?}");
    let depths = source.source.queue_depths().await.unwrap();
    let [depth] = &depths.queues[..] else { panic!("{depths:?}") };
    assert_eq!((depth.queue.as_str(), depth.messages), ("notifications.error", 1));
    let [(queue, problem)] = &depths.errors[..] else { panic!("{depths:?}") };
    assert_eq!(queue, "notifications.info");
    assert!(problem.to_string().ends_with(expected), "{problem}");
    block_in_place(|| vhost.resume_queue("notifications.info"));
}

/// A queue whose home node is down is one bad finding too, and one error beside the depths.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_whose_home_node_is_down_is_one_finding() {
    let answer_declare = |number, channel| (number == 1).then(|| home_node_down(channel));
    let queues = json!({ "consume": ["notifications.info", "notifications.error"] });
    let url = PeerScript { answer_declare, ..PeerScript::default() }.serve().await;
    let findings = source_of(source_config(&url, queues.clone())).source.check().await.unwrap();
    let state =
        |subject: &str| &findings.iter().find(|finding| finding.subject == subject).unwrap().state;
    let FindingState::Bad(error) = state("queue `notifications.info`") else {
        panic!("{findings:?}")
    };
    assert!(error.to_string().contains("queue unavailable: home node"), "{error}");
    assert!(matches!(state("queue `notifications.error`"), FindingState::Good(_)), "{findings:?}");

    let url = PeerScript { answer_declare, ..PeerScript::default() }.serve().await;
    let depths = source_of(source_config(&url, queues)).source.queue_depths().await.unwrap();
    let [(queue, error)] = &depths.errors[..] else { panic!("{depths:?}") };
    assert!(queue.starts_with("notifications."), "{queue}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(depths.queues.len() > 1, "{depths:?}");
}

/// The next session leaves a node that has no replica of the stream, over a new connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_replica_is_left() {
    let answer_consume = |connection, channel| {
        let text = "PRECONDITION_FAILED - queue 'audit' in vhost '/' does not a have a replica on \
                    the local node";
        (connection == 1).then(|| close_frame(channel, 406, text))
    };
    let url = PeerScript { answer_consume, ..PeerScript::default() }.serve().await;
    let stream = json!({ "consume": "audit", "queue_type": "stream" });
    let mut source = source_of(source_config(&url, stream));
    let error = source.session_end().await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:#}");
    assert!(error.to_string().ends_with("name a node that has one in `source.url`"), "{error:#}");
    let next = source.next().await;
    assert!(matches!(next, Ok(Reception::Attached)), "{next:?}");
}

/// A broker that ignores the prefetch is left, while the program settles nothing and has no room.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_ignores_the_prefetch_is_left() {
    let answer_consume = |connection, channel| {
        let consumer = method_frame(channel, 60, 21, b"\x01c");
        let deliver = |tag: u64| {
            let arguments = [&b"\x01c"[..], &tag.to_be_bytes(), &[0, 0, 1, b'k']].concat();
            let header = [&[0, 60, 0, 0][..], &0_u64.to_be_bytes(), &[0, 0]].concat();
            [method_frame(channel, 60, 60, &arguments), frame(2, channel, &header)].concat()
        };
        let messages = (1..=1_000).flat_map(deliver);
        (connection == 1).then(|| consumer.into_iter().chain(messages).collect())
    };
    let url = PeerScript { answer_consume, ..PeerScript::default() }.serve().await;
    let mut source = source_of(source_config(&url, json!({ "consume": "audit" })));
    let credit = Credit { window: 1, room: 0, max_bytes: 1_000 };
    let left = async {
        loop {
            if let Err(error) = source.source.receive(credit).await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(LONG, left).await.unwrap();
    assert!(
        error.to_string().ends_with("delivers more messages than the prefetch allows"),
        "{error:#}"
    );
}
