//! A `glance-api.conf`, of which only some options are ours.

use glance_notify::Config;
use glance_notify::config::Redact;

use crate::shown::{
    SECRET, check_error, check_opened, check_secretless, planted_in_the_middle, text,
};

/// A file as an operator of Glance has it.
pub fn glance_conf(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match glance_notify::config::glance_conf::from_str(text) {
        Ok(config) => check_opened(&config),
        Err(error) => check_error(&error),
    }
    // Errors repeat no text, wherever it stands.
    if let Err(error) = glance_notify::config::glance_conf::from_str(&planted_in_the_middle(text)) {
        check_error(&error);
    }
    let planted: Vec<_> = text.lines().map(plant).collect();
    match glance_notify::config::glance_conf::from_str(&planted.join("\n")) {
        Ok(config) => check_planted(&config),
        Err(error) => check_error(&error),
    }
}

fn check_planted(config: &Config) {
    check_opened(config);
    for entry in config.entries() {
        let hidden = entry.key.split('.').any(|segment| Redact::Secrets.hides(segment));
        if hidden || entry.key.ends_with("url") {
            check_secretless(&entry.value);
        }
    }
}

/// The secret behind a password, and in what is or ought not to be a URL.
fn plant(line: &str) -> String {
    let Some((key, value)) = line.split_once(['=', ':']) else { return line.to_owned() };
    let key = key.trim_end();
    let reaches = key.ends_with("url") || key.ends_with("host") || key.ends_with("hostname");
    match value.split_once("://") {
        Some((scheme, rest)) if reaches => format!("{key} = {scheme}://user:{SECRET}@{rest}"),
        _ if Redact::Secrets.hides(key) => format!("{key} = {value}{SECRET}"),
        _ => line.to_owned(),
    }
}
