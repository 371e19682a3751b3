//! Requests for web pages: every answer is below 500, has the security headers, and holds texts of strangers as
//! text only.

use std::fmt::Write as _;
use std::path::Path;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use glance_notify::codec::serde_json::json;
use glance_notify_cli::web::{AccessRules, Site, router};
use http_body_util::{BodyExt as _, Collected};
use notify_archive::ArchiveWriter;
use notify_archive::record::RecordReader;
use notify_archive::store::ArchiveBatch;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower_service::Service as _;

/// Checks the first line of the input as the target of a request, and the others as its headers.
pub fn web_pages(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut request = Request::builder().uri(target(lines.next().unwrap_or_default()));
    request = request.header("host", "localhost");
    for line in lines.take(8) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            request = request.header(name, value);
        }
    }
    // A name or value that is no header never reaches the pages.
    let Ok(request) = request.body(Body::empty()) else { return };
    let target = request.uri().to_string();
    let (status, headers, body) = PAGES.with(|pages| pages.answer(request));
    assert!(status.as_u16() < 500, "{status}: {target}");
    check_headers(&headers);
    if headers.get("content-type").is_some_and(|kind| kind == "text/html; charset=utf-8") {
        check_page(std::str::from_utf8(&body).unwrap_or_else(|_| panic!("not UTF-8: {target}")));
    }
}

/// Returns a target that starts with a slash and has no byte that a URL cannot hold.
fn target(bytes: &[u8]) -> String {
    let mut target = "/".to_owned();
    for byte in bytes.iter().skip_while(|byte| **byte == b'/').take(8192) {
        match byte {
            b'!' | b'$'..=b';' | b'=' | b'?'..=b'Z' | b'_' | b'a'..=b'z' | b'~' => {
                target.push(char::from(*byte));
            }
            byte => drop(write!(target, "%{byte:02X}")),
        }
    }
    target
}

fn check_headers(headers: &HeaderMap) {
    let policy = headers["content-security-policy"].to_str().unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["x-frame-options"], "DENY");
}

/// Checks that a page has no element or attribute that a text brought in, and no character that hides others.
fn check_page(page: &str) {
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
    let lower = page.to_lowercase();
    for part in
        ["<script", "<img", "<iframe", "<style", " style=", " onload=", " onerror=", "javascript:"]
    {
        let outside = lower.split('<').skip(1).any(|tag| {
            let tag = tag.split('>').next().unwrap_or_default();
            // Quotes in attributes are escaped, so every second part lies outside of them.
            let names: String = tag.split('"').step_by(2).collect();
            format!("<{names}").contains(part)
        });
        assert!(!outside, "{part} in {page}");
    }
}

thread_local! {
    /// The pages of one thread. The end of the thread removes their archive, also that of a fuzzing program, which
    /// calls `exit`.
    static PAGES: HostilePages = HostilePages::new();
}

/// The pages of an archive with hostile texts, and the runtime that answers for them.
struct HostilePages {
    runtime: Runtime,
    pages: Router,
    /// Removed last.
    _archive: TempDir,
}

impl HostilePages {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
        let archive = tempfile::tempdir().unwrap_or_else(|error| panic!("no directory: {error}"));
        fill(archive.path());
        let site = Site::new(archive.path());
        let site = site.access(AccessRules::default().host("audit.example.org"));
        Self { runtime, pages: router(site), _archive: archive }
    }

    /// Returns the status, the headers and the body of an answer.
    fn answer(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
        self.runtime.block_on(async {
            let response = match self.pages.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            (parts.status, parts.headers, body)
        })
    }
}

fn fill(directory: &Path) {
    let reader = RecordReader::new("<b>north</b>").region("\"region\"");
    let mut records = Vec::new();
    for (number, text) in HOSTILE.iter().enumerate() {
        for (step, event_type) in ["image.create", "image.send", "task.failure"].iter().enumerate()
        {
            let id = if step == 0 {
                format!("00000000-0000-4000-8000-{number:012}")
            } else {
                (*text).to_owned()
            };
            let line = json!({"message_id": format!("00000000-0000-4000-9000-{:012}", number * 3 + step),
                "publisher_id": "image.h", "event_type": event_type, "priority": "INFO",
                "timestamp": format!("2026-11-24 12:00:{:02}", number * 3 + step),
                "payload": {"id": id, "image_id": id, "name": text, "owner": text, "status": text,
                    "bytes_sent": 7, "receiver_tenant_id": text, "properties": {*text: text}}});
            match reader.read(line.to_string().as_bytes()) {
                Ok(record) => records.push(record),
                Err(error) => panic!("{error}: {line}"),
            }
        }
    }
    let stored = ArchiveWriter::open(directory)
        .and_then(|mut writer| writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }));
    assert!(stored.is_ok_and(|outcome| outcome.stored > 0));
}

/// Texts that break out of an element, an attribute, a URL or a line, if a page lets them.
const HOSTILE: [&str; 8] = [
    "plain",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onload='alert(1)",
    "javascript:alert(1)",
    "a\u{202e}b\u{0}c\n",
    "&lt;script&gt;",
    "</title></textarea>",
];
