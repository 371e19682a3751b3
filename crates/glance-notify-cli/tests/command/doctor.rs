//! `doctor`: one finding per line about each reason why nothing arrives, and the least permissions to read.

use notify_testbed::broker::oslo::{OsloConfig, OsloPublisher};
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::ports::free_port;
use serde_json::json;

use crate::support::{Sandbox, send_signal, values, wait_until};

/// Returns a glance-api.conf for a broker.
fn glance_conf(url: &str, driver: &str) -> String {
    let transport = url.replacen("amqp://", "rabbit://", 1);
    format!(
        "[DEFAULT]\ntransport_url = {transport}\n[oslo_messaging_notifications]\ndriver = {driver}\n"
    )
}

/// Publishes as an OpenStack service does, which declares the exchange and the queues.
fn publish(vhost: &Vhost<'_>, count: u32) {
    let publisher = OsloPublisher::start(&OsloConfig::new(&vhost.url()), "messagingv2", "image.h");
    for number in 0..count {
        publisher.publish("info", "image.create", &json!({ "id": number.to_string() }));
    }
}

/// Runs a printed command. No argument has a space or a quote in it.
fn run_rabbitmqctl(vhost: &Vhost<'_>, command: &str) {
    let words: Vec<_> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
    vhost.broker().ctl(&words);
}

/// A driver that sends nothing is named with its line and with kolla's switch; so is a virtual host in which
/// nothing was ever published.
#[test]
fn a_driver_that_sends_nothing_is_named() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    sandbox.file("glance-api.conf", glance_conf(&vhost.url(), "noop"));
    let output = sandbox.run(["doctor", "--from", "glance-api.conf"]).expect(0);
    let silent = "warning  configuration: `[oslo_messaging_notifications] driver` (glance-api.conf, line 4): \
                  no notifications are sent";
    assert!(output.out.contains(silent), "{}", output.out);
    assert!(output.out.contains("in kolla-ansible: `enable_ceilometer`"), "{}", output.out);
    assert!(output.out.contains("good     broker: RabbitMQ 3"), "{}", output.out);
    assert!(output.out.contains("warning  exchange `glance`: does not exist"), "{}", output.out);
    assert!(output.out.contains("warning  queues: no queue of the topics"), "{}", output.out);
}

/// A queue that nothing reads is named with its depth and the policy that bounds it, the JSON form has the same
/// findings, and Nagios gets its codes.
#[test]
fn an_unread_queue_is_named_with_the_policy_that_bounds_it() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    publish(&vhost, 7);
    let url = vhost.url();
    let output = sandbox.run(["doctor", "--from", &url]).expect(0);
    let unread = format!(
        "warning  queue `notifications.info`: 7 messages and no consumer: start one, or bound the queue with \
         `rabbitmqctl set_policy -p '{}' unread-notifications '^notifications\\.'",
        vhost.name()
    );
    assert!(output.out.contains(&unread), "{}", output.out);
    assert!(output.out.contains("good     exchange `glance`: exists"), "{}", output.out);
    assert!(!output.out.contains("guest:guest"));
    let rows = values(&sandbox.run(["doctor", "--from", &url, "-o", "json"]).expect(0).out);
    assert_eq!(rows.len(), output.out.lines().count());
    let is_unread = |row: &serde_json::Value| {
        row["state"] == "warning" && row["subject"] == "queue `notifications.info`"
    };
    assert!(rows.iter().any(is_unread));
    for (warning, critical, code, word) in
        [("8", "9", 0, "OK"), ("7", "9", 1, "WARNING"), ("1", "7", 2, "CRITICAL")]
    {
        let args = ["doctor", "--from", &url, "--nagios", "-w", warning, "-C", critical];
        let output = sandbox.run(args).expect(code);
        assert_eq!(output.out.lines().count(), 1);
        let expected = format!("NOTIFICATIONS {word} - 7 unread messages | unread=7;");
        assert!(output.out.starts_with(&expected), "{}", output.out);
    }
}

