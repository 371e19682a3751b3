//! Settings of a node, and its first start.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use super::RabbitMq;
use super::settings::{Settings, scripts};
use crate::broker::free_port;
use crate::broker::sandbox::Sandbox;

/// Settings of a node that is to be started.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    plugins: Vec<String>,
    config: String,
    tls: bool,
}

impl Builder {
    /// Enables a plugin.
    #[must_use]
    pub fn plugin(mut self, name: &str) -> Self {
        self.plugins.push(name.to_owned());
        self
    }

    /// Adds a line to `rabbitmq.conf`.
    #[must_use]
    pub fn config(mut self, line: &str) -> Self {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    /// Listens for TLS too, on [`RabbitMq::tls_port`], with PEM files: the certificate authorities that
    /// clients are checked against, the node's own certificate and its key.
    ///
    /// Clients need no certificate, unless `ssl_options.fail_if_no_peer_cert = true` is
    /// [configured](Self::config).
    #[must_use]
    pub fn tls(mut self, authorities: &Path, certificate: &Path, key: &Path) -> Self {
        self.tls = true;
        self.config(&format!("ssl_options.cacertfile = {}", authorities.display()))
            .config(&format!("ssl_options.certfile = {}", certificate.display()))
            .config(&format!("ssl_options.keyfile = {}", key.display()))
            .config("ssl_options.verify = verify_peer")
    }

    /// Starts the node and waits until it serves clients.
    ///
    /// # Panics
    ///
    /// When RabbitMQ is not installed or does not start.
    pub fn start(&self) -> RabbitMq {
        let broker = self.place(Arc::new(Sandbox::new()), "rabbit", free_port());
        broker.launch();
        broker.wait_until_ready();
        broker
    }

    /// Lays out what a node needs on disk.
    pub(super) fn place(&self, sandbox: Arc<Sandbox>, name: &str, epmd_port: u16) -> RabbitMq {
        let settings = Settings {
            name: format!("{name}@localhost"),
            directory: sandbox.path().join(name),
            scripts: scripts(),
            port: free_port(),
            tls_port: self.tls.then(free_port),
            distribution_port: free_port(),
            epmd_port,
        };
        self.write(&settings).expect("cannot write to the sandbox");
        RabbitMq { node: Mutex::default(), settings, vhosts: AtomicU32::new(0), sandbox }
    }

    fn write(&self, settings: &Settings) -> std::io::Result<()> {
        let directory = &settings.directory;
        fs::create_dir(directory)?;

        // Nodes that share it may talk to each other. Nothing else is on this machine's loopback.
        let cookie = directory.join(".erlang.cookie");
        fs::write(&cookie, settings.epmd_port.to_string())?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;

        let mut config = self.config.clone();
        if let Some(port) = settings.tls_port {
            let _ = writeln!(config, "listeners.ssl.default = 127.0.0.1:{port}");
        }
        config.push_str(CONFIG);
        fs::write(directory.join("rabbitmq.conf"), config)?;
        fs::write(directory.join("enabled_plugins"), format!("[{}].", self.plugins.join(",")))
    }
}

/// For every node.
const CONFIG: &str = "\
# A test machine may be short of disk.
disk_free_limit.absolute = 10MB
";
