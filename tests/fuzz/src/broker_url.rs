//! The URL of a broker, in the tables `rabbit` and `qpid`.

use glance_notify::codec::serde_json::{Map, Value, json};
use glance_notify::config::Layers;
use notify_net::{BrokerUrl, Secret};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::checks::{
    SECRET, assert_no_secret, check_error, check_opening, clean_text, insert_secret,
};

/// Checks the input as a broker URL, and as the password of one.
pub fn broker_url(bytes: &[u8]) {
    let Some(text) = clean_text(bytes) else { return };
    match text.parse::<BrokerUrl>() {
        Ok(url) => check_parts(&url),
        Err(error) => check_error(&error),
    }
    // In a mistyped URL, the password can stand in any part.
    let planted = insert_secret(text);
    match planted.parse::<BrokerUrl>() {
        Err(error) => check_error(&error),
        Ok(url) => {
            let is_secret =
                |secret: &Secret| secret.expose().contains(SECRET) && !has_secret_elsewhere(&url);
            if url.password.as_ref().is_some_and(is_secret) {
                assert_no_secret(&format!("{url:?}"));
                check_configured(&planted);
            }
        }
    }
    let written = format!("amqp://user:{}@host/v", encode(&planted));
    match written.parse::<BrokerUrl>() {
        Ok(url) => assert_eq!(url.password, Some(Secret::new(planted)), "{url:?}"),
        Err(error) => panic!("the password {text:?} is refused: {error}"),
    }
    check_configured(&written);
    // Operators often forget to escape the password.
    check_configured(&format!("amqp://user:{text}{SECRET}@host/v"));
}

/// Checks that the parts of a URL are valid, and that a URL composed of them parses to the same
/// parts.
fn check_parts(url: &BrokerUrl) {
    assert!(!url.hosts.is_empty());
    assert!(url.hosts.iter().all(|host| host.port > 0 && !host.name.is_empty()), "{url:?}");
    assert_eq!(compose(url).parse::<BrokerUrl>().ok().as_ref(), Some(url), "{url:?}");
}

/// Composes a URL of its parts.
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

/// Returns whether a part that errors may repeat contains the secret.
fn has_secret_elsewhere(url: &BrokerUrl) -> bool {
    let holds = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(SECRET));
    holds(&url.user) || holds(&url.path)
}

/// Configures both strategies with `url`, and checks that no output contains the secret.
fn check_configured(url: &str) {
    for strategy in ["rabbit", "qpid"] {
        let table = json!({ "strategy": strategy, (strategy): { "url": url } });
        let Value::Object(table) = table else { continue };
        let config = Layers::new().table("a table", Map::from_iter(table)).and_then(Layers::build);
        match config {
            Err(error) => check_error(&error),
            Ok(config) => {
                check_opening(&config);
                for entry in config.entries() {
                    assert_no_secret(&entry.value);
                }
            }
        }
    }
}
