//! What a relay is told.

use std::time::Duration;

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Way {
    pub(super) fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }
}

/// How a connection ends, as both its ends see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Abruptly (RST), as when the peer's machine has started again. What was passed on just before
    /// may be lost with it.
    #[default]
    Reset,
    /// Orderly (FIN), as when the peer's program has ended. What was passed on before arrives.
    Finish,
}

/// The rules at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// By [`Way::index`].
    pub(super) lanes: [Lane; 2],
    /// How many times everything was cut, and how the last time.
    pub(super) cut: (u64, Cut),
    pub(super) refusing: bool,
    pub(super) over: bool,
}

/// The rules for one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lane {
    pub(super) stalled: bool,
    pub(super) closed: bool,
    pub(super) slice: Option<usize>,
    pub(super) delay: Duration,
    pub(super) limit: Option<(u64, Cut)>,
}
