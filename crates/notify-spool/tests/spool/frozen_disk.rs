//! A real file system that is frozen while a process spools: `fsfreeze` on ext4 in a loop device.
//!
//! Every write to it blocks in the kernel, also those that create, truncate or lock files. Only root can
//! do that, so the test is skipped for other users.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use notify_conformance::samples;
use notify_conformance::script::Script;
use notify_spool::{Config, admin};

use crate::support::{bodies, open_spool, pending_in, send_once, start, until, within};

/// A frozen disk blocks no thread of the runtime, a shutdown ends in time, and no accepted message is
/// lost. The disk freezes while an orphan waits for its adoption.
#[tokio::test]
async fn a_frozen_disk_blocks_no_runtime_and_loses_nothing() {
    let disk = match FreezableDisk::mount() {
        Ok(disk) => disk,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let path = disk.mount_point.join("s");
    let script = Script::default();
    let messages = samples::messages(0..60);
    let running = start(Config::new(&path), &script);
    running.store(&messages[..20]).await;
    let mut neighbour = open_spool(Config::new(&path));
    assert_eq!(send_once(&mut neighbour, &messages[20..40]).await.0, 20);
    script.set_stalled(true);
    drop(neighbour);
    until("the end of the neighbour", || {
        admin::slots(&path).unwrap().iter().any(|slot| slot.owner.is_none())
    })
    .await;

    let frozen = disk.freeze();
    let begin = Instant::now();
    for message in &messages[40..] {
        running.notifier.relay(message.clone()).await;
    }
    // The next search for orphans comes within five seconds. A blocked runtime would not tick.
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    within("the shutdown", running.notifier.shutdown(Duration::from_secs(1))).await;
    within("the worker", running.worker).await.unwrap();
    let elapsed = begin.elapsed();
    frozen.thaw();
    // The file system thaws by itself after a minute, which would end a blocked shutdown too.
    assert!(elapsed < Duration::from_secs(30), "{elapsed:?}");

    until("the end of the thread", || {
        admin::slots(&path).unwrap().iter().all(|slot| slot.owner.is_none())
    })
    .await;
    let mut found = bodies(&script.stored());
    found.extend(bodies(&pending_in(&path)));
    let lost = bodies(&messages[..40]).into_iter().filter(|body| !found.contains(body)).count();
    assert_eq!(lost, 0);
}

/// A small ext4 in a loop device.
struct FreezableDisk {
    mount_point: PathBuf,
    /// Removes the image at the end.
    _dir: tempfile::TempDir,
}

/// A file system while it is frozen.
struct FrozenDisk {
    mount_point: PathBuf,
    /// A process that thaws the file system, also if this test dies.
    watchdog: Child,
}

impl FreezableDisk {
    /// Makes and mounts the file system.
    ///
    /// # Errors
    ///
    /// The reason why this machine cannot do that.
    fn mount() -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let (image, mount_point) = (dir.path().join("image"), dir.path().join("disk"));
        std::fs::create_dir(&mount_point).unwrap();
        std::fs::File::create(&image).unwrap().set_len(64 * 1024 * 1024).unwrap();
        run("fsfreeze", &["--version".as_ref()])?;
        run("mkfs.ext4", &["-q".as_ref(), &image])?;
        run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &mount_point])?;
        Ok(Self { mount_point, _dir: dir })
    }

    /// Freezes the file system until the value is dropped, at most for a minute.
    fn freeze(&self) -> FrozenDisk {
        let mount_point = self.mount_point.clone();
        run("fsfreeze", &["--freeze".as_ref(), &mount_point]).unwrap();
        let script = "sleep 60; fsfreeze --unfreeze \"$0\"";
        let watchdog = Command::new("sh")
            .args(["-c", script])
            .arg(&mount_point)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        FrozenDisk { mount_point, watchdog }
    }
}

impl Drop for FreezableDisk {
    fn drop(&mut self) {
        drop(run("umount", &["--lazy".as_ref(), &self.mount_point]));
    }
}

impl FrozenDisk {
    /// Thaws the file system.
    fn thaw(self) {
        drop(self);
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        drop(run("fsfreeze", &["--unfreeze".as_ref(), &self.mount_point]));
        self.watchdog.kill().ok();
        self.watchdog.wait().ok();
    }
}

/// Runs a program.
///
/// # Errors
///
/// What it printed, or why it could not start.
fn run(program: &str, arguments: &[&Path]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}
