//! A full disk: the transport accepts the messages that fit, retries the others and tears no line.

use std::fs;
use std::path::Path;

use notify_core::{ErrorKind, Outcome, Verdict};
use notify_testbed::role_process::{role, role_process};

use crate::support::{attempt, log, messages, parse_line};

/// Every message reaches a file once, although the disk fills up in the middle of lines.
///
/// A limit on the file size replaces the full disk: the write that crosses the limit is short, and
/// the next one fails.
#[test]
fn a_full_disk_loses_and_tears_no_line() {
    if let Some(dir) = role() {
        return scenario(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let limited = r#"trap "" XFSZ; ulimit -f 16; exec "$0" "$@""#;
    let name = "full::a_full_disk_loses_and_tears_no_line";
    let mut command = role_process(&["sh", "-c", limited], name, &dir.path().to_string_lossy());
    // Read the output through a pipe, because the limit applies to a file of test output too.
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(dir.path().join("passed").exists(), "the scenario did not run");
}

/// Runs in a process that cannot write more than 8 KiB into one file.
fn scenario(dir: &Path) {
    let path = dir.join("n.log");
    let mut log = log(&path);
    let all = messages(1, 0..300);
    let mut rest = &all[..];
    let mut found = Vec::new();
    let mut rotations = 0;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    while !rest.is_empty() {
        let attempt = runtime.block_on(attempt(&mut log, rest));
        assert!(attempt.result.is_ok(), "{:?}", attempt.result);
        let accepted = attempt.accepted();
        for verdict in &attempt.verdicts[accepted..] {
            let Some(Verdict::Retry(error)) = verdict else { panic!("{verdict:?}") };
            assert_eq!((error.kind(), error.outcome()), (ErrorKind::Full, Outcome::NotSent));
            assert!(error.to_string().starts_with("`log.file`: "), "{error}");
        }
        rest = &rest[accepted..];
        if accepted == 0 {
            // Not even one more line fits, so the operator makes room.
            rotations += 1;
            found.extend(complete_numbers(&path));
            fs::remove_file(&path).unwrap();
        }
    }
    found.extend(complete_numbers(&path));
    assert!(rotations >= 2, "the limit had no effect");
    assert_eq!(found, (0..300).collect::<Vec<_>>(), "each message once, in order");
    fs::write(dir.join("passed"), "").unwrap();
}

/// Returns the numbers of a file's complete lines. Every other line must be the start of one.
fn complete_numbers(path: &Path) -> Vec<u32> {
    let all = messages(1, 0..300);
    let content = fs::read(path).unwrap();
    let lines = content.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let number = |line| {
        let parsed = parse_line(line);
        assert!(parsed.is_some() || all.iter().any(|message| message.body().starts_with(line)));
        parsed.map(|(_, number)| number)
    };
    lines.filter_map(number).collect()
}
