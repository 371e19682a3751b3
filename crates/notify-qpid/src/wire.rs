//! The bytes that the client library does not handle: SASL before it, and the product in the peer's
//! Open, which the client does not expose.
//!
//! fe2o3-amqp sends ANONYMOUS and EXTERNAL without an initial response. The peer then asks for one,
//! and fe2o3-amqp cannot answer. So this module does SASL itself (AMQP 1.0, part 5), and the client
//! gets a stream that is past it:
//!
//! ```text
//! this crate                     broker
//!   AMQP 3 1.0.0     ────────▶              the protocol header of SASL
//!                    ◀────────    AMQP 3 1.0.0
//!                    ◀────────    Mechanisms the offered mechanisms
//!   Init             ────────▶              one mechanism, its initial response
//!                    ◀────────    Outcome    ok, or authentication failed
//!   AMQP 0 1.0.0     ────────▶              from here on fe2o3-amqp writes
//!                    ◀────────    AMQP 0 1.0.0
//!   Open             ────────▶
//!                    ◀────────    Open       it names the product and the version
//! ```
//!
//! This module must not wait without a deadline: the caller bounds the whole login. It must not
//! allocate by a size that the peer claims, beyond the limits at the end of the file.

use std::io;

use fe2o3_amqp::frames::sasl::Frame;
use fe2o3_amqp::types::performatives::Open;
use fe2o3_amqp::types::primitives::{Binary, Symbol, Value};
use fe2o3_amqp::types::sasl::{SaslCode, SaslInit};
use notify_core::Result;
use notify_core::redact::printable;
use notify_net::guard::amqp10::check_value;
use notify_net::{BrokerStream, Endpoint, SaslMechanism, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::ErrorContext;

/// Logs in with the first mechanism of `qpid.sasl_mechanism` that the peer offers.
///
/// On success, the next bytes on the stream are those of AMQP itself.
///
/// # Errors
///
/// [`ErrorKind::Access`](notify_core::ErrorKind::Access) if authentication failed, the errors of
/// [`ErrorContext::wrong_protocol`] for a peer that speaks another protocol, and transient errors.
pub(crate) async fn authenticate(
    stream: &mut BrokerStream,
    endpoint: &Endpoint,
    password: &Secret,
    context: &ErrorContext,
) -> Result<()> {
    let disconnect = |error: io::Error| context.login_disconnect(&error);
    stream.write_all(SASL_HEADER).await.map_err(disconnect)?;
    let mut header = [0; 8];
    read_header(stream, &mut header).await.map_err(disconnect)?;
    if header != *SASL_HEADER {
        return Err(context.wrong_protocol(header));
    }

    let Frame::Mechanisms(offered) = read_frame(stream).await.map_err(disconnect)? else {
        return Err(context.protocol_error("it offered no SASL mechanisms"));
    };
    let offered = offered.sasl_server_mechanisms.0;
    let ours = endpoint.sasl_mechanism.iter().copied();
    let Some(mechanism) =
        ours.into_iter().find(|ours| offered.iter().any(|offer| offer.as_str() == ours.name()))
    else {
        let offered: Vec<_> = offered.iter().map(Symbol::as_str).collect();
        return Err(context.no_common_mechanism(&endpoint.sasl_mechanism, &offered));
    };
    let init = SaslInit {
        mechanism: Symbol::from(mechanism.name()),
        initial_response: Some(Binary::from(initial_response(mechanism, endpoint, password))),
        hostname: endpoint.virtual_host.clone(),
    };
    write_frame(stream, Frame::Init(init)).await.map_err(disconnect)?;
    match read_frame(stream).await {
        Ok(Frame::Outcome(outcome)) => match outcome.code {
            SaslCode::Ok => Ok(()),
            SaslCode::Auth => Err(context.login_refused(mechanism)),
            SaslCode::Sys | SaslCode::SysPerm | SaslCode::SysTemp => {
                Err(context.unavailable_error("cannot authenticate users now"))
            }
        },
        Ok(_) => Err(context.protocol_error("it asked for another SASL step")),
        // RabbitMQ 3 closes the connection without an answer if it has no user for a certificate.
        // After another mechanism, the broker may just have stopped.
        Err(error)
            if mechanism == SaslMechanism::External
                && error.kind() == io::ErrorKind::UnexpectedEof =>
        {
            Err(context.login_refused(mechanism))
        }
        Err(error) => Err(disconnect(error)),
    }
}

/// The product that a peer claims to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BrokerProduct {
    /// The property `product` of the Open, `qpid-cpp` or `RabbitMQ`; else the container id.
    pub(crate) name: String,
    /// The property `version` of the Open; empty if there is none.
    pub(crate) version: String,
}

