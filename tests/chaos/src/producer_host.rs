//! The host of the producers: a network namespace and a mount namespace, in which the network can
//! fall silent and a disk can be small.
//!
//! Creating namespaces requires root. Without root, producers run in the namespaces of this
//! process. The namespaces, the link into them and their mounts end with the process that holds
//! them.

use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use notify_testbed::sandbox::ProcessSandbox;
use notify_testbed::wait::wait_until;

/// The host of the producers.
#[derive(Debug)]
pub(crate) struct ProducerHost {
    /// The namespaces, or the reason why there are none.
    namespaces: Result<ProducerNamespaces, String>,
    sandbox: ProcessSandbox,
}

/// The namespaces of the producers, and the link into them.
#[derive(Debug)]
struct ProducerNamespaces {
    /// The process that holds the namespaces.
    holder: Child,
    /// The network interface at this end of the link.
    link: String,
    /// The address at this end of the link.
    address: Ipv4Addr,
    /// The address at the other end, without a listener.
    inside: Ipv4Addr,
    /// The file that the namespaces see as `/etc/hosts`.
    hosts: PathBuf,
}

/// A disk that is frozen.
#[derive(Debug)]
pub(crate) struct HungDisk {
    /// The command that thaws it.
    thaw: Command,
    /// The process that thaws it if this one dies.
    watchdog: Child,
}

impl HungDisk {
    /// Lets the disk go on.
    pub(crate) fn thaw(self) {
        drop(self);
    }
}

impl Drop for HungDisk {
    fn drop(&mut self) {
        let thawed = run(&mut self.thaw);
        // The watchdog may have thawed it already.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        if let Err(problem) = thawed {
            eprintln!("cannot thaw the disk: {problem}");
        }
    }
}

/// The address to which a producer resolves the broker's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameResolution {
    /// The proxy's address.
    Correct,
    /// No address.
    Missing,
    /// An address without a listener.
    Wrong,
}

impl ProducerHost {
    pub(crate) fn new() -> Self {
        let sandbox = ProcessSandbox::new();
        Self { namespaces: ProducerNamespaces::create(&sandbox), sandbox }
    }

    /// Returns the reason why producers have no namespaces of their own; `None` if they have.
    pub(crate) fn missing_namespaces(&self) -> Option<&str> {
        self.namespaces.as_ref().err().map(String::as_str)
    }

    /// Returns the address at which a producer reaches the proxy.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.namespaces.as_ref().map_or(Ipv4Addr::LOCALHOST, |namespaces| namespaces.address)
    }

    /// Returns the name, or the address, that a producer's configuration has for the broker.
    pub(crate) fn broker_name(&self) -> &str {
        if self.namespaces.is_ok() { BROKER_NAME } else { "127.0.0.1" }
    }

    /// Changes the resolution of the broker's name.
    pub(crate) fn set_resolution(&self, resolution: NameResolution) {
        self.namespaces().set_resolution(resolution);
    }

    /// Returns a command that runs `program` on this host.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Ok(namespaces) = &self.namespaces else { return self.sandbox.command(program) };
        let mut command = self.sandbox.command("nsenter");
        command.args(["--mount", "--net", "--target", &namespaces.holder.id().to_string(), "--"]);
        command.arg(program);
        command
    }

    /// Makes the network drop every packet.
    pub(crate) fn cut_off(&self) {
        self.namespaces().set_link("down");
    }

    /// Restores the network after [`cut_off`](Self::cut_off).
    pub(crate) fn reconnect(&self) {
        self.namespaces().set_link("up");
    }

    /// Mounts a file system of 4 MiB on `directory`, inside the namespaces only: ext4 without a journal,
    /// which can be frozen.
    pub(crate) fn mount_small_disk(&self, directory: &Path) {
        let image = directory.with_extension("image");
        fs::File::create(&image)
            .and_then(|file| file.set_len(4 * 1024 * 1024))
            .expect("the directory of the run is writable");
        let options = ["-q", "-O", "^has_journal", "-m", "0"];
        run(self.command("mkfs.ext4").args(options).arg(&image)).expect("root can make an ext4");
        let mut mount = self.command("mount");
        run(mount.args(["-o", "loop"]).arg(&image).arg(directory)).expect("root can mount an ext4");
    }

    /// Freezes the disk at `directory`: every write blocks until the value is dropped, or until a watchdog
    /// thaws it because this process died.
    pub(crate) fn freeze_disk(&self, directory: &Path) -> HungDisk {
        let script = format!("sleep {FREEZE_LIMIT_SECONDS}; exec fsfreeze --unfreeze \"$0\"");
        let mut thaw = self.command("fsfreeze");
        thaw.arg("--unfreeze").arg(directory);
        // Not in the sandbox, whose end kills its processes.
        let namespaces = self.namespaces();
        let mut watchdog = Command::new("nsenter");
        watchdog.args(["--mount", "--target", &namespaces.holder.id().to_string(), "--"]);
        watchdog.args(["sh", "-c", &script]).arg(directory);
        // A part of it may outlive this process, which must not keep its output open.
        watchdog.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let watchdog = watchdog.spawn().expect("the system can start a shell");
        run(self.command("fsfreeze").arg("--freeze").arg(directory))
            .expect("root can freeze a disk");
        HungDisk { thaw, watchdog }
    }

    /// Mounts a file system in memory of 512 MiB on `directory`, inside the namespaces only.
    pub(crate) fn mount_memory_disk(&self, directory: &Path) {
        let options = ["-t", "tmpfs", "-o", "size=512m,mode=0700", "chaos"];
        run(self.command("mount").args(options).arg(directory)).expect("root can mount a tmpfs");
    }

    /// Fills the disk at `directory` from another program.
    pub(crate) fn fill_disk(&self, directory: &Path) {
        let mut output = std::ffi::OsString::from("of=");
        output.push(ballast(directory));
        let mut filler = self.command("dd");
        filler.args(["if=/dev/zero", "bs=4k", "status=none"]).arg(output);
        let error = run(&mut filler).expect_err("`dd` fails when the disk is full");
        assert!(error.contains("No space left"), "{error}");
    }

    /// Removes the file of [`fill_disk`](Self::fill_disk).
    pub(crate) fn clear_disk(&self, directory: &Path) {
        run(self.command("rm").arg(ballast(directory))).expect("`fill_disk` wrote the file");
    }

    fn namespaces(&self) -> &ProducerNamespaces {
        self.namespaces.as_ref().expect("faults that need namespaces run only if they exist")
    }
}

