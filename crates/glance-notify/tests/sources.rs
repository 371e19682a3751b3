//! The tables `[[source]]` and `[listener]`: their rules, and a listener that reads from several sources.

#![cfg(all(feature = "listen", feature = "log"))]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use glance_notify::config::Layers;
use glance_notify::listen::{self, SourceState};
use glance_notify::{Config, ErrorKind};

/// Returns a notification as one line, with `number` in its id.
fn line(number: u32) -> String {
    format!(
        "{{\"message_id\":\"00000000-0000-4000-8000-{number:012}\",\"publisher_id\":\"h\",\
         \"event_type\":\"image.delete\",\"priority\":\"WARN\",\"payload\":\"gone\",\
         \"timestamp\":\"2026-11-22 12:00:00.000000\"}}\n"
    )
}

/// Returns the configuration of a file as a source.
fn table(name: &str, file: &Path) -> String {
    format!("[[source]]\nname = '{name}'\nregion = 'Region-{name}'\nfile = '{}'\n", file.display())
}

/// Each mistake has a message that names the source, the key and the place, and repeats no value.
#[test]
fn mistakes_in_a_source_are_named() {
    for (toml, expected) in [
        ("source = 1", "`source` (TOML): expected a list, found a whole number"),
        ("[source]\nfile = 'n'", "`source` (TOML): expected a list, found a table"),
        ("source = ['n.log']", "`source[0]` (TOML): expected a table, found a string"),
        ("[[source]]\nname = 'a'", "`source[0]`: the place is missing: set `file` or `url`"),
        (
            "[[source]]\nfile = 'a'\n[[source]]\nfile = 'b'\nstart = 'hunter2'",
            "`source[1].start` (TOML): unknown value, expected \"begin\" or \"end\"",
        ),
        (
            "[[source]]\nfile = 'a'\nregion = 5",
            "`source[0].region` (TOML): expected a string, found a whole number",
        ),
        (
            "[[source]]\nfile = 'a'\n[[source]]\nfile = 'b'\nname = 'a'",
            "`source[1]`: an earlier source has the same name: set another `name`",
        ),
        (
            "[[source]]\nfile = 'a'\ncheckpoint = 'hunter2'\n[[source]]\nfile = 'b'\n[[source]]\n\
             file = 'c'\ncheckpoint = 'hunter2'",
            "`source[2].checkpoint`: `source[0]` has the same checkpoint: set another path",
        ),
        ("listener.prefetch = -1", "`listener.prefetch` (TOML): expected a whole number"),
        ("[listener]\ndeadletters = 'x'", "`listener.deadletters` (TOML): unknown option"),
    ] {
        let error = toml.parse::<Config>().and_then(|config| config.sources()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().starts_with(expected), "{toml}: {error}");
    }
}

/// Rules between options of a broker name the source too.
#[cfg(feature = "rabbit")]
#[test]
fn contradictions_in_a_source_are_named() {
    let toml = "[[source]]\nhost = 'localhost'\n[[source]]\nhost = 'mq2'\nuser = 'hunter2'\n";
    let error = toml.parse::<Config>().unwrap().sources().unwrap_err().to_string();
    assert_eq!(error, "`source[1]`: no password: set `source.password` or `source.password_file`");
}

/// A program that reads needs a source, and says which table to add.
#[tokio::test]
async fn a_configuration_without_a_source_is_refused() {
    let error = glance_notify::listen(&Config::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no source is configured: add a table `[[source]]` with `file` or `url`"
    );
}

/// A program that takes messages from others keeps those that it cannot handle.
#[cfg(feature = "rabbit")]
#[tokio::test]
async fn queues_of_others_need_a_dead_letter_file() {
    let source = |queue: &str| format!("[[source]]\nname = 'a'\nhost = 'localhost'\n{queue}\n");
    let shared = source("consume = ['notifications.info']");
    let error = glance_notify::listen(&shared.parse().unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "the source `a` takes messages from others: set `listener.dead_letters`, so that none is lost \
         that cannot be handled"
    );
    let kept = format!("listener.dead_letters = 'dead.jsonl'\n{shared}");
    for toml in [&kept, &source(""), &source("queue = 'audit'")] {
        listen::builder(&toml.parse().unwrap()).unwrap();
    }
}

