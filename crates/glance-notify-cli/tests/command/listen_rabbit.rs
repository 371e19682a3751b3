//! `listen` on RabbitMQ: it shows what oslo.messaging sends, takes nothing from other consumers, and leaves
//! nothing behind.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};

use notify_conformance::samples;
use notify_testbed::broker::oslo::{OsloConfig, OsloListener, OsloPublisher};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use serde_json::{Value, json};

use crate::support::{CommandOutput, Sandbox, send_signal, values, wait_until};

/// A day of a small cloud, as OpenStack's own code sent it.
const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

/// Returns the priority, event type and payload of every sample.
fn all_samples() -> Vec<(String, String, Value)> {
    let of_glance = samples::glance_2013().into_iter().enumerate().map(|(number, payload)| {
        let number = u64::try_from(number).unwrap();
        let notification = glance_notify::Notification { payload, ..samples::notification(number) };
        let message = notification.encode(&glance_notify::codec::Encoding::default()).unwrap();
        serde_json::from_slice(message.body()).unwrap()
    });
    let all = of_glance.chain(values(DAY));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.map(|sample| {
        let priority = text(&sample["priority"]).to_lowercase();
        (priority, text(&sample["event_type"]), sample["payload"].clone())
    })
    .collect()
}

/// Starts the command with its output in pipes, and waits until its tap is bound.
fn start_tap(sandbox: &Sandbox, vhost: &Vhost<'_>, args: &[&str]) -> Child {
    let mut command = sandbox.command([&["listen"][..], args].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the tap is bound", || {
        let bindings = vhost.broker().ctl(&["list_bindings", "-p", vhost.name(), "routing_key"]);
        bindings.contains("notifications.#")
    });
    child
}

/// Waits for the end of the command.
fn output(child: Child) -> CommandOutput {
    child.wait_with_output().unwrap().into()
}

/// A real oslo.messaging notifier sends all samples, in both envelopes: `listen` prints them all, while an
/// oslo listener on the shared queues receives every one too. Afterwards nothing of ours is left. The same
/// holds for the broker that a glance-api.conf names.
#[test]
fn shows_what_oslo_sends_while_its_listener_misses_nothing() {
    let samples = all_samples();
    let count = samples.len().to_string();
    for (driver, with_conf) in [("messaging", false), ("messagingv2", true)] {
        let sandbox = Sandbox::new();
        let vhost = RabbitMq::shared().vhost();
        let url = vhost.url();
        let from = if with_conf {
            let transport = url.replacen("amqp://", "rabbit://", 1);
            let conf = format!(
                "[DEFAULT]\ntransport_url = {transport}\n\
                 [oslo_messaging_notifications]\ndriver = {driver}\n"
            );
            sandbox.file("glance-api.conf", conf)
        } else {
            url.as_str()
        };
        let listener = OsloListener::start(&OsloConfig::new(&url));
        let child = start_tap(&sandbox, &vhost, &["--from", from, "-o", "json", "-n", &count]);
        let publisher = OsloPublisher::start(&OsloConfig::new(&url), driver, "image.host1");
        for (priority, event_type, payload) in &samples {
            publisher.publish(priority, event_type, payload);
        }
        let received = samples.iter().map(|_| {
            let notified = listener.next();
            let id = notified.metadata["message_id"].as_str().unwrap().to_owned();
            (id, (notified.event_type.unwrap(), notified.payload))
        });
        let received: BTreeMap<_, _> = received.collect();
        let output = output(child).expect(0);
        let shown: BTreeMap<_, _> = values(&output.out)
            .into_iter()
            .map(|shown| {
                let text = |key: &str| shown[key].as_str().unwrap().to_owned();
                (text("message_id"), (text("event_type"), shown["payload"].clone()))
            })
            .collect();
        assert!(shown.keys().eq(received.keys()), "{driver}: {} {}", shown.len(), received.len());
        for (id, (event_type, payload)) in &shown {
            assert_eq!(event_type, &received[id].0);
            // Audit events hold a credential, which redaction hides.
            let is_audit = event_type.starts_with("audit.");
            assert!(is_audit || *payload == received[id].1, "{event_type}: {payload}");
        }
        assert!(output.err.contains("nothing of ours is left"), "{}", output.err);
        assert!(!output.err.contains("guest:guest"), "{}", output.err);
        let names: Vec<_> = vhost.queues().into_iter().map(|queue| queue.name).collect();
        assert!(names.iter().all(|name| name.starts_with("notifications.")), "{names:?}");
        assert_eq!(listener.log(), "");
    }
}

