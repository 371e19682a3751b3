//! The commented sample of a configuration.

use super::config_key::{ConfigKey, KeyKind};
use super::tables::TABLES;

/// Returns a TOML file with every key, its description and its default.
///
/// All keys are comments, but `strategy` and those that `strategy` requires: you can use the file as it is.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "log")]
/// # fn main() -> glance_notify::Result<()> {
/// let sample = glance_notify::config::sample("log");
/// assert!(sample.contains("# max_age = 3600"));
/// let config: glance_notify::Config = sample.parse()?;
/// assert_eq!(config.strategy(), "log");
/// glance_notify::transport::open(&config)?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "log"))]
/// # fn main() {}
/// ```
pub fn sample(strategy: &str) -> String {
    let mut lines: Vec<_> = HEADER.map(str::to_owned).into();
    for (table, keys) in TABLES {
        if !table.is_empty() {
            // A table of its own switches the spool on, and needs its directory.
            let is_active = *table == "queue" || *table == strategy;
            let mark = if is_active { "" } else { "# " };
            // Each source and each destination has a table of its own.
            let is_list = matches!(*table, "source" | "destination");
            let header = if is_list { format!("[[{table}]]") } else { format!("[{table}]") };
            lines.extend([String::new(), format!("{mark}{header}")]);
        }
        for key in *keys {
            lines.push(String::new());
            add_key(&mut lines, key, strategy);
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Adds the description of a key, and the key with its default or an example.
fn add_key(lines: &mut Vec<String>, key: &ConfigKey, strategy: &str) {
    let default = match key.default {
        "none" => "no default".to_owned(),
        default => format!("default: {default}"),
    };
    let about = format!("{}; {default}. {}", key.kind.name(), key.meaning);
    lines.extend(wrapped(about.trim_end()));
    let name = key.name.rsplit('.').next().unwrap_or(key.name);
    let is_active = key.name == "strategy" || strategy == "log" && key.name == "log.file";
    let mark = if is_active { "" } else { "# " };
    let value = match key.name {
        "strategy" => format!("\"{strategy}\""),
        _ => key.default_value().unwrap_or_else(|| example(key)).to_owned(),
    };
    lines.push(format!("{mark}{name} = {value}"));
}

/// Returns a value for a key without a default.
fn example(key: &ConfigKey) -> &'static str {
    let (_, name) = key.name.split_once('.').unwrap_or(("", key.name));
    match name {
        "publisher_id" => "\"image.host1\"",
        "compat" => "\"openstack\"",
        "log_file" | "file" => "\"notifications.log\"",
        "dir" if key.table() == "archive" => "\"/var/lib/glance-notify/archive\"",
        "dir" => "\"/var/spool/glance-notify\"",
        "dead_letters" => "\"/var/lib/glance-notify/dead.jsonl\"",
        "strategy" => "\"log\"",
        "name" if key.table() == "destination" => "\"audit\"",
        "name" => "\"region-1\"",
        "region" => "\"RegionOne\"",
        "start" => "\"end\"",
        "queue" | "pool" => "\"audit\"",
        "consume" => "[\"notifications.info\"]",
        "checkpoint" => "\"/var/lib/glance-notify/position\"",
        "management_url" => "\"https://monitor:password@broker.example.org:15671\"",
        "url" => "\"amqp://user:password@broker.example.org:5672\"",
        "user" => "\"glance\"",
        "password" => "\"secret\"",
        "password_file" => "\"/etc/glance/broker-password\"",
        "virtual_host" => "\"vhost:glance\"",
        "ca_file" => "\"/etc/ssl/certs/ca-certificates.crt\"",
        "cert_file" => "\"/etc/glance/client.pem\"",
        "key_file" => "\"/etc/glance/client.key\"",
        "sasl_mechanism" => "[\"PLAIN\"]",
        "address" => "\"{topic}.{priority}\"",
        _ => match key.kind {
            KeyKind::Word | KeyKind::Text => "\"text\"",
            KeyKind::WordList | KeyKind::TextList => "[]",
            KeyKind::Path => "\"/path\"",
            KeyKind::Flag => "true",
            KeyKind::Number | KeyKind::WholeSeconds => "60",
            KeyKind::Bytes => "67108864",
            KeyKind::Seconds => "3600",
        },
    }
}

/// Breaks a text into lines of comments.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec!["#".to_owned()];
    for word in text.split(' ') {
        if let Some(line) = lines.last_mut().filter(|line| line.len() + 1 + word.len() <= WIDTH) {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("# {word}"));
        }
    }
    lines
}

