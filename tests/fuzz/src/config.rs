//! A whole configuration file in TOML, with the table of every strategy.

use glance_notify::codec::serde_json::Value;
use glance_notify::config::Layers;
use glance_notify::config::Redact;
use glance_notify::{Config, Result};
use toml::Table;

use crate::checks::{SECRET, assert_no_secret, check_error, check_opening, clean_text};

/// Checks the input as a configuration file.
pub fn config(bytes: &[u8]) {
    let Some(text) = clean_text(bytes) else { return };
    if let Err(error) = text.parse::<Config>() {
        check_error(&error);
    }
    let Ok(table) = text.parse::<Table>() else { return };
    // The input may contain the secret in escaped form.
    if format!("{table:?}").contains(SECRET) {
        return;
    }
    check_strategies(&table);
    check_strategies(&planted(&table, is_secret));
    for strategy in STRATEGIES {
        // An operator may set any key to a password by mistake.
        let config = with_strategy(&planted(&table, |key| !KEYWORD_KEYS.contains(&key)), strategy);
        if let Err(error) = config.and_then(|config| glance_notify::transport::open(&config)) {
            check_error(&error);
        }
    }
}

/// Builds and opens the configuration with every strategy.
fn check_strategies(table: &Table) {
    for strategy in STRATEGIES {
        match with_strategy(table, strategy) {
            Err(error) => check_error(&error),
            Ok(config) => {
                assert_eq!(config.strategy(), strategy);
                check_opening(&config);
                check_entries(&config);
            }
        }
    }
}

/// Builds a configuration of `table` and `strategy`.
fn with_strategy(table: &Table, strategy: &str) -> Result<Config> {
    let Ok(Value::Object(table)) = glance_notify::codec::serde_json::to_value(table) else {
        return Ok(Config::default());
    };
    Layers::new().table("a table", table)?.set(&format!("strategy={strategy}"))?.build()
}

/// Checks that the printed entries are sorted and free of the secret.
fn check_entries(config: &Config) {
    let entries = config.entries();
    for entry in &entries {
        assert_no_secret(&entry.value);
    }
    assert!(entries.is_sorted_by_key(|entry| &entry.key));
}

/// Returns the table with the secret in every text whose key `chosen` selects.
fn planted(table: &Table, chosen: fn(&str) -> bool) -> Table {
    let mut table = table.clone();
    table.iter_mut().for_each(|(key, value)| plant(key, value, chosen));
    table
}

fn plant(key: &str, value: &mut toml::Value, chosen: fn(&str) -> bool) {
    match value {
        toml::Value::String(text) if chosen(key) => {
            *text = if text.contains("://") || key.ends_with("url") {
                format!("amqp://user:{SECRET}@host")
            } else {
                format!("{text}{SECRET}")
            };
        }
        toml::Value::Array(items) => items.iter_mut().for_each(|item| plant(key, item, chosen)),
        toml::Value::Table(table) => {
            table.iter_mut().for_each(|(key, value)| plant(key, value, chosen));
        }
        _ => {}
    }
}

/// Returns whether the value of `key` is a secret.
fn is_secret(key: &str) -> bool {
    // The path of a secret file is not a secret.
    key.ends_with("url") || Redact::Secrets.hides(key) && !key.ends_with("_file")
}

const STRATEGIES: [&str; 4] = ["log", "noop", "qpid", "rabbit"];

/// The keys whose values errors repeat, because they are keywords. Errors also repeat the
/// placeholders of `address`.
const KEYWORD_KEYS: &[&str] = &[
    "address",
    "compat",
    "declare",
    "dialect",
    "disabled_notifications",
    "envelope",
    "node",
    "on_corrupt",
    "on_mismatch",
    "overflow",
    "payloads",
    "queue_type",
    "redact",
    "sasl_mechanism",
    "strategy",
    "target",
    "when_full",
];
