//! Secrets stay out of every file and every output.
//!
//! The tests plant one secret wherever a notification or a configuration can hold one,
//! run every subcommand with `-vvv`, and then search standard output, standard error and
//! all files for it. `without_redaction_the_planted_secret_arrives` proves that the
//! search would find it.

use std::os::unix::fs::symlink;
use std::path::Path;

use notify_testbed::ports::free_port;
use notify_testbed::secrets::{MASKED_KEYS, REMOVED_KEYS, SECRET};

use crate::planted_secrets::{
    assert_no_secret, configure, files_below, holds_secret, payload_count, payloads,
};
use crate::support::{CommandOutput, Sandbox, emit, ids, values};

/// Redaction applies in both payload styles. The masked values are there, so the
/// notifications did contain secrets.
///
/// The configuration holds passwords of brokers as well, and none of them appears at
/// `-vvv`.
#[test]
fn masks_secrets_in_delivered_notifications_and_output() {
    for payload_style in ["payloads=documented", "payloads=glance"] {
        let sandbox = Sandbox::new();
        configure(&sandbox);
        let input = sandbox.file("in.jsonl", payloads());
        let args = ["emit", "-c", "notify.toml", "--set", payload_style, "-vvv", "-o", "json"];
        let mut command = sandbox.command([&args[..], &["--acks", "acks", input]].concat());
        command.env("GLANCE_NOTIFY__RABBIT__PASSWORD", SECRET);
        let output = CommandOutput::from(command.output().unwrap()).expect(0);
        assert_no_secret(&sandbox, &output, &["n.log", "acks"]);
        let log = sandbox.read("n.log");
        assert_eq!(log.lines().count(), payload_count());
        assert!(log.contains("***@auth.example") && log.contains("\"adminPass\":\"***\""), "{log}");
    }
}

/// The spool stores redacted bodies only, so that no subcommand and no export can show a
/// secret.
///
/// A spool outlives the process that filled it, so its content must be safe for later
/// readers too.
#[test]
fn masks_secrets_in_every_spool_command() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", payloads());
    sandbox.file(
        "notify.toml",
        format!(
            "strategy = \"rabbit\"\nrabbit.url = \"amqp://u:{SECRET}@127.0.0.1:1\"\n\
             spool.dir = \"spool\"\n"
        ),
    );
    for (args, code) in [
        (&["emit", input, "--acks", "acks"][..], 0),
        (&["check"], 3),
        (&["spool", "ls"], 0),
        (&["spool", "ls", "--messages"], 0),
        (&["spool", "ls", "--messages", "-o", "json"], 0),
        (&["spool", "stats", "-o", "json"], 0),
        (&["spool", "show", "0/0", "0/1", "0/2", "0/3"], 0),
        (&["spool", "show", "0/0", "0/1", "0/2", "0/3", "-o", "json"], 0),
        (&["spool", "export"], 0),
        (&["spool", "export", "exported"], 0),
        (&["spool", "drain", "--timeout", "0.2"], 3),
        (&["spool", "retry", "--all"], 0),
        (&["spool", "drop", "0/0"], 0),
    ] {
        let output = sandbox.run([args, &["-vvv", "-c", "notify.toml"]].concat()).expect(code);
        assert_no_secret(&sandbox, &output, &[]);
    }
    let exported = sandbox.read("exported");
    assert_eq!(exported.lines().count(), payload_count());
    assert!(exported.contains("***@auth.example"), "{exported}");
}

/// Proves that the other tests can fail: with `redact=off` the secret does arrive. The
/// fields of oslo.messaging's request context stay out even then.
#[test]
fn without_redaction_the_planted_secret_arrives() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", payloads());
    sandbox.run(emit(&["--set", "redact=off", input])).expect(0);
    let log = sandbox.read("n.log");
    assert!(log.lines().take(payload_count() - 1).all(|line| line.contains(SECRET)), "{log}");
    for key in MASKED_KEYS.iter().chain(REMOVED_KEYS) {
        assert!(log.contains(&format!("\"{key}\":")), "{key} was planted");
    }
    // Request contexts of oslo.messaging stay out even without redaction.
    assert!(!log.lines().last().unwrap().contains(SECRET), "{log}");
}

