//! The relay of one connection: it moves bytes in both directions and obeys the current rules.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::counters::{DirectionCounters, OpenConnection, ProxyCounters};
use super::rules::{Direction, DirectionRules, Disconnect, ProxyRules};

/// Relays until both ends have finished or the rules cut the connection.
pub(super) async fn run(
    mut client: TcpStream,
    server: u16,
    rules: watch::Receiver<ProxyRules>,
    counters: Arc<ProxyCounters>,
) {
    let _open = OpenConnection::new(&counters);
    let cut = until_cut(rules.clone());
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
        return reset(client);
    };
    for end in [&client, &server] {
        // Without Nagle's algorithm, each piece travels by itself.
        end.set_nodelay(true).unwrap();
    }

    let pump = |direction: Direction| BytePump::new(direction, rules.clone(), &counters);
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let disconnect = tokio::select! {
        disconnect = cut => disconnect,
        result = async {
            tokio::try_join!(
                pump(Direction::ToServer).run(client_reads, server_writes),
                pump(Direction::ToClient).run(server_reads, client_writes),
            )
        } => match result {
            // Both ends have sent FIN.
            Ok(_) => Disconnect::Finish,
            Err(disconnect) => disconnect,
        },
    };
    match disconnect {
        Disconnect::Finish => {
            tokio::join!(finish(client), finish(server));
        }
        Disconnect::Reset => {
            reset(client);
            reset(server);
        }
    }
}

/// Moves the bytes of one direction.
struct BytePump<'c> {
    direction: Direction,
    rules: watch::Receiver<ProxyRules>,
    counters: &'c DirectionCounters,
    /// The number of bytes forwarded so far.
    forwarded: u64,
}

impl<'c> BytePump<'c> {
    fn new(
        direction: Direction,
        rules: watch::Receiver<ProxyRules>,
        counters: &'c ProxyCounters,
    ) -> Self {
        Self { direction, rules, counters: &counters.directions[direction.index()], forwarded: 0 }
    }

    /// Forwards until the near end sends FIN, then sends FIN to the far end.
    ///
    /// # Errors
    ///
    /// The way in which to end the connection, if it must end before that.
    async fn run(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<(), Disconnect> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let most = self.allowance()?;
            if self.current_rules().closed {
                let _ = to.shutdown().await;
                let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
                return Ok(());
            }
            let read = tokio::select! {
                _ = self.rules.changed() => continue,
                read = from.read(&mut buffer[..most]) => read.map_err(|_| Disconnect::Reset)?,
            };
            if read == 0 {
                let _ = to.shutdown().await;
                return Ok(());
            }
            self.forward(&buffer[..read], &mut to).await?;
        }
    }

    /// Forwards `bytes` in pieces, each as soon as the rules allow it.
    async fn forward(
        &mut self,
        mut bytes: &[u8],
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Disconnect> {
        while !bytes.is_empty() {
            let delay = self.current_rules().delay;
            tokio::select! {
                // New rules restart the wait.
                _ = self.rules.changed() => continue,
                () = tokio::time::sleep(delay) => {}
            }
            if self.current_rules().stalled {
                let _ = self.rules.changed().await;
                continue;
            }
            if self.current_rules().closed {
                return Ok(());
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(self.allowance()?));
            to.write_all(piece).await.map_err(|_| Disconnect::Reset)?;
            bytes = rest;
            self.forwarded += piece.len() as u64;
            self.counters.bytes.fetch_add(piece.len() as u64, Ordering::SeqCst);
            self.counters.pieces.fetch_add(1, Ordering::SeqCst);
            // Give the other direction a turn.
            tokio::task::yield_now().await;
        }
        self.allowance().map(drop)
    }

    /// Returns the most bytes of the next piece, at least 1.
    ///
    /// # Errors
    ///
    /// The way in which to end the connection, if the limit is reached.
    fn allowance(&mut self) -> Result<usize, Disconnect> {
        let forwarded = self.forwarded;
        let rules = self.current_rules();
        let slice = rules.slice.unwrap_or(BUFFER).min(BUFFER);
        let Some((limit, disconnect)) = rules.limit else { return Ok(slice) };
        match usize::try_from(limit.saturating_sub(forwarded)) {
            Ok(0) => Err(disconnect),
            Ok(left) => Ok(slice.min(left)),
            Err(_) => Ok(slice),
        }
    }

    /// Returns the current rules of this direction, and marks them as seen.
    fn current_rules(&mut self) -> DirectionRules {
        self.rules.borrow_and_update().directions[self.direction.index()]
    }
}

/// Waits until the test cuts all connections that are open at the time of this call.
fn until_cut(mut rules: watch::Receiver<ProxyRules>) -> impl Future<Output = Disconnect> {
    let before = rules.borrow_and_update().cut.0;
    async move {
        match rules.wait_for(|rules| rules.cut.0 != before).await {
            Ok(rules) => rules.cut.1,
            Err(_) => Disconnect::Reset,
        }
    }
}

/// Ends a connection orderly. It sends FIN, then discards the incoming bytes: the system sends a
/// reset when a program closes a socket with unread bytes.
async fn finish(mut end: TcpStream) {
    let _ = end.shutdown().await;
    let _ = timeout(FINISH_TIMEOUT, tokio::io::copy(&mut end, &mut tokio::io::sink())).await;
}

/// Ends a connection abruptly.
fn reset(end: TcpStream) {
    end.set_zero_linger().unwrap();
    drop(end);
}

/// The size of the read buffer in bytes, and the most bytes of a piece.
const BUFFER: usize = 64 * 1024;

/// The time that a peer has to close its side after a FIN.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);
