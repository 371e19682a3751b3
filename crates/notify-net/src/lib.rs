//! The way to a broker, for every transport that needs one.
//!
//! * [`BrokerUrl`], [`EndpointOptions`], [`TlsFiles`] and [`Password`] are the configuration that
//!   the strategies `rabbit` and `qpid` have in common.
//! * [`Failover`] tries the configured hosts within one deadline, and [`connect()`] opens one
//!   [`BrokerStream`] with or without TLS.
//! * [`explain_tls_error`] and [`diagnose_disconnect`] turn TLS failures into messages that name the
//!   option to change.
//! * [`Secret`] keeps passwords out of logs, and [`Envelope`] is the JSON around a notification on a
//!   broker.
//!
//! This crate knows no messaging protocol and no client library. It hands a connected stream to the
//! transport and logs nothing.
//!
//! # Features
//!
//! `tls`: rustls with ring, for `amqps://`. Without it, [`TlsFiles::check`] fails.
//!
//! # Examples
//!
//! A transport connects to the first host that answers:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use notify_core::Result;
//! use notify_net::{BrokerStream, EndpointOptions, Failover, ShutdownGuard, connect};
//!
//! async fn open(options: EndpointOptions) -> Result<(BrokerStream, ShutdownGuard)> {
//!     let endpoint = options.resolve("rabbit")?;
//!     let tls = match &endpoint.tls {
//!         Some(files) => Some(files.load().await?),
//!         None => None,
//!     };
//!     let mut failover = Failover::new(&endpoint.hosts, Duration::from_secs(10));
//!     while let Some((host, deadline)) = failover.next() {
//!         match connect(host, tls.as_ref(), Duration::from_secs(20), deadline).await {
//!             Ok(connected) => return Ok(connected),
//!             Err(error) => failover.record_error(error),
//!         }
//!     }
//!     Err(failover.into_error())
//! }
//! ```

mod blocking;
mod connect;
mod endpoint;
mod endpoint_options;
mod envelope;
mod failover;
pub mod guard;
mod host;
mod peer;
mod sasl;
mod secret;
mod stream;
mod tls;
mod url;

pub use connect::{connect, diagnose_disconnect};
pub use endpoint::Endpoint;
pub use endpoint_options::EndpointOptions;
pub use envelope::Envelope;
pub use failover::Failover;
pub use host::Host;
pub use peer::PeerInfo;
pub use sasl::{SaslMechanism, SaslMechanismList};
pub use secret::{Password, Secret};
pub use stream::{BrokerStream, ShutdownGuard};
pub use tls::{TlsConfig, TlsFiles, explain_tls_error};
pub use url::BrokerUrl;