impl BrokerProduct {
    /// Reads the product from a checked Open. Its properties are optional, and their types differ between
    /// brokers: strings or symbols. Without an Open the product stays unknown, and the dialect is
    /// `plain`.
    pub(crate) fn from_open(open: &[u8]) -> Self {
        let Ok(open) = serde_amqp::from_slice::<Open>(open) else { return Self::default() };
        let text = |key: &str| {
            let value = open.properties.as_ref()?.get(&Symbol::from(key))?;
            match value {
                Value::String(text) => Some(text.clone()),
                Value::Symbol(symbol) => Some(symbol.as_str().to_owned()),
                _ => None,
            }
        };
        Self {
            name: text("product").unwrap_or_else(|| open.container_id.clone()),
            version: text("version").unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for BrokerProduct {
    /// Shows name and version, escaped and shortened.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.name.as_str(), self.version.as_str()) {
            ("", _) => f.write_str("an unnamed broker"),
            (name, "") => printable(name, 64).fmt(f),
            (name, version) => write!(f, "{} {}", printable(name, 64), printable(version, 64)),
        }
    }
}

/// Returns the initial response of a mechanism. An empty response differs from none, and EXTERNAL
/// needs the empty one.
fn initial_response(mechanism: SaslMechanism, endpoint: &Endpoint, password: &Secret) -> Vec<u8> {
    match mechanism {
        SaslMechanism::Plain => {
            let user = endpoint.user.as_deref().unwrap_or_default();
            format!("\0{user}\0{}", password.expose()).into_bytes()
        }
        SaslMechanism::Anonymous => b"glance-notify".to_vec(),
        SaslMechanism::External => Vec::new(),
    }
}

/// Reads the eight bytes of a protocol header.
///
/// A peer that speaks another protocol may send fewer bytes and close. Then the rest stays zero,
/// because the bytes that came are enough to name the protocol.
async fn read_header(stream: &mut BrokerStream, header: &mut [u8; 8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < header.len() {
        match stream.read(&mut header[filled..]).await {
            Ok(0) if filled == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if filled == 0 => return Err(error),
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
    }
    Ok(())
}

/// Reads one SASL frame.
///
/// A frame begins with its size in four bytes, the offset of its body in words, the type 1, and two
/// unused bytes (AMQP 1.0, section 5.3.1).
///
/// # Errors
///
/// An error of the kind `InvalidData` for bytes that are not a SASL frame.
async fn read_frame(stream: &mut BrokerStream) -> io::Result<Frame> {
    let size = stream.read_u32().await?;
    if !(8..=MAX_SASL_BYTES).contains(&size) {
        return Err(invalid_data("a SASL frame has an impossible size"));
    }
    let mut frame = size.to_be_bytes().to_vec();
    frame.resize(size as usize, 0);
    stream.read_exact(&mut frame[4..]).await?;
    let body = frame_body(&frame).ok_or_else(|| invalid_data("a SASL frame has no body"))?;
    check_value(body).map_err(|_| invalid_data("a SASL frame is malformed"))?;
    serde_amqp::from_slice(body).map_err(|_| invalid_data("not a SASL frame"))
}

/// Writes one SASL frame.
async fn write_frame(stream: &mut BrokerStream, frame: Frame) -> io::Result<()> {
    let body = serde_amqp::to_vec(&frame).map_err(|_| invalid_data("cannot encode our frame"))?;
    let size = u32::try_from(8 + body.len())
        .map_err(|_| invalid_data("the user or the password is too long"))?;
    let mut bytes = size.to_be_bytes().to_vec();
    // The data offset in words, the frame type SASL, and two unused bytes.
    bytes.extend([2, 1, 0, 0]);
    bytes.extend(body);
    stream.write_all(&bytes).await
}

/// Returns the body behind the header of a frame. The header names its own length in words.
fn frame_body(frame: &[u8]) -> Option<&[u8]> {
    frame.get(usize::from(*frame.get(4)?) * 4..).filter(|body| !body.is_empty())
}

/// Returns an error about bytes that violate the protocol.
fn invalid_data(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// The protocol header of SASL (AMQP 1.0, section 5.3).
const SASL_HEADER: &[u8; 8] = b"AMQP\x03\x01\x00\x00";
/// The longest SASL frame to read, in bytes. The protocol allows 512.
const MAX_SASL_BYTES: u32 = 16 * 1024;
