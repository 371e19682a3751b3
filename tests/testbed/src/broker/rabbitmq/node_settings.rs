//! The settings of a node that survive its restarts: its name, ports and directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sandbox::ProcessSandbox;

/// The name, ports and directories of a node.
#[derive(Debug)]
pub(super) struct NodeSettings {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    /// The directory of RabbitMQ's own scripts.
    pub(super) scripts: PathBuf,
    pub(super) port: u16,
    pub(super) tls_port: Option<u16>,
    pub(super) management_port: Option<u16>,
    pub(super) distribution_port: u16,
    pub(super) epmd_port: u16,
}

impl NodeSettings {
    /// Returns a command that runs one of RabbitMQ's programs with these settings.
    pub(super) fn command(&self, sandbox: &ProcessSandbox, program: &str) -> Command {
        let mut command = sandbox.command(self.scripts.join(program));
        let directory = &self.directory;
        command
            .env("HOME", directory)
            // The system's own node has its settings in /etc. This node must not read them.
            .env("RABBITMQ_CONF_ENV_FILE", directory.join("none"))
            .env("RABBITMQ_NODENAME", &self.name)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_CONFIG_FILE", directory.join("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", directory.join("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", directory.join("enabled_plugins"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", directory.join("generated"))
            .env("RABBITMQ_MNESIA_BASE", directory.join("data"))
            .env("RABBITMQ_LOG_BASE", directory)
            .env("RABBITMQ_LOGS", self.log())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", LOOPBACK_ONLY)
            .env("RABBITMQ_CTL_ERL_ARGS", LOOPBACK_ONLY)
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command
    }

    /// Returns the path of what Erlang writes to standard error.
    pub(super) fn standard_error(&self) -> PathBuf {
        self.directory.join("standard-error.log")
    }

    /// Returns the path of the node's log.
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("rabbit.log")
    }
}

/// Returns the directory in which Debian installs RabbitMQ's own scripts. The wrappers in
/// `/usr/sbin` discard the environment.
///
/// # Panics
///
/// Panics if RabbitMQ is not installed.
pub(super) fn scripts() -> PathBuf {
    let installed = Path::new("/usr/lib/rabbitmq/lib");
    fs::read_dir(installed)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("sbin")))
        .find(|scripts| scripts.join("rabbitmq-server").exists())
        .unwrap_or_else(|| {
            panic!("no RabbitMQ in {}: run `cargo xtask setup`", installed.display())
        })
}

const LOOPBACK_ONLY: &str = "-kernel inet_dist_use_interface {127,0,0,1}";
