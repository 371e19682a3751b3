//! Reaching a broker, for every transport that speaks to one: its URL and hosts, TCP with deadlines,
//! TLS, and secrets that cannot be printed; the keys that configure all that; and the envelope that
//! readers off a broker know.
//!
//! This crate knows no protocol and no client library: what it hands over is a connected [`BrokerStream`].

mod blocking;
mod connect;
mod endpoint;
mod envelope;
mod peer;
mod secret;
mod tls;
mod url;

pub use connect::{BrokerStream, Failover, ShutdownGuard, connect, diagnose_disconnect};
pub use endpoint::{Endpoint, EndpointOptions};
pub use envelope::Envelope;
pub use peer::PeerInfo;
pub use secret::{Password, Secret};
pub use tls::{TlsConfig, TlsFiles, explain_tls_error};
pub use url::{BrokerUrl, Host};
