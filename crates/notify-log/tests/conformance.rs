//! The contract of a transport, for a file.

#![expect(clippy::expect_used, reason = "a test may fail as it likes")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use notify_conformance::{Capability, Harness, ReceivedMessage};
use notify_core::Transport;
use notify_log::{Config, FileConfig, Log};
use tempfile::TempDir;

notify_conformance::suite!(LogFile);

/// A file in a directory of its own.
struct LogFile {
    dir: TempDir,
    path: PathBuf,
    /// Somebody else's hold on the file's lock: as good as a disk that hangs.
    lock: Option<fs::File>,
}

impl LogFile {
    /// Where the file is while it is away.
    fn aside(&self) -> PathBuf {
        self.dir.path().join("aside")
    }
}

#[async_trait]
impl Harness for LogFile {
    const UNSUPPORTED: &'static [(Capability, &'static str)] = &[
        (Capability::Metadata, "a line is the body and nothing beside it"),
        (Capability::Refuse, "a file takes whatever is written"),
        (Capability::Retry, "no disk can be filled from within: `full.rs` does, in a process"),
    ];

    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("n.log");
        Self { dir, path, lock: None }
    }

    fn transport(&self) -> Box<dyn Transport> {
        Box::new(Log::new(Config::File(FileConfig::new(&self.path))))
    }

    async fn received(&mut self) -> Vec<ReceivedMessage> {
        let content = fs::read(&self.path).unwrap_or_default();
        let lines = content.split_inclusive(|&byte| byte == b'\n');
        lines
            .map(|line| line.strip_suffix(b"\n").expect("a whole line"))
            .map(|line| ReceivedMessage { body: line.to_vec(), metadata: None })
            .collect()
    }

    async fn open_handles(&mut self) -> usize {
        let theirs = |fd: PathBuf| fs::read_link(fd).is_ok_and(|file| is_of(&self.path, &file));
        let open = fs::read_dir("/proc/self/fd").expect("the open files");
        open.flatten().filter(|fd| theirs(fd.path())).count()
    }

    /// The path leads nowhere for a while, as when a file system is not mounted.
    async fn kill(&mut self) {
        // In one step: were the path free for a moment, a new file would begin there.
        drop(fs::hard_link(&self.path, self.aside()));
        let nowhere = self.dir.path().join("nowhere");
        symlink(&self.path, &nowhere).expect("a link to itself");
        fs::rename(nowhere, &self.path).expect("the link in place of the file");
    }

    async fn restart(&mut self) {
        if fs::rename(self.aside(), &self.path).is_err() {
            fs::remove_file(&self.path).expect("the link to go");
        }
    }

    async fn stall(&mut self) {
        let file = fs::File::open(&self.path).expect("the log");
        file.lock().expect("the lock");
        self.lock = Some(file);
    }

    async fn resume(&mut self) {
        self.lock = None;
    }
}

fn is_of(path: &Path, open: &Path) -> bool {
    open.to_string_lossy().starts_with(&*path.to_string_lossy())
}
