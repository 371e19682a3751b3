//! `emit` and `check` against a RabbitMQ node.

use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::ports::free_port;

use crate::support::{LIFECYCLE, Sandbox, ids, values};

/// A password that no output may show.
const PLANTED: &str = "pl4nted-s3cret";

/// Returns the arguments of a subcommand with the strategy `rabbit` and a URL.
fn args<'a>(command: &'a str, url: &'a str, more: &[&'a str]) -> Vec<String> {
    let mut args = vec![command.to_owned()];
    for setting in ["strategy=rabbit".to_owned(), format!("rabbit.url={url}")] {
        args.extend(["--set".to_owned(), setting]);
    }
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

/// Takes all messages out of the queues, and returns their ids.
fn received(vhost: &Vhost<'_>) -> Vec<String> {
    let queues = ["notifications.info", "notifications.warn", "notifications.error"];
    queues.iter().flat_map(|queue| vhost.drain(queue)).map(|m| m.message_id().to_owned()).collect()
}

/// All notifications arrive in the queues, and whole notifications keep their ids.
///
/// The queues have the names that oslo.messaging consumers expect: topic and priority.
#[test]
fn delivers_into_the_queues() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url();
    sandbox
        .run(args("emit", &url, &["life.jsonl"]))
        .expect_message(0, "11 read, 11 delivered by `rabbit`");
    assert_eq!(received(&vhost).len(), 11);

    // Whole notifications keep their ids.
    let whole =
        sandbox.run(["emit", "--set", "strategy=log", "--set", "log.file=n.log", "life.jsonl"]);
    whole.expect(0);
    sandbox.run(args("emit", &url, &["n.log"])).expect_message(0, "11 delivered by `rabbit`");
    let lines = values(&sandbox.read("n.log"));
    let (mut sent, mut in_queues) = (ids(&lines), received(&vhost));
    sent.sort_unstable();
    in_queues.sort();
    assert_eq!(sent, in_queues);
}

/// `emit` sends no numbers, as the documents say: a number would claim that its file has every notification of
/// the program that wrote it.
#[test]
fn emit_sends_no_numbers() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url();
    sandbox.run(args("emit", &url, &["life.jsonl"])).expect(0);
    let listen = ["listen", "--from", &url, "-o", "json", "-n", "1"];
    let consume = ["--consume", "notifications.info", "--dead-letters", "dead.jsonl"];
    let read = values(&sandbox.run([&listen[..], &consume].concat()).expect(0).out);
    assert_eq!((read.len(), read[0].get("_sequence")), (1, None));
}

/// A refused connection is transient: `emit` retries until `--timeout`, and never shows
/// the password of the URL.
#[test]
fn waits_for_an_unreachable_broker_and_then_reports_it() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let url = format!("amqp://guest:{PLANTED}@127.0.0.1:{}/%2F", free_port());
    let output = sandbox.run(args("emit", &url, &["--timeout", "2", "life.jsonl"]));
    assert!(!format!("{}{}", output.out, output.err).contains(PLANTED), "{}", output.err);
    let output = output.expect_message(3, "11 read, 0 delivered");
    assert!(output.err.contains("11 dropped"), "{}", output.err);
    assert!(output.err.contains("cannot connect to 127.0.0.1"), "{}", output.err);
}

/// A wrong password, virtual host or URL needs an operator. `emit` and `check` report it
/// at once and never show the password.
///
/// `emit` would otherwise retry for the whole `--timeout` before it shows the reason.
#[test]
fn permanent_broker_errors_fail_at_once() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let vhost = RabbitMq::shared().vhost();
    let port = vhost.broker().port();
    for (url, expected) in [
        (format!("amqp://guest:{PLANTED}@127.0.0.1:{port}/%2F"), "authentication failed: "),
        (format!("amqp://guest:guest@127.0.0.1:{port}/nowhere"), "has no virtual host `nowhere`"),
        (format!("amqp://guest:guest@127.0.0.1:{port}/?x=1"), "unknown parameter `x`"),
        (format!("rabbit://guest:{PLANTED}@127.0.0.1:{port}"), "amqp:// or amqps://"),
    ] {
        for command in ["emit", "check"] {
            let more: &[&str] =
                if command == "emit" { &["--timeout", "60", "life.jsonl"] } else { &[] };
            let output = sandbox.run(args(command, &url, more)).expect_message(2, expected);
            let shown = format!("{}{}", output.out, output.err);
            assert!(!shown.contains(PLANTED), "{shown}");
        }
    }
}

/// `check` shows version, exchange and permissions, and declares no queue.
#[test]
fn check_reports_the_state_of_the_broker() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    let checked = sandbox.run(args("check", &vhost.url(), &[])).expect(0);
    for expected in [
        "broker: RabbitMQ 3.",
        "exchange `glance`: does not exist yet",
        "write permission: granted",
    ] {
        assert!(checked.out.contains(expected), "{expected}: {}", checked.out);
    }
    assert_eq!(vhost.queues().len(), 0);
}

/// Even at `-vvv` the log shows no password: neither as text nor as a list of bytes, the
/// form in which a client library's `Debug` output would show it.
#[test]
fn verbose_logs_show_no_secret() {
    let sandbox = Sandbox::new();
    sandbox.file("life.jsonl", LIFECYCLE);
    let vhost = RabbitMq::shared().vhost();
    let name = format!("svc-{}", vhost.name());
    vhost.broker().eval(&format!(
        r#"rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{PLANTED}">>, <<"test">>)"#
    ));
    vhost.permit(&name, [".*", ".*", ".*"]);
    let url = vhost.url().replace("guest:guest", &format!("{name}:{PLANTED}"));
    let output = sandbox.run(args("emit", &url, &["-vvv", "life.jsonl"])).expect(0);
    let bytes: Vec<_> = PLANTED.bytes().map(|byte| byte.to_string()).collect();
    for secret in [PLANTED, &bytes.join(", ")] {
        assert!(!format!("{}{}", output.out, output.err).contains(secret), "{}", output.err);
    }
}
