//! What happens on the stream around the client library: SASL before it, and the peer's Open, which
//! it keeps to itself.
//!
//! fe2o3-amqp sends ANONYMOUS and EXTERNAL without an initial response; the peer then asks for it,
//! and fe2o3-amqp cannot answer. So SASL is ours, and the library gets a stream that is past it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use fe2o3_amqp::frames::sasl::Frame;
use fe2o3_amqp::types::performatives::Open;
use fe2o3_amqp::types::primitives::{Binary, Symbol, Value};
use fe2o3_amqp::types::sasl::{SaslCode, SaslInit};
use notify_core::Result;
use notify_core::redact::printable;
use notify_net::{BrokerStream, Secret};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::config::{Config, SaslMechanism};
use crate::error::Site;

/// Logs in by the first mechanism of ours that the peer offers.
///
/// # Errors
///
/// [`ErrorKind::Access`](notify_core::ErrorKind::Access) when we are refused, and those of
/// [`Site::not_amqp`].
pub(crate) async fn log_in(
    stream: &mut BrokerStream,
    config: &Config,
    password: &Secret,
    site: &Site,
) -> Result<()> {
    let lost = |error: io::Error| site.lost_at_log_in(&error);
    stream.write_all(SASL_HEADER).await.map_err(lost)?;
    let mut header = [0; 8];
    read_header(stream, &mut header).await.map_err(lost)?;
    if header != *SASL_HEADER {
        return Err(site.not_amqp(header));
    }

    let Frame::Mechanisms(offered) = read_frame(stream).await.map_err(lost)? else {
        return Err(site.confused("no SASL mechanisms were offered"));
    };
    let offered = offered.sasl_server_mechanisms.0;
    let ours = config.sasl_mechanism.iter().copied();
    let Some(mechanism) =
        ours.into_iter().find(|ours| offered.iter().any(|offer| offer.as_str() == ours.name()))
    else {
        let offered: Vec<_> = offered.iter().map(Symbol::as_str).collect();
        return Err(site.no_mechanism(&config.sasl_mechanism, &offered));
    };
    let init = SaslInit {
        mechanism: Symbol::from(mechanism.name()),
        initial_response: Some(Binary::from(response(mechanism, config, password))),
        hostname: config.virtual_host.clone(),
    };
    write_frame(stream, Frame::Init(init)).await.map_err(lost)?;
    match read_frame(stream).await {
        Ok(Frame::Outcome(outcome)) => match outcome.code {
            SaslCode::Ok => Ok(()),
            SaslCode::Auth => Err(site.refused_log_in(mechanism)),
            SaslCode::Sys | SaslCode::SysPerm | SaslCode::SysTemp => {
                Err(site.confused("it cannot check who we are now"))
            }
        },
        Ok(_) => Err(site.confused("it asks for more than the mechanism has to say")),
        // RabbitMQ 3 hangs up instead of an answer when it knows no user for a certificate.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(site.refused_log_in(mechanism))
        }
        Err(error) => Err(lost(error)),
    }
}

/// The stream as the client library gets it: reads the peer's Open along.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: BrokerStream,
    /// What has come so far, until the Open is complete.
    begin: Option<Vec<u8>>,
    product: Arc<OnceLock<Product>>,
}

/// What a peer says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Product {
    /// `product` of its Open, `qpid-cpp` or `RabbitMQ`; else its container id.
    pub(crate) name: String,
    /// `version` of its Open.
    pub(crate) version: String,
}

impl Wire {
    pub(crate) fn new(stream: BrokerStream, product: Arc<OnceLock<Product>>) -> Self {
        Self { stream, begin: Some(Vec::new()), product }
    }

    fn read_along(&mut self, bytes: &[u8]) {
        let Some(begin) = &mut self.begin else { return };
        begin.extend_from_slice(bytes);
        let Some(length) = begin.get(8..12) else { return };
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if let Some(frame) = begin.get(8..8 + length.min(MOST_OPEN)) {
            let open = body(frame).and_then(|body| serde_amqp::from_slice::<Open>(body).ok());
            if let Some(open) = open {
                // It is set once.
                let _ = self.product.set(Product::of(&open));
            }
            self.begin = None;
        }
    }
}

impl Product {
    fn of(open: &Open) -> Self {
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

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.name.as_str(), self.version.as_str()) {
            ("", _) => f.write_str("a broker without a name"),
            (name, "") => printable(name, 64).fmt(f),
            (name, version) => write!(f, "{} {}", printable(name, 64), printable(version, 64)),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.read_along(&buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What a mechanism says first. Never absent: an empty answer is one, too.
fn response(mechanism: SaslMechanism, config: &Config, password: &Secret) -> Vec<u8> {
    match mechanism {
        SaslMechanism::Plain => {
            let user = config.user.as_deref().unwrap_or_default();
            format!("\0{user}\0{}", password.expose()).into_bytes()
        }
        SaslMechanism::Anonymous => b"glance-notify".to_vec(),
        SaslMechanism::External => Vec::new(),
    }
}

/// Reads eight bytes, or fewer from a peer that speaks another protocol and hangs up.
async fn read_header(stream: &mut BrokerStream, header: &mut [u8; 8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < header.len() {
        match stream.read(&mut header[filled..]).await {
            Ok(0) if filled == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if filled == 0 => return Err(error),
            // What came says enough.
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
    }
    Ok(())
}

async fn read_frame(stream: &mut BrokerStream) -> io::Result<Frame> {
    let length = stream.read_u32().await?;
    if !(8..=MOST_SASL).contains(&length) {
        return Err(invalid("a frame of SASL of that length"));
    }
    let mut frame = length.to_be_bytes().to_vec();
    frame.resize(length as usize, 0);
    stream.read_exact(&mut frame[4..]).await?;
    let body = body(&frame).ok_or_else(|| invalid("a frame without a body"))?;
    serde_amqp::from_slice(body).map_err(|_| invalid("a frame that is not SASL"))
}

async fn write_frame(stream: &mut BrokerStream, frame: Frame) -> io::Result<()> {
    let body = serde_amqp::to_vec(&frame).map_err(|_| invalid("a frame of our own"))?;
    let length =
        u32::try_from(8 + body.len()).map_err(|_| invalid("a name or password so long"))?;
    let mut bytes = length.to_be_bytes().to_vec();
    // The data offset in words, the type SASL, and two bytes that are not used.
    bytes.extend([2, 1, 0, 0]);
    bytes.extend(body);
    stream.write_all(&bytes).await
}

/// What follows the header of a frame.
fn body(frame: &[u8]) -> Option<&[u8]> {
    frame.get(usize::from(*frame.get(4)?) * 4..).filter(|body| !body.is_empty())
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The protocol header of SASL (AMQP 1.0, 5.3.1).
const SASL_HEADER: &[u8; 8] = b"AMQP\x03\x01\x00\x00";
/// The longest frame of SASL that is read, in bytes; the protocol allows 512.
const MOST_SASL: u32 = 16 * 1024;
/// The longest Open that is read along, in bytes.
const MOST_OPEN: usize = 64 * 1024;
