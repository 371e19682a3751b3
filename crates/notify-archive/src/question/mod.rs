//! Questions about the life of an image, its actors, missing outcomes and usage.
//!
//! A question takes records one by one with `add` and gives its answer with `finish`. It neither knows nor
//! cares whether the records come from the archive, from files or from standard input, and it opens no
//! file. An answer names an actor only by an audit event or by the context of a notification, and never by the
//! owner of an image.

pub(crate) mod actor;
pub(crate) mod answer_table;
pub(crate) mod audited_request;
pub(crate) mod calendar;
pub(crate) mod coverage;
pub(crate) mod event_filter;
pub(crate) mod gap_report;
pub(crate) mod payload_changes;
pub(crate) mod project_names;
pub(crate) mod region_split;
pub(crate) mod storage_report;
pub(crate) mod stuck_report;
pub(crate) mod timeline;
pub(crate) mod usage_report;

pub use actor::{Actor, ActorEvidence, ActorFinding, AuditTrail};
pub use answer_table::{AnswerCell, AnswerTable};
pub use calendar::Calendar;
pub use coverage::{AttachedInterval, Coverage, InputCoverage, unknown_since};
pub use event_filter::EventFilter;
pub use gap_report::{GapReport, LaneGaps, LaneName, NumberGap};
pub use notify_core::event::EventGlob;
pub use payload_changes::PayloadChange;
pub use project_names::ProjectNames;
pub use storage_report::{CatalogueImage, StorageReport, read_catalogue};
pub use stuck_report::{StuckItem, StuckKind, StuckReport};
pub use timeline::{Timeline, TimelineAnswer, TimelineEntry};
pub use usage_report::{ReportGroup, UsageKind, UsageReport};
