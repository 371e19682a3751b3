//! The transport contract on a file: the conformance suite that every transport passes.

#![expect(clippy::expect_used, reason = "a test may fail in any way")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use notify_conformance::{Capability, Harness, ReceivedMessage};
use notify_core::Transport;
use notify_log::{Config, FileConfig, Log};
use tempfile::TempDir;

notify_conformance::suite!(FileHarness);

/// A log file in a temporary directory.
struct FileHarness {
    dir: TempDir,
    path: PathBuf,
    /// A second holder of the file's lock, which stalls the writer as a hanging disk does.
    lock: Option<fs::File>,
}

impl FileHarness {
    /// Returns the path of the file while the destination is down.
    fn aside(&self) -> PathBuf {
        self.dir.path().join("aside")
    }
}

#[async_trait]
impl Harness for FileHarness {
    /// The clauses about capabilities that no file has.
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
        (Capability::Metadata, "a line is the body and nothing else"),
        (Capability::Refuse, "a file accepts any bytes"),
        (Capability::Retry, "a harness cannot fill a disk: `full.rs` limits a process instead"),
        (Capability::FullLane, "a file is one lane"),
        (Capability::SilentLane, "a file is one lane"),
    ];

    /// Creates an empty directory for the log.
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("n.log");
        Self { dir, path, lock: None }
    }

    /// Returns a transport with `log.sync` on, as in production.
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(Log::new(Config::File(FileConfig::new(&self.path))))
    }

    /// Reads the lines back. A partial line fails the test.
    async fn received(&mut self) -> Vec<ReceivedMessage> {
        let content = fs::read(&self.path).unwrap_or_default();
        let lines = content.split_inclusive(|&byte| byte == b'\n');
        lines
            .map(|line| line.strip_suffix(b"\n").expect("a complete line"))
            .map(|line| ReceivedMessage { body: line.to_vec(), metadata: None })
            .collect()
    }

    /// Counts the descriptors of this process that have the log open.
    async fn open_handles(&mut self) -> usize {
        let is_log = |fd: PathBuf| fs::read_link(fd).is_ok_and(|file| is_of(&self.path, &file));
        let open = fs::read_dir("/proc/self/fd").expect("the open files");
        open.flatten().filter(|fd| is_log(fd.path())).count()
    }

    /// Replaces the path by a dangling link, as when a file system is not mounted.
    async fn kill(&mut self) {
        // Swap in one step. If the path were free for a moment, a new file would begin there.
        drop(fs::hard_link(&self.path, self.aside()));
        let nowhere = self.dir.path().join("nowhere");
        symlink(&self.path, &nowhere).expect("a link to itself");
        fs::rename(nowhere, &self.path).expect("the link in place of the file");
    }

    /// Puts the file back in place of the link.
    async fn restart(&mut self) {
        if fs::rename(self.aside(), &self.path).is_err() {
            fs::remove_file(&self.path).expect("the link to be removed");
        }
    }

    /// Takes the lock, so that the writer waits.
    async fn stall(&mut self) {
        let file = fs::File::open(&self.path).expect("the log");
        file.lock().expect("the lock");
        self.lock = Some(file);
    }

    /// Releases the lock.
    async fn resume(&mut self) {
        self.lock = None;
    }
}

/// Checks whether an open descriptor belongs to the log file or its renamed copies.
fn is_of(path: &Path, open: &Path) -> bool {
    open.to_string_lossy().starts_with(&*path.to_string_lossy())
}