/// A queue that does not answer is one bad finding that names it. The findings about the other queues stay, and
/// their messages count.
#[test]
fn a_queue_that_does_not_answer_hides_no_other() {
    let sandbox = Sandbox::new();
    let broker = RabbitMq::start();
    let vhost = broker.root();
    for queue in ["notifications.info", "notifications.error"] {
        vhost.declare_queue(queue, &json!({}));
    }
    vhost.publish("", "notifications.info", &json!({}), b"{}");
    vhost.suspend_queue("notifications.error");
    let source = format!(
        "[[source]]\nurl = '{}'\nconnect_timeout = 5\n\
         consume = ['notifications.error', 'notifications.info']\n",
        vhost.url()
    );
    sandbox.file("sources.toml", source);
    let output = sandbox.run(["doctor", "--from", "sources.toml"]).expect(3);
    let bad: Vec<_> = output.out.lines().filter(|line| line.starts_with("bad ")).collect();
    let [bad] = bad[..] else { panic!("{}", output.out) };
    assert!(bad.starts_with("bad      queue `notifications.error`: "), "{bad}");
    assert!(bad.contains("did not answer a declaration"), "{bad}");
    let unread = "warning  queue `notifications.info`: 1 messages and no consumer";
    assert!(output.out.contains(unread), "{}", output.out);
    let output = sandbox.run(["doctor", "--from", "sources.toml", "--nagios"]).expect(3);
    assert!(output.out.contains("queue `notifications.error`: "), "{}", output.out);
    assert!(output.out.contains(" | unread=1;"), "{}", output.out);
    vhost.resume_queue("notifications.error");
}

/// A broker that is away is a bad finding that may pass: 3, and unknown to Nagios.
#[test]
fn a_broker_that_is_away_exits_with_3() {
    let sandbox = Sandbox::new();
    let url = format!("amqp://guest:pl4nted@127.0.0.1:{}", free_port());
    let output = sandbox.run(["doctor", "--from", &url]).expect(3);
    assert!(output.out.starts_with("bad      source: "), "{}", output.out);
    assert!(!output.out.contains("pl4nted") && !output.err.contains("pl4nted"));
    let output = sandbox.run(["doctor", "--from", &url, "--nagios"]).expect(3);
    assert!(output.out.starts_with("NOTIFICATIONS UNKNOWN - "), "{}", output.out);
}

/// Nagios shows standard output alone, so that an error before any finding is a line there too: unknown.
#[test]
fn nagios_learns_of_a_wrong_configuration() {
    let sandbox = Sandbox::new();
    sandbox.file("broken.toml", "[[source]]\nfile = 'n.log'\nfle = 1\n");
    sandbox.file("day.jsonl", "");
    for (args, text) in [
        (&["--from", "a|b"][..], "cannot read `a/b`: No such file or directory"),
        (&["-c", "missing.toml"], "missing.toml"),
        (&["--from", "broken.toml"], "broken.toml"),
        (&["--from", "day.jsonl", "--management"], "--management needs a broker"),
    ] {
        let output = sandbox.run([&["doctor", "--nagios"][..], args].concat()).expect(3);
        assert!(output.out.starts_with("NOTIFICATIONS UNKNOWN - "), "{}", output.out);
        assert!(output.out.contains(text) && !output.out.contains('|'), "{}", output.out);
        assert_eq!((output.out.lines().count(), output.err.as_str()), (1, ""));
    }
}

/// `--watch` names the last notification and the difference of the clocks, and takes nothing.
#[test]
fn watch_shows_the_traffic() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    publish(&vhost, 1);
    let url = vhost.url();
    let args = ["doctor", "--from", &url, "--watch", "1"];
    let silent = sandbox.run(args).expect(0);
    assert!(silent.out.contains("warning  traffic: no notification within 1 s"), "{}", silent.out);
    let publisher = OsloPublisher::start(&OsloConfig::new(&url), "messagingv2", "image.h");
    let child = sandbox.command(["doctor", "--from", &url, "--watch", "8"]);
    let mut child = { child }.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut count = 0;
    while child.try_wait().unwrap().is_none() {
        publisher.publish("info", "image.delete", &json!({ "id": "a" }));
        count += 1;
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let traffic = " notifications within 8 s; the last is `image.delete`, sent ";
    assert!(out.contains(traffic), "{out}");
    assert_eq!(vhost.queue("notifications.info").unwrap().messages, 1 + count);
}

/// `--watch` neither reads on from the checkpoint of a file nor moves it, and creates none.
#[test]
fn watch_leaves_the_checkpoint_of_a_file_alone() {
    let sandbox = Sandbox::new();
    sandbox.file("day.jsonl", include_str!("../../../../docs/samples/cloud-day.jsonl"));
    let table = "[[source]]\nname = 'a'\nfile = 'day.jsonl'\ncheckpoint = 'position'\n";
    sandbox.file("sources.toml", table);
    let watch = || {
        let output = sandbox.run(["doctor", "--from", "sources.toml", "--watch", "0.5"]).expect(0);
        assert!(output.out.contains("no notification within 0.5 s"), "{}", output.out);
    };
    watch();
    assert!(!sandbox.path("position").exists());
    let read = ["listen", "--from", "day.jsonl", "--checkpoint", "position", "-n", "4"];
    sandbox.run(read).expect(0);
    let position = sandbox.read("position");
    watch();
    assert_eq!(sandbox.read("position"), position);
}

