//! Where producers run: in a network and a mount namespace of their own, so that their network can fall
//! silent and their disk can be small. That takes root; without it they run beside everything else.
//!
//! The namespaces, the link into them and what is mounted in them end with the process that holds them.

use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use notify_testbed::sandbox::Sandbox;
use notify_testbed::wait::wait_until;

/// Where producers run.
#[derive(Debug)]
pub(crate) struct Place {
    holder: Result<Holder, String>,
    sandbox: Sandbox,
}

#[derive(Debug)]
struct Holder {
    process: Child,
    /// This end of the link.
    link: String,
    address: Ipv4Addr,
    /// Where nobody listens.
    inside: Ipv4Addr,
    /// What is `/etc/hosts` there.
    hosts: PathBuf,
}

/// What the name of our address leads to, for a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Known,
    Unknown,
    /// An address at which nobody listens.
    Wrong,
}

impl Place {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new();
        Self { holder: Holder::start(&sandbox), sandbox }
    }

    /// Why producers have no namespaces of their own.
    pub(crate) fn lacks(&self) -> Option<&str> {
        self.holder.as_ref().err().map(String::as_str)
    }

    /// The address by which a producer reaches us.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.holder.as_ref().map_or(Ipv4Addr::LOCALHOST, |holder| holder.address)
    }

    /// The name, or the address, by which a producer is to reach us.
    pub(crate) fn host(&self) -> &str {
        if self.holder.is_ok() { NAME } else { "127.0.0.1" }
    }

    /// Lets our name lead there from now on.
    pub(crate) fn resolve(&self, name: Name) {
        self.holder().resolve(name);
    }

    /// A program that will run there.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Ok(holder) = &self.holder else { return self.sandbox.command(program) };
        let mut command = self.sandbox.command("nsenter");
        command.args(["--mount", "--net", "--target", &holder.process.id().to_string(), "--"]);
        command.arg(program);
        command
    }

    /// Lets the network take everything and say nothing.
    pub(crate) fn cut_off(&self) {
        self.holder().set_link("down");
    }

    /// Ends what [`cut_off`](Self::cut_off) began.
    pub(crate) fn reconnect(&self) {
        self.holder().set_link("up");
    }

    /// Makes `directory` a file system of 4 MiB, there and nowhere else.
    pub(crate) fn mount_small_disk(&self, directory: &Path) {
        let options = ["-t", "tmpfs", "-o", "size=4m,mode=0700", "chaos"];
        run(self.command("mount").args(options).arg(directory)).expect("a tmpfs");
    }

    /// Lets another program fill the disk at `directory`.
    pub(crate) fn fill(&self, directory: &Path) {
        let mut output = std::ffi::OsString::from("of=");
        output.push(ballast(directory));
        let mut filler = self.command("dd");
        filler.args(["if=/dev/zero", "bs=4k", "status=none"]).arg(output);
        let said = run(&mut filler).expect_err("no disk is that large");
        assert!(said.contains("No space left"), "{said}");
    }

    /// Takes away what [`fill`](Self::fill) wrote.
    pub(crate) fn clear(&self, directory: &Path) {
        run(self.command("rm").arg(ballast(directory))).expect("the ballast is there");
    }

    fn holder(&self) -> &Holder {
        self.holder.as_ref().expect("this is only done where there are namespaces")
    }
}

fn ballast(directory: &Path) -> PathBuf {
    directory.join("ballast")
}

impl Holder {
    fn start(sandbox: &Sandbox) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("it takes root".to_owned());
        }
        let process = sandbox
            .command("unshare")
            .args(["--mount", "--net", "--", "sleep", "infinity"])
            .spawn()
            .map_err(|error| format!("cannot start `unshare`: {error}"))?;
        let id = process.id();
        wait_until("there are namespaces", || {
            let program = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            program.trim() == "sleep"
        });

        // Of the network for benchmarks, which is nobody's.
        let own = std::process::id();
        let [.., high, low] = (own << 2).to_be_bytes();
        let [address, inside] = [1, 2].map(|end| Ipv4Addr::new(198, 18, high, low | end));
        let hosts = sandbox.path().join("hosts");
        let holder = Self { process, link: format!("chaos{own}"), address, inside, hosts };
        holder.resolve(Name::Known);
        let ip = |arguments: &str| run(sandbox.command("ip").args(arguments.split(' ')));
        let inner = |program: &str| {
            let mut command = sandbox.command("nsenter");
            command.args(["--mount", "--net", "--target", &id.to_string(), "--", program]);
            command
        };
        let inner_ip = |arguments: &str| run(inner("ip").args(arguments.split(' ')));
        run(inner("mount").arg("--bind").arg(&holder.hosts).arg("/etc/hosts"))?;
        let link = &holder.link;
        ip(&format!("link add {link} type veth peer name inside netns {id}"))?;
        ip(&format!("addr add {address}/30 dev {link}"))?;
        ip(&format!("link set {link} up"))?;
        inner_ip(&format!("addr add {inside}/30 dev inside"))?;
        inner_ip("link set inside up")?;
        inner_ip("link set lo up")?;
        Ok(holder)
    }

    fn resolve(&self, name: Name) {
        let line = match name {
            Name::Known => format!("{} {NAME}\n", self.address),
            Name::Unknown => String::new(),
            Name::Wrong => format!("{} {NAME}\n", self.inside),
        };
        fs::write(&self.hosts, line).expect("a file of ours");
    }

    fn set_link(&self, state: &str) {
        run(Command::new("ip").args(["link", "set", &self.link, state])).expect("a link of ours");
    }
}

const NAME: &str = "broker.chaos";

/// Runs a program to its end; returns what it said where it failed.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("cannot start `{name}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{name}`: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