/// The first lines of a sample.
const HEADER: [&str; 2] = [
    "# The configuration of glance-notify. Remove the `#` before a key to set it. The command",
    "# `glance-notify check` shows the values in effect, `glance-notify config explain KEY` a key.",
];
/// The longest line of a description, in characters, unless a word is longer.
const WIDTH: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    /// Every key of the sample is one that the configuration accepts, with the value that it shows.
    #[test]
    fn every_key_of_the_sample_can_be_set() {
        let sample = sample("log");
        let mut table = String::new();
        let mut count = 0;
        for line in sample.lines() {
            let line = line.strip_prefix("# ").unwrap_or(line);
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.clone_into(&mut table);
            }
            // Prose may show a setting too, between backticks.
            let is_key = |key: &str| key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| is_key(key)) else {
                continue;
            };
            let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
            // Each destination needs a name and a strategy.
            let needed = ["name = 'a'\n", "strategy = 'noop'\n"]
                .into_iter()
                .filter(|needed| table == "[destination]" && !needed.starts_with(key));
            let header = header + &needed.collect::<String>();
            let config: Config = format!("{header}{line}").parse().unwrap();
            let table = table.trim_matches(['[', ']']);
            let name = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
            assert!(ConfigKey::find(&name).is_some(), "{name}");
            // `log_file` is another name, and a list of tables is one value.
            let name = match name.as_str() {
                "log_file" => "log.file",
                _ if table == "source" || table == "destination" => table,
                name => name,
            };
            assert!(format!("{config:?}").contains(&format!("\"{name}\"")), "{name}");
            count += 1;
        }
        assert_eq!(count, ConfigKey::all().count());
    }

    /// Each strategy and each source accepts the values that the sample shows for its keys.
    #[cfg(all(
        feature = "listen",
        feature = "log",
        feature = "qpid",
        feature = "rabbit",
        feature = "tls"
    ))]
    #[test]
    fn every_value_of_the_sample_is_accepted() {
        for key in ConfigKey::all() {
            let mut lines = Vec::new();
            add_key(&mut lines, key, "noop");
            let line = lines.last().unwrap().trim_start_matches("# ");
            // The other keys that this one needs.
            let needed = match key.name {
                "log.file" | "source.file" | "source.url" => "",
                name if name.starts_with("log.") => "file = 'a'",
                "source.checkpoint" | "source.start" | "source.form" => "file = 'a'",
                "source.queue_type" => "host = 'localhost'\nqueue = 'a'",
                "source.max_age" => "host = 'localhost'\nqueue = 'a'\nqueue_type = 'stream'",
                "source.durable" => "host = 'localhost'\npool = 'a'",
                name if name.starts_with("source.") => "host = 'localhost'",
                name => match name.split_once('.').map_or("", |(_, name)| name) {
                    "user" => "password = 'p'",
                    "password" | "password_file" => "user = 'u'",
                    "sasl_mechanism" => "user = 'u'\npassword = 'p'",
                    "ca_file" => "url = 'amqps://u:p@localhost'",
                    "cert_file" => "url = 'amqps://u:p@localhost'\nkey_file = 'k'",
                    "key_file" => "url = 'amqps://u:p@localhost'\ncert_file = 'c'",
                    _ => "",
                },
            };
            let accepted = match key.table() {
                "source" => {
                    let config: Config = format!("[[source]]\n{needed}\n{line}").parse().unwrap();
                    config.sources().map(drop)
                }
                table @ ("log" | "qpid" | "rabbit") => {
                    let toml = format!("strategy = '{table}'\n[{table}]\n{needed}\n{line}");
                    let config: Config = toml.parse().unwrap();
                    crate::transport::open(&config).map(drop)
                }
                // `every_key_of_the_sample_can_be_set` reads them.
                _ => Ok(()),
            };
            accepted.unwrap_or_else(|error| panic!("`{line}`: {error:#}"));
        }
    }

    /// Of every strategy the sample works as it is, and sets nothing else.
    #[test]
    fn a_sample_sets_the_strategy_alone() {
        for strategy in ["noop", "log", "rabbit", "qpid"] {
            let config: Config = sample(strategy).parse().unwrap();
            assert_eq!(config.strategy(), strategy);
            assert!(!config.has_spool_table());
            assert!(sample(strategy).lines().all(|line| line.len() <= WIDTH));
        }
    }
}
