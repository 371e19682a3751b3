//! Owners, modes and types of the directory and its files.
//!
//! The spool refuses everything that another user could have created or could change. The error says
//! what to change, and the same spool continues afterwards.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use notify_conformance::samples;
use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Outcome, Transport as _};
use notify_spool::{Config, admin};
use notify_testbed::role_process::{role, role_process};

use crate::support::{open_spool, send_once};

/// The spool creates its directory with mode 0700 and its files with mode 0600.
#[tokio::test]
async fn only_the_owner_can_access_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spool = open_spool(Config::new(&path));
    send_once(&mut spool, &samples::messages(0..1)).await;
    assert_eq!(mode(&path), 0o700);
    for file in ["slot-0.lock", "slot-0.redb"] {
        assert_eq!(mode(&path.join(file)), 0o600, "{file}");
    }
    spool.close().await.unwrap();
}

/// Symbolic links and files that others can write to are refused, until an operator replaces them.
#[tokio::test]
async fn refuses_unsafe_files_until_an_operator_fixes_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let lock = path.join("slot-0.lock");
    let file = path.join("slot-0.redb");
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let make_writable =
        |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o770)).unwrap();
    let make_private =
        |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();

    // Returns the spool for closing: a dropped spool releases its slot some time later.
    let expect_refusal = async |expected: &str| {
        let mut spool = open_spool(Config::new(&path));
        let (accepted, error) = send_once(&mut spool, &samples::messages(0..3)).await;
        let error = error.unwrap();
        assert_eq!((accepted, error.kind()), (0, ErrorKind::Access), "{error:#}");
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(!error.is_transient() && error.to_string().contains(expected), "{error}");
        spool
    };

    symlink(&elsewhere, &path).unwrap();
    expect_refusal("is a symbolic link").await.close().await.unwrap();
    assert_eq!(
        fs::read_dir(&elsewhere).unwrap().count(),
        0,
        "the spool must create nothing behind the link"
    );
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    make_writable(&path);
    let mut spool = expect_refusal("chmod go-w").await;
    assert!(matches!(spool.check().await.unwrap()[0].state, FindingState::Bad(_)));
    assert!(admin::slots(&path).is_err());
    make_private(&path);
    let (accepted, _) = send_once(&mut spool, &samples::messages(0..3)).await;
    assert_eq!(accepted, 3, "the same spool continues");
    assert!(matches!(spool.check().await.unwrap()[0].state, FindingState::Good(_)));
    spool.close().await.unwrap();

    for file in [&lock, &file] {
        let aside = elsewhere.join("aside");
        fs::rename(file, &aside).unwrap();
        symlink(&aside, file).unwrap();
        expect_refusal("is a symbolic link").await.close().await.unwrap();
        fs::rename(&aside, file).unwrap();
        make_writable(file);
        expect_refusal("chmod go-w").await.close().await.unwrap();
        let error = admin::slots(&path).unwrap().remove(0).contents.unwrap_err();
        assert!(error.to_string().contains("chmod go-w"), "{error}");
        make_private(file);
    }
    fs::rename(&file, elsewhere.join("aside")).unwrap();
    fs::create_dir(&file).unwrap();
    let (_, error) = send_once(&mut open_spool(Config::new(&path)), &samples::messages(0..1)).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Config);
}

/// The errors name a missing parent directory and a file in place of the directory.
#[tokio::test]
async fn errors_name_a_missing_parent_or_a_file_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let spool = |path: &str| open_spool(Config::new(dir.path().join(path)));
    let (_, error) = send_once(&mut spool("a/b"), &samples::messages(0..1)).await;
    let error = error.unwrap();
    assert!(error.to_string().contains("needs its parent directory"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Config);
    fs::write(dir.path().join("file"), "").unwrap();
    let (_, error) = send_once(&mut spool("file"), &samples::messages(0..1)).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Config);
    let findings = spool("none").check().await.unwrap();
    assert!(matches!(&findings[0].state, FindingState::Good(seen) if seen.contains("not exist")));
    assert!(!dir.path().join("none").exists());
}

/// Only root can give a directory to another user. Otherwise the test is skipped.
#[test]
fn refuses_a_directory_of_another_user() {
    if let Some(path) = role() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (accepted, error) = runtime
            .block_on(send_once(&mut open_spool(Config::new(&path)), &samples::messages(0..1)));
        let error = error.unwrap();
        assert_eq!((accepted, error.kind()), (0, ErrorKind::Access), "{error:#}");
        assert!(error.to_string().contains("belongs to user 65534"), "{error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    fs::create_dir(&path).unwrap();
    if std::os::unix::fs::chown(&path, Some(65534), None).is_err() {
        println!("skipped: only root can change the owner of a directory");
        return;
    }
    let name = "access::refuses_a_directory_of_another_user";
    let output = role_process(&[], name, &path.to_string_lossy()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Returns the permission bits of a file.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
