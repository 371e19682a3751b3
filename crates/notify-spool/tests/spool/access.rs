//! A directory that is not as it must be: refused with what to change, and used once it is changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use notify_conformance::samples;
use notify_core::transport::FindingState;
use notify_core::{ErrorKind, Outcome, Transport as _};
use notify_spool::{Config, admin};
use notify_testbed::role_process::{role, role_process};

use crate::support::{attempt, keep};

#[tokio::test]
async fn the_directory_and_its_files_are_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut spool = keep(Config::new(&path));
    attempt(&mut spool, &samples::messages(0..1)).await;
    assert_eq!(mode(&path), 0o700);
    for file in ["slot-0.lock", "slot-0.redb"] {
        assert_eq!(mode(&path.join(file)), 0o600, "{file}");
    }
    spool.close().await.unwrap();
}

#[tokio::test]
async fn what_others_can_change_or_have_put_there_is_refused_until_it_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let lock = path.join("slot-0.lock");
    let file = path.join("slot-0.redb");
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let writable = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o770)).unwrap();
    let allowed = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();

    // To be closed: a spool that is dropped lets go of its slot when its thread comes to it.
    let refused = async |named: &str| {
        let mut spool = keep(Config::new(&path));
        let (accepted, error) = attempt(&mut spool, &samples::messages(0..3)).await;
        let error = error.unwrap();
        assert_eq!((accepted, error.kind()), (0, ErrorKind::Access), "{error:#}");
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(!error.is_transient() && error.to_string().contains(named), "{error}");
        spool
    };

    symlink(&elsewhere, &path).unwrap();
    refused("is a symbolic link").await.close().await.unwrap();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "nothing was made behind it");
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    writable(&path);
    let mut spool = refused("chmod go-w").await;
    assert!(matches!(spool.check().await.unwrap()[0].state, FindingState::Bad(_)));
    assert!(admin::slots(&path).is_err());
    allowed(&path);
    let (accepted, _) = attempt(&mut spool, &samples::messages(0..3)).await;
    assert_eq!(accepted, 3, "the same spool goes on");
    assert!(matches!(spool.check().await.unwrap()[0].state, FindingState::Good(_)));
    spool.close().await.unwrap();

    for file in [&lock, &file] {
        let aside = elsewhere.join("aside");
        fs::rename(file, &aside).unwrap();
        symlink(&aside, file).unwrap();
        refused("is a symbolic link").await.close().await.unwrap();
        fs::rename(&aside, file).unwrap();
        writable(file);
        refused("chmod go-w").await.close().await.unwrap();
        allowed(file);
    }
    fs::rename(&file, elsewhere.join("aside")).unwrap();
    fs::create_dir(&file).unwrap();
    let (_, error) = attempt(&mut keep(Config::new(&path)), &samples::messages(0..1)).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn what_is_missing_or_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let spool = |path: &str| keep(Config::new(dir.path().join(path)));
    let (_, error) = attempt(&mut spool("a/b"), &samples::messages(0..1)).await;
    let error = error.unwrap();
    assert!(
        error.to_string().contains("needs its parent directory") && error.is_transient(),
        "{error}"
    );
    fs::write(dir.path().join("file"), "").unwrap();
    let (_, error) = attempt(&mut spool("file"), &samples::messages(0..1)).await;
    assert_eq!(error.unwrap().kind(), ErrorKind::Config);
    let findings = spool("none").check().await.unwrap();
    assert!(matches!(&findings[0].state, FindingState::Good(seen) if seen.contains("not exist")));
    assert!(!dir.path().join("none").exists());
}

#[test]
fn a_directory_of_another_user_is_refused() {
    if let Some(path) = role() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (accepted, error) =
            runtime.block_on(attempt(&mut keep(Config::new(&path)), &samples::messages(0..1)));
        let error = error.unwrap();
        assert_eq!((accepted, error.kind()), (0, ErrorKind::Access), "{error:#}");
        assert!(error.to_string().contains("belongs to user 65534"), "{error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    fs::create_dir(&path).unwrap();
    // Somebody who may not give files away makes himself believe that he is somebody else.
    let given = std::os::unix::fs::chown(&path, Some(65534), None).is_ok();
    let name = "access::a_directory_of_another_user_is_refused";
    let unshared = ["unshare", "--user"];
    let wrapper = if given { &[][..] } else { &unshared[..] };
    let output = role_process(wrapper, name, &path.to_string_lossy()).output().unwrap();
    if !given {
        // Inside, what belongs to whoever is not mapped belongs to nobody, and so do we.
        println!("not run: only root can give a directory away");
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
