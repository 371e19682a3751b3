//! `doctor --management`: what the management API of a real RabbitMQ adds to the findings.

use std::time::{Duration, Instant};

use notify_testbed::broker::oslo::{OsloConfig, OsloListener, OsloPublisher};
use notify_testbed::broker::rabbitmq::{NodePool, RabbitMq, Vhost};
use notify_testbed::certificates::CertificateAuthority;
use notify_testbed::ports::free_port;
use serde_json::json;

use crate::support::{CommandOutput, Sandbox, values, wait_until};

/// Nodes with a management API.
static NODES: NodePool = NodePool::new(|| RabbitMq::builder().management().start());

/// Runs `doctor` with the management API of the virtual host's node, and more arguments.
fn examine(sandbox: &Sandbox, vhost: &Vhost<'_>, more: &[&str]) -> CommandOutput {
    let (url, management) = (vhost.url(), vhost.broker().management_url());
    let args = ["doctor", "--from", &url, "--management", &management];
    sandbox.run([&args[..], more].concat())
}

/// Runs `doctor` until its output has all `texts`.
#[track_caller]
fn examine_until(sandbox: &Sandbox, vhost: &Vhost<'_>, texts: &[&str]) -> CommandOutput {
    run_until(texts, || examine(sandbox, vhost, &[]))
}

/// Runs a command until its output has all `texts`, for up to 60 s: the API shows a change a little later, and
/// that of one queue later than that of another.
#[track_caller]
fn run_until(texts: &[&str], run: impl Fn() -> CommandOutput) -> CommandOutput {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let output = run();
        let missing = texts.iter().find(|text| !output.out.contains(**text));
        let Some(missing) = missing else { return output };
        assert!(Instant::now() < deadline, "timed out waiting for {missing:?}:\n{}", output.out);
    }
}

/// Starts a publisher that has sent `count` notifications.
fn publisher(vhost: &Vhost<'_>, count: u32) -> OsloPublisher {
    let publisher = OsloPublisher::start(&OsloConfig::new(&vhost.url()), "messagingv2", "image.h");
    for number in 0..count {
        publisher.publish("info", "image.create", &json!({ "id": number.to_string() }));
    }
    publisher
}

/// One look at a cloud with a policy, an unread queue and a reader: the findings, their JSON form, and the line
/// for Nagios.
#[test]
fn the_api_shows_bindings_policies_and_consumers() {
    let sandbox = Sandbox::new();
    let node = NODES.take();
    let vhost = node.vhost();
    let _publisher = publisher(&vhost, 7);
    let unread = json!({ "max-length-bytes": 104_857_600 });
    vhost.set_policy("unread", r"^notifications\.", &unread);
    let listener = OsloConfig::new(&vhost.url()).pool("audit");
    let _listener = OsloListener::start(&listener);
    // Each line that the API completes later than the rest. The ends of lines leave out the growth, which is
    // that of the last seconds.
    let expected = [
        "connections: 2 to `",
        "exchange `glance`: topic, not durable, ",
        "bindings of exchange `glance`: `notifications` goes to `audit`, `notifications.info`; ",
        "queue `notifications.info`: 7 messages and no consumer: start one; policy `unread` bounds the queue\n",
        "queue `audit`: 0 messages, 1 consumers: `ceilometer-agent-notification`\n",
        "policy `unread`: on `notifications.info`",
    ];
    let output = examine_until(&sandbox, &vhost, &expected).expect(0);
    // The parts that differ between machines, versions and moments.
    let mut text = output.out.clone();
    for (before, after, name) in [
        ("broker: RabbitMQ ", " at ", "VERSION"),
        ("management: RabbitMQ ", ", cluster ", "VERSION"),
        ("cluster `", "`", "CLUSTER"),
        ("asked at 127.0.0.1:", " ", "PORT"),
        ("not durable, ", " messages/s", "RATE"),
    ] {
        let (start, rest) = text.split_once(before).unwrap();
        let (_, end) = rest.split_once(after).unwrap();
        text = format!("{start}{before}{name}{after}{end}");
    }
    let text = text.replace(vhost.name(), "VHOST").replace(&node.port().to_string(), "PORT");
    insta::assert_snapshot!(text);

    let rows = values(&examine(&sandbox, &vhost, &["-o", "json"]).expect(0).out);
    assert_eq!(rows.len(), output.out.lines().count());
    assert!(rows.iter().any(|row| row["state"] == "good" && row["subject"] == "policy `unread`"));
    let line = examine(&sandbox, &vhost, &["--nagios", "-w", "7", "-C", "8"]).expect(1).out;
    assert_eq!(line, "NOTIFICATIONS WARNING - 7 unread messages | unread=7;7;8;0\n");
    let output = examine(&sandbox, &vhost, &["--watch", "0.2"]).expect(0);
    assert!(output.out.lines().last().unwrap().starts_with("warning  traffic: "), "{}", output.out);
}

