//! Dead letters: the spool keeps each refused message with its reason until you retry or
//! drop it.
//!
//! The broker refuses messages because its exchange has no binding.

use std::io::Write;

use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use serde_json::{Value, json};

use crate::support::{
    CommandOutput, LIFECYCLE, SPOOL, Sandbox, emit, ids, spawn_piped, spooled, values, wait_until,
};

/// Returns a sandbox whose spool holds eleven dead letters, and their ids.
///
/// The exchange of `vhost` has no binding, so that the broker returns every message.
fn spool_of_dead_letters(vhost: &Vhost<'_>) -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    sandbox.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    // The exchange exists, but no queue is bound to it.
    vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
    let output = spool_with_broker(&sandbox, vhost, &["drain", "--set", "rabbit.declare=no"]);
    output.expect_message(3, "0 delivered by `rabbit`, 11 refused, 11 dead letters");
    let ids = sandbox.read("acks").lines().map(str::to_owned).collect();
    (sandbox, ids)
}

/// Runs a `spool` subcommand with `vhost` as the destination.
fn spool_with_broker(sandbox: &Sandbox, vhost: &Vhost<'_>, args: &[&str]) -> CommandOutput {
    let url = format!("rabbit.url={}", vhost.url());
    let strategy = ["--set", "strategy=rabbit", "--set", &url];
    sandbox.run([&["spool"], args, &strategy, &REFUSE_AT_ONCE, &SPOOL].concat())
}

/// Runs a `spool` subcommand without a destination.
fn spool(sandbox: &Sandbox, args: &[&str]) -> CommandOutput {
    sandbox.run([&["spool"], args, &SPOOL].concat())
}

