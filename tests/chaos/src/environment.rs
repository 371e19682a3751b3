//! The environment of a producer: a real broker, a proxy in front of it, a host, and a directory.
//! The run keeps the directory if it finds a problem.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use glance_notify::uuid::Uuid;
use notify_testbed::broker::rabbitmq::{RabbitMq, Vhost};
use notify_testbed::proxy::Proxy;
use serde_json::json;

use crate::fault::CONFIRM_TIMEOUT_SECONDS;
use crate::journal::JournalAudit;
use crate::producer_handle::ProducerFiles;
use crate::producer_host::ProducerHost;
use crate::setup::{BrokerStrategy, ProducerSetup, SpoolPlacement};

/// The environment that all trials of a run share.
#[derive(Debug)]
pub(crate) struct RunEnvironment {
    pub(crate) broker: RabbitMq,
    pub(crate) proxy: Proxy,
    pub(crate) host: ProducerHost,
    /// The most messages in a producer's queue.
    pub(crate) queue: u64,
    directory: PathBuf,
}

impl RunEnvironment {
    /// Starts the broker and the proxy. All files of the run go to `directory`.
    pub(crate) fn new(host: ProducerHost, queue: u64, directory: &Path) -> Self {
        let broker = RabbitMq::builder().plugin("rabbitmq_amqp1_0").start();
        let proxy = Proxy::start_at(host.address(), broker.port());
        Self { broker, proxy, host, queue, directory: directory.to_owned() }
    }

    /// Prepares the environment of one trial.
    pub(crate) fn trial(&self, setup: ProducerSetup, name: &str) -> TrialEnvironment<'_> {
        let directory = self.directory.join(name);
        fs::create_dir(&directory).expect("the directory of the run is writable");
        let files = ProducerFiles {
            configuration: directory.join("notify.toml"),
            journal: directory.join("journal"),
            log: directory.join("producer.log"),
        };
        let disk = directory.join("disk");
        fs::create_dir(&disk).expect("the directory of the run is writable");
        if setup.spool == SpoolPlacement::OnSmallDisk {
            self.host.mount_small_disk(&disk);
        }
        let vhost = self.broker.vhost();
        for queue in QUEUES {
            vhost.declare_queue(queue, &json!({ "durable": true }));
        }
        let audit = JournalAudit::open(&files.journal).expect("the journal is readable");
        let audit = Mutex::new(audit);
        let trial = TrialEnvironment { run: self, setup, vhost, files, disk, audit };
        fs::write(&trial.files.configuration, trial.configuration())
            .expect("the directory of the run is writable");
        trial
    }

    /// Copies the end of the broker's log to the directory of the run.
    pub(crate) fn keep_log(&self) {
        // The run has failed already. Without the log, its other files remain.
        let _ = fs::write(self.directory.join("broker.log"), self.broker.log());
    }
}

/// The environment of one trial.
#[derive(Debug)]
pub(crate) struct TrialEnvironment<'r> {
    pub(crate) run: &'r RunEnvironment,
    pub(crate) setup: ProducerSetup,
    pub(crate) vhost: Vhost<'r>,
    pub(crate) files: ProducerFiles,
    /// The directory of the spool, if the setup has one.
    pub(crate) disk: PathBuf,
    audit: Mutex<JournalAudit>,
}

impl TrialEnvironment<'_> {
    /// Locks the audit and calls `work` with it.
    pub(crate) fn audit<T>(&self, work: impl FnOnce(&mut JournalAudit) -> T) -> T {
        work(&mut self.audit.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Compares the arrivals with the journal. Returns the problems.
    pub(crate) fn compare(&self) -> Vec<String> {
        self.audit(|audit| audit.compare().expect("the journal is readable"))
    }

    /// Returns the log of the producer so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.files.log).unwrap_or_default()
    }

    /// Takes all messages from all queues, and notes their arrival.
    pub(crate) fn drain(&self) {
        let queues = self.vhost.queues();
        for queue in queues.iter().filter(|queue| queue.messages > 0) {
            self.drain_queue(&queue.name);
        }
    }

    /// Takes all messages from one queue, and notes their arrival.
    pub(crate) fn drain_queue(&self, queue: &str) {
        self.vhost.drain_each(queue, true, |message| {
            let id = Uuid::parse_str(message.message_id()).unwrap_or_default();
            self.audit(|audit| audit.note_arrival(id, &message.body));
        });
    }

    /// Returns the configuration of the producer.
    fn configuration(&self) -> String {
        let (host, port) = (self.run.host.broker_name(), self.run.proxy.port());
        let (strategy, path) = match self.setup.strategy {
            BrokerStrategy::Rabbit => ("rabbit", self.vhost.name().to_owned()),
            BrokerStrategy::Qpid => ("qpid", format!("vhost:{}", self.vhost.name())),
        };
        let spool = match self.setup.spool {
            SpoolPlacement::None => String::new(),
            SpoolPlacement::OnDisk | SpoolPlacement::OnSmallDisk => {
                format!("spool.dir = '{}'\n", self.disk.join("spool").display())
            }
        };
        format!(
            "strategy = '{strategy}'\n\
             {strategy}.url = 'amqp://guest:guest@{host}:{port}/{path}'\n\
             {strategy}.heartbeat = 5\n\
             {strategy}.confirm_timeout = {CONFIRM_TIMEOUT_SECONDS}\n\
             queue.max_messages = {}\n\
             {spool}",
            self.run.queue
        )
    }
}

/// The queues that receive the notifications of both strategies.
pub(crate) const QUEUES: [&str; 3] =
    ["notifications.info", "notifications.warn", "notifications.error"];
