//! A file that may not be written: the error says so, nothing is lost, and it works once it may.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Outcome, Transport as _};
use notify_testbed::role_process::{role, role_process};

use crate::support::{attempt, content, deliver, log, messages, text};

#[test]
fn a_forbidden_file_is_written_once_it_is_allowed() {
    if let Some(dir) = role() {
        return scenario(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("probe");
    fs::write(&path, "").unwrap();
    forbid(&path);
    // Root may write everything by two capabilities; without them it is a user like any other.
    let privileged = fs::OpenOptions::new().append(true).open(&path).is_ok();
    let without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
    let wrapper = if privileged { &without[..] } else { &[] };
    let name = "access::a_forbidden_file_is_written_once_it_is_allowed";
    let mut command = role_process(wrapper, name, &dir.path().to_string_lossy());
    assert!(command.status().expect("setpriv, of util-linux, to be there").success());
    assert!(dir.path().join("passed").exists(), "the scenario was played");
}

fn scenario(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let closed = dir.join("closed");
        fs::create_dir(&closed).unwrap();
        let path = closed.join("n.log");
        let messages = messages(1, 0..4);
        let mut log = log(&path);

        forbid(&closed);
        let error = attempt(&mut log, &messages[..2]).await.error();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::NotSent));
        assert!(format!("{error:#}").contains("Permission denied"), "{error:#}");
        let findings = log.check().await.unwrap();
        assert!(matches!(findings[0].state, FindingState::Bad(_)), "{findings:?}");
        allow(&closed);
        deliver(&mut log, &messages[..2]).await;

        fs::rename(&path, closed.join("n.log.1")).unwrap();
        fs::write(&path, "").unwrap();
        forbid(&path);
        let error = attempt(&mut log, &messages[2..]).await.error();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::NotSent));
        allow(&path);
        deliver(&mut log, &messages[2..]).await;
        assert_eq!(content(&closed.join("n.log.1")), text(&messages[..2]));
        assert_eq!(content(&path), text(&messages[2..]));
    });
    fs::write(dir.join("passed"), "").unwrap();
}

fn forbid(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o500)).unwrap();
}

fn allow(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
}
