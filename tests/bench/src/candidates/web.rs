//! The first page of a search: the whole web page, and the SQL that a user would write instead.

use axum::body::Body;
use axum::http::Request;
use glance_notify_cli::web::{Site, router};
use http_body_util::BodyExt as _;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use tower_service::Service as _;

use super::archive::{MONTH, filled};
use crate::cloud_month::project;
use crate::task::{BenchTask, Clock, Measurement};

/// Asks for pages as a browser does, without the network: opening the archive, searching, HTML, coverage.
pub(crate) fn search(task: &BenchTask) -> Measurement {
    let directory = filled(task);
    let runtime = tokio::runtime::Runtime::new().expect("the system has threads");
    let mut pages = router(Site::new(&directory));
    let clock = Clock::start();
    for index in 0..PAGES {
        let query = match index % 3 {
            0 => String::new(),
            1 => "?event=image.delete".to_owned(),
            _ => format!("?project={}", project(index)),
        };
        let request = Request::get(format!("/search{query}")).header("host", "localhost");
        let request = request.body(Body::empty()).expect("a request");
        let page = runtime.block_on(async {
            let response = pages.call(request).await.expect("infallible");
            assert_eq!(response.status(), 200);
            response.into_body().collect().await.expect("a body").to_bytes()
        });
        let lines = page.windows(8).filter(|bytes| bytes == b"<tr role").count();
        assert_eq!(lines, LINES + 1, "a page of lines, and their head");
    }
    clock.stop(PAGES)
}

/// Selects the columns of the same events with SQLite alone.
pub(crate) fn search_by_hand(task: &BenchTask) -> Measurement {
    let directory = filled(task);
    let clock = Clock::start();
    for index in 0..PAGES {
        let (condition, parameter) = match index % 3 {
            0 => ("1", None),
            1 => ("event_type = ?1", Some("image.delete".to_owned())),
            _ => ("(owner = ?1 OR receiver = ?1 OR actor_project = ?1)", Some(project(index))),
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sqlite = Connection::open_with_flags(directory.join(MONTH), flags);
        let sqlite = sqlite.expect("the archive has the month");
        let mut select = sqlite
            .prepare(&format!(
                "SELECT message_id, ts, event_type, priority, subject, name, status, owner, publisher FROM event \
                 WHERE {condition} ORDER BY ts DESC, seq DESC LIMIT {LINES}"
            ))
            .expect("a table");
        let mut rows = select.query(params_from_iter(parameter)).expect("readable");
        let (mut lines, mut bytes) = (0, 0);
        while let Some(row) = rows.next().expect("readable") {
            lines += 1;
            for column in
                ["event_type", "priority", "subject", "name", "status", "owner", "publisher"]
            {
                bytes += row.get_ref(column).expect("a column").as_str().map_or(0, str::len);
            }
        }
        assert!(lines == LINES && bytes > 0);
    }
    clock.stop(PAGES)
}

/// The pages of one measurement.
const PAGES: usize = 300;
/// The events on a page.
const LINES: usize = 50;
