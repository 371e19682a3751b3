//! The store: one SQLite file per month, written by one process and read by any number.
//!
//! * [`ArchiveWriter`] stores batches. It returns only after every touched file is committed, so a caller
//!   may acknowledge afterwards.
//! * [`Archive`] reads, verifies and copies. It never blocks the writer.
//!
//! The store keeps redacted bodies. It answers no question itself.

pub(crate) mod archive;
pub(crate) mod archive_batch;
mod archive_inventory;
pub(crate) mod archive_writer;
pub(crate) mod body_encoding;
mod clock_watch;
pub(crate) mod connection;
pub(crate) mod control_file;
mod copy_lookup;
mod delivery_intake;
pub(crate) mod erasure;
pub(crate) mod event_file;
pub(crate) mod event_row;
pub(crate) mod file_name;
mod file_version;
mod gap_reading;
mod import_batches;
mod index_query;
pub(crate) mod kept_file;
mod life_reading;
mod name_resolution;
pub(crate) mod retention;
pub(crate) mod row_checksum;
pub(crate) mod schema;
pub(crate) mod search_page;
pub(crate) mod seen_numbers;
mod usage_counts;
pub(crate) mod verification;

pub use archive::{Archive, ReadScope};
pub use archive_batch::{AppendOutcome, ArchiveBatch, UnreadableContent};
pub use archive_inventory::{FileSummary, UnreadableEntry};
pub use archive_writer::ArchiveWriter;
pub use control_file::ImportPosition;
pub use erasure::{EraseSelector, ErasureOutcome};
pub use event_row::RecordDetail;
pub use file_name::FileName;
pub use gap_reading::read_gaps;
pub use import_batches::{ImportBatch, ImportBatches};
pub use retention::RetentionPolicy;
pub use row_checksum::content_hash;
pub use search_page::{SearchPage, SearchPosition, SearchRequest};
pub use verification::{ArchiveProblem, VerificationReport};
