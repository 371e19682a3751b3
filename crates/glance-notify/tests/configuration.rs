//! `docs/configuration.md` and the types agree: every key, every default, every example.

#![cfg(all(feature = "log", feature = "noop"))]
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeMap;

use glance_notify::builder;
use glance_notify::config::{Config, ConfigKey, Layers, glance_conf};
use glance_notify::transport::open;

/// The guide under test.
const DOC: &str = include_str!("../../../docs/configuration.md");

/// Returns the documented keys with their defaults, in backticks or in words.
fn documented_defaults() -> BTreeMap<&'static str, &'static str> {
    let rows = DOC.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.split(" | ").collect();
        let [key, _, default, _] = cells[..] else { return None };
        Some((key.strip_suffix('`')?, default))
    });
    rows.collect()
}

/// Returns the keys of a table, which the error about an unknown key lists.
fn keys(table: &str) -> Vec<String> {
    let setting = if table.is_empty() { "zzz=1".to_owned() } else { format!("{table}.zzz=1") };
    let strategy = match table {
        "log" => "strategy=log",
        "spool" => "strategy=log\nlog.target=stdout",
        _ => "strategy=noop",
    };
    let set = |layers: Layers, setting| layers.set(setting).unwrap();
    let built = strategy.lines().chain([setting.as_str()]).fold(Layers::new(), set).build();
    let error = built.and_then(|config| builder(&config)).unwrap_err().to_string();
    let (_, keys) = error.split_once("unknown option, expected ").unwrap();
    keys.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The guide misses no key and invents none.
#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let tables =
        ["queue", "spool", "log", "rabbit", "qpid", "destination", "listener", "source", "archive"];
    let top = keys("").into_iter().filter(|key| !tables.contains(&key.as_str()));
    let below = |table: &str| {
        let table = table.to_owned();
        keys(&table).into_iter().map(move |key| format!("{table}.{key}"))
    };
    let mut documented: Vec<_> = documented_defaults().into_keys().collect();
    let mut known: Vec<_> = top
        .chain(below("queue"))
        .chain(below("log"))
        .chain(below("listener"))
        .chain(below("archive"))
        .chain(destination_keys())
        .collect();
    if cfg!(feature = "listen") {
        known.extend(source_keys());
    } else {
        documented.retain(|key| !key.starts_with("source."));
    }
    let is_of_broker = |key: &str| {
        let key = key.strip_prefix("source.");
        let of_file = ["name", "region", "file", "checkpoint", "start", "form"];
        key.is_some_and(|key| !of_file.contains(&key))
    };
    if !cfg!(feature = "rabbit") {
        documented.retain(|key| !is_of_broker(key));
    }
    if cfg!(feature = "spool") {
        known.extend(below("spool"));
    } else {
        documented.retain(|key| !key.starts_with("spool."));
    }
    known.sort();
    assert_eq!(documented, known);
    for table in tables {
        let is_list = matches!(table, "source" | "destination");
        let table = if is_list { format!("[{table}]") } else { table.to_owned() };
        assert!(DOC.contains(&format!("`[{table}]`")), "{table}");
    }
}

/// Returns the keys of a destination that are not documented elsewhere.
fn destination_keys() -> Vec<String> {
    let error = "[[destination]]\nzzz = 1".parse::<Config>().unwrap_err().to_string();
    let (_, keys) = error.split_once(": unknown option, expected ").unwrap();
    let keys = keys.split('"').skip(1).step_by(2);
    let elsewhere = |key: &&str| {
        *key == "strategy" || ConfigKey::all().all(|it| it.table() != *key && it.name != *key)
    };
    keys.filter(elsewhere).map(|key| format!("destination.{key}")).collect()
}

