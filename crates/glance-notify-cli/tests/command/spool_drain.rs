//! `spool drain`: it forwards the messages of slots that no process owns, and reports
//! those that remain.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::{Value, json};

use crate::support::{
    CommandOutput, LIFECYCLE, LOG, SPOOL, Sandbox, broken_pipe, ids, line, send_signal,
    spawn_piped, spooled, values, wait_until,
};

/// Returns the arguments of a `spool drain` to the file `n.log`.
fn drain<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["spool", "drain"], args, &LOG, &SPOOL].concat()
}

/// Returns the number of pending messages in all slots.
fn pending(sandbox: &Sandbox) -> u64 {
    let stats = sandbox.run([&["spool", "stats", "-o", "json"][..], &SPOOL].concat()).expect(0);
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    stats["pending"]["messages"].as_u64().unwrap()
}

/// All messages arrive in the order of the input, and a second drain finds none.
///
/// The JSON summary of the empty drain holds the names and the order of its fields.
#[test]
fn drains_all_messages_in_order() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    sandbox.run(drain(&[])).expect_message(0, "11 delivered by `log`");
    assert_eq!(ids(&sandbox.lines("n.log")), sandbox.read("acks").lines().collect::<Vec<_>>());
    assert_eq!(pending(&sandbox), 0);
    let output = sandbox.run(drain(&["-o", "json"])).expect(0);
    assert_eq!(
        output.out,
        "{\"strategy\":\"log\",\"delivered\":0,\"refused\":0,\"dropped\":0,\"pending\":0,\"dead\":0,\
         \"held\":[]}\n"
    );
}

/// Draining works with a real broker too.
#[test]
fn drains_into_rabbitmq_queues() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    let vhost = RabbitMq::shared().vhost();
    let url = format!("rabbit.url={}", vhost.url());
    let args = ["spool", "drain", "--set", "strategy=rabbit", "--set", &url];
    sandbox.run([&args[..], &SPOOL].concat()).expect_message(0, "11 delivered by `rabbit`");
    let queues = ["notifications.info", "notifications.warn", "notifications.error"];
    let received = queues.iter().flat_map(|queue| vhost.drain(queue));
    let received: BTreeSet<_> = received.map(|message| message.message_id().to_owned()).collect();
    assert_eq!(received, sandbox.read("acks").lines().map(str::to_owned).collect());
}

/// An unreachable broker leaves the messages in the spool: after `--timeout` with code
/// 3, and at a permanent error at once with code 2.
///
/// Both drains leave all messages in the spool.
#[test]
fn reports_remaining_messages_and_exits_with_3() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    let output = sandbox.run(spooled(&["spool", "drain", "--timeout", "2"]));
    let gave_up = "gave up: nothing was delivered for 2 s (see `--timeout`)";
    let output = output.expect_message(3, gave_up);
    // The cause stands once: behind the message, or in the log line before it if that was due first.
    assert_eq!(output.err.matches("cannot connect to 127.0.0.1").count(), 1, "{}", output.err);
    assert!(output.err.contains("0 delivered by `rabbit`, 11 pending"), "{}", output.err);
    assert_eq!(pending(&sandbox), 11);
    // A permanent error needs no waiting.
    let args = ["spool", "drain", "--set", "strategy=log", "--set", "log.file=none/n.log"];
    sandbox
        .run([&args[..], &SPOOL].concat())
        .expect_message(2, "create it")
        .expect_message(2, "11 pending");
    assert_eq!(pending(&sandbox), 11);
}

/// A drain to standard output ends with the reader of the pipe, and all messages stay in the spool.
#[test]
fn a_closed_pipe_ends_the_drain() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    let args = ["spool", "drain", "--set", "strategy=log", "--set", "log.target=stdout"];
    let mut command = sandbox.command([&args[..], &SPOOL].concat());
    let output = CommandOutput::from(command.stdout(broken_pipe()).output().unwrap());
    output.expect_message(3, "standard output is closed").expect_message(3, "11 pending");
    assert_eq!(pending(&sandbox), 11);
}

/// Draining to `noop` would lose the messages, and so would a default.
///
/// A forgotten `strategy` must not empty the spool.
#[test]
fn refuses_to_drain_to_noop() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    for (setting, message) in [
        ("strategy=noop", "the strategy `noop` sends nothing"),
        ("publisher_id=x", "no strategy is configured"),
    ] {
        let output = sandbox.run([&["spool", "drain", "--set", setting][..], &SPOOL].concat());
        output.expect_message(2, message);
    }
    assert_eq!(pending(&sandbox), 11);
}