/// A memory alarm is bad news for an operator and critical for Nagios, and the publishers that wait are named.
#[test]
fn an_alarm_and_blocked_publishers_are_named() {
    let sandbox = Sandbox::new();
    let node = NODES.take();
    let vhost = node.vhost();
    let _publisher = publisher(&vhost, 1);
    node.raise_alarm();
    let expected = [
        "connections: 1 of 1 are blocked: `glance-api`",
        "bad      node `rabbit@localhost`: memory alarm, ",
    ];
    examine_until(&sandbox, &vhost, &expected).expect(3);
    let line = examine(&sandbox, &vhost, &["--nagios"]).expect(2).out;
    assert!(line.starts_with("NOTIFICATIONS CRITICAL - "), "{line}");
    assert!(line.contains(": node `rabbit@localhost`: memory alarm, "), "{line}");
    node.clear_alarm();
    let expected = ["nodes: 1 node without an alarm", "good     connections: 1 to `"];
    examine_until(&sandbox, &vhost, &expected).expect(0);
}

/// Policies that reject or drop, and those on a durable tap, are explained; so is a full queue.
#[test]
fn policies_in_force_are_explained() {
    let sandbox = Sandbox::new();
    let node = NODES.take();
    let vhost = node.vhost();
    drop(publisher(&vhost, 3));
    vhost.fill("^notifications");
    let expected = "warning  policy `full`: on `notifications.info`: at most 1 messages, beyond which the \
                    queue rejects messages, and publishers of oslo.messaging wait until it has room \
                    (`reject-publish`); `notifications.info` is full and rejects messages now";
    let bounded = "3 messages and no consumer: start one; policy `full` bounds the queue";
    examine_until(&sandbox, &vhost, &[expected, bounded]);
    vhost.make_room();

    vhost.declare_queue("glance-notify.audit", &json!({ "durable": true }));
    vhost.bind("glance-notify.audit", "glance", "notifications.#");
    vhost.set_policy("ttl", ".*", &json!({ "message-ttl": 3_600_000, "expires": 86_400_000 }));
    let table = format!("[[source]]\nurl = '{}'\nqueue = 'audit'\n", vhost.url());
    let management = format!("management_url = '{}'\n", node.management_url());
    sandbox.file("sources.toml", table + &management);
    let expected = [
        "warning  policy `ttl`: on `notifications.info`, ",
        "messages disappear after 1h00m; the broker deletes the queue after 1d00h without a consumer; so your \
         tap may lose notifications while no listener reads it",
        "warning  exchange `glance`: topic, not durable",
    ];
    run_until(&expected, || sandbox.run(["doctor", "--from", "sources.toml"]).expect(0));
}

/// The API names the consumers of a stream, which a passive declaration does not count.
#[test]
fn the_consumers_of_a_stream_are_named() {
    let sandbox = Sandbox::new();
    let node = NODES.take();
    let vhost = node.vhost();
    vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
    let table = format!(
        "archive.dir = 'a'\n\
         [[source]]\nurl = '{}'\nqueue = 'audit'\nqueue_type = 'stream'\nmanagement_url = '{}'\n",
        vhost.url(),
        node.management_url()
    );
    sandbox.file("sources.toml", table);
    let args = ["archive", "-c", "sources.toml", "--metrics-listen", "127.0.0.1:0"];
    let mut service = sandbox.command(args).spawn().unwrap();
    wait_until("the stream is bound", || {
        let bindings = node.ctl(&["list_bindings", "-p", vhost.name(), "routing_key"]);
        bindings.contains("notifications.#")
    });
    vhost.publish("glance", "notifications.info", &json!({}), b"{}");
    let expected = "good     queue `glance-notify.audit`: 1 messages, read and unread, 1 consumers: \
                    `glance-notify`";
    run_until(&[expected], || sandbox.run(["doctor", "--from", "sources.toml"]).expect(0));
    service.kill().unwrap();
    service.wait().unwrap();
}

/// A queue that lost its binding, an exchange of another type, and two programs on one queue: each explains why
/// nothing arrives.
#[test]
fn a_lost_binding_and_a_thief_are_named() {
    let sandbox = Sandbox::new();
    let node = NODES.take();
    let vhost = node.vhost();
    drop(publisher(&vhost, 1));
    vhost.delete_exchange("glance");
    vhost.declare_exchange("glance", "fanout", &json!({}));
    let expected = [
        "warning  exchange `glance`: is of the type `fanout`",
        "warning  bindings of exchange `glance`: no queue is bound for `notifications`",
        "warning  queue `notifications.info`: is bound to no exchange",
        "warning  queue `notifications.info`: 1 messages and no consumer",
        "warning  connections: no program is connected to the virtual host",
        "warning  version: RabbitMQ 4.3 refuses transient queues such as `notifications.info`: ",
    ];
    examine_until(&sandbox, &vhost, &expected).expect(0);
    vhost.delete_exchange("glance");
    let _listener = OsloListener::start(&OsloConfig::new(&vhost.url()));
    let url = vhost.url();
    let consume = ["--consume", "notifications.info", "--dead-letters", "dead.jsonl"];
    let args = [&["listen", "--from", &url][..], &consume].concat();
    let mut thief = sandbox.command(args).spawn().unwrap();
    let shared = "`ceilometer-agent-notification`, `glance-notify` share it, and each message reaches only one of them";
    examine_until(&sandbox, &vhost, &[shared]);
    thief.kill().unwrap();
    thief.wait().unwrap();
}