/// `--repeat` examines until a signal, and prints each finding once until it changes.
#[test]
fn repeat_shows_what_changes() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    publish(&vhost, 3);
    let args = ["doctor", "--from", &vhost.url(), "--watch", "0.2", "--repeat", "-o", "json"];
    let out = sandbox.create("out");
    let child = sandbox.command(args).stdout(out).stderr(std::process::Stdio::piped()).spawn();
    let child = child.unwrap();
    let has = |text: &str| sandbox.read("out").contains(text);
    wait_until("the first examination", || has("\"traffic\"") && has("3 messages and no consumer"));
    publish(&vhost, 2);
    wait_until("the change", || has("5 messages and no consumer"));
    send_signal("TERM", &child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    let out = sandbox.read("out");
    assert_eq!(out.matches("\"broker\"").count(), 1, "{out}");
    assert_eq!(out.matches("3 messages and no consumer").count(), 1, "{out}");
}

/// A durable tap is told about the window that an exchange without durability leaves.
#[test]
fn a_durable_tap_learns_of_its_window() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    publish(&vhost, 1);
    let table = format!("[[source]]\nurl = '{}'\nqueue = 'audit'\n", vhost.url());
    sandbox.file("sources.toml", table);
    let output = sandbox.run(["doctor", "--from", "sources.toml"]).expect(0);
    assert!(output.out.contains("good     exchange `glance`: exists; if it is not durable, "));
}

/// The commands for two topics bound the queues of both: no policy replaces the other.
#[test]
fn the_printed_policies_bound_all_queues() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    let topics = ["notifications", "versioned_notifications"];
    for topic in topics {
        let queue = format!("{topic}.info");
        vhost.declare_queue(&queue, &json!({}));
        vhost.publish("", &queue, &json!({}), b"{}");
    }
    let output = sandbox.run(["doctor", "--from", &vhost.url()]).expect(0);
    let commands = output.out.split('`').filter_map(|part| part.strip_prefix("rabbitmqctl "));
    let commands: Vec<_> = commands.collect();
    assert_eq!(commands.len(), topics.len(), "{}", output.out);
    for command in commands {
        run_rabbitmqctl(&vhost, command);
    }
    wait_until("each queue has its policy", || {
        let listed = vhost.broker().ctl(&["list_queues", "-p", vhost.name(), "name", "policy"]);
        let rows: Vec<Vec<_>> =
            listed.lines().map(|line| line.split_whitespace().collect()).collect();
        topics.iter().all(|topic| {
            let (queue, policy) = (format!("{topic}.info"), format!("unread-{topic}"));
            rows.iter().any(|row| row[..] == [queue.as_str(), policy.as_str()])
        })
    });
}

/// A stream keeps messages that consumers have read, so it has no backlog. No advice names a policy that truncates it.
#[test]
fn a_stream_of_the_source_is_no_backlog() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    let stream = json!({ "durable": true, "arguments": { "x-queue-type": "stream" } });
    vhost.declare_queue("glance-notify.audit", &stream);
    vhost.publish_all("", "glance-notify.audit", &json!({}), &[b"{}"; 7]);
    for queue in ["queue = 'audit'", "consume = 'glance-notify.audit'"] {
        let table = format!(
            "listener.dead_letters = 'dead.jsonl'\n\
             [[source]]\nurl = '{}'\nqueue_type = 'stream'\n{queue}\n",
            vhost.url()
        );
        sandbox.private_file("sources.toml", table);
        let run =
            |args: &[&str]| sandbox.run([&["doctor", "--from", "sources.toml"][..], args].concat());
        let holds = "good     queue `glance-notify.audit`: 7 messages, read and unread; ";
        // RabbitMQ counts the messages of a stream every few seconds.
        wait_until("the messages are counted", || run(&[]).expect(0).out.contains(holds));
        let out = run(&[]).expect(0).out;
        assert!(!out.contains("no consumer") && !out.contains("set_policy"), "{out}");
        let line = run(&["--nagios", "-w", "1", "-C", "1"]).expect(0).out;
        assert_eq!(line, "NOTIFICATIONS OK - 0 unread messages | unread=0;1;1;0\n");
    }
}

