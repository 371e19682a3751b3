//! The private RabbitMQ nodes do what they say.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::wait::{HANG_TIMEOUT, wait_until};
use serde_json::json;

#[test]
fn what_is_published_is_drained_as_it_was() {
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

/// Of the classic kind: RabbitMQ 3.10 does not offer it for quorum queues.
#[test]
fn a_queue_is_unbound_and_deleted_if_it_is_empty() {
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

#[test]
fn a_policy_makes_a_queue_push_back() {
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_queue("q", &json!({}));
    let full = json!({"max-length": 1, "overflow": "reject-publish"});
    vhost.set_policy("full", "^q$", &full);
    vhost.publish("", "q", &json!({}), b"one");
    let refused = std::panic::catch_unwind(|| vhost.publish("", "q", &json!({}), b"two"));
    let refused = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(refused.starts_with("MessageNacked"), "{refused}");

    vhost.clear_policy("full");
    vhost.publish("", "q", &json!({}), b"three");
    assert_eq!(vhost.drain("q").len(), 2);
    wait_until("nobody is connected", || vhost.connections() == 0);
}

#[test]
fn virtual_hosts_are_apart() {
    let broker = RabbitMq::shared();
    let (one, two) = (broker.vhost(), broker.vhost());
    one.declare_queue("q", &json!({}));
    assert!(two.queues().is_empty());
    assert_ne!(one.url(), two.url());
}

#[test]
fn a_durable_message_survives_what_is_done_to_the_node() {
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

#[test]
fn a_frozen_node_says_nothing_until_it_is_thawed() {
    let broker = RabbitMq::start();
    broker.freeze();
    // The system takes the connection, and what is written to it.
    let mut client = TcpStream::connect(("127.0.0.1", broker.port())).unwrap();
    client.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut answer = [0];
    assert_eq!(client.read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);

    broker.thaw();
    client.set_read_timeout(Some(HANG_TIMEOUT)).unwrap();
    assert_eq!(client.read(&mut answer).unwrap(), 1);
}

#[test]
fn a_user_may_do_what_is_permitted() {
    let broker = RabbitMq::shared();
    let vhost = broker.vhost();
    broker.add_user("someone", "secret");
    vhost.permit("someone", ["", "^x$", ""]);
    let permissions = broker.ctl(&["list_user_permissions", "someone", "--no-table-headers"]);
    assert_eq!(permissions.split_whitespace().collect::<Vec<_>>(), [vhost.name(), "^x$"]);
}

#[test]
fn a_node_speaks_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-out"])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");

    let broker = RabbitMq::builder().tls(&certificate, &certificate, &key).start();
    let client = Command::new("openssl")
        .args(["s_client", "-verify_return_error", "-verify_hostname", "localhost"])
        .args(["-connect", &format!("127.0.0.1:{}", broker.tls_port()), "-CAfile"])
        .arg(&certificate)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&client.stdout);
    assert!(client.status.success() && said.contains("Verification: OK"), "{client:?}");
}
