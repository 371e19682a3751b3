//! `spool drain`: what no process forwards any more gets where it belongs, whole, and what is left is
//! told.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use notify_testbed::broker::rabbitmq::RabbitMq;
use serde_json::{Value, json};

use crate::support::{
    LIFECYCLE, LOG, Place, SPOOL, ids, line, piped, send, spooled, values, wait_until,
};

/// `spool drain` to a file.
fn drain<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["spool", "drain"], args, &LOG, &SPOOL].concat()
}

/// How many messages are to be forwarded, in all slots.
fn pending(place: &Place) -> u64 {
    let stats = place.run([&["spool", "stats", "--json"][..], &SPOOL].concat()).expect(0);
    let stats: Value = serde_json::from_str(&stats.out).unwrap();
    stats["pending"]["messages"].as_u64().unwrap()
}

#[test]
fn everything_gets_there_in_its_order_and_nothing_is_left() {
    let place = Place::new();
    place.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    place.run(drain(&[])).says(0, "11 delivered by `log`");
    assert_eq!(ids(&place.lines("n.log")), place.read("acks").lines().collect::<Vec<_>>());
    assert_eq!(pending(&place), 0);
    let ended = place.run(drain(&["--json"])).expect(0);
    assert_eq!(
        ended.out,
        "{\"strategy\":\"log\",\"delivered\":0,\"refused\":0,\"dropped\":0,\"pending\":0,\"dead\":0,\
         \"held\":[]}\n"
    );
}

#[test]
fn it_gets_into_the_queues_of_rabbitmq() {
    let place = Place::new();
    place.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    let vhost = RabbitMq::shared().vhost();
    let url = format!("rabbit.url={}", vhost.url());
    let args = ["spool", "drain", "--set", "strategy=rabbit", "--set", &url];
    place.run([&args[..], &SPOOL].concat()).says(0, "11 delivered by `rabbit`");
    let queues = ["notifications.info", "notifications.warn", "notifications.error"];
    let received = queues.iter().flat_map(|queue| vhost.drain(queue));
    let received: BTreeSet<_> = received.map(|message| message.message_id().to_owned()).collect();
    assert_eq!(received, place.read("acks").lines().map(str::to_owned).collect());
}

#[test]
fn what_is_left_is_told_and_the_exit_is_3() {
    let place = Place::new();
    place.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    let ended = place.run(spooled(&["spool", "drain", "--timeout", "0.3"]));
    let ended =
        ended.says(3, "gave up: nothing was delivered for 0.3 s: cannot connect to 127.0.0.1");
    assert!(ended.err.contains("0 delivered by `rabbit`, 11 left"), "{}", ended.err);
    assert_eq!(pending(&place), 11);
    // What nobody mends by waiting is told at once.
    let args = ["spool", "drain", "--set", "strategy=log", "--set", "log.file=none/n.log"];
    place.run([&args[..], &SPOOL].concat()).says(2, "create it").says(2, "11 left");
    assert_eq!(pending(&place), 11);
}

/// Delivered to nowhere is gone.
#[test]
fn nothing_is_drained_to_a_strategy_that_sends_nothing() {
    let place = Place::new();
    place.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    for strategy in ["strategy=noop", "publisher_id=x"] {
        let ended = place.run([&["spool", "drain", "--set", strategy][..], &SPOOL].concat());
        ended.says(2, "the strategy `noop` sends nothing");
    }
    assert_eq!(pending(&place), 11);
}

#[test]
fn what_a_process_holds_is_left_to_it_and_counts_as_left() {
    let place = Place::new();
    let mut child = piped(&mut place.command(spooled(&["emit", "--acks", "held"])));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(line("held").repeat(3).as_bytes()).unwrap();
    wait_until("it is on the disk", || place.lines_of("held") == 3);
    place.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    let said = format!(
        "slot 0 is held by process {}: what is left in it, 3, is forwarded by that",
        child.id()
    );
    // The process says what it holds within a second or so.
    wait_until("it is told", || place.run(drain(&[])).err.contains(&said));
    let ended = place.run(drain(&["--json"])).says(3, &said);
    let summary: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(summary["held"], json!([{ "slot": 0, "pid": child.id(), "pending": 3 }]));
    assert_eq!(summary["pending"], 0);
    assert_eq!(place.lines("n.log").len(), 11);
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    place.run(drain(&[])).says(0, "3 delivered by `log`");
}

