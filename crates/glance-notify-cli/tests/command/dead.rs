//! `dead`: the list of dead letters, their replay and their removal.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{CommandOutput, Sandbox, broken_pipe, ids, values};

/// A day of a small cloud.
const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

/// Returns notifications of images, which hold no secret.
fn lines() -> Vec<&'static str> {
    DAY.lines().filter(|line| line.contains("\"event_type\": \"image.")).take(12).collect()
}

/// A directory with a dead-letter file of four lines: two notifications, bytes that hold none, and a line that
/// was cut. `to.toml` names a destination.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let letter = |line: &str| {
        let id = serde_json::from_str::<Value>(line).unwrap()["message_id"].clone();
        json!({
            "dead_at": "2026-11-24T12:00:00Z", "source": "north\u{1b}[31m", "position": "n.log:7",
            "reason": "no such project", "attempts": 6, "received_at": "2026-11-24T11:00:00Z",
            "message_id": id, "size": line.len(), "body": line,
        })
    };
    let poison = json!({
        "dead_at": "2026-11-24T12:00:00Z", "source": "north", "position": "n.log:8",
        "reason": "not JSON", "attempts": 0, "received_at": "2026-11-24T11:00:00Z",
        "size": 7, "body_hex": "68756e74657232",
    });
    let mut lines = lines().into_iter().map(letter);
    let letters = [lines.next().unwrap(), poison, lines.next().unwrap()];
    let letters = letters.map(|letter| letter.to_string()).join("\n");
    sandbox.file("dead.jsonl", format!("{letters}\n{{\"dead_at\": \"20"));
    sandbox.file("to.toml", "strategy = 'log'\nlog.file = 'copy.jsonl'\nlog.sync = false\n");
    sandbox.file("config.toml", "listener.dead_letters = 'dead.jsonl'\n");
    sandbox
}