/// A user without a tag is told which one, and the passive findings stay; one without the tag `monitoring` sees
/// all but the nodes and connections. No output shows a password.
#[test]
fn a_missing_tag_is_named() {
    let sandbox = Sandbox::new();
    let node = NODES.take();
    let vhost = node.vhost();
    drop(publisher(&vhost, 2));
    let user = format!("audit-{}", vhost.name());
    node.add_user(&user, "pl4nted");
    vhost.permit(&user, ["^$", "^$", ".*"]);
    let url = node.management_url().replacen("://", &format!("://{user}:pl4nted@"), 1);
    let run = |code: i32| {
        let args = ["doctor", "--from", &vhost.url(), "--management", &url, "-vvv"];
        let unread = "warning  queue `notifications.info`: 2 messages and no consumer";
        let output = run_until(&[unread], || sandbox.run(args).expect(code));
        assert!(!output.out.contains("pl4nted") && !output.err.contains("pl4nted"));
        output.out
    };
    let advice = format!("`rabbitmqctl set_user_tags '{user}' monitoring`");
    let out = run(2);
    assert!(
        out.contains("bad      management: permission denied: ") && out.contains(&advice),
        "{out}"
    );
    node.ctl(&["set_user_tags", &user, "management"]);
    let out = run(0);
    assert!(out.contains("good     bindings of exchange `glance`: "), "{out}");
    assert!(out.contains("warning  nodes: ") && out.contains(&advice), "{out}");
    node.ctl(&["set_user_tags", &user, "monitoring"]);
    assert!(run(0).contains("good     nodes: 1 node without an alarm"));
    node.ctl(&["change_password", &user, "another"]);
    let out = run(2);
    assert!(out.contains("bad      management: authentication failed for user "), "{out}");
}

/// The API is asked over TLS with the authority of the source, and a certificate of another one is refused.
#[test]
fn the_certificate_of_the_api_is_verified() {
    let sandbox = Sandbox::new();
    let dir = sandbox.dir.path();
    let (ours, foreign) =
        (CertificateAuthority::new(dir, "ours"), CertificateAuthority::new(dir, "foreign"));
    let node = |authority: &CertificateAuthority| {
        let (cert, key) = authority.issue("localhost", 2199);
        let port = free_port();
        let (broker_cert, broker_key) = ours.issue("localhost", 2198);
        let node = RabbitMq::builder()
            .plugin("rabbitmq_management")
            .tls(&ours.file, &broker_cert, &broker_key)
            .config("management.ssl.ip = 127.0.0.1")
            .config(&format!("management.ssl.port = {port}"))
            .config(&format!("management.ssl.certfile = {}", cert.display()))
            .config(&format!("management.ssl.keyfile = {}", key.display()))
            .start();
        (node, port)
    };
    for (authority, code, expected) in [
        (&ours, 0, "good     management: RabbitMQ 3"),
        (&foreign, 2, "bad      management: unknown authority: no trusted authority signed"),
    ] {
        let (node, port) = node(authority);
        let url = node.root().tls_url();
        sandbox.file("sources.toml", format!("[[source]]\nurl = '{url}'\nca_file = 'ours.pem'\n"));
        let management = format!("https://localhost:{port}");
        let args = ["doctor", "--from", "sources.toml", "--management", &management];
        let output = sandbox.run(args).expect(code);
        assert!(output.out.contains(expected), "{}", output.out);
    }
}

/// `--management` without a broker, and a URL for several, need a change.
#[test]
fn the_option_needs_a_broker() {
    let sandbox = Sandbox::new();
    sandbox.file("n.log", "");
    let output = sandbox.run(["doctor", "--from", "n.log", "--management"]);
    output.expect_message(2, "--management needs a broker");
    let two = ["doctor", "--from", "amqp://a:b@h1", "--from", "amqp://a:b@h2"];
    let output = sandbox.run([&two[..], &["--management", "http://h"]].concat());
    output.expect_message(2, "set `management_url` in each table `[[source]]`");
    let output =
        sandbox.run([&two[..2], &["amqp://a:pl4nted@h1", "--management", "pl4nted"]].concat());
    let output = output.expect_message(2, "`--management`: relative URL without a base");
    assert!(!output.err.contains("pl4nted"));
}
