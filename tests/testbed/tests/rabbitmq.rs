//! The private RabbitMQ nodes and the independent client work.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::wait::{HANG_TIMEOUT, wait_until};
use serde_json::json;

/// The client shows every property and byte of a message, and the node every fact of a queue.
#[test]
fn drains_messages_as_they_were_published() {
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_exchange("glance", "topic", &json!({"durable": true}));
    vhost.declare_queue("q", &json!({"durable": true, "arguments": {"x-queue-type": "quorum"}}));
    vhost.bind("q", "glance", "notifications.*");
    let properties = json!({
        "content_type": "application/json", "delivery_mode": 2, "message_id": "m-1",
        "timestamp": 1_795_361_274, "headers": {"a": 1, "b": ["x", {"c": true}]},
    });
    let body = [b"{\"name\": \"\xc3\xbc\"}".as_slice(), &[0, 0xff]].concat();
    vhost.publish("glance", "notifications.info", &properties, &body);
    vhost.publish("glance", "notifications.warn", &json!({}), b"two");

    let queue = vhost.queue("q").unwrap();
    assert_eq!((queue.r#type.as_str(), queue.durable), ("quorum", true));
    assert_eq!(queue.arguments["x-queue-type"], "quorum");
    assert_eq!((queue.consumers, queue.auto_delete), (0, false));

    let [first, second] = vhost.drain("q").try_into().unwrap();
    assert_eq!(first.body, body);
    assert_eq!(first.message_id(), "m-1");
    assert_eq!(first.properties["timestamp"], 1_795_361_274);
    assert_eq!(first.headers.unwrap()["b"], json!(["x", {"c": true}]));
    assert_eq!(
        (first.exchange.as_str(), first.routing_key.as_str()),
        ("glance", "notifications.info")
    );
    assert_eq!((second.body.as_slice(), second.headers), (b"two".as_slice(), None));
    assert!(!second.redelivered);
    assert!(vhost.drain("q").is_empty());
}

/// `delete_queue_if_empty` spares a queue with messages. RabbitMQ 3.10 has this for classic queues
/// only.
#[test]
fn unbinds_and_deletes_an_empty_queue() {
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_exchange("glance", "topic", &json!({"durable": true}));
    vhost.declare_queue("q", &json!({"durable": true}));
    vhost.bind("q", "glance", "notifications.*");
    vhost.publish("glance", "notifications.info", &json!({}), b"one");
    assert!(!vhost.delete_queue_if_empty("q"));
    vhost.unbind("q", "glance", "notifications.*");
    vhost.publish("glance", "notifications.info", &json!({}), b"two");
    assert_eq!(vhost.drain("q").len(), 1);
    assert!(vhost.delete_queue_if_empty("q"));
    assert!(vhost.queue("q").is_none());
}

/// A policy can make a queue reject messages, until the test clears it.
#[test]
fn a_policy_makes_a_queue_reject_messages() {
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_queue("q", &json!({}));
    let full = json!({"max-length": 1, "overflow": "reject-publish"});
    vhost.set_policy("full", "^q$", &full);
    vhost.publish("", "q", &json!({}), b"one");
    let panic = std::panic::catch_unwind(|| vhost.publish("", "q", &json!({}), b"two"));
    let message = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("MessageNacked"), "{message}");

    vhost.clear_policy("full");
    vhost.publish("", "q", &json!({}), b"three");
    assert_eq!(vhost.drain("q").len(), 2);
    wait_until("no client is connected", || vhost.connections() == 0);
}

/// Tests that share a node do not see the queues of each other.
#[test]
fn virtual_hosts_are_separate() {
    let broker = RabbitMq::shared();
    let (one, two) = (broker.vhost(), broker.vhost());
    one.declare_queue("q", &json!({}));
    assert!(two.queues().is_empty());
    assert_ne!(one.url(), two.url());
}

/// `kill`, `restart`, `stop_application` and the alarm work, and lose no durable message.
#[test]
fn a_durable_message_survives_every_interruption() {
    let broker = RabbitMq::start();
    let vhost = broker.root();
    vhost.declare_queue("q", &json!({"durable": true}));
    let publish = |body: &[u8]| vhost.publish("", "q", &json!({"delivery_mode": 2}), body);

    publish(b"before the kill");
    broker.kill();
    assert!(TcpStream::connect(("127.0.0.1", broker.port())).is_err());
    broker.restart();
    publish(b"before the restart");
    broker.restart();
    broker.stop_application();
    assert!(TcpStream::connect(("127.0.0.1", broker.port())).is_err());
    broker.start_application();

    broker.raise_alarm();
    broker.clear_alarm();
    publish(b"at last");
    assert_eq!(vhost.queue("q").unwrap().messages, 3);
    let bodies: Vec<_> = vhost.drain("q").into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, [b"before the kill".as_slice(), b"before the restart", b"at last"]);
    wait_until("the queue is empty", || vhost.queue("q").unwrap().messages == 0);
}

/// A frozen node keeps its connections open and does not answer.
#[test]
fn a_frozen_node_is_silent_until_it_is_unfrozen() {
    let broker = RabbitMq::start();
    broker.freeze();
    // The kernel accepts the connection and buffers the bytes.
    let mut client = TcpStream::connect(("127.0.0.1", broker.port())).unwrap();
    client.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut answer = [0];
    assert_eq!(client.read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);

    broker.unfreeze();
    client.set_read_timeout(Some(HANG_TIMEOUT)).unwrap();
    assert_eq!(client.read(&mut answer).unwrap(), 1);
}

/// `permit` sets the permissions of a user on one virtual host.
#[test]
fn sets_the_permissions_of_a_user() {
    let broker = RabbitMq::shared();
    let vhost = broker.vhost();
    broker.add_user("user1", "secret");
    vhost.permit("user1", ["", "^x$", ""]);
    let permissions = broker.ctl(&["list_user_permissions", "user1", "--no-table-headers"]);
    assert_eq!(permissions.split_whitespace().collect::<Vec<_>>(), [vhost.name(), "^x$"]);
}

/// The builder enables TLS with the certificates of the test.
#[test]
fn a_node_accepts_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let openssl = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(openssl.status.success(), "{openssl:?}");

    let broker = RabbitMq::builder().tls(&certificate, &certificate, &key).start();
    let client = Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-verify_hostname", "localhost"])
        .args(["-connect", &format!("127.0.0.1:{}", broker.tls_port()), "-CAfile"])
        .arg(&certificate)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&client.stdout);
    assert!(client.status.success() && output.contains("Verification: OK"), "{client:?}");
}
