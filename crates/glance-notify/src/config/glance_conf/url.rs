//! Where the broker is, as oslo.messaging's `transport_url` says it and as our URLs do.

use notify_core::Result;
use serde_json::Value;

use super::{Found, Reader, boolean};

impl Reader<'_> {
    /// oslo.messaging's URL as one of ours, and whose it is.
    pub(super) fn transport_url(
        &mut self,
        mut found: Found,
    ) -> Result<(Option<Found>, Option<&'static str>)> {
        let Some((scheme, rest)) = found.value.split_once("://") else {
            return Err(self.refuse(&found, "expected a URL that begins with rabbit://"));
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let strategy = match scheme {
            "rabbit" | "kombu" => "rabbit",
            "qpid" | "amqp" => "qpid",
            _ => {
                return Err(self.refuse(
                    &found,
                    "has no counterpart here: expected a URL that begins with rabbit://, qpid:// \
                     or amqp://",
                ));
            }
        };
        if rest.trim_end_matches('/').is_empty() {
            // `rabbit://` is oslo's default: everything from the separate options.
            return Ok((None, Some(strategy)));
        }
        let mut tls = false;
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("ssl", value)) => {
                    tls = boolean(value)
                        .ok_or_else(|| self.refuse(&found, "`ssl` is neither true nor false"))?;
                }
                _ => {
                    return Err(self.refuse(
                        &found,
                        "has parameters other than `ssl`: set the options of their names instead",
                    ));
                }
            }
        }
        let tls = tls || self.flag("oslo_messaging_rabbit", &["ssl", "rabbit_use_ssl"])?;
        let scheme = if tls { "amqps" } else { "amqp" };
        found.value = format!("{scheme}://{rest}");
        Ok((Some(found), Some(strategy)))
    }
}

/// A URL of separate options, for TLS.
pub(super) fn from_parts<'a>(get: &dyn Fn(&str) -> Option<&'a Value>) -> String {
    let text = |key| get(key).map(|value| value.as_str().map_or(value.to_string(), encoded));
    let credentials = match (text("user"), text("password")) {
        (None, None) => String::new(),
        (user, None) => format!("{}@", user.unwrap_or_default()),
        (user, Some(password)) => format!("{}:{password}@", user.unwrap_or_default()),
    };
    let host = get("host").and_then(Value::as_str).unwrap_or("localhost");
    let host = if host.contains(':') { format!("[{host}]") } else { encoded(host) };
    let port = get("port").map(|number| format!(":{number}")).unwrap_or_default();
    let path = text("virtual_host").map(|path| format!("/{path}")).unwrap_or_default();
    format!("amqps://{credentials}{host}{port}{path}")
}

fn encoded(text: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let piece = |byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(piece).collect::<Vec<_>>().concat()
}
