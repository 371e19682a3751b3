//! An archive as web pages: search, the life of an image, missing outcomes, usage and coverage.
//!
//! ```text
//! connection ─► http_server ─► access_rules ─► router ─► page_runner ─► *_page ─► template
//!  (bounds)                    (host, token)            (permit, deadline)  └─► notify-archive, read-only
//! ```
//!
//! Every page is a function from the parameters of a URL to HTML. A page writes nothing, keeps no state
//! between requests and runs no script. All text from outside goes through `PageText`, and the templates
//! escape it once more for HTML.
//!
//! # Examples
//!
//! ```
//! use glance_notify_cli::web::{Site, router};
//! use notify_archive::ArchiveWriter;
//!
//! let dir = tempfile::tempdir().unwrap();
//! drop(ArchiveWriter::open(dir.path())?);
//! let pages = router(Site::new(dir.path()));
//! # drop(pages);
//! # Ok::<_, notify_archive::ArchiveError>(())
//! ```

mod access_rules;
mod archive_overview;
mod drawing;
mod event_line;
mod event_page;
mod health_page;
mod http_server;
mod image_page;
mod interval_form;
mod life_phase;
mod life_records;
mod page_error;
mod page_frame;
mod page_query;
mod page_request;
mod page_runner;
mod page_selection;
mod page_text;
mod pages;
mod search_page;
mod site;
mod static_files;
mod stuck_page;
mod units;
mod usage_page;

pub use access_rules::{AccessRules, AccessToken};
pub use http_server::HttpServer;
pub use page_query::{PageParameter, PageQuery};
pub use pages::router;
pub use site::Site;
