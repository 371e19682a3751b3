//! `emit` and `check` against peers of AMQP 1.0: what is delivered is there, and what is not is said.

use notify_testbed::broker::proton::{self, PeerFault, ProtonPeer};
use notify_testbed::broker::rabbitmq::RabbitMq;
use notify_testbed::ports::free_port;

use crate::support::{LIFECYCLE, Sandbox};

/// A password that must not be shown.
const PLANTED: &str = "pl4nted-s3cret";

const QUEUES: [&str; 3] = ["notifications.info", "notifications.warn", "notifications.error"];

fn args<'a>(command: &'a str, url: &'a str, more: &[&'a str]) -> Vec<String> {
    let mut args = vec![command.to_owned()];
    for setting in ["strategy=qpid".to_owned(), format!("qpid.url={url}")] {
        args.extend(["--set".to_owned(), setting]);
    }
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

fn there(peer: &ProtonPeer) -> usize {
    QUEUES.iter().map(|queue| peer.messages(queue).len()).sum()
}

#[test]
fn delivers_to_a_proton_peer() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let peer = ProtonPeer::start();
    let url = peer.url();
    sandbox
        .run(args("emit", &url, &["life.jsonl"]))
        .expect_message(0, "11 read, 11 delivered by `qpid`");
    assert_eq!(there(&peer), 11);

    // What the peer rejects is not called delivered.
    peer.inject(PeerFault::Reject, 0, Some(1));
    let output = sandbox.run(args("emit", &url, &["life.jsonl"]));
    let output = output.expect_message(3, "10 delivered by `qpid`");
    assert!(output.err.contains("rejected it: amqp:not-allowed"), "{}", output.err);
    assert_eq!(there(&peer), 21);
}

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
    for said in ["broker: RabbitMQ 3.", "/amq/queue/notifications.info: takes messages"] {
        assert!(checked.out.contains(said), "{said}: {}", checked.out);
    }
    let wrong = format!("amqp://guest:{PLANTED}@127.0.0.1:{port}");
    for command in ["emit", "check"] {
        let more: &[&str] =
            if command == "emit" { &["--timeout", "60", "life.jsonl"] } else { &[] };
        let output = sandbox.run(args(command, &wrong, more));
        let output =
            output.expect_message(2, "refused user `guest`: wrong `qpid.user` or password");
        assert!(!format!("{}{}", output.out, output.err).contains(PLANTED), "{}", output.err);
    }
}

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

#[test]
fn contradictory_settings_fail_at_once() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let peer = ProtonPeer::builder().create_nothing().start();
    let url = peer.url();
    for (setting, said) in [
        ("qpid.dialect=artemis", "`qpid.dialect`"),
        ("qpid.address={queue}", "unknown placeholder `{queue}`"),
        ("qpid.node=exchange", "`qpid.node`"),
        ("qpid.topic=nowhere", "has no node `nowhere."),
    ] {
        let more = ["--set", setting, "--timeout", "60", "life.jsonl"];
        sandbox.run(args("emit", &url, &more)).expect_message(2, said);
        let checked = sandbox.run(args("check", &url, &["--set", setting])).expect(2);
        let shown = format!("{}{}", checked.out, checked.err);
        assert!(shown.contains(said), "{shown}");
    }
}
