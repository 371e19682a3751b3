//! `emit` and `check` against AMQP 1.0 peers: a Qpid Proton peer, and RabbitMQ with its
//! AMQP 1.0 plugin.

use notify_testbed::broker::proton::{self, PeerFault, ProtonPeer};
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::ports::free_port;

use crate::support::{LIFECYCLE, Sandbox};

/// A password that no output may show.
const PLANTED: &str = "pl4nted-s3cret";

/// The nodes that the default configuration writes to.
const QUEUES: [&str; 3] = ["notifications.info", "notifications.warn", "notifications.error"];

/// Returns the arguments of a subcommand with the strategy `qpid` and a URL.
fn args<'a>(command: &'a str, url: &'a str, more: &[&'a str]) -> Vec<String> {
    let mut args = vec![command.to_owned()];
    for setting in ["strategy=qpid".to_owned(), format!("qpid.url={url}")] {
        args.extend(["--set".to_owned(), setting]);
    }
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

/// Returns the number of messages that the peer has received.
fn received(peer: &ProtonPeer) -> usize {
    QUEUES.iter().map(|queue| peer.messages(queue).len()).sum()
}

/// All notifications arrive. A message that the peer rejects is not counted as
/// delivered, and its message quotes the peer's condition.
#[test]
fn delivers_to_a_proton_peer() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let peer = ProtonPeer::start();
    let url = peer.url();
    sandbox
        .run(args("emit", &url, &["life.jsonl"]))
        .expect_message(0, "11 read, 11 delivered by `qpid`");
    assert_eq!(received(&peer), 11);

    // A rejected message does not count as delivered.
    peer.inject(PeerFault::Reject, 0, Some(1));
    let output = sandbox.run(args("emit", &url, &["life.jsonl"]));
    let output = output.expect_message(3, "10 delivered by `qpid`");
    assert!(output.err.contains("rejected the message: amqp:not-allowed"), "{}", output.err);
    assert_eq!(received(&peer), 21);
}

/// All notifications arrive in durable queues, `check` reports the broker, and a wrong
/// password is a permanent error that does not show it.
///
/// RabbitMQ has other addresses than Qpid, so the configuration's defaults must suit it
/// as well.
#[test]
fn delivers_to_rabbitmq_over_amqp_10() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let broker = RabbitMq::builder().plugin("rabbitmq_amqp1_0").start();
    let port = broker.port();
    let url = format!("amqp://guest:guest@127.0.0.1:{port}");
    sandbox
        .run(args("emit", &url, &["life.jsonl"]))
        .expect_message(0, "11 read, 11 delivered by `qpid`");
    let mut count = 0;
    for queue in broker.root().queues() {
        assert!(queue.durable, "{queue:?}");
        let address = format!("/amq/queue/{}", queue.name);
        proton::read_messages(port, "vhost:/", &address, queue.messages, true, |_| count += 1);
    }
    assert_eq!(count, 11);

    let checked = sandbox.run(args("check", &url, &[])).expect(0);
    for expected in ["broker: RabbitMQ 3.", "/amq/queue/notifications.info: accepts messages"] {
        assert!(checked.out.contains(expected), "{expected}: {}", checked.out);
    }
    let wrong = format!("amqp://guest:{PLANTED}@127.0.0.1:{port}");
    for command in ["emit", "check"] {
        let more: &[&str] =
            if command == "emit" { &["--timeout", "60", "life.jsonl"] } else { &[] };
        let output = sandbox.run(args(command, &wrong, more));
        let output =
            output.expect_message(2, "refused user `guest`: check `qpid.user` and the password");
        assert!(!format!("{}{}", output.out, output.err).contains(PLANTED), "{}", output.err);
    }
}

/// A refused connection is transient: `emit` retries until `--timeout`, and never shows
/// the password of the URL.
#[test]
fn waits_for_an_unreachable_broker_and_then_reports_it() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let url = format!("amqp://guest:{PLANTED}@127.0.0.1:{}", free_port());
    let output = sandbox.run(args("emit", &url, &["--timeout", "2", "life.jsonl"]));
    assert!(!format!("{}{}", output.out, output.err).contains(PLANTED), "{}", output.err);
    let output = output.expect_message(3, "11 read, 0 delivered");
    assert!(output.err.contains("11 dropped"), "{}", output.err);
    assert!(output.err.contains("cannot connect to 127.0.0.1"), "{}", output.err);
}

/// `emit` and `check` report an impossible setting alike, without waiting for
/// `--timeout`.
///
/// A node that does not exist counts too, because only an operator can create it.
#[test]
fn contradictory_settings_fail_at_once() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let peer = ProtonPeer::builder().create_nothing().start();
    let url = peer.url();
    for (setting, expected) in [
        ("qpid.dialect=artemis", "`qpid.dialect`"),
        ("qpid.address={queue}", "unknown placeholder `{queue}`"),
        ("qpid.node=exchange", "`qpid.node`"),
        ("qpid.topic=nowhere", "has no node `nowhere."),
    ] {
        let more = ["--set", setting, "--timeout", "60", "life.jsonl"];
        sandbox.run(args("emit", &url, &more)).expect_message(2, expected);
        let checked = sandbox.run(args("check", &url, &["--set", setting])).expect(2);
        let shown = format!("{}{}", checked.out, checked.err);
        assert!(shown.contains(expected), "{shown}");
    }
}