/// Returns the ids of the letters in their order.
fn letter_ids(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.run(["dead", "ls", "-o", "json", "-c", "config.toml"]).expect(0).out;
    values(&listed).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// The list has every letter with its reason and a damaged line, and shows no body and no escape of a terminal.
#[test]
fn the_list_shows_every_letter_and_no_body() {
    let sandbox = sandbox();
    for args in [["--dead-letters", "dead.jsonl"], ["-c", "config.toml"]] {
        let output = sandbox.run([&["dead", "ls"][..], &args].concat()).expect(0);
        assert_eq!(output.out.lines().count(), 5, "{}", output.out);
        assert!(output.out.contains("no such project") && output.out.contains("not JSON"));
        assert!(output.out.contains("north\\u{1b}[31m") && !output.out.contains('\u{1b}'));
        assert!(output.err.contains("1 damaged line"), "{}", output.err);
        let json = sandbox.run([&["dead", "ls", "-o", "json"][..], &args].concat()).expect(0).out;
        let rows = values(&json);
        assert_eq!(rows[0]["source"], "north\u{1b}[31m");
        assert_eq!((&rows[1]["message_id"], &rows[1]["size"]), (&Value::Null, &json!(7)));
        assert!(rows[3].get("source").is_none() && rows[3]["id"].is_string());
        for out in [&output.out, &json] {
            assert!(!out.contains("hunter2") && !out.contains("68756e"), "{out}");
        }
    }
}

/// The destination gets each notification of the chosen letters unchanged, and these letters are gone. The
/// others stay, byte by byte.
#[test]
fn a_replay_removes_what_the_destination_has() {
    let sandbox = sandbox();
    let before = sandbox.read("dead.jsonl");
    let sent = lines()[1];
    let id = values(sent)[0]["message_id"].as_str().unwrap().to_owned();
    let args = ["dead", "replay", "--to", "to.toml", "-c", "config.toml"];
    let output = sandbox.run([&args[..], &[&id]].concat()).expect(0);
    assert!(output.err.contains("1 replayed, 0 not delivered, 0 unreadable"), "{}", output.err);
    assert_eq!(values(&sandbox.read("copy.jsonl")), values(sent));
    let mut others: Vec<_> = before.lines().collect();
    others.remove(2);
    assert_eq!(sandbox.read("dead.jsonl"), others.join("\n") + "\n");
    let mode = fs::metadata(sandbox.path("dead.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The letters that hold no notification stay, and say so.
    let output = sandbox.run([&args[..], &["--all", "-o", "json"]].concat()).expect(4);
    assert_eq!(values(&output.out), [json!({"replayed": 1, "not_delivered": 0, "unreadable": 2})]);
    assert_eq!(ids(&values(&sandbox.read("copy.jsonl"))).len(), 2);
    assert_eq!(letter_ids(&sandbox).len(), 2);
}

/// A letter stays if the destination does not have its notification: it is away, or its configuration
/// leaves the notification out.
#[test]
fn a_letter_stays_until_it_is_delivered() {
    let sandbox = sandbox();
    let before = sandbox.read("dead.jsonl");
    sandbox.file(
        "away.toml",
        "strategy = 'rabbit'\nrabbit.host = '127.0.0.1'\nrabbit.port = 1\nqueue.drain_timeout = 0.1\n",
    );
    sandbox.file(
        "deaf.toml",
        "strategy = 'log'\nlog.file = 'copy.jsonl'\ndisabled_notifications = ['image']\n",
    );
    sandbox.file(
        "filtered.toml",
        "[[destination]]\nname = 'failures'\nstrategy = 'log'\nlog.file = 'copy.jsonl'\n\
         priorities = ['critical']\n",
    );
    for to in ["away.toml", "deaf.toml", "filtered.toml"] {
        let args = ["dead", "replay", "--all", "--to", to, "-c", "config.toml", "--timeout", "1"];
        let output = sandbox.run(args).expect(3);
        assert!(output.err.contains("0 replayed, 2 not delivered, 2 unreadable"), "{}", output.err);
        assert!(output.err.contains("not every letter was delivered: "), "{}", output.err);
        assert_eq!(sandbox.read("dead.jsonl"), before, "{to}");
    }
}

/// A permanent error of the destination before the first delivery ends the replay at once, with 2.
#[test]
fn a_permanent_error_of_the_destination_ends_the_replay() {
    let sandbox = sandbox();
    let before = sandbox.read("dead.jsonl");
    sandbox.file("to.toml", "strategy = 'log'\nlog.file = 'missing/copy.jsonl'\n");
    let args = ["dead", "replay", "--all", "--to", "to.toml", "-c", "config.toml"];
    let output = sandbox.run(args).expect(2);
    assert!(output.err.contains("0 replayed, 2 not delivered, 2 unreadable"), "{}", output.err);
    assert!(output.err.contains("missing/copy.jsonl"), "{}", output.err);
    assert_eq!(sandbox.read("dead.jsonl"), before);
}

/// A destination on standard output ends the replay with the reader of the pipe, and the letters stay.
#[test]
fn a_closed_pipe_behind_the_destination_ends_the_replay() {
    let sandbox = sandbox();
    let before = sandbox.read("dead.jsonl");
    sandbox.file("to.toml", "strategy = 'log'\nlog.target = 'stdout'\n");
    let args = ["dead", "replay", "--all", "--to", "to.toml", "-c", "config.toml"];
    let output = sandbox.command(args).stdout(broken_pipe()).output().unwrap();
    CommandOutput::from(output)
        .expect_message(3, "not every letter was delivered: standard output is closed")
        .expect_message(3, "0 replayed, 2 not delivered, 2 unreadable");
    assert_eq!(sandbox.read("dead.jsonl"), before);
}

/// Letters are dropped by their ids, which stay the same while others go, or all together. An unknown id is
/// an error.
#[test]
fn letters_are_dropped_by_explicit_choice() {
    let sandbox = sandbox();
    let all = letter_ids(&sandbox);
    let args = ["dead", "drop", "-c", "config.toml"];
    let output = sandbox.run([&args[..], &[&all[1], &all[3]]].concat()).expect(0);
    assert!(output.err.contains("dropped 2 dead letters"), "{}", output.err);
    assert_eq!(letter_ids(&sandbox), [all[0].clone(), all[2].clone()]);
    let output = sandbox.run([&args[..], &[&all[1]]].concat()).expect(2);
    assert!(output.err.contains("`dead ls` lists them"), "{}", output.err);
    sandbox.run(args).expect(2);
    let output = sandbox.run([&args[..], &["--all", "-o", "json"]].concat()).expect(0);
    assert_eq!(values(&output.out), [json!({"dropped": 2})]);
    assert_eq!(sandbox.read("dead.jsonl"), "");
}

/// The file that `listen` writes is one that `dead` reads.
#[test]
fn letters_of_listen_are_listed_and_dropped() {
    let sandbox = sandbox();
    fs::remove_file(sandbox.path("dead.jsonl")).unwrap();
    sandbox.file("n.jsonl", format!("{}\npoison\n{}\n", lines()[0], lines()[1]));
    let listen = ["listen", "--from", "n.jsonl", "-c", "config.toml", "--exit-at-end"];
    let output = sandbox.run(listen).expect(0);
    assert!(output.err.contains("1 dead-lettered"), "{}", output.err);
    let rows = sandbox.run(["dead", "ls", "-o", "json", "-c", "config.toml"]).expect(0).out;
    let rows = values(&rows);
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["source"], &rows[0]["size"]), (&json!("n.jsonl"), &json!(6)));
    sandbox.run(["dead", "drop", &letter_ids(&sandbox)[0], "-c", "config.toml"]).expect(0);
    assert!(letter_ids(&sandbox).is_empty());
}