#[test]
fn a_signal_ends_it_in_good_order() {
    for signal in ["INT", "TERM"] {
        let place = Place::new();
        place.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
        symlink("n.log", place.path("n.log")).unwrap();
        let mut child = place.command(drain(&[])).stderr(place.create("err")).spawn().unwrap();
        wait_until("it was tried in vain", || {
            place.read("err").contains("delivery failed, retrying")
        });
        send(signal, &child);
        assert_eq!(child.wait().unwrap().code(), Some(3), "{}", place.read("err"));
        let said = place.read("err");
        assert!(said.contains("interrupted: concluding what is under way, for 10 s"), "{said}");
        assert!(said.contains("0 delivered by `log`, 11 left"), "{said}");
        fs::remove_file(place.path("n.log")).unwrap();
        place.run(drain(&[])).says(0, "11 delivered by `log`");
        assert_eq!(place.lines("n.log").len(), 11);
    }
}

/// A broker that never answers holds up what is under way.
#[test]
fn a_second_signal_ends_it_at_once() {
    let place = Place::new();
    place.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rabbit.url=amqp://{}", silent.local_addr().unwrap());
    let patient = ["--set", "queue.drain_timeout=3600", "--set", "strategy=rabbit", "--set", &url];
    let mut command = place.command([&["spool", "drain"], &patient[..], &SPOOL].concat());
    let mut child = command.stderr(place.create("err")).spawn().unwrap();
    let connection = silent.accept().unwrap();
    send("TERM", &child);
    wait_until("it concludes", || place.read("err").contains("what is under way, for 3600 s"));
    assert_eq!(child.try_wait().unwrap(), None);
    send("TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(3), "{}", place.read("err"));
    assert!(place.read("err").contains("gave up"), "{}", place.read("err"));
    drop(connection);
    place.run(drain(&[])).says(0, "11 delivered by `log`");
}

#[test]
fn killed_at_any_moment_it_loses_nothing() {
    const MESSAGES: usize = 20_000;
    let place = Place::new();
    let input = place.file("in.jsonl", line(&"x".repeat(500)).repeat(MESSAGES));
    place.run(spooled(&["emit", "--acks", "acks", input])).expect(0);
    let mut kills = 0;
    while pending(&place) > 0 {
        let before = place.lines_of("n.log");
        let mut child = place.command(drain(&[])).spawn().unwrap();
        // Anywhere in the stream: each run gets further than a batch.
        let more = 500 + kills * 1_777 % 4_000;
        wait_until("it is far enough, or done", || {
            place.lines_of("n.log") >= (before + more).min(MESSAGES)
                || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        assert!(kills < 1_000, "it gets nowhere");
    }
    assert!(kills > 1, "it was killed in the middle");
    // A kill may cut a line; what it was of is delivered again.
    let log = place.read("n.log");
    let whole = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let delivered: BTreeSet<_> =
        whole.map(|line| line["message_id"].as_str().unwrap().to_owned()).collect();
    let accepted: BTreeSet<_> = place.read("acks").lines().map(str::to_owned).collect();
    assert_eq!(accepted.len(), MESSAGES);
    assert!(accepted.is_subset(&delivered), "{} lost", accepted.difference(&delivered).count());
}

/// The configuration is that of all commands: a file, the environment over it, settings over both.
#[test]
fn the_spool_is_that_of_the_configuration() {
    let place = Place::new();
    let toml = "strategy = 'log'\nlog_file = 'n.log'\n[spool]\ndir = 'spool'\n";
    place.file("notify.toml", toml);
    place.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    place.run(["spool", "ls", "-c", "notify.toml"]).expect(0);
    let mut command = place.command(["spool", "stats", "-c", "notify.toml"]);
    let elsewhere = command.env("GLANCE_NOTIFY__SPOOL__DIR", "elsewhere").output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(3));
    place.run(["spool", "drain", "-c", "notify.toml"]).says(0, "11 delivered by `log`");
    assert_eq!(values(&place.read("n.log")).len(), 11);
}
