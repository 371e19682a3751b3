//! A site under test: an archive of samples, and a server of its pages.

use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use glance_notify_cli::web::{HttpServer, Site, router};
use notify_archive::ArchiveWriter;
use notify_archive::record::RecordReader;
use notify_archive::store::ArchiveBatch;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A day of a small cloud: 101 notifications.
pub(crate) const DAY: &str = include_str!("../../../../docs/samples/cloud-day.jsonl");

/// A running site with its archive. Dropping it stops the server and removes the archive.
pub(crate) struct RunningSite {
    pub(crate) address: String,
    pub(crate) archive: TempDir,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl RunningSite {
    /// Serves an archive of these lines.
    pub(crate) fn start(lines: &str) -> Self {
        let archive = tempfile::tempdir().unwrap();
        fill(archive.path(), lines);
        Self::serve(archive, |site| site)
    }

    /// Serves an archive with changed settings.
    pub(crate) fn serve(archive: TempDir, settings: impl FnOnce(Site) -> Site) -> Self {
        let site = settings(Site::new(archive.path()).label("demo"));
        let (stop, stopped) = oneshot::channel();
        let (send, receive) = mpsc::channel();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = HttpServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
                send.send(server.address().to_string()).unwrap();
                tokio::select! {
                    () = server.run(router(site)) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = receive.recv().unwrap();
        Self { address, archive, stop: Some(stop), server: Some(server) }
    }

    /// Returns the URL of a page.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for RunningSite {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            drop(server.join());
        }
    }
}

/// Stores lines in an archive, and records that a source was attached for a part of the day.
pub(crate) fn fill(archive: &Path, lines: &str) {
    let reader = RecordReader::new("north").region("RegionNorth");
    let records: Vec<_> =
        lines.lines().map(|line| reader.read(line.as_bytes()).expect(line)).collect();
    let mut writer = ArchiveWriter::open(archive).unwrap();
    if let (Some(first), Some(last)) = (records.first(), records.last()) {
        let (start, end) = (first.timestamp, last.timestamp);
        let part = (end - start) / 20;
        writer.attach("north", start).unwrap();
        writer.detach("north", start + part * 11, "binding lost").unwrap();
        writer.attach("north", start + part * 12).unwrap();
        writer.detach("north", end, "stopped").unwrap();
    }
    writer.append(&ArchiveBatch { records, ..ArchiveBatch::default() }).unwrap();
}

/// Returns the line of an event of an image. `number` makes its ids.
pub(crate) fn image_line(number: u32, event_type: &str, mut payload: Value) -> String {
    let id = format!("00000000-0000-4000-8000-{number:012x}");
    for (key, value) in [("id", json!(id)), ("status", json!("active")), ("owner", json!("web"))] {
        let map = payload.as_object_mut().unwrap();
        map.entry(key).or_insert(value);
    }
    json!({"message_id": format!("00000000-0000-4000-9000-{number:012x}"), "publisher_id": "image.h",
        "event_type": event_type, "priority": "INFO", "payload": payload,
        "timestamp": format!("2026-11-24 12:00:{:02}", number % 60)})
    .to_string()
}
