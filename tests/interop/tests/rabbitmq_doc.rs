//! `docs/rabbitmq.md` agrees with the code: every key, every default and every example.

use std::collections::BTreeMap;

use glance_notify::Config;
use glance_notify::transport::open;

const DOC: &str = include_str!("../../../docs/rabbitmq.md");

/// Returns the table of options: each key with its default.
fn rows() -> BTreeMap<&'static str, &'static str> {
    let rows = DOC.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `rabbit.")?.splitn(4, " | ").collect();
        Some((cells[0].strip_suffix('`')?, cells[2]))
    });
    rows.collect()
}

/// The table lists the keys that the strategy accepts, and no others.
#[test]
fn the_table_lists_every_key() {
    let config: Config = "strategy = 'rabbit'\nrabbit.zzz = 1".parse().unwrap();
    let error = open(&config).unwrap_err().to_string();
    let (_, keys) = error.split_once("unknown option, expected ").unwrap();
    let mut keys: Vec<_> = keys.split('"').skip(1).step_by(2).collect();
    keys.sort_unstable();
    assert_eq!(rows().into_keys().collect::<Vec<_>>(), keys);
}

/// The table shows the defaults of the code.
#[test]
fn the_table_shows_every_default() {
    let default = glance_notify::transport::rabbit::Config::default();
    let rows = rows();
    let of = |key: &str| rows[key].trim_matches(['`', '"']).to_owned();
    assert_eq!(of("host"), default.hosts[0].name);
    assert_eq!(of("port"), default.hosts[0].port.to_string());
    assert!(of("user").starts_with(&default.user));
    assert_eq!(of("virtual_host"), default.virtual_host);
    assert_eq!(of("exchange"), default.exchange);
    assert_eq!(of("topic"), default.topic);
    assert_eq!(of("durable"), default.durable.to_string());
    assert_eq!(of("window"), default.window.to_string());
    assert_eq!(of("connect_timeout"), default.connect_timeout.as_secs().to_string());
    assert_eq!(of("confirm_timeout"), default.confirm_timeout.as_secs().to_string());
    assert_eq!(of("heartbeat"), default.heartbeat.to_string());
    assert_eq!(of("backlog_warning"), default.backlog_warning.to_string());
    // `Debug` prints the variants of the code, which differ from the words in case only.
    for (key, value) in [
        ("queue_type", format!("{:?}", default.queue_type)),
        ("declare", format!("{:?}", default.declare)),
        ("on_mismatch", format!("{:?}", default.on_mismatch)),
        ("envelope", format!("{:?}", default.envelope)),
        ("sasl_mechanism", format!("{:?}", default.sasl_mechanism)),
    ] {
        assert_eq!(of(key).to_lowercase(), value.to_lowercase(), "{key}");
    }
}

/// Each example opens the strategy.
#[test]
fn every_example_is_a_configuration() {
    let examples: Vec<_> =
        DOC.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 4);
    for example in examples {
        open(&example.parse().unwrap()).unwrap();
    }
}
