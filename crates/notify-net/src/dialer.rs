//! The way to a logged-in connection: every address of every host, TCP, TLS and the login, within one
//! deadline.
//!
//! A failed TLS handshake or login moves on to the next address, as a refused connection does. This
//! module never falls back from TLS to plain text, and it knows no protocol above TLS: the caller logs
//! in.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use notify_core::{Error, ErrorKind, Result};
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::address_race::{AddressRace, UnreachableHost, unavailable};
use crate::blocking::read_in_time;
use crate::endpoint::Endpoint;
use crate::host::Host;
use crate::peer::PeerInfo;
use crate::stream::{BrokerStream, ByteStream, ShutdownGuard};
use crate::tls::config::TlsConfig;
use crate::tls::explain_tls_error;

/// Connects to an endpoint.
///
/// # Examples
///
/// ```
/// use notify_core::Result;
/// use notify_net::{BrokerStream, Dialer, Endpoint, Host, ShutdownGuard};
///
/// /// A connection whose protocol has no login.
/// async fn log_in(
///     stream: BrokerStream,
///     guard: ShutdownGuard,
/// ) -> Result<(BrokerStream, ShutdownGuard)> {
///     Ok((stream, guard))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let broker = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let host = Host { name: "127.0.0.1".into(), port: broker.local_addr()?.port() };
/// let mut endpoint = Endpoint::default();
/// endpoint.hosts = vec![host.clone()];
///
/// let (stream, _guard) = Dialer::new(&endpoint).await.unwrap().open(log_in).await.unwrap();
/// assert_eq!(stream.peer().to_string(), format!("{host} (127.0.0.1)"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Dialer<'a> {
    endpoint: &'a Endpoint,
    tls: Option<TlsConfig>,
}

impl<'a> Dialer<'a> {
    /// Reads the TLS files of `endpoint`, without connecting.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Access`] if a file is unreadable, and [`ErrorKind::Unavailable`] after the endpoint's
    /// `connect_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future discards the files.
    pub async fn new(endpoint: &'a Endpoint) -> Result<Self> {
        let tls = match &endpoint.tls {
            Some(files) => {
                let time = endpoint.connect_timeout;
                Some(read_in_time(time, &files.paths(), files.load()).await?)
            }
            None => None,
        };
        Ok(Self { endpoint, tls })
    }

