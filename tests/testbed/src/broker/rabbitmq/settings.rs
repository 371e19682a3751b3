//! What a node keeps through all its restarts: its names, ports and directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::broker::sandbox::Sandbox;

/// What a node keeps through all its restarts.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) scripts: PathBuf,
    pub(super) port: u16,
    pub(super) tls_port: Option<u16>,
    pub(super) distribution_port: u16,
    pub(super) epmd_port: u16,
}

impl Settings {
    /// One of RabbitMQ's programs, with this node's names, ports and directories.
    pub(super) fn command(&self, sandbox: &Sandbox, program: &str) -> Command {
        let mut command = sandbox.command(self.scripts.join(program));
        let directory = &self.directory;
        command
            .env("HOME", directory)
            // There is a file of these settings in the system, for the system's node.
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

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("rabbit.log")
    }
}

/// Where Debian puts RabbitMQ's own scripts. The wrappers in `/usr/sbin` drop the environment.
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