/// The file that fills a disk.
fn ballast(directory: &Path) -> PathBuf {
    directory.join("ballast")
}

impl ProducerNamespaces {
    fn create(sandbox: &ProcessSandbox) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("requires root".to_owned());
        }
        let mut holder = sandbox
            .command("unshare")
            .args(["--mount", "--net", "--", "sleep", "infinity"])
            .spawn()
            .map_err(|error| format!("cannot start `unshare`: {error}"))?;
        let id = holder.id();
        let mut has_failed = false;
        wait_until("the namespaces exist", || {
            has_failed = holder.try_wait().is_ok_and(|status| status.is_some());
            let program = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            has_failed || program.trim() == "sleep"
        });
        if has_failed {
            return Err(
                "`unshare --mount` failed: in a chroot, its root must be a mount".to_owned()
            );
        }

        // RFC 2544 reserves 198.18.0.0/15 for benchmarks, so these addresses belong to no host.
        let own = std::process::id();
        let [.., high, low] = (own << 2).to_be_bytes();
        let [address, inside] = [1, 2].map(|end| Ipv4Addr::new(198, 18, high, low | end));
        let hosts = sandbox.path().join("hosts");
        let namespaces = Self { holder, link: format!("chaos{own}"), address, inside, hosts };
        namespaces.set_resolution(NameResolution::Correct);
        let ip = |arguments: &str| run(sandbox.command("ip").args(arguments.split(' ')));
        let inner = |program: &str| {
            let mut command = sandbox.command("nsenter");
            command.args(["--mount", "--net", "--target", &id.to_string(), "--", program]);
            command
        };
        let inner_ip = |arguments: &str| run(inner("ip").args(arguments.split(' ')));
        run(inner("mount").arg("--bind").arg(&namespaces.hosts).arg("/etc/hosts"))?;
        let link = &namespaces.link;
        ip(&format!("link add {link} type veth peer name inside netns {id}"))?;
        ip(&format!("addr add {address}/30 dev {link}"))?;
        ip(&format!("link set {link} up"))?;
        inner_ip(&format!("addr add {inside}/30 dev inside"))?;
        inner_ip("link set inside up")?;
        inner_ip("link set lo up")?;
        Ok(namespaces)
    }

    fn set_resolution(&self, resolution: NameResolution) {
        let line = match resolution {
            NameResolution::Correct => format!("{} {BROKER_NAME}\n", self.address),
            NameResolution::Missing => String::new(),
            NameResolution::Wrong => format!("{} {BROKER_NAME}\n", self.inside),
        };
        fs::write(&self.hosts, line).expect("the sandbox is writable");
    }

    fn set_link(&self, state: &str) {
        let mut command = Command::new("ip");
        run(command.args(["link", "set", &self.link, state])).expect("root can change the link");
    }
}

/// The time after which a watchdog thaws a disk.
const FREEZE_LIMIT_SECONDS: u32 = 90;
/// The broker's name inside the namespaces.
const BROKER_NAME: &str = "broker.chaos";

/// Runs a program to its end.
///
/// # Errors
///
/// The program's name and its error output, if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot start `{name}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{name}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