/// `check` and `Debug` show where each key of a source came from, and no password.
#[test]
fn entries_of_sources_are_masked_and_numbered() {
    let toml = "[[source]]\nfile = 'n.log'\n[[source]]\nurl = 'amqp://u:hunter2@h/v'\npassword = 'hunter2'";
    let config: Config = toml.parse().unwrap();
    let entries = config.entries();
    let shown: Vec<_> = entries
        .iter()
        .filter(|entry| entry.key.starts_with("source"))
        .map(|entry| format!("{} = {} # {}", entry.key, entry.value, entry.origin))
        .collect();
    assert_eq!(
        shown,
        [
            "source[0].file = \"n.log\" # TOML",
            "source[1].password = \"***\" # TOML",
            "source[1].url = \"amqp://***@h/v\" # TOML",
        ]
    );
    assert!(!format!("{config:?} {:?}", config.sources()).contains("hunter2"));
}

/// A glance-api.conf names the broker of a source, its exchange and its topics. A driver that sends nothing there
/// is a warning with its line, and a broker that is no RabbitMQ is refused with its line.
#[cfg(feature = "rabbit")]
#[test]
fn a_glance_api_conf_names_the_broker() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use glance_notify::listen::SourceConfig;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("glance-api.conf");
    let read = |driver: &str, url: &str| {
        let conf = format!(
            "[DEFAULT]\ntransport_url = {url}\ncontrol_exchange = images\n\
             [oslo_messaging_notifications]\ndriver = {driver}\ntopics = notifications,glance_notify\n"
        );
        std::fs::write(&path, conf).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        SourceConfig::from_location(path.to_str().unwrap())
    };
    let url = "rabbit://audit:hunter2@mq1:5671,audit:hunter2@mq2:5671/cloud";
    let sources = read("messagingv2", url).unwrap();
    let [source] = sources.as_slice() else { panic!("{sources:?}") };
    let broker = source.broker().unwrap();
    assert_eq!(source.name(), "mq1:5671/cloud");
    assert_eq!(
        (&broker.exchanges[..], &broker.topics[..]),
        (&["images".to_owned()][..], &["notifications".to_owned(), "glance_notify".to_owned()][..])
    );
    assert_eq!(broker.endpoint.user.as_deref(), Some("audit"));
    assert_eq!(source.warnings(), [""; 0]);
    assert!(!format!("{source:?}").contains("hunter2"));
    let warnings = read("noop", url).unwrap()[0].warnings().to_vec();
    assert!(
        warnings[0].contains("glance-api.conf, line 5): no notifications are sent"),
        "{warnings:?}"
    );
    let warnings = read("log", url).unwrap()[0].warnings().to_vec();
    assert!(
        warnings[0].contains("glance-api.conf, line 5): Glance writes notifications to its log"),
        "{warnings:?}"
    );
    assert_eq!(read("log\ndriver = messaging", url).unwrap()[0].warnings(), [""; 0]);
    for driver in ["MessagingV2", "messagingv2 ; comment", "messagingv2,log", "routing"] {
        let warnings = read(driver, url).unwrap()[0].warnings().to_vec();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let unsupported = "glance-api.conf, line 5): unsupported driver: expected messaging";
        assert!(warnings[0].contains(unsupported), "{warnings:?}");
    }
    let warnings = read("messagingv2\ntopcis = audit", url).unwrap()[0].warnings().to_vec();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("topcis` (") && warnings[0].contains("line 6) is ignored"));
    let empty = read("messagingv2\n[oslo_messaging_notifications]\ntopics =\n[x]", url);
    let error = empty.unwrap_err().to_string();
    assert!(error.contains("glance-api.conf, line 7): empty, so Glance would send"), "{error}");
    let error = read("messagingv2", "qpid://u:hunter2@mq1").unwrap_err().to_string();
    assert!(error.contains("line 2): notifications are read from RabbitMQ only"), "{error}");
}

