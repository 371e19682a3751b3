//! AMQP 1.0 peers and readers on Apache Qpid Proton, independent of the project's own client.
//!
//! ```no_run
//! use notify_testbed::broker::proton::{PeerFault, ProtonPeer};
//!
//! let peer = ProtonPeer::start();
//! peer.inject(PeerFault::Reject, 0, Some(1));
//! // … publish to peer.url() …
//! let messages = peer.messages("notifications.info");
//! ```

mod message;
mod peer;
mod programs;
mod reader;

pub use message::ProtonMessage;
pub use peer::{
    AttachFrame, OpenFrame, PeerFault, PeerOutcome, PeerState, ProtonPeer, ProtonPeerBuilder,
};
pub use reader::read_messages;
