//! The Python programs on Proton. Each consists of a common part and its own part.

/// The program of [`ProtonPeer`](super::ProtonPeer).
pub(super) const PEER: &str = concat!(
    include_str!("../python/proton_common.py"),
    "\n\n",
    include_str!("../python/proton_peer.py")
);

/// The program of [`read_messages`](super::read_messages).
pub(super) const READER: &str = concat!(
    include_str!("../python/proton_common.py"),
    "\n\n",
    include_str!("../python/proton_reader.py")
);