/// The log targets `tracing` and `stdout` print notifications, redacted.
#[test]
fn masks_secrets_in_tracing_and_stdout_targets() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", payloads());
    let args = ["emit", "--set", "strategy=log", "--set", "log.target=tracing", "-vvv", input];
    let output = sandbox.run(args).expect_message(0, "***@auth.example");
    assert_no_secret(&sandbox, &output, &[]);
    let args = ["emit", "--set", "strategy=log", "--set", "log.target=stdout", "-vvv", input];
    let output = sandbox.run(args).expect(0);
    assert!(output.out.contains("***@auth.example"));
    assert_no_secret(&sandbox, &output, &[]);
}

/// The file of `--failed` holds the encoded form, which is redacted.
///
/// You keep that file for another `emit`, so it must be as safe as a delivered
/// notification.
#[test]
fn masks_secrets_in_failed_notifications() {
    let sandbox = Sandbox::new();
    symlink("n.log", sandbox.path("n.log")).unwrap();
    let input = sandbox.file("in.jsonl", payloads());
    let args = ["--timeout", "0.2", "-vvv", "--failed", "failed", input];
    let output = sandbox.run(emit(&args)).expect(3);
    assert_no_secret(&sandbox, &output, &["failed"]);
    assert_eq!(sandbox.lines("failed").len(), payload_count());
}

/// Valid and invalid configurations never show a password, wherever it stands.
///
/// Parsers like to quote the line that they reject. The messages here never do.
#[test]
fn configuration_errors_show_no_secret() {
    let sandbox = Sandbox::new();
    configure(&sandbox);
    for strategy in ["log", "rabbit", "qpid"] {
        let set = format!("strategy={strategy}");
        let mut command = sandbox.command(["check", "-vvv", "-c", "notify.toml", "--set", &set]);
        command.env("GLANCE_NOTIFY__RABBIT__PASSWORD", SECRET);
        let output = CommandOutput::from(command.output().unwrap());
        assert_no_secret(&sandbox, &output, &[]);
        let line = format!("{strategy}.");
        assert!(output.out.lines().any(|shown| shown.starts_with(&line)), "{}", output.out);
    }
    sandbox.file(
        "glance-api.conf",
        format!(
            "[DEFAULT]\nnotifier_strategy = rabbit\nrabbit_password = {SECRET}\n\
             transport_url = rabbit://u:{SECRET}@h/v\n"
        ),
    );
    let output = sandbox.run(["check", "-vvv", "-c", "glance-api.conf"]);
    assert!(output.out.contains("rabbit.url = "), "{}", output.out);
    assert_no_secret(&sandbox, &output, &[]);
    for wrong in [
        format!("queue.max_messages = \"{SECRET}\""),
        format!("strategy = \"log\"\nlog.file = \"n.log\"\nlog.sync = \"{SECRET}\""),
        format!("rabbit = \"{SECRET}\""),
        format!("rabbit.password = {SECRET}"),
        format!("rabbit.password = \"{SECRET}"),
        format!("[rabbit]\nurl = \"amqp:u:{SECRET}@h\"\n[rabbit]"),
    ] {
        sandbox.file("notify.toml", &wrong);
        for command in ["emit", "check"] {
            let output = sandbox.run([command, "-vvv", "-c", "notify.toml"]).expect(2);
            assert_no_secret(&sandbox, &output, &[]);
        }
    }
}

