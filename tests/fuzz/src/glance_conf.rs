//! A `glance-api.conf`, of which the library reads some options.

use glance_notify::Config;
use glance_notify::config::Redact;

use crate::checks::{
    SECRET, assert_no_secret, check_error, check_opening, clean_text, insert_secret,
};

/// Checks the input as a `glance-api.conf`.
pub fn glance_conf(bytes: &[u8]) {
    let Some(text) = clean_text(bytes) else { return };
    match glance_notify::config::glance_conf::from_str(text) {
        Ok(config) => check_opening(&config),
        Err(error) => check_error(&error),
    }
    // Errors repeat no text of the file.
    if let Err(error) = glance_notify::config::glance_conf::from_str(&insert_secret(text)) {
        check_error(&error);
    }
    let planted: Vec<_> = text.lines().map(plant).collect();
    match glance_notify::config::glance_conf::from_str(&planted.join("\n")) {
        Ok(config) => check_planted(&config),
        Err(error) => check_error(&error),
    }
}

/// Checks a configuration with planted secrets.
fn check_planted(config: &Config) {
    check_opening(config);
    for entry in config.entries() {
        let hidden = entry.key.split('.').any(|segment| Redact::Secrets.hides(segment));
        if hidden || entry.key.ends_with("url") {
            assert_no_secret(&entry.value);
        }
    }
}

/// Plants the secret in a line: at the end of a password, and as the password of a URL.
fn plant(line: &str) -> String {
    let Some((key, value)) = line.split_once(['=', ':']) else { return line.to_owned() };
    let key = key.trim_end();
    let is_address = key.ends_with("url") || key.ends_with("host") || key.ends_with("hostname");
    match value.split_once("://") {
        Some((scheme, rest)) if is_address => format!("{key} = {scheme}://user:{SECRET}@{rest}"),
        _ if Redact::Secrets.hides(key) => format!("{key} = {value}{SECRET}"),
        _ => line.to_owned(),
    }
}