/// Returns the keys of a source: those of a file, and with `rabbit` those of a broker. The keys of the login
/// are documented at `[rabbit]`.
#[cfg(feature = "listen")]
fn source_keys() -> Vec<String> {
    const LOGIN: [&str; 12] = [
        "host",
        "port",
        "user",
        "password",
        "password_file",
        "virtual_host",
        "ca_file",
        "cert_file",
        "key_file",
        "sasl_mechanism",
        "heartbeat",
        "connect_timeout",
    ];
    let of_place = |place: &str| {
        let config: Config = format!("[[source]]\n{place}\nzzz = 1").parse().unwrap();
        let error = config.sources().unwrap_err().to_string();
        let (key, keys) = error.split_once(": unknown option, expected ").unwrap();
        assert_eq!(key, "`source[0].zzz` (TOML)");
        keys.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut keys = of_place("file = 'n.log'");
    if cfg!(feature = "rabbit") {
        keys.extend(of_place("url = 'amqp://u:p@h'"));
    }
    keys.retain(|key| !LOGIN.contains(&key.as_str()));
    keys.sort();
    // Both a file and a stream have a place to start from.
    keys.dedup();
    keys.into_iter().map(|key| format!("source.{key}")).collect()
}

/// Without the feature, the library does not know the keys of sources.
#[cfg(not(feature = "listen"))]
fn source_keys() -> Vec<String> {
    Vec::new()
}

/// The documents' tables are the descriptions that `config explain` prints, row by row.
#[test]
fn every_documented_row_is_the_description_of_its_key() {
    let pages = [
        (DOC, &["", "queue", "spool", "log", "destination", "listener", "source", "archive"][..]),
        (include_str!("../../../docs/rabbitmq.md"), &["rabbit"]),
        (include_str!("../../../docs/brokers.md"), &["qpid"]),
    ];
    for (page, tables) in pages {
        let is_row = |line: &&str| {
            let cells = line.split(" | ").count();
            line.starts_with("| `") && cells >= 3 && line.split('|').nth(2).is_some_and(is_kind)
        };
        let documented: Vec<_> = page.lines().filter(is_row).map(str::to_owned).collect();
        let described = ConfigKey::all().filter(|key| tables.contains(&key.table()));
        let described: Vec<_> = described.map(ConfigKey::row).collect();
        let differs = |row: &&String| !described.contains(row);
        let differing: Vec<_> = documented.iter().filter(differs).collect();
        assert_eq!(differing, [""; 0], "change the descriptions in src/config/keys too");
        assert_eq!(documented, described);
    }
}

/// Every description says all by itself: `config explain` and the sample show it without the page around it.
#[test]
fn every_description_stands_alone() {
    for key in ConfigKey::all() {
        let text = format!("{}. {}", key.default, key.meaning);
        for outside in ["see below", "below.", "the next two", "that file is", "they take"] {
            assert!(!text.contains(outside), "{}: {text}", key.name);
        }
        assert!(!key.meaning.is_empty(), "{}", key.name);
    }
}

/// Returns whether a cell of a table names the kind of a value.
fn is_kind(cell: &str) -> bool {
    ConfigKey::all().any(|key| key.kind.name() == cell.trim())
}

/// The guide's defaults are those of the types.
#[test]
fn every_documented_default_is_the_default() {
    let documented = documented_defaults();
    let mut entries = Config::default().entries();
    if cfg!(feature = "spool") {
        let config: Config = "spool.dir = '/s'".parse().unwrap();
        entries.extend(
            config
                .entries()
                .into_iter()
                .filter(|entry| entry.key.starts_with("spool.") && entry.origin == "default"),
        );
    }
    let config: Config = "[[source]]\nfile = 'n.log'".parse().unwrap();
    let of_listener =
        config.entries().into_iter().filter(|entry| entry.key.starts_with("listener."));
    entries.extend(of_listener);
    let is_tested_elsewhere = |key: &str| {
        key.starts_with("log.")
            || key.starts_with("source.")
            || key.starts_with("destination.")
            || key.starts_with("spool.") && !cfg!(feature = "spool")
    };
    for entry in &entries {
        assert_eq!(documented[entry.key.as_str()], format!("`{}`", entry.value), "{}", entry.key);
    }
    let with_default = documented
        .iter()
        .filter(|(key, default)| default.starts_with('`') && !is_tested_elsewhere(key));
    assert_eq!(with_default.count(), entries.len());
}

/// You can copy every example of the guide.
#[test]
fn every_documented_example_opens() {
    let blocks = |kind: &str| {
        let fence = format!("```{kind}\n");
        DOC.split(fence.as_str())
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap())
            .collect::<Vec<_>>()
    };
    let (toml, ini) = (blocks("toml"), blocks("ini"));
    assert!(toml.len() >= 4 && !ini.is_empty());
    for example in toml {
        let config: Config = example.parse().unwrap();
        for destination in config.destinations() {
            open(destination.config()).unwrap();
        }
    }
    for example in ini {
        open(&glance_conf::from_str(example).unwrap()).unwrap();
    }
}
