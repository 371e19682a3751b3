//! The broker's address: from oslo.messaging's `transport_url`, and from separate options.

use notify_core::Result;
use serde_json::Value;

use super::conf_file::{ConfFile, ConfOption, parse_bool};

/// A translated `transport_url`.
pub(super) struct TransportUrl {
    /// The strategy of the URL's scheme.
    pub(super) strategy: &'static str,
    /// The option with our URL as its value. `None` for a bare `rabbit://`, oslo.messaging's default,
    /// which leaves the address to the separate options.
    pub(super) url: Option<ConfOption>,
}

/// Translates oslo.messaging's URL, such as `rabbit://user:password@host:5672/vhost?ssl=1`.
///
/// The scheme becomes `amqps` if the URL's parameter `ssl` or the option of the same name is true.
pub(super) fn translate(file: &ConfFile<'_>, mut option: ConfOption) -> Result<TransportUrl> {
    let Some((scheme, rest)) = option.value.split_once("://") else {
        return Err(file.refuse(&option, "expected a URL that begins with rabbit://"));
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let strategy = match scheme {
        "rabbit" | "kombu" => "rabbit",
        "qpid" | "amqp" => "qpid",
        _ => {
            return Err(file.refuse(
                &option,
                "unsupported scheme: expected a URL that begins with rabbit://, qpid:// or amqp://",
            ));
        }
    };
    if rest.trim_end_matches('/').is_empty() {
        return Ok(TransportUrl { strategy, url: None });
    }
    let mut tls = false;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("ssl", value)) => {
                tls = parse_bool(value).ok_or_else(|| {
                    file.refuse(&option, "the parameter `ssl` must be true or false")
                })?;
            }
            _ => {
                return Err(file.refuse(
                    &option,
                    "unsupported parameter: remove all but `ssl` and set the options of the same name",
                ));
            }
        }
    }
    let tls = tls || file.flag("oslo_messaging_rabbit", &["ssl", "rabbit_use_ssl"])?;
    let scheme = if tls { "amqps" } else { "amqp" };
    option.value = format!("{scheme}://{rest}");
    Ok(TransportUrl { strategy, url: Some(option) })
}

/// Builds an `amqps` URL from separate options, which `option` returns by our key.
pub(super) fn from_parts<'a>(option: &dyn Fn(&str) -> Option<&'a Value>) -> String {
    let text =
        |key| option(key).map(|value| value.as_str().map_or(value.to_string(), percent_encoded));
    let credentials = match (text("user"), text("password")) {
        (None, None) => String::new(),
        (user, None) => format!("{}@", user.unwrap_or_default()),
        (user, Some(password)) => format!("{}:{password}@", user.unwrap_or_default()),
    };
    let host = option("host").and_then(Value::as_str).unwrap_or("localhost");
    let host = if host.contains(':') { format!("[{host}]") } else { percent_encoded(host) };
    let port = option("port").map(|number| format!(":{number}")).unwrap_or_default();
    let path = text("virtual_host").map(|path| format!("/{path}")).unwrap_or_default();
    format!("amqps://{credentials}{host}{port}{path}")
}

/// Percent-encodes every byte that RFC 3986 does not list as unreserved.
fn percent_encoded(text: &str) -> String {
    let is_unreserved =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let encode = |byte| match byte {
        byte if is_unreserved(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect::<Vec<_>>().concat()
}
