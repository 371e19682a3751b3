//! The private RabbitMQ cluster works.

use notify_testbed::broker::rabbitmq::Cluster;
use notify_testbed::wait::wait_until;
use serde_json::json;

/// A cluster of three nodes keeps a quorum queue through the death of its leader.
#[test]
fn a_quorum_queue_survives_its_leader() {
    let cluster = Cluster::start(3);
    let vhost = cluster.node(0).root();
    vhost.declare_queue("q", &json!({"durable": true, "arguments": {"x-queue-type": "quorum"}}));
    vhost.publish("", "q", &json!({"delivery_mode": 2}), b"one");

    let leader = cluster.leader("q", 0);
    let witness = (leader + 1) % 3;
    cluster.node(leader).kill();
    wait_until("another node leads the queue", || {
        // During the election, the queue has no leader.
        std::panic::catch_unwind(|| cluster.leader("q", witness)).is_ok_and(|new| new != leader)
    });
    let vhost = vhost.on(cluster.node(witness));
    vhost.publish("", "q", &json!({"delivery_mode": 2}), b"two");

    cluster.node(leader).restart();
    cluster.wait_until_complete();
    let bodies: Vec<_> = vhost.drain("q").into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, [b"one".to_vec(), b"two".to_vec()]);
}
