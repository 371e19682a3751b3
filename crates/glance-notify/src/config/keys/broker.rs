//! The descriptions of the keys that the tables of both brokers have.

use super::config_key::{ConfigKey, KeyKind, key};

/// The URL of the broker.
pub(super) const fn url(name: &'static str) -> ConfigKey {
    key(
        name,
        KeyKind::Text,
        "none",
        "`amqp://user:password@host:port,host:port/vhost?heartbeat=10`, or `amqps://`. Put \
         the credentials before the first host, or the same ones before each. Percent-encode \
         `,` `/` `?` `#` `@` `:` `%` `[` in user, password and virtual host. Put an IPv6 \
         address in brackets.",
    )
}

/// The host.
pub(super) const fn host(name: &'static str) -> ConfigKey {
    key(name, KeyKind::Text, "`\"localhost\"`", "One host, instead of a URL.")
}

/// The port.
pub(super) const fn port(name: &'static str) -> ConfigKey {
    key(name, KeyKind::Number, "`5672`", "The port of `host`.")
}

/// The file with the password.
pub(super) const fn password_file(name: &'static str) -> ConfigKey {
    key(
        name,
        KeyKind::Path,
        "none",
        "A file with the password, instead. The transport reads it at every connection.",
    )
}

/// The trusted authorities.
pub(super) const fn ca_file(name: &'static str) -> ConfigKey {
    key(
        name,
        KeyKind::Path,
        "the system's authorities",
        "PEM: the authorities that you trust, with `amqps://`.",
    )
}

/// The certificate of the client.
pub(super) const fn cert_file(name: &'static str) -> ConfigKey {
    key(name, KeyKind::Path, "none", "PEM: the client certificate and its chain.")
}

/// The key of that certificate.
pub(super) const fn key_file(name: &'static str) -> ConfigKey {
    key(name, KeyKind::Path, "none", "PEM: the key of the client certificate.")
}

/// The form of the messages.
pub(super) const fn envelope(name: &'static str) -> ConfigKey {
    key(
        name,
        KeyKind::Word,
        "`\"bare\"`",
        "`\"oslo-2.0\"` wraps the notification as oslo.messaging's `messagingv2` does. \
         `\"cloudevents\"` sends a CloudEvent in structured mode, `\"cloudevents-binary\"` one in \
         binary mode. oslo.messaging reads neither.",
    )
}
