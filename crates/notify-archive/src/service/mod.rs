//! The service that fills an archive: from a listener into the store, and only then an acknowledgement.
//!
//! ```text
//! Listener ── next_batch ──► ArchiveService ── StoreThread ──► ArchiveWriter::append
//!     ▲                           │
//!     └────────── ack ◄───────────┴──► ServiceStatus: counts, sources, errors
//! ```
//!
//! The service owns no source and no metrics format. A disk that fails or hangs loses nothing: the service
//! keeps the batch, tries again, and takes no further deliveries meanwhile.

mod archive_service;
mod open_uploads;
mod service_status;
mod store_thread;

pub use archive_service::{ArchiveService, ServiceOptions};
pub use open_uploads::OpenUploads;
pub use service_status::{ServiceMonitor, ServiceStatus, SourceProgress};
