//! One connection, both ways, under the rules of the moment.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::rules::{Cut, Lane, Rules, Way};
use super::{Counts, LaneCounts};

/// Relays until both ends are done or the connection is cut.
pub(super) async fn run(
    mut client: TcpStream,
    server: u16,
    told: watch::Receiver<Rules>,
    counts: Arc<Counts>,
) {
    let _open = Open::new(&counts);
    let cut = until_cut(told.clone());
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
        return reset(client);
    };
    for end in [&client, &server] {
        // Pieces arrive as they are passed on.
        end.set_nodelay(true).unwrap();
    }

    let pump = |way: Way| Pump::new(way, told.clone(), &counts);
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let how = tokio::select! {
        how = cut => how,
        ended = async {
            tokio::try_join!(
                pump(Way::ToServer).run(client_reads, server_writes),
                pump(Way::ToClient).run(server_reads, client_writes),
            )
        } => match ended {
            // Both have said that nothing more will come.
            Ok(_) => Cut::Finish,
            Err(how) => how,
        },
    };
    match how {
        Cut::Finish => {
            tokio::join!(finish(client), finish(server));
        }
        Cut::Reset => {
            reset(client);
            reset(server);
        }
    }
}

/// Moves bytes one way.
struct Pump<'c> {
    way: Way,
    told: watch::Receiver<Rules>,
    counts: &'c LaneCounts,
    passed: u64,
}

impl<'c> Pump<'c> {
    fn new(way: Way, told: watch::Receiver<Rules>, counts: &'c Counts) -> Self {
        Self { way, told, counts: &counts.lanes[way.index()], passed: 0 }
    }

    /// Ends well when the near end has said that nothing more will come, and the far end has been
    /// told.
    ///
    /// # Errors
    ///
    /// How the connection is to be cut.
    async fn run(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<(), Cut> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let most = self.may_pass()?;
            if self.lane().closed {
                let _ = to.shutdown().await;
                let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
                return Ok(());
            }
            let read = tokio::select! {
                _ = self.told.changed() => continue,
                read = from.read(&mut buffer[..most]) => read.map_err(|_| Cut::Reset)?,
            };
            if read == 0 {
                let _ = to.shutdown().await;
                return Ok(());
            }
            self.pass(&buffer[..read], &mut to).await?;
        }
    }

    /// Passes on what was read, in pieces, each when it may.
    async fn pass(
        &mut self,
        mut bytes: &[u8],
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Cut> {
        while !bytes.is_empty() {
            let delay = self.lane().delay;
            tokio::select! {
                // The rules have changed, so the wait begins anew.
                _ = self.told.changed() => continue,
                () = tokio::time::sleep(delay) => {}
            }
            if self.lane().stalled {
                let _ = self.told.changed().await;
                continue;
            }
            if self.lane().closed {
                return Ok(());
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(self.may_pass()?));
            to.write_all(piece).await.map_err(|_| Cut::Reset)?;
            bytes = rest;
            self.passed += piece.len() as u64;
            self.counts.bytes.fetch_add(piece.len() as u64, Ordering::SeqCst);
            self.counts.pieces.fetch_add(1, Ordering::SeqCst);
            // The other way has its turn.
            tokio::task::yield_now().await;
        }
        self.may_pass().map(drop)
    }

    /// How many bytes may go at once, at least one, unless the connection is to be cut now.
    fn may_pass(&mut self) -> Result<usize, Cut> {
        let passed = self.passed;
        let lane = self.lane();
        let slice = lane.slice.unwrap_or(BUFFER).min(BUFFER);
        let Some((limit, how)) = lane.limit else { return Ok(slice) };
        match usize::try_from(limit.saturating_sub(passed)) {
            Ok(0) => Err(how),
            Ok(left) => Ok(slice.min(left)),
            Err(_) => Ok(slice),
        }
    }

    /// The rules of this moment. The next change is one from now on.
    fn lane(&mut self) -> Lane {
        self.told.borrow_and_update().lanes[self.way.index()]
    }
}

/// Waits until every connection that there is now is to be cut.
fn until_cut(mut told: watch::Receiver<Rules>) -> impl Future<Output = Cut> {
    let before = told.borrow_and_update().cut.0;
    async move {
        match told.wait_for(|rules| rules.cut.0 != before).await {
            Ok(rules) => rules.cut.1,
            Err(_) => Cut::Reset,
        }
    }
}

/// Ends a connection orderly: says so, then takes what still comes, for a system that closes with
/// something unread sends a reset.
async fn finish(mut end: TcpStream) {
    let _ = end.shutdown().await;
    let _ = timeout(LINGER, tokio::io::copy(&mut end, &mut tokio::io::sink())).await;
}

/// Ends a connection abruptly.
fn reset(end: TcpStream) {
    end.set_zero_linger().unwrap();
    drop(end);
}

/// Counts a connection as open.
struct Open<'c>(&'c Counts);

impl<'c> Open<'c> {
    fn new(counts: &'c Counts) -> Self {
        counts.open.fetch_add(1, Ordering::SeqCst);
        Self(counts)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

const BUFFER: usize = 64 * 1024;

/// How long an end that was told that nothing more will come may take to go.
const LINGER: Duration = Duration::from_secs(1);
