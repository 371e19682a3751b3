//! TCP to one of several hosts, each within its share of one deadline.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use notify_core::{Error, ErrorKind, Result};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::{Host, PeerInfo, TlsConfig};

/// One round over the hosts: each once, in an order of its own, each with an equal share of the time
/// that is left.
///
/// ```
/// # async fn log_in(host: &notify_net::Host) -> notify_core::Result<()> { Ok(()) }
/// # async fn example(hosts: &[notify_net::Host]) -> notify_core::Result<()> {
/// let mut attempts = notify_net::Failover::new(hosts, std::time::Duration::from_secs(10));
/// while let Some((host, deadline)) = attempts.next() {
///     match tokio::time::timeout_at(deadline, log_in(host)).await {
///         Ok(Ok(connection)) => return Ok(connection),
///         Ok(Err(error)) => attempts.record_error(error),
///         Err(_) => attempts.record_timeout(host),
///     }
/// }
/// Err(attempts.into_error())
/// # }
/// ```
#[derive(Debug)]
pub struct Failover<'a> {
    /// Whom to ask next, from the end.
    left: Vec<&'a Host>,
    deadline: Instant,
    errors: Vec<Error>,
}

impl<'a> Failover<'a> {
    /// A round over `hosts` in random order, so that a fleet spreads over a cluster, which ends
    /// within `timeout`.
    pub fn new(hosts: &'a [Host], timeout: Duration) -> Self {
        let mut left: Vec<_> = hosts.iter().collect();
        for last in (1..left.len()).rev() {
            // Without randomness the configured order is as good as another.
            let random = getrandom::u32().map_or(last, |random| random as usize);
            left.swap(last, random % (last + 1));
        }
        Self { left, deadline: Instant::now() + timeout, errors: Vec::new() }
    }

    /// The next host and until when to wait for it.
    #[expect(clippy::should_implement_trait, reason = "the loop body needs the rest mutably")]
    pub fn next(&mut self) -> Option<(&'a Host, Instant)> {
        let deadline = share(self.deadline, self.left.len());
        Some((self.left.pop()?, deadline))
    }

    /// Notes why a host did not let us in.
    pub fn record_error(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// Notes that a host did not answer within its share.
    pub fn record_timeout(&mut self, host: &Host) {
        self.record_error(Error::new(
            ErrorKind::Timeout,
            format!("{host} did not answer in time: is a broker behind it?"),
        ));
    }

    /// Why nobody let us in. Permanent only if every host's reason is: one that is merely away may
    /// come back.
    pub fn into_error(mut self) -> Error {
        if self.errors.len() < 2 {
            return self.errors.pop().unwrap_or_else(|| {
                Error::new(ErrorKind::Config, "no host to connect to is configured")
            });
        }
        let kind = self.errors.iter().find(|error| error.is_transient()).unwrap_or(&self.errors[0]);
        let reasons: Vec<_> = self.errors.iter().map(|error| format!("{error:#}")).collect();
        Error::new(kind.kind(), format!("no host let us in: {}", reasons.join("; ")))
    }
}

/// Connects to `host`, with TLS if a client configuration is given, or fails by `deadline`. The
/// stream lasts as long as the handle beside it.
///
/// `user_timeout` is how long the kernel waits for the peer to acknowledge what was written
/// (`TCP_USER_TIMEOUT`, Linux only): a peer that vanished is noticed also while we write.
///
/// # Errors
///
/// Those of [`explain_tls_error`](crate::explain_tls_error), and [`ErrorKind::Unavailable`] or [`ErrorKind::Timeout`]
/// naming the host.
///
/// # Cancel safety
///
/// Dropping the future closes the socket.
pub async fn connect(
    host: &Host,
    tls: Option<&TlsConfig>,
    user_timeout: Duration,
    deadline: Instant,
) -> Result<(BrokerStream, ShutdownGuard)> {
    let late = |what| Error::new(ErrorKind::Timeout, format!("{what} {host} took too long"));
    let resolve = tokio::net::lookup_host((host.name.as_str(), host.port));
    let addresses: Vec<_> = match timeout_at(deadline, resolve).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(unreachable_host("cannot resolve", host, error)),
        Err(_) => return Err(late("resolving the name of")),
    };

    let mut failure = None;
    for (index, &address) in addresses.iter().enumerate() {
        let deadline = share(deadline, addresses.len() - index);
        match timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                let hangup = tune(&tcp, user_timeout).map_err(|error| {
                    unreachable_host("cannot set up the socket to", host, error)
                })?;
                let (io, tls): (Box<dyn ByteStream>, _) = match tls {
                    Some(tls) => {
                        let (io, agreed) = tls.handshake(tcp, host, deadline).await?;
                        (io, Some(agreed))
                    }
                    None => (Box::new(tcp), None),
                };
                let peer = PeerInfo { host: host.clone(), address, tls };
                return Ok((BrokerStream { io, peer }, hangup));
            }
            Ok(Err(error)) => {
                failure = Some(unreachable_host("cannot connect to", host, error));
            }
            Err(_) => failure = Some(late("connecting to")),
        }
    }
    Err(failure.unwrap_or_else(|| {
        Error::new(ErrorKind::Unavailable, format!("the name of {host} has no address"))
    }))
}