    /// Connects to the first address that accepts the TLS handshake and the login, within the
    /// endpoint's `connect_timeout`.
    ///
    /// `log_in` must keep the [`ShutdownGuard`] as long as it uses the stream: dropping it ends the
    /// connection. Each address has an equal share of the time that is left, so a silent address cannot
    /// use up the time of the others.
    ///
    /// # Errors
    ///
    /// The error of the only address, or one error with the reason of each. It is permanent only if
    /// every reason is. An unreachable address is no reason if the host answers at one of the other family:
    /// `localhost` often has an IPv6 address at which no broker listens.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the sockets.
    pub async fn open<C, F>(
        &self,
        log_in: impl Fn(BrokerStream, ShutdownGuard) -> F + Send + Sync,
    ) -> Result<C>
    where
        C: Send,
        F: Future<Output = Result<C>> + Send,
    {
        let deadline = Instant::now() + self.endpoint.connect_timeout;
        let mut race = AddressRace::new(&self.endpoint.hosts);
        let mut failures = LoginFailures::default();
        while let Some(connected) = race.next(deadline).await {
            let (host, address, tcp) = match connected {
                Ok(connection) => connection,
                Err(unreachable) => {
                    failures.unreachable.push(unreachable);
                    continue;
                }
            };
            let deadline = fair_share(deadline, race.remaining() + 1);
            let attempt = async {
                let (stream, guard) = self.secure(host, address, tcp, deadline).await?;
                let has_received = stream.has_received();
                match log_in(stream, guard).await {
                    // A broker that has sent a byte has accepted the client's certificate.
                    Err(error) if !has_received.load(Ordering::Relaxed) => {
                        Err(self.diagnose(error, host, address, deadline).await)
                    }
                    logged_in => logged_in,
                }
            };
            match timeout_at(deadline, attempt).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => failures.answered.push((host, address, error)),
                Err(_) => failures.answered.push((host, address, timeout_error(host))),
            }
        }
        // Only the deadline ends the race before every host has answered.
        failures.unreachable.extend(race.unanswered().map(|host| UnreachableHost {
            host,
            address: None,
            error: timeout_error(host),
        }));
        Err(failures.join())
    }

    /// Sets the socket's options, and encrypts the connection if the endpoint has TLS.
    async fn secure(
        &self,
        host: &Host,
        address: SocketAddr,
        tcp: TcpStream,
        deadline: Instant,
    ) -> Result<(BrokerStream, ShutdownGuard)> {
        let guard = configure_socket(&tcp, self.user_timeout())
            .map_err(|error| unavailable("cannot configure the socket to", host, error))?;
        let (io, tls): (Box<dyn ByteStream>, _) = match &self.tls {
            Some(tls) => {
                let (io, negotiated) = tls.handshake(tcp, host, deadline).await?;
                (io, Some(negotiated))
            }
            None => (Box::new(tcp), None),
        };
        Ok((BrokerStream::new(io, PeerInfo { host: host.clone(), address, tls }), guard))
    }

    /// Finds the TLS alert behind `error`, the end of a TLS connection on which the broker sent nothing.
    ///
    /// With TLS 1.3 the broker checks the client's certificate after the client has finished the
    /// handshake, and reports a rejection by an alert. The bytes that the client has sent by then make
    /// the broker's kernel reset the connection, and the reset can overtake the alert. So this function
    /// connects a second time and only reads, for at most one second.
    ///
    /// Returns the meaning of the alert, or `error` unchanged if none arrives, if there is no TLS, or if
    /// `error` is not [`ErrorKind::Unavailable`].
    async fn diagnose(
        &self,
        error: Error,
        host: &Host,
        address: SocketAddr,
        deadline: Instant,
    ) -> Error {
        if self.tls.is_none() || error.kind() != ErrorKind::Unavailable {
            return error;
        }
        let deadline = deadline.min(Instant::now() + ALERT_TIMEOUT);
        let read_alert = async {
            let tcp = TcpStream::connect(address).await.ok()?;
            let (mut stream, _guard) = self.secure(host, address, tcp, deadline).await.ok()?;
            let mut byte = [0];
            let mut byte = ReadBuf::new(&mut byte);
            let read = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_read(cx, &mut byte));
            explain_tls_error(&read.await.err()?, host)
        };
        timeout_at(deadline, read_alert).await.ok().flatten().unwrap_or(error)
    }

    /// Returns how long the kernel waits for the broker to acknowledge written bytes
    /// (`TCP_USER_TIMEOUT`, see tcp(7)): two heartbeats. It detects a broker that vanished while the
    /// client writes, when heartbeats cannot.
    fn user_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.endpoint.heartbeat) * 2)
    }
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

/// Returns the end of the current share, if `parts` equal shares fill the time until `deadline`.
fn fair_share(deadline: Instant, parts: usize) -> Instant {
    let now = Instant::now();
    let parts = u32::try_from(parts.max(1)).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / parts
}

/// Creates the error of a host that did not finish the login in time.
///
/// Its kind is that of a host without a connection. A transport returns [`ErrorKind::Timeout`] for a
/// broker that withholds its answers for some lanes of a connection that works.
fn timeout_error(host: &Host) -> Error {
    let message = format!("{host} timed out: does a broker listen on this port?");
    Error::new(ErrorKind::Unavailable, message)
}

/// The failures at the addresses of all hosts.
#[derive(Default)]
struct LoginFailures<'a> {
    /// The errors of addresses that accepted a TCP connection.
    answered: Vec<(&'a Host, SocketAddr, Error)>,
    unreachable: Vec<UnreachableHost<'a>>,
}

impl LoginFailures<'_> {
    /// Returns one error for all addresses, with each reason once.
    ///
    /// Its kind is permanent only if every address failed with a permanent error, because an address that
    /// is only unreachable may come back. One does not count whose host answered at an address of the other
    /// family: the broker listens only there. Several addresses of one family may be several brokers.
    fn join(self) -> Error {
        let Self { answered, mut unreachable } = self;
        unreachable.retain(|UnreachableHost { host, address, .. }| {
            let is_other_family = |(other, answering, _): &(&Host, SocketAddr, Error)| {
                other == host && address.is_some_and(|it| it.is_ipv6() != answering.is_ipv6())
            };
            !answered.iter().any(is_other_family)
        });
        let mut reasons: Vec<String> = Vec::new();
        let unreachable = unreachable.into_iter().map(|it| it.error);
        let answered = answered.into_iter().map(|it| it.2);
        let mut errors: Vec<Error> = unreachable.chain(answered).collect();
        errors.retain(|error| {
            let reason = format!("{error:#}");
            let is_new = !reasons.contains(&reason);
            if is_new {
                reasons.push(reason);
            }
            is_new
        });
        if errors.len() < 2 {
            let none = || Error::new(ErrorKind::Config, "no broker host is configured");
            return errors.pop().unwrap_or_else(none);
        }
        let kind = errors.iter().find(|error| error.is_transient()).unwrap_or(&errors[0]).kind();
        Error::new(kind, format!("cannot log in to any host: {}", reasons.join("; ")))
    }
}

