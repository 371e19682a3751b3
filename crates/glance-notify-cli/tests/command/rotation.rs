//! Several processes write one log file while the real `logrotate` renames and
//! compresses it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Sandbox, ids, line, values, wait_until};

/// Four processes write while `logrotate` rotates 30 times. Each acknowledged
/// notification is in a file, and no line is cut.
///
/// Several services may share one log file, and a timer rotates it at any moment.
#[test]
fn four_writers_and_logrotate_lose_no_line() {
    /// The number of times that `logrotate` runs.
    const ROTATIONS: usize = 30;
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("logs")).unwrap();
    let log = sandbox.path("logs/n.log");
    let conf = format!(
        "{} {{\n rotate 100000\n compress\n nodelaycompress\n create\n missingok\n ifempty\n}}\n",
        log.display()
    );
    sandbox.file("logrotate.conf", conf);
    let rotations = AtomicUsize::new(0);
    let sent: usize = std::thread::scope(|threads| {
        let writers: Vec<_> = (0..4)
            .map(|number| {
                let acks = format!("acks.{number}");
                let args = ["emit", "--set", "strategy=log", "--set", "log.file=logs/n.log"];
                let args = [&args[..], &["--acks", &acks]].concat();
                let mut command = sandbox.command(args);
                let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
                let rotations = &rotations;
                threads.spawn(move || {
                    let mut stdin = child.stdin.take().unwrap();
                    let mut sent = 0;
                    for rotation in 1..=ROTATIONS {
                        // Write more lines each time, starting together with `logrotate`.
                        wait_until("the rotation starts", || {
                            rotations.load(Ordering::Relaxed) >= rotation
                        });
                        for _ in 0..10 {
                            let lines = (sent..sent + 100).map(|n| line(&format!("{number} {n}")));
                            stdin.write_all(lines.collect::<String>().as_bytes()).unwrap();
                            sent += 100;
                        }
                    }
                    drop(stdin);
                    assert_eq!(child.wait().unwrap().code(), Some(0));
                    sent
                })
            })
            .collect();
        for rotation in 1..=ROTATIONS {
            rotations.store(rotation, Ordering::Relaxed);
            let mut logrotate = Command::new("logrotate");
            logrotate.args(["--force", "--state", "state", "logrotate.conf"]);
            let output = logrotate.current_dir(&sandbox.dir).output();
            let output = output.expect("logrotate is missing: run `cargo xtask setup`");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            // Let the writers make progress. The test does not depend on the length.
            std::thread::sleep(Duration::from_millis(50));
        }
        writers.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let mut written = BTreeSet::new();
    let mut files = 0;
    for entry in fs::read_dir(sandbox.path("logs")).unwrap() {
        let path = entry.unwrap().path();
        let text = if path.extension().is_some_and(|extension| extension == "gz") {
            let unpacked = Command::new("gzip").arg("-dc").arg(&path).output().unwrap();
            assert!(unpacked.status.success(), "{path:?}");
            String::from_utf8(unpacked.stdout).unwrap()
        } else {
            fs::read_to_string(&path).unwrap()
        };
        assert!(text.is_empty() || text.ends_with('\n'), "{path:?} ends in a cut line");
        let lines = values(&text);
        written.extend(ids(&lines).into_iter().map(str::to_owned));
        files += 1;
    }
    assert!(files > ROTATIONS / 2, "{files} files");
    let acks: String = (0..4).map(|number| sandbox.read(&format!("acks.{number}"))).collect();
    let acked: BTreeSet<_> = acks.lines().map(str::to_owned).collect();
    assert_eq!((acked.len(), acks.lines().count()), (sent, sent), "delivered once each");
    assert_eq!(written, acked, "every delivered line is in a file");
}
