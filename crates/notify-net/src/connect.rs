//! TCP and TLS to one host, within a deadline.
//!
//! This module knows no protocol above TLS. Choosing among several hosts is the task of
//! [`Failover`](crate::Failover).

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::time::Duration;

use notify_core::{Error, ErrorKind, Result};
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::failover::fair_share;
use crate::host::Host;
use crate::peer::PeerInfo;
use crate::stream::{BrokerStream, ByteStream, ShutdownGuard};
use crate::tls::config::TlsConfig;
use crate::tls::explain_tls_error;

/// Connects to `host`, with TLS if `tls` is given, before `deadline`.
///
/// The function resolves the name and tries each address; the addresses share the time. It never
/// falls back from TLS to plain text. Keep the [`ShutdownGuard`] as long as you use the stream:
/// dropping it ends the connection.
///
/// `user_timeout` limits how long the kernel waits for the broker to acknowledge written bytes
/// (`TCP_USER_TIMEOUT`, see tcp(7); Linux only). It detects a broker that vanished while the client
/// writes, when heartbeats cannot.
///
/// # Errors
///
/// * [`ErrorKind::Unavailable`] or [`ErrorKind::Timeout`] with the host's name.
/// * Those of [`explain_tls_error`].
///
/// # Cancel safety
///
/// Dropping the future closes the socket.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use notify_net::{Host, connect};
/// use tokio::time::Instant;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let broker = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let host = Host { name: "127.0.0.1".into(), port: broker.local_addr()?.port() };
///
/// let timeout = Duration::from_secs(10);
/// let (stream, _guard) = connect(&host, None, timeout, Instant::now() + timeout).await.unwrap();
/// assert_eq!(stream.peer().to_string(), format!("{host} (127.0.0.1)"));
/// # Ok(())
/// # }
/// ```
pub async fn connect(
    host: &Host,
    tls: Option<&TlsConfig>,
    user_timeout: Duration,
    deadline: Instant,
) -> Result<(BrokerStream, ShutdownGuard)> {
    let resolve = tokio::net::lookup_host((host.name.as_str(), host.port));
    let addresses: Vec<_> = match timeout_at(deadline, resolve).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(unavailable("cannot resolve", host, error)),
        Err(_) => return Err(timeout_error("resolving the name of", host)),
    };

    let mut last_error = None;
    for (index, &address) in addresses.iter().enumerate() {
        let deadline = fair_share(deadline, addresses.len() - index);
        match timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                let guard = configure_socket(&tcp, user_timeout)
                    .map_err(|error| unavailable("cannot configure the socket to", host, error))?;
                let (io, tls): (Box<dyn ByteStream>, _) = match tls {
                    Some(tls) => {
                        let (io, negotiated) = tls.handshake(tcp, host, deadline).await?;
                        (io, Some(negotiated))
                    }
                    None => (Box::new(tcp), None),
                };
                let peer = PeerInfo { host: host.clone(), address, tls };
                return Ok((BrokerStream::new(io, peer), guard));
            }
            Ok(Err(error)) => last_error = Some(unavailable("cannot connect to", host, error)),
            Err(_) => last_error = Some(timeout_error("connecting to", host)),
        }
    }
    Err(last_error.unwrap_or_else(|| {
        Error::new(ErrorKind::Unavailable, format!("the name of {host} resolves to no address"))
    }))
}

/// Finds the TLS alert behind `error`, the end of a TLS connection during the login.
///
/// With TLS 1.3 the broker checks the client's certificate after the client has finished the
/// handshake, and reports a rejection by an alert. The bytes that the client has sent by then make
/// the broker's kernel reset the connection, and the reset can overtake the alert. So this function
/// connects a second time and only reads, for at most one second and until `deadline`.
///
/// Returns the meaning of the alert, or `error` unchanged if none arrives, if `tls` is `None`, or if
/// `error` is not [`ErrorKind::Unavailable`].
///
/// # Cancel safety
///
/// Dropping the future closes the second connection.
pub async fn diagnose_disconnect(
    error: Error,
    host: &Host,
    tls: Option<&TlsConfig>,
    user_timeout: Duration,
    deadline: Instant,
) -> Error {
    let Some(tls) = tls.filter(|_| error.kind() == ErrorKind::Unavailable) else { return error };
    let deadline = deadline.min(Instant::now() + ALERT_TIMEOUT);
    let read_alert = async {
        let (mut stream, _guard) = connect(host, Some(tls), user_timeout, deadline).await.ok()?;
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        let read = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut byte));
        explain_tls_error(&timeout_at(deadline, read).await.ok()?.err()?, host)
    };
    read_alert.await.unwrap_or(error)
}

/// Sets the socket's options and returns a guard with a second handle of the socket.
fn configure_socket(tcp: &TcpStream, user_timeout: Duration) -> io::Result<ShutdownGuard> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(user_timeout))?;
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, user_timeout);
    Ok(ShutdownGuard::new(tcp.as_fd().try_clone_to_owned()?.into()))
}

/// Creates the error of `action`, which failed with `error`.
fn unavailable(action: &str, host: &Host, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{action} {host}")).with_source(error)
}

/// Creates the error of `action`, which the deadline ended.
fn timeout_error(action: &str, host: &Host) -> Error {
    Error::new(ErrorKind::Timeout, format!("{action} {host} timed out"))
}

/// The time that a broker may take to send the alert about a client certificate.
const ALERT_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// Creates a host.
    fn host(name: &str, port: u16) -> Host {
        Host { name: name.into(), port }
    }

    /// Listens on a free port of this machine.
    async fn listener() -> (TcpListener, Host) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, host("127.0.0.1", port))
    }

    /// Dropping the guard wakes a task that waits for the broker, and the broker sees the end.
    #[tokio::test]
    async fn dropping_the_guard_ends_the_connection() {
        let (listener, host) = listener().await;
        let (mut stream, guard) = connect(&host, None, LONG, Instant::now() + LONG).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut hello = [0; 5];
        server.read_exact(&mut hello).await.unwrap();
        assert_eq!(stream.peer().to_string(), format!("{host} (127.0.0.1)"));

        let reader = tokio::spawn(async move { stream.read(&mut [0; 1]).await });
        drop(guard);
        assert_eq!(tokio::time::timeout(LONG, reader).await.unwrap().unwrap().unwrap(), 0);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    }

    /// Errors contain the host and the operating system's words.
    #[tokio::test]
    async fn errors_name_the_unreachable_host() {
        let (closed, unreachable) = listener().await;
        drop(closed);
        let error = connect(&unreachable, None, LONG, Instant::now() + LONG).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let text = format!("{error:#}");
        assert!(
            text.contains(&format!("cannot connect to {unreachable}: Connection refused")),
            "{text}"
        );

        let unknown = host("no-such-host.invalid", 5672);
        let error = connect(&unknown, None, LONG, Instant::now() + LONG).await.unwrap_err();
        assert!(error.to_string().contains("cannot resolve no-such-host.invalid:5672"), "{error}");
    }
}
