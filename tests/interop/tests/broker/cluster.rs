//! Quorum queues on a cluster of three nodes: kills the connected node and the leader of a queue while
//! one program emits and another one reads.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use glance_notify::listen::{DeadLetters, Listener, RabbitSource, RabbitSourceConfig, SourceQueue};
use glance_notify::transport::rabbit::QueueType;
use glance_notify::{Config, Notifier};
use notify_conformance::samples;
use notify_testbed::broker::rabbitmq::Cluster;
use notify_testbed::wait::wait_until;

/// Emits at a steady rate until `stop` resolves. Returns the number of notifications; all were accepted.
async fn emit(notifier: Notifier, stop: tokio::sync::oneshot::Receiver<()>) -> u64 {
    let mut receipts = Vec::new();
    let mut stop = std::pin::pin!(stop);
    let mut number = 0;
    loop {
        tokio::select! {
            _ = &mut stop => break,
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
        for _ in 0..5 {
            receipts.push(notifier.resend(&samples::notification(number)).await);
            number += 1;
        }
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
    number
}

/// Reads a tap of the cluster into a set of ids, until the test ends.
async fn read(url: String, ids: Arc<Mutex<HashSet<String>>>) {
    let mut config = RabbitSourceConfig::from_url(&format!("{url}?heartbeat=2")).unwrap();
    config.queue = SourceQueue::Durable { name: "test".into(), queue_type: QueueType::Quorum };
    let source = RabbitSource::new(config).unwrap();
    let mut listener = Listener::builder(source, DeadLetters::Discard).start().unwrap();
    loop {
        let batch = listener.next_batch(100, Duration::from_millis(50)).await.unwrap().unwrap();
        ids.lock().unwrap().extend(batch.messages().map(|message| message.id().to_string()));
        batch.ack().await.unwrap();
    }
}

/// Waits until the delivery continues, and prints the length of the pause.
async fn wait_for_delivery(notifier: &Notifier, what: &str) {
    let (start, before) = (Instant::now(), notifier.stats().delivered);
    while notifier.stats().delivered < before + 100 {
        assert!(start.elapsed() < Duration::from_secs(90), "{what}: {:?}", notifier.stats());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("{what}: a pause of {:?}", start.elapsed());
}

/// Holds promise 1, delivered is true, while a majority of the nodes lives.
#[tokio::test(flavor = "multi_thread")]
async fn killing_the_connected_node_and_the_leader_loses_nothing() {
    let cluster = Cluster::start(3);
    let config: Config = format!(
        "strategy = 'rabbit'\nrabbit.url = '{}?heartbeat=2'\nrabbit.queue_type = 'quorum'",
        cluster.url()
    )
    .parse()
    .unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = tokio::spawn(worker.run());
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let emitting = tokio::spawn(emit(notifier.clone(), stopped));
    wait_for_delivery(&notifier, "at first").await;
    // The exchange is there, so the tap is bound at once.
    let ids = Arc::new(Mutex::new(HashSet::new()));
    tokio::spawn(read(cluster.url(), Arc::clone(&ids)));
    while ids.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let first_read = notifier.stats().emitted;

    // With short heartbeats, a slow machine can be between two connections.
    let mut connected = None;
    wait_until("a node has a connection", || {
        connected = cluster.nodes().iter().position(|node| {
            let count = node.eval("length(rabbit_networking:local_connections())");
            count != "0"
        });
        connected.is_some()
    });
    let connected = connected.unwrap();
    cluster.node(connected).kill();
    wait_for_delivery(&notifier, "the connected node is killed").await;
    cluster.node(connected).restart();
    cluster.wait_until_complete();
    wait_for_delivery(&notifier, "it is back").await;

    let leader = cluster.leader("notifications.info", connected);
    cluster.node(leader).kill();
    wait_for_delivery(&notifier, "the leader of a queue is killed").await;
    cluster.node(leader).restart();
    cluster.wait_until_complete();

    stop.send(()).unwrap();
    let emitted = emitting.await.unwrap();
    let stats = notifier.shutdown(Duration::from_secs(60)).await;
    worker.await.unwrap();
    assert_eq!((stats.emitted, stats.delivered), (emitted, emitted));

    let vhost = cluster.node(connected).root();
    let mut there = HashSet::new();
    let mut copies = 0;
    for queue in ["notifications.info", "notifications.warn", "notifications.error"] {
        assert_eq!(vhost.queue(queue).unwrap().r#type, "quorum");
        copies += vhost.drain_each(queue, false, |message| {
            there.insert(message.message_id().to_owned());
        });
    }
    for number in 0..emitted {
        let id = samples::notification(number).message_id.to_string();
        assert!(there.contains(&id), "notification {number} was accepted and is lost");
    }
    println!("{emitted} accepted, {} of them twice", copies - emitted);
    let start = Instant::now();
    let id = |number| samples::notification(number).message_id.to_string();
    while let Some(number) =
        (first_read..emitted).find(|number| !ids.lock().unwrap().contains(&id(*number)))
    {
        let limit = Duration::from_secs(90);
        assert!(start.elapsed() < limit, "notification {number} was accepted and not read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
