//! Dead letters: what a broker refused is kept with the reason, until somebody decides about it.

use std::io::Write;

use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use serde_json::{Value, json};

use crate::support::{
    Ended, LIFECYCLE, Place, SPOOL, emit, ids, piped, spooled, values, wait_until,
};

/// A place whose spool has a dead letter of each notification; where they were to go; their ids.
fn refused(vhost: &Vhost<'_>) -> (Place, Vec<String>) {
    let place = Place::new();
    place.pipe(spooled(&["emit", "--acks", "acks"]), LIFECYCLE).expect(0);
    // There is an exchange, and nobody is bound to it.
    vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
    let ended = to(&place, vhost, &["drain", "--set", "rabbit.declare=no"]);
    ended.says(3, "0 delivered by `rabbit`, 11 refused, 11 dead letters");
    let ids = place.read("acks").lines().map(str::to_owned).collect();
    (place, ids)
}

fn to(place: &Place, vhost: &Vhost<'_>, args: &[&str]) -> Ended {
    let url = format!("rabbit.url={}", vhost.url());
    let strategy = ["--set", "strategy=rabbit", "--set", &url];
    place.run([&["spool"], args, &strategy, &SPOOL].concat())
}

fn spool(place: &Place, args: &[&str]) -> Ended {
    place.run([&["spool"], args, &SPOOL].concat())
}

#[test]
fn they_are_listed_with_their_reason_and_exported() {
    let vhost = RabbitMq::shared().vhost();
    let (place, sent) = refused(&vhost);
    let listed = values(&spool(&place, &["ls", "--messages", "--json", "--dead"]).expect(0).out);
    assert_eq!(ids(&listed), sent);
    for line in &listed {
        assert_eq!(line["state"], "dead");
        assert!(line["reason"].as_str().unwrap().contains("NO_ROUTE"), "{line}");
        assert!(line["refused"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    let human = spool(&place, &["ls", "--messages"]).expect(0).out;
    assert_eq!(human.lines().filter(|line| line.contains(" dead ")).count(), 11);
    assert!(human.lines().all(|line| line.contains("NO_ROUTE")), "{human}");
    let shown = spool(&place, &["show", &sent[0]]).expect(0).out;
    assert!(shown.contains("a dead letter, refused ") && shown.contains("NO_ROUTE"), "{shown}");
    let stats: Value =
        serde_json::from_str(&spool(&place, &["stats", "--json"]).expect(0).out).unwrap();
    assert_eq!(
        (&stats["pending"]["messages"], &stats["dead"]["messages"]),
        (&json!(0), &json!(11))
    );

    spool(&place, &["export", "--pending"]).says(0, "0 exported");
    spool(&place, &["export", "--dead", "-o", "dead.jsonl"]).says(0, "11 exported");
    place.run(emit(&["dead.jsonl"])).says(0, "11 delivered by `log`");
    assert_eq!(ids(&place.lines("n.log")), sent);
}

#[test]
fn they_are_forwarded_once_they_are_retried() {
    let vhost = RabbitMq::shared().vhost();
    let (place, sent) = refused(&vhost);
    // By themselves they stay where they are, and are no reason to complain again.
    to(&place, &vhost, &["drain"]).says(0, "0 delivered by `rabbit`, 11 dead letters");
    spool(&place, &["retry", &sent[2]]).says(0, "1 dead letters are to be forwarded again");
    let ended = spool(&place, &["retry", "--all", "--json"]).expect(0);
    assert_eq!(ended.out, "{\"retried\":10}\n");
    spool(&place, &["retry", &sent[2]]).says(2, &format!("there is no dead letter {}", sent[2]));
    to(&place, &vhost, &["drain"]).says(0, "11 delivered by `rabbit`");
    let queues = ["notifications.info", "notifications.warn", "notifications.error"];
    let mut there: Vec<_> = queues
        .iter()
        .flat_map(|queue| vhost.drain(queue))
        .map(|message| message.message_id().to_owned())
        .collect();
    let mut sent = sent;
    sent.sort();
    there.sort();
    assert_eq!(there, sent);
}

#[test]
fn they_are_dropped_by_themselves() {
    let vhost = RabbitMq::shared().vhost();
    let (place, sent) = refused(&vhost);
    place.pipe(spooled(&["emit"]), LIFECYCLE).expect(0);
    spool(&place, &["drop", &sent[0]])
        .says(0, "dropped 0 messages that were to be forwarded and 1");
    let ended = spool(&place, &["drop", "--dead", "--json"]).expect(0);
    assert_eq!(ended.out, "{\"pending\":0,\"dead\":10}\n");
    let slots = values(&spool(&place, &["ls", "--json"]).expect(0).out);
    assert_eq!(
        (&slots[0]["pending"]["messages"], &slots[0]["dead"]["messages"]),
        (&json!(11), &json!(0))
    );
}

#[test]
fn emit_says_how_much_it_has_forwarded() {
    let place = Place::new();
    let vhost = RabbitMq::shared().vhost();
    let input = place.file("life.jsonl", LIFECYCLE);
    let url = format!("rabbit.url={}", vhost.url());
    let rabbit = ["--set", "strategy=rabbit", "--set", &url];
    let ended = place.run([&["emit", input], &rabbit[..], &SPOOL].concat());
    let ended = ended.says(0, "11 read, 11 delivered by `spool`");
    // It does not wait for the broker, so nobody knows how far it got; what it says is true.
    let left = values(&spool(&place, &["ls", "--json"]).expect(0).out);
    let pending = left[0]["pending"]["messages"].as_u64().unwrap();
    let said = format!("on the disk: {} forwarded by `rabbit`, {pending} still", 11 - pending);
    assert!(ended.err.contains(&said), "{said}: {}", ended.err);
}

#[test]
fn emit_says_how_much_was_refused_behind_the_spool() {
    let place = Place::new();
    let vhost = RabbitMq::shared().vhost();
    vhost.declare_exchange("glance", "topic", &json!({ "durable": true }));
    let url = format!("rabbit.url={}", vhost.url());
    let rabbit = ["--set", "strategy=rabbit", "--set", "rabbit.declare=no", "--set", &url];
    let mut child = piped(&mut place.command([&["emit"], &rabbit[..], &SPOOL].concat()));
    child.stdin.as_mut().unwrap().write_all(LIFECYCLE.as_bytes()).unwrap();
    wait_until("all of it is refused", || {
        let stats = spool(&place, &["stats", "--json"]);
        serde_json::from_str::<Value>(&stats.out).is_ok_and(|stats| stats["dead"]["messages"] == 11)
    });
    // Whoever waits for the end closes standard input first.
    let ended = Ended::from(child.wait_with_output().unwrap());
    ended.says(
        0,
        "on the disk: 0 forwarded by `rabbit`, 11 refused and kept as dead letters, 0 still to be",
    );
}