/// The URL of another scheme is no file: the error says which URLs name a broker, and repeats no password.
#[test]
fn a_location_is_no_other_url() {
    for location in ["rabbit://u:hunter2@mq1:5672/", "AMQP://u:hunter2@mq1", "://u:hunter2@mq1"] {
        let error = listen::SourceConfig::from_location(location).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = format!("{error:#}");
        assert!(message.contains("a URL that begins with amqp:// or amqps://"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

/// A file or a directory that names a source is as secret as any other configuration.
#[cfg(feature = "rabbit")]
#[test]
fn a_secret_in_a_source_that_every_user_can_read_is_warned_of() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let (conf, toml) = (dir.path().join("glance-api.conf"), dir.path().join("sources.toml"));
    let transport = "transport_url = rabbit://audit:hunter2@mq1/cloud";
    let driver = "[oslo_messaging_notifications]\ndriver = messagingv2";
    std::fs::write(&conf, format!("[DEFAULT]\n{transport}\n{driver}\n")).unwrap();
    std::fs::write(&toml, "[[source]]\nurl = 'amqp://audit:hunter2@mq1/cloud'\n").unwrap();
    for (mode, count) in [(0o644, 1), (0o640, 0)] {
        for file in [&conf, &toml] {
            std::fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
        }
        for location in [conf.as_path(), toml.as_path(), dir.path()] {
            let sources = listen::SourceConfig::from_location(location.to_str().unwrap()).unwrap();
            let warnings = sources[0].warnings();
            assert_eq!(warnings.len(), count, "{location:?} {warnings:?}");
            let is_expected = |warning: &String| warning.ends_with("run `chmod o-r` on it");
            assert!(warnings.iter().all(is_expected), "{warnings:?}");
        }
    }
}

/// A later layer replaces the sources of earlier ones, as any other value.
#[test]
fn a_later_layer_replaces_the_sources() {
    let layers = Layers::new().toml("a.toml", "[[source]]\nfile = 'a'\n[[source]]\nfile = 'b'");
    let layers = layers.unwrap().set("source=[{ file = \"c\" }]").unwrap();
    let sources = layers.build().unwrap().sources().unwrap();
    assert_eq!(sources.iter().map(listen::SourceConfig::name).collect::<Vec<_>>(), ["c"]);
}

/// One listener reads several named sources; one that fails does not stop the others, and its deliveries come
/// once the cause is gone.
#[tokio::test]
async fn a_source_that_fails_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for (name, numbers) in [("north", 0..300), ("south", 300..600)] {
        std::fs::write(path(name), numbers.map(line).collect::<String>()).unwrap();
    }
    // A directory is no file: this source fails until it is replaced.
    std::fs::create_dir(path("broken")).unwrap();
    let toml: String = ["north", "broken", "south"].map(|name| table(name, &path(name))).concat();
    let config: Config = toml.parse().unwrap();
    let regions: BTreeMap<_, _> = config
        .sources()
        .unwrap()
        .iter()
        .map(|source| (source.name().to_owned(), source.region().unwrap().to_owned()))
        .collect();
    let mut bounds = listen::listener_config(&config);
    bounds.wait = true;
    let mut listener = listen::builder(&config).unwrap().config(bounds).start().unwrap();
    let mut received = BTreeMap::<String, u32>::new();
    let mut repaired = false;
    while received.values().sum::<u32>() < 601 {
        let next = listener.next_batch(100, Duration::from_millis(10));
        let batch = tokio::time::timeout(Duration::from_secs(60), next).await.unwrap();
        let batch = batch.unwrap().unwrap();
        for delivery in &batch {
            *received.entry(regions[delivery.source()].clone()).or_default() += 1;
        }
        batch.ack().await.unwrap();
        if !repaired && received.values().sum::<u32>() == 600 {
            assert_eq!(received.get("Region-broken"), None);
            std::fs::remove_dir(path("broken")).unwrap();
            std::fs::write(path("broken"), line(600)).unwrap();
            repaired = true;
        }
    }
    let expected = [("Region-broken", 1), ("Region-north", 300), ("Region-south", 300)];
    assert_eq!(received, expected.map(|(region, count)| (region.to_owned(), count)).into());
    let stats = listener.close(Duration::from_secs(10)).await;
    assert_eq!((stats.total.acked, stats.total.held), (601, 0));
    assert!(stats.sources.iter().all(|source| source.state == SourceState::Closed));
}
