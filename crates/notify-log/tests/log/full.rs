//! A disk that takes no more: what fits is accepted, the rest is for later, and no line is torn.

use std::fs;
use std::path::Path;

use notify_core::{ErrorKind, Outcome, Verdict};
use notify_testbed::role_process::{role, role_process};

use crate::support::{attempt, log, messages, read};

/// The limit on a file's size stands in for a full disk: a write that crosses it comes back short,
/// the next one fails.
#[test]
fn what_does_not_fit_is_tried_again_and_nothing_is_lost() {
    if let Some(dir) = role() {
        return scenario(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let limited = r#"trap "" XFSZ; ulimit -f 16; exec "$0" "$@""#;
    let name = "full::what_does_not_fit_is_tried_again_and_nothing_is_lost";
    let mut command = role_process(&["sh", "-c", limited], name, &dir.path().to_string_lossy());
    // Through a pipe: the limit would hold for a file that the tests' output goes to as well.
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(dir.path().join("passed").exists(), "the scenario was played");
}

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
            // Not even one more line fits: the operator makes room.
            rotations += 1;
            found.extend(numbers(&path));
            fs::remove_file(&path).unwrap();
        }
    }
    found.extend(numbers(&path));
    assert!(rotations >= 2, "the limit did not bite");
    assert_eq!(found, (0..300).collect::<Vec<_>>(), "each once, in order");
    fs::write(dir.join("passed"), "").unwrap();
}

/// The whole lines of a file. Others are beginnings of one.
fn numbers(path: &Path) -> Vec<u32> {
    let whole = messages(1, 0..300);
    let content = fs::read(path).unwrap();
    let lines = content.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let number = |line| {
        let read = read(line);
        assert!(read.is_some() || whole.iter().any(|message| message.body().starts_with(line)));
        read.map(|(_, number)| number)
    };
    lines.filter_map(number).collect()
}
