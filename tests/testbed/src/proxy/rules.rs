//! The rules that a test sets and a relay obeys.

use std::time::Duration;

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// Returns the position of this direction in an array of both.
    pub(super) fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }
}

/// The way in which a connection ends, as both ends see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Disconnect {
    /// Abruptly (RST), as after a restart of the peer's machine. The receiver may lose bytes that
    /// the proxy forwarded just before.
    #[default]
    Reset,
    /// Orderly (FIN), as after the end of the peer's program. Bytes that the proxy forwarded before
    /// arrive.
    Finish,
}

/// The rules of a proxy at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct ProxyRules {
    /// The rules of each direction, by [`Direction::index`].
    pub(super) directions: [DirectionRules; 2],
    /// How often the test has cut all connections, and the way in which it did so last.
    pub(super) cut: (u64, Disconnect),
    /// Whether the proxy refuses new connections.
    pub(super) refusing: bool,
    /// Whether the proxy stops.
    pub(super) stopped: bool,
}

/// The rules of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DirectionRules {
    /// Whether the proxy forwards nothing.
    pub(super) stalled: bool,
    /// Whether the proxy has closed this direction.
    pub(super) closed: bool,
    /// The most bytes of one piece.
    pub(super) slice: Option<usize>,
    /// The wait before each piece.
    pub(super) delay: Duration,
    /// The number of bytes after which a connection ends, and the way in which it does.
    pub(super) limit: Option<(u64, Disconnect)>,
}
