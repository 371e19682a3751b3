//! Clients that are slow, many or greedy: the pages stay bounded, and the writer of the archive goes on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use glance_notify::time::{self, OffsetDateTime};
use notify_archive::record::RecordReader;
use notify_archive::store::ArchiveBatch;
use notify_archive::{Archive, ArchiveWriter};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::site::{DAY, RunningSite, fill, image_line};

/// Sends bytes, and returns everything that the server answers until it closes the connection.
fn answer(site: &RunningSite, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(&site.address).unwrap();
    stream.set_read_timeout(Some(LONGEST_WAIT)).unwrap();
    // The server may close before it has read everything.
    drop(stream.write_all(request));
    drop(stream.shutdown(Shutdown::Write));
    let mut response = Vec::new();
    match stream.read_to_end(&mut response) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&response).into_owned()
}

/// Returns the status of a page.
fn status(site: &RunningSite, path: &str) -> String {
    let response = page(site, path);
    response.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

/// Returns the response with a page.
pub(crate) fn page(site: &RunningSite, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(&site.address).unwrap();
    stream.set_read_timeout(Some(LONGEST_WAIT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// A thousand clients that connect and say nothing, or half of something, keep no other client out.
#[test]
fn a_thousand_connections_keep_no_client_out() {
    let limit = getrlimit(Resource::Nofile);
    let enough = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, enough).unwrap();
    let site = RunningSite::start(DAY);
    let mut idle = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(&site.address).unwrap();
        if number % 2 == 0 {
            drop(stream.write_all(b"GET /search HTTP/1.1\r\nHo"));
        }
        idle.push(stream);
        if number % 100 == 0 {
            assert_eq!(status(&site, "/search"), "200");
        }
    }
    for path in ["/search", "/image?id=debian-12", "/health"] {
        assert_eq!(status(&site, path), "200", "{path}");
    }
    // The server holds 256 connections, so it has closed most of the others.
    let is_closed = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        match stream.read(&mut [0]) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    };
    let open = idle.iter_mut().filter_map(|stream| (!is_closed(stream)).then_some(())).count();
    assert!(open <= 256, "{open} connections are open");
}

/// A client that sends a byte at a time is cut off, and so is one that reads nothing; others are answered
/// meanwhile.
#[test]
fn a_slow_client_delays_only_itself() {
    let site = RunningSite::start(DAY);
    let mut slow = TcpStream::connect(&site.address).unwrap();
    slow.set_read_timeout(Some(LONGEST_WAIT)).unwrap();
    let mut deaf = TcpStream::connect(&site.address).unwrap();
    let request = "GET /search?n=200 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // Its answers fill every buffer on the way.
    deaf.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    for _ in 0..2000 {
        if deaf.write_all(request.as_bytes()).is_err() {
            break;
        }
    }
    let start = Instant::now();
    let mut sent = 0;
    for byte in
        "GET /search HTTP/1.1\r\nHost: localhost\r\nX: ".bytes().chain(std::iter::repeat(b'x'))
    {
        if slow.write_all(&[byte]).is_err() || start.elapsed() > LONGEST_WAIT {
            break;
        }
        sent += 1;
        assert_eq!(status(&site, "/search?n=1"), "200");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(start.elapsed() < LONGEST_WAIT, "the server never cuts a slow client off");
    assert!(sent > 5, "{sent}");
}

/// An interval that begins after the last event is empty, and no page fails on it.
#[test]
fn an_interval_after_the_last_event_is_empty() {
    let site = RunningSite::start(DAY);
    for path in ["/search", "/stuck", "/transfers", "/storage", "/health"] {
        assert_eq!(status(&site, &format!("{path}?since=2099-01")), "200", "{path}");
    }
}

/// An interval ends at the latest known time, whatever end the viewer asks for: a time that has not come is not
/// blind, and makes no upload old.
#[test]
fn an_interval_does_not_reach_into_the_future() {
    let archive = tempfile::tempdir().unwrap();
    let (reader, now) = (RecordReader::new("north"), OffsetDateTime::now_utc());
    let record = |number, event_type: &str, minutes| {
        let line = image_line(number, event_type, json!({}));
        let mut record = reader.read(line.as_bytes()).unwrap();
        record.timestamp = now - time::Duration::minutes(minutes);
        record
    };
    let records = vec![record(0, "image.create", 60), record(1, "image.prepare", 2)];
    let mut writer = ArchiveWriter::open(archive.path()).unwrap();
    writer.attach("north", records[0].timestamp).unwrap();
    writer.detach("north", records[1].timestamp, "stopped").unwrap();
    writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
    drop(writer);
    let site = RunningSite::serve(archive, |site| site);
    for path in ["/health", "/search", "/stuck"] {
        let shown = page(&site, &format!("{path}?until=9999-12"));
        assert!(shown.contains("<li>coverage of north: 100.00 %</li>"), "{path}: {shown}");
        // It does not look complete for the time since.
        assert!(shown.contains("<li>nothing is known since 20"), "{path}: {shown}");
        assert!(!shown.contains("id=\"gaps\""), "{path}: {shown}");
    }
    for (query, count) in [("", 0), ("&older_than=0", 1)] {
        let shown = page(&site, &format!("/stuck?until=9999-12{query}"));
        assert!(shown.contains(&format!(">{count} without an outcome at 20")), "{query}: {shown}");
    }
}

/// The months of stored bytes end soon, whatever end the viewer asks for.
#[test]
fn storage_ends_soon() {
    let site = RunningSite::start(DAY);
    let report = page(&site, "/storage?since=2020-01&until=9999-12");
    assert!(report.contains("2026-11") && !report.contains("2060-01"), "{report}");
}

/// A page shows a few of the notifications with one id, and says how many it leaves out.
#[test]
fn an_id_that_is_used_often_stays_bounded() {
    let id = "00000000-0000-4000-9000-000000000000";
    let line = |size| image_line(0, "image.update", json!({ "size": size }));
    let later = image_line(1, "image.update", json!({}));
    let lines: Vec<_> = (0..25).map(line).chain([later]).collect();
    let site = RunningSite::start(&lines.join("\n"));
    let shown = page(&site, &format!("/event?id={id}"));
    assert_eq!(shown.matches("<dl class=\"facts\">").count(), 20, "{shown}");
    assert!(shown.contains("5 more notifications than the 20 that follow"), "{shown}");
    let json = page(&site, &format!("/event.json?id={id}"));
    assert!(json.contains("{\"left_out\": 5, \"notifications\": ["), "{json}");
    let one = page(&site, "/event.json?id=00000000-0000-4000-9000-000000000001");
    assert!(one.contains("{\"left_out\": 0, \"notifications\": [{\""), "{one}");
}

/// A request beyond the bounds is refused without reading it.
#[test]
fn oversized_requests_are_refused() {
    let site = RunningSite::start(DAY);
    let get = |rest: String| answer(&site, format!("GET {rest}\r\n\r\n").as_bytes());
    let host = "HTTP/1.1\r\nHost: localhost\r\nConnection: close";
    for (what, response) in [
        ("a long header", get(format!("/search {host}\r\nX: {}", "x".repeat(100_000)))),
        ("many headers", get(format!("/search {host}{}", "\r\nX: y".repeat(100)))),
        ("a long URL", get(format!("/search?image={} {host}", "x".repeat(80_000)))),
    ] {
        let status = response.split_whitespace().nth(1).unwrap_or("closed");
        assert!(["400", "414", "431", "closed"].contains(&status), "{what}: {response}");
    }
    let many = "image=a&".repeat(17);
    assert_eq!(status(&site, &format!("/search?{many}")), "400");
    // A body is never read: its sender gets the answer at once.
    let head = format!("GET /search {host}\r\nContent-Length: 1000000000\r\n\r\n");
    assert!(answer(&site, head.as_bytes()).starts_with("HTTP/1.1 200"));
    let head = format!("POST /search {host}\r\nContent-Length: 1000000000\r\n\r\n");
    assert!(answer(&site, head.as_bytes()).starts_with("HTTP/1.1 405"));
    for nonsense in [&b"\x16\x03\x01\x02\x00"[..], b"GET\r\n\r\n", b"\r\n\r\n\r\n", &[0; 4096]] {
        let response = answer(&site, nonsense);
        assert!(response.is_empty() || response.starts_with("HTTP/1.1 4"), "{response}");
    }
    assert_eq!(status(&site, "/search"), "200");
}

/// A query that reaches its deadline ends, and the answer says how to narrow it.
#[test]
fn a_query_ends_at_its_deadline() {
    let archive = tempfile::tempdir().unwrap();
    let lines = |numbers: std::ops::Range<u32>| {
        let line = |number| image_line(number, "image.update", json!({"size": 7}));
        numbers.map(line).collect::<Vec<_>>().join("\n")
    };
    fill(archive.path(), &lines(0..20_000));
    let site = RunningSite::serve(archive, |site| site.deadline(Duration::from_millis(1)));
    let search = page(&site, "/search?project=none");
    assert!(
        search.contains("reached its time limit") || search.contains("took too long"),
        "{search}"
    );
    for path in ["/storage", "/event?id=00000000-0000-4000-8000-0000000f0000"] {
        let page = page(&site, path);
        assert!(page.starts_with("HTTP/1.1 503"), "{page}");
        assert!(page.contains("Choose a shorter interval"), "{page}");
    }
    assert_eq!(status(&site, "/icon.svg"), "200");
}

/// Of many failures, the page shows the newest, counts all of them, and links to a search that finds the others.
#[test]
fn the_newest_of_many_failures_are_shown() {
    let line = |number| image_line(number, "task.failure", json!({}));
    let site = RunningSite::start(&(0..6000).map(line).collect::<Vec<_>>().join("\n"));
    let stuck = page(&site, "/stuck?project=none");
    assert!(stuck.contains("6000 failed tasks and uploads"), "{stuck}");
    assert!(stuck.contains("12:00:58") && !stuck.contains("12:00:49"), "{stuck}");
    let failed_tasks = "/search?event=task.failure";
    assert!(stuck.contains(&format!("<a href=\"{failed_tasks}\">failed tasks</a>")), "{stuck}");
    assert!(
        page(&site, failed_tasks).contains("50 events, the newest first; there are older ones")
    );
    let uploads = stuck.split('"').find(|text| text.contains("event=image.upload"));
    let priorities = "&#38;priority=ERROR&#38;priority=CRITICAL";
    assert_eq!(uploads, Some(&*format!("/search?event=image.upload{priorities}")), "{stuck}");
}

/// Of more downloads and events than a page looks at, it knows the newest: they show the state and the last event.
#[test]
fn the_newest_of_a_long_life_are_shown() {
    let id = "00000000-0000-4000-8000-0000000f0000";
    let update = |number| line_of_second(number, "image.update", json!({"id": id, "size": 7}));
    let download = |number| {
        let payload =
            json!({"id": id, "image_id": id, "bytes_sent": 1, "receiver_user_id": "alice"});
        line_of_second(number, "image.send", payload)
    };
    let deletion = line_of_second(6000, "image.delete", json!({ "id": id }));
    let lines = (0..6000).map(update).chain([deletion]).chain((6001..12_001).map(download));
    let site = RunningSite::start(&lines.collect::<Vec<_>>().join("\n"));
    let shown = page(&site, &format!("/image?id={id}"));
    assert!(shown.contains("<dt>Last event</dt><dd><bdi>2026-11-24T03:20:00"), "{shown}");
    assert!(shown.contains("<dt>First event</dt><dd><bdi>2026-11-24T00:00:00"), "{shown}");
    assert!(shown.contains("<span class=\"phase p-gone\">deleted</span>"), "{shown}");
    // The drawing says the same to a screen reader, and where it ends.
    let words = "Timeline of 12\u{202f}001 events in 3 h 20 min; the last known status is deleted";
    assert_eq!(shown.matches(words).count(), 2, "{shown}");
    let caption = "The drawing ends with the first 300 of 12\u{202f}001 events.";
    assert!(shown.contains(caption), "{shown}");
    assert!(shown.contains("6\u{202f}000 downloads of"), "{shown}");
    let (_, downloads) = shown.split_once("id=\"downloads\"").unwrap();
    for (clock, is_shown) in [("03:20:00", true), ("03:15:01", true), ("03:15:00", false)] {
        let cell = format!("<span class=\"clock\">{clock}</span>");
        assert_eq!(downloads.contains(&cell), is_shown, "{clock}");
    }
}

/// The page of a life counts the events that it does not show, and links to a search that finds all of them.
#[test]
fn the_events_that_a_life_leaves_out_are_counted_and_found() {
    let event = |second, event_type: &str| {
        line_of_second(second, event_type, json!({"id": FLOODED, "image_id": FLOODED}))
    };
    let updates = (0..4).map(|second| event(second, "image.update"));
    let downloads = (4..404).map(|second| event(second, "image.send"));
    let lines = updates.chain(downloads).chain([event(404, "image.delete")]);
    let site = RunningSite::start(&lines.collect::<Vec<_>>().join("\n"));
    let filters = "event=image.delete&since=2026-11&tz=UTC";
    let shown = page(&site, &format!("/image?id={FLOODED}&{filters}"));
    // The list has 300 of 405 events, and the table of downloads has 104 of the others.
    let link = format!("<a href=\"/search?image={FLOODED}&#38;tz=UTC\">search all of them</a>");
    assert!(shown.contains(&format!(">1 more event is not on this page: {link}.")), "{shown}");
}

/// A flood of audited requests before and after a deletion does not hide its actor, whatever the requests are.
#[test]
fn a_flood_of_requests_does_not_hide_who_deleted() {
    let read = |second| request_lines(second, "read", "success");
    let refused_read = |second| request_lines(second, "read", "failure");
    let refused_deletion = |second| request_lines(second, "delete", "failure");
    let mut lines: Vec<_> = (0..150).flat_map(|number| read(3 * number)).collect();
    lines.extend(request_lines(600, "delete", "success"));
    lines.push(line_of_second(601, "image.delete", json!({ "id": FLOODED })));
    lines.extend((0..2500).flat_map(|number| refused_read(1000 + 3 * number)));
    lines.extend((0..2700).flat_map(|number| refused_deletion(9000 + 3 * number)));
    let site = RunningSite::start(&lines.join("\n"));
    let shown = page(&site, &format!("/image?id={FLOODED}"));
    assert!(shown.contains("<dt>Deleted by</dt><dd><bdi>mallory (audit event)"), "{shown}");
    // The page looks at 5000 of 5200 refused requests, and lists 300 of the 5001 events that remain.
    assert!(shown.contains("4\u{202f}901 more events are not on this page"), "{shown}");
}

/// A page that leaves out audit events does not say that there are none.
#[test]
fn a_page_says_that_it_leaves_out_evidence() {
    let update = |number: u32| request_lines(3 * number, "update", "success");
    let mut lines: Vec<_> = (0..2600).flat_map(update).collect();
    // Its request is neither among the oldest nor among the newest ones.
    lines.push(line_of_second(601, "image.update", json!({ "id": FLOODED })));
    // No request has this effect.
    lines.push(line_of_second(7801, "image.delete", json!({ "id": FLOODED })));
    let site = RunningSite::start(&lines.join("\n"));
    let shown = page(&site, &format!("/image?id={FLOODED}"));
    let (update, deletion) = shown.rsplit_once("image.delete</bdi>").unwrap();
    let left_out = "some audit events are not on this page: ask `glance-notify who`";
    let no_evidence = "no audit event and no sender names a user for this event";
    let (_, update) = update.split_once("image.update</bdi>").unwrap();
    assert!(update.contains(left_out) && !update.contains(no_evidence), "{update}");
    assert!(deletion.contains(no_evidence) && !deletion.contains(left_out), "{deletion}");
}

/// While clients ask for every page at once, the writer stores batch after batch, and every answer is one of the
/// documented ones.
#[test]
fn readers_do_not_stop_the_writer() {
    let site = RunningSite::start(DAY);
    let is_over = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    let times = std::thread::scope(|threads| {
        for _ in 0..16 {
            threads.spawn(|| {
                let pages = [
                    "/search",
                    "/image?id=debian-12",
                    "/stuck",
                    "/transfers",
                    "/storage",
                    "/health",
                ];
                for path in pages.iter().cycle() {
                    let status = status(&site, path);
                    assert!(status == "200" || status == "503", "{path}: {status}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let times = append_batches(&site);
        is_over.store(true, Ordering::Relaxed);
        times
    });
    assert!(answered.into_inner() >= 16);
    let slowest = times.iter().max().unwrap();
    println!("50 batches beside 16 clients, the slowest in {slowest:?}");
    let report = Archive::open(site.archive.path()).unwrap().verify().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert!(page(&site, "/health").contains("5\u{202f}101"));
}

/// Returns the line of an event at a second of a day.
fn line_of_second(second: u32, event_type: &str, payload: serde_json::Value) -> String {
    let line = image_line(second, event_type, payload);
    let mut line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    line["timestamp"] = json!(format!("2026-11-24 {hour:02}:{minute:02}:{second:02}"));
    line.to_string()
}

/// Returns the two audit events of a request about the image [`FLOODED`] that begins at a second and lasts two.
fn request_lines(second: u32, action: &str, outcome: &str) -> [String; 2] {
    let line = |second: u32, event_type: &str, outcome: &str, id: u32| {
        let payload = json!({"id": format!("request-{id}"), "action": action, "outcome": outcome,
            "requestPath": format!("/v2/images/{FLOODED}"), "initiator": {"id": "mallory"}});
        line_of_second(second, event_type, payload)
    };
    [
        line(second, "audit.http.request", "pending", second),
        line(second + 2, "audit.http.response", outcome, second),
    ]
}

/// Appends fifty batches of a hundred events, and returns the time of each.
fn append_batches(site: &RunningSite) -> Vec<Duration> {
    let mut writer = ArchiveWriter::open(site.archive.path()).unwrap();
    let reader = RecordReader::new("south");
    let mut times = Vec::new();
    for batch in 0..50_u32 {
        let line =
            |number| image_line(1000 + batch * 100 + number, "image.update", json!({"size": 7}));
        let records = (0..100).map(|number| reader.read(line(number).as_bytes()).unwrap());
        let batch = ArchiveBatch { records: records.collect(), ..ArchiveBatch::default() };
        let start = Instant::now();
        assert_eq!(writer.append(&batch).unwrap().stored, 100);
        times.push(start.elapsed());
    }
    times
}

/// An image about which a user sends many requests.
const FLOODED: &str = "00000000-0000-4000-8000-0000000f0000";

/// The longest wait for the server: beyond it, a test fails instead of hanging.
const LONGEST_WAIT: Duration = Duration::from_secs(90);