/// A drain forwards the free slots, and names the process that owns the other one, as
/// text and as JSON. That process forwards its messages itself.
#[test]
fn leaves_slots_in_use_alone_and_exits_with_3() {
    let sandbox = Sandbox::new();
    let mut child = spawn_piped(&mut sandbox.command(spooled(&["emit", "--acks", "held"])));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line("held").repeat(3).as_bytes()).unwrap();
    wait_until("the messages are on the disk", || sandbox.lines_of("held") == 3);
    sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    let expected = format!(
        "slot 0 is in use by process {}: that process forwards its remaining messages (3)",
        child.id()
    );
    // The process publishes its counts about once a second.
    wait_until("the drain names the process and its count", || {
        sandbox.run(drain(&[])).err.contains(&expected)
    });
    let output = sandbox.run(drain(&["-o", "json"])).expect_message(3, &expected);
    let summary: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!(summary["held"], json!([{ "slot": 0, "pid": child.id(), "pending": 3 }]));
    assert_eq!(summary["pending"], 0);
    assert_eq!(sandbox.lines("n.log").len(), 11);
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    sandbox.run(drain(&[])).expect_message(0, "3 delivered by `log`");
}

/// A signal ends a drain with code 3, and the next drain delivers everything once.
#[test]
fn a_signal_stops_after_the_attempt_in_flight() {
    for signal in ["INT", "TERM"] {
        let sandbox = Sandbox::new();
        sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
        symlink("n.log", sandbox.path("n.log")).unwrap();
        let mut child = sandbox.command(drain(&[])).stderr(sandbox.create("err")).spawn().unwrap();
        wait_until("the first attempt has failed", || {
            sandbox.read("err").contains("delivery failed, retrying")
        });
        send_signal(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(3), "{}", sandbox.read("err"));
        let errors = sandbox.read("err");
        assert!(
            errors.contains("interrupted: waiting up to 10 s for the attempt in flight"),
            "{errors}"
        );
        assert!(errors.contains("0 delivered by `log`, 11 pending"), "{errors}");
        fs::remove_file(sandbox.path("n.log")).unwrap();
        sandbox.run(drain(&[])).expect_message(0, "11 delivered by `log`");
        assert_eq!(sandbox.lines("n.log").len(), 11);
    }
}

/// A broker that never answers could delay the end for the whole `queue.drain_timeout`.
/// A second signal does not wait for that.
#[test]
fn a_second_signal_stops_at_once() {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rabbit.url=amqp://{}", silent.local_addr().unwrap());
    let patient = ["--set", "queue.drain_timeout=3600", "--set", "strategy=rabbit", "--set", &url];
    let mut command = sandbox.command([&["spool", "drain"], &patient[..], &SPOOL].concat());
    let mut child = command.stderr(sandbox.create("err")).spawn().unwrap();
    let connection = silent.accept().unwrap();
    send_signal("TERM", &child);
    wait_until("the drain waits for the attempt in flight", || {
        sandbox.read("err").contains("waiting up to 3600 s")
    });
    assert_eq!(child.try_wait().unwrap(), None);
    send_signal("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(3), "{}", sandbox.read("err"));
    assert!(sandbox.read("err").contains("gave up"), "{}", sandbox.read("err"));
    drop(connection);
    sandbox.run(drain(&[])).expect_message(0, "11 delivered by `log`");
}

/// Kills drains at different places until one completes. Every stored message is in the
/// log at least once.
///
/// A message that was delivered just before the kill may arrive twice.
#[test]
fn a_kill_during_a_drain_loses_nothing() {
    /// Enough messages that a kill hits a drain in the middle.
    const MESSAGES: usize = 20_000;
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", line(&"x".repeat(500)).repeat(MESSAGES));
    sandbox.run(spooled(&["emit", "--acks", "acks", input])).expect(0);
    let mut kills = 0;
    while pending(&sandbox) > 0 {
        let before = sandbox.lines_of("n.log");
        let mut child = sandbox.command(drain(&[])).spawn().unwrap();
        // At different places, but never before the first batch is through.
        let more = 500 + kills * 1_777 % 4_000;
        wait_until("the drain has written enough, or is done", || {
            sandbox.lines_of("n.log") >= before + more || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(kills < 1_000, "the drain makes no progress");
    }
    assert!(kills > 1, "no kill hit a running drain");
    // A kill may cut a line, and the next drain delivers that message again.
    let log = sandbox.read("n.log");
    let whole = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let delivered: BTreeSet<_> =
        whole.map(|line| line["message_id"].as_str().unwrap().to_owned()).collect();
    let accepted: BTreeSet<_> = sandbox.read("acks").lines().map(str::to_owned).collect();
    assert_eq!(accepted.len(), MESSAGES);
    assert!(accepted.is_subset(&delivered), "{} lost", accepted.difference(&delivered).count());
}

/// `spool` finds its directory like every other setting: file, environment, `--set`.
///
/// A directory that does not exist is an error with code 2, as for every missing file.
#[test]
fn finds_the_spool_of_the_configuration() {
    let sandbox = Sandbox::new();
    let toml = "strategy = 'log'\nlog_file = 'n.log'\n[spool]\ndir = 'spool'\n";
    sandbox.file("notify.toml", toml);
    sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    sandbox.run(["spool", "ls", "-c", "notify.toml"]).expect(0);
    let mut command = sandbox.command(["spool", "stats", "-c", "notify.toml"]);
    let elsewhere = command.env("GLANCE_NOTIFY__SPOOL__DIR", "elsewhere").output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(2));
    sandbox.run(["spool", "drain", "-c", "notify.toml"]).expect_message(0, "11 delivered by `log`");
    assert_eq!(values(&sandbox.read("n.log")).len(), 11);
}
