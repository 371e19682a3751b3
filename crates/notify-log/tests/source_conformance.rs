//! The contract of sources on a log file.

#![cfg(feature = "source")]
#![expect(clippy::expect_used, reason = "a test may fail in any way")]

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use notify_conformance::{SourceCapability, SourceHarness};
use notify_core::source::Source;
use notify_log::{FileSource, FileSourceConfig, LineForm};
use tempfile::TempDir;

notify_conformance::source_suite!(FileSourceHarness);

/// A log file in a temporary directory, with a checkpoint.
struct FileSourceHarness {
    dir: TempDir,
    file: File,
}

impl FileSourceHarness {
    fn path(&self) -> PathBuf {
        self.dir.path().join("n.log")
    }

    fn checkpoint(&self) -> PathBuf {
        self.dir.path().join("position")
    }
}

#[async_trait]
impl SourceHarness for FileSourceHarness {
    const UNSUPPORTED: &'static [(SourceCapability, &'static str)] = &[
        (
            SourceCapability::BreakSession,
            "a file does not go away: `tail/lines.rs` breaks its checkpoint",
        ),
        (SourceCapability::AnyBytes, "a line ends at its line end"),
        (SourceCapability::Tap, "a file has no other consumers"),
    ];

    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = File::create(dir.path().join("n.log")).expect("a file");
        Self { dir, file }
    }

    async fn source(&mut self) -> Box<dyn Source> {
        let mut config = FileSourceConfig::new(self.path());
        config.checkpoint = Some(self.checkpoint());
        config.form = LineForm::Json;
        config.poll = Duration::from_millis(1);
        Box::new(FileSource::new(config))
    }

    async fn publish_bodies(&mut self, bodies: &[Vec<u8>]) {
        let lines: Vec<u8> =
            bodies.iter().flat_map(|body| [body.as_slice(), b"\n"].concat()).collect();
        self.file.write_all(&lines).expect("cannot write");
    }

    /// Counts the lines behind the position of the checkpoint.
    async fn unacknowledged(&mut self) -> usize {
        let text = fs::read_to_string(self.checkpoint()).unwrap_or_default();
        let checkpoint: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let offset = checkpoint["files"][0]["offset"].as_u64().unwrap_or_default();
        let content = fs::read(self.path()).expect("cannot read");
        let offset = usize::try_from(offset).expect("a position in memory");
        content[offset..].split_inclusive(|byte| *byte == b'\n').count()
    }

    /// Counts the descriptors of this process that lead to the file.
    async fn open_handles(&mut self) -> usize {
        let path = self.path();
        let descriptors = fs::read_dir("/proc/self/fd").expect("/proc is there");
        let names = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        // One belongs to the harness.
        names.filter(|name| *name == path).count() - 1
    }
}