/// `ls` and `show` give the reason and the time of the refusal. `export --dead` writes
/// the dead letters alone.
///
/// The reason is the broker's own word: `NO_ROUTE`.
#[test]
fn lists_and_exports_dead_letters_with_their_reason() {
    let vhost = RabbitMq::shared().vhost();
    let (sandbox, sent) = spool_of_dead_letters(&vhost);
    let listed =
        values(&spool(&sandbox, &["ls", "--messages", "-o", "json", "--dead"]).expect(0).out);
    assert_eq!(ids(&listed), sent);
    for line in &listed {
        assert_eq!(line["state"], "dead");
        assert!(line["reason"].as_str().unwrap().contains("NO_ROUTE"), "{line}");
        assert!(line["refused"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    let human = spool(&sandbox, &["ls", "--messages"]).expect(0).out;
    assert_eq!(human.lines().filter(|line| line.contains(" dead ")).count(), 11);
    assert!(human.lines().all(|line| line.contains("NO_ROUTE")), "{human}");
    let shown = spool(&sandbox, &["show", &sent[0]]).expect(0).out;
    assert!(shown.contains("dead letter, refused ") && shown.contains("NO_ROUTE"), "{shown}");
    let stats: Value =
        serde_json::from_str(&spool(&sandbox, &["stats", "-o", "json"]).expect(0).out).unwrap();
    assert_eq!(
        (&stats["pending"]["messages"], &stats["dead"]["messages"]),
        (&json!(0), &json!(11))
    );

    spool(&sandbox, &["export", "--pending"]).expect_message(0, "exported 0 messages");
    spool(&sandbox, &["export", "--dead", "dead.jsonl"]).expect_message(0, "exported 11 messages");
    sandbox.run(emit(&["dead.jsonl"])).expect_message(0, "11 delivered by `log`");
    assert_eq!(ids(&sandbox.lines("n.log")), sent);
}

/// A drain leaves dead letters alone and does not fail because of them. After `retry`
/// they are pending, and the next drain delivers them.
///
/// Retrying them by itself would only repeat the refusal.
#[test]
fn forwards_dead_letters_only_after_a_retry() {
    let vhost = RabbitMq::shared().vhost();
    let (sandbox, sent) = spool_of_dead_letters(&vhost);
    // Without a retry, dead letters stay and are no failure.
    spool_with_broker(&sandbox, &vhost, &["drain"])
        .expect_message(0, "0 delivered by `rabbit`, 11 dead letters");
    spool(&sandbox, &["retry", &sent[2]]).expect_message(0, "retried 1 dead letter");
    let output = spool(&sandbox, &["retry", "--all", "-o", "json"]).expect(0);
    assert_eq!(output.out, "{\"retried\":10}\n");
    spool(&sandbox, &["retry", &sent[2]]).expect_message(2, &format!("no dead letter {}", sent[2]));
    spool_with_broker(&sandbox, &vhost, &["drain"]).expect_message(0, "11 delivered by `rabbit`");
    let queues = ["notifications.info", "notifications.warn", "notifications.error"];
    let mut in_queues: Vec<_> = queues
        .iter()
        .flat_map(|queue| vhost.drain(queue))
        .map(|message| message.message_id().to_owned())
        .collect();
    let mut sent = sent;
    sent.sort();
    in_queues.sort();
    assert_eq!(in_queues, sent);
}

/// `drop --dead` removes dead letters only.
#[test]
fn drops_dead_letters_and_keeps_pending_messages() {
    let vhost = RabbitMq::shared().vhost();
    let (sandbox, sent) = spool_of_dead_letters(&vhost);
    sandbox.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    spool(&sandbox, &["drop", &sent[0]])
        .expect_message(0, "dropped 0 pending messages and 1 dead letter");
    let output = spool(&sandbox, &["drop", "--dead", "-o", "json"]).expect(0);
    assert_eq!(output.out, "{\"pending\":0,\"dead\":10}\n");
    let slots = values(&spool(&sandbox, &["ls", "-o", "json"]).expect(0).out);
    assert_eq!(
        (&slots[0]["pending"]["messages"], &slots[0]["dead"]["messages"]),
        (&json!(11), &json!(0))
    );
}

/// The second line of the summary agrees with the content of the spool.
///
/// `emit` ends as soon as everything is stored, so the number of forwarded messages
/// differs from run to run.
#[test]
fn emit_reports_the_forwarded_messages() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    let input = sandbox.file("life.jsonl", LIFECYCLE);
    let url = format!("rabbit.url={}", vhost.url());
    let rabbit = ["--set", "strategy=rabbit", "--set", &url];
    let output = sandbox.run([&["emit", input], &rabbit[..], &SPOOL].concat());
    let output = output.expect_message(0, "11 read, 11 delivered by `spool`");
    // `emit` does not wait for the broker, so only the sum is certain.
    let left = values(&spool(&sandbox, &["ls", "-o", "json"]).expect(0).out);
    let pending = left[0]["pending"]["messages"].as_u64().unwrap();
    let expected = format!("spool: {} forwarded by `rabbit`, {pending} pending", 11 - pending);
    assert!(output.err.contains(&expected), "{expected}: {}", output.err);
}

/// A refusal behind the spool is no failure of `emit`, but the summary counts it.
#[test]
fn emit_reports_refusals_behind_the_spool() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
    let url = format!("rabbit.url={}", vhost.url());
    let rabbit = ["--set", "strategy=rabbit", "--set", "rabbit.declare=no", "--set", &url];
    let mut child = spawn_piped(
        &mut sandbox.command([&["emit"], &rabbit[..], &REFUSE_AT_ONCE, &SPOOL].concat()),
    );
    child.stdin.as_mut().unwrap().write_all(LIFECYCLE.as_bytes()).unwrap();
    wait_until("every message is refused", || {
        let stats = spool(&sandbox, &["stats", "-o", "json"]);
        serde_json::from_str::<Value>(&stats.out).is_ok_and(|stats| stats["dead"]["messages"] == 11)
    });
    // `wait_with_output` closes standard input, which ends the command.
    let output = CommandOutput::from(child.wait_with_output().unwrap());
    output.expect_message(
        0,
        "spool: 0 forwarded by `rabbit`, 11 refused and kept as dead letters, 0 pending",
    );
}

/// The arguments that shorten the time for which a message may be unroutable.
const REFUSE_AT_ONCE: [&str; 2] = ["--set", "rabbit.refuse_unroutable_after=0.1"];
