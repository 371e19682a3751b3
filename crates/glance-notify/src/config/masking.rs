//! The masking of secrets among configured values.
//!
//! Values are shown only through this file: by `glance-notify check` and by warnings.

use notify_core::redact::Redact;
use serde_json::Value;

/// Returns `true` if [`masked`] hides the value at `key`, wholly or in part, and more than a URL's user.
pub(super) fn is_secret(key: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let text = Value::from(without_user(text));
            masked(key, &text) != text
        }
        Value::Array(items) => items.iter().any(|item| is_secret(key, item)),
        Value::Object(table) => {
            table.iter().any(|(name, value)| is_secret(&format!("{key}.{name}"), value))
        }
        value => masked(key, value) != *value,
    }
}

/// Returns the value at `key` in a form that is safe to show.
///
/// Secrets become `"***"`, and URLs lose their credentials.
pub(super) fn masked(key: &str, value: &Value) -> Value {
    let name = key.rsplit('.').next().unwrap_or(key);
    // `password_file` holds a path, which is not a secret.
    if !name.ends_with("_file") && key.split('.').any(|segment| Redact::Secrets.hides(segment)) {
        return MASK.into();
    }
    match value {
        Value::String(text) => {
            let redacted = Redact::Secrets.text(text);
            // A malformed URL may contain its credentials anywhere.
            let malformed = name.ends_with("url") && !has_masked_credentials(&redacted);
            if malformed { MASK.into() } else { redacted.into() }
        }
        Value::Array(items) => items.iter().map(|item| masked(key, item)).collect(),
        Value::Object(table) => {
            let entry = |(name, value): (&String, &Value)| {
                (name.clone(), masked(&format!("{key}.{name}"), value))
            };
            Value::Object(table.iter().map(entry).collect())
        }
        value => value.clone(),
    }
}

/// Returns a URL without its user, if the user has no password. Anything else stays as it is.
fn without_user(url: &str) -> String {
    let without = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        // The user may stand before each of several hosts.
        let host = |place: &str| {
            let (user, host) = place.rsplit_once('@').unwrap_or(("", place));
            let is_name = !user.contains(|c: char| c == ':' || c == '@' || c.is_whitespace());
            is_name.then(|| host.to_owned())
        };
        let hosts = authority.split(',').map(host).collect::<Option<Vec<_>>>()?;
        Some(format!("{scheme}://{}{}", hosts.join(","), &rest[authority.len()..]))
    };
    without().unwrap_or_else(|| url.to_owned())
}

/// Returns `true` if `url` has no credentials, or only the mask in their place.
fn has_masked_credentials(url: &str) -> bool {
    let Some((before, _)) = url.rsplit_once('@') else { return true };
    let scheme = before.strip_suffix(MASK).and_then(|scheme| scheme.strip_suffix("://"));
    scheme.is_some_and(|scheme| !scheme.contains(|c: char| !c.is_ascii_alphanumeric()))
}

/// The text that replaces a secret.
const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::entries::ConfigEntry;

    /// No password leaves through `entries`, in whatever form an operator wrote it.
    #[test]
    fn masks_secrets_and_shows_the_rest() {
        for (toml, expected) in [
            ("rabbit.password = 'hunter2'", r#""***""#),
            ("rabbit.password = 4242", r#""***""#),
            ("rabbit.password_file = '/etc/x'", r#""/etc/x""#),
            ("rabbit.url = 'amqp://u:hunter2@h/v'", r#""amqp://***@h/v""#),
            ("rabbit.url = 'amqp://u:hunter2@h,u:hunter2@g/v'", r#""amqp://***@g/v""#),
            ("rabbit.url = 'amqp:/u:hunter2@h/v'", r#""***""#),
            ("rabbit.url = 'amqp://u:hunter2 x@h/v'", r#""amqp://***@h/v""#),
            ("rabbit.url = 'amqp://u:1 hunter2@h/v'", r#""***""#),
            ("rabbit.url = 'amqp://u:?key=x hunter2@h/v'", r#""***""#),
            ("rabbit.management_url = 'https://u:hunter2@h/x'", r#""https://***@h/x""#),
            ("rabbit.url = 'amqp://h/v?password=hunter2'", r#""amqp://h/v?password=***""#),
            ("rabbit.hosts = ['amqp://u:hunter2@h', 'h']", r#"["amqp://***@h","h"]"#),
            ("rabbit.token.deep = ['hunter2']", r#""***""#),
            ("rabbit.port = 5672", "5672"),
        ] {
            let config: Config = format!("strategy = 'rabbit'\n{toml}").parse().unwrap();
            let entries = config.entries();
            let is_set =
                |entry: &&ConfigEntry| entry.key.starts_with("rabbit") && entry.origin != "default";
            let entry = entries.iter().find(is_set).unwrap();
            assert_eq!(entry.value, expected, "{toml}");
        }
    }
}
