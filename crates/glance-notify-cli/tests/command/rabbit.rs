//! `emit` and `check` against a RabbitMQ node: what is delivered is there, and what is not is said.

use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::ports::free_port;

use crate::support::{LIFECYCLE, Place, ids, values};

/// A password that must not be shown.
const PLANTED: &str = "pl4nted-s3cret";

fn args<'a>(command: &'a str, url: &'a str, more: &[&'a str]) -> Vec<String> {
    let mut args = vec![command.to_owned()];
    for setting in ["strategy=rabbit".to_owned(), format!("rabbit.url={url}")] {
        args.extend(["--set".to_owned(), setting]);
    }
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    args
}

fn received(vhost: &Vhost<'_>) -> Vec<String> {
    let queues = ["notifications.info", "notifications.warn", "notifications.error"];
    queues.iter().flat_map(|queue| vhost.drain(queue)).map(|m| m.message_id().to_owned()).collect()
}

#[test]
fn what_is_delivered_is_in_the_queues() {
    let place = Place::new();
    place.file("life.jsonl", LIFECYCLE);
    let vhost = RabbitMq::shared().vhost();
    let url = vhost.url();
    place.run(args("emit", &url, &["life.jsonl"])).says(0, "11 read, 11 delivered by `rabbit`");
    assert_eq!(received(&vhost).len(), 11);

    // Whole notifications keep their ids.
    let whole =
        place.run(["emit", "--set", "strategy=log", "--set", "log.file=n.log", "life.jsonl"]);
    whole.expect(0);
    place.run(args("emit", &url, &["n.log"])).says(0, "11 delivered by `rabbit`");
    let lines = values(&place.read("n.log"));
    let (mut sent, mut there) = (ids(&lines), received(&vhost));
    sent.sort_unstable();
    there.sort();
    assert_eq!(sent, there);
}

#[test]
fn a_broker_that_is_away_is_waited_for_and_then_said() {
    let place = Place::new();
    place.file("life.jsonl", LIFECYCLE);
    let url = format!("amqp://guest:{PLANTED}@127.0.0.1:{}/%2F", free_port());
    let ended = place.run(args("emit", &url, &["--timeout", "2", "life.jsonl"]));
    assert!(!format!("{}{}", ended.out, ended.err).contains(PLANTED), "{}", ended.err);
    let ended = ended.says(3, "11 read, 0 delivered");
    assert!(ended.err.contains("11 not sent"), "{}", ended.err);
    assert!(ended.err.contains("cannot connect to 127.0.0.1"), "{}", ended.err);
}

#[test]
fn what_an_operator_must_mend_is_said_at_once() {
    let place = Place::new();
    place.file("life.jsonl", LIFECYCLE);
    let vhost = RabbitMq::shared().vhost();
    let port = vhost.broker().port();
    for (url, said) in [
        (
            format!("amqp://guest:{PLANTED}@127.0.0.1:{port}/%2F"),
            "refused user `guest`: wrong `rabbit.user` or password",
        ),
        (format!("amqp://guest:guest@127.0.0.1:{port}/nowhere"), "has no virtual host `nowhere`"),
        (format!("amqp://guest:guest@127.0.0.1:{port}/?x=1"), "unknown parameter `x`"),
        (format!("rabbit://guest:{PLANTED}@127.0.0.1:{port}"), "amqp:// or amqps://"),
    ] {
        for command in ["emit", "check"] {
            let more: &[&str] =
                if command == "emit" { &["--timeout", "60", "life.jsonl"] } else { &[] };
            let ended = place.run(args(command, &url, more)).says(2, said);
            let shown = format!("{}{}", ended.out, ended.err);
            assert!(!shown.contains(PLANTED), "{shown}");
        }
    }
}

#[test]
fn check_tells_what_is_there() {
    let place = Place::new();
    let vhost = RabbitMq::shared().vhost();
    let checked = place.run(args("check", &vhost.url(), &[])).expect(0);
    for said in
        ["broker: RabbitMQ 3.", "exchange `glance`: not there yet", "permission to write: granted"]
    {
        assert!(checked.out.contains(said), "{said}: {}", checked.out);
    }
    assert_eq!(vhost.queues().len(), 0);
}

/// `-vvv` shows neither the password nor a payload, whatever clients log.
#[test]
fn details_show_no_secret() {
    let place = Place::new();
    place.file("life.jsonl", LIFECYCLE);
    let vhost = RabbitMq::shared().vhost();
    let name = format!("svc-{}", vhost.name());
    vhost.broker().eval(&format!(
        r#"rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{PLANTED}">>, <<"test">>)"#
    ));
    vhost.permit(&name, [".*", ".*", ".*"]);
    let url = vhost.url().replace("guest:guest", &format!("{name}:{PLANTED}"));
    let ended = place.run(args("emit", &url, &["-vvv", "life.jsonl"])).expect(0);
    let bytes: Vec<_> = PLANTED.bytes().map(|byte| byte.to_string()).collect();
    for secret in [PLANTED, &bytes.join(", ")] {
        assert!(!format!("{}{}", ended.out, ended.err).contains(secret), "{}", ended.err);
    }
}
