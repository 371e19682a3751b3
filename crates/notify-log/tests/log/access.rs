//! A file without write permission: an error that names the cause, and delivery once it is granted.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Outcome, Transport as _};
use notify_testbed::role_process::{role, role_process};

use crate::support::{attempt, content, deliver, log, messages, text};

/// A denied permission is a permanent error, which the worker retries all the same: after the operator has
/// granted it, the same transport delivers without a restart.
#[test]
fn retries_until_it_may_write_the_file() {
    if let Some(dir) = role() {
        return scenario(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("probe");
    fs::write(&path, "").unwrap();
    deny_writing(&path);
    // Two capabilities let root write everything. Without them, root is an ordinary user.
    let privileged = fs::OpenOptions::new().append(true).open(&path).is_ok();
    let without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
    let wrapper = if privileged { &without[..] } else { &[] };
    let name = "access::retries_until_it_may_write_the_file";
    let mut command = role_process(wrapper, name, &dir.path().to_string_lossy());
    assert!(command.status().expect("setpriv, from util-linux").success());
    assert!(dir.path().join("passed").exists(), "the scenario did not run");
}

/// Runs in a process without the privileges of root.
fn scenario(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let logs = dir.join("logs");
        fs::create_dir(&logs).unwrap();
        let path = logs.join("n.log");
        let messages = messages(1, 0..4);
        let mut log = log(&path);

        deny_writing(&logs);
        let error = attempt(&mut log, &messages[..2]).await.error();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Access, Outcome::NotSent));
        assert!(format!("{error:#}").contains("Permission denied"), "{error:#}");
        let findings = log.check().await.unwrap();
        assert!(matches!(findings[0].state, FindingState::Bad(_)), "{findings:?}");
        allow_writing(&logs);
        deliver(&mut log, &messages[..2]).await;

        fs::rename(&path, logs.join("n.log.1")).unwrap();
        fs::write(&path, "").unwrap();
        deny_writing(&path);
        let error = attempt(&mut log, &messages[2..]).await.error();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Access, Outcome::NotSent));
        allow_writing(&path);
        deliver(&mut log, &messages[2..]).await;
        assert_eq!(content(&logs.join("n.log.1")), text(&messages[..2]));
        assert_eq!(content(&path), text(&messages[2..]));
    });
    fs::write(dir.join("passed"), "").unwrap();
}

/// Makes a file or directory read-only.
fn deny_writing(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o500)).unwrap();
}

/// Makes a file or directory writable for its owner.
fn allow_writing(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
}