/// A tap leaves the shared queue unchanged, and the summary says what it holds; `--consume` takes from it, and
/// says so.
#[test]
fn a_tap_leaves_the_shared_queue_unchanged_and_consume_takes_from_it() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url();
    let publisher = OsloPublisher::start(&OsloConfig::new(&url), "messagingv2", "image.host1");
    let publish = || publisher.publish("info", "image.create", &json!({ "id": "a" }));
    publish();
    let child = start_tap(&sandbox, &vhost, &["--from", &url, "-n", "2"]);
    publish();
    publish();
    let shown = output(child).expect(0);
    assert_eq!(shown.out.lines().count(), 2);
    let depth = "shared queues: `notifications.info` 1 before, 3 after, without a consumer";
    assert!(shown.err.contains(depth), "{}", shown.err);
    assert_eq!(vhost.queue("notifications.info").unwrap().messages, 3);

    let consume = ["listen", "--from", &url, "--consume", "notifications.info", "--idle", "5"];
    sandbox.run(consume).expect_message(2, "name a file with `--dead-letters`");
    let args = [&consume[..], &["--dead-letters", "dead.jsonl"]].concat();
    let taken = sandbox.run(args).expect_message(0, "do not get what this command takes");
    assert_eq!(taken.out.lines().count(), 3);
    assert_eq!(vhost.queue("notifications.info").unwrap().messages, 0);
    // The configuration may name the file instead.
    publish();
    sandbox.file("config.toml", "listener.dead_letters = 'dead.jsonl'\n");
    let args = [&consume[..], &["-c", "config.toml"]].concat();
    assert_eq!(sandbox.run(args).expect(0).out.lines().count(), 1);
}

/// A durable tap keeps notifications between two runs, is named in the summary, and goes when you say so.
#[test]
fn a_durable_tap_keeps_notifications_until_it_is_removed() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url();
    let publisher = OsloPublisher::start(&OsloConfig::new(&url), "messagingv2", "image.host1");
    let publish = || publisher.publish("info", "image.create", &json!({ "id": "a" }));
    publish();
    let tap = ["--from", &url, "--tap", "audit"];
    let child = start_tap(&sandbox, &vhost, &tap);
    send_signal("TERM", &child);
    let stays = "the tap `glance-notify.audit` stays with 0 messages";
    output(child).expect_message(0, stays);
    publish();
    let args = [&["listen"][..], &tap, &["-n", "1"]].concat();
    assert_eq!(sandbox.run(args).expect(0).out.lines().count(), 1);
    let args = [&["listen"][..], &tap, &["--idle", "5", "--exec", "true"]].concat();
    let warning = "a notification that fails too often is discarded";
    // Nothing came.
    sandbox.run(&args).expect_message(0, warning);
    let kept = sandbox.run([&args[..], &["--dead-letters", "dead.jsonl"]].concat()).expect(0);
    assert!(!kept.err.contains(warning), "{}", kept.err);
    publish();
    let args = [&["listen"][..], &tap, &["--remove-tap"]].concat();
    sandbox.run(&args).expect_message(0, "deleted the tap with 1 message");
    assert!(vhost.queue("glance-notify.audit").is_none());
    let again = sandbox.run(args).expect_message(0, "the tap `glance-notify.audit` does not exist");
    assert!(!again.err.contains("deleted"), "{}", again.err);
}

/// The summary names no tap as one that stays if the broker refused to declare it.
#[test]
fn a_tap_that_was_refused_does_not_stay() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url();
    let publisher = OsloPublisher::start(&OsloConfig::new(&url), "messagingv2", "image.host1");
    publisher.publish("info", "image.create", &json!({ "id": "a" }));
    let user = format!("reader-{}", vhost.name());
    vhost.broker().add_user(&user, "secret");
    vhost.permit(&user, ["", "", ".*"]);
    let url = url.replacen("guest:guest", &format!("{user}:secret"), 1);
    let listen = ["listen", "--from", &url, "--tap", "nosuch", "--idle", "20"];
    let refused = sandbox.run(listen).expect_message(2, "permission denied");
    let missing = "; the tap `glance-notify.nosuch` does not exist";
    assert!(refused.err.contains(missing), "{}", refused.err);
    assert!(!refused.err.contains("--remove-tap"), "{}", refused.err);
}

/// A user whom the broker does not know is an error at once, in words that name no password; with `--wait` the
/// command keeps trying.
#[test]
fn a_refused_login_ends_the_command_unless_it_waits() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url().replacen("guest:guest", "stranger:pl4nted-s3cret", 1);
    let refused = sandbox.run(["listen", "--from", &url]).expect(2);
    assert!(refused.err.contains("authentication failed"), "{}", refused.err);
    assert!(!refused.err.contains("pl4nted"), "{}", refused.err);
    let args = ["listen", "--from", &url, "--wait", "--idle", "2"];
    let waited = sandbox.run(args).expect_message(3, "0 received, 0 shown");
    assert!(waited.err.contains("is not connected"), "{}", waited.err);
}
