//! Several processes append to one file while `logrotate` moves and compresses it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use notify_core::Notifier;
use notify_testbed::role_process::{role, role_process};

use crate::support::{complete_lines, log, notification};

/// Four processes with 200 000 messages lose and tear no line under constant rotation.
#[test]
fn four_processes_and_logrotate_lose_no_line() {
    if let Some(role) = role() {
        let (series, path) = role.split_once(' ').unwrap();
        return write(series.parse().unwrap(), Path::new(path));
    }
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let path = logs.join("n.log");
    let conf = dir.path().join("logrotate.conf");
    let directives = "rotate 10000\ncompress\nmissingok\nnocreate\n";
    fs::write(&conf, format!("{} {{\n{directives}}}\n", path.display())).unwrap();

    let name = "shared::four_processes_and_logrotate_lose_no_line";
    let mut processes: Vec<Child> = (0..PROCESSES)
        .map(|series| {
            role_process(&[], name, &format!("{series} {}", path.display())).spawn().unwrap()
        })
        .collect();
    let mut rotations = 0;
    while processes.iter_mut().any(|process| process.try_wait().unwrap().is_none()) {
        let state = dir.path().join("state");
        let mut logrotate = Command::new("logrotate");
        logrotate.arg("--force").arg("--state").args([&state, &conf]);
        let output = logrotate.output().expect("no logrotate: run `cargo xtask setup`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        rotations += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }

    let (mut found, mut files) = (BTreeMap::<_, u32>::new(), 0);
    for file in fs::read_dir(&logs).unwrap() {
        files += 1;
        for line in complete_lines(&unpack(&file.unwrap().path())) {
            *found.entry(line).or_default() += 1;
        }
    }
    let twice = found.values().filter(|&&count| count > 1).count();
    println!("{} lines in {files} files after {rotations} rotations, {twice} twice", found.len());
    let sent = (0..PROCESSES).flat_map(|series| (0..MESSAGES).map(move |n| (series, n)));
    let missing: Vec<_> = sent.filter(|sent| !found.contains_key(sent)).collect();
    assert!(missing.is_empty(), "{} missing: {missing:?}", missing.len());
    assert!(files > 3, "logrotate rotated nothing");
}

/// Sends the messages of one series through a notifier, and checks its account.
fn write(series: u32, path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (notifier, worker) = Notifier::builder(log(path)).build().unwrap();
    let worker = worker.spawn_thread().unwrap();
    let stats = runtime.block_on(async {
        for number in 0..MESSAGES {
            drop(notifier.resend(&notification(series, number, 0)).await);
        }
        notifier.shutdown(Duration::from_secs(60)).await
    });
    assert_eq!((stats.emitted, stats.delivered), (MESSAGES.into(), MESSAGES.into()), "{stats:?}");
    assert_eq!(worker.join().unwrap().delivered, stats.delivered);
}

/// Reads a log file, compressed or not.
fn unpack(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|extension| extension == "gz") {
        let output = Command::new("gzip").args(["-d", "-c"]).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    } else {
        fs::read(path).unwrap()
    }
}

/// The number of processes that write.
const PROCESSES: u32 = 4;
/// The number of messages that each process sends.
const MESSAGES: u32 = 50_000;
