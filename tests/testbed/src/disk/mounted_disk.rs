//! A real file system that a test can freeze or make read-only: ext4 in a loop device.
//!
//! Every write to a frozen file system blocks in the kernel, also those that create, truncate or lock files.
//! Only root can mount one.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::wait::wait_until;

/// A small ext4 in a loop device. Dropping it unmounts it.
#[derive(Debug)]
pub struct MountedDisk {
    mount_point: PathBuf,
    image: PathBuf,
    /// Removes the image at the end.
    _directory: tempfile::TempDir,
}

/// A file system while it is frozen. Dropping it thaws the file system.
#[derive(Debug)]
pub struct FrozenDisk {
    mount_point: PathBuf,
    /// A process that thaws the file system, also if this test dies.
    watchdog: Child,
}

impl MountedDisk {
    /// Makes and mounts the file system.
    ///
    /// # Errors
    ///
    /// Returns the reason why this machine cannot do that: the test has to be skipped.
    pub fn mount() -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("the system offers a temporary directory");
        let image = directory.path().join("image");
        let mount_point = directory.path().join("disk");
        std::fs::create_dir(&mount_point).expect("the directory is writable");
        let file = File::create(&image).expect("the directory is writable");
        file.set_len(64 * 1024 * 1024).expect("the disk holds sparse files");
        run("fsfreeze", ["--version"])?;
        run("mkfs.ext4", ["-q".as_ref(), image.as_os_str()])?;
        let disk = Self { mount_point, image, _directory: directory };
        disk.attach()?;
        Ok(disk)
    }

    /// Returns the directory in which the file system is mounted.
    pub fn path(&self) -> &Path {
        &self.mount_point
    }

    /// Reports an error of the file system to the kernel, which makes it read-only until [`repair`](Self::repair).
    pub fn make_read_only(&self) {
        let source = Command::new("findmnt")
            .args(["--noheadings", "--output=SOURCE", "--target"])
            .arg(&self.mount_point)
            .output()
            .expect("the system has findmnt");
        let source = String::from_utf8_lossy(&source.stdout).trim().replace("/dev/", "");
        std::fs::write(format!("/sys/fs/ext4/{source}/trigger_fs_error"), "test").unwrap();
    }

    /// Unmounts the file system once nothing uses it, repairs it and mounts it again.
    pub fn repair(&self) {
        wait_until("nothing uses the disk", || {
            run("umount", [self.mount_point.as_os_str()]).is_ok()
        });
        // It fails if it had something to repair.
        drop(run("e2fsck", ["-p".as_ref(), self.image.as_os_str()]));
        self.attach().unwrap();
    }

    /// Mounts the file system.
    fn attach(&self) -> Result<(), String> {
        let options = ["-o".as_ref(), "loop,errors=remount-ro".as_ref()];
        run(
            "mount",
            options.into_iter().chain([self.image.as_os_str(), self.mount_point.as_os_str()]),
        )
    }

    /// Freezes the file system until the value is dropped, at most for a minute.
    pub fn freeze(&self) -> FrozenDisk {
        let mount_point = self.mount_point.clone();
        run("fsfreeze", ["--freeze".as_ref(), mount_point.as_os_str()]).unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", "sleep 60; fsfreeze --unfreeze \"$0\""])
            .arg(&mount_point)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the system offers a shell");
        FrozenDisk { mount_point, watchdog }
    }
}

impl Drop for MountedDisk {
    fn drop(&mut self) {
        drop(run("umount", ["--lazy".as_ref(), self.mount_point.as_os_str()]));
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        drop(run("fsfreeze", ["--unfreeze".as_ref(), self.mount_point.as_os_str()]));
        self.watchdog.kill().ok();
        self.watchdog.wait().ok();
    }
}

/// Runs a program.
///
/// # Errors
///
/// Returns what it printed, or why it could not start.
fn run<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}
