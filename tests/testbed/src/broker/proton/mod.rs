//! AMQP 1.0 peers and readers on Apache Qpid Proton: nothing in them is the project's own client.
//!
//! ```no_run
//! use notify_testbed::broker::proton::{Fault, Peer};
//!
//! let peer = Peer::start();
//! peer.fault(Fault::Reject, 0, Some(1));
//! // … publish to peer.url() …
//! let messages = peer.messages("notifications.info");
//! ```

mod message;
mod peer;
mod reader;

pub use message::Received;
pub use peer::{Attached, Builder, Fault, Opened, Outcome, Peer, State};
pub use reader::read;

/// A program of two parts: what all share, and what it does.
macro_rules! program {
    ($file:literal) => {
        concat!(include_str!("../python/proton_common.py"), "\n\n", include_str!($file))
    };
}
pub(crate) use program;
