//! Delivers to a destination of your own: a program that listens on a Unix socket.
//!
//! ```sh
//! socat UNIX-LISTEN:/tmp/events.sock,fork SYSTEM:'while read line; do echo "$line" >&2; echo ok; done' &
//! cargo run -p glance-notify --example own_transport -- /tmp/events.sock
//! ```
//!
//! The protocol: the client sends each notification as one line of JSON. For each line the server
//! answers `ok` (stored), `busy` (send it again later) or `no` (never send it again).
//!
//! To prove that your transport keeps the contract of [`Transport`], run the crate
//! `notify-conformance` on it: implement its `Harness` for your destination, and write
//! `notify_conformance::suite!(MyHarness);`. This example passes that suite in
//! `tests/interop/tests/own_transport.rs`.

#![expect(clippy::print_stdout, reason = "the program shows what happens")]

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use glance_notify::event::{DeletedImage, EventType};
use glance_notify::transport::{Batch, Transport, Verdict, async_trait};
use glance_notify::uuid::Uuid;
use glance_notify::{Config, Error, ErrorKind, Event, Outcome, Payload, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::UnixStream;

/// A transport that sends lines to a Unix socket.
///
/// It holds no queue and never retries: the worker does both.
#[derive(Debug)]
pub struct SocketTransport {
    path: PathBuf,
    connection: Option<BufStream<UnixStream>>,
}

impl SocketTransport {
    /// Creates a transport to the socket at `path`. It connects when the first message comes.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), connection: None }
    }
}

#[async_trait]
impl Transport for SocketTransport {
    fn name(&self) -> &'static str {
        "socket"
    }

    fn wants(&self, _: &EventType) -> bool {
        true
    }

    async fn send(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if batch.messages().is_empty() {
            return Ok(());
        }
        // Take the connection out. If this attempt fails, or the worker drops it halfway, the next
        // attempt connects again, so no answer can be taken for the answer to another message.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufStream::new(UnixStream::connect(&self.path).await.map_err(unreachable)?),
        };
        for (index, message) in batch.messages().iter().enumerate() {
            let exchange = exchange(&mut connection, message.body());
            // Every wait has a deadline.
            let verdict = match tokio::time::timeout(ANSWER_TIMEOUT, exchange).await {
                Ok(verdict) => verdict.map_err(unreachable),
                Err(_) => Err(Error::new(ErrorKind::Timeout, "no answer from the socket")),
            };
            // The server may have the message. Without `Unknown`, the error would deny that.
            let verdict = verdict.map_err(|error| error.with_outcome(Outcome::Unknown))?;
            // A verdict is final, even if a later message fails. The worker sends those without a
            // verdict again.
            batch.settle(index, verdict);
        }
        self.connection = Some(connection);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        self.connection = None;
        Ok(())
    }
}

/// Sends one line and reads the answer. Only an `ok` is proof of acceptance.
async fn exchange(connection: &mut BufStream<UnixStream>, body: &[u8]) -> io::Result<Verdict> {
    connection.write_all(body).await?;
    connection.write_all(b"\n").await?;
    connection.flush().await?;
    let mut answer = String::new();
    connection.read_line(&mut answer).await?;
    match answer.trim_end() {
        "ok" => Ok(Verdict::Accept),
        "busy" => Ok(Verdict::Retry(Error::new(ErrorKind::Unavailable, "the server is busy"))),
        "no" => Ok(Verdict::Refuse(Error::new(ErrorKind::Rejected, "the server rejected it"))),
        "" => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Err(io::Error::other("expected the answer ok, busy or no")),
    }
}

/// Reports a broken connection. The worker retries with backoff.
fn unreachable(error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the socket is unreachable").with_source(error)
}

/// The longest wait for the answer to one message.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: own_transport SOCKET [CONFIG]")?;
    // The operator's settings but the strategy: the queue, disabled notifications, redaction.
    let config = match args.next() {
        Some(file) => Config::load(file)?,
        None => Config::default(),
    };
    let (notifier, worker) = config.builder_for(SocketTransport::new(path))?.build()?;
    let worker = tokio::spawn(worker.run());
    for number in 1..=3 {
        let image = DeletedImage::Id(Uuid::from_u128(number));
        match notifier.send(&Event::ImageDelete(Payload::Info(image))).await {
            Ok(()) => println!("delivered"),
            Err(error) => println!("{:?}: {error:#}", error.outcome()),
        }
    }
    notifier.shutdown(Duration::from_secs(10)).await;
    worker.await?;
    Ok(())
}
