//! `emit`: its summary, `--acks` and `--failed` tell the truth about what it read.

use std::fs::File;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::support::{
    CommandOutput, LIFECYCLE, SPOOL, Sandbox, emit, ids, line, spawn_piped, spooled, wait_until,
};

/// With a spool, `emit` succeeds while the destination fails, and `--acks` lists the
/// stored notifications. A later run with the same directory forwards them while it waits for input.
///
/// A broker that is unreachable comes first, and a log file later.
#[test]
fn with_a_spool_an_ack_means_stored_on_disk() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("life.jsonl", LIFECYCLE);
    let unreachable = spooled(&["emit", "--acks", "acks", input]);
    sandbox.run(unreachable).expect_message(0, "11 read, 11 delivered by `spool`");
    let acked = sandbox.read("acks");
    assert_eq!(acked.lines().count(), 11);

    let child = spawn_piped(&mut sandbox.command([&emit(&[])[..], &SPOOL].concat()));
    wait_until("the spooled messages are delivered", || sandbox.lines_of("n.log") == 11);
    // `wait_with_output` closes standard input, which ends the command.
    CommandOutput::from(child.wait_with_output().unwrap()).expect_message(0, "0 read");
    assert_eq!(ids(&sandbox.lines("n.log")), acked.lines().collect::<Vec<_>>());
}

/// Scripts read the summary's fields, so this test holds their names and their order.
#[test]
fn prints_the_summary_as_one_json_object() {
    let sandbox = Sandbox::new();
    let input = line("a") + "nonsense\n" + &line("b");
    let output = sandbox.pipe(emit(&["-o", "json", "--skip-invalid"]), input).expect(4);
    let summary: Value = serde_json::from_str(&output.out).unwrap();
    let time = summary["destinations"][0]["last_delivery"].as_str().unwrap();
    assert_eq!(
        output.out.replace(time, "TIME"),
        "{\"read\":3,\"invalid\":1,\"destinations\":[{\"strategy\":\"log\",\"emitted\":2,\"delivered\":2,\
         \"refused\":0,\"dropped\":{\"overflow\":0,\"age\":0,\"closed\":0,\"abandoned\":0},\
         \"pending\":{\"messages\":0,\"bytes\":0},\"retried\":0,\"suppressed\":0,\"oldest_pending\":null,\
         \"last_delivery\":\"TIME\",\"last_error\":null,\"last_error_is_permanent\":false,\"state\":{\"name\":\"closed\"}}]}\n"
    );
    assert!(output.err.contains("skipped standard input, line 2: not JSON: "), "{}", output.err);
    assert_eq!(sandbox.lines("n.log").len(), 2);
}

/// `--acks` lists the ids in the order of delivery, to a file or to standard output.
#[test]
fn acks_list_the_delivered_ids() {
    let sandbox = Sandbox::new();
    sandbox.pipe(emit(&["--acks", "acks"]), LIFECYCLE).expect(0);
    let lines = sandbox.lines("n.log");
    assert_eq!(sandbox.read("acks").lines().collect::<Vec<_>>(), ids(&lines));
    let output = sandbox.pipe(emit(&["--acks", "-", "-o", "json"]), line("a")).expect(0);
    let out: Vec<_> = output.out.lines().collect();
    assert_eq!(out[0], ids(&sandbox.lines("n.log"))[11]);
    assert!(out[1].starts_with("{\"read\""));
}

/// A program that feeds a pipe can wait for each ack before it writes the next line.
#[test]
fn writes_acks_while_the_input_is_still_open() {
    use std::io::Write;
    let sandbox = Sandbox::new();
    let mut child = spawn_piped(&mut sandbox.command(emit(&["--acks", "acks"])));
    let mut stdin = child.stdin.take().unwrap();
    for count in 1..=3 {
        stdin.write_all(line("a").as_bytes()).unwrap();
        wait_until("the line is acknowledged", || sandbox.lines_of("acks") == count);
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// After it gives up, `emit` still reads a file to its end for `--failed`, even far
/// beyond the bound of the queue. Without `--failed` it stops and says so.
///
/// The file of `--failed` then holds every notification that did not arrive. A file behind `<` is one too.
#[test]
fn failed_also_collects_the_unread_rest_of_a_file() {
    let sandbox = Sandbox::new();
    symlink("n.log", sandbox.path("n.log")).unwrap();
    let input = sandbox.file("in.jsonl", line("a").repeat(5_000));
    let args = emit(&["--set", "queue.max_messages=100", "--timeout", "0.3"]);
    let named = |options: &[&str]| sandbox.run([&args[..], options, &[input]].concat());
    let redirected = |options: &[&str]| {
        let input = File::open(sandbox.path(input)).unwrap();
        let mut command = sandbox.command([&args[..], options].concat());
        CommandOutput::from(command.stdin(input).output().unwrap())
    };
    let all = "5000 read, 0 delivered by `log`, 5000 dropped";
    named(&["--failed", "failed"]).expect_message(3, all);
    assert_eq!(sandbox.lines("failed").len(), 5_000);
    named(&[]).expect_message(3, "was not read");
    redirected(&["--failed", "again"]).expect_message(3, all);
    assert_eq!(sandbox.lines("again").len(), 5_000);
    redirected(&[]).expect_message(3, "was not read");
}

/// Suppressed notifications are no failure, but the summary counts them and `--acks`
/// does not list them.
#[test]
fn reports_noop_and_disabled_notifications() {
    let sandbox = Sandbox::new();
    let output = sandbox.pipe(["emit", "--set", "strategy=noop", "--acks", "acks"], LIFECYCLE);
    output
        .expect_message(0, "nothing was sent because the strategy is `noop`")
        .expect_message(0, "11 suppressed");
    assert_eq!(sandbox.read("acks"), "");
    let output = sandbox.pipe(emit(&["--set", "disabled_notifications=[\"task\"]"]), LIFECYCLE);
    output.expect_message(0, "11 read, 7 delivered by `log`, 4 suppressed");
    assert_eq!(sandbox.lines("n.log").len(), 7);
}

/// `emit` compares files by device and inode before it empties any of them.
///
/// `emit x --failed x` would otherwise empty the only copy of your notifications.
#[test]
fn refuses_outputs_that_overwrite_the_input_or_each_other() {
    let sandbox = Sandbox::new();
    let input = sandbox.file("in.jsonl", line("a"));
    sandbox
        .run(emit(&[input, "--failed", "in.jsonl"]))
        .expect_message(2, "`in.jsonl` is the input");
    sandbox
        .run(emit(&[input, "--acks", "./in.jsonl"]))
        .expect_message(2, "`./in.jsonl` is the input");
    sandbox
        .run(emit(&[input, "--acks", "a", "--failed", "a"]))
        .expect_message(2, "name the same file");
    assert_eq!(sandbox.read("in.jsonl"), line("a"));
    sandbox
        .run(emit(&[input, "--acks", "none/acks"]))
        .expect_message(2, "cannot write `none/acks`: No such file");
}