/// What `error` hides, where a connection with TLS just ended while we logged in: most likely that
/// `host` has something against our certificate.
///
/// With TLS 1.3 it says so after the handshake is over for us; and what we have sent by then makes
/// its kernel reset the connection, which can overtake what it said. So this connects again and only
/// listens, for a second and until `deadline` at the most. Gives back `error` where nothing is heard.
pub async fn diagnose_disconnect(
    error: Error,
    host: &Host,
    tls: Option<&TlsConfig>,
    user_timeout: Duration,
    deadline: Instant,
) -> Error {
    let Some(tls) = tls.filter(|_| error.kind() == ErrorKind::Unavailable) else { return error };
    let deadline = deadline.min(Instant::now() + SECOND_LOOK);
    let refusal = async {
        let (mut stream, _hangup) = connect(host, Some(tls), user_timeout, deadline).await.ok()?;
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let read = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut byte));
        crate::explain_tls_error(&timeout_at(deadline, read).await.ok()?.err()?, host)
    };
    refusal.await.unwrap_or(error)
}

/// A connected stream, with TLS or without.
#[derive(Debug)]
pub struct BrokerStream {
    io: Box<dyn ByteStream>,
    peer: PeerInfo,
}

/// Ends a connection from outside of whoever reads and writes it, when it is dropped.
///
/// A client library may hold a stream in a thread of its own, and wait there for a peer that never
/// answers.
#[derive(Debug)]
pub struct ShutdownGuard(std::net::TcpStream);

/// Bytes in both directions.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> ByteStream for T {}

impl BrokerStream {
    /// Who is at the other end.
    pub fn peer(&self) -> &PeerInfo {
        &self.peer
    }
}

impl Drop for ShutdownGuard {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl AsyncRead for BrokerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl AsyncWrite for BrokerStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// An equal share for one of `left` of the time until `deadline`.
fn share(deadline: Instant, left: usize) -> Instant {
    let now = Instant::now();
    let left = u32::try_from(left.max(1)).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / left
}

/// Sets the socket's options and returns a second handle on it.
fn tune(tcp: &TcpStream, user_timeout: Duration) -> io::Result<ShutdownGuard> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(user_timeout))?;
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, user_timeout);
    Ok(ShutdownGuard(tcp.as_fd().try_clone_to_owned()?.into()))
}

fn unreachable_host(what: &str, host: &Host, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{what} {host}")).with_source(error)
}

/// How long a broker may take to say what it has against our certificate.
const SECOND_LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.into(), port }
    }

    async fn listener() -> (TcpListener, Host) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, host("127.0.0.1", port))
    }

    #[tokio::test]
    async fn a_hangup_ends_a_connection_that_another_holds() {
        let (listener, host) = listener().await;
        let (mut stream, hangup) = connect(&host, None, LONG, Instant::now() + LONG).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut hello = [0; 5];
        server.read_exact(&mut hello).await.unwrap();
        assert_eq!(stream.peer().to_string(), format!("{host} (127.0.0.1)"));

        let held = tokio::spawn(async move { stream.read(&mut [0; 1]).await });
        drop(hangup);
        assert_eq!(tokio::time::timeout(LONG, held).await.unwrap().unwrap().unwrap(), 0);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn whoever_is_not_there_is_named() {
        let (gone, nobody) = listener().await;
        drop(gone);
        let error = connect(&nobody, None, LONG, Instant::now() + LONG).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let text = format!("{error:#}");
        assert!(
            text.contains(&format!("cannot connect to {nobody}: Connection refused")),
            "{text}"
        );

        let unknown = host("no-such-host.invalid", 5672);
        let error = connect(&unknown, None, LONG, Instant::now() + LONG).await.unwrap_err();
        assert!(error.to_string().contains("cannot resolve no-such-host.invalid:5672"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_host_has_its_share_of_the_deadline() {
        let hosts = [host("a", 1), host("b", 2), host("c", 3)];
        let start = Instant::now();
        let mut attempts = Failover::new(&hosts, Duration::from_secs(12));
        let mut asked = Vec::new();
        let mut waited = Vec::new();
        while let Some((host, deadline)) = attempts.next() {
            // The second fails at once: what it leaves is the third's.
            if asked.len() == 1 {
                attempts.record_error(Error::new(ErrorKind::Access, "refused"));
            } else {
                tokio::time::sleep_until(deadline).await;
                attempts.record_timeout(host);
            }
            asked.push(host.name.clone());
            waited.push(start.elapsed().as_secs());
        }
        assert_eq!(waited, [4, 4, 12]);
        asked.sort();
        assert_eq!(asked, ["a", "b", "c"]);
        let error = attempts.into_error();
        assert!(error.is_transient(), "a host that may come back: {error}");
        assert!(error.to_string().contains("refused; "), "{error}");
    }

    #[test]
    fn the_order_is_shuffled() {
        let hosts: Vec<_> = (1..=8).map(|port| host("h", port)).collect();
        let order = || {
            let attempts = Failover::new(&hosts, LONG);
            attempts.left.iter().map(|host| host.port).collect::<Vec<_>>()
        };
        let first = order();
        assert!((0..64).any(|_| order() != first));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn reasons_are_permanent_only_if_all_are() {
        let hosts = [host("a", 1), host("b", 2)];
        let mut attempts = Failover::new(&hosts, LONG);
        attempts.record_error(Error::new(ErrorKind::Access, "wrong password"));
        attempts.record_error(Error::new(ErrorKind::Config, "unknown vhost"));
        let error = attempts.into_error();
        assert_eq!(error.kind(), ErrorKind::Access);
        assert_eq!(error.to_string(), "no host let us in: wrong password; unknown vhost");
    }
}