/// The database files of the spool hold no secret, unless you turn redaction off. Every
/// `spool` subcommand shows the redacted form.
///
/// The counter-check with `redact=off` proves that the search finds a secret in a
/// database file.
#[test]
fn the_spool_on_disk_holds_no_secret() {
    for (redact, shows) in [("redact=secrets", false), ("redact=off", true)] {
        let sandbox = Sandbox::new();
        let input = sandbox.file("in.jsonl", payloads());
        let url = format!("rabbit.url=amqp://u:{SECRET}@127.0.0.1:{}/", free_port());
        sandbox.file("notify.toml", "strategy = \"rabbit\"\nspool.dir = \"spool\"\n");
        let args = ["emit", "-c", "notify.toml", "-vvv", "--set", redact, "--set", &url, input];
        let output = sandbox.run(args).expect(0);
        let spooled = files_below(&sandbox.path("spool"));
        assert!(!spooled.is_empty());
        assert_eq!(spooled.iter().any(|path| holds_secret(path)), shows, "{redact}");
        if !shows {
            assert_no_secret(&sandbox, &output, &[]);
            let run = |args: &[&str]| {
                let common = ["-c", "notify.toml", "-vvv", "--set", &url];
                let output = sandbox.run([args, &common].concat());
                assert_no_secret(&sandbox, &output, &[]);
                output
            };
            run(&["check"]);
            let exported = values(&run(&["spool", "export"]).expect(0).out);
            assert_eq!(exported.len(), payload_count());
            let shown = run(&["spool", "show", ids(&exported)[0]]).expect(0);
            assert!(shown.out.contains("***@auth.example"), "{}", shown.out);
            for args in [
                &["spool", "ls"][..],
                &["spool", "ls", "-o", "json"],
                &["spool", "stats", "-o", "json"],
                &["spool", "drain", "--timeout", "1"],
                &["spool", "retry", "--all"],
                &["spool", "drop", "--all"],
            ] {
                run(args);
            }
        }
    }
}

/// Subcommands that ignore the configuration show nothing of it.
///
/// They must not even report that the configuration is wrong.
#[test]
fn commands_without_configuration_show_no_secret() {
    let sandbox = Sandbox::new();
    configure(&sandbox);
    let input = sandbox.file("in.jsonl", payloads());
    for args in [
        &["schema"][..],
        &["schema", "--example"],
        &["completions", "bash"],
        &["help", "emit"],
        &["--version"],
        &["validate", input],
        &["validate", "-o", "json", input],
    ] {
        let mut command = sandbox.command([&["-vvv"][..], args].concat());
        command.env("GLANCE_NOTIFY__QPID__PASSWORD", SECRET);
        let output = CommandOutput::from(command.output().unwrap()).expect(0);
        assert_no_secret(&sandbox, &output, &[]);
        let set = format!("rabbit.password={SECRET}");
        let output = sandbox.run([&["-vvv", "-c", "notify.toml", "--set", &set], args].concat());
        assert_no_secret(&sandbox, &output, &[]);
    }
}

