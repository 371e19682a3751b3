//! The claim of a caller to room in the queue.

/// The claim of a caller to room, beside the callers that wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// The first in the line of its lane, or a caller that stops waiting.
    First,
    /// A caller that would rather wait than pass the first in the line.
    InTurn,
    /// A caller that has just had its turn in another queue. It takes room as the first in its line does,
    /// unless another caller waits there.
    FirstIfAlone,
    /// A caller that cannot wait. It leaves room for the first in each line.
    BehindTheLine,
    /// A caller that holds room of `room` bytes for one message. If `protected`, no overflow drops the
    /// message.
    Reserved { room: usize, protected: bool },
}
