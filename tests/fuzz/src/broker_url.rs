//! The URL of a broker: of RabbitMQ's table and of AMQP 1.0's.

use glance_notify::codec::serde_json::{Map, Value, json};
use glance_notify::config::Layers;
use notify_net::{BrokerUrl, Secret};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::shown::{
    SECRET, check_error, check_opened, check_secretless, planted_in_the_middle, text,
};

/// A URL as an operator writes it, or a password in one.
pub fn broker_url(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match text.parse::<BrokerUrl>() {
        Ok(url) => check_parts(&url),
        Err(error) => check_error(&error),
    }
    // A part of a mistyped URL may be the password, whichever part it is.
    let planted = planted_in_the_middle(text);
    match planted.parse::<BrokerUrl>() {
        Err(error) => check_error(&error),
        Ok(url) => {
            let is_secret =
                |secret: &Secret| secret.expose().contains(SECRET) && !names_secret(&url);
            if url.password.as_ref().is_some_and(is_secret) {
                check_secretless(&format!("{url:?}"));
                check_configured(&planted);
            }
        }
    }
    let written = format!("amqp://user:{}@host/v", encode(&planted));
    match written.parse::<BrokerUrl>() {
        Ok(url) => assert_eq!(url.password, Some(Secret::new(planted)), "{url:?}"),
        Err(error) => panic!("{text:?} is no password: {error}"),
    }
    check_configured(&written);
    // As people write it.
    check_configured(&format!("amqp://user:{text}{SECRET}@host/v"));
}

/// What was parsed is parsed again from what it means.
fn check_parts(url: &BrokerUrl) {
    assert!(!url.hosts.is_empty());
    assert!(url.hosts.iter().all(|host| host.port > 0 && !host.name.is_empty()), "{url:?}");
    assert_eq!(compose(url).parse::<BrokerUrl>().ok().as_ref(), Some(url), "{url:?}");
}

fn compose(url: &BrokerUrl) -> String {
    let scheme = if url.tls { "amqps" } else { "amqp" };
    let credentials = match (&url.user, &url.password) {
        (Some(user), Some(password)) => {
            format!("{}:{}@", encode(user), encode(password.expose()))
        }
        (Some(user), None) => format!("{}@", encode(user)),
        (None, _) => String::new(),
    };
    let hosts: Vec<_> = url.hosts.iter().map(ToString::to_string).collect();
    let path = url.path.as_deref().map(|path| format!("/{}", encode(path))).unwrap_or_default();
    let query: Vec<_> = url
        .query
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{credentials}{}{path}{mark}{}", hosts.join(","), query.join("&"))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Whether the secret stands where it is shown, too.
fn names_secret(url: &BrokerUrl) -> bool {
    let holds = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(SECRET));
    holds(&url.user) || holds(&url.path)
}

/// Nothing that is configured with this URL shows the secret.
fn check_configured(url: &str) {
    for strategy in ["rabbit", "qpid"] {
        let table = json!({ "strategy": strategy, (strategy): { "url": url } });
        let Value::Object(table) = table else { continue };
        let config = Layers::new().table("a table", Map::from_iter(table)).and_then(Layers::build);
        match config {
            Err(error) => check_error(&error),
            Ok(config) => {
                check_opened(&config);
                for entry in config.entries() {
                    check_secretless(&entry.value);
                }
            }
        }
    }
}
