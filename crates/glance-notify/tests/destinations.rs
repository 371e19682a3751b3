//! The tables `[[destination]]`: what they inherit, what they refuse, and where their spools lie.

#![cfg(all(feature = "log", feature = "rabbit", feature = "spool"))]

use std::time::Duration;

use glance_notify::codec::PayloadStyle;
use glance_notify::config::{ConfigKey, Layers};
use glance_notify::transport::rabbit;
use glance_notify::{Config, Event, Payload};

/// Three destinations over common keys.
const THREE: &str = r#"
publisher_id = "image.host1"
payloads = "glance"
[queue]
max_messages = 500
[spool]
dir = "/var/spool/n"
[rabbit]
url = "amqp://h"
user = "u"
password = "hunter2"

[[destination]]
name = "audit"
strategy = "log"
log.file = "/var/log/n.log"
spool = false
payloads = "documented"

[[destination]]
name = "main"
strategy = "rabbit"
rabbit.topic = "a"

[[destination]]
name = "failures"
strategy = "rabbit"
required = false
events = ["task.*"]
priorities = ["error"]
rabbit.topic = "b"
queue.max_messages = 20
"#;

/// Each destination has the keys outside of its table as defaults.
#[test]
fn a_destination_inherits_the_keys_outside_of_its_table() {
    let layers = Layers::new().toml("n.toml", THREE).unwrap();
    let config = layers.set("rabbit.password=other").unwrap().build().unwrap();
    let [audit, main, failures] = config.destinations().try_into().unwrap();
    assert_eq!(audit.config().encoding().payloads, PayloadStyle::Documented);
    assert_eq!(main.config().encoding().payloads, PayloadStyle::Glance);
    assert!(audit.config().spool().unwrap().is_none());
    for (one, dir) in [(main, "/var/spool/n/main"), (failures, "/var/spool/n/failures")] {
        assert_eq!(one.config().spool().unwrap().unwrap().dir, std::path::Path::new(dir));
    }
    let rabbits = [main, failures].map(|one| {
        let options = one.config().options("rabbit");
        assert_eq!(options.publisher_id(), Some("image.host1"));
        rabbit::Config::from_options(options).unwrap()
    });
    assert_eq!(rabbits.clone().map(|it| it.topic), ["a", "b"]);
    let password = rabbit::Password::Inline(rabbit::Secret::new("other"));
    assert_eq!(rabbits[1].endpoint.password, Some(password), "`--set` wins over the file");
    let entries = config.entries();
    let value = |key: &str| entries.iter().find(|it| it.key == key).unwrap().value.clone();
    assert_eq!(value("destination[1].queue.max_messages"), "500");
    assert_eq!(value("destination[2].queue.max_messages"), "20");
    assert_eq!(value("destination[2].priorities"), "[\"error\"]");
    assert!(!format!("{entries:?}").contains("hunter2"));
    assert!(entries.iter().all(|it| it.key != "strategy" && it.key != "queue.max_messages"));
    let built = glance_notify::builder(&config).unwrap().build().unwrap();
    assert_eq!(built.0.destinations().len(), 3);
}

/// The guide's defaults of a table are those in effect.
#[test]
fn every_documented_default_of_a_table_is_the_default() {
    let config: Config = "[[destination]]\nname = 'a'\nstrategy = 'noop'".parse().unwrap();
    let entries = config.entries();
    for key in ["required", "events", "priorities"] {
        let entry = entries.iter().find(|entry| entry.key == format!("destination[0].{key}"));
        let documented = ConfigKey::find(&format!("destination.{key}")).unwrap();
        assert_eq!(Some(entry.unwrap().value.as_str()), documented.default_value());
    }
}

/// One priority needs no list.
#[test]
fn priorities_are_a_word_or_a_list_of_words() {
    for (value, expected) in
        [("'error'", "[\"error\"]"), ("['error', 'WARN']", "[\"error\",\"warn\"]"), ("[]", "[]")]
    {
        let toml = format!("[[destination]]\nname = 'a'\nstrategy = 'noop'\npriorities = {value}");
        let entries = toml.parse::<Config>().unwrap().entries();
        let entry = entries.iter().find(|entry| entry.key == "destination[0].priorities").unwrap();
        assert_eq!(entry.value, expected);
    }
}

/// Each mistake names the table and the key.
#[test]
fn mistakes_name_the_table_and_the_key() {
    let one = |rest: &str| format!("[[destination]]\nname = 'a'\nstrategy = 'noop'\n{rest}");
    for (toml, expected) in [
        ("[[destination]]\nstrategy = 'noop'".to_owned(), "`destination[0].name`: this option"),
        ("[[destination]]\nname = 'a'".to_owned(), "`destination[0].strategy`: this option"),
        (one("publisher_id = 'x'"), "`destination[0].publisher_id` (TOML): unknown option"),
        (one("requird = true"), "`destination[0].requird` (TOML): unknown option"),
        (one("events = ['a b']"), "`destination[0].events`: expected an event type"),
        (one("priorities = ['loud']"), "`destination[0].priorities`: "),
        (one("priorities = 'loud'"), "`destination[0].priorities`: "),
        (
            one("priorities = 4"),
            "`destination[0].priorities` (TOML): expected a word or a list of words",
        ),
        (one("queue.max_messages = 'x'"), "`destination[0].queue.max_messages` (TOML): expected"),
        (one(&one("")), "`destination[1]`: an earlier destination has the same name"),
        ("[[destination]]\nname = '../a'\nstrategy = 'noop'".to_owned(), "`destination[0].name`: "),
        ("[[destination]]\nname = 'a'\nstrategy = 'kafka'".to_owned(), "`destination[0].strategy`"),
        (
            format!("strategy = 'log'\n{}", one("")),
            "`strategy` (TOML) and `[[destination]]` contradict",
        ),
        ("destination = 1".to_owned(), "`destination` (TOML): expected"),
    ] {
        let error = toml.parse::<Config>().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{toml}: {error}");
    }
    let config: Config =
        "[[destination]]\nname = 'a'\nstrategy = 'log'\nlog.fle = 'x'".parse().unwrap();
    let error = glance_notify::start(&config).unwrap_err().to_string();
    assert!(error.starts_with("`destination[0].log.fle` (TOML): unknown option"), "{error}");
}

/// One event reaches two files, one of them through a spool in a directory of its own.
#[tokio::test]
async fn one_event_reaches_every_destination() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let toml = format!(
        "spool.dir = '{}'\n\
         [[destination]]\nname = 'a'\nstrategy = 'log'\nlog.file = '{}'\n\
         [[destination]]\nname = 'b'\nstrategy = 'log'\nlog.file = '{}'\nspool = false\n",
        path("s").display(),
        path("a.log").display(),
        path("b.log").display()
    );
    let config: Config = toml.parse().unwrap();
    let (notifier, worker) = glance_notify::start(&config).unwrap();
    let worker = tokio::spawn(worker.run());
    notifier.send(&Event::ImageUpload(Payload::Warn("slow".into()))).await.unwrap();
    let forwarded = || notifier.destinations()[0].forwarded.as_ref().map(|(_, it)| it.delivered);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while forwarded() != Some(1) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", notifier.destinations());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    notifier.shutdown(Duration::from_secs(10)).await;
    worker.await.unwrap();
    let [a, b] = ["a.log", "b.log"].map(|name| std::fs::read_to_string(path(name)).unwrap());
    assert_eq!(a, b);
    assert!(path("s/a/slot-0.redb").exists() && !path("s/b").exists());
}
