//! Reaching a broker, for every transport that speaks to one: its URL and hosts, TCP with deadlines,
//! TLS, and secrets that cannot be printed; the keys that configure all that; and the envelope that
//! readers off a broker know.
//!
//! This crate knows no protocol and no client library: what it hands over is a connected [`Stream`].

mod connect;
mod endpoint;
mod envelope;
mod peer;
mod secret;
mod tls;
mod url;

pub use connect::{Attempts, Hangup, Stream, connect, look_again};
pub use endpoint::{Endpoint, EndpointKeys};
pub use envelope::Envelope;
pub use peer::Peer;
pub use secret::{Password, Secret};
pub use tls::{Tls, TlsFiles, explain};
pub use url::{BrokerUrl, Host};