/// The advice about the source's own tap is to start its listener: a policy would drop what the tap keeps.
#[test]
fn an_unread_tap_needs_its_listener() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_queue("glance-notify.audit", &json!({ "durable": true }));
    vhost.publish_all("", "glance-notify.audit", &json!({}), &[b"{}"; 3]);
    let table = format!("[[source]]\nurl = '{}'\nqueue = 'audit'\n", vhost.url());
    sandbox.private_file("sources.toml", table);
    let output = sandbox.run(["doctor", "--from", "sources.toml"]).expect(0);
    let unread = "warning  queue `glance-notify.audit`: 3 messages and no consumer: start the listener, \
                  which reads them\n";
    assert!(output.out.contains(unread), "{}", output.out);
    assert!(!output.out.contains("set_policy"), "{}", output.out);
    let args = ["doctor", "--from", "sources.toml", "--nagios", "-w", "3", "-C", "4"];
    let line = sandbox.run(args).expect(1).out;
    assert_eq!(line, "NOTIFICATIONS WARNING - 3 unread messages | unread=3;3;4;0\n");
}

/// Adds a user with the permissions that `--grant` prints for the sources, and only those. Returns the user's URL.
fn add_granted_user(sandbox: &Sandbox, vhost: &Vhost<'_>, sources: &str) -> String {
    let user = format!("audit-{}", vhost.name());
    vhost.broker().add_user(&user, "secret");
    let grant = sandbox.run(["doctor", "--from", sources, "--grant", &user]).expect(0).out;
    for command in grant.lines() {
        run_rabbitmqctl(vhost, command.strip_prefix("rabbitmqctl ").unwrap());
    }
    vhost.url().replacen("guest:guest", &format!("{user}:secret"), 1)
}

/// A user with the permissions that `--grant` prints, and only those, taps notifications, and is refused to bind
/// `#`, which would copy every RPC.
#[test]
fn the_granted_permissions_suffice_and_no_more() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    publish(&vhost, 1);
    let url = add_granted_user(&sandbox, &vhost, &vhost.url());
    let child = sandbox.command(["listen", "--from", &url, "-n", "1", "-o", "json"]);
    let child = { child }.stdout(std::process::Stdio::piped()).spawn().unwrap();
    crate::support::wait_until("the tap is bound", || {
        let bindings = vhost.broker().ctl(&["list_bindings", "-p", vhost.name(), "routing_key"]);
        bindings.contains("notifications.#")
    });
    publish(&vhost, 1);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);

    // The topic `#` makes the key `#.#`, which matches everything. Other topics and exchanges are out of reach.
    vhost.declare_exchange("nova", "topic", &json!({}));
    for (exchange, topic, expected) in [
        ("glance", "#", "refused"),
        ("glance", "conductor", "refused"),
        ("nova", "notifications", "refused"),
    ] {
        let source = format!(
            "[[source]]\nname = 'a'\nurl = '{url}'\nexchanges = ['{exchange}']\ntopics = ['{topic}']\n"
        );
        sandbox.file("sources.toml", source);
        let refused = sandbox.run(["listen", "--from", "sources.toml", "--idle", "20"]).expect(2);
        assert!(refused.err.contains(expected), "{}", refused.err);
    }
}

/// The permissions that `--grant` prints for two sources of a virtual host suffice for both: no command takes back
/// what another one gave.
#[test]
fn the_granted_permissions_suffice_for_each_source() {
    let sandbox = Sandbox::new();
    let vhost = RabbitMq::shared().vhost();
    publish(&vhost, 1);
    let url = vhost.url();
    let table = format!(
        "listener.dead_letters = 'dead.jsonl'\n\
         [[source]]\nname = 'tap'\nurl = '{url}'\nqueue = 'audit'\n\
         [[source]]\nname = 'shared'\nurl = '{url}'\nconsume = ['notifications.info']\n"
    );
    sandbox.file("sources.toml", table);
    let url = add_granted_user(&sandbox, &vhost, "sources.toml");
    let listen = ["listen", "--from", &url, "--dead-letters", "dead.jsonl", "--idle", "5"];
    let consume = [&listen[..], &["--consume", "notifications.info"]].concat();
    assert_eq!(sandbox.run(consume).expect(0).out.lines().count(), 1);
    // Nothing came, and nothing was refused.
    sandbox.run([&listen[..], &["--tap", "audit"]].concat()).expect(1);
}
