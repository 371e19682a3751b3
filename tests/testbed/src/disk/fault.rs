//! The faults of a [`FaultyDisk`](super::FaultyDisk).

/// A fault: the operation that fails, the moment, and the failure.
#[derive(Clone, Copy, Debug)]
pub struct DiskFault {
    /// The operation that fails. Only such operations count for `after`.
    pub on: DiskOperation,
    /// The number of operations that succeed before the first one fails.
    pub after: u64,
    /// The failure of the next operation.
    pub failure: DiskFailure,
    /// Whether all later operations fail too, until [`FaultyDisk::heal`](super::FaultyDisk::heal).
    pub lasting: bool,
}

/// An operation of a database on its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// Any of the other operations.
    Any,
    /// Reading bytes or the length of the file.
    Read,
    /// Writing. A write that fails may still have written a part of its bytes.
    Write,
    /// Making the file longer or shorter.
    SetLength,
    /// Syncing. A sync that fails may or may not have written its bytes to disk, and no later sync
    /// writes them: after a failed write, Linux marks the pages in its cache as clean.
    Sync,
}

/// The way in which an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFailure {
    /// The operation returns `EIO`.
    Io,
    /// The operation returns `ENOSPC`.
    Full,
    /// The operation and every later one hang until [`FaultyDisk::heal`](super::FaultyDisk::heal), and
    /// then go on as if nothing had happened.
    Hang,
    /// The process dies, as after [`FaultyDisk::kill`](super::FaultyDisk::kill).
    Kill,
    /// The power fails, as after [`FaultyDisk::cut_power`](super::FaultyDisk::cut_power).
    PowerCut,
}
