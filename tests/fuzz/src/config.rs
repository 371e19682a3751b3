//! A configuration in TOML, whole: with the table of each strategy.

use glance_notify::codec::serde_json::Value;
use glance_notify::config::Layers;
use glance_notify::config::Redact;
use glance_notify::{Config, Result};
use toml::Table;

use crate::shown::{SECRET, check_error, check_opened, check_secretless, text};

/// A file as an operator writes it.
pub fn config(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Err(error) = text.parse::<Config>() {
        check_error(&error);
    }
    let Ok(table) = text.parse::<Table>() else { return };
    // It may have been escaped.
    if format!("{table:?}").contains(SECRET) {
        return;
    }
    check_strategies(&table);
    check_strategies(&planted(&table, is_secret));
    for strategy in STRATEGIES {
        // Any value may be a password that stands in the wrong place.
        let config = with_strategy(&planted(&table, |key| !WORDS.contains(&key)), strategy);
        if let Err(error) = config.and_then(|config| glance_notify::transport::open(&config)) {
            check_error(&error);
        }
    }
}

/// Opens what is configured, by every strategy.
fn check_strategies(table: &Table) {
    for strategy in STRATEGIES {
        match with_strategy(table, strategy) {
            Err(error) => check_error(&error),
            Ok(config) => {
                assert_eq!(config.strategy(), strategy);
                check_opened(&config);
                check_entries(&config);
            }
        }
    }
}

fn with_strategy(table: &Table, strategy: &str) -> Result<Config> {
    let Ok(Value::Object(table)) = glance_notify::codec::serde_json::to_value(table) else {
        return Ok(Config::default());
    };
    Layers::new().table("a table", table)?.set(&format!("strategy={strategy}"))?.build()
}

/// What is shown of a configuration holds no secret, and is in order.
fn check_entries(config: &Config) {
    let entries = config.entries();
    for entry in &entries {
        check_secretless(&entry.value);
    }
    assert!(entries.is_sorted_by_key(|entry| &entry.key));
}

/// The table with the secret in every text that is `chosen` by its key.
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

fn is_secret(key: &str) -> bool {
    // A file's path is no secret, whatever the file is.
    key.ends_with("url") || Redact::Secrets.hides(key) && !key.ends_with("_file")
}

const STRATEGIES: [&str; 4] = ["log", "noop", "qpid", "rabbit"];

/// The keys whose values errors repeat: words, and `address`, of which they repeat placeholders.
const WORDS: &[&str] = &[
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
