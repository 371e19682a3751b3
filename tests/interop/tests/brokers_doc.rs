//! `docs/brokers.md` agrees with the code: every key, every default and every example.

use std::collections::BTreeMap;

use glance_notify::Config;
use glance_notify::transport::open;

const DOC: &str = include_str!("../../../docs/brokers.md");

/// Returns the table of options: each key with its default.
fn rows() -> BTreeMap<&'static str, &'static str> {
    let rows = DOC.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `qpid.")?.splitn(4, " | ").collect();
        Some((cells[0].strip_suffix('`')?, cells[2]))
    });
    rows.collect()
}

/// The table lists the keys that the strategy accepts, and no others.
#[test]
fn the_table_lists_every_key() {
    let config: Config = "strategy = 'qpid'\nqpid.zzz = 1".parse().unwrap();
    let error = open(&config).unwrap_err().to_string();
    let (_, keys) = error.split_once("unknown option, expected ").unwrap();
    let mut keys: Vec<_> = keys.split('"').skip(1).step_by(2).collect();
    keys.sort_unstable();
    assert_eq!(rows().into_keys().collect::<Vec<_>>(), keys);
}

/// The table shows the defaults of the code.
#[test]
fn the_table_shows_every_default() {
    let default = glance_notify::transport::qpid::Config::default();
    let rows = rows();
    let of = |key: &str| rows[key].trim_matches(['`', '"']).to_owned();
    assert_eq!(of("host"), default.hosts[0].name);
    assert_eq!(of("port"), default.hosts[0].port.to_string());
    assert_eq!(of("exchange"), default.exchange);
    assert_eq!(of("topic"), default.topic);
    assert_eq!(of("node"), format!("{:?}", default.node).to_lowercase());
    assert_eq!(of("dialect"), format!("{:?}", default.dialect).to_lowercase());
    assert_eq!(of("envelope"), format!("{:?}", default.envelope).to_lowercase());
    assert_eq!(of("window"), default.window.to_string());
    assert_eq!(of("connect_timeout"), default.connect_timeout.as_secs().to_string());
    assert_eq!(of("confirm_timeout"), default.confirm_timeout.as_secs().to_string());
    assert_eq!(of("heartbeat"), default.heartbeat.to_string());
}

/// The example opens the strategy.
#[test]
fn the_example_is_a_configuration() {
    let mut examples = DOC.split("```toml\n").skip(1);
    let example = examples.next().unwrap().split("```").next().unwrap();
    assert!(examples.next().is_none());
    let config: Config = example.parse().unwrap();
    assert_eq!(open(&config).unwrap().name(), "qpid");
}

/// Each word in the row of `qpid.dialect` selects a dialect.
#[test]
fn the_table_lists_accepted_dialects() {
    let row = DOC.lines().find(|line| line.starts_with("| `qpid.dialect`")).unwrap();
    let words: Vec<_> =
        row.split("`\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(words.len() >= 6, "{words:?}");
    for word in words {
        let config: Config = format!("strategy = 'qpid'\nqpid.dialect = '{word}'").parse().unwrap();
        let opened = open(&config);
        assert!(opened.is_ok(), "{word}: {opened:?}");
    }
}
