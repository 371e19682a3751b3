//! The settings of a node before its first start.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::broker::RabbitMq;
use super::node_settings::{NodeSettings, scripts};
use crate::ports::free_port;
use crate::sandbox::ProcessSandbox;

/// The settings of a node before its first start.
#[derive(Clone, Debug, Default)]
pub struct RabbitMqBuilder {
    plugins: Vec<String>,
    /// The lines of `rabbitmq.conf`.
    config: String,
    tls: bool,
    management: bool,
}

impl RabbitMq {
    /// Starts a node with default settings. This takes some seconds.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Returns the default settings, for a test to change.
    pub fn builder() -> RabbitMqBuilder {
        RabbitMqBuilder::default()
    }

    /// Returns the node that the tests of this process share. Each test creates a virtual host of
    /// its own with [`vhost`](Self::vhost).
    ///
    /// A test that stops, freezes or alarms the node must start its own.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start)
    }
}

impl RabbitMqBuilder {
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

    /// Enables TLS on [`RabbitMq::tls_port`]. The arguments are PEM files: the authorities that
    /// sign the certificates of clients, the node's certificate, and its key.
    ///
    /// Clients may connect without a certificate, unless the test adds the
    /// [line](Self::config) `ssl_options.fail_if_no_peer_cert = true`.
    #[must_use]
    pub fn tls(mut self, authorities: &Path, certificate: &Path, key: &Path) -> Self {
        self.tls = true;
        self.config(&format!("ssl_options.cacertfile = {}", authorities.display()))
            .config(&format!("ssl_options.certfile = {}", certificate.display()))
            .config(&format!("ssl_options.keyfile = {}", key.display()))
            .config("ssl_options.verify = verify_peer")
    }

    /// Enables the management API on [`RabbitMq::management_url`], with statistics that are at most a fifth of
    /// a second old.
    #[must_use]
    pub fn management(mut self) -> Self {
        self.management = true;
        self.plugin("rabbitmq_management").config("collect_statistics_interval = 200")
    }

    /// Starts the node and waits until it serves clients.
    ///
    /// # Panics
    ///
    /// Panics if RabbitMQ is not installed or does not start. `cargo xtask setup` installs it.
    pub fn start(&self) -> RabbitMq {
        let broker = self.prepare(Arc::new(ProcessSandbox::new()), "rabbit", free_port());
        broker.launch();
        broker.wait_until_ready();
        broker
    }

    /// Writes the files of a node that does not run yet.
    pub(super) fn prepare(
        &self,
        sandbox: Arc<ProcessSandbox>,
        name: &str,
        epmd_port: u16,
    ) -> RabbitMq {
        let settings = NodeSettings {
            name: format!("{name}@localhost"),
            directory: sandbox.path().join(name),
            scripts: scripts(),
            port: free_port(),
            tls_port: self.tls.then(free_port),
            management_port: self.management.then(free_port),
            distribution_port: free_port(),
            epmd_port,
        };
        self.write_files(&settings).expect("the sandbox is writable");
        RabbitMq::new(settings, sandbox)
    }

    fn write_files(&self, settings: &NodeSettings) -> std::io::Result<()> {
        let directory = &settings.directory;
        fs::create_dir(directory)?;

        // Nodes with the same cookie may talk to each other. The port is unique on this machine,
        // and the nodes listen on its loopback interface only.
        let cookie = directory.join(".erlang.cookie");
        fs::write(&cookie, settings.epmd_port.to_string())?;
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;

        let mut config = self.config.clone();
        if let Some(port) = settings.tls_port {
            // The default differs between the versions of Erlang.
            if !config.contains("fail_if_no_peer_cert") {
                config.push_str("ssl_options.fail_if_no_peer_cert = false\n");
            }
            let _ = writeln!(config, "listeners.ssl.default = 127.0.0.1:{port}");
        }
        if let Some(port) = settings.management_port {
            config.push_str("management.tcp.ip = 127.0.0.1\n");
            let _ = writeln!(config, "management.tcp.port = {port}");
        }
        config.push_str(COMMON_CONFIG);
        fs::write(directory.join("rabbitmq.conf"), config)?;
        fs::write(directory.join("enabled_plugins"), format!("[{}].", self.plugins.join(",")))
    }
}

/// The lines of `rabbitmq.conf` that every node has.
const COMMON_CONFIG: &str = "\
# A test machine may be short of disk.
disk_free_limit.absolute = 10MB
";

/// The node of [`RabbitMq::shared`].
static SHARED: OnceLock<RabbitMq> = OnceLock::new();