/// The time that a broker may take to send the alert about a client certificate.
const ALERT_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::blocking::{MOST_READS, READS};
    use crate::sasl::SaslMechanism;
    use crate::secret::Password;
    use crate::tls::files::TlsFiles;

    const LONG: Duration = Duration::from_secs(30);

    /// Returns an endpoint with these hosts.
    fn endpoint(hosts: &[(&str, u16)], timeout: Duration) -> Endpoint {
        let hosts = hosts.iter().map(|&(name, port)| Host { name: name.into(), port }).collect();
        Endpoint { hosts, connect_timeout: timeout, ..Endpoint::default() }
    }

    /// Connects without a login.
    async fn dial(endpoint: &Endpoint) -> Result<(BrokerStream, ShutdownGuard)> {
        let log_in = |stream, guard| async { Ok((stream, guard)) };
        Dialer::new(endpoint).await?.open(log_in).await
    }

    /// Logs in by reading one byte: `+` is a success, `-` a refusal.
    async fn log_in(mut stream: BrokerStream, guard: ShutdownGuard) -> Result<ShutdownGuard> {
        match stream.read_u8().await {
            Ok(b'+') => Ok(guard),
            _ => Err(Error::new(ErrorKind::Access, "authentication failed")),
        }
    }

    /// Starts a server on an address that answers every client with `answer`.
    async fn serve(address: (&str, u16), answer: Option<u8>) -> u16 {
        let listener = TcpListener::bind(address).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut tcp, _)) = listener.accept().await {
                match answer {
                    Some(byte) => tcp.write_all(&[byte]).await.unwrap(),
                    None => silent.push(tcp),
                }
            }
        });
        port
    }

    /// A name with three addresses, of which one accepts the connection and says nothing, and one
    /// refuses the login: the third gets the connection within the deadline, in every order.
    #[tokio::test]
    async fn every_address_is_tried_until_one_accepts_the_login() {
        let port = serve(("127.0.0.1", 0), Some(b'+')).await;
        serve(("127.0.0.2", port), Some(b'-')).await;
        serve(("127.0.0.3", port), None).await;
        let hosts = [("127.0.0.1", port), ("127.0.0.2", port), ("127.0.0.3", port)];
        let endpoint = endpoint(&hosts, Duration::from_secs(6));
        for _ in 0..6 {
            let started = Instant::now();
            Dialer::new(&endpoint).await.unwrap().open(log_in).await.unwrap();
            assert!(started.elapsed() < Duration::from_secs(6));
        }
    }

    /// A disk that hangs while the password or the TLS files are read ends the attempt, and the error names them.
    #[tokio::test]
    async fn a_disk_that_hangs_ends_the_attempt() {
        let endpoint = Endpoint {
            user: Some("glance".into()),
            password: Some(Password::File("/nfs/password".into())),
            sasl_mechanism: vec![SaslMechanism::Plain],
            tls: Some(TlsFiles { ca_file: Some("/nfs/ca.pem".into()), ..TlsFiles::default() }),
            ..endpoint(&[("127.0.0.1", 1)], Duration::from_millis(20))
        };
        // No read gets a thread, as if others hung.
        let _reads = timeout(LONG, READS.acquire_many(MOST_READS)).await.unwrap().unwrap();
        let reading = timeout(LONG, endpoint.read_password());
        let error = reading.await.expect("the read ends").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let expected = "cannot read `password_file` /nfs/password: the disk does not answer";
        assert_eq!(error.to_string(), expected);
        if cfg!(feature = "tls") {
            let reading = timeout(LONG, Dialer::new(&endpoint));
            let error = reading.await.expect("the read ends").unwrap_err();
            let expected = "cannot read `ca_file` /nfs/ca.pem: the disk does not answer";
            assert_eq!(error.to_string(), expected);
        }
    }

    /// One error names every reason once.
    #[tokio::test]
    async fn the_error_has_every_reason() {
        let port = serve(("127.0.0.1", 0), Some(b'-')).await;
        serve(("127.0.0.2", port), Some(b'-')).await;
        let hosts = [("127.0.0.1", port), ("127.0.0.2", port), ("127.0.0.3", port)];
        let endpoint = endpoint(&hosts, LONG);
        let error = Dialer::new(&endpoint).await.unwrap().open(log_in).await.unwrap_err();
        assert!(error.is_transient(), "a host that may come back: {error}");
        let text = error.to_string();
        assert_eq!(text.matches("authentication failed").count(), 1, "{text}");
        assert!(text.contains(&format!("cannot connect to 127.0.0.3:{port}: ")), "{text}");
    }

    /// Returns failures at addresses of hosts, from the name of the host, the address and the kind.
    fn join(answered: &[(&str, &str, ErrorKind)], unreachable: &[(&str, &str)]) -> Error {
        let host = |name: &str| Host { name: name.into(), port: 1 };
        let names = answered.iter().map(|it| it.0).chain(unreachable.iter().map(|it| it.0));
        let hosts: Vec<_> = names.map(host).collect();
        let (of_answered, of_unreachable) = hosts.split_at(answered.len());
        let address = |text: &str| text.parse::<SocketAddr>().ok();
        let answered = std::iter::zip(of_answered, answered).map(|(host, (_, at, kind))| {
            (host, address(at).unwrap(), Error::new(*kind, format!("{kind:?} at {at}")))
        });
        let unreachable = std::iter::zip(of_unreachable, unreachable).map(|(host, (_, at))| {
            let error = Error::new(ErrorKind::Unavailable, format!("refused at {at}"));
            UnreachableHost { host, address: address(at), error }
        });
        LoginFailures { answered: answered.collect(), unreachable: unreachable.collect() }.join()
    }

    /// The error is permanent only if no host can come back by itself, and no host is an error too.
    #[test]
    fn the_error_is_permanent_only_if_all_are() {
        let (access, config) = (ErrorKind::Access, ErrorKind::Config);
        let error = join(&[("h1", "192.0.2.1:1", access), ("h2", "192.0.2.2:1", config)], &[]);
        assert_eq!(error.kind(), access);
        let expected = "cannot log in to any host: Access at 192.0.2.1:1; Config at 192.0.2.2:1";
        assert_eq!(error.to_string(), expected);
        let answered = [("h1", "192.0.2.1:1", access)];
        // Another host, another node under one name, and an address without an answer may come back.
        for unreachable in [("h2", "[2001:db8::2]:1"), ("h1", "192.0.2.2:1"), ("h1", "no answer")] {
            assert!(join(&answered, &[unreachable]).is_transient(), "{unreachable:?}");
        }
        assert_eq!(join(&[], &[]).to_string(), "no broker host is configured");
    }

    /// An address at which no program listens says nothing about a host that answers at one of the other family,
    /// as `localhost` often does.
    #[test]
    fn an_address_of_the_other_family_is_no_reason() {
        let answered = [("localhost", "127.0.0.1:1", ErrorKind::Access)];
        let error = join(&answered, &[("localhost", "[::1]:1")]);
        assert_eq!(error.kind(), ErrorKind::Access);
        assert_eq!(error.to_string(), "Access at 127.0.0.1:1");
    }

    /// Dropping the guard wakes a task that waits for the broker, and the broker sees the end.
    #[tokio::test]
    async fn dropping_the_guard_ends_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mut stream, guard) = dial(&endpoint(&[("127.0.0.1", port)], LONG)).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        let mut hello = [0; 5];
        server.read_exact(&mut hello).await.unwrap();
        assert_eq!(stream.peer().to_string(), format!("127.0.0.1:{port} (127.0.0.1)"));

        let reader = tokio::spawn(async move { stream.read(&mut [0; 1]).await });
        drop(guard);
        assert_eq!(tokio::time::timeout(LONG, reader).await.unwrap().unwrap().unwrap(), 0);
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    }

    /// Errors contain the host and the operating system's words.
    #[tokio::test]
    async fn errors_name_the_unreachable_host() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = closed.local_addr().unwrap().port();
        drop(closed);
        let error = dial(&endpoint(&[("127.0.0.1", port)], LONG)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let text = format!("{error:#}");
        let expected = format!("cannot connect to 127.0.0.1:{port}: Connection refused");
        assert!(text.contains(&expected), "{text}");

        let unknown = endpoint(&[("no-such-host.invalid", 5672)], LONG);
        let error = dial(&unknown).await.unwrap_err();
        assert!(error.to_string().contains("cannot resolve no-such-host.invalid:5672"), "{error}");
    }
}
