//! The way to a broker, for every transport that needs one.
//!
//! * [`BrokerUrl`], [`EndpointOptions`], [`TlsFiles`] and [`Password`] are the configuration that
//!   the strategies `rabbit` and `qpid` have in common.
//! * [`endpoint_table!`] adds these options to the table of a strategy.
//! * [`Dialer`] tries every address of every host within one deadline, with or without TLS, until one
//!   accepts the login.
//! * [`guard`] keeps harmful frames of a peer away from the client library.
//! * [`Judge`] decides the verdict about a message by the meaning of the broker's answer.
//! * [`explain_tls_error`] turns TLS failures into messages that name the option to change.
//! * [`Secret`] keeps passwords out of logs.
//!
//! This crate knows no client library. It hands a connected stream to the transport.
//!
//! # Features
//!
//! `tls`: rustls with ring, for `amqps://`. Without it, [`TlsFiles::check`] fails.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod address_race;
mod blocking;
mod dialer;
mod endpoint;
mod endpoint_options;
mod endpoint_table;
pub mod guard;
mod host;
mod once_warnings;
mod peer;
mod sasl;
mod secret;
mod stream;
mod tls;
mod url;
mod verdict;

pub use dialer::Dialer;
pub use endpoint::{Endpoint, check_timeout, check_window};
pub use endpoint_options::{EndpointOptions, broker_table_values};
pub use host::Host;
pub use once_warnings::OnceWarnings;
pub use peer::PeerInfo;
pub use sasl::{SaslMechanism, SaslMechanismList};
pub use secret::{Password, Secret};
pub use stream::{BrokerStream, ShutdownGuard};
pub use tls::{TlsConfig, TlsFiles, explain_tls_error};
pub use url::BrokerUrl;
pub use verdict::{BrokerAnswer, Judge};