/// A URL with a password in the place of a key, a word, an id or a file is an error that
/// does not repeat it.
#[test]
fn misplaced_secrets_are_not_echoed() {
    let sandbox = Sandbox::new();
    let url = format!("amqp://u:{SECRET}@h");
    for key in [
        "strategy",
        "redact",
        "compat",
        "rabbit.host",
        "rabbit.envelope",
        "rabbit.sasl_mechanism",
        "qpid.node",
        "qpid.dialect",
        "queue.overflow",
    ] {
        let strategy = if key.starts_with("qpid") { "strategy=qpid" } else { "strategy=rabbit" };
        let set = format!("{key}={url}");
        for command in ["check", "emit"] {
            let args =
                [command, "-vvv", "--set", strategy, "--set", "rabbit.user=u", "--set", &set];
            assert_no_secret(&sandbox, &sandbox.run(args).expect(2), &[]);
        }
    }
    for set in [
        format!("{url}=1"),
        format!("rabbit.{url}=1"),
        format!("disabled_notifications=[\"{url}\"]"),
    ] {
        let output = sandbox.run(["check", "--set", "strategy=rabbit", "--set", &set]).expect(2);
        assert_no_secret(&sandbox, &output, &[]);
    }
    let wrong = format!(
        "{{\"event_type\":\"{url}\",\"priority\":\"{url}\",\"payload\":{{}},\"{url}\":1}}\n\
         {{\"event_type\":\"image.delete\",\"priority\":\"INFO\",\"payload\":\"{url}\"}}\n\
         {{\"event_type\":\"image.create\",\"priority\":\"INFO\",\"payload\":{{\"id\":\"{url}\",\"status\":\"{url}\",\
         \"properties\":{{\"{url}\":1}}}}}}\n"
    );
    let input = sandbox.file("in.jsonl", wrong);
    for args in [
        &["validate", input][..],
        &["validate", "-o", "json", input],
        &["emit", "--set", "strategy=noop", "--skip-invalid", input],
    ] {
        assert_no_secret(&sandbox, &sandbox.run(args).expect(4), &[]);
    }
    // Operators paste the `transport_url` of oslo.messaging.
    for url in [format!("rabbit://u:{SECRET}@h/"), format!("AMQP://u:{SECRET}@h:5672/v")] {
        let file = format!("log.file={url}");
        let spool = format!("spool.dir={url}");
        let password = format!("rabbit.password_file={url}");
        let key = format!("rabbit.{url}=1");
        for (args, code) in [
            (&["listen", "--from", &url][..], 2),
            (&["listen", "--from", input, "--to", &url], 2),
            (&["listen", "--from", input, "--dead-letters", &url], 2),
            (&["listen", &url], 2),
            (&["replay", "--dry-run", "--from", &url], 2),
            (&["doctor", "--from", &url], 2),
            (&["doctor", "--nagios", "--from", &url], 3),
            (&["search", "--from", &url], 2),
            (&["timeline", "debian-12", "--from", &url], 2),
            (&["archive", "import", "--archive", "audit", &url], 2),
            (&["archive", "verify", "--archive", &url], 2),
            #[cfg(feature = "serve")]
            (&["serve", &url], 2),
            (&["emit", "--set", "strategy=noop", &url], 2),
            (&["validate", &url], 2),
            (&["check", "-c", &url], 2),
            (&["check", "--set", "strategy=log", "--set", &file], 2),
            (&["check", "--set", "strategy=log", "--set", "log.file=n", "--set", &spool], 2),
            (
                &[
                    "check",
                    "--set",
                    "strategy=rabbit",
                    "--set",
                    "rabbit.user=u",
                    "--set",
                    &password,
                ],
                2,
            ),
            (&["check", "--set", "strategy=log", "--set", &key], 2),
            (&["spool", "ls", "--destination", &url, "--set", "spool.dir=s"], 2),
            (&["config", "explain", &url], 2),
        ] {
            let output = sandbox.run([args, &["-vvv"]].concat()).expect(code);
            assert_no_secret(&sandbox, &output, &[]);
        }
        let expected = "a URL that begins with amqp:// or amqps://, or the glance-api.conf";
        sandbox.run(["listen", "--from", &url]).expect_message(2, expected);
    }
}

/// A problem describes an invalid value without quoting a secret in it.
///
/// `found` describes the kind of a value, and quotes it only where that is harmless.
#[test]
fn validation_errors_show_no_secret() {
    let sandbox = Sandbox::new();
    let wrong = [
        format!(r#"{{"event_type":"image.upload","priority":"ERROR","payload":"{SECRET}"#),
        format!(r#"{{"event_type":"image.upload","priority":"INFO","payload":"{SECRET}"}}"#),
        format!(
            r#"{{"event_type":"image.send","priority":"INFO","payload":{{"bytes_sent":"{SECRET}","destination_ip":"{SECRET}","owner_id":["{SECRET}"]}}}}"#
        ),
        format!(
            r#"{{"event_type":"image.create","priority":"INFO","payload":{{"properties":{{"password":["{SECRET}"]}},"created_at":"{SECRET}"}}}}"#
        ),
    ];
    let input = sandbox.file("in.jsonl", wrong.join("\n"));
    for args in [
        &["validate", "-vvv"][..],
        &["validate", "-o", "json"],
        &["emit", "--set", "strategy=noop", "--skip-invalid", "-vvv"],
        &["emit", "--set", "strategy=noop", "-vvv"],
    ] {
        let output = sandbox.run([args, &[input]].concat()).expect(4);
        assert_no_secret(&sandbox, &output, &[]);
    }
    assert!(Path::new(&sandbox.path("in.jsonl")).exists());
}
